//! Whole files in, projects or problem lists out.

mod broken;
mod checkouts;
mod hostile;
mod problems;
mod profiles;
mod projects;
mod sources;
mod test_commands;

use std::path::{Path, PathBuf};

use include_dir::{Dir, DirEntry, File};
use tempfile::TempDir;

use super::read::{Source, load_with};
use super::{Project, ReleaseConfig, ReleaseSource};
use crate::error::Errors;
use crate::paths::Paths;

/// A built-in profile as the binary would embed it.
static PROFILES: Dir<'static> = Dir::new(
    "",
    &[
        DirEntry::Dir(Dir::new("mini", MINI)),
        DirEntry::Dir(Dir::new("notes", &[])),
    ],
);

const MINI: &[DirEntry<'static>] = &[
    DirEntry::File(File::new("mini/devk.yaml", MINI_YAML.as_bytes())),
    DirEntry::Dir(Dir::new(
        "mini/chart",
        &[DirEntry::File(File::new(
            "mini/chart/Chart.yaml",
            b"name: mini\n",
        ))],
    )),
    DirEntry::Dir(Dir::new(
        "mini/api",
        &[DirEntry::File(File::new(
            "mini/api/Dockerfile",
            b"FROM scratch\n",
        ))],
    )),
    DirEntry::File(File::new("mini/seed.sh", b"#!/bin/sh\n")),
    DirEntry::Dir(Dir::new(
        "mini/node_modules",
        &[DirEntry::File(File::new("mini/node_modules/x.js", b""))],
    )),
];

const MINI_YAML: &str = "\
name: mini
images:
  api: {context: ./api, args: {A: one, B: two}}
releases:
  - name: base
    chart: ./chart
    set: {replicas: 1, pool: {size: 2}}
  - name: extra
    chart: ./chart
forwards:
  api: 5000
  web: {service: mini-web, port: 4173}
";

/// A folder `shop` with a chart, a values file and two build contexts, and a data folder beside it.
struct Shop {
    dir: TempDir,
}

impl Shop {
    fn new() -> Self {
        let shop = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        shop.write("chart/Chart.yaml", "name: shop\n");
        shop.write("values-dev.yaml", "");
        shop.write("api/Dockerfile", "");
        shop.write("web/Dockerfile.dev", "");
        shop.write("empty/notes.txt", "");
        shop
    }

    /// A shop with this devk.yaml.
    fn with(yaml: &str) -> Self {
        let shop = Self::new();
        shop.write("devk.yaml", yaml);
        shop
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("shop")
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let file = self.root().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }

    fn paths(&self) -> Paths {
        Paths::below(self.dir.path())
    }

    fn source(&self) -> Source {
        Source {
            dir: self.root(),
            file: None,
            profile: None,
        }
    }

    fn load(&self) -> Result<Project, Errors> {
        load_with(&self.source(), &self.paths(), &PROFILES)
    }

    /// The problems, as a user reads them; paths from the shop's folder.
    fn problems(&self) -> String {
        self.render(&self.load().unwrap_err())
    }

    fn render(&self, errors: &Errors) -> String {
        let lines = errors.0.iter().map(|error| {
            let hint = error
                .hint
                .as_ref()
                .map(|hint| format!("  {hint}\n"))
                .unwrap_or_default();
            format!("{error} [{}]\n{hint}", error.code)
        });
        let text: String = lines.collect();
        let root = self.root().display().to_string();
        text.replace(&format!("{root}/"), "")
            .replace(&root, "SHOP")
            .replace(&self.dir.path().display().to_string(), "")
    }
}

/// The problems of a devk.yaml in a shop.
fn problems(yaml: &str) -> String {
    Shop::with(yaml).problems()
}

fn chart_of(release: &ReleaseConfig) -> &Path {
    match &release.source {
        ReleaseSource::Chart(folder) => folder,
        other => panic!("no chart: {other:?}"),
    }
}

fn relative(path: &Path, shop: &Shop) -> String {
    path.strip_prefix(shop.dir.path())
        .unwrap()
        .display()
        .to_string()
}
