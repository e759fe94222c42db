//! Checks a merged Compose file against the table of its keys in [`super::keys`], as Compose checks it
//! against its JSON Schema (Compose Specification, draft-07): the types a value may have, the keys of a
//! mapping, and lists without repetition.

use std::collections::{BTreeMap, HashSet};

use super::keys::ROOT;
use super::shapes::{ComposeShape, Rest, Types};
use super::yaml::{YamlData, YamlEntry, YamlNode};
use crate::error::{Code, Error, suggest};

/// What is wrong with a merged file, in the order of its values.
#[derive(Debug, Default)]
pub(super) struct SchemaProblems(Vec<(Error, Kind)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A key that Compose may have got since.
    UnknownKey,
    Other,
}

impl SchemaProblems {
    fn push(&mut self, error: Error) {
        self.0.push((error, Kind::Other));
    }

    pub(super) fn all(self) -> Vec<Error> {
        self.0.into_iter().map(|(error, _)| error).collect()
    }

    /// The unknown keys, and all other problems.
    pub(super) fn unknown_and_others(self) -> (Vec<Error>, Vec<Error>) {
        let (unknown, others): (Vec<_>, Vec<_>) = self
            .0
            .into_iter()
            .partition(|(_, kind)| *kind == Kind::UnknownKey);
        (Self(unknown).all(), Self(others).all())
    }
}

/// Every problem of the merged files, at its line.
pub(super) fn check(root: &YamlNode) -> SchemaProblems {
    let mut problems = SchemaProblems::default();
    visit(root, &ROOT, "", &mut problems);
    problems
}

fn visit(node: &YamlNode, shape: &ComposeShape, path: &str, problems: &mut SchemaProblems) {
    match shape {
        ComposeShape::Of(types) => {
            if !has_type(node, *types) {
                problems.push(wrong_type(node, *types, path));
            }
        }
        ComposeShape::Word(words) => word(
            node,
            path,
            problems,
            |text| words.contains(&text),
            &words.join("`, `"),
        ),
        ComposeShape::Text { fits, looks } => word(node, path, problems, fits, looks),
        ComposeShape::Range(least, most) => range(node, (*least, *most), path, problems),
        ComposeShape::Map { names, value, rest } => match &node.data {
            YamlData::Map(entries) => {
                let known = |name: &str| names(name).then_some(*value);
                entries
                    .iter()
                    .for_each(|entry| member(entry, known(&entry.key), *rest, &[], path, problems));
            }
            _ => problems.push(wrong_type(node, Types::MAP, path)),
        },
        ComposeShape::Object {
            keys,
            required,
            rest,
        } => match &node.data {
            YamlData::Map(entries) => {
                object(node, entries, (keys, required, *rest), path, problems)
            }
            _ => problems.push(wrong_type(node, Types::MAP, path)),
        },
        ComposeShape::List(item) => list(node, item, path, problems),
        ComposeShape::Set(item) => {
            list(node, item, path, problems);
            repeated(node, path, problems);
        }
        ComposeShape::Either(shapes) => either(node, shapes, path, problems),
    }
}

/// The alternative of the value's type is the one that was meant: its problems are reported.
fn either(node: &YamlNode, shapes: &[ComposeShape], path: &str, problems: &mut SchemaProblems) {
    match shapes.iter().find(|shape| has_type(node, shape.types())) {
        Some(shape) => visit(node, shape, path, problems),
        None => {
            let types = shapes
                .iter()
                .fold(Types::NONE, |types, shape| types.or(shape.types()));
            problems.push(wrong_type(node, types, path));
        }
    }
}

fn object(
    node: &YamlNode,
    entries: &[YamlEntry],
    (keys, required, rest): (&[(&str, ComposeShape)], &[&str], Rest),
    path: &str,
    problems: &mut SchemaProblems,
) {
    let names: Vec<_> = keys.iter().map(|(name, _)| *name).collect();
    for entry in entries {
        let known = keys
            .iter()
            .find(|(name, _)| *name == entry.key)
            .map(|(_, shape)| shape);
        member(entry, known, rest, &names, path, problems);
    }
    for missing in required.iter().filter(|name| node.get(name).is_none()) {
        problems.push(problem(
            node,
            format!("`{}` is missing", join(path, missing)),
        ));
    }
}

/// One `key: value`; `known` is the value's shape where the key has one.
fn member(
    entry: &YamlEntry,
    known: Option<&ComposeShape>,
    rest: Rest,
    names: &[&str],
    path: &str,
    problems: &mut SchemaProblems,
) {
    match (known, rest) {
        (Some(shape), _) => visit(&entry.value, shape, &join(path, &entry.key), problems),
        (None, Rest::Open) => {}
        (None, Rest::Extensions) if entry.key.starts_with("x-") => {}
        (None, Rest::Extensions | Rest::Closed) => {
            let error = unknown(entry, names, path);
            problems.0.push((error, Kind::UnknownKey));
        }
    }
}

fn unknown(entry: &YamlEntry, names: &[&str], path: &str) -> Error {
    let within = if path.is_empty() {
        String::new()
    } else {
        format!(" in `{path}`")
    };
    let error = entry.place.error(
        Code::ComposeSchema,
        format!("Compose knows no key `{}`{within}", entry.key),
    );
    match suggest(&entry.key, names.iter().copied()) {
        Some(name) => error.hint(format!("did you mean `{name}`?")),
        None => error,
    }
}

fn list(node: &YamlNode, item: &ComposeShape, path: &str, problems: &mut SchemaProblems) {
    match &node.data {
        YamlData::List(items) => {
            let each = |(at, node): (usize, &YamlNode)| {
                visit(node, item, &format!("{path}[{at}]"), problems)
            };
            items.iter().enumerate().for_each(each);
        }
        _ => problems.push(wrong_type(node, Types::LIST, path)),
    }
}

/// Lists of up to so many items are compared pair by pair, longer ones by what items are made of.
const MAX_PAIRWISE_ITEMS: usize = 20;

fn repeated(node: &YamlNode, path: &str, problems: &mut SchemaProblems) {
    let items = node.items();
    let mut seen = HashSet::new();
    let again = items
        .iter()
        .enumerate()
        .find(|(at, item)| match items.len() {
            ..=MAX_PAIRWISE_ITEMS => items[..*at].iter().any(|before| same(item, before)),
            _ => !seen.insert(made_of(item)),
        });
    if let Some((at, item)) = again {
        problems.push(problem(
            item,
            format!("`{path}[{at}]` repeats an item of the list"),
        ));
    }
}

/// Equal as JSON: numbers by value, mappings in any order. Where pairs are compared, Compose also takes a
/// number for the same as an earlier text that looks like it.
fn same(later: &YamlNode, earlier: &YamlNode) -> bool {
    match (&later.data, &earlier.data) {
        (YamlData::List(a), YamlData::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (YamlData::Map(entries), YamlData::Map(others)) => {
            let has = |entry: &YamlEntry| {
                earlier
                    .get(&entry.key)
                    .is_some_and(|other| same(&entry.value, other))
            };
            entries.len() == others.len() && entries.iter().all(has)
        }
        (YamlData::Int(int), YamlData::Float(float))
        | (YamlData::Float(float), YamlData::Int(int)) => *int as f64 == *float,
        (YamlData::Int(int), YamlData::Text(text)) => text.parse() == Ok(*int as f64),
        (YamlData::Float(float), YamlData::Text(text)) => text.parse() == Ok(*float),
        (a, b) => a == b,
    }
}

/// A text that two values share if they are equal as JSON.
fn made_of(node: &YamlNode) -> String {
    match &node.data {
        YamlData::Text(text) => format!("{text:?}"),
        YamlData::List(items) => format!(
            "[{}]",
            items.iter().map(made_of).collect::<Vec<_>>().join(",")
        ),
        YamlData::Map(entries) => {
            let entries: BTreeMap<_, _> = entries
                .iter()
                .map(|entry| (&entry.key, made_of(&entry.value)))
                .collect();
            format!("{entries:?}")
        }
        _ => node.printed(),
    }
}

fn word(
    node: &YamlNode,
    path: &str,
    problems: &mut SchemaProblems,
    fits: impl Fn(&str) -> bool,
    looks: &str,
) {
    match node.text() {
        Some(text) if fits(text) => {}
        Some(text) => problems.push(problem(
            node,
            format!("`{path}` must be one of `{looks}`, found `{text}`"),
        )),
        None => problems.push(wrong_type(node, Types::TEXT, path)),
    }
}

fn range(node: &YamlNode, (least, most): (i128, i128), path: &str, problems: &mut SchemaProblems) {
    let within = match node.data {
        YamlData::Int(int) => (least..=most).contains(&int),
        YamlData::Float(float) if float.fract() == 0.0 => {
            (least as f64..=most as f64).contains(&float)
        }
        _ => return problems.push(wrong_type(node, Types::INTEGER, path)),
    };
    if !within {
        let limits = if most == i128::MAX {
            format!("at least {least}")
        } else {
            format!("from {least} to {most}")
        };
        problems.push(problem(node, format!("`{path}` must be {limits}")));
    }
}

fn has_type(node: &YamlNode, types: Types) -> bool {
    types.has(match &node.data {
        YamlData::Null => Types::NULL,
        YamlData::Bool(_) => Types::FLAG,
        YamlData::Int(_) => Types::INTEGER,
        // JSON Schema: a number without a fraction is an integer.
        YamlData::Float(float) if float.fract() == 0.0 => Types::INTEGER,
        YamlData::Float(_) => Types::FRACTION,
        YamlData::Time(_) => return false,
        YamlData::Text(_) => Types::TEXT,
        YamlData::List(_) => Types::LIST,
        YamlData::Map(_) => Types::MAP,
    })
}

fn wrong_type(node: &YamlNode, wanted: Types, path: &str) -> Error {
    let found = match &node.data {
        YamlData::Null => "nothing".to_owned(),
        YamlData::Bool(flag) => format!("`{flag}`"),
        YamlData::Int(int) => format!("the number {int}"),
        YamlData::Float(float) => format!("the number {float}"),
        YamlData::Time(text) => format!("the date `{text}`"),
        YamlData::Text(text) => format!("the text `{}`", text.chars().take(60).collect::<String>()),
        YamlData::List(_) => "a list".to_owned(),
        YamlData::Map(_) => "a mapping".to_owned(),
    };
    let path = if path.is_empty() { "the file" } else { path };
    problem(node, format!("`{path}` must be {wanted}, found {found}"))
}

fn problem(node: &YamlNode, message: String) -> Error {
    node.place.error(Code::ComposeSchema, message)
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::place::Place;

    fn node(value: &Value) -> YamlNode {
        let place = Place {
            file: Arc::from(Path::new("compose.yaml")),
            line: 1,
        };
        let entry = |(key, value): (&String, &Value)| YamlEntry {
            key: key.clone(),
            place: place.clone(),
            value: node(value),
        };
        let data = match value {
            Value::Null => YamlData::Null,
            Value::Bool(flag) => YamlData::Bool(*flag),
            Value::Number(number) => match number.as_i64() {
                Some(int) => YamlData::Int(int.into()),
                None => YamlData::Float(number.as_f64().unwrap()),
            },
            Value::String(text) => YamlData::Text(text.clone()),
            Value::Array(items) => YamlData::List(items.iter().map(node).collect()),
            Value::Object(entries) => YamlData::Map(entries.iter().map(entry).collect()),
        };
        YamlNode { place, data }
    }

    /// The messages about one service's keys.
    fn of_service(service: &Value) -> Vec<String> {
        check(&node(&json!({"services": {"db": service}})))
            .all()
            .into_iter()
            .map(|error| error.message)
            .collect()
    }

    fn of_key(key: &str, value: &Value) -> Vec<String> {
        of_service(&json!({ key: value }))
    }

    #[test]
    fn short_and_long_forms_pass() {
        let long = json!({
            "build": {"context": ".", "args": ["A=1"], "x-note": 1},
            "ports": ["80", 8080, {"target": 80, "published": "8000-8010", "host_ip": "::1"}],
            "environment": {"A": 1, "B": null, "C": true},
            "depends_on": {"other": {"condition": "service_healthy"}},
            "networks": {"default": null, "back": {"priority": 1.5}},
            "cpus": 0.5, "oom_score_adj": -1000, "pids_limit": 2.0, "deploy": null,
            "pull_policy": "every_12h", "ulimits": {"nofile": {"soft": 1, "hard": "2"}},
        });
        assert_eq!(of_service(&long), [""; 0]);
    }

    #[test]
    fn an_unknown_key_comes_with_the_nearest_known_one() {
        let problems = check(&node(
            &json!({"services": {"db": {"imagee": "x"}}, "servces": {}}),
        ))
        .all();
        let told: Vec<_> = problems
            .iter()
            .map(|e| (e.message.as_str(), e.hint.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                (
                    "Compose knows no key `imagee` in `services.db`",
                    Some("did you mean `image`?")
                ),
                (
                    "Compose knows no key `servces`",
                    Some("did you mean `services`?")
                ),
            ]
        );
    }

    #[test]
    fn a_wrong_type_is_told_with_what_would_be_right() {
        assert_eq!(
            of_key("image", &json!(7)),
            ["`services.db.image` must be a text, found the number 7"]
        );
        assert_eq!(
            of_key("cap_add", &json!("ALL")),
            ["`services.db.cap_add` must be a list, found the text `ALL`"]
        );
        assert_eq!(
            of_key("ports", &json!([true])),
            ["`services.db.ports[0]` must be a text or a number or a mapping, found `true`"]
        );
        assert_eq!(of_key("environment", &json!({"A": [1]})).len(), 1);
        assert_eq!(check(&node(&json!([]))).all().len(), 1);
    }

    #[test]
    fn limits_words_and_required_keys_are_kept() {
        assert_eq!(
            of_key("oom_score_adj", &json!(1001)),
            ["`services.db.oom_score_adj` must be from -1000 to 1000"]
        );
        assert_eq!(of_key("cgroup", &json!("shared")).len(), 1);
        assert_eq!(of_key("container_name", &json!("-")).len(), 1);
        assert_eq!(of_key("pull_policy", &json!("every_day")).len(), 1);
        assert_eq!(
            of_key("depends_on", &json!({"x": {}})),
            ["`services.db.depends_on.x.condition` is missing"]
        );
    }

    #[test]
    fn what_repeats_is_refused_whatever_its_type() {
        assert_eq!(of_key("ports", &json!([80, "80"])), [""; 0]);
        assert_eq!(of_key("ports", &json!(["80", 80])).len(), 1);
        let many = |last: i32| (1..=30).chain([last]).collect::<Vec<_>>();
        assert_eq!(of_key("ports", &json!(many(31))), [""; 0]);
        assert_eq!(of_key("ports", &json!(many(7))).len(), 1);
        assert_eq!(of_key("ports", &json!([80, 80.0])).len(), 1);
        assert_eq!(
            of_key("dns", &json!(["a", "b", "a"])),
            ["`services.db.dns[2]` repeats an item of the list"]
        );
        let port = |mode: &str| json!({"target": 80, "mode": mode});
        assert_eq!(
            of_key(
                "ports",
                &json!([port("host"), port("ingress"), port("host")])
            )
            .len(),
            1
        );
    }
}
