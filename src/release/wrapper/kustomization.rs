//! Which files a kustomization reads, by what it says: for the cache of its rendering, and for the session's watch.
//!
//! kustomize does not tell what it has read. So the fields that name files are followed, through all local bases and
//! components. Of a field that devk does not know, of plugins and of a kustomization that cannot be read, devk cannot say
//! which files they name: there the whole folder counts, and a change of any file in it is a new rendering.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::config::KUSTOMIZATION_FILES;
use crate::release::chart::normalize;
use crate::release::yaml;

/// Fields that name files of objects, or folders with a kustomization.
const RESOURCES: &[&str] = &["resources", "bases", "components"];

/// Fields that name files, as texts. A text with several lines is the content itself.
const FILES: &[&str] = &["crds", "configurations", "patchesStrategicMerge"];

/// Fields whose items, or which themselves, have the name of a file as `path`.
const WITH_PATH: &[&str] = &["patches", "patchesJson6902", "replacements", "openapi"];

/// Fields that make ConfigMaps and Secrets, with the kind that each makes.
const GENERATORS: &[(&str, &str)] = &[
    ("configMapGenerator", "ConfigMap"),
    ("secretGenerator", "Secret"),
];

/// Fields that name no file.
const PLAIN: &[&str] = &[
    "apiVersion",
    "buildMetadata",
    "commonAnnotations",
    "commonLabels",
    "generatorOptions",
    "imageTags",
    "images",
    "kind",
    "labels",
    "metadata",
    "namePrefix",
    "nameSuffix",
    "namespace",
    "replicas",
    "sortOptions",
    "vars",
];

/// What a kustomization reads.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct KustomizationInputs {
    /// Files by name. Some may not be there: they count when they come.
    pub files: BTreeSet<PathBuf>,
    /// Folders of which every file counts.
    pub folders: BTreeSet<PathBuf>,
    /// The files of objects among `files`, those of the bases first.
    pub resources: Vec<PathBuf>,
    /// The kustomization that makes a ConfigMap or Secret, by its kind and name.
    pub made: BTreeMap<(String, String), PathBuf>,
}

impl KustomizationInputs {
    pub fn of(folder: &Path) -> Self {
        let mut found = Self::default();
        found.visit(&normalize(folder), &mut BTreeSet::new());
        found
    }

    fn visit(&mut self, folder: &Path, visited: &mut BTreeSet<PathBuf>) {
        if !visited.insert(folder.to_owned()) {
            return;
        }
        let names = KUSTOMIZATION_FILES.map(|name| folder.join(name));
        self.files.extend(names.iter().cloned());
        let Some(file) = names.iter().find(|file| file.is_file()) else {
            return;
        };
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let Ok(Value::Object(fields)) = yaml::parse(&text) else {
            self.folders.insert(folder.to_owned());
            return;
        };
        for (field, value) in &fields {
            let items: Vec<&Value> = value
                .as_array()
                .map_or_else(|| vec![value], |items| items.iter().collect());
            let field = field.as_str();
            let generator = GENERATORS.iter().find(|(name, _)| *name == field);
            if RESOURCES.contains(&field) {
                texts(&items).for_each(|text| self.resource(folder, text, visited));
            } else if FILES.contains(&field) {
                texts(&items).for_each(|text| self.file(folder, text));
            } else if WITH_PATH.contains(&field) {
                let paths = items.iter().filter_map(|item| item["path"].as_str());
                paths.for_each(|text| self.file(folder, text));
            } else if let Some((_, kind)) = generator {
                for item in items {
                    self.generator(folder, item);
                    let name = item["name"].as_str().unwrap_or_default().to_owned();
                    self.made.insert(((*kind).to_owned(), name), file.clone());
                }
            } else if !PLAIN.contains(&field) {
                // A plugin's configuration names files in ways of its own.
                self.folders.insert(folder.to_owned());
            }
        }
    }

    fn resource(&mut self, folder: &Path, text: &str, visited: &mut BTreeSet<PathBuf>) {
        let path = normalize(&folder.join(text));
        if path.is_dir() {
            return self.visit(&path, visited);
        }
        // One on another machine is none of this one's files; kustomize fetches it anew only for a new rendering.
        let is_remote = text.contains("://") || text.starts_with("git@") || text.contains("?ref=");
        if !is_remote || path.exists() {
            self.resources.push(path.clone());
            self.add(path);
        }
    }

    fn file(&mut self, folder: &Path, text: &str) {
        if !text.contains('\n') {
            self.add(normalize(&folder.join(text)));
        }
    }

    /// A file, also one that may yet come. In a folder that is not there nothing can be watched: such a name is perhaps
    /// that of a remote repository, else the kustomization does not render.
    fn add(&mut self, file: PathBuf) {
        if file.parent().is_some_and(Path::is_dir) {
            self.files.insert(file);
        }
    }

    /// `files: [name, KEY=name]`, `envs: [name]` and the older `env: name`.
    fn generator(&mut self, folder: &Path, item: &Value) {
        let list = |key: &str| item[key].as_array().into_iter().flatten();
        let files = list("files").filter_map(Value::as_str);
        let names = files.map(|text| text.split_once('=').map_or(text, |(_, name)| name));
        let envs = list("envs").chain([&item["env"]]).filter_map(Value::as_str);
        let names: Vec<_> = names.chain(envs).collect();
        names.into_iter().for_each(|name| self.file(folder, name));
    }
}

fn texts<'a>(items: &[&'a Value]) -> impl Iterator<Item = &'a str> {
    let texts: Vec<_> = items.iter().filter_map(|item| item.as_str()).collect();
    texts.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(files: &[(&str, &str)]) -> (tempfile::TempDir, KustomizationInputs) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let file = dir.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        let found = KustomizationInputs::of(&dir.path().join("overlays/./dev"));
        (dir, found)
    }

    /// Relative, without the names under which a kustomization may yet come.
    fn shown(dir: &tempfile::TempDir, paths: &BTreeSet<PathBuf>) -> Vec<String> {
        let there = paths.iter().filter(|path| {
            !path.ends_with("Kustomization") && !path.ends_with("kustomization.yml")
        });
        let relative = there.map(|path| path.strip_prefix(dir.path()).unwrap());
        relative.map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn every_field_that_names_a_file_is_followed_through_bases_and_components() {
        let overlay = "\
resources: [../../base, extra.yaml, 'https://example.invalid/x.yaml', 'git@example.invalid:a/b?ref=v1']
components: [../../parts/tls]
patches:
- path: patch.yaml
- patch: '- {op: add}'
patchesStrategicMerge: [merge.yaml, \"kind: A\\nmetadata: {}\\n\"]
patchesJson6902: [{path: json.yaml}]
replacements: [{path: replace.yaml}, {source: {}}]
crds: [crd.json]
configurations: [names.yaml]
openapi: {path: schema.json}
configMapGenerator: [{name: a, files: [a.txt, KEY=b.txt], envs: [a.env], env: old.env}]
secretGenerator: [{name: s, files: [s.txt]}]
namePrefix: dev-
";
        let (dir, found) = inputs(&[
            ("overlays/dev/kustomization.yaml", overlay),
            ("base/kustomization.yaml", "resources: [api.yaml]"),
            (
                "parts/tls/kustomization.yaml",
                "kind: Component\nresources: [tls.yaml]",
            ),
        ]);
        assert_eq!(
            shown(&dir, &found.files),
            [
                "base/api.yaml",
                "base/kustomization.yaml",
                "overlays/dev/a.env",
                "overlays/dev/a.txt",
                "overlays/dev/b.txt",
                "overlays/dev/crd.json",
                "overlays/dev/extra.yaml",
                "overlays/dev/json.yaml",
                "overlays/dev/kustomization.yaml",
                "overlays/dev/merge.yaml",
                "overlays/dev/names.yaml",
                "overlays/dev/old.env",
                "overlays/dev/patch.yaml",
                "overlays/dev/replace.yaml",
                "overlays/dev/s.txt",
                "overlays/dev/schema.json",
                "parts/tls/kustomization.yaml",
                "parts/tls/tls.yaml",
            ]
        );
        assert_eq!(found.folders, BTreeSet::new());
        let secret = ("Secret".to_owned(), "s".to_owned());
        assert_eq!(
            found.made[&secret],
            dir.path().join("overlays/dev/kustomization.yaml")
        );
    }

    #[test]
    fn where_devk_cannot_know_the_files_the_whole_folder_counts() {
        for text in [
            "generators: [plugin.yaml]",
            "helmCharts: [{name: a}]",
            "a: [",
            "- a list",
        ] {
            let (dir, found) = inputs(&[("overlays/dev/kustomization.yaml", text)]);
            assert_eq!(shown(&dir, &found.folders), ["overlays/dev"], "{text}");
        }
    }

    #[test]
    fn kustomizations_that_name_each_other_end() {
        let (_dir, found) = inputs(&[
            ("overlays/dev/kustomization.yaml", "resources: [../../base]"),
            ("base/kustomization.yaml", "resources: [../overlays/dev]"),
        ]);
        assert_eq!(found.folders, BTreeSet::new());
    }
}
