//! `!reset` and `!override`: what a file takes away from what was read before it.

use super::yaml::{Reset, YamlData, YamlNode};

/// Removes the values that `resets` name. Compose takes no single items out of lists.
pub(super) fn apply(root: &mut YamlNode, resets: &[Reset]) {
    let paths: Vec<&[String]> = resets.iter().map(|reset| reset.0.as_slice()).collect();
    remove(root, &paths);
}

/// The same for one service, as a base that is about to be extended by `name`.
pub(super) fn apply_to_service(service: &mut YamlNode, name: &str, resets: &[Reset]) {
    let below = |reset: &&Reset| matches!(reset.0.as_slice(), [first, second, ..] if leads(first, "services") && leads(second, name));
    let paths: Vec<&[String]> = resets
        .iter()
        .filter(below)
        .map(|reset| &reset.0[2..])
        .collect();
    remove(service, &paths);
}

fn leads(pattern: &str, key: &str) -> bool {
    pattern == "*" || pattern == key
}

fn remove(node: &mut YamlNode, paths: &[&[String]]) {
    if paths.is_empty() {
        return;
    }
    let YamlData::Map(entries) = &mut node.data else {
        return;
    };
    entries.retain_mut(|entry| {
        let below: Vec<&[String]> = paths
            .iter()
            .filter_map(|path| path.split_first())
            .filter(|(key, _)| leads(key, &entry.key))
            .map(|(_, rest)| rest)
            .collect();
        if below.iter().any(|path| path.is_empty()) {
            return false;
        }
        remove(&mut entry.value, &below);
        true
    });
}
