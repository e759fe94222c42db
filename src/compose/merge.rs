//! One Compose file over another, and a service over the one it extends.

use std::collections::HashMap;

use super::trail::{Trail, TrailMatch, TrailRules};
use super::yaml::{YamlData, YamlEntry, YamlNode};
use crate::error::{Code, Error, Result};

/// How two values of one key become one, where it is not "mappings key by key, lists one after the
/// other, anything else replaced".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Both become lists of `KEY=VALUE`, one after the other.
    Sequence,
    /// The later one counts, even if it is null.
    Replace,
    /// A text is the `context`.
    Build,
    /// A list's items become keys of a mapping, with the values that a dependency has by default.
    DependsOn,
    /// A list's items become keys of a mapping.
    Names,
    /// As [`Rule::Sequence`], each item once.
    Hosts,
    /// Options of different drivers are not mixed.
    Logging,
    /// Address pools are the same by their subnet.
    Pools,
}

const RULES: &TrailRules<Rule> = &[
    (&["networks", "*", "ipam", "config"], Rule::Pools),
    (&["networks", "*", "labels"], Rule::Sequence),
    (&["volumes", "*", "labels"], Rule::Sequence),
    (&["services", "*", "annotations"], Rule::Sequence),
    (&["services", "*", "build"], Rule::Build),
    (&["services", "*", "build", "args"], Rule::Sequence),
    (
        &["services", "*", "build", "additional_contexts"],
        Rule::Sequence,
    ),
    (&["services", "*", "build", "extra_hosts"], Rule::Hosts),
    (&["services", "*", "build", "labels"], Rule::Sequence),
    (&["services", "*", "command"], Rule::Replace),
    (&["services", "*", "depends_on"], Rule::DependsOn),
    (&["services", "*", "deploy", "labels"], Rule::Sequence),
    (&["services", "*", "dns"], Rule::Sequence),
    (&["services", "*", "dns_opt"], Rule::Sequence),
    (&["services", "*", "dns_search"], Rule::Sequence),
    (&["services", "*", "entrypoint"], Rule::Replace),
    (&["services", "*", "env_file"], Rule::Sequence),
    (&["services", "*", "label_file"], Rule::Sequence),
    (&["services", "*", "environment"], Rule::Sequence),
    (&["services", "*", "extra_hosts"], Rule::Hosts),
    (&["services", "*", "healthcheck", "test"], Rule::Replace),
    (&["services", "*", "labels"], Rule::Sequence),
    (&["services", "*", "logging"], Rule::Logging),
    (&["services", "*", "models"], Rule::Names),
    (&["services", "*", "networks"], Rule::Names),
    (&["services", "*", "sysctls"], Rule::Sequence),
    (&["services", "*", "tmpfs"], Rule::Sequence),
    (&["services", "*", "ulimits", "*"], Rule::Replace),
];

/// Lays a file over what was read before it.
///
/// # Errors
/// Values of two types that do not go together.
pub(super) fn files(base: &mut YamlNode, over: YamlNode) -> Result<()> {
    values(base, over, &mut Trail::default())
}

/// Lays a service over the one it extends.
///
/// # Errors
/// As [`files`].
pub(super) fn service(base: &mut YamlNode, name: &str, over: YamlNode) -> Result<()> {
    values(base, over, &mut Trail::of(&["services", name]))
}

fn values(base: &mut YamlNode, over: YamlNode, trail: &mut Trail) -> Result<()> {
    if let TrailMatch::Rule(rule) = trail.find(RULES) {
        return apply(rule, base, over, trail);
    }
    match (&mut base.data, over.data) {
        (_, YamlData::Null) => {}
        (YamlData::Map(entries), YamlData::Map(others)) => mappings(entries, others, trail)?,
        (YamlData::List(items), YamlData::List(others)) => items.extend(others),
        (YamlData::Map(_) | YamlData::List(_), other) => {
            return Err(contradiction(
                base,
                &YamlNode {
                    place: over.place,
                    data: other,
                },
                trail,
            ));
        }
        (_, data) => {
            *base = YamlNode {
                place: over.place,
                data,
            }
        }
    }
    Ok(())
}

fn contradiction(base: &YamlNode, over: &YamlNode, trail: &Trail) -> Error {
    let message = format!(
        "`{trail}` is {} here, which cannot be laid over {}",
        over.kind(),
        base.kind()
    );
    over.place
        .error(Code::ComposeMerge, message)
        .evidence(format!(
            "{}:{}: the earlier value",
            base.place.file.display(),
            base.place.line
        ))
        .hint(format!(
            "write `{trail}` the same way in both places, or put `!override` before the later value"
        ))
}

fn mappings(entries: &mut Vec<YamlEntry>, others: Vec<YamlEntry>, trail: &mut Trail) -> Result<()> {
    let index: HashMap<String, usize> = entries
        .iter()
        .enumerate()
        .map(|(index, entry)| (entry.key.clone(), index))
        .collect();
    for other in others {
        match index.get(&other.key) {
            Some(&index) => {
                trail.within(&other.key, |trail| {
                    values(&mut entries[index].value, other.value, trail)
                })?;
            }
            None => entries.push(other),
        }
    }
    Ok(())
}

fn apply(rule: Rule, base: &mut YamlNode, over: YamlNode, trail: &mut Trail) -> Result<()> {
    match rule {
        Rule::Replace => *base = over,
        Rule::Sequence => {
            let mut items = sequence(std::mem::replace(
                base,
                YamlNode::new(&over.place, YamlData::Null),
            ));
            items.extend(sequence(over));
            base.data = YamlData::List(items);
        }
        Rule::Hosts => {
            let mut items = sequence(std::mem::replace(
                base,
                YamlNode::new(&over.place, YamlData::Null),
            ));
            let new: Vec<_> = sequence(over)
                .into_iter()
                .filter(|host| !items.iter().any(|item| item.same(host)))
                .collect();
            items.extend(new);
            base.data = YamlData::List(items);
        }
        Rule::Pools => pools(base, over, trail)?,
        Rule::Logging => logging(base, over, trail)?,
        Rule::Build | Rule::DependsOn | Rule::Names => {
            let mut over = over;
            mapping(&mut over, rule, trail)?;
            // Nothing can be added to what is no mapping; only a service that is extended can have it here.
            if !mapping(base, rule, trail)? && !over.entries().is_empty() {
                return Err(contradiction(base, &over, trail));
            }
            values_of_mappings(base, over, trail)?;
        }
    }
    Ok(())
}

/// `KEY=VALUE` of a mapping, sorted; a list as it is; a text as the only item.
fn sequence(node: YamlNode) -> Vec<YamlNode> {
    let text = |value: &YamlNode, text: String| YamlNode::new(&value.place, YamlData::Text(text));
    let pair = |key: &str, value: &YamlNode| text(value, format!("{key}={}", value.printed()));
    match node.data {
        YamlData::Map(entries) => {
            let mut items: Vec<_> = entries
                .iter()
                .flat_map(|entry| match &entry.value.data {
                    YamlData::List(values) => {
                        values.iter().map(|value| pair(&entry.key, value)).collect()
                    }
                    YamlData::Null => vec![text(&entry.value, entry.key.clone())],
                    _ => vec![pair(&entry.key, &entry.value)],
                })
                .collect();
            items.sort_by(|a, b| a.text().cmp(&b.text()));
            items
        }
        YamlData::List(items) => items,
        YamlData::Text(_) => vec![node],
        _ => Vec::new(),
    }
}

/// Makes a mapping of the short form that `rule` allows, and an empty one of anything else, which thereby adds
/// nothing; whether it was one of the two.
fn mapping(node: &mut YamlNode, rule: Rule, trail: &Trail) -> Result<bool> {
    let entries = match (&mut node.data, rule) {
        (YamlData::Map(_), _) => return Ok(true),
        (YamlData::Text(context), Rule::Build) => {
            let context = YamlData::Text(std::mem::take(context));
            vec![YamlEntry::new(
                "context",
                YamlNode::new(&node.place, context),
            )]
        }
        (YamlData::List(items), Rule::DependsOn | Rule::Names | Rule::Pools) => {
            named(items, rule, trail)?
        }
        _ => {
            node.data = YamlData::Map(Vec::new());
            return Ok(false);
        }
    };
    node.data = YamlData::Map(entries);
    Ok(true)
}

fn named(items: &[YamlNode], rule: Rule, trail: &Trail) -> Result<Vec<YamlEntry>> {
    let mut entries: Vec<YamlEntry> = Vec::new();
    for item in items {
        let key = item.expect_text(trail)?;
        let value = if rule == Rule::DependsOn {
            dependency(item)
        } else {
            YamlNode::new(&item.place, YamlData::Null)
        };
        if !entries.iter().any(|entry| entry.key == key) {
            entries.push(YamlEntry::new(key, value));
        }
    }
    Ok(entries)
}

/// What an item of a `depends_on` list stands for.
pub(super) fn dependency(item: &YamlNode) -> YamlNode {
    let condition = YamlData::Text("service_started".to_owned());
    YamlNode::map(
        &item.place,
        [("condition", condition), ("required", YamlData::Bool(true))],
    )
}

fn values_of_mappings(base: &mut YamlNode, over: YamlNode, trail: &mut Trail) -> Result<()> {
    match (&mut base.data, over.data) {
        (YamlData::Map(entries), YamlData::Map(others)) => mappings(entries, others, trail),
        _ => Err(base.mistyped(trail, "a mapping")),
    }
}

fn logging(base: &mut YamlNode, over: YamlNode, trail: &mut Trail) -> Result<()> {
    if !over.is_map() {
        return Err(over.mistyped(trail, "a mapping"));
    }
    let differ = match (base.get("driver"), over.get("driver")) {
        (Some(one), Some(other)) => !one.same(other),
        _ => false,
    };
    if differ && base.is_map() {
        *base = over;
        return Ok(());
    }
    values_of_mappings(base, over, trail)
}

fn pools(base: &mut YamlNode, mut over: YamlNode, trail: &mut Trail) -> Result<()> {
    let (YamlData::List(pools), YamlData::List(others)) = (&base.data, &mut over.data) else {
        let wrong = if matches!(base.data, YamlData::List(_)) {
            &over
        } else {
            &*base
        };
        return Err(wrong.mistyped(trail, "a list"));
    };
    others
        .iter_mut()
        .try_for_each(|other| mapping(other, Rule::Pools, trail).map(drop))?;
    let mut merged: Vec<YamlNode> = Vec::new();
    for pool in pools {
        let mut pool = pool.clone();
        for other in others.iter() {
            if !same_subnet(&pool, other) && !merged.iter().any(|known| same_subnet(known, other)) {
                merged.push(other.clone());
                continue;
            }
            values_of_mappings(&mut pool, other.clone(), trail)?;
            match merged.iter().position(|known| same_subnet(known, &pool)) {
                Some(index) => merged[index] = pool.clone(),
                None => merged.push(pool.clone()),
            }
        }
    }
    base.data = YamlData::List(merged);
    Ok(())
}

fn same_subnet(one: &YamlNode, other: &YamlNode) -> bool {
    one.get("subnet").map(|subnet| &subnet.data) == other.get("subnet").map(|subnet| &subnet.data)
}
