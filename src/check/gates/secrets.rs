//! Secrets where everybody reads them: in values, in plain environment variables, in ConfigMaps, in arguments.

use super::super::rule::rules;
use super::super::seen::{Sightings, escaped};
use super::super::view::{ChartView, RenderingView, list};
use crate::release::lined::LinedYaml;
use crate::secret_forms::has_known_key;

rules! { Security;
    "secret.environment" High, Foundation 10, On, Rendering(environment):
        "everybody who may read the workload reads the secret, and so does helm's record of every revision",
        "put it into a Secret, and name that with `valueFrom.secretKeyRef`",
        "Kubernetes, \"Good practices for Kubernetes Secrets\"; OWASP, \"Secrets Management Cheat Sheet\"";
    "secret.values" High, Foundation 8, On, Chart(values):
        "a values file of the chart has what looks like a secret in use; everybody with the repository has it",
        "change the secret where it is used, then leave the value empty and give it at installation",
        "OWASP, \"Secrets Management Cheat Sheet\"";
    "secret.default-password" Medium, Foundation 3, Off, Chart(default_password):
        "a password that everybody knows stays in use where nobody changes it",
        "leave the value empty, and demand or generate it",
        "CWE-1392: Use of Default Credentials";
    "secret.config-map" High, Foundation 8, On, Rendering(config_map):
        "a ConfigMap is read by more accounts than a Secret is, and is shown in the clear",
        "put it into a Secret",
        "Kubernetes, \"ConfigMaps\": Caution";
    "secret.argument" Medium, Foundation 3, Off, Rendering(argument):
        "arguments of a program are seen by every process of the node, and in the workload",
        "give it in a variable from a Secret, or in a file",
        "CWE-214: Invocation of Process Using Visible Sensitive Information";
}

/// The ends of names of what is secret, without dashes and case.
const SECRET_NAMES: [&str; 13] = [
    "password",
    "passwd",
    "secret",
    "secretkey",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "credentials",
    "encryptionkey",
    "signingkey",
    "clientsecret",
    "connectionstring",
];

/// Ends of names that say about a secret, and are none.
const NOT_SECRET: [&str; 8] = [
    "existingsecret",
    "secretname",
    "tokenurl",
    "passwordkey",
    "secretref",
    "automountserviceaccounttoken",
    "imagepullsecret",
    "passwordfile",
];

/// Words that stand for a secret.
const PLACEHOLDERS: [&str; 18] = [
    "changeme",
    "change-me",
    "change_me",
    "password",
    "passw0rd",
    "secret",
    "admin",
    "root",
    "test",
    "postgres",
    "example",
    "default",
    "guest",
    "dummy",
    "12345678",
    "123456",
    "letmein",
    "dev",
];

/// Whether a key is named like one of a secret.
pub(in crate::check) fn is_secret_name(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    SECRET_NAMES.iter().any(|end| plain.ends_with(end))
        && !NOT_SECRET.iter().any(|end| plain.ends_with(end))
}

fn is_placeholder(text: &str) -> bool {
    let plain = text.trim().to_ascii_lowercase();
    PLACEHOLDERS.iter().any(|word| plain.contains(word))
}

/// A password that nobody would use as a placeholder: of some length, of several kinds of characters, no word.
fn looks_used(text: &str) -> bool {
    let has = |is: fn(&char) -> bool| usize::from(text.chars().any(|c| is(&c)));
    let kinds = has(char::is_ascii_lowercase)
        + has(char::is_ascii_uppercase)
        + has(char::is_ascii_digit)
        + has(char::is_ascii_punctuation);
    let is_reference = text.contains("${") || text.contains("{{") || text.contains("://");
    let is_path = text.starts_with('/') || text.contains(char::is_whitespace);
    text.len() >= 10 && kinds >= 3 && !is_reference && !is_path && !is_placeholder(text)
}

/// A text that is there, and no reference to something else.
fn is_literal(text: &str) -> bool {
    let is_switch = matches!(text, "true" | "false" | "0" | "1");
    !(is_switch
        || text.is_empty()
        || text.contains("$(")
        || text.starts_with('/')
        || text.contains("${"))
}

fn environment(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, pod) in view.pods() {
        for container in &pod.containers {
            for (at, variable) in list(&container.json["env"]).iter().enumerate() {
                let name = variable["name"].as_str().unwrap_or_default();
                let value = variable["value"].as_str().unwrap_or_default();
                let is_secret = is_secret_name(name) && is_literal(value);
                if is_secret || has_known_key(value) {
                    let message = format!("the variable `{name}` has a secret in the clear");
                    seen.container(object, container, &format!("/env/{at}/value"), &[], message);
                }
            }
        }
    }
}

/// Every value of a values file whose text is judged as a secret, with the path.
fn each_value(
    view: &ChartView<'_>,
    seen: &mut Sightings,
    is_meant: impl Fn(&str, &str) -> bool,
    message: impl Fn(&str) -> String,
) {
    for (file, text) in view.facts.values_files() {
        let Ok(yaml) = LinedYaml::parse(text) else {
            continue;
        };
        for value in yaml.values() {
            let name = value
                .path
                .iter()
                .rev()
                .find(|key| key.parse::<usize>().is_err());
            let name = name.map(String::as_str).unwrap_or_default();
            if is_meant(name, &value.text) {
                let path = value.path.join(".");
                seen.file(file.to_string_lossy(), value.line, message(&path));
            }
        }
    }
}

fn values(view: &ChartView<'_>, seen: &mut Sightings) {
    each_value(
        view,
        seen,
        |name, text| has_known_key(text) || (is_secret_name(name) && looks_used(text)),
        |path| format!("`{path}` looks like a secret in use"),
    );
}

fn default_password(view: &ChartView<'_>, seen: &mut Sightings) {
    each_value(
        view,
        seen,
        |name, text| {
            is_secret_name(name) && is_literal(text) && !looks_used(text) && !has_known_key(text)
        },
        |path| format!("`{path}` has a password that everybody with the chart knows"),
    );
}

fn config_map(view: &RenderingView<'_>, seen: &mut Sightings) {
    for map in view.of_kind("ConfigMap") {
        let data = map.json["data"].as_object().into_iter().flatten();
        for (key, value) in data {
            let text = value.as_str().unwrap_or_default();
            let is_short = !text.trim_end().contains('\n');
            let is_secret = is_secret_name(key) && is_short && is_literal(text.trim());
            if is_secret || has_known_key(text) {
                let path = format!("/data/{}", escaped(key));
                seen.object(map, &path, format!("`{key}` is a secret in the clear"));
            }
        }
    }
}

fn argument(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, pod) in view.pods() {
        for container in &pod.containers {
            for key in ["command", "args"] {
                for (at, word) in list(&container.json[key]).iter().enumerate() {
                    let Some((name, value)) = word.as_str().and_then(|w| w.split_once('=')) else {
                        continue;
                    };
                    if name.starts_with('-') && is_secret_name(name) && is_literal(value) {
                        let below = format!("/{key}/{at}");
                        let message = format!("the argument `{name}` has a secret in the clear");
                        seen.container(object, container, &below, &[], message);
                    }
                }
            }
        }
    }
}

/// Whether a value may be shown in a message.
#[cfg(test)]
fn shows(seen: &Sightings, secret: &str) -> bool {
    seen.0
        .iter()
        .any(|sighting| sighting.message.contains(secret))
}

#[cfg(test)]
mod tests {
    use super::super::super::facts::{ChartFacts, CheckRendering, RenderingUse};
    use serde_json::Value;

    use super::*;
    use crate::config::CheckConfig;
    use jiff::civil::Date;

    #[test]
    fn names_say_what_is_secret() {
        for name in [
            "POSTGRES_PASSWORD",
            "apiKey",
            "db-password",
            "JWT_SECRET",
            "authToken",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "existingSecret",
            "secretName",
            "tokenUrl",
            "PASSWORD_FILE",
            "user",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn a_password_in_use_is_told_from_a_placeholder() {
        assert!(looks_used("fR7#kz9Lq2!x"));
        for text in [
            "changeme",
            "ChangeMe-12345",
            "",
            "short1A!",
            "${forward.api.url}",
            "alllowercase",
        ] {
            assert!(!looks_used(text), "{text}");
        }
        assert!(has_known_key(&format!("AKIA{}", "A1".repeat(8))));
    }

    #[test]
    fn no_message_shows_a_secret() {
        let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - name: a\n    env: [{name: PASSWORD, value: hunter2}]\n";
        let mut facts = ChartFacts::new("a", "a", std::path::Path::new("/c"), vec![]);
        let rendering = CheckRendering::new("d", RenderingUse::Judged, text, Value::Null).unwrap();
        facts.renderings.push(rendering);
        let config = CheckConfig::default();
        let view = ChartView::new(&facts, &config, Date::ZERO);
        let mut seen = Sightings::default();
        environment(&view.renderings[0], &mut seen);
        assert_eq!(seen.0.len(), 1);
        assert!(!shows(&seen, "hunter2"));
    }
}
