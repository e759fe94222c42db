//! `extends`: a service over another one, of the same file or of another.

use std::collections::HashMap;

use super::load::{self, FileSet, Reader};
use super::yaml::{Reset, YamlData, YamlEntry, YamlNode};
use super::{merge, reset};
use crate::error::{Code, Error, Result};
use crate::go_path;

/// The services of one file, and what its last document takes away.
#[derive(Debug)]
struct Services {
    by_name: HashMap<String, YamlEntry>,
    resets: Vec<Reset>,
    /// They are the project's own. In another file Compose minds what is taken away for the service that is
    /// named, not for those that it extends in turn.
    own: bool,
}

impl Services {
    fn new(entries: Vec<YamlEntry>, resets: Vec<Reset>, own: bool) -> Self {
        Self {
            by_name: entries
                .into_iter()
                .map(|entry| (entry.key.clone(), entry))
                .collect(),
            resets,
            own,
        }
    }

    /// A service that is there and not null.
    fn get(&self, name: &str) -> Option<&YamlNode> {
        self.by_name
            .get(name)
            .map(|entry| &entry.value)
            .filter(|service| !service.is_null())
    }

    fn put(&mut self, name: &str, service: YamlNode) {
        if let Some(entry) = self.by_name.get_mut(name) {
            entry.value = service;
        }
    }
}

/// A service on the way from the first that extends to the last that is extended. Files are named as Compose does.
type ExtendsChain = Vec<(String, String)>;

/// Deeper chains are refused; it also bounds the recursion.
const MAX_DEPTH: usize = 500;

/// Lays each service that extends another over it.
///
/// # Errors
/// A service or file that does not exist, a cycle, services that do not go together.
pub(super) fn apply(
    reader: &mut Reader,
    root: &mut YamlNode,
    file: &str,
    resets: &[Reset],
    batch: &FileSet<'_>,
) -> Result<()> {
    let Some(services) = root.get_mut("services") else {
        return Ok(());
    };
    let YamlData::Map(entries) = &mut services.data else {
        return Err(services
            .place
            .error(Code::ComposeValue, "`services` must be a mapping"));
    };
    if let Some(odd) = entries
        .iter()
        .find(|entry| !entry.value.is_map() && !entry.value.is_null())
    {
        let message = format!("`services.{}` must be a mapping", odd.key);
        return Err(odd.value.place.error(Code::ComposeValue, message));
    }
    if !entries
        .iter()
        .any(|entry| entry.value.get("extends").is_some())
    {
        return Ok(());
    }
    let names: Vec<String> = entries.iter().map(|entry| entry.key.clone()).collect();
    let mut own = Services::new(std::mem::take(entries), resets.to_vec(), true);
    let mut walk = Walk {
        reader,
        batch,
        file,
    };
    for name in &names {
        if let Some(service) = walk.service(name, &mut own, true, &ExtendsChain::new())? {
            own.put(name, service);
        }
    }
    *entries = names
        .iter()
        .filter_map(|name| own.by_name.remove(name))
        .collect();
    Ok(())
}

struct Walk<'a, 'b> {
    reader: &'a mut Reader,
    batch: &'a FileSet<'b>,
    /// The file in which the first `extends` stands.
    file: &'a str,
}

/// What an `extends` names.
struct Reference {
    service: String,
    file: Option<String>,
}

impl Walk<'_, '_> {
    /// A service over what it extends; None: it extends nothing. `resetting`: what its file takes away
    /// counts for the base.
    fn service(
        &mut self,
        name: &str,
        services: &mut Services,
        resetting: bool,
        way: &ExtendsChain,
    ) -> Result<Option<YamlNode>> {
        let Some(service) = services.get(name) else {
            return Ok(None);
        };
        if !service.is_map() {
            return Err(service.place.error(
                Code::ComposeValue,
                format!("`services.{name}` must be a mapping"),
            ));
        }
        let Some(extends) = service.get("extends").cloned() else {
            return Ok(None);
        };
        let reference = reference(&extends, name)?;
        let way = step(
            way,
            reference.file.as_deref().unwrap_or(self.file),
            name,
            &extends,
        )?;
        let base = match &reference.file {
            None => self.neighbour(&reference.service, &extends, name, services, &way)?,
            Some(file) => self.stranger(file, &reference.service, &extends, name, &way)?,
        };
        let (Some(mut base), Some(service)) = (base, services.get(name).cloned()) else {
            return Ok(None);
        };
        self.reader.count_kept(&base)?;
        if resetting {
            reset::apply_to_service(&mut base, name, &services.resets);
        }
        merge::service(&mut base, name, service)?;
        base.remove("extends");
        Ok(Some(base))
    }

    /// The extended service of the same file, itself completed.
    fn neighbour(
        &mut self,
        service: &str,
        extends: &YamlNode,
        name: &str,
        services: &mut Services,
        way: &ExtendsChain,
    ) -> Result<Option<YamlNode>> {
        if !services.by_name.contains_key(service) {
            return Err(unknown(extends, name, service, None));
        }
        if let Some(completed) = self.service(service, services, services.own, way)? {
            services.put(service, completed);
        }
        Ok(services.get(service).cloned())
    }

    /// The extended service of another file, itself completed.
    fn stranger(
        &mut self,
        file: &str,
        service: &str,
        extends: &YamlNode,
        name: &str,
        way: &ExtendsChain,
    ) -> Result<Option<YamlNode>> {
        let mut others = self.open(file, service, extends, name)?;
        let completed = self.service(service, &mut others, true, way)?;
        Ok(completed.or_else(|| others.get(service).cloned()))
    }

    fn open(
        &mut self,
        file: &str,
        service: &str,
        extends: &YamlNode,
        name: &str,
    ) -> Result<Services> {
        load::local(file, &extends.place)?;
        let path = if file.starts_with('/') {
            file.to_owned()
        } else {
            go_path::join(self.batch.root, file)
        };
        let dir = folder(self.reader, self.batch.root, file);
        let (mut root, resets) =
            self.reader
                .extended(&path, &extends.place, self.batch.environment)?;
        let services = root.get("services").unwrap_or(&root);
        if !services.is_map() {
            return Err(extends.place.error(
                Code::ComposeExtends,
                format!("`services` of `{file}` must be a mapping"),
            ));
        }
        if root
            .get("services")
            .and_then(|services| services.get(service))
            .is_none()
        {
            return Err(unknown(extends, name, service, Some(file)));
        }
        self.reader.paths(&dir).resolve(&mut root)?;
        match root.remove("services").map(|services| services.value.data) {
            Some(YamlData::Map(entries)) => Ok(Services::new(entries, resets, false)),
            _ => Err(unknown(extends, name, service, Some(file))),
        }
    }
}

/// The folder of a file, seen from `root`: Compose's own way to make paths relative.
pub(super) fn folder(reader: &Reader, root: &str, file: &str) -> String {
    let absolute = |path: &str| {
        if path.starts_with('/') {
            path.to_owned()
        } else {
            go_path::join(root, path)
        }
    };
    let path = absolute(file);
    let is_dir = std::path::Path::new(&reader.absolute(&path)).is_dir();
    let path = if is_dir {
        path
    } else {
        absolute(&go_path::dir(file))
    };
    go_path::relative(root, &path).unwrap_or(path)
}

fn reference(extends: &YamlNode, name: &str) -> Result<Reference> {
    let bad = |what: &str| {
        extends.place.error(
            Code::ComposeExtends,
            format!("`extends` of `{name}` {what}"),
        )
    };
    match &extends.data {
        YamlData::Text(service) => Ok(Reference {
            service: service.clone(),
            file: None,
        }),
        YamlData::Map(_) => {
            let service = extends
                .get("service")
                .and_then(YamlNode::text)
                .ok_or_else(|| bad("names no service"))?;
            let file = match extends.get("file") {
                None
                | Some(YamlNode {
                    data: YamlData::Null,
                    ..
                }) => None,
                Some(file) => Some(
                    file.text()
                        .ok_or_else(|| bad("has a file that is no text"))?
                        .to_owned(),
                ),
            };
            Ok(Reference {
                service: service.to_owned(),
                file,
            })
        }
        _ => Err(bad("names no service")),
    }
}

fn step(way: &ExtendsChain, file: &str, name: &str, extends: &YamlNode) -> Result<ExtendsChain> {
    let here = (file.to_owned(), name.to_owned());
    if way.len() >= MAX_DEPTH || way.contains(&here) {
        let names: Vec<_> = way
            .iter()
            .map(|(_, name)| name.as_str())
            .chain([name])
            .collect();
        let message = format!("`extends` goes in a circle: {}", names.join(" → "));
        return Err(extends.place.error(Code::ComposeCycle, message));
    }
    Ok(way.iter().cloned().chain([here]).collect())
}

fn unknown(extends: &YamlNode, name: &str, service: &str, file: Option<&str>) -> Error {
    let place = file.map_or_else(|| "this file".to_owned(), |file| format!("`{file}`"));
    extends.place.error(
        Code::ComposeExtends,
        format!("`{name}` extends `{service}`, which {place} does not have"),
    )
}
