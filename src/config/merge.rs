//! A user's file over the profile it starts from.

use super::schema::{Key, Need, Shape};
use super::yaml::{ConfigData, ConfigEntry, ConfigNode};

/// Writes scalars that are short for a mapping as that mapping (`api: 5000` as `api: {port: 5000}`), so
/// that there is one form to merge, check and read.
pub(super) fn expand(node: &mut ConfigNode, shape: &Shape) {
    let scalar = matches!(node.data, ConfigData::Scalar { .. }) && !node.is_null();
    if let Shape::Short(main, _) = shape
        && scalar
    {
        let place = node.place.clone();
        let value = node.clone();
        node.data = ConfigData::Map(vec![ConfigEntry {
            key: (*main).to_owned(),
            place,
            value,
        }]);
    }
    match (&mut node.data, shape) {
        (ConfigData::Map(entries), Shape::Object(keys) | Shape::Short(_, keys)) => {
            expand_keys(entries, keys)
        }
        (ConfigData::Map(entries), Shape::Table(_, shape)) => {
            entries
                .iter_mut()
                .for_each(|entry| expand(&mut entry.value, shape));
        }
        (ConfigData::List(items), Shape::List(shape)) => {
            items.iter_mut().for_each(|item| expand(item, shape))
        }
        (ConfigData::List(items), Shape::Named(keys)) => {
            items
                .iter_mut()
                .for_each(|item| expand(item, &Shape::Object(keys)));
        }
        _ => {}
    }
}

fn expand_keys(entries: &mut [ConfigEntry], keys: &[Key]) {
    for entry in entries {
        if let Some(shape) = shape_of(keys, &entry.key) {
            expand(&mut entry.value, shape);
        }
    }
}

/// `over` on top of `base`: mappings merge by key, releases by name, anything else is replaced. A key
/// with nothing behind it takes the profile's away, as in Helm values (where, within `set`, it must
/// reach Helm). Each value keeps the file and line it was written at.
pub(super) fn merge(base: ConfigNode, over: ConfigNode, shape: &Shape) -> ConfigNode {
    let data = match (base.data, over.data, shape) {
        (ConfigData::Map(base), ConfigData::Map(over), _) => {
            ConfigData::Map(merge_maps(base, over, shape))
        }
        (ConfigData::List(base), ConfigData::List(over), Shape::Named(keys)) => {
            ConfigData::List(merge_named(base, over, keys))
        }
        (_, over, _) => over,
    };
    ConfigNode {
        place: over.place,
        data,
    }
}

fn merge_maps(
    mut base: Vec<ConfigEntry>,
    over: Vec<ConfigEntry>,
    shape: &Shape,
) -> Vec<ConfigEntry> {
    for entry in over {
        if !entry.value.is_null() {
            let replaced = replaced_by(shape, &entry.key);
            base.retain(|other| other.key == entry.key || !replaced.contains(&other.key.as_str()));
        }
        let index = base.iter().position(|other| other.key == entry.key);
        let inner = inner_shape(shape, &entry.key);
        match index {
            Some(index) if entry.value.is_null() && !matches!(inner, Shape::Values) => {
                drop(base.remove(index))
            }
            Some(index) => {
                let old = base.remove(index);
                base.insert(
                    index,
                    ConfigEntry {
                        value: merge(old.value, entry.value, inner),
                        ..entry
                    },
                );
            }
            None => base.push(entry),
        }
    }
    base
}

fn merge_named(
    base: Vec<ConfigNode>,
    mut over: Vec<ConfigNode>,
    keys: &'static [Key],
) -> Vec<ConfigNode> {
    let name = |node: &ConfigNode| {
        node.get("name")
            .and_then(ConfigNode::text)
            .map(str::to_owned)
    };
    let mut merged = Vec::new();
    for old in base {
        let index = over
            .iter()
            .position(|new| name(new).is_some() && name(new) == name(&old));
        merged.push(match index {
            Some(index) => merge(old, over.remove(index), &Shape::Object(keys)),
            None => old,
        });
    }
    merged.extend(over);
    merged
}

/// The keys of which the object can have only one, this key among them; none if the key excludes no other.
fn replaced_by(shape: &Shape, key: &str) -> &'static [&'static str] {
    let (Shape::Object(keys) | Shape::Short(_, keys)) = shape else {
        return &[];
    };
    let found = keys.iter().find(|candidate| candidate.name == key);
    match found.map(|key| key.need) {
        Some(Need::OneOf(group, _)) => group,
        _ => &[],
    }
}

/// The shape behind a key; below `set` and below keys that devk does not know, anything.
fn inner_shape<'a>(shape: &'a Shape, key: &str) -> &'a Shape {
    match shape {
        Shape::Object(keys) | Shape::Short(_, keys) => {
            shape_of(keys, key).unwrap_or(&Shape::Values)
        }
        Shape::Table(_, shape) => shape,
        _ => &Shape::Values,
    }
}

fn shape_of<'a>(keys: &'a [Key], key: &str) -> Option<&'a Shape> {
    keys.iter()
        .find(|candidate| candidate.name == key)
        .map(|key| &key.shape)
}
