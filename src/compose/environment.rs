//! What a service's container sees: `env_file` below `environment`.

use std::collections::BTreeMap;
use std::path::Path;

use super::options::Environment;
use super::yaml::{Data, Node};
use super::{Variable, dotenv};
use crate::config::Origin;
use crate::error::{Code, Result};

/// A service's variables; None as value: named, and set nowhere.
type Named = BTreeMap<String, (Option<String>, Origin)>;

/// The variables of `environment`, those without a value taken from around the project.
pub(super) fn own(service: &Node, around: &Environment) -> BTreeMap<String, Variable> {
    set(&named(service, around))
}

/// The same over the variables of `env_file`.
///
/// # Errors
/// An env file that does not exist or that Compose refuses.
pub(super) fn resolved(service: &Node, around: &Environment) -> Result<BTreeMap<String, Variable>> {
    let own = named(service, around);
    let lookup = |name: &str| around.get(name).cloned().or_else(|| own.get(name).and_then(|(value, _)| value.clone()));
    let mut found = BTreeMap::new();
    for file in service.get("env_file").map(Node::items).unwrap_or_default() {
        if let Some(bytes) = read(file)? {
            let path = file.get("path").and_then(Node::text).unwrap_or_default();
            dotenv::parse(&bytes, Path::new(path), &lookup, &mut found)?;
        }
    }
    let files = found.into_iter().filter(|(name, _)| !own.contains_key(name)).map(|(name, set)| {
        let origin = Origin::from(&set.place);
        (name, Variable { value: set.value, origin })
    });
    Ok(files.chain(set(&own)).collect())
}

fn set(named: &Named) -> BTreeMap<String, Variable> {
    let set = named.iter().filter_map(|(name, (value, origin))| {
        value.clone().map(|value| (name.clone(), Variable { value, origin: origin.clone() }))
    });
    set.collect()
}

fn named(service: &Node, around: &Environment) -> Named {
    let mut named = Named::new();
    let Some(environment) = service.get("environment") else { return named };
    for entry in environment.entries() {
        let value = if entry.value.is_null() { None } else { Some(entry.value.printed()) };
        named.insert(entry.key.clone(), (value, Origin::from(&entry.place)));
    }
    for item in environment.items() {
        let text = item.printed();
        let (name, value) = text.split_once('=').map_or((text.as_str(), None), |(name, value)| (name, Some(value)));
        named.insert(name.to_owned(), (value.map(str::to_owned), Origin::from(&item.place)));
    }
    for (name, (value, _)) in &mut named {
        *value = value.take().or_else(|| around.get(name).cloned());
    }
    named
}

/// An env file's bytes; None: it is missing, and may be.
fn read(file: &Node) -> Result<Option<Vec<u8>>> {
    let path = file.get("path").and_then(Node::text).unwrap_or_default();
    let required = file.get("required").map(|required| &required.data) != Some(&Data::Bool(false));
    if let Some(format) = file.get("format").and_then(Node::text).filter(|format| !["", ".env", "raw"].contains(format))
    {
        return Err(file.place.error(Code::ComposeValue, format!("`{format}` is no format of an env file")));
    }
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && !required => Ok(None),
        Err(e) => Err(file
            .place
            .error(Code::ComposeFile, format!("the env file `{path}` cannot be read: {e}"))
            .hint("create it, or write `required: false` beside its path")),
    }
}
