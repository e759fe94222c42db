//! The values of a release: the user's files with `${…}` resolved, and above them one file of
//! devk's with inline `set`, image references and generated secrets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::yaml;
use crate::config::{ImagePaths, Origin, ReleaseConfig};
use crate::error::{Code, Error, Errors, Result};
use crate::image::ImageRef;

/// Replaces the `${…}` references in a whole text; the path says which file it comes from.
pub type Resolve<'a> = dyn Fn(&str, &Path) -> Result<String, Errors> + Send + Sync + 'a;

/// An image and the value paths that its reference was written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedImage {
    pub image: ImageRef,
    pub paths: ImagePaths,
}

/// One of the user's values files, resolved.
#[derive(Debug, Clone)]
pub(super) struct ResolvedFile {
    pub(super) source: PathBuf,
    pub(super) text: String,
    pub(super) values: Value,
}

/// Reads and resolves the user's values files, in their order.
///
/// # Errors
/// [`Code::ConfigPath`], [`Code::ConfigSyntax`] and whatever `resolve` finds, all together.
pub(super) fn resolve_files(
    files: &[PathBuf],
    resolve: &Resolve<'_>,
) -> Result<Vec<ResolvedFile>, Errors> {
    let mut resolved = Vec::new();
    let mut problems = Vec::new();
    for file in files {
        match resolve_file(file, resolve) {
            Ok(file) => resolved.push(file),
            Err(errors) => problems.extend(errors.0),
        }
    }
    Errors::unless_empty(problems, resolved)
}

fn resolve_file(file: &Path, resolve: &Resolve<'_>) -> Result<ResolvedFile, Errors> {
    let text = std::fs::read_to_string(file).map_err(|e| {
        Error::new(
            Code::ConfigPath,
            format!("cannot read the values file: {e}"),
        )
        .at(file, None)
    })?;
    let text = resolve(&text, file)?;
    let values = yaml::parse(&text)
        .map_err(|(message, line)| Error::new(Code::ConfigSyntax, message).at(file, line))?;
    Ok(ResolvedFile {
        source: file.to_owned(),
        text,
        values,
    })
}

/// Inline `set`: the keys at the top are dotted paths, as with `helm --set`; below them keys are
/// literal. `${…}` is resolved in every string.
///
/// # Errors
/// Whatever `resolve` finds, at the release's line.
pub(super) fn resolve_set(
    set: &Value,
    origin: &Origin,
    resolve: &Resolve<'_>,
) -> Result<Value, Errors> {
    let mut values = Value::Object(Map::new());
    let mut problems = Vec::new();
    for (path, value) in set.as_object().into_iter().flatten() {
        let mut value = value.clone();
        resolve_strings(
            &mut value,
            &|text| resolve(text, &origin.file),
            &mut problems,
        );
        set_path(&mut values, path, value);
    }
    // The text is a part of devk.yaml: only the release's line is known.
    let problems = problems
        .into_iter()
        .map(|e: Error| e.at(&origin.file, origin.line))
        .collect();
    Errors::unless_empty(problems, values)
}

fn resolve_strings(
    value: &mut Value,
    resolve: &dyn Fn(&str) -> Result<String, Errors>,
    problems: &mut Vec<Error>,
) {
    match value {
        Value::String(text) => match resolve(text) {
            Ok(resolved) => *text = resolved,
            Err(errors) => problems.extend(errors.0),
        },
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| resolve_strings(item, resolve, problems)),
        Value::Object(map) => map
            .values_mut()
            .for_each(|item| resolve_strings(item, resolve, problems)),
        _ => {}
    }
}

/// Writes the reference into devk's values. Where the chart keeps a `registry` beside the
/// `repository`, the reference is split, and a pinned `digest` is cleared: it would win over the tag.
pub(super) fn set_image(values: &mut Value, chart: &Value, mapped: &MappedImage) {
    let ImagePaths { repository, tag } = &mapped.paths;
    let siblings = repository
        .strip_suffix(".repository")
        .and_then(|block| Some((block, get_path(chart, block)?)));
    let mut name = mapped.image.repository.as_str();
    if let Some((block, siblings)) = siblings {
        if let (Some(_), Some((registry, rest))) = (siblings.get("registry"), name.split_once('/'))
        {
            set_path(values, &format!("{block}.registry"), json!(registry));
            name = rest;
        }
        if siblings
            .get("digest")
            .and_then(Value::as_str)
            .is_some_and(|digest| !digest.is_empty())
        {
            set_path(values, &format!("{block}.digest"), json!(""));
        }
    }
    set_path(values, repository, json!(name));
    set_path(values, tag, json!(mapped.image.tag));
}

/// A map of a chart's values with `repository` and `tag`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageBlock {
    /// The dotted path of the map.
    pub path: String,
    /// The repository that stands there, a `registry` beside it in front.
    pub repository: Option<String>,
}

impl ImageBlock {
    /// An image whose reference goes in here.
    pub fn take(&self, image: &ImageRef) -> MappedImage {
        MappedImage {
            image: image.clone(),
            paths: self.paths(),
        }
    }

    /// The value paths that take an image here.
    pub fn paths(&self) -> ImagePaths {
        ImagePaths {
            repository: format!("{}.repository", self.path),
            tag: format!("{}.tag", self.path),
        }
    }
}

/// The images whose value paths devk.yaml names for a release.
pub fn explicit(images: &[ImageRef], release: &ReleaseConfig) -> Vec<MappedImage> {
    let mapped = images.iter().filter_map(|image| {
        Some(MappedImage {
            image: image.clone(),
            paths: release.images.get(&image.name)?.clone(),
        })
    });
    mapped.collect()
}

/// The blocks that are named like an image; for the only image of a project also the block `image`.
pub fn named_blocks<'a>(
    name: &str,
    blocks: &'a [ImageBlock],
    only_image: bool,
) -> Vec<&'a ImageBlock> {
    let is_named = |block: &&ImageBlock| {
        split(&block.path)
            .iter()
            .any(|part| plain(part) == plain(name))
    };
    let found: Vec<_> = blocks.iter().filter(is_named).collect();
    match found.is_empty() && only_image {
        true => blocks
            .iter()
            .filter(|block| block.path == "image")
            .collect(),
        false => found,
    }
}

/// `todoApi`, `todo-api` and `todo_api` are the same name.
pub(super) fn plain(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// All blocks of the values, sorted by their paths.
pub fn image_blocks(values: &Value) -> Vec<ImageBlock> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), values)];
    while let Some((path, value)) = open.pop() {
        let Some(map) = value.as_object() else {
            continue;
        };
        if !path.is_empty() && map.contains_key("repository") && map.contains_key("tag") {
            found.push(ImageBlock {
                path: path.clone(),
                repository: repository(map),
            });
        }
        open.extend(map.iter().map(|(key, value)| (join(&path, key), value)));
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn repository(block: &Map<String, Value>) -> Option<String> {
    let text = |key: &str| block.get(key)?.as_str().filter(|text| !text.is_empty());
    let repository = text("repository")?;
    Some(match text("registry") {
        Some(registry) => format!("{registry}/{repository}"),
        None => repository.to_owned(),
    })
}

/// devk's own values file: `set`, then image references, then generated secrets, then what is decided.
pub(super) fn devk_values(
    mut set: Value,
    chart: &Value,
    images: &[MappedImage],
    generated: &BTreeMap<String, String>,
    decided: &[(String, Value)],
) -> Value {
    for mapped in images {
        set_image(&mut set, chart, mapped);
    }
    for (path, value) in generated {
        set_path(&mut set, path, json!(value));
    }
    for (path, value) in decided {
        set_path(&mut set, path, value.clone());
    }
    set
}

/// Sets the value at a dotted path, making maps on the way; `\.` is a dot within a key. Maps are
/// merged, anything else in the way is replaced.
pub fn set_path(values: &mut Value, path: &str, value: Value) {
    let mut place = values;
    for part in split(path) {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        place = &mut place[part.as_str()];
    }
    yaml::merge(place, value);
}

/// The value at a dotted path; `\.` is a dot within a key.
pub fn get_path<'a>(values: &'a Value, path: &str) -> Option<&'a Value> {
    split(path)
        .iter()
        .try_fold(values, |place, part| place.get(part))
}

/// The dotted path of a key below the one at `path`.
pub fn join(path: &str, key: &str) -> String {
    let key = key.replace('.', r"\.");
    if path.is_empty() {
        key
    } else {
        format!("{path}.{key}")
    }
}

/// What is no map among the values, by its dotted path, in the order of the values.
pub fn leaves(values: &Value) -> Vec<(String, &Value)> {
    let mut found = vec![];
    collect_leaves(values, "", &mut found);
    found
}

fn collect_leaves<'a>(value: &'a Value, path: &str, found: &mut Vec<(String, &'a Value)>) {
    match value {
        Value::Object(map) => {
            for (key, below) in map {
                collect_leaves(below, &join(path, key), found);
            }
        }
        leaf => found.push((path.to_owned(), leaf)),
    }
}

/// The keys of a dotted path.
pub fn split(path: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => part.extend(chars.next()),
            '.' => parts.push(std::mem::take(&mut part)),
            c => part.push(c),
        }
    }
    parts.push(part);
    parts
}

#[cfg(test)]
mod tests {
    use super::super::prepare::fixture;
    use super::*;

    fn image(name: &str) -> ImageRef {
        ImageRef {
            name: name.into(),
            repository: format!("devk.local/shop/{name}"),
            tag: "0123456789abcdef".into(),
        }
    }

    fn mapped(name: &str, block: &str) -> MappedImage {
        let block = ImageBlock {
            path: block.into(),
            repository: None,
        };
        MappedImage {
            image: image(name),
            paths: block.paths(),
        }
    }

    #[test]
    fn a_dotted_path_makes_maps_and_a_backslash_keeps_a_dot() {
        let mut values = json!({"a": "scalar", "keep": 1});
        set_path(&mut values, r"a.b\.c.d", json!(true));
        set_path(&mut values, "a", json!({"e": 2}));
        assert_eq!(
            values,
            json!({"a": {"b.c": {"d": true}, "e": 2}, "keep": 1})
        );
    }

    #[test]
    fn a_block_is_found_by_a_name_anywhere_in_its_path() {
        let blocks = image_blocks(&json!({
            "todoApi": {"image": {"repository": "r", "tag": "t", "registry": "localhost"}},
            "images": {"web": {"repository": "", "tag": ""}},
            "sidecar": {"image": {"repository": "r", "tag": "t"}},
            "image": {"repository": "nginx", "tag": ""},
        }));
        let named = |name: &str, only_image| {
            named_blocks(name, &blocks, only_image)
                .into_iter()
                .map(|block| (block.path.as_str(), block.repository.as_deref()))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            named("todo-api", false),
            [("todoApi.image", Some("localhost/r"))]
        );
        assert_eq!(named("web", false), [("images.web", None)]);
        assert_eq!(named("shop", false), []);
        assert_eq!(named("shop", true), [("image", Some("nginx"))]);
    }

    #[test]
    fn a_registry_is_split_off_and_a_digest_cleared() {
        let chart = json!({"image": {"registry": "docker.io", "repository": "r", "tag": "t", "digest": "sha256:1"}});
        let values = devk_values(
            json!({}),
            &chart,
            &[mapped("api", "image")],
            &BTreeMap::new(),
            &[],
        );
        let expected = json!({"registry": "devk.local", "digest": "", "repository": "shop/api", "tag": "0123456789abcdef"});
        assert_eq!(values, json!({"image": expected}));
    }

    #[test]
    fn what_is_decided_stands_above_set_and_secrets() {
        let generated = [("db.password".to_owned(), "generated".to_owned())].into();
        let decided = [
            ("db.password".to_owned(), json!("compose's")),
            ("db.enabled".to_owned(), json!(false)),
        ];
        let values = devk_values(
            json!({"db": {"enabled": true, "size": 1}}),
            &json!({}),
            &[],
            &generated,
            &decided,
        );
        assert_eq!(
            values,
            json!({"db": {"enabled": false, "size": 1, "password": "compose's"}})
        );
    }

    #[test]
    fn set_takes_dotted_paths_and_resolves_strings() {
        let set = json!({"postgresql.enabled": false, "urls": ["${forward.api.url}"]});
        let resolve =
            |text: &str, _: &Path| Ok(text.replace("${forward.api.url}", "http://127.0.0.1:15000"));
        let values = resolve_set(&set, &fixture::release().origin, &resolve).unwrap();
        assert_eq!(
            values,
            json!({"postgresql": {"enabled": false}, "urls": ["http://127.0.0.1:15000"]})
        );
    }

    #[test]
    fn what_set_names_in_vain_is_reported_at_the_release() {
        let origin = fixture::release().origin;
        let resolve = |_: &str, file: &Path| -> Result<String, Errors> {
            Err(Error::new(Code::ConfigVariable, "none").at(file, 99).into())
        };
        let errors = resolve_set(
            &json!({"a": ["x\n${forward.no.url}"], "b": 5}),
            &origin,
            &resolve,
        )
        .unwrap_err();
        assert_eq!(
            errors.0.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["/devk.yaml:7: none"]
        );
    }

    #[test]
    fn all_broken_files_are_reported_together() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing.yaml");
        let broken = dir.path().join("broken.yaml");
        std::fs::write(&broken, "a: [\n").unwrap();
        let errors = resolve_files(&[missing, broken], &|text: &str, _: &Path| {
            Ok(text.to_owned())
        })
        .unwrap_err();
        let codes: Vec<_> = errors.0.iter().map(|e| e.code).collect();
        assert_eq!(codes, [Code::ConfigPath, Code::ConfigSyntax]);
    }
}
