//! What an unquoted scalar means: text, boolean, number or nothing (YAML 1.2 core schema), and the
//! inline values of a release as JSON.

use serde_json::{Map, Number, Value};

use super::yaml::{ConfigData, ConfigNode};
use crate::error::{Code, Error};

/// The JSON form of a node. A scalar that has none, or that YAML 1.1 readers take for something
/// else, is a problem and becomes null.
pub(super) fn json(node: &ConfigNode, problems: &mut Vec<Error>) -> Value {
    match &node.data {
        ConfigData::List(items) => items.iter().map(|item| json(item, problems)).collect(),
        ConfigData::Map(entries) => {
            let pairs = entries
                .iter()
                .map(|entry| (entry.key.clone(), json(&entry.value, problems)));
            Value::Object(pairs.collect::<Map<_, _>>())
        }
        ConfigData::Scalar { text, plain: false } => Value::String(text.clone()),
        ConfigData::Scalar { text, plain: true } => plain(text).unwrap_or_else(|why| {
            // It is not shown: values may be secret.
            let hint =
                "put it in quotes for the text, or write the boolean or number that is meant";
            problems.push(
                node.place
                    .error(Code::ConfigSyntax, format!("an unquoted value {why}"))
                    .hint(hint),
            );
            Value::Null
        }),
    }
}

/// The value of an unquoted scalar.
///
/// # Errors
/// Says why it has none, or not the same one everywhere.
pub(super) fn plain(text: &str) -> Result<Value, &'static str> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        _ => {}
    }
    // Helm's own reader takes these for booleans (YAML 1.1); a chart's `if` finds the text "no" true.
    if ["yes", "no", "on", "off"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
    {
        return Err("is a boolean to Helm and a text to YAML 1.2");
    }
    if let Some(integer) = integer(text) {
        return integer;
    }
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
    match text.parse::<f64>() {
        Ok(number) if numeric => Number::from_f64(number)
            .map(Value::Number)
            .ok_or("is too large a number"),
        _ if matches!(
            text.trim_start_matches(['+', '-']),
            ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN"
        ) =>
        {
            Err("is not a number that JSON has")
        }
        _ => Ok(Value::String(text.to_owned())),
    }
}

/// Some if the text looks like an integer: decimal, `0x…` or `0o…`.
fn integer(text: &str) -> Option<Result<Value, &'static str>> {
    let parsed = if let Some(digits) = text.strip_prefix("0x") {
        u64::from_str_radix(digits, 16).ok().map(Value::from)
    } else if let Some(digits) = text.strip_prefix("0o") {
        u64::from_str_radix(digits, 8).ok().map(Value::from)
    } else {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        if digits.len() > 1 && digits.starts_with('0') {
            return Some(Err("is octal in YAML 1.1 and decimal in YAML 1.2"));
        }
        let text = text.strip_prefix('+').unwrap_or(text);
        return Some(
            text.parse::<i64>()
                .map(Value::from)
                .or_else(|_| text.parse::<u64>().map(Value::from))
                .map_err(|_| "is too large a number"),
        );
    };
    parsed.map(Ok)
}

/// Whether a scalar is a boolean or a number, unquoted.
pub(super) fn is_typed(node: &ConfigNode) -> bool {
    matches!(&node.data, ConfigData::Scalar { text, plain: true } if matches!(plain(text), Ok(Value::Bool(_) | Value::Number(_))))
}

/// What stands there, for "must be …, found …".
pub(super) fn describe(node: &ConfigNode) -> String {
    match &node.data {
        ConfigData::List(_) => "a list".to_owned(),
        ConfigData::Map(_) => "a mapping".to_owned(),
        ConfigData::Scalar { text, plain: false } => format!("the text `{text}`"),
        ConfigData::Scalar { text, plain: true } => match plain(text) {
            Ok(Value::Null) => "nothing".to_owned(),
            Ok(Value::Bool(_)) => format!("the boolean `{text}`"),
            Ok(Value::Number(_)) => format!("the number `{text}`"),
            _ => format!("the text `{text}`"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unquoted_scalars_follow_the_core_schema() {
        let read = |text| plain(text).unwrap().to_string();
        assert_eq!(
            ["~", "true", "7", "-7", "+7", "0x1f", "0o17"].map(read),
            ["null", "true", "7", "-7", "7", "31", "15"]
        );
        assert_eq!(
            ["1.10", ".5", "-1e3", "18446744073709551615"].map(read),
            ["1.1", "0.5", "-1000.0", "18446744073709551615"]
        );
        assert_eq!(
            ["y", "1.2.3", "nan", "infinity", "0xzz", "-", "e", "1:20"]
                .map(read)
                .map(|t| t.starts_with('"')),
            [true; 8]
        );
    }

    #[test]
    fn scalars_that_yaml_1_1_reads_differently_are_refused() {
        for text in [
            "yes",
            "No",
            "ON",
            "off",
            "0755",
            ".inf",
            "-.NaN",
            "99999999999999999999",
            "1e999",
        ] {
            assert!(plain(text).is_err(), "{text}");
        }
    }
}
