//! A release with other values, for looking at what its chart renders to; it is never installed.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::capabilities::Capabilities;
use super::chart::Chart;
use super::files;
use super::hasher::PartsHasher;
use super::helm::Helm;
use super::layout::values_dir;
use super::prepare::Prepared;
use super::{render, yaml};
use crate::config::{Origin, Project, ReleaseConfig, ReleaseSource};
use crate::error::{Code, Error, Errors, Result};
use crate::paths::{Paths, write_atomic};

/// A file of a chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartFile {
    /// Relative to the chart's folder.
    pub path: PathBuf,
    /// None if it is no text, such as an archive.
    pub text: Option<String>,
}

/// The files of a chart's folder, sorted by path.
///
/// # Errors
/// [`Code::ConfigPath`] if something cannot be read.
pub fn chart_files(folder: &Path) -> Result<Vec<ChartFile>> {
    let files = files::read(folder)?.into_iter();
    let read = |file: files::FileEntry| ChartFile {
        path: file.path,
        text: String::from_utf8(file.content).ok(),
    };
    Ok(files.map(read).collect())
}

/// Writes the files of a chart to another folder.
///
/// # Errors
/// [`Code::ConfigPath`] if something cannot be read, [`Code::StateIo`] if it cannot be written.
pub fn copy_chart(folder: &Path, to: &Path) -> Result<()> {
    files::write(&files::read(folder)?, to)
}

/// A release of a chart's folder, with nothing but the chart's own values.
pub fn chart_release(folder: &Path, name: &str) -> ReleaseConfig {
    ReleaseConfig {
        name: name.to_owned(),
        source: ReleaseSource::Chart(folder.to_owned()),
        values: vec![],
        set: Value::Object(serde_json::Map::new()),
        images: std::collections::BTreeMap::new(),
        generate: std::collections::BTreeMap::new(),
        timeout: std::time::Duration::ZERO,
        replace_jobs: false,
        origin: Origin {
            file: folder.join("Chart.yaml"),
            line: 1,
        },
    }
}

impl Prepared {
    /// The chart alone, with nothing but its own values.
    ///
    /// # Errors
    /// Those of [`Chart::open`].
    pub async fn of_chart(
        release: &ReleaseConfig,
        project: &Project,
        helm: &Helm,
        cache: &Path,
    ) -> Result<Self, Errors> {
        let chart = Chart::open(release, helm, cache).await?;
        let hash = PartsHasher::default()
            .part(&release.name)
            .part(&project.id)
            .part(&chart.hash)
            .hex();
        Ok(Self {
            name: release.name.clone(),
            namespace: project.id.clone(),
            images: vec![],
            blocks: vec![],
            inputs: hash.clone(),
            values_hash: hash,
            rewrite: super::rewrite::Rewrite::default(),
            rewrite_file: PathBuf::new(),
            rewritten_hooks: vec![],
            timeout: release.timeout,
            replace_jobs: false,
            origin: release.origin.clone(),
            chart,
            values: vec![],
            values_sources: vec![],
            set: vec![],
        })
    }

    /// The same release with these values over its own. `source` is what messages call them.
    ///
    /// # Errors
    /// [`Code::StateIo`] if the values cannot be written, [`Code::ConfigSyntax`] if they are no YAML.
    pub fn with_values(&self, text: &str, source: &Path, paths: &Paths) -> Result<Self> {
        yaml::parse(text).map_err(|(why, line)| {
            Error::new(Code::ConfigSyntax, format!("not valid YAML: {why}")).at(source, line)
        })?;
        let hash = PartsHasher::default()
            .part(&self.values_hash)
            .part(text)
            .hex();
        let dir = values_dir(&paths.project(&self.namespace), &self.name).join(&hash);
        files::private_dir(&dir)?;
        let file = dir.join("over.yaml");
        write_atomic(&file, text.as_bytes(), 0o600)?;
        let mut other = self.clone();
        other.values.push(file);
        other.values_sources.push(source.to_owned());
        other.values_hash.clone_from(&hash);
        other.inputs = hash;
        Ok(other)
    }

    /// What helm renders, as its text, from the cache if it was rendered before. The text holds secrets.
    ///
    /// # Errors
    /// As [`render::render`].
    pub async fn text(
        &self,
        helm: &Helm,
        capabilities: &Capabilities,
        cache: &Path,
    ) -> Result<String> {
        let rendering = render::render(self, helm, capabilities, cache).await?;
        Ok(rendering.into_text())
    }
}
