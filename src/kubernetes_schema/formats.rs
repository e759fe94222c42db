//! How values are written: quantities, times, base64, integers, members of an enumeration.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

use super::SchemaProblem;
use super::walk::Complaint;
use crate::error::suggest;
use crate::quantity::is_quantity;

/// As Go's `base64.StdEncoding` decodes.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);
/// Longer values are cut where they are shown.
const SHOWN: usize = 60;
/// So many texts of an enumeration are listed.
const LISTED: usize = 12;

/// A value that names something, in backticks.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}

/// Also a float without a fraction: YAML's `1.0` reaches the API server as 1.
pub(super) fn is_integer(value: &Value, bits: u32) -> bool {
    let whole =
        |number: f64| (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64);
    let number = value
        .as_i64()
        .or_else(|| value.as_f64().filter(|_| value.is_f64()).and_then(whole));
    number.is_some_and(|number| bits >= 64 || i32::try_from(number).is_ok())
}

pub(super) fn member(text: &str, known: &[String]) -> Option<Complaint> {
    if known.iter().any(|known| known == text) {
        return None;
    }
    let complaint = Complaint::new(
        SchemaProblem::NotInEnumeration,
        format!("{} is not allowed", shown(text)),
    );
    let names = || {
        known
            .iter()
            .map(String::as_str)
            .filter(|name| !name.is_empty())
    };
    let same = names().find(|known| known.eq_ignore_ascii_case(text));
    Some(match same.or_else(|| suggest(text, names())) {
        Some(near) => complaint.expected(format!("did you mean `{near}`?")),
        None => {
            let listed: Vec<_> = names()
                .take(LISTED)
                .map(|name| format!("`{name}`"))
                .collect();
            let more = if names().count() > LISTED {
                ", …"
            } else {
                ""
            };
            complaint.expected(format!("one of {}{more}", listed.join(", ")))
        }
    })
}

pub(super) fn quantity(text: &str) -> Option<Complaint> {
    let complaint = || {
        Complaint::format(
            format!("{} is no quantity", shown(text)),
            "a quantity such as `500m` or `1Gi`",
        )
    };
    (!is_quantity(text)).then(complaint)
}

/// RFC 3339, with a `T` and a zone, as Go's `time.RFC3339` has it.
pub(super) fn time(text: &str) -> Option<Complaint> {
    let pattern = b"0000-00-00T00:00:00";
    let bytes = text.as_bytes();
    let fits = |(byte, wanted): (&u8, &u8)| match wanted {
        b'0' => byte.is_ascii_digit(),
        _ => byte == wanted,
    };
    let has_shape = bytes.len() > pattern.len() && bytes.iter().zip(pattern).all(fits);
    let no_leap_second = bytes.get(17..19) != Some(b"60");
    let is_time = has_shape && no_leap_second && text.parse::<jiff::Timestamp>().is_ok();
    let complaint = || {
        Complaint::format(
            format!("{} is no time", shown(text)),
            "a time such as `2026-01-31T12:00:00Z`",
        )
    };
    (!is_time).then(complaint)
}

/// What is wrong is not shown: the value may be secret.
pub(super) fn base64(text: &str) -> Option<Complaint> {
    let joined = text.replace(['\r', '\n'], "");
    let is_base64 = BASE64.decode(joined).is_ok();
    (!is_base64).then(|| {
        Complaint::format(
            "the value is no base64",
            "bytes in base64 (`stringData` takes plain text)",
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quantities_are_those_that_kubernetes_parses() {
        for text in [
            "0", "500m", "1.5", ".5", "1.", "1.Gi", "-3Mi", "+2", "1e3", "1E-3", "12E", "1Ei",
            "1e+2", "9n", "8u",
        ] {
            assert!(is_quantity(text), "{text}");
        }
        for text in [
            "", "lots", "1 Gi", "1gi", "1GB", "1K", "1ki", "1e", "1m5", "1.5.1", "1Mi ", " 1",
            "--1", "0x1", "1e1.5",
        ] {
            assert!(!is_quantity(text), "{text}");
        }
    }

    #[test]
    fn times_have_a_date_a_time_and_a_zone() {
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31T12:00:00.123456Z",
            "2026-01-31T12:00:00+01:00",
        ] {
            assert!(time(text).is_none(), "{text}");
        }
        for text in [
            "",
            "2026-01-31",
            "2026-01-31 12:00:00Z",
            "2026-01-31T12:00:00",
            "2026-02-31T12:00:00Z",
            "2026-01-31T12:00:60Z",
        ] {
            assert!(time(text).is_some(), "{text}");
        }
    }

    #[test]
    fn integers_fit_their_size_and_have_no_fraction() {
        assert!(
            is_integer(&json!(1.0), 32)
                && is_integer(&json!(i32::MAX), 32)
                && is_integer(&json!(i64::MAX), 64)
        );
        for value in [
            json!(1.5),
            json!(1i64 << 31),
            json!("1"),
            json!(true),
            json!(1e30),
        ] {
            assert!(!is_integer(&value, 32), "{value}");
        }
        assert!(!is_integer(&json!(u64::MAX), 64));
    }

    #[test]
    fn a_wrong_member_gets_the_nearest_one_or_all() {
        let known = ["", "Always", "Never"].map(str::to_owned);
        let said = |text| member(text, &known).and_then(|complaint| complaint.expected);
        assert_eq!(said("Always"), None);
        assert_eq!(said("Alwyas").unwrap(), "did you mean `Always`?");
        assert_eq!(said("never").unwrap(), "did you mean `Never`?");
        assert_eq!(said("Sometimes").unwrap(), "one of `Always`, `Never`");
    }
}
