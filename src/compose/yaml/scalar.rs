//! What an unquoted scalar means, or one with a tag: text, number, boolean, date or nothing.
//!
//! YAML 1.2's rules with remains of 1.1's: `0120` is octal and `1_000` a number, `yes` and `22:22` are texts.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::YamlData;
use super::instant::is_instant;

/// The value of a scalar.
///
/// # Errors
/// If the tag asks for a type that the text is not of; says which.
pub(super) fn value(tag: Option<&str>, text: &str, plain: bool) -> Result<YamlData, String> {
    let data = match tag {
        None if plain => resolve(text, true),
        None | Some("!!str") => return Ok(YamlData::Text(text.to_owned())),
        Some("!!binary") => return binary(text),
        Some("!!bool" | "!!int" | "!!float" | "!!null" | "!!timestamp") => {
            resolve(text, tag == Some("!!timestamp"))
        }
        // Compose's own tags, and those that nobody knows.
        Some(_) => return Ok(YamlData::Text(text.to_owned())),
    };
    let Some(tag) = tag else { return Ok(data) };
    match (tag, data) {
        ("!!bool", data @ YamlData::Bool(_))
        | ("!!int", data @ YamlData::Int(_))
        | ("!!float", data @ YamlData::Float(_))
        | ("!!null", data @ YamlData::Null)
        | ("!!timestamp", data @ YamlData::Time(_)) => Ok(data),
        #[expect(clippy::cast_precision_loss, reason = "a float was asked for")]
        ("!!float", YamlData::Int(int)) => Ok(YamlData::Float(int as f64)),
        _ => Err(format!(
            "`{text}` is not of the type that its tag `{tag}` says"
        )),
    }
}

fn binary(text: &str) -> Result<YamlData, String> {
    let lines: String = text
        .chars()
        .filter(|char| !matches!(char, '\r' | '\n'))
        .collect();
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical);
    match GeneralPurpose::new(&alphabet::STANDARD, config).decode(lines) {
        Ok(bytes) => Ok(YamlData::Text(String::from_utf8_lossy(&bytes).into_owned())),
        Err(_) => Err("a value tagged `!!binary` is not base64".to_owned()),
    }
}

fn resolve(text: &str, dates: bool) -> YamlData {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return YamlData::Null,
        "true" | "True" | "TRUE" => return YamlData::Bool(true),
        "false" | "False" | "FALSE" => return YamlData::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return YamlData::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return YamlData::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return YamlData::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let number = match text.as_bytes()[0] {
        b'.' => float(text),
        b'0'..=b'9' | b'+' | b'-' if dates && is_instant(text) => {
            Some(YamlData::Time(text.to_owned()))
        }
        b'0'..=b'9' | b'+' | b'-' => {
            let digits = text.replace('_', "");
            integer(&digits)
                .map(YamlData::Int)
                .or_else(|| float(&digits))
        }
        _ => None,
    };
    number.unwrap_or_else(|| YamlData::Text(text.to_owned()))
}

/// An integer as Go writes them, of 64 bits: `12`, `0x1F`, `0o17`, `017`, `0b11`.
pub(in crate::compose) fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = i128::from(u64::from_str_radix(digits, radix).ok()?);
    let value = if negative { -magnitude } else { magnitude };
    // An unsigned number has no sign, not even `+`.
    let most = if text.starts_with('+') {
        i128::from(i64::MAX)
    } else {
        i128::from(u64::MAX)
    };
    (i128::from(i64::MIN)..=most)
        .contains(&value)
        .then_some(value)
}

/// Digits with at most a point and an exponent.
fn float(text: &str) -> Option<YamlData> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let decimal = unsigned
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    let begins = unsigned.starts_with(|char: char| char.is_ascii_digit() || char == '.');
    let number: f64 = text.parse().ok().filter(|_| decimal && begins)?;
    number.is_finite().then_some(YamlData::Float(number))
}
