//! YAML as helm reads it, into JSON values: duplicate keys are not an error (the last one wins).

use serde_json::Value;
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};

/// A document, or a message and the 1-based line where the parser stopped.
type Parsed = Result<Value, (String, Option<u32>)>;

/// One document.
pub(crate) fn parse(text: &str) -> Parsed {
    let options = serde_saphyr::options! {
        // These are the user's own charts, and a rendered dashboard may well be megabytes.
        budget: None,
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options::<Value>(text, options).map_err(|e| {
        let line = e.location().and_then(|l| u32::try_from(l.line()).ok());
        (e.to_string(), line)
    })
}

/// What helm makes of a value where Chart.yaml wants a text: `name: n` is the chart `false`, `name: 1.10` is `1.1`.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(bool) => Some(bool.to_string()),
        Value::Number(number) => {
            let text = number.to_string();
            Some(
                text.strip_suffix(".0")
                    .map_or_else(|| text.clone(), str::to_owned),
            )
        }
        _ => None,
    }
}

/// What helm reads as texts in Chart.yaml and Chart.lock, and in each of their dependencies.
const CHART: [&str; 6] = [
    "apiVersion",
    "name",
    "version",
    "appVersion",
    "kubeVersion",
    "type",
];
const DEPENDENCY: [&str; 5] = ["name", "version", "repository", "condition", "alias"];

/// Chart.yaml or Chart.lock with the texts that helm makes of its values; null if the text is no YAML.
pub(crate) fn chart(text: &str) -> Value {
    let mut chart = parse(text).unwrap_or_default();
    texts(&mut chart, &CHART);
    let dependencies = chart.get_mut("dependencies").and_then(Value::as_array_mut);
    for dependency in dependencies.into_iter().flatten() {
        texts(dependency, &DEPENDENCY);
    }
    chart
}

fn texts(map: &mut Value, keys: &[&str]) {
    for key in keys {
        if let Some(value) = map.get_mut(key)
            && let Some(text) = text(value)
        {
            *value = text.into();
        }
    }
}

/// The documents of a text that are YAML; the others, such as templates of a template, are left out.
pub(crate) fn documents(text: &str) -> Vec<Value> {
    parsed(text).into_iter().filter_map(Result::ok).collect()
}

/// All documents of a text, each by itself.
pub(crate) fn parsed(text: &str) -> Vec<Parsed> {
    let text = text.replace("\r\n", "\n");
    let parts = text.split("\n---");
    parts
        .map(|part| parse(part.trim_start_matches("---")))
        .collect()
}

/// Copies `above` over `below`: maps are merged key by key, everything else is replaced.
pub(super) fn merge(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                merge(below.entry(key).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_of_two_equal_keys_wins_as_in_helm() {
        assert_eq!(parse("a: 1\na: 2\n").unwrap(), json!({"a": 2}));
    }

    #[test]
    fn a_chart_is_called_what_helm_calls_it() {
        for (written, name) in [
            ("n", "false"),
            ("y", "true"),
            ("Yes", "true"),
            ("off", "false"),
            ("'n'", "n"),
            ("1.0", "1"),
            ("1.10", "1.1"),
            ("12", "12"),
            ("no-op", "no-op"),
        ] {
            let meta = parse(&format!("name: {written}\n")).unwrap();
            assert_eq!(text(&meta["name"]).as_deref(), Some(name), "{written}");
        }
        assert_eq!(text(&parse("name: ~\n").unwrap()["name"]), None);
    }

    #[test]
    fn a_chart_and_its_dependencies_have_texts_where_helm_reads_texts() {
        let read = chart(
            "name: 123\nversion: 1.0\nkubeVersion: 1.25\nappVersion: on\nkeywords: [1]\n\
             dependencies:\n- {name: 7, version: 2, alias: n, import-values: [1]}\n- 5\n",
        );
        let expected = json!({"name": "123", "version": "1", "kubeVersion": "1.25", "appVersion": "true", "keywords": [1],
            "dependencies": [{"name": "7", "version": "2", "alias": "false", "import-values": [1]}, 5]});
        assert_eq!(read, expected);
        assert_eq!(chart("name: ~\n"), json!({"name": null}));
        assert_eq!([chart("a: [\n"), chart("- 1\n")], [Value::Null, json!([1])]);
    }

    #[test]
    fn an_empty_document_is_null() {
        assert_eq!(parse("# only a comment\n").unwrap(), Value::Null);
    }

    /// As the descriptions of many a CustomResourceDefinition are broken.
    #[test]
    fn a_quoted_text_may_go_on_below_the_start_of_its_key() {
        let text = "a:\n  b: 'one\n  two'\n  c: 1\n";
        assert_eq!(parse(text).unwrap(), json!({"a": {"b": "one two", "c": 1}}));
    }

    #[test]
    fn a_broken_document_names_its_line() {
        assert_eq!(parse("a: 1\nb: [\n").unwrap_err().1, Some(2));
    }

    #[test]
    fn maps_merge_and_lists_are_replaced() {
        let mut below = json!({"a": {"b": 1, "c": [1, 2]}});
        merge(&mut below, json!({"a": {"c": [3]}, "d": null}));
        assert_eq!(below, json!({"a": {"b": 1, "c": [3]}, "d": null}));
    }
}
