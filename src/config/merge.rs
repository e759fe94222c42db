//! A user's file over the profile it starts from.

use super::schema::{Key, Shape};
use super::yaml::{Data, Entry, Node};

/// Writes scalars that are short for a mapping as that mapping (`api: 5000` as `api: {port: 5000}`), so
/// that there is one form to merge, check and read.
pub(super) fn expand(node: &mut Node, shape: &Shape) {
    let scalar = matches!(node.data, Data::Scalar { .. }) && !node.is_null();
    if let Shape::Short(main, _) = shape
        && scalar
    {
        let place = node.place.clone();
        let value = node.clone();
        node.data = Data::Map(vec![Entry {
            key: (*main).to_owned(),
            place,
            value,
        }]);
    }
    match (&mut node.data, shape) {
        (Data::Map(entries), Shape::Object(keys) | Shape::Short(_, keys)) => {
            expand_keys(entries, keys)
        }
        (Data::Map(entries), Shape::Table(_, shape)) => {
            entries
                .iter_mut()
                .for_each(|entry| expand(&mut entry.value, shape));
        }
        (Data::List(items), Shape::List(shape)) => {
            items.iter_mut().for_each(|item| expand(item, shape))
        }
        (Data::List(items), Shape::Named(keys)) => {
            items
                .iter_mut()
                .for_each(|item| expand(item, &Shape::Object(keys)));
        }
        _ => {}
    }
}

fn expand_keys(entries: &mut [Entry], keys: &[Key]) {
    for entry in entries {
        if let Some(shape) = shape_of(keys, &entry.key) {
            expand(&mut entry.value, shape);
        }
    }
}

/// `over` on top of `base`: mappings merge by key, releases by name, anything else is replaced. A key
/// with nothing behind it takes the profile's away, as in Helm values (where, within `set`, it must
/// reach Helm). Each value keeps the file and line it was written at.
pub(super) fn merge(base: Node, over: Node, shape: &Shape) -> Node {
    let data = match (base.data, over.data, shape) {
        (Data::Map(base), Data::Map(over), _) => Data::Map(merge_maps(base, over, shape)),
        (Data::List(base), Data::List(over), Shape::Named(keys)) => {
            Data::List(merge_named(base, over, keys))
        }
        (_, over, _) => over,
    };
    Node {
        place: over.place,
        data,
    }
}

fn merge_maps(mut base: Vec<Entry>, over: Vec<Entry>, shape: &Shape) -> Vec<Entry> {
    for entry in over {
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
                    Entry {
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

fn merge_named(base: Vec<Node>, mut over: Vec<Node>, keys: &'static [Key]) -> Vec<Node> {
    let name = |node: &Node| node.get("name").and_then(Node::text).map(str::to_owned);
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
