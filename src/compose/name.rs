//! The project's name: what Compose labels containers with.

use super::interpolate;
use super::options::Setup;
use super::yaml::{Document, YamlData, YamlNode};
use crate::error::{Code, Error, Result};

const VARIABLE: &str = "COMPOSE_PROJECT_NAME";

/// From `COMPOSE_PROJECT_NAME`, else the last `name:` of the files, else the project's folder.
///
/// # Errors
/// A name that is no project name, or none at all.
pub(super) fn project(setup: &Setup, files: &[Vec<Document>]) -> Result<String> {
    if let Some(name) = setup
        .environment
        .get(VARIABLE)
        .filter(|name| !name.is_empty())
    {
        return if *name == normalized(name) {
            Ok(name.clone())
        } else {
            Err(invalid(name))
        };
    }
    let mut name = None;
    for node in files
        .iter()
        .flatten()
        .filter_map(|document| document.root.get("name"))
    {
        match &node.data {
            YamlData::Map(_) | YamlData::List(_) => {
                return Err(node
                    .place
                    .error(Code::ComposeValue, "`name` must be a text"));
            }
            YamlData::Null => {}
            _ => name = Some(node).filter(|node| node.text() != Some("")).or(name),
        }
    }
    let named = name
        .map(|node| interpolated(node, setup))
        .transpose()?
        .unwrap_or_default();
    let first = files
        .iter()
        .filter_map(|documents| documents.first()?.root.get("name"));
    let by_first = first.map(YamlNode::text).any(|name| name != Some(""));
    let name = match normalized(&named) {
        empty if empty.is_empty() && !by_first => {
            normalized(setup.dir.rsplit('/').next().unwrap_or_default())
        }
        name => name,
    };
    if name.is_empty() {
        return Err(
            Error::new(Code::ComposeName, "the Compose project's name is empty")
                .hint("write a `name:` into the Compose file, or set COMPOSE_PROJECT_NAME"),
        );
    }
    Ok(name)
}

fn interpolated(node: &YamlNode, setup: &Setup) -> Result<String> {
    let mut node = node.clone();
    interpolate::document(
        &mut node,
        &|name| setup.environment.get(name).cloned(),
        None,
    )?;
    Ok(node.printed())
}

/// Lower case; letters, digits, `-` and `_` alone; a letter or digit first.
fn normalized(name: &str) -> String {
    let kept: String = name
        .to_lowercase()
        .chars()
        .filter(|char| matches!(char, 'a'..='z' | '0'..='9' | '_' | '-'))
        .collect();
    kept.trim_start_matches(['_', '-']).to_owned()
}

fn invalid(name: &str) -> Error {
    Error::new(
        Code::ComposeName,
        format!("`{name}`, from {VARIABLE}, is no project name"),
    )
    .hint("use lower-case letters, digits, `-` and `_` alone, beginning with a letter or digit")
}
