//! The short syntax of `volumes`: `[SOURCE:]TARGET[:OPTIONS]`.

use super::yaml::{YamlData, YamlNode};
use crate::go_path::clean;
use crate::place::Place;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ShortVolume {
    pub(super) source: Option<String>,
    pub(super) target: String,
    pub(super) options: String,
}

/// Reads a short form.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(text: &str) -> Result<ShortVolume, String> {
    if text.is_empty() {
        return Err("has an empty volume".to_owned());
    }
    let whole = |text: &str| ShortVolume {
        source: None,
        target: text.to_owned(),
        options: String::new(),
    };
    // Too short for a colon with something on both sides.
    if text.len() <= 2 {
        return Ok(whole(text));
    }
    let parts = split(text);
    if parts.iter().any(String::is_empty) {
        return Err(format!("has an empty part between the colons of `{text}`"));
    }
    match parts.as_slice() {
        [target] => Ok(whole(target)),
        [source, target] => Ok(ShortVolume {
            source: Some(source.clone()),
            target: target.clone(),
            options: String::new(),
        }),
        [source, target, options] => Ok(ShortVolume {
            source: Some(source.clone()),
            target: target.clone(),
            options: options.clone(),
        }),
        _ => Err(format!("has too many colons in `{text}`")),
    }
}

/// Splits at colons, but not after a drive letter and not within `${…}`.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0_u32;
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        let part = parts.last_mut().map_or(String::new(), std::mem::take);
        match char {
            '$' if chars.peek() == Some(&'{') => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ':' if depth == 0 && !is_drive(&part) => {
                put(&mut parts, part);
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        put(&mut parts, part + char.encode_utf8(&mut [0; 4]));
    }
    parts
}

fn put(parts: &mut [String], part: String) {
    if let Some(last) = parts.last_mut() {
        *last = part;
    }
}

fn is_drive(part: &str) -> bool {
    let mut chars = part.chars();
    chars.next().is_some_and(char::is_alphabetic) && chars.next().is_none()
}

/// The long form of a short one, as Compose makes it.
pub(super) fn canonical(short: &ShortVolume, place: &Place) -> YamlNode {
    let text = |text: &str| YamlData::Text(text.to_owned());
    let bind = short.source.as_deref().is_some_and(is_path);
    let mut node = YamlNode::map(
        place,
        [("type", text(if bind { "bind" } else { "volume" }))],
    );
    if let Some(source) = &short.source {
        node.default("source", text(source));
    }
    node.default("target", text(&clean(&short.target)));
    let options: Vec<_> = short.options.split(',').collect();
    if options
        .iter()
        .rev()
        .find(|option| ["ro", "rw"].contains(option))
        == Some(&"ro")
    {
        node.default("read_only", YamlData::Bool(true));
    }
    let details = details(&options, bind, place);
    node.default(if bind { "bind" } else { "volume" }, details.data);
    node
}

fn details(options: &[&str], bind: bool, place: &Place) -> YamlNode {
    let mut node = YamlNode::map(place, []);
    if bind {
        node.default("create_host_path", YamlData::Bool(true));
        let propagation = [
            "rprivate", "private", "rshared", "shared", "rslave", "slave",
        ];
        if let Some(chosen) = options
            .iter()
            .rev()
            .find(|option| propagation.contains(option))
        {
            node.default("propagation", YamlData::Text((*chosen).to_owned()));
        }
        if let Some(chosen) = options
            .iter()
            .rev()
            .find(|option| ["z", "Z"].contains(option))
        {
            node.default("selinux", YamlData::Text((*chosen).to_owned()));
        }
    } else if options.contains(&"nocopy") {
        node.default("nocopy", YamlData::Bool(true));
    }
    node
}

fn is_path(source: &str) -> bool {
    let drive = source.chars().next().is_some_and(char::is_alphabetic)
        && source.chars().nth(1) == Some(':');
    source.starts_with(['.', '/', '~']) || source.starts_with("\\\\") || drive
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let short = parse(text).unwrap();
        format!("{:?} {} {:?}", short.source, short.target, short.options)
    }

    #[test]
    fn reads_every_part() {
        assert_eq!(shown("/data"), r#"None /data """#);
        assert_eq!(shown("db:/data"), r#"Some("db") /data """#);
        assert_eq!(shown("./x:/data:ro,z"), r#"Some("./x") /data "ro,z""#);
        assert_eq!(shown(r"C:\x:/data"), r#"Some("C:\\x") /data """#);
    }

    #[test]
    fn refuses_empty_parts_and_a_fourth() {
        for text in ["", ":/data", "db:", "db::ro", "aa:/b:ro:x"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
