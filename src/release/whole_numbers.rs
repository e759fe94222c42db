//! Whole numbers of `set:` that a values file would not bring to the templates.
//!
//! helm reads a values file as JSON, and every number of it as a float64: from seven digits on a template sees
//! `1.048576e+07` for 10485760, and beyond 2^53 the last digits are lost. An argument `--set` keeps an integer of 64
//! bits (helm's `strvals`; a larger one becomes a text with the same digits). Numbers with fewer digits look the same
//! either way and stay in the file, where the chart sees the type that it sees of its own values.yaml.

use serde_json::{Number, Value};

/// From this number on Go writes a float64 with an exponent.
const FIRST_WITH_EXPONENT: u64 = 1_000_000;

/// `path=number` for each such number of these values, to be given to helm by `--set`.
pub(super) fn arguments(values: &Value) -> Vec<String> {
    let mut found = vec![];
    collect(values, "", &mut found);
    found
}

fn collect(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let separator = if path.is_empty() { "" } else { "." };
                let path = format!("{path}{separator}{}", escaped(key));
                collect(value, &path, found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                collect(value, &format!("{path}[{index}]"), found);
            }
        }
        Value::Number(number) if needs_argument(number) => found.push(format!("{path}={number}")),
        _ => {}
    }
}

fn needs_argument(number: &Number) -> bool {
    let magnitude = number
        .as_i64()
        .map(i64::unsigned_abs)
        .or_else(|| number.as_u64());
    magnitude.is_some_and(|magnitude| magnitude >= FIRST_WITH_EXPONENT)
}

/// A key as a part of a path of `--set`.
fn escaped(key: &str) -> String {
    let mut text = String::new();
    for c in key.chars() {
        if r"\.,=[]{}".contains(c) {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_that_a_float_would_change_are_given_as_arguments() {
        let values = json!({
            "api": {"maxBytes": 10_485_760, "replicas": 3, "ratio": 10_485_760.5},
            "id": 9_007_199_254_740_993_u64,
            "low": i64::MIN,
            "beyond": u64::MAX,
            "text": "10485760",
        });
        assert_eq!(
            arguments(&values),
            [
                "api.maxBytes=10485760",
                "id=9007199254740993",
                "low=-9223372036854775808",
                "beyond=18446744073709551615"
            ]
        );
    }

    #[test]
    fn seven_digits_are_the_first_with_an_exponent() {
        assert_eq!(arguments(&json!({"a": 999_999, "b": -999_999})), [""; 0]);
        assert_eq!(
            arguments(&json!({"a": 1_000_000, "b": -1_000_000})),
            ["a=1000000", "b=-1000000"]
        );
    }

    #[test]
    fn keys_and_lists_are_written_as_helm_reads_them() {
        let values = json!({"a.b/c": [1, {"x=y": 10_000_000}, [20_000_000]]});
        assert_eq!(
            arguments(&values),
            [r"a\.b/c[1].x\=y=10000000", r"a\.b/c[2][0]=20000000"]
        );
    }
}
