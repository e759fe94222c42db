//! Documents as the files of a chart.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::{CrdManifest, ManifestDocument, Object, Wrapped};
use crate::release::files::FileEntry;
use crate::release::hasher::PartsHasher;
use crate::release::manifest;

/// A Go template for `{{`.
const BRACES: &str = "{{ \"{{\" }}";

/// The beginning of a Namespace's template.
const CONDITION: &str = "{{ if ne .Release.Namespace ";

/// The documents of a release, by the user's files.
pub(super) struct Templates {
    /// User's file, relative to devk.yaml's folder → name of the template, without folder.
    names: BTreeMap<PathBuf, String>,
    documents: Vec<(PathBuf, ManifestDocument)>,
}

impl Templates {
    /// `root` is the folder of devk.yaml.
    pub(super) fn of(documents: Vec<ManifestDocument>, root: &Path) -> Self {
        let relative = |file: &Path| file.strip_prefix(root).unwrap_or(file).to_owned();
        let documents: Vec<_> = documents
            .into_iter()
            .filter_map(|document| {
                let file = relative(&document.objects.first()?.file);
                Some((file, document))
            })
            .collect();
        Self {
            names: names(documents.iter().map(|(file, _)| file)),
            documents,
        }
    }

    /// The files of the chart.
    pub(super) fn chart(&self, release: &str) -> Vec<FileEntry> {
        let meta = format!(
            "apiVersion: v2\nname: {release}\nversion: 0.0.0\ndescription: made by devk of manifests\n"
        );
        let mut files = BTreeMap::from([(PathBuf::from("Chart.yaml"), meta)]);
        for (file, document) in &self.documents {
            let (place, text) = match document.is_definition() {
                true => ("crds", document.marked(file)),
                false => ("templates", escaped(&document.marked(file))),
            };
            let text = match document.namespace() {
                Some(name) => unless_own(name, &text),
                None => text,
            };
            let path = Path::new(place).join(&self.names[file]);
            files
                .entry(path)
                .or_default()
                .push_str(&format!("---\n{text}"));
        }
        let entries = files.into_iter();
        entries
            .map(|(path, text)| FileEntry {
                path,
                content: text.into_bytes(),
            })
            .collect()
    }

    pub(super) fn record(&self, chart: &[FileEntry]) -> Wrapped {
        let hasher = chart.iter().fold(PartsHasher::default(), |hasher, entry| {
            hasher
                .part(entry.path.as_os_str().as_encoded_bytes())
                .part(&entry.content)
        });
        let of = |folder: &'static str| {
            let names = self.names.iter();
            names.map(move |(file, name)| (Path::new(folder).join(name), file.clone()))
        };
        let definitions = self
            .documents
            .iter()
            .filter(|(_, document)| document.is_definition());
        let definitions = definitions.flat_map(|(file, document)| {
            document.objects.iter().map(|object| CrdManifest {
                name: object.name.clone(),
                text: document.text.clone(),
                file: file.clone(),
                line: object.line,
                copy: Path::new("crds").join(&self.names[file]),
            })
        });
        let namespaces = self
            .documents
            .iter()
            .filter_map(|(_, document)| document.namespace());
        Wrapped {
            hash: hasher.hex(),
            files: of("templates").chain(of("crds")).collect(),
            definitions: definitions.collect(),
            namespaces: namespaces.map(str::to_owned).collect(),
        }
    }
}

impl ManifestDocument {
    fn is_definition(&self) -> bool {
        self.objects.iter().all(Object::is_definition)
    }

    /// The name of a Namespace.
    fn namespace(&self) -> Option<&str> {
        match &self.objects[..] {
            [one] if one.is_namespace() => Some(&one.name),
            _ => None,
        }
    }

    /// The text between two comments. helm takes the white space around a document away: that would be the indentation
    /// of the first line, and the empty lines at the end of a text in `|+` style.
    fn marked(&self, file: &Path) -> String {
        let end = if self.text.ends_with('\n') { "" } else { "\n" };
        let name: String = file
            .to_string_lossy()
            .chars()
            .map(|c| if c.is_control() { '?' } else { c })
            .collect();
        format!("# {name}\n{}{end}# end\n", self.text)
    }
}

/// Text that a Go template gives back as it is: `{{` alone begins anything there.
fn escaped(text: &str) -> String {
    text.replace("{{", BRACES)
}

/// A template with the text behind it changed. What is a template in it stays, which is the block around a Namespace.
///
/// # Errors
/// What `change` says.
pub(super) fn changed<E>(
    template: &str,
    mut change: impl FnMut(&str) -> Result<String, E>,
) -> Result<String, E> {
    let mut text = String::with_capacity(template.len());
    let mut done = 0;
    for range in manifest::documents(template) {
        let document = &template[range.clone()];
        if !document.starts_with(CONDITION) {
            text.push_str(&template[done..range.start]);
            let plain = document.replace(BRACES, "{{");
            text.push_str(&escaped(&change(&plain)?));
            done = range.end;
        }
    }
    text.push_str(&template[done..]);
    Ok(text)
}

/// devk makes the project's own namespace, and helm does not take it over.
fn unless_own(namespace: &str, text: &str) -> String {
    let name = namespace.replace(['"', '\\', '\n'], "");
    format!("{CONDITION}\"{name}\" }}}}\n{text}{{{{ end }}}}\n")
}

/// A name for each file: its path from the folder of devk.yaml. helm leaves out what begins with `_` or `.`, and takes
/// NOTES.txt for something else.
fn names<'a>(files: impl Iterator<Item = &'a PathBuf>) -> BTreeMap<PathBuf, String> {
    let mut taken = BTreeSet::new();
    let mut names = BTreeMap::new();
    for file in files.collect::<BTreeSet<_>>() {
        let parts = file.components().filter_map(|part| match part {
            Component::Normal(part) => Some(part.to_string_lossy().into_owned()),
            Component::ParentDir => Some("up".to_owned()),
            _ => None,
        });
        let parts = parts.map(|part| {
            let clean = part.replace(|c: char| c.is_control() || "\\:\"'`".contains(c), "-");
            match clean.starts_with(['_', '.']) {
                true => format!("x{clean}"),
                false => clean,
            }
        });
        let mut name = parts.collect::<Vec<_>>().join("/");
        let is_yaml = [".yaml", ".yml", ".json"]
            .iter()
            .any(|end| name.ends_with(end));
        if !is_yaml {
            name.push_str(".yaml");
        }
        while !taken.insert(name.clone()) {
            name = format!("again/{name}");
        }
        names.insert(file.clone(), name);
    }
    names
}
