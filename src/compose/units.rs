//! Numbers as Compose reads them from texts: amounts of memory, processor shares.

use super::yaml::{YamlData, YamlNode};

/// An amount of memory in bytes: a whole number, or a text such as `1.5g`. None for other texts, and for fractions,
/// which Compose leaves out.
pub(crate) fn bytes(node: &YamlNode) -> Option<f64> {
    match &node.data {
        YamlData::Text(text) => ram(text),
        YamlData::Int(number) if i64::try_from(*number).is_ok() => Some(*number as f64),
        _ => None,
    }
}

/// A number, also as text. None if it is none.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn number(node: &YamlNode) -> Option<f64> {
    match &node.data {
        YamlData::Int(number) => Some(*number as f64),
        YamlData::Float(number) => Some(*number),
        YamlData::Text(text) => float(text),
        _ => None,
    }
}

/// A number as Go reads it: `1.5`, `1_000`, `0x1p-2`, `inf`. None for anything else, and for what is too large.
pub(super) fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned.starts_with(|char: char| char.is_ascii_alphabetic()) {
        let known = text.eq_ignore_ascii_case("nan")
            || ["inf", "infinity"]
                .iter()
                .any(|word| unsigned.eq_ignore_ascii_case(word));
        return known.then(|| text.parse().ok())?;
    }
    let digits = without_underscores(text)?;
    let number: f64 = match unsigned.get(..2) {
        Some("0x" | "0X") => hexadecimal(&digits)?,
        _ => digits.parse().ok()?,
    };
    number.is_finite().then_some(number)
}

/// Underscores stand between digits, or behind `0x`.
fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let hex = text.contains(['x', 'X']);
    let is_digit = |byte: &u8| {
        byte.is_ascii_digit() || hex && (byte.is_ascii_hexdigit() || b"xX".contains(byte))
    };
    let between = |at: usize| {
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        before.is_some_and(is_digit) && bytes.get(at + 1).is_some_and(is_digit)
    };
    let good = (0..bytes.len()).all(|at| bytes[at] != b'_' || between(at));
    good.then(|| text.replace('_', ""))
}

/// `0x1.8p3`: the exponent must be there.
fn hexadecimal(text: &str) -> Option<f64> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = text.get(2..)?.split_once(['p', 'P'])?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let value = digits.chars().try_fold(0.0, |value, digit| {
        Some(value * 16.0 + f64::from(digit.to_digit(16)?))
    })?;
    let exponent = exponent
        .parse::<i32>()
        .ok()?
        .checked_sub(4 * i32::try_from(fraction.len()).ok()?)?;
    (!digits.is_empty()).then(|| sign * value * 2_f64.powi(exponent))
}

/// As Docker reads sizes of memory: `b`, `k`, `kb`, `kib` and so on to `p`, in either case, powers of 1024.
fn ram(text: &str) -> Option<f64> {
    let end = text.rfind(|char: char| char.is_ascii_digit() || char == '.' || char == ' ')? + 1;
    let (amount, unit) = text.split_at(end);
    let amount = float(amount.strip_suffix(' ').unwrap_or(amount))
        .filter(|amount| amount.is_nan() || *amount >= 0.0)?;
    let unit = unit.to_lowercase();
    let mut letters = unit.chars();
    let power = match letters.next() {
        None | Some('b') => 0,
        Some(letter) => 1 + "kmgtp".find(letter)?,
    };
    let rest = letters.as_str();
    let known = if power == 0 {
        rest.is_empty()
    } else {
        ["", "b", "ib"].contains(&rest)
    };
    known.then(|| (amount * 1024_f64.powi(i32::try_from(power).unwrap_or(0))).trunc())
}

/// Whether a text is a duration such as `1m30s` or `1.5h`, with days and weeks too.
pub(super) fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let unit = rest
            .find(|char: char| !char.is_ascii_digit() && char != '.')
            .unwrap_or(rest.len());
        let (amount, after) = rest.split_at(unit);
        let next = after
            .find(|char: char| char.is_ascii_digit() || char == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(next);
        if !is_amount(amount)
            || !["ns", "us", "µs", "μs", "ms", "s", "m", "h", "d", "w"].contains(&unit)
        {
            return false;
        }
        rest = after;
    }
    true
}

/// A duration in seconds; None for a text that is none. A sign is read, and means nothing to those who ask.
pub(crate) fn seconds(text: &str) -> Option<f64> {
    if !is_duration(text) {
        return None;
    }
    let mut rest = text.trim_start_matches(['-', '+']);
    let mut total = 0.0;
    while !rest.is_empty() && rest != "0" {
        let end = rest.find(|char: char| !char.is_ascii_digit() && char != '.')?;
        let (amount, after) = rest.split_at(end);
        let next = after
            .find(|char: char| char.is_ascii_digit() || char == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(next);
        let factor = match unit {
            "ns" => 1e-9,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            _ => 1e-6,
        };
        total += amount.parse::<f64>().ok()? * factor;
        rest = after;
    }
    Some(total)
}

/// Digits with at most one point, and at least one digit.
fn is_amount(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    digits > 0 && text.len() - digits <= 1 && digits < 19
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_memory_with_and_without_units() {
        assert_eq!(ram("512"), Some(512.0));
        assert_eq!(ram("64k"), Some(65_536.0));
        assert_eq!(ram("1.5 GiB"), Some(1_610_612_736.0));
        assert_eq!(ram("3b"), Some(3.0));
        for bad in ["", "m", "-1m", "1 m b", "1x", "1kk", "1bb"] {
            assert_eq!(ram(bad), None, "{bad}");
        }
    }

    #[test]
    fn reads_numbers_as_go_does() {
        for (text, number) in [
            ("1.5", 1.5),
            ("1_000", 1000.0),
            ("0x1.8p3", 12.0),
            ("-0X_1P-2", -0.25),
            (".5e1", 5.0),
        ] {
            assert_eq!(float(text), Some(number), "{text}");
        }
        assert_eq!(float("-Inf"), Some(f64::NEG_INFINITY));
        assert!(float("nan").unwrap().is_nan());
        for bad in [
            "", "x", "1_", "_1", "1__0", "0x10", "0xp1", "+nan", "1e400", "e5", "1 ",
        ] {
            assert_eq!(float(bad), None, "{bad}");
        }
    }

    #[test]
    fn reads_durations() {
        for good in ["0", "5s", "1m30s", "1.5h", "-1d", "+2w", ".5s", "1µs"] {
            assert!(is_duration(good), "{good}");
        }
        for bad in ["", "-", "5", "s", "1x", "1..5s", "5 s", "1m 30s"] {
            assert!(!is_duration(bad), "{bad}");
            assert_eq!(seconds(bad), None, "{bad}");
        }
        assert_eq!(seconds("1m30.5s"), Some(90.5));
        assert_eq!(seconds("0"), Some(0.0));
        assert_eq!(seconds("500ms"), Some(0.5));
    }
}
