//! What is made of a Compose project, by devk or by `docker compose config`, in a form that both can be brought to.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Refused,
    Project {
        name: String,
        /// The active ones, by name.
        services: BTreeMap<String, Service>,
    },
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Service {
    /// Sorted: `docker compose config` keeps no order that matters.
    pub(crate) ports: Vec<Port>,
    /// Those that have a value.
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) image: Option<String>,
    pub(crate) network_mode: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Port {
    pub(crate) host_ip: Option<String>,
    pub(crate) published: Option<String>,
    pub(crate) target: u32,
    pub(crate) protocol: String,
}

impl Answer {
    /// From the output of `docker compose config --format json`.
    pub(crate) fn from_json(json: &str) -> Self {
        // It prints every `$` twice.
        let value: Value = serde_json::from_str(&json.replace("$$", "$")).unwrap();
        let services = value["services"].as_object().into_iter().flatten();
        let services = services
            .map(|(name, service)| (name.clone(), Service::from_json(service)))
            .collect();
        Self::Project {
            name: value["name"].as_str().unwrap().to_owned(),
            services,
        }
    }

    /// As it stands in a case; the variables only if they are shown.
    pub(crate) fn record(&self, environment: bool) -> String {
        let Self::Project { name, services } = self else {
            return "<-- refused\n".to_owned();
        };
        let mut text = format!("<-- {name}\n");
        for (name, service) in services {
            if service.ports.is_empty() {
                writeln!(text, "{name}").unwrap();
            }
            for port in &service.ports {
                writeln!(text, "{name} {port}").unwrap();
            }
            if environment {
                for (key, value) in &service.environment {
                    writeln!(text, "{name} $ {key}={}", value.escape_debug()).unwrap();
                }
            }
        }
        text
    }

    /// The counterpart of [`Answer::record`].
    pub(crate) fn recorded(text: &str) -> Self {
        let mut lines = text.lines().filter(|line| !line.is_empty());
        let name = lines.next().unwrap_or_default();
        if name == "refused" {
            return Self::Refused;
        }
        let mut services: BTreeMap<String, Service> = BTreeMap::new();
        for line in lines {
            let words = words(line);
            let service = services.entry(words[0].clone()).or_default();
            match &words[1..] {
                [dollar, ..] if dollar == "$" => {
                    let (_, pair) = line.split_once(" $ ").unwrap();
                    let (key, value) = pair.split_once('=').unwrap();
                    service.environment.insert(key.to_owned(), value.to_owned());
                }
                [host_ip, published, target, protocol] => service.ports.push(Port {
                    host_ip: some(host_ip),
                    published: some(published),
                    target: target.parse().unwrap(),
                    protocol: protocol.clone(),
                }),
                _ => {}
            }
        }
        Self::Project {
            name: name.to_owned(),
            services,
        }
    }
}

impl Service {
    fn from_json(value: &Value) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let port = |value: &Value| Port {
            host_ip: text(&value["host_ip"]),
            published: text(&value["published"]),
            target: value["target"]
                .as_u64()
                .unwrap_or_default()
                .try_into()
                .unwrap(),
            protocol: text(&value["protocol"]).unwrap_or_default(),
        };
        let mut ports: Vec<_> = value["ports"]
            .as_array()
            .into_iter()
            .flatten()
            .map(port)
            .collect();
        ports.sort();
        let environment = value["environment"].as_object().into_iter().flatten();
        let environment = environment
            .filter_map(|(key, value)| Some((key.clone(), text(value)?)))
            .collect();
        Self {
            ports,
            environment,
            image: text(&value["image"]),
            network_mode: text(&value["network_mode"]),
        }
    }
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [host_ip, published] =
            [&self.host_ip, &self.published].map(|side| side.as_deref().map_or("-".into(), word));
        write!(
            f,
            "{host_ip} {published} {} {}",
            self.target,
            word(&self.protocol)
        )
    }
}

/// One word of a line, in quotes where it would not be one.
fn word(text: &str) -> String {
    let plain = !text.is_empty()
        && text != "-"
        && !text.contains([' ', '"', '\\'])
        && !text.contains(char::is_control);
    if plain {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}

fn some(word: &str) -> Option<String> {
    (word != "-").then(|| word.to_owned())
}

/// The counterpart of [`word`], for a line.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![];
    let mut rest = line;
    while !rest.is_empty() {
        let mut quoted = serde_json::Deserializer::from_str(rest).into_iter::<String>();
        let (word, length) = match quoted.next() {
            Some(Ok(word)) if rest.starts_with('"') => (word, quoted.byte_offset()),
            _ => {
                let end = rest.find(' ').unwrap_or(rest.len());
                (rest[..end].to_owned(), end)
            }
        };
        words.push(word);
        rest = rest[length..].trim_start();
    }
    words
}
