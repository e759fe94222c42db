//! Rewrites short forms as long ones, so that all later code reads one form only.

use super::merge::dependency;
use super::pairs::{agent, no_value, pairs};
use super::trail::{Trail, TrailMatch, TrailRules};
use super::yaml::{YamlData, YamlEntry, YamlNode};
use super::{ports, volume};
use crate::error::{Code, Result};
use crate::place::Place;

/// What a short form stands for.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// A mapping that has short forms inside; other values stay.
    Inside,
    Build,
    DependsOn,
    Device,
    EnvFile,
    External,
    /// A text is the service in the same file.
    Extends,
    Gpus,
    /// A text is the `source`.
    Mount,
    /// A list's items are the keys.
    Names,
    /// `KEY=VALUE` pairs.
    Pairs,
    Ports,
    Printed,
    Ssh,
    /// A text is a list of one.
    Texts,
    Ulimit,
    Volume,
}

const RULES: &TrailRules<Form> = &[
    (&["services", "*"], Form::Inside),
    (&["services", "*", "build"], Form::Build),
    (
        &["services", "*", "build", "additional_contexts"],
        Form::Pairs,
    ),
    (&["services", "*", "build", "provenance"], Form::Printed),
    (&["services", "*", "build", "sbom"], Form::Printed),
    (&["services", "*", "build", "secrets", "*"], Form::Mount),
    (&["services", "*", "build", "ssh"], Form::Ssh),
    (&["services", "*", "build", "ulimits", "*"], Form::Ulimit),
    (&["services", "*", "configs", "*"], Form::Mount),
    (&["services", "*", "depends_on"], Form::DependsOn),
    (
        &["services", "*", "develop", "watch", "*", "ignore"],
        Form::Texts,
    ),
    (
        &["services", "*", "develop", "watch", "*", "include"],
        Form::Texts,
    ),
    (&["services", "*", "devices", "*"], Form::Device),
    (&["services", "*", "dns"], Form::Texts),
    (&["services", "*", "env_file"], Form::EnvFile),
    (&["services", "*", "extends"], Form::Extends),
    (&["services", "*", "gpus"], Form::Gpus),
    (&["services", "*", "label_file"], Form::Texts),
    (&["services", "*", "models"], Form::Names),
    (&["services", "*", "networks"], Form::Names),
    (&["services", "*", "ports"], Form::Ports),
    (&["services", "*", "secrets", "*"], Form::Mount),
    (&["services", "*", "ulimits", "*"], Form::Ulimit),
    (&["services", "*", "volumes", "*"], Form::Volume),
    (&["configs", "*"], Form::External),
    (&["networks", "*"], Form::External),
    (&["secrets", "*"], Form::External),
    (&["volumes", "*"], Form::External),
];

/// More ports than this in one project, ranges expanded, are refused: no host has them to give.
const MAX_PORTS: usize = 70_000;

/// Brings what was read so far into the long form. What is in it already stays.
///
/// # Errors
/// The first short form that cannot be read.
pub(super) fn form(root: &mut YamlNode) -> Result<()> {
    Walk::default().value(root)
}

#[derive(Debug, Default)]
struct Walk {
    trail: Trail,
    /// The ports so far.
    ports: usize,
}

impl Walk {
    fn value(&mut self, node: &mut YamlNode) -> Result<()> {
        match self.trail.find(RULES) {
            TrailMatch::Rule(form) => self.apply(form, node),
            TrailMatch::Above => self.inside(node),
            TrailMatch::Nothing => Ok(()),
        }
    }

    /// The short forms within a mapping or a list.
    fn inside(&mut self, node: &mut YamlNode) -> Result<()> {
        match &mut node.data {
            YamlData::Map(entries) => entries
                .iter_mut()
                .try_for_each(|entry| self.below(&entry.key, &mut entry.value)),
            YamlData::List(items) => items.iter_mut().try_for_each(|item| self.below("[]", item)),
            _ => Ok(()),
        }
    }

    fn below(&mut self, key: &str, node: &mut YamlNode) -> Result<()> {
        self.trail.push(key);
        let result = self.value(node);
        self.trail.pop();
        result
    }

    fn apply(&mut self, form: Form, node: &mut YamlNode) -> Result<()> {
        let trail = &self.trail;
        match form {
            Form::Inside | Form::Build if node.is_map() => return self.inside(node),
            Form::Inside => {}
            Form::Build => keyed(node, "context", trail)?,
            Form::DependsOn => depends_on(node, trail)?,
            Form::Device => device(node, trail)?,
            Form::EnvFile => env_file(node, trail)?,
            Form::External => external(node, trail)?,
            Form::Extends => keyed(node, "service", trail)?,
            Form::Gpus => gpus(node, trail)?,
            Form::Mount => keyed(node, "source", trail)?,
            Form::Names => names(node, trail)?,
            Form::Pairs => pairs(node, trail, no_value)?,
            Form::Ports => self.published(node)?,
            Form::Printed => node.data = YamlData::Text(node.printed()),
            Form::Ssh => pairs(node, trail, agent)?,
            Form::Texts => texts(node),
            Form::Ulimit if node.is_map() || node.is_whole() => {}
            Form::Ulimit => return Err(node.mistyped(trail, "a number or a mapping")),
            Form::Volume => volume(node, trail)?,
        }
        Ok(())
    }

    fn published(&mut self, node: &mut YamlNode) -> Result<()> {
        let YamlData::List(items) = &mut node.data else {
            return Err(node.mistyped(&self.trail, "a list"));
        };
        let mut ports = Vec::new();
        for item in std::mem::take(items) {
            let short = match &item.data {
                YamlData::Map(_) => None,
                YamlData::Int(_) | YamlData::Text(_) => Some(short(&item, &self.trail)?),
                _ => return Err(item.mistyped(&self.trail, "a list of ports")),
            };
            let more = short.as_ref().map_or(1, ExactSizeIterator::len);
            if self.ports + ports.len() + more > MAX_PORTS {
                return Err(node.problem(
                    &self.trail,
                    &format!("brings the project more than {MAX_PORTS} ports"),
                ));
            }
            match short {
                Some(short) => ports.extend(short),
                None => ports.push(item),
            }
        }
        self.ports += ports.len();
        *items = ports;
        Ok(())
    }
}

/// A text is one key of the mapping.
fn keyed(node: &mut YamlNode, key: &'static str, trail: &Trail) -> Result<()> {
    match &mut node.data {
        YamlData::Map(_) => Ok(()),
        YamlData::Text(text) => {
            *node = YamlNode::map(
                &node.place.clone(),
                [(key, YamlData::Text(std::mem::take(text)))],
            );
            Ok(())
        }
        _ => Err(node.mistyped(trail, "a text or a mapping")),
    }
}

fn depends_on(node: &mut YamlNode, trail: &Trail) -> Result<()> {
    match &mut node.data {
        YamlData::Map(entries) => {
            for entry in entries {
                if !entry.value.is_map() {
                    return Err(entry.value.mistyped(trail, "a mapping for each service"));
                }
                entry
                    .value
                    .default("condition", YamlData::Text("service_started".to_owned()));
                entry.value.default("required", YamlData::Bool(true));
            }
            Ok(())
        }
        YamlData::List(items) => {
            node.data = YamlData::Map(keys(items, trail, dependency)?);
            Ok(())
        }
        _ => Err(node.mistyped(trail, "a list or a mapping")),
    }
}

fn names(node: &mut YamlNode, trail: &Trail) -> Result<()> {
    if let YamlData::List(items) = &node.data {
        node.data = YamlData::Map(keys(items, trail, |item| {
            YamlNode::new(&item.place, YamlData::Null)
        })?);
    }
    Ok(())
}

fn keys(
    items: &[YamlNode],
    trail: &Trail,
    value: impl Fn(&YamlNode) -> YamlNode,
) -> Result<Vec<YamlEntry>> {
    let mut seen = std::collections::HashSet::new();
    let mut entries = Vec::new();
    for item in items {
        let key = item.expect_text(trail)?;
        if seen.insert(key) {
            entries.push(YamlEntry::new(key, value(item)));
        }
    }
    Ok(entries)
}

fn device(node: &mut YamlNode, trail: &Trail) -> Result<()> {
    let text = match &node.data {
        YamlData::Map(_) => return Ok(()),
        YamlData::Text(text) => text,
        _ => return Err(node.mistyped(trail, "a text or a mapping")),
    };
    let parts: Vec<_> = text.split(':').collect();
    let (source, target, permissions) = match parts.as_slice() {
        [source] => (*source, "", "rwm"),
        [source, target] => (*source, *target, "rwm"),
        [source, target, permissions] => (*source, *target, *permissions),
        _ => {
            return Err(node.problem(
                trail,
                &format!("has too many colons in `{text}`; use the long form"),
            ));
        }
    };
    let target = if target.is_empty() { source } else { target };
    let fields = [
        ("source", source),
        ("target", target),
        ("permissions", permissions),
    ];
    *node = YamlNode::map(
        &node.place,
        fields.map(|(key, text)| (key, YamlData::Text(text.to_owned()))),
    );
    Ok(())
}

fn env_file(node: &mut YamlNode, trail: &Trail) -> Result<()> {
    texts(node);
    let YamlData::List(items) = &mut node.data else {
        return Err(node.mistyped(trail, "a text or a list"));
    };
    for item in items {
        keyed(item, "path", trail)?;
        item.default("required", YamlData::Bool(true));
    }
    Ok(())
}

fn texts(node: &mut YamlNode) {
    if matches!(node.data, YamlData::Text(_)) {
        node.data = YamlData::List(vec![node.clone()]);
    }
}

/// `external: {name: x}` is an old form of `external: true` and `name: x`.
fn external(node: &mut YamlNode, trail: &Trail) -> Result<()> {
    if node.is_null() {
        return Ok(());
    }
    if !node.is_map() {
        return Err(node.mistyped(trail, "a mapping"));
    }
    let Some(old) = node
        .get("external")
        .filter(|external| external.is_map())
        .cloned()
    else {
        return Ok(());
    };
    node.set("external", YamlNode::new(&old.place, YamlData::Bool(true)));
    match (old.get("name"), node.get("name")) {
        (Some(old), Some(name)) if !old.same(name) => {
            Err(old.problem(trail, "has two names: use `name` alone"))
        }
        (Some(old), None) => {
            node.set("name", old.clone());
            Ok(())
        }
        _ => Ok(()),
    }
}

fn gpus(node: &mut YamlNode, trail: &Trail) -> Result<()> {
    match &node.data {
        YamlData::List(_) => Ok(()),
        YamlData::Text(_) => {
            let all = YamlNode::map(&node.place, [("count", YamlData::Text("all".to_owned()))]);
            node.data = YamlData::List(vec![all]);
            Ok(())
        }
        _ => Err(node.mistyped(trail, "`all` or a list")),
    }
}

/// Made one by one: a range of all ports is counted before it fills the memory.
fn short(
    item: &YamlNode,
    trail: &Trail,
) -> Result<impl ExactSizeIterator<Item = YamlNode> + use<>> {
    let text = item.printed();
    let parsed = ports::parse(&text).map_err(|what| {
        item.place
            .error(
                Code::ComposePort,
                format!("`{text}` in `{trail}` is no port: {what}"),
            )
            .hint("the form is `[[IP:]HOST:]CONTAINER[/PROTOCOL]`, such as \"127.0.0.1:8080:80\"")
    })?;
    let place = item.place.clone();
    Ok(parsed.into_iter().map(move |short| long(short, &place)))
}

/// Compose drops what is empty, a target of 0 too.
fn long(short: ports::ShortPort, place: &Place) -> YamlNode {
    let text = |text: String| YamlData::Text(text);
    let mut node = YamlNode::map(
        place,
        [
            ("mode", text("ingress".to_owned())),
            ("protocol", text(short.protocol)),
        ],
    );
    if short.target > 0 {
        node.default("target", YamlData::Int(short.target.into()));
    }
    if let Some(published) = short.published {
        node.default("published", text(published));
    }
    if let Some(ip) = short.host_ip {
        node.default("host_ip", text(ip));
    }
    node
}

fn volume(node: &mut YamlNode, trail: &Trail) -> Result<()> {
    match &node.data {
        YamlData::Map(_) => Ok(()),
        YamlData::Text(text) => {
            let short = volume::parse(text).map_err(|what| node.problem(trail, &what))?;
            *node = volume::canonical(&short, &node.place);
            Ok(())
        }
        _ => Err(node.mistyped(trail, "a text or a mapping")),
    }
}
