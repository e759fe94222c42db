//! Dates: an unquoted text of one of these forms is no text to Compose's YAML library.

/// Whether the text is `2026-1-2`, `2026-1-2 15:4:5.9` or `2026-1-2T15:4:5.9+01:00` (`t` and `Z` too), each
/// number in its range.
pub(super) fn is_instant(text: &str) -> bool {
    parse(text).is_some()
}

fn parse(text: &str) -> Option<()> {
    let (year, rest) = text.split_at_checked(4)?;
    let year: u32 = year
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| year.parse().ok())??;
    let (month, rest) = number(rest.strip_prefix('-')?, 1..=12)?;
    let (_, rest) = number(rest.strip_prefix('-')?, 1..=days(year, month))?;
    let Some(rest) = rest.strip_prefix(['T', 't', ' ']) else {
        return rest.is_empty().then_some(());
    };
    let needs_zone = !text.contains(' ');
    let (_, rest) = number(rest, 0..=23)?;
    let (_, rest) = number(rest.strip_prefix(':')?, 0..=59)?;
    let (_, rest) = number(rest.strip_prefix(':')?, 0..=59)?;
    let rest = without_fraction(rest);
    let ends = if needs_zone {
        rest == "Z" || is_offset(rest)
    } else {
        rest.is_empty()
    };
    ends.then_some(())
}

/// One or two digits, and what follows them.
fn number(text: &str, range: std::ops::RangeInclusive<u32>) -> Option<(u32, &str)> {
    let digits = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(digits)?;
    let number = number.parse().ok()?;
    range.contains(&number).then_some((number, rest))
}

fn without_fraction(text: &str) -> &str {
    match text.strip_prefix(['.', ',']) {
        Some(rest) if rest.starts_with(|char: char| char.is_ascii_digit()) => {
            rest.trim_start_matches(|char: char| char.is_ascii_digit())
        }
        _ => text,
    }
}

/// `+01:00`
fn is_offset(text: &str) -> bool {
    let Some((hours, minutes)) = text
        .strip_prefix(['+', '-'])
        .and_then(|rest| rest.split_once(':'))
    else {
        return false;
    };
    let within = |part: &str, most| {
        part.len() == 2 && number(part, 0..=most).is_some_and(|(_, rest)| rest.is_empty())
    };
    within(hours, 24) && within(minutes, 60)
}

fn days(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
