//! From devk.yaml's release to something helm can render and install: private chart, values files,
//! and the hash of all inputs.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::chart::Chart;
use super::effective::over;
use super::files;
use super::hasher::PartsHasher;
use super::helm::Helm;
use super::layout::values_dir;
use super::manifest::Rendered;
use super::rewrite::Rewrite;
use super::secrets::Secrets;
use super::values::{self, ImageBlock, MappedImage, Resolve, ResolvedFile};
use super::{whole_numbers, wrapper};
use crate::config::{Origin, Project, ReleaseConfig};
use crate::error::{Code, Error, Errors, Problems, Result};
use crate::paths::{Paths, forget_old, write_atomic};

/// Values hold secrets: those of other inputs are removed when no `up` can be about to install them.
const MAX_VALUES_AGE: Duration = Duration::from_secs(24 * 3600);

/// A release that is ready to render and install.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub name: String,
    pub namespace: String,
    pub chart: Chart,
    /// devk's private copies of the values files, later ones win; the last one is devk's own.
    pub values: Vec<PathBuf>,
    /// The user's file behind each of `values`; devk.yaml for the last.
    pub values_sources: Vec<PathBuf>,
    /// `path=number`, for `--set`: whole numbers that helm would not keep out of a file.
    pub set: Vec<String>,
    /// The images whose references stand in the values.
    pub images: Vec<MappedImage>,
    /// Where the values keep images.
    pub blocks: Vec<ImageBlock>,
    /// 40 hexadecimal digits over chart, values, secrets, name and namespace: all that the rendering depends on.
    pub values_hash: String,
    /// What devk changes in the rendered text.
    pub rewrite: Rewrite,
    /// The same for helm's post-renderer, which a chart of devk's own does not need.
    pub rewrite_file: PathBuf,
    /// Hooks with an image that devk replaces: helm 3 does not hand them to a post-renderer.
    pub rewritten_hooks: Vec<String>,
    /// 40 hexadecimal digits over the values' hash and the rewrite: all that the installed release depends on.
    pub inputs: String,
    /// How long hooks, and then readiness, may take.
    pub timeout: Duration,
    /// Jobs of the release that Kubernetes cannot change may be replaced.
    pub replace_jobs: bool,
    pub origin: Origin,
}

/// All that the values of a release are made from, beside its own entry in devk.yaml.
#[derive(Clone, Copy)]
pub struct ValuesContext<'a> {
    /// The images whose references go into the values.
    pub images: &'a [MappedImage],
    pub resolve: &'a Resolve<'a>,
    /// By value path; above everything else.
    pub decided: &'a [(String, Value)],
}

impl std::fmt::Debug for ValuesContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What is decided may be secret.
        f.debug_struct("ValuesContext")
            .field("images", &self.images)
            .finish_non_exhaustive()
    }
}

/// The chart's values with the user's files over them: what a chart takes, and what it takes by default.
///
/// # Errors
/// Those of [`Chart::open`] and of the values files.
pub async fn known_values(
    release: &ReleaseConfig,
    resolve: &Resolve<'_>,
    helm: &Helm,
    paths: &Paths,
) -> Result<Value, Errors> {
    let files = values::resolve_files(&release.values, resolve)?;
    Ok(known(
        &Chart::open(release, helm, &paths.cache).await?,
        &files,
    ))
}

/// Prepares one release: copies the chart, resolves the values, writes the given image references and
/// generated secrets. The namespace is the project's id. Calling it again with the same inputs
/// gives the same result and runs nothing.
///
/// # Errors
/// All problems of the release together; the codes are those of [`Chart::open`], [`values`] and
/// [`Secrets::value`].
pub async fn prepare(
    project: &Project,
    release: &ReleaseConfig,
    given: &ValuesContext<'_>,
    secrets: &mut Secrets,
    helm: &Helm,
    paths: &Paths,
) -> Result<Prepared, Errors> {
    let ValuesContext {
        images,
        resolve,
        decided,
    } = *given;
    let mut problems = Problems::default();
    let files = problems.collect(values::resolve_files(&release.values, resolve));
    let set = problems.collect(values::resolve_set(&release.set, &release.origin, resolve));
    let chart = problems.collect(Chart::open(release, helm, &paths.cache).await);
    let (Some(files), Some(set), Some(chart)) = (files, set, chart) else {
        return Err(problems.into());
    };

    let known = known(&chart, &files);
    let blocks = values::image_blocks(&over(&known, [set.clone()]));
    let generated = generate(release, secrets)?;
    let own = values::devk_values(set, &known, images, &generated, decided);
    let set = whole_numbers::arguments(&own);
    let hash = values_hash(project, release, &chart, &files, &own, &set);
    let dir = values_dir(&paths.project(&project.id), &release.name).join(&hash);
    let (values, values_sources) = write_values(release, &dir, &files, &own)?;
    Ok(Prepared {
        name: release.name.clone(),
        namespace: project.id.clone(),
        images: images.to_vec(),
        blocks,
        inputs: hash.clone(),
        values_hash: hash,
        rewrite: Rewrite::default(),
        rewrite_file: PathBuf::new(),
        rewritten_hooks: Vec::new(),
        timeout: release.timeout,
        replace_jobs: release.replace_jobs,
        origin: release.origin.clone(),
        chart,
        values,
        values_sources,
        set,
    })
}

impl Prepared {
    /// The release with those of a project's changes that concern it. They are made in a chart of devk's own, or written
    /// beside the values for helm's post-renderer. `rendered` is the chart as it renders without them.
    ///
    /// # Errors
    /// [`Code::StateIo`].
    pub fn rewritten(self, all: &Rewrite, rendered: &Rendered, paths: &Paths) -> Result<Self> {
        let rewrite = all.only_for(rendered);
        if rewrite.is_empty() {
            return Ok(self);
        }
        let text = serde_json::to_string_pretty(&rewrite).map_err(|e| {
            Error::new(
                Code::StateIo,
                format!("cannot write the changes to `{}`: {e}", self.name),
            )
        })?;
        let inputs = PartsHasher::default()
            .part(&self.values_hash)
            .part(&text)
            .hex();
        if let Some(wrapped) = &self.chart.wrapped {
            let chart =
                wrapper::rewritten(&self.chart, wrapped, &rewrite, &self.name, &paths.cache)?;
            return Ok(Self {
                chart,
                rewrite,
                inputs,
                ..self
            });
        }
        let dir = values_dir(&paths.project(&self.namespace), &self.name).join(&self.values_hash);
        let rewrite_file = dir.join(format!("rewrite-{inputs}.json"));
        if !rewrite_file.exists() {
            write_atomic(&rewrite_file, text.as_bytes(), 0o600)?;
        }
        Ok(Self {
            rewritten_hooks: rewrite.hooks(rendered),
            rewrite,
            rewrite_file,
            inputs,
            ..self
        })
    }

    /// `-f FILE` for each values file, and `--set` for what no file can say.
    pub(super) fn values_args(&self) -> impl Iterator<Item = &OsStr> {
        let files = self
            .values
            .iter()
            .flat_map(|file| [OsStr::new("-f"), file.as_os_str()]);
        let numbers = self
            .set
            .iter()
            .flat_map(|number| [OsStr::new("--set"), OsStr::new(number)]);
        files.chain(numbers)
    }
}

/// What a chart's values are without devk's own.
fn known(chart: &Chart, files: &[ResolvedFile]) -> Value {
    over(
        &chart.defaults,
        files.iter().map(|file| file.values.clone()),
    )
}

fn generate(release: &ReleaseConfig, secrets: &mut Secrets) -> Result<BTreeMap<String, String>> {
    let mut made = BTreeMap::new();
    for (name, secret) in &release.generate {
        let value = secrets.value(&release.name, name, secret.generator)?;
        made.extend(
            secret
                .paths
                .iter()
                .map(|path| (path.clone(), value.clone())),
        );
    }
    Ok(made)
}

fn values_hash(
    project: &Project,
    release: &ReleaseConfig,
    chart: &Chart,
    files: &[ResolvedFile],
    own: &Value,
    set: &[String],
) -> String {
    let head = PartsHasher::default()
        .part(&release.name)
        .part(&project.id)
        .part(&chart.hash)
        .part(own.to_string());
    let texts = files.iter().map(|file| &file.text);
    texts
        .chain(set)
        .fold(head, |hasher, text| hasher.part(text))
        .hex()
}

/// Writes the values below the project's state, readable by the user alone. Every set of inputs has its
/// own folder: a `devk ports` or `up --dry-run` beside an `up` must not change what that is about to
/// install. The same inputs have the same paths, so a command that failed can be pasted again.
fn write_values(
    release: &ReleaseConfig,
    dir: &Path,
    files: &[ResolvedFile],
    own: &Value,
) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    files::private_dir(dir)?;
    let own = serde_json::to_string_pretty(own).map_err(|e| {
        Error::new(
            Code::StateIo,
            format!("cannot write the values of `{}`: {e}", release.name),
        )
    })?;
    let users = files
        .iter()
        .enumerate()
        .map(|(index, file)| (format!("{index}.yaml"), &file.text, &file.source));
    let mut written = Vec::new();
    let mut sources = Vec::new();
    for (name, text, source) in users.chain([("devk.yaml".to_owned(), &own, &release.origin.file)])
    {
        let file = dir.join(name);
        write_atomic(&file, text.as_bytes(), 0o600)?;
        written.push(file);
        sources.push(source.clone());
    }
    if let Some(all) = dir.parent() {
        forget_old(all, MAX_VALUES_AGE);
    }
    Ok((written, sources))
}

/// Ready-made inputs for the unit tests of this folder.
#[cfg(test)]
pub(super) mod fixture {
    use super::*;
    use crate::config::{Allow, ClusterConfig, Provider, ReleaseSource};

    pub(in super::super) fn release() -> ReleaseConfig {
        ReleaseConfig {
            name: "shop".into(),
            source: ReleaseSource::Chart("/chart".into()),
            values: Vec::new(),
            set: Value::Object(serde_json::Map::new()),
            images: BTreeMap::new(),
            generate: BTreeMap::new(),
            timeout: Duration::from_secs(60),
            replace_jobs: false,
            origin: Origin {
                file: "/devk.yaml".into(),
                line: 7,
            },
        }
    }

    pub(in super::super) fn project(root: &Path, releases: Vec<ReleaseConfig>) -> Project {
        Project {
            name: "shop".into(),
            id: "shop".into(),
            worktree: None,
            root: root.to_owned(),
            file: root.join("devk.yaml"),
            cluster: ClusterConfig::new(Provider::Kind, "devk"),
            compose: None,
            images: Vec::new(),
            releases,
            forwards: None,
            allow: Allow::default(),
            bridge: None,
            check: Default::default(),
            ask: Default::default(),
            tests: vec![],
        }
    }

    pub(in super::super) fn prepared(root: &Path) -> Prepared {
        let origin = Origin {
            file: root.join("devk.yaml"),
            line: 7,
        };
        Prepared {
            name: "shop".into(),
            namespace: "shop".into(),
            chart: Chart::fixture("shop", &root.join("chart")),
            values: Vec::new(),
            values_sources: Vec::new(),
            set: Vec::new(),
            images: Vec::new(),
            blocks: Vec::new(),
            values_hash: "0".repeat(40),
            rewrite: Rewrite::default(),
            rewrite_file: PathBuf::new(),
            rewritten_hooks: Vec::new(),
            inputs: "0".repeat(40),
            timeout: Duration::from_secs(60),
            replace_jobs: false,
            origin,
        }
    }

    /// Running it is an error: proof that nothing was run.
    pub(in super::super) fn no_helm() -> Helm {
        Helm::at("/nonexistent/helm")
    }

    pub(in super::super) fn paths(root: &Path) -> Paths {
        Paths::below(root)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::{GeneratedSecret, Generator, ImagePaths, ReleaseSource};
    use crate::image::ImageRef;

    /// A chart with one image, one values file and one generated secret.
    fn project(root: &Path) -> Project {
        std::fs::create_dir_all(root.join("chart")).unwrap();
        std::fs::write(root.join("chart/Chart.yaml"), "name: shop").unwrap();
        std::fs::write(
            root.join("chart/values.yaml"),
            "image: {repository: r, tag: t}",
        )
        .unwrap();
        std::fs::write(root.join("dev.yaml"), "url: ${forward.api.url}\n").unwrap();
        let release = ReleaseConfig {
            source: ReleaseSource::Chart(root.join("chart")),
            values: vec![root.join("dev.yaml")],
            set: json!({"a.b": 1}),
            generate: [(
                "key".to_owned(),
                GeneratedSecret {
                    generator: Generator::Hex(64),
                    paths: vec!["key".into(), "copy.key".into()],
                },
            )]
            .into(),
            ..fixture::release()
        };
        fixture::project(root, vec![release])
    }

    async fn run(project: &Project, tag: &str, port: &str) -> Result<Prepared, Errors> {
        let paths = fixture::paths(&project.root);
        let image = ImageRef {
            name: "api".into(),
            repository: "devk.local/shop/api".into(),
            tag: tag.into(),
        };
        let mut secrets = Secrets::load(&paths.project("shop").join("secrets.json"))?;
        let resolve = |text: &str, _: &Path| {
            Ok(text.replace("${forward.api.url}", &format!("http://127.0.0.1:{port}")))
        };
        let mapped = MappedImage {
            image,
            paths: ImagePaths {
                repository: "image.repository".into(),
                tag: "image.tag".into(),
            },
        };
        let given = ValuesContext {
            images: &[mapped],
            resolve: &resolve,
            decided: &[],
        };
        prepare(
            project,
            &project.releases[0],
            &given,
            &mut secrets,
            &fixture::no_helm(),
            &paths,
        )
        .await
    }

    #[tokio::test]
    async fn the_values_are_private_copies_with_devks_own_on_top() {
        let dir = tempfile::tempdir().unwrap();
        let project = project(dir.path());
        let prepared = run(&project, "0123", "15000").await.unwrap();
        assert_eq!(
            std::fs::read_to_string(&prepared.values[0]).unwrap(),
            "url: http://127.0.0.1:15000\n"
        );
        let own: Value =
            serde_json::from_slice(&std::fs::read(&prepared.values[1]).unwrap()).unwrap();
        assert_eq!(
            (&own["a"]["b"], &own["image"]["tag"]),
            (&json!(1), &json!("0123"))
        );
        assert_eq!(own["key"].as_str().unwrap().len(), 64);
        assert_eq!(own["key"], own["copy"]["key"], "one secret for both");
        assert_eq!(
            std::fs::read_to_string(dir.path().join("dev.yaml")).unwrap(),
            "url: ${forward.api.url}\n"
        );
    }

    #[tokio::test]
    async fn values_that_are_about_to_be_installed_stay_when_others_are_prepared() {
        let dir = tempfile::tempdir().unwrap();
        let project = project(dir.path());
        let first = run(&project, "0123", "15000").await.unwrap();
        let second = run(&project, "0123", "25000").await.unwrap();
        assert_eq!(
            std::fs::read_to_string(&first.values[0]).unwrap(),
            "url: http://127.0.0.1:15000\n"
        );
        assert_eq!(
            std::fs::read_to_string(&second.values[0]).unwrap(),
            "url: http://127.0.0.1:25000\n"
        );
    }

    #[tokio::test]
    async fn the_inputs_hash_is_stable_and_follows_every_input() {
        let dir = tempfile::tempdir().unwrap();
        let mut project = project(dir.path());
        let first = run(&project, "0123", "15000").await.unwrap().inputs;
        assert_eq!(run(&project, "0123", "15000").await.unwrap().inputs, first);
        assert_ne!(
            run(&project, "4567", "15000").await.unwrap().inputs,
            first,
            "image"
        );
        assert_ne!(
            run(&project, "0123", "25000").await.unwrap().inputs,
            first,
            "port"
        );
        project.releases[0].set = json!({"a.b": 2});
        assert_ne!(
            run(&project, "0123", "15000").await.unwrap().inputs,
            first,
            "set"
        );
    }

    #[tokio::test]
    async fn chart_and_values_problems_come_together() {
        let dir = tempfile::tempdir().unwrap();
        let mut project = project(dir.path());
        project.releases[0].source = ReleaseSource::Chart(dir.path().join("nowhere"));
        project.releases[0]
            .values
            .push(dir.path().join("missing.yaml"));
        let codes: Vec<_> = run(&project, "0", "1")
            .await
            .unwrap_err()
            .0
            .into_iter()
            .map(|e| e.code)
            .collect();
        assert_eq!(codes, [Code::ConfigPath, Code::ChartMissing]);
    }
}
