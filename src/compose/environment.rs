//! What a service's container sees: `env_file` below `environment`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::interpolate::Lookup;
use super::options::ComposeVariables;
use super::yaml::{YamlData, YamlNode};
use super::{Variable, dotenv, raw};
use crate::config::Origin;
use crate::error::{Code, Error, Result};
use crate::shell::quote;

/// What follows the name of an env file in the name of its example.
const EXAMPLES: [&str; 5] = ["example", "sample", "template", "dist", "default"];

/// A service's variables; None as value: named, and set nowhere.
type Named = BTreeMap<String, (Option<String>, Origin)>;

/// The variables of `environment`, those without a value taken from around the project.
pub(super) fn own(service: &YamlNode, around: &ComposeVariables) -> BTreeMap<String, Variable> {
    set(&named(service, around))
}

/// The same over the variables of `env_file`.
///
/// # Errors
/// An env file or label file that Compose refuses, or, unless there is a list of what is passed over, that cannot be
/// read.
pub(super) fn resolved(
    service: &YamlNode,
    around: &ComposeVariables,
    passed_over: &mut Option<Vec<Error>>,
) -> Result<BTreeMap<String, Variable>> {
    let own = named(service, around);
    let lookup = |name: &str| {
        around
            .get(name)
            .cloned()
            .or_else(|| own.get(name).and_then(|(value, _)| value.clone()))
    };
    let mut found = BTreeMap::new();
    for file in service
        .get("env_file")
        .map(YamlNode::items)
        .unwrap_or_default()
    {
        tolerate(read(file, &lookup, &mut found), passed_over)?;
    }
    tolerate(labels(service), passed_over)?;
    let files = found
        .into_iter()
        .filter(|(name, _)| !own.contains_key(name))
        .map(|(name, set)| {
            let origin = Origin::from(&set.place);
            (
                name,
                Variable {
                    value: set.value,
                    origin,
                },
            )
        });
    Ok(files.chain(set(&own)).collect())
}

/// Puts an error of a file that cannot be read on the list, if there is one.
fn tolerate(result: Result<()>, passed_over: &mut Option<Vec<Error>>) -> Result<()> {
    match (result, passed_over) {
        (Err(error), Some(list)) if error.code == Code::ComposeFile => {
            list.push(error);
            Ok(())
        }
        (result, _) => result,
    }
}

fn set(named: &Named) -> BTreeMap<String, Variable> {
    let set = named.iter().filter_map(|(name, (value, origin))| {
        value.clone().map(|value| {
            (
                name.clone(),
                Variable {
                    value,
                    origin: origin.clone(),
                },
            )
        })
    });
    set.collect()
}

fn named(service: &YamlNode, around: &ComposeVariables) -> Named {
    let mut named = Named::new();
    let Some(environment) = service.get("environment") else {
        return named;
    };
    for entry in environment.entries() {
        let value = if entry.value.is_null() {
            None
        } else {
            Some(entry.value.printed())
        };
        named.insert(entry.key.clone(), (value, Origin::from(&entry.place)));
    }
    for item in environment.items() {
        let text = item.printed();
        let (name, value) = text
            .split_once('=')
            .map_or((text.as_str(), None), |(name, value)| (name, Some(value)));
        named.insert(
            name.to_owned(),
            (value.map(str::to_owned), Origin::from(&item.place)),
        );
    }
    for (name, (value, _)) in &mut named {
        *value = value.take().or_else(|| around.get(name).cloned());
    }
    named
}

/// Reads an env file over what earlier ones have set. It may be missing if it is not required.
fn read(
    file: &YamlNode,
    lookup: &Lookup<'_>,
    found: &mut BTreeMap<String, dotenv::Set>,
) -> Result<()> {
    let path = file
        .get("path")
        .and_then(YamlNode::text)
        .unwrap_or_default();
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && !is_required(file) => return Ok(()),
        Err(e) => {
            let error = unreadable(file, "env file", path, &e);
            return Err(error.hint(match example(Path::new(path)) {
                Some(example) => format!("cp {} {}", quote(example), quote(path)),
                None => "create it, or write `path:` with `required: false` instead of its name"
                    .to_owned(),
            }));
        }
    };
    match file.get("format").and_then(YamlNode::text) {
        None | Some("" | ".env") => dotenv::parse(&bytes, Path::new(path), lookup, found),
        Some("raw") => raw::parse(&bytes, Path::new(path), lookup, found),
        Some(format) => Err(file
            .place
            .error(
                Code::ComposeValue,
                format!("`{format}` is no format of an env file"),
            )
            .hint("leave `format` out, or write `format: raw`")),
    }
}

/// The file in the repository that shows what an env file is to hold.
fn example(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_string_lossy();
    let names = EXAMPLES.iter().map(|end| format!("{name}.{end}"));
    names
        .map(|name| path.with_file_name(name))
        .find(|file| file.is_file())
}

fn is_required(file: &YamlNode) -> bool {
    match file.get("required").map(|required| &required.data) {
        Some(YamlData::Bool(required)) => *required,
        Some(YamlData::Text(text)) => {
            !["false", "n", "no", "off"].contains(&text.to_lowercase().as_str())
        }
        _ => true,
    }
}

/// Label files are read only to refuse what Compose refuses.
fn labels(service: &YamlNode) -> Result<()> {
    for file in service
        .get("label_file")
        .map(YamlNode::items)
        .unwrap_or_default()
    {
        let path = file.text().unwrap_or_default();
        let bytes = std::fs::read(path).map_err(|e| unreadable(file, "label file", path, &e))?;
        dotenv::parse(&bytes, Path::new(path), &|_| None, &mut BTreeMap::new())?;
    }
    Ok(())
}

fn unreadable(at: &YamlNode, kind: &str, path: &str, cause: &std::io::Error) -> Error {
    at.place.error(
        Code::ComposeFile,
        format!("the {kind} `{path}` cannot be read: {cause}"),
    )
}
