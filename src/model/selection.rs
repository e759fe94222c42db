//! Which backends a user means: `ollama/qwen3:8b`, `openai/gpt-5`, or the name of one of the user's own.
//!
//! A key in the environment is no consent: a backend gets a question only if its user has named it.

use std::time::Duration;

use super::backend::{ModelBackend, ModelLimits, WireFormat};
use super::key::KeySource;
use crate::environment::Environment;
use crate::error::{Code, Error, Result, suggest};

/// A model of this machine reads a long conversation slowly.
const LOCAL_TOTAL: Duration = Duration::from_secs(180);

/// The backend of a name: one of `known`, or `FORMAT/MODEL` with the addresses and keys of the format's own variables
/// (`OPENAI_BASE_URL`, `OPENAI_API_KEY`, `ANTHROPIC_BASE_URL`, `ANTHROPIC_API_KEY`, `OLLAMA_HOST`).
///
/// # Errors
/// [`Code::ModelUnknown`].
pub fn selected(
    name: &str,
    known: &[ModelBackend],
    environment: &Environment,
) -> Result<ModelBackend> {
    if let Some(backend) = known.iter().find(|backend| backend.name == name) {
        return Ok(backend.clone());
    }
    let format_and_model = name
        .split_once('/')
        .and_then(|(format, model)| Some((WireFormat::named(format)?, model)))
        .filter(|(_, model)| !model.is_empty());
    let Some((format, model)) = format_and_model else {
        return Err(unknown(name, known));
    };
    let (url, key) = standard(format, environment);
    let mut limits = ModelLimits::default();
    if format == WireFormat::Ollama {
        limits.total = LOCAL_TOTAL;
    }
    Ok(ModelBackend {
        name: name.to_owned(),
        format,
        url: url.trim_end_matches('/').to_owned(),
        model: model.to_owned(),
        key,
        limits,
    })
}

/// The address and the key that a format's own variables name.
fn standard(format: WireFormat, environment: &Environment) -> (String, Option<KeySource>) {
    let of = |name: &str, usual: &str| {
        let set = environment.get(name).map(str::trim);
        set.filter(|text| !text.is_empty())
            .unwrap_or(usual)
            .to_owned()
    };
    let key = |name: &str| KeySource::Variable(name.to_owned());
    let if_set = |name: &str| environment.get(name).map(|_| key(name));
    match format {
        WireFormat::OpenAi => {
            let url = of("OPENAI_BASE_URL", "https://api.openai.com/v1");
            let is_own = environment.get("OPENAI_BASE_URL").is_some();
            // A server of one's own often has no key.
            let key = match is_own {
                true => if_set("OPENAI_API_KEY"),
                false => Some(key("OPENAI_API_KEY")),
            };
            (url, key)
        }
        WireFormat::Anthropic => {
            let url = of("ANTHROPIC_BASE_URL", "https://api.anthropic.com");
            (url, Some(key("ANTHROPIC_API_KEY")))
        }
        WireFormat::Ollama => (ollama_url(&of("OLLAMA_HOST", "127.0.0.1:11434")), None),
    }
}

/// `OLLAMA_HOST` is a host, a host with a port, or a URL, and is also where the server listens (`0.0.0.0`).
fn ollama_url(host: &str) -> String {
    let (scheme, rest) = host.split_once("://").unwrap_or(("http", host));
    let rest = rest.trim_end_matches('/');
    let rest = match rest.strip_prefix("0.0.0.0") {
        Some(port) => format!("127.0.0.1{port}"),
        None => rest.to_owned(),
    };
    let has_port = rest
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let port = if scheme == "http" && !has_port {
        ":11434"
    } else {
        ""
    };
    format!("{scheme}://{rest}{port}")
}

fn unknown(name: &str, known: &[ModelBackend]) -> Error {
    let error = Error::new(
        Code::ModelUnknown,
        format!("no model has the name `{name}`"),
    );
    let names: Vec<_> = known.iter().map(|backend| backend.name.as_str()).collect();
    let formats = WireFormat::NAMES.map(|format| format!("{format}/MODEL"));
    let near = suggest(name, names.iter().copied());
    match near {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => {
            let names = names.into_iter().map(str::to_owned).chain(formats);
            error.hint(format!(
                "models are named {}",
                names.collect::<Vec<_>>().join(", ")
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, variables: &[(&str, &str)]) -> ModelBackend {
        let variables = variables.iter();
        let environment = variables
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        selected(name, &[], &environment).unwrap()
    }

    #[test]
    fn each_format_reads_its_own_variables() {
        let openai = of("openai/gpt-5", &[]);
        assert_eq!(openai.url, "https://api.openai.com/v1");
        assert!(openai.key.is_some());
        let own = of(
            "openai/m",
            &[("OPENAI_BASE_URL", "http://127.0.0.1:8000/v1/")],
        );
        assert_eq!(
            (own.url.as_str(), &own.key),
            ("http://127.0.0.1:8000/v1", &None)
        );
        let anthropic = of("anthropic/claude", &[]);
        assert_eq!(
            anthropic.key,
            Some(KeySource::Variable("ANTHROPIC_API_KEY".to_owned()))
        );
        for (host, url) in [
            ("", "http://127.0.0.1:11434"),
            ("0.0.0.0", "http://127.0.0.1:11434"),
            ("0.0.0.0:1234", "http://127.0.0.1:1234"),
            ("box.lan", "http://box.lan:11434"),
            ("https://box.lan", "https://box.lan"),
            ("http://box.lan:80/", "http://box.lan:80"),
        ] {
            assert_eq!(
                of("ollama/q:8b", &[("OLLAMA_HOST", host)]).url,
                url,
                "{host}"
            );
        }
    }

    #[test]
    fn a_name_that_is_none_gets_the_nearest_or_all() {
        let own = ModelBackend {
            name: "work".to_owned(),
            ..of("ollama/a", &[])
        };
        let environment = Environment::default();
        let error = |name| selected(name, std::slice::from_ref(&own), &environment).unwrap_err();
        assert!(error("wrok").hint.unwrap().contains("`work`"));
        for name in ["gpt-5", "openai/", "olama/x"] {
            let hint = error(name).hint.unwrap();
            assert!(hint.contains("openai/MODEL"), "{hint}");
        }
    }

    #[test]
    fn a_key_goes_over_https_or_to_this_machine_only() {
        let with = |url: &str, key: &[(&str, &str)]| {
            let mut all = vec![("OPENAI_BASE_URL", url)];
            all.extend(key);
            of("openai/m", &all).address()
        };
        let key = [("OPENAI_API_KEY", "k")];
        for url in [
            "https://a.example/v1",
            "http://127.0.0.1:1/v1",
            "http://[::1]:1",
            "http://localhost:1",
        ] {
            assert!(with(url, &key).is_ok(), "{url}");
        }
        for url in [
            "http://a.example/v1",
            "http://10.0.0.1/v1",
            "ftp://a",
            "nothing",
            "https://a:b@c.example",
        ] {
            assert_eq!(with(url, &key).unwrap_err().code, Code::ModelUrl, "{url}");
        }
        assert!(with("http://10.0.0.1/v1", &[]).is_ok());
    }
}
