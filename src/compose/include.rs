//! `include`: other projects' files, read with a folder and variables of their own.

use std::path::Path;

use super::extends::folder;
use super::load::{self, FileSet, Reader};
use super::options::{ComposeVariables, read_env_files};
use super::yaml::{YamlData, YamlEntry, YamlNode};
use crate::error::{Code, Error, Errors, Result};
use crate::go_path::{dir, join};
use crate::place::Place;

/// The sections that an included project brings.
const SECTIONS: [&str; 6] = [
    "services", "volumes", "networks", "secrets", "configs", "models",
];

/// Deeper nesting is refused; it also bounds the recursion.
const MAX_DEPTH: usize = 100;

/// One item of `include`.
#[derive(Debug)]
struct Include {
    place: Place,
    paths: Vec<String>,
    project_directory: String,
    env_files: Vec<String>,
}

/// Brings what a document includes into it.
///
/// # Errors
/// A file that cannot be read, a cycle, something that both sides define.
pub(super) fn apply(
    reader: &mut Reader,
    root: &mut YamlNode,
    file: &str,
    batch: &FileSet<'_>,
) -> Result<(), Errors> {
    let Some(list) = root.remove("include") else {
        return Ok(());
    };
    let including: Vec<String> = batch
        .including
        .iter()
        .cloned()
        .chain([file.to_owned()])
        .collect();
    for include in includes(list.value)? {
        let imported = read(reader, include, batch, &including)?;
        import(imported, root)?;
    }
    Ok(())
}

fn includes(list: YamlNode) -> Result<Vec<Include>> {
    match list.data {
        YamlData::Null => Ok(Vec::new()),
        YamlData::List(items) => items.iter().map(one).collect(),
        _ => Err(list
            .place
            .error(Code::ComposeInclude, "`include` must be a list")),
    }
}

fn one(item: &YamlNode) -> Result<Include> {
    let bad = || {
        let message =
            "an `include` is a path, or a mapping of `path`, `project_directory` and `env_file`";
        item.place.error(Code::ComposeInclude, message)
    };
    let include = match &item.data {
        YamlData::Text(path) => Some((vec![path.clone()], Vec::new(), String::new())),
        YamlData::Map(_) | YamlData::Null => texts(item.get("path"))
            .zip(texts(item.get("env_file")))
            .zip(directory(item))
            .map(|((paths, env_files), directory)| (paths, env_files, directory)),
        _ => None,
    };
    let (paths, env_files, project_directory) = include.ok_or_else(bad)?;
    Ok(Include {
        place: item.place.clone(),
        paths,
        project_directory,
        env_files,
    })
}

fn directory(item: &YamlNode) -> Option<String> {
    match item
        .get("project_directory")
        .map(|directory| &directory.data)
    {
        None | Some(YamlData::Null) => Some(String::new()),
        Some(YamlData::Text(directory)) => Some(directory.clone()),
        // Compose makes a text of a whole number.
        Some(YamlData::Int(number)) => Some(number.to_string()),
        Some(_) => None,
    }
}

/// A text, a list of texts, or nothing.
fn texts(node: Option<&YamlNode>) -> Option<Vec<String>> {
    match node.map(|node| &node.data) {
        None | Some(YamlData::Null) => Some(Vec::new()),
        Some(YamlData::Text(text)) => Some(vec![text.clone()]),
        Some(YamlData::List(items)) => items
            .iter()
            .map(|item| item.text().map(str::to_owned))
            .collect(),
        Some(_) => None,
    }
}

fn read(
    reader: &mut Reader,
    include: Include,
    batch: &FileSet<'_>,
    including: &[String],
) -> Result<YamlNode, Errors> {
    let absolute = |base: &str, path: &str| {
        if path.starts_with('/') {
            path.to_owned()
        } else {
            join(base, path)
        }
    };
    for path in &include.paths {
        load::local(path, &include.place)?;
    }
    let files: Vec<String> = include
        .paths
        .iter()
        .map(|path| absolute(batch.root, path))
        .collect();
    let Some(main) = files.first() else {
        // Nothing is included, but what is wrong with the env files is reported. Compose makes the folder relative to
        // the project's only for the sake of a path: here it starts where the command is run.
        environment(reader, &include, &include.project_directory, batch)?;
        return Ok(YamlNode::new(&include.place, YamlData::Map(Vec::new())));
    };
    if including.contains(main) || including.len() > MAX_DEPTH {
        return Err(cycle(&include.place, including, main).into());
    }
    let (folder, root) = match include.project_directory.as_str() {
        "" => (folder(reader, batch.root, main), dir(main)),
        path if path.starts_with('/') => (path.to_owned(), path.to_owned()),
        path => (folder(reader, batch.root, path), join(batch.dir, path)),
    };
    let environment = environment(reader, &include, &root, batch)?;
    let inner = FileSet {
        files: &files,
        dir: &folder,
        root: &root,
        environment: &environment,
        from: Some(&include.place),
        including,
    };
    reader.batch(&inner)
}

/// The variables around the project beat those of the include's own env files, or of the `.env` in its folder.
fn environment(
    reader: &Reader,
    include: &Include,
    root: &str,
    batch: &FileSet<'_>,
) -> Result<ComposeVariables> {
    let mut files = Vec::new();
    for file in &include.env_files {
        let path = if file.starts_with('/') {
            file.clone()
        } else {
            reader.absolute(&join(batch.dir, file))
        };
        // Neither: a device is fine, and `/dev/null` is how people ask for no variables.
        if !Path::new(&path).exists() || Path::new(&path).is_dir() {
            let message = format!("the env file `{file}` does not exist");
            return Err(include.place.error(Code::ComposeFile, message));
        }
        files.push(path);
    }
    let own = reader.absolute(&join(root, ".env"));
    if include.env_files.is_empty() && Path::new(&own).is_file() {
        files.push(own);
    }
    let mut environment = read_env_files(&files, batch.environment)?;
    environment.extend(
        batch
            .environment
            .iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    Ok(environment)
}

fn cycle(place: &Place, including: &[String], main: &str) -> Error {
    let way: Vec<_> = including.iter().map(String::as_str).chain([main]).collect();
    place.error(
        Code::ComposeCycle,
        format!("`include` goes in a circle: {}", way.join(" → ")),
    )
}

fn import(mut imported: YamlNode, root: &mut YamlNode) -> Result<()> {
    for section in SECTIONS {
        let Some(YamlEntry {
            value: from, place, ..
        }) = imported.remove(section)
        else {
            continue;
        };
        let YamlData::Map(entries) = from.data else {
            continue;
        };
        root.default(section, YamlData::Map(Vec::new()));
        let Some(to) = root.get_mut(section) else {
            continue;
        };
        if !to.is_map() {
            return Err(to
                .place
                .error(Code::ComposeValue, format!("`{section}` must be a mapping")));
        }
        add(entries, to, section, &place)?;
    }
    Ok(())
}

fn add(entries: Vec<YamlEntry>, to: &mut YamlNode, section: &str, include: &Place) -> Result<()> {
    let known: std::collections::HashMap<String, usize> = to
        .entries()
        .iter()
        .enumerate()
        .map(|(index, entry)| (entry.key.clone(), index))
        .collect();
    let YamlData::Map(target) = &mut to.data else {
        return Ok(());
    };
    for entry in entries {
        match known.get(&entry.key).and_then(|index| target.get(*index)) {
            None => target.push(entry),
            Some(own) if own.value.same(&entry.value) => {}
            Some(own) => {
                let message = format!(
                    "`{section}.{}` is also in an included file, and differs",
                    entry.key
                );
                let there = format!(
                    "{}:{}: the included one",
                    entry.place.file.display(),
                    entry.place.line
                );
                return Err(own.place.error(Code::ComposeInclude, message).evidence(there).hint(format!(
                    "rename one of them, or put the differences into an override file beside `{}`",
                    include.file.display()
                )));
            }
        }
    }
    Ok(())
}
