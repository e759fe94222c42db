//! Mappings that may be written as lists of `KEY=VALUE`.

use super::trail::Trail;
use super::yaml::{YamlData, YamlNode};
use crate::error::Result;

/// A list of `KEY=VALUE` as a mapping. `alone` tells the value of an item without `=`, or what is wrong with it.
pub(super) fn pairs(
    node: &mut YamlNode,
    trail: &Trail,
    alone: fn(&str) -> Result<YamlData, String>,
) -> Result<()> {
    let items = match &node.data {
        YamlData::Map(_) => return Ok(()),
        YamlData::List(items) => items,
        _ => return Err(node.mistyped(trail, "a list or a mapping")),
    };
    let mut map = YamlNode::map(&node.place, []);
    for item in items {
        let text = item.expect_text(trail)?;
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, YamlData::Text(value.to_owned())),
            None => (
                text,
                alone(text).map_err(|what| item.problem(trail, &what))?,
            ),
        };
        map.set(key, YamlNode::new(&item.place, value));
    }
    *node = map;
    Ok(())
}

pub(super) fn no_value(_: &str) -> Result<YamlData, String> {
    Err("has an item that is not `NAME=VALUE`".to_owned())
}

/// `default` is the agent that is there anyway; any other key needs a path.
pub(super) fn agent(name: &str) -> Result<YamlData, String> {
    if name == "default" {
        Ok(YamlData::Null)
    } else {
        Err(format!("has no path for `{name}`"))
    }
}
