//! What runs in the container: command, working folder, host name, signals, and the small settings around them.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::keys::{ServiceKeys, pairs, texts};
use super::network::ComposeNames;
use super::secrets::SecretUse;
use crate::compose::{YamlNode, words};
use crate::image::ImageFacts;
use crate::new_chart::model::{Carried, Component};
use crate::new_chart::names::is_found_by_dns;

/// What a service's program is read with.
pub(super) struct ProgramContext<'a> {
    pub(super) facts: Option<&'a ImageFacts>,
    pub(super) secrets: &'a SecretUse<'a>,
    pub(super) names: &'a ComposeNames,
    /// The same service read without `.env` and the shell.
    pub(super) alone: Option<&'a YamlNode>,
    /// What a text becomes in which names stand that DNS does not take.
    pub(super) rename: &'a dyn Fn(&str, &str) -> String,
}

/// Puts all of it into a component. What only `.env` and the shell say is returned, as values of this machine.
pub(super) fn put(
    keys: &ServiceKeys<'_>,
    context: &ProgramContext<'_>,
    component: &mut Component,
) -> Map<String, Value> {
    let ProgramContext {
        facts,
        secrets,
        names,
        alone,
        rename,
    } = *context;
    keys.take("entrypoint");
    keys.take("command");
    let actual = ProgramWords::of(keys.value(), secrets, rename);
    if actual.command.as_ref().is_some_and(Vec::is_empty) {
        keys.note_key("entrypoint", Carried::No, "an empty entry point means the command of the image alone; Kubernetes needs the command: set it in the values");
    }
    let quiet = |key: &str, text: &str| names.in_text(key, text);
    let public = alone.map_or(actual.clone(), |alone| {
        ProgramWords::of(alone, secrets, &quiet)
    });
    let local = if public == actual {
        Map::new()
    } else {
        actual.values()
    };
    component.command = public.command.filter(|words| !words.is_empty());
    component.args = public.args;
    component.working_dir = keys.text("working_dir");
    component.hostname = keys.text("hostname").map(|name| name.to_ascii_lowercase());
    if component
        .hostname
        .as_deref()
        .is_some_and(|name| !is_found_by_dns(name))
    {
        component.hostname = None;
        keys.note_key("hostname", Carried::No, "it is no DNS label");
    }
    component.stdin = keys.flag("stdin_open");
    component.tty = keys.flag("tty");
    component.share_processes = keys.flag("init");
    component.annotations = keys
        .take("annotations")
        .map(pairs)
        .unwrap_or_default()
        .into_iter()
        .collect();
    component.lifecycle = signal(keys, facts);
    component.dns = dns(keys);
    component.host_aliases = hosts(keys);
    restart(keys);
    keys.take("develop");
    local
}

/// Entry point and command, as a pod has them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ProgramWords {
    command: Option<Vec<String>>,
    args: Option<Vec<String>>,
}

impl ProgramWords {
    fn of(
        service: &YamlNode,
        secrets: &SecretUse<'_>,
        rename: &dyn Fn(&str, &str) -> String,
    ) -> Self {
        let line = |key: &str| {
            let node = service.get(key).filter(|node| !node.is_null())?;
            let words = match node.text() {
                Some(text) => words(text).unwrap_or_default(),
                None => texts(node),
            };
            let words = words
                .iter()
                .map(|word| secrets.in_argument(&rename(key, word)));
            Some(words.collect::<Vec<_>>())
        };
        let mut command = line("entrypoint");
        let mut args = line("command").filter(|words| !words.is_empty());
        if command
            .as_ref()
            .is_some_and(|words| words.iter().all(String::is_empty))
        {
            // Docker runs the command alone.
            command = Some(args.take().unwrap_or_default());
        }
        Self { command, args }
    }

    fn values(self) -> Map<String, Value> {
        let parts = [("command", self.command), ("args", self.args)];
        parts
            .into_iter()
            .map(|(key, words)| (key.to_owned(), json!(words.unwrap_or_default())))
            .collect()
    }
}

/// A signal other than SIGTERM is sent before it, by the image's shell.
fn signal(keys: &ServiceKeys<'_>, facts: Option<&ImageFacts>) -> Option<Value> {
    let signal = keys.text("stop_signal")?;
    let name = signal.to_uppercase().trim_start_matches("SIG").to_owned();
    if name == "TERM" || name == "15" {
        return None;
    }
    let is_word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '+');
    if facts.and_then(|facts| facts.has("sh")) == Some(false) || !is_word {
        keys.note_key("stop_signal", Carried::No, "the image has no shell that could send it; the kubelet sends what the image says, else SIGTERM");
        return None;
    }
    let line = format!("kill -s {name} 1; while kill -0 1 2>/dev/null; do sleep 0.2; done");
    Some(json!({"preStop": {"exec": {"command": ["/bin/sh", "-c", line]}}}))
}

fn dns(keys: &ServiceKeys<'_>) -> Option<Value> {
    let mut config = Map::new();
    let servers = keys.texts("dns");
    if !servers.is_empty() {
        keys.note_key(
            "dns",
            Carried::No,
            "with servers of its own a pod finds no Service; give them to the cluster's DNS",
        );
    }
    let searches = keys.texts("dns_search");
    if !searches.is_empty() {
        config.insert("searches".to_owned(), json!(searches));
    }
    let options = keys.texts("dns_opt").into_iter().map(|option| {
        let (name, value) = option.split_once(':').unwrap_or((&option, ""));
        match value.is_empty() {
            true => json!({"name": name}),
            false => json!({"name": name, "value": value}),
        }
    });
    let options: Vec<_> = options.collect();
    if !options.is_empty() {
        config.insert("options".to_owned(), options.into());
    }
    (!config.is_empty()).then(|| config.into())
}

/// `extra_hosts`, as a list of `NAME=ADDRESS` or `NAME:ADDRESS`, or a mapping.
fn hosts(keys: &ServiceKeys<'_>) -> Vec<(String, Vec<String>)> {
    let Some(node) = keys.take("extra_hosts") else {
        return vec![];
    };
    let mut found: Vec<(String, Vec<String>)> = vec![];
    let of_map = node.entries().iter().flat_map(|entry| {
        texts(&entry.value)
            .into_iter()
            .map(|address| (entry.key.clone(), address))
    });
    let of_list = node.items().iter().filter_map(|item| {
        let text = item.printed();
        let (name, address) = text.split_once('=').or_else(|| text.split_once(':'))?;
        Some((name.to_owned(), address.to_owned()))
    });
    for (name, address) in of_map.chain(of_list) {
        let address = address.trim_matches(['[', ']']).to_owned();
        if address.parse::<IpAddr>().is_err() {
            let why = format!(
                "`{address}` is no address: this machine has another one in each cluster (docs/clusters.md)"
            );
            keys.note_key("extra_hosts", Carried::No, why);
            continue;
        }
        match found.iter_mut().find(|(known, _)| *known == address) {
            Some((_, names)) => names.push(name),
            None => found.push((address, vec![name])),
        }
    }
    found
}

fn restart(keys: &ServiceKeys<'_>) {
    let policy = keys.text("restart");
    if policy
        .as_deref()
        .is_some_and(|policy| policy.starts_with("on-failure"))
    {
        keys.note_key(
            "restart",
            Carried::Changed,
            "a pod's containers are always restarted, also after they ended well",
        );
    }
}
