//! `generate` of a release: secrets, and the values that take them.

use std::collections::{BTreeMap, HashMap};

use super::yaml::{ConfigEntry, ConfigNode};
use super::{GeneratedSecret, format};
use crate::error::{Code, Error};

/// The secrets by their names. Each value takes one of them.
pub(super) fn generated(
    entries: &[ConfigEntry],
    problems: &mut Vec<Error>,
) -> BTreeMap<String, GeneratedSecret> {
    let mut taken = HashMap::<String, &str>::new();
    let mut secrets = BTreeMap::new();
    for entry in entries {
        let Some(generator) = entry
            .value
            .get("length")
            .and_then(ConfigNode::text)
            .and_then(format::generator)
        else {
            continue;
        };
        let listed = entry
            .value
            .get("paths")
            .map(ConfigNode::items)
            .unwrap_or_default();
        let mut paths: Vec<_> = listed
            .iter()
            .filter_map(ConfigNode::text)
            .map(str::to_owned)
            .collect();
        if paths.is_empty() {
            paths.push(entry.key.clone());
        }
        for path in &paths {
            if let Some(other) = taken.insert(path.clone(), &entry.key) {
                let message = format!("the value `{path}` takes the secret `{other}` already");
                let error = entry.place.error(Code::ConfigValue, message);
                problems.push(error.hint(format!("leave `{path}` out of one of them")));
            }
        }
        secrets.insert(entry.key.clone(), GeneratedSecret { generator, paths });
    }
    secrets
}
