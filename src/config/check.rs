//! Compares a tree with the table of keys: unknown, missing and wrongly typed values, each at its line.

use super::did_you_mean;
use super::format::{ValueFormat, no_list_index};
use super::scalar::{self, describe};
use super::schema::{Key, Need, Shape};
use super::yaml::{ConfigData, ConfigNode, Place};
use crate::error::{Code, Error};

/// Adds what is wrong with `node` to `problems`. `path` names the node, such as `images.api`; the
/// root's is empty.
pub(super) fn check(node: &ConfigNode, shape: &Shape, path: &str, problems: &mut Vec<Error>) {
    match shape {
        Shape::Text(format) => text(node, *format, path, problems),
        Shape::Scalar => {
            if node.text().is_none() {
                problems.push(wrong_type(node, "a text, a number or a boolean", path));
            }
        }
        Shape::Command => command(node, path, problems),
        Shape::Flag => flag(node, path, problems),
        Shape::Port => port(node, path, problems),
        Shape::Object(keys) => object(node, keys, "a mapping", path, problems),
        Shape::Short(main, keys) => object(
            node,
            keys,
            &format!("a {main} or a mapping"),
            path,
            problems,
        ),
        Shape::Table(names, shape) => table(node, *names, shape, path, problems),
        Shape::List(shape) => list(node, path, problems, |item, path, problems| {
            check(item, shape, path, problems)
        }),
        Shape::Named(keys) => list(node, path, problems, |item, path, problems| {
            object(item, keys, "a mapping", path, problems)
        }),
        Shape::Word(word, shape) => {
            let is_word = node.text() == Some(*word);
            match &node.data {
                ConfigData::List(_) => check(node, shape, path, problems),
                _ if is_word => {}
                _ => problems.push(wrong_type(node, &format!("`{word}` or a list"), path)),
            }
        }
        Shape::Values => values(node, path, problems),
        Shape::Refused { why, instead } => {
            let error = node.place.error(
                Code::ConfigValue,
                format!("`{path}` is not possible: {why}"),
            );
            problems.push(error.hint(*instead));
        }
    }
}

fn text(node: &ConfigNode, format: ValueFormat, path: &str, problems: &mut Vec<Error>) {
    let Some(text) = node.text() else {
        return problems.push(wrong_type(node, "a text", path));
    };
    if let Err(problem) = format.check(text, &node.place) {
        problems.push(problem);
    } else if scalar::is_typed(node) {
        problems
            .push(wrong_type(node, "a text", path).hint(format!("put it in quotes: \"{text}\"")));
    }
}

/// A word may be empty, the first one may not: it names the program.
fn command(node: &ConfigNode, path: &str, problems: &mut Vec<Error>) {
    let first = match &node.data {
        ConfigData::Scalar { .. } => node.text(),
        ConfigData::List(words) if words.iter().all(|word| word.text().is_some()) => {
            Some(words.first().and_then(ConfigNode::text).unwrap_or_default())
        }
        _ => None,
    };
    match first {
        None => problems.push(wrong_type(node, "a text or a list of words", path)),
        Some(first) if first.trim().is_empty() => problems.push(
            node.place
                .error(Code::ConfigValue, format!("`{path}` names no program")),
        ),
        Some(_) => {}
    }
}

fn flag(node: &ConfigNode, path: &str, problems: &mut Vec<Error>) {
    if !matches!(&node.data, ConfigData::Scalar { text, plain: true } if matches!(text.as_str(), "true" | "false"))
    {
        problems.push(wrong_type(node, "`true` or `false`", path));
    }
}

fn port(node: &ConfigNode, path: &str, problems: &mut Vec<Error>) {
    let number = match &node.data {
        ConfigData::Scalar { text, plain: true } => scalar::plain(text)
            .ok()
            .filter(serde_json::Value::is_number),
        _ => None,
    };
    match number {
        Some(number)
            if number
                .as_u64()
                .is_some_and(|port| (1..=65535).contains(&port)) => {}
        Some(number) => {
            problems.push(node.place.error(
                Code::ConfigValue,
                format!("`{path}` must be a port from 1 to 65535, found {number}"),
            ));
        }
        None => problems.push(wrong_type(node, "a port number", path)),
    }
}

fn object(node: &ConfigNode, keys: &[Key], wanted: &str, path: &str, problems: &mut Vec<Error>) {
    let ConfigData::Map(entries) = &node.data else {
        return problems.push(wrong_type(node, wanted, path));
    };
    for entry in entries {
        match keys.iter().find(|key| key.name == entry.key) {
            // A key with nothing behind it is as good as absent.
            Some(_) if entry.value.is_null() => {}
            Some(key) => known_key(&entry.value, key, &join(path, key.name), problems),
            None => problems.push(unknown_key(&entry.key, &entry.place, keys, path)),
        }
    }
    let missing = keys.iter().filter(|key| {
        matches!(key.need, Need::Somewhere | Need::Here) && !is_given(node, key.name)
    });
    problems.extend(missing.map(|key| {
        node.place
            .error(
                Code::ConfigMissingKey,
                format!("`{}` is missing", join(path, key.name)),
            )
            .hint(format!("add `{}: {}`", key.name, key.example))
    }));
    problems.extend(not_one(node, keys, path));
}

fn is_given(node: &ConfigNode, key: &str) -> bool {
    node.get(key).is_some_and(|value| !value.is_null())
}

/// The problem if not exactly one of the keys that exclude each other is there.
fn not_one(node: &ConfigNode, keys: &[Key], path: &str) -> Option<Error> {
    let group = keys.iter().find_map(|key| match key.need {
        Need::OneOf(group, _) => Some(group),
        _ => None,
    })?;
    let given: Vec<_> = group.iter().filter(|key| is_given(node, key)).collect();
    let quoted = |keys: &[&&str], word: &str| {
        let keys: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
        keys.join(word)
    };
    match &given[..] {
        [_] => None,
        [] => {
            let all: Vec<_> = group.iter().collect();
            let message = format!("`{path}` has none of {}", quoted(&all, ", "));
            let examples = keys.iter().filter(|key| group.contains(&key.name));
            let examples: Vec<_> = examples
                .map(|key| format!("`{}: {}`", key.name, key.example))
                .collect();
            let error = node.place.error(Code::ConfigMissingKey, message);
            Some(error.hint(format!("add {}", examples.join(" or "))))
        }
        [.., last] => {
            let message = format!(
                "`{path}` has {}, and can have one of them",
                quoted(&given, " and ")
            );
            let place = node.get(last).map_or(&node.place, |value| &value.place);
            let error = place.error(Code::ConfigValue, message);
            Some(error.hint("keep one of them, or write two entries with names of their own"))
        }
    }
}

/// Checks a key's value; a problem without a hint gets the key's example as one.
fn known_key(value: &ConfigNode, key: &Key, path: &str, problems: &mut Vec<Error>) {
    let before = problems.len();
    check(value, &key.shape, path, problems);
    for problem in problems[before..]
        .iter_mut()
        .filter(|problem| problem.hint.is_none())
    {
        problem.hint = Some(format!(
            "write, for example, `{}: {}`",
            key.name, key.example
        ));
    }
}

fn table(
    node: &ConfigNode,
    names: ValueFormat,
    shape: &Shape,
    path: &str,
    problems: &mut Vec<Error>,
) {
    let ConfigData::Map(entries) = &node.data else {
        return problems.push(wrong_type(node, "a mapping", path));
    };
    for entry in entries {
        problems.extend(names.check(&entry.key, &entry.place).err());
        check(&entry.value, shape, &join(path, &entry.key), problems);
    }
}

fn list(
    node: &ConfigNode,
    path: &str,
    problems: &mut Vec<Error>,
    mut item: impl FnMut(&ConfigNode, &str, &mut Vec<Error>),
) {
    let ConfigData::List(items) = &node.data else {
        return problems.push(wrong_type(node, "a list", path));
    };
    for (index, node) in items.iter().enumerate() {
        item(node, &format!("{path}[{index}]"), problems);
    }
}

fn values(node: &ConfigNode, path: &str, problems: &mut Vec<Error>) {
    let ConfigData::Map(entries) = &node.data else {
        // What stands there instead is not shown: values may be secret.
        return problems.push(
            node.place
                .error(Code::ConfigSyntax, format!("`{path}` must be a mapping")),
        );
    };
    problems.extend(
        entries
            .iter()
            .filter_map(|entry| no_list_index(&entry.key, &entry.place).err()),
    );
    scalar::json(node, problems);
}

fn wrong_type(node: &ConfigNode, wanted: &str, path: &str) -> Error {
    let subject = if path.is_empty() {
        "the file".to_owned()
    } else {
        format!("`{path}`")
    };
    node.place.error(
        Code::ConfigSyntax,
        format!("{subject} must be {wanted}, found {}", describe(node)),
    )
}

fn unknown_key(name: &str, place: &Place, keys: &[Key], path: &str) -> Error {
    let whereabouts = if path.is_empty() {
        String::new()
    } else {
        format!(" in `{path}`")
    };
    let possible = keys
        .iter()
        .filter(|key| !matches!(key.shape, Shape::Refused { .. }))
        .map(|key| key.name);
    place
        .error(
            Code::ConfigUnknownKey,
            format!("unknown key `{name}`{whereabouts}"),
        )
        .hint(did_you_mean(name, possible, "keys"))
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
