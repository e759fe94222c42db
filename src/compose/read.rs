//! The Compose project of a folder: from the options to services and their ports.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::load::{Batch, Reader};
use super::options::{Environment, Setup, setup};
use super::project::Model;
use super::yaml::{Data, Entry, Node};
use super::{Compose, Database, Options, Port, Service, Variable, consistency, environment, name, types};
use crate::config::Origin;
use crate::database::{self, Named};
use crate::error::{Errors, Result};

/// Reads the project; None: no Compose file was named nor found.
///
/// # Errors
/// Whatever `docker compose config` refuses: the first problem, or all problems of a file's shape.
pub fn load(options: &Options) -> Result<Option<Compose>, Errors> {
    let Some(mut setup) = setup(options)? else { return Ok(None) };
    let mut reader = Reader::new(&options.dir.to_string_lossy(), &setup.environment);
    let name = project_name(&mut reader, &setup)?;
    setup.environment.insert("COMPOSE_PROJECT_NAME".to_owned(), name.clone());
    let batch = Batch {
        files: &setup.files,
        dir: &setup.dir,
        root: &setup.dir,
        environment: &setup.environment,
        including: &[],
    };
    let root = reader.batch(&batch)?;
    types::check(&root)?;
    let model = Model::new(root, &setup.profiles)?;
    consistency::check(&model)?;
    let services = services(&model, &setup.environment, Path::new(&setup.dir))?;
    Ok(Some(Compose { name, dir: PathBuf::from(setup.dir), files: reader.files.into_iter().collect(), services }))
}

/// The name stands in the files, and `${COMPOSE_PROJECT_NAME}` in them asks for it: they are read twice.
fn project_name(reader: &mut Reader, setup: &Setup) -> Result<String> {
    let documents = setup.files.iter().map(|file| reader.documents(file, None));
    name::project(setup, &documents.collect::<Result<Vec<_>>>()?)
}

fn services(model: &Model, around: &Environment, dir: &Path) -> Result<BTreeMap<String, Service>> {
    let service = |entry: &Entry| Ok((entry.key.clone(), service(entry, model, around, dir)?));
    model.services.values().map(service).collect()
}

fn service(entry: &Entry, model: &Model, around: &Environment, dir: &Path) -> Result<Service> {
    let text = |key: &str| entry.value.get(key).and_then(Node::text).filter(|text| !text.is_empty()).map(str::to_owned);
    let active = model.is_active(&entry.key);
    let environment = match active {
        true => environment::resolved(&entry.value, around)?,
        false => environment::own(&entry.value, around),
    };
    Ok(Service {
        name: entry.key.clone(),
        active,
        image: text("image"),
        network_mode: text("network_mode"),
        ports: ports(entry, dir),
        databases: databases(entry, &environment),
        environment,
        origin: Origin::from(&entry.place),
    })
}

/// The databases that the environment and the command name; those of a command stand at its line.
fn databases(entry: &Entry, environment: &BTreeMap<String, Variable>) -> Vec<Database> {
    let image = entry.value.get("image").and_then(Node::text);
    let variables = environment.iter().map(|(key, variable)| (key.as_str(), variable.value.as_str())).collect();
    let mut named = database::in_environment(image, &variables);
    let words = ["entrypoint", "command"].map(|key| entry.value.get(key).map(Node::items).unwrap_or_default());
    let words: Vec<_> = words.iter().copied().flatten().filter_map(Node::text).collect();
    named.extend(database::in_command(image, &words, &variables, "command"));
    let texts = ["entrypoint", "command"].map(|key| entry.value.get(key).and_then(Node::text));
    named.extend(texts.iter().flatten().flat_map(|text| database::in_text(image, text, "command")));
    let origin = |via: &str| match environment.get(via) {
        Some(variable) => variable.origin.clone(),
        None => Origin::from(entry.value.get(via).map_or(&entry.place, |node| &node.place)),
    };
    let database = |named: Named| Database { service: entry.key.clone(), origin: origin(&named.via), named };
    named.into_iter().map(database).collect()
}

fn ports(entry: &Entry, dir: &Path) -> Vec<Port> {
    let items = entry.value.get("ports").map(Node::items).unwrap_or_default();
    items.iter().map(|item| port(item, &entry.key, dir)).collect()
}

/// `docker compose config` doubles each `$`, so that its output can be read again.
fn port(item: &Node, service: &str, dir: &Path) -> Port {
    let text =
        |key: &str| item.get(key).map(|value| value.printed().replace('$', "$$")).filter(|text| !text.is_empty());
    let file = item.place.file.strip_prefix(dir).unwrap_or(&item.place.file);
    Port {
        service: service.to_owned(),
        host_ip: text("host_ip"),
        published: text("published"),
        target: item.get("target").map_or(0, target),
        protocol: text("protocol").unwrap_or_default(),
        file: file.to_owned(),
        line: item.place.line,
    }
}

/// Compose keeps the lower 32 bits.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn target(node: &Node) -> u32 {
    match node.data {
        Data::Int(number) => number as u32,
        Data::Float(number) => number as u64 as u32,
        _ => 0,
    }
}
