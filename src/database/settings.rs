//! Configuration files as flat variables: `database: {host: db, name: app}` is `DATABASE_HOST` and
//! `DATABASE_NAME`, so that one set of rules reads them all.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_saphyr::options::DuplicateKeyPolicy;

/// The settings of a YAML, JSON, TOML, INI, properties or env file, by their path in upper case. Lists
/// are left out. Empty if it is none of these.
pub fn settings(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    // The parser's own budget stays: what stands in a ConfigMap may be anybody's.
    let options = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::LastWins, with_snippet: false };
    match serde_saphyr::from_str_with_options::<Value>(text, options) {
        Ok(value @ Value::Object(_)) => flatten("", &value, &mut found),
        _ => found.extend(lines(text)),
    }
    found
}

fn flatten(path: &str, value: &Value, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(key, value)| flatten(&join(path, key), value, found)),
        Value::String(text) => drop(found.insert(path.to_owned(), text.clone())),
        Value::Number(number) => drop(found.insert(path.to_owned(), number.to_string())),
        Value::Array(_) | Value::Bool(_) | Value::Null => {}
    }
}

fn lines(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut section = String::new();
    for line in text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with(['#', ';', '!']))
    {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = join("", name.trim_matches(['[', ']']));
        } else if let Some((key, value)) = line.split_once('=') {
            let key = key.trim().trim_start_matches("export ").trim();
            if !key.is_empty()
                && key
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
            {
                found.insert(
                    join(&section, key),
                    value.trim().trim_matches(['"', '\'']).to_owned(),
                );
            }
        }
    }
    found
}

fn join(path: &str, key: &str) -> String {
    let word = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    let key: String = key.chars().map(word).collect();
    if path.is_empty() {
        key
    } else {
        format!("{path}_{key}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        settings(text)
            .into_iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect()
    }

    #[test]
    fn every_format_comes_out_flat() {
        let expected = ["DATABASE_HOST=db", "DATABASE_PORT=5432"];
        assert_eq!(read("database:\n  host: db\n  port: 5432\n"), expected);
        assert_eq!(
            read(r#"{"database": {"host": "db", "port": 5432, "x": [1], "y": null}}"#),
            expected
        );
        assert_eq!(
            read("[database]\nhost = \"db\" \n; no = no\nport=5432\n"),
            expected
        );
        assert_eq!(
            read("database.host=db\n# x\ndatabase.port = 5432\n"),
            expected
        );
        assert_eq!(
            read("export DATABASE_HOST='db'\nDATABASE_PORT=5432\n"),
            expected
        );
    }

    #[test]
    fn other_text_has_no_settings() {
        for text in ["", "just words", "- a\n- b\n", "if [ x = y ]; then", "= 3"] {
            assert_eq!(read(text), [""; 0], "{text}");
        }
    }
}
