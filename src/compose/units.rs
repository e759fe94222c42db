//! Numbers as Compose reads them from texts: amounts of memory, processor shares.

use super::yaml::{Data, Node};

/// An amount of memory in bytes: a number, or one with a unit such as `1.5g`. None if it is neither.
pub(super) fn bytes(node: &Node) -> Option<f64> {
    match &node.data {
        Data::Text(text) => ram(text),
        _ => number(node),
    }
}

/// A number, also as text. None if it is none.
#[allow(clippy::cast_precision_loss)]
pub(super) fn number(node: &Node) -> Option<f64> {
    match &node.data {
        Data::Int(number) => Some(*number as f64),
        Data::Float(number) => Some(*number),
        Data::Text(text) => text.parse().ok(),
        _ => None,
    }
}

/// As Docker reads sizes of memory: `b`, `k`, `kb`, `kib` and so on to `p`, in either case, powers of 1024.
fn ram(text: &str) -> Option<f64> {
    let end = text.rfind(|char: char| char.is_ascii_digit() || char == '.' || char == ' ')? + 1;
    let (amount, unit) = text.split_at(end);
    let amount: f64 = amount.strip_suffix(' ').unwrap_or(amount).parse().ok().filter(|amount: &f64| *amount >= 0.0)?;
    let unit = unit.to_lowercase();
    let mut letters = unit.chars();
    let power = match letters.next() {
        None | Some('b') => 0,
        Some(letter) => 1 + "kmgtp".find(letter)?,
    };
    let rest = letters.as_str();
    let known = if power == 0 { rest.is_empty() } else { ["", "b", "ib"].contains(&rest) };
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
        let unit = rest.find(|char: char| !char.is_ascii_digit() && char != '.').unwrap_or(rest.len());
        let (amount, after) = rest.split_at(unit);
        let next = after.find(|char: char| char.is_ascii_digit() || char == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(next);
        if !is_amount(amount) || !["ns", "us", "µs", "μs", "ms", "s", "m", "h", "d", "w"].contains(&unit) {
            return false;
        }
        rest = after;
    }
    true
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
    fn reads_durations() {
        for good in ["0", "5s", "1m30s", "1.5h", "-1d", "+2w", ".5s", "1µs"] {
            assert!(is_duration(good), "{good}");
        }
        for bad in ["", "-", "5", "s", "1x", "1..5s", "5 s", "1m 30s"] {
            assert!(!is_duration(bad), "{bad}");
        }
    }
}
