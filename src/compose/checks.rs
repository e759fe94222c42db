//! Values that a part of a Compose file has by default, and what is checked before parts meet.

use super::ports::is_address;
use super::trail::{Trail, TrailMatch, TrailRules};
use super::yaml::{YamlData, YamlNode};
use crate::error::{Code, Result};

#[derive(Debug, Clone, Copy)]
enum Part {
    Build,
    /// A config or secret, and the keys of which it has one.
    Content(&'static [&'static str]),
    Gpu,
    Port,
    Secret,
    Volume,
    Watched,
}

const RULES: &TrailRules<Part> = &[
    (&["services", "*", "build"], Part::Build),
    (
        &[
            "services",
            "*",
            "deploy",
            "resources",
            "reservations",
            "devices",
            "*",
        ],
        Part::Gpu,
    ),
    (
        &["services", "*", "develop", "watch", "*", "path"],
        Part::Watched,
    ),
    (&["services", "*", "gpus", "*"], Part::Gpu),
    (&["services", "*", "ports", "*"], Part::Port),
    (&["services", "*", "secrets", "*"], Part::Secret),
    (
        &["configs", "*"],
        Part::Content(&["file", "environment", "content"]),
    ),
    (&["secrets", "*"], Part::Content(&["file", "environment"])),
    (&["volumes", "*"], Part::Volume),
];

/// Fills in defaults and checks the parts of a file that stand for themselves.
///
/// # Errors
/// The first part that Compose refuses.
pub(super) fn parts(root: &mut YamlNode) -> Result<()> {
    walk(root, &mut Trail::default())
}

fn walk(node: &mut YamlNode, trail: &mut Trail) -> Result<()> {
    match (trail.find(RULES), &mut node.data) {
        (TrailMatch::Rule(part), _) => check(part, node, trail),
        (TrailMatch::Above, YamlData::Map(entries)) => entries
            .iter_mut()
            .try_for_each(|entry| trail.within(&entry.key, |trail| walk(&mut entry.value, trail))),
        (TrailMatch::Above, YamlData::List(items)) => items
            .iter_mut()
            .try_for_each(|item| trail.within("[]", |trail| walk(item, trail))),
        _ => Ok(()),
    }
}

fn check(part: Part, node: &mut YamlNode, trail: &Trail) -> Result<()> {
    match part {
        Part::Build => node.default("context", YamlData::Text(".".to_owned())),
        Part::Content(keys) => return content(node, keys, trail),
        Part::Gpu => return gpu(node, trail),
        Part::Port => return port(node, trail),
        Part::Secret => {
            let name = node
                .get("source")
                .map(YamlNode::printed)
                .unwrap_or_default();
            node.default("target", YamlData::Text(format!("/run/secrets/{name}")));
        }
        Part::Volume => return volume(node, trail),
        Part::Watched if node.text() == Some("") => return Err(node.problem(trail, "is empty")),
        Part::Watched => {}
    }
    Ok(())
}

fn port(node: &mut YamlNode, trail: &Trail) -> Result<()> {
    node.default("protocol", YamlData::Text("tcp".to_owned()));
    node.default("mode", YamlData::Text("ingress".to_owned()));
    let Some(ip) = node.get("host_ip") else {
        return Ok(());
    };
    let text = ip.expect_text(trail)?;
    if is_address(text) {
        return Ok(());
    }
    let error = ip.place.error(
        Code::ComposePort,
        format!("`{text}` in `{trail}.host_ip` is no IP address"),
    );
    Err(error.hint("write an address without brackets, such as 127.0.0.1 or ::1"))
}

fn gpu(node: &mut YamlNode, trail: &Trail) -> Result<()> {
    if !node.is_map() {
        return Err(node.mistyped(trail, "a mapping"));
    }
    match (
        node.get("count").is_some(),
        node.get("device_ids").is_some(),
    ) {
        (true, true) => Err(node.problem(trail, "has both `count` and `device_ids`")),
        (false, false) => {
            node.default("count", YamlData::Text("all".to_owned()));
            Ok(())
        }
        _ => Ok(()),
    }
}

fn content(node: &YamlNode, keys: &[&str], trail: &Trail) -> Result<()> {
    let has = |key: &&&str| node.get(key).is_some();
    match keys.iter().filter(has).count() {
        0 if !["driver", "external"]
            .iter()
            .any(|key| node.get(key).is_some()) =>
        {
            Err(node.problem(trail, &format!("must have one of `{}`", keys.join("`, `"))))
        }
        0 | 1 => Ok(()),
        _ => Err(node.problem(
            trail,
            &format!("may have only one of `{}`", keys.join("`, `")),
        )),
    }
}

/// What is external is configured elsewhere.
fn volume(node: &YamlNode, trail: &Trail) -> Result<()> {
    if node.get("external").map(|external| &external.data) != Some(&YamlData::Bool(true)) {
        return Ok(());
    }
    let other = |key: &str| !["name", "external"].contains(&key) && !key.starts_with("x-");
    match node.entries().iter().find(|entry| other(&entry.key)) {
        Some(entry) => {
            let message = format!("`{trail}` is external and has `{}` too", entry.key);
            Err(entry.place.error(Code::ComposeConflict, message))
        }
        None => Ok(()),
    }
}
