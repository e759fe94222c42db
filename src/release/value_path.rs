//! Which value of a chart a rendered text comes from, so that a hint names the value to set. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use super::values::leaves;

/// The path of the value that is exactly this text, such as `postgresql.auth.database`, if there is one
/// that must be meant: `fits` says so of its key (in lower case), and if it does of several, the one
/// beside the value `near` is.
pub fn value_path(
    values: &Value,
    text: &str,
    fits: impl Fn(&str) -> bool,
    near: &str,
) -> Option<String> {
    let texts = leaves(values).into_iter();
    let leaves: Vec<_> = texts
        .filter_map(|(path, value)| {
            let number = || value.as_number().map(ToString::to_string);
            Some((path, value.as_str().map(str::to_owned).or_else(number)?))
        })
        .collect();
    let parent = |path: &str| path.rsplit_once('.').map(|(parent, _)| parent.to_owned());
    let beside: BTreeSet<_> = leaves
        .iter()
        .filter(|(_, value)| value == near)
        .map(|(path, _)| parent(path))
        .collect();
    let equal: Vec<_> = leaves
        .iter()
        .map(|(path, value)| (path, value))
        .filter(|(_, value)| *value == text)
        .collect();
    let is_fit = |path: &&String| fits(&path.rsplit('.').next().unwrap_or(path).to_lowercase());
    let by_key: Vec<_> = equal.iter().map(|(path, _)| *path).filter(is_fit).collect();
    let by_place: Vec<_> = by_key
        .iter()
        .copied()
        .filter(|path| beside.contains(&parent(path)))
        .collect();
    match (&by_place[..], &by_key[..]) {
        ([path], _) | ([], [path]) => Some((*path).clone()),
        _ => None,
    }
}

/// Keys of values that hold a database's name.
pub fn names_database(key: &str) -> bool {
    key.ends_with("database") || ["name", "db", "dbname", "databasename"].contains(&key)
}
