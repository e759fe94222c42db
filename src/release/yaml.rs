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
