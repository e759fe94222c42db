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
