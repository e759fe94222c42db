//! Names: those that Kubernetes takes, and those that stand in values.yaml.

use crate::config::label;

/// Keys of values.yaml that are no component's.
pub(super) const RESERVED_KEYS: [&str; 11] = [
    "nameOverride",
    "fullnameOverride",
    "commonLabels",
    "imagePullSecrets",
    "serviceAccount",
    "networkPolicy",
    "secrets",
    "existingSecret",
    "volumes",
    "waitResources",
    "global",
];

/// The longest name of a Service (RFC 1035).
const MAX_SERVICE_BYTES: usize = 63;

/// A text as the name of a Service: a DNS label that begins with a letter.
pub(super) fn service_name(text: &str) -> String {
    let name = label(text).unwrap_or_else(|| "service".to_owned());
    match name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        true => name,
        false => {
            let mut name = format!("s-{name}");
            name.truncate(MAX_SERVICE_BYTES);
            name
        }
    }
}

/// Whether programs that look a name up find the Service that stands for it. DNS does not tell capitals apart.
pub(super) fn is_found_by_dns(text: &str) -> bool {
    text.to_ascii_lowercase() == service_name(text)
}

/// A text as a key of values.yaml that templates can name: `apiGateway` of `api-gateway`.
pub(super) fn values_key(text: &str) -> String {
    let mut key = String::new();
    for word in text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
    {
        let shouts = !word.chars().any(|c| c.is_ascii_lowercase());
        let word = if shouts {
            word.to_ascii_lowercase()
        } else {
            word.to_owned()
        };
        let mut chars = word.chars();
        let first = chars.next().unwrap_or_default();
        match key.is_empty() {
            true => key.push(first.to_ascii_lowercase()),
            false => key.push(first.to_ascii_uppercase()),
        }
        key.push_str(chars.as_str());
    }
    // Words that readers of YAML take for something else than a text.
    let is_word = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"]
        .contains(&key.to_ascii_lowercase().as_str());
    match key.starts_with(|c: char| c.is_ascii_alphabetic()) && !is_word {
        true => key,
        false => format!("x{key}"),
    }
}

/// A name that none of the others has: with a number behind it, if need be.
pub(super) fn unlike(name: String, taken: impl Fn(&str) -> bool, joint: &str) -> String {
    if !taken(&name) {
        return name;
    }
    let mut numbers = 2_u32..;
    numbers
        .find_map(|number| {
            let numbered = format!("{name}{joint}{number}");
            (!taken(&numbered)).then_some(numbered)
        })
        .unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_dns_does_not_take_becomes_one_that_it_does() {
        for (text, name, found) in [
            ("db", "db", true),
            ("DB", "db", true),
            ("my_db", "my-db", false),
            ("my.db", "my-db", false),
            ("7zip", "s-7zip", false),
            ("_", "service", false),
        ] {
            assert_eq!(
                (service_name(text).as_str(), is_found_by_dns(text)),
                (name, found),
                "{text}"
            );
        }
    }

    #[test]
    fn a_key_of_values_can_be_named_by_a_template() {
        for (text, key) in [
            ("api-gateway", "apiGateway"),
            ("POSTGRES_PASSWORD", "postgresPassword"),
            ("myDb", "myDb"),
            ("7zip", "x7zip"),
            ("db_1", "db1"),
            ("y", "xy"),
        ] {
            assert_eq!(values_key(text), key);
        }
    }

    #[test]
    fn of_two_equal_names_the_second_gets_a_number() {
        assert_eq!(
            unlike("db".into(), |name| name == "db" || name == "db-2", "-"),
            "db-3"
        );
    }
}
