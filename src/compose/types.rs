//! Values of the right shape that Compose nevertheless cannot read: durations, amounts of memory,
//! commands, hosts. They are checked in inactive services too.

mod rules;

use super::trail::{Trail, TrailMatch};
use super::units;
use super::words::words;
use super::yaml::{YamlData, YamlNode};
use crate::error::Result;
use rules::{RULES, ValueKind};

/// # Errors
/// The first value that Compose cannot read.
pub(super) fn check(root: &YamlNode) -> Result<()> {
    walk(root, &mut Trail::default())?;
    match root
        .entries()
        .iter()
        .filter(|entry| entry.key.starts_with("x-"))
        .find_map(|entry| endless(&entry.value))
    {
        Some(number) => {
            let what = format!(
                "is {}, which `docker compose config --format json` cannot print",
                number.printed()
            );
            Err(number.problem(&Trail::of(&["x-…"]), &what))
        }
        None => Ok(()),
    }
}

/// A number in it that JSON does not have.
fn endless(node: &YamlNode) -> Option<&YamlNode> {
    match &node.data {
        YamlData::Float(number) if !number.is_finite() => Some(node),
        YamlData::List(items) => items.iter().find_map(endless),
        YamlData::Map(entries) => entries.iter().find_map(|entry| endless(&entry.value)),
        _ => None,
    }
}

fn walk(node: &YamlNode, trail: &mut Trail) -> Result<()> {
    match (trail.find(RULES), &node.data) {
        (TrailMatch::Rule(kind), YamlData::Null) if kind != ValueKind::Present => Ok(()),
        (TrailMatch::Rule(kind), _) => match unread(kind, node) {
            Some(wanted) => {
                Err(node.problem(trail, &format!("is `{}`, not {wanted}", node.printed())))
            }
            None => Ok(()),
        },
        (TrailMatch::Above, YamlData::Map(entries)) => {
            let extensions = !trail.names_keys();
            let inside = |key: &str| !(extensions && key.starts_with("x-"));
            entries
                .iter()
                .filter(|entry| inside(&entry.key))
                .try_for_each(|entry| trail.within(&entry.key, |trail| walk(&entry.value, trail)))
        }
        (TrailMatch::Above, YamlData::List(items)) => items
            .iter()
            .try_for_each(|item| trail.within("[]", |trail| walk(item, trail))),
        _ => Ok(()),
    }
}

/// What the value should have been; None: Compose reads it.
fn unread(kind: ValueKind, node: &YamlNode) -> Option<&'static str> {
    let text = node.text();
    let (read, wanted) = match kind {
        ValueKind::Text => (is_text(node), "a text"),
        ValueKind::Flag => (
            matches!(node.data, YamlData::Bool(_)) || text.is_some_and(is_flag),
            "`true` or `false`",
        ),
        ValueKind::Whole => (
            text.is_none_or(|text| text.parse::<i64>().is_ok()),
            "a whole number",
        ),
        ValueKind::Exact => (node.is_whole(), "a whole number"),
        ValueKind::Count => (is_count(node), "a number of 0 or more"),
        ValueKind::Number => (is_printed(node), "a number"),
        ValueKind::Share => (
            (node.is_whole() || !matches!(node.data, YamlData::Int(_))) && is_printed(node),
            "a number",
        ),
        ValueKind::Memory => (
            text.is_none() || units::bytes(node).is_some(),
            "an amount of memory such as `64m`",
        ),
        ValueKind::Duration => (
            text.is_some_and(units::is_duration),
            "a duration such as `1m30s`",
        ),
        ValueKind::Command => (
            text.is_none_or(|text| words(text).is_some()),
            "a command: a quote or bracket is not closed",
        ),
        ValueKind::Hosts => (are_hosts(node), "a list of `HOST=ADDRESS`"),
        ValueKind::Mode => (is_mode(node), "permission bits such as 0440"),
        ValueKind::Devices => (is_devices(node), "`all` or a number"),
        ValueKind::Names => (
            !extends_names(node),
            "a mapping of names that do not begin with `x-`",
        ),
        ValueKind::Texts => (
            !extends_names(node) && are_texts(node),
            "a mapping of names to texts",
        ),
        ValueKind::Present | ValueKind::Path => (text.is_some(), "a text"),
        ValueKind::Pairs => (
            !node.items().iter().any(is_spaced),
            "a list of names without a space behind them",
        ),
    };
    (!read).then_some(wanted)
}

fn is_text(node: &YamlNode) -> bool {
    node.text().is_some() || node.is_whole()
}

fn are_texts(node: &YamlNode) -> bool {
    node.entries()
        .iter()
        .all(|entry| entry.value.is_null() || is_text(&entry.value))
}

fn is_flag(text: &str) -> bool {
    ["true", "false", "y", "yes", "on", "n", "no", "off"].contains(&text.to_lowercase().as_str())
}

/// A number that is still one in single precision.
#[allow(clippy::cast_possible_truncation)]
fn is_printed(node: &YamlNode) -> bool {
    units::number(node).is_some_and(|number| (number as f32).is_finite())
}

fn is_count(node: &YamlNode) -> bool {
    match node.data {
        YamlData::Int(number) => number >= 0,
        YamlData::Float(number) => number.is_nan() || number >= 0.0,
        _ => false,
    }
}

fn is_mode(node: &YamlNode) -> bool {
    match &node.data {
        YamlData::Int(_) => node.is_whole(),
        YamlData::Text(text) => i64::from_str_radix(text, 8).is_ok(),
        _ => false,
    }
}

fn is_devices(node: &YamlNode) -> bool {
    match &node.data {
        YamlData::Int(_) => node.is_whole(),
        YamlData::Text(text) => text.to_lowercase() == "all" || text.parse::<i64>().is_ok(),
        _ => false,
    }
}

/// Compose looks at the name's last byte, which for some letters is that of a space in Latin-1.
fn is_spaced(item: &YamlNode) -> bool {
    let text = item.printed();
    let name = text.split_once('=').map_or(text.as_str(), |(name, _)| name);
    matches!(
        name.as_bytes().last(),
        Some(b' ' | b'\t'..=b'\r' | 0x85 | 0xA0)
    )
}

fn extends_names(node: &YamlNode) -> bool {
    node.entries()
        .iter()
        .any(|entry| entry.key.starts_with("x-"))
}

fn are_hosts(node: &YamlNode) -> bool {
    let is_host = |host: &str| !host.is_empty() && !host.contains([':', '=']);
    let keys = node.entries().iter().all(|entry| {
        is_host(&entry.key)
            && matches!(
                entry.value.data,
                YamlData::Null | YamlData::Text(_) | YamlData::List(_)
            )
    });
    keys && !extends_names(node)
        && node.items().iter().all(|item| {
            let text = item.printed();
            let host = text
                .split_once('=')
                .or_else(|| text.split_once(':'))
                .map(|(host, _)| host);
            host.is_some_and(is_host)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_close_their_quotes_and_brackets() {
        for good in [
            "",
            "sh -c 'a b'",
            r#"echo "it's""#,
            "a; b (",
            "echo $(date)",
            r"a\ b",
            "echo `date`",
            "a > 'x",
        ] {
            assert!(words(good).is_some(), "{good}");
        }
        for bad in [
            "echo 'a",
            "echo \"a",
            "a (b)",
            "a)",
            r"a\",
            "echo `date",
            "echo $(date",
        ] {
            assert!(words(bad).is_none(), "{bad}");
        }
    }
}
