//! The facts of charts: files read, renderings made with helm in parallel, what is installed read from helm's record.

use std::path::{Path, PathBuf};

use futures::StreamExt as _;
use futures::stream;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::came_to::{asks_for_value, failure, is_of_chart, take};
use super::facts::{ChartFacts, InstalledObject, RenderFailure, RenderingUse};
use super::matrix::{self, ValueSet};
use super::sources::{DraftedProject, DraftedRelease, NAMESPACE, access, nobodys};
use crate::cluster::Access;
use crate::config::{Project, ReleaseConfig, label};
use crate::environment::Environment;
use crate::error::{Code, Error, Errors, Result};
use crate::init::DemandedValues;
use crate::observe::PreparedRelease;
use crate::paths::{Paths, scratch};
use crate::release::capabilities::Capabilities;
use crate::release::chart::share_dependencies;
use crate::release::helm::Helm;
use crate::release::record::installed_manifests;
use crate::release::variant::{chart_files, chart_release};
use crate::release::{Prepared, effective_values};

/// A chart that demands more values than these one by one is not rendered by itself.
const MAX_DEMANDS: usize = 24;

/// Kinds that a cluster may have beside its own, for values that ask for them.
const COMMON_APIS: [&str; 6] = [
    "monitoring.coreos.com/v1",
    "monitoring.coreos.com/v1/ServiceMonitor",
    "monitoring.coreos.com/v1/PodMonitor",
    "cert-manager.io/v1",
    "cert-manager.io/v1/Certificate",
    "gateway.networking.k8s.io/v1",
];

/// What is to be looked at.
#[derive(Debug, Clone)]
pub enum CheckedChart<'a> {
    /// A release of a project, with the values of devk.yaml.
    Release(&'a Project, &'a ReleaseConfig),
    /// The folder of a chart, with its own values.
    Folder(PathBuf),
}

impl CheckedChart<'_> {
    /// The chart's folder; None if the release is made of other files.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Release(_, release) => release.source.chart(),
            Self::Folder(folder) => Some(folder),
        }
    }
}

/// Looks at charts.
#[derive(Debug)]
pub struct ChartGatherer<'a> {
    helm: Helm,
    paths: &'a Paths,
    environment: &'a Environment,
    /// The cluster of the project; why not, if it cannot be asked.
    cluster: Option<Result<Access, String>>,
    /// All releases of the project, rendered once; none if one of them does not render.
    all: OnceCell<Option<DraftedProject>>,
}

impl<'a> ChartGatherer<'a> {
    /// # Errors
    /// [`Code::ToolMissing`] without helm.
    pub async fn new(
        project: Option<&Project>,
        paths: &'a Paths,
        environment: &'a Environment,
    ) -> Result<Self> {
        let cluster = match project {
            Some(project) => Some(access(project, paths, environment).await),
            None => None,
        };
        Ok(Self {
            helm: Helm::find(environment)?,
            paths,
            environment,
            cluster,
            all: OnceCell::new(),
        })
    }

    /// The same with other folders of devk, and for other files of the charts.
    pub(super) fn anew<'b>(&'b self, paths: &'b Paths) -> ChartGatherer<'b> {
        ChartGatherer {
            helm: self.helm.clone(),
            paths,
            environment: self.environment,
            cluster: self.cluster.clone(),
            all: OnceCell::new(),
        }
    }

    /// devk's folders, with another one for what is rendered.
    pub(super) fn paths_with_cache(&self, cache: &Path) -> Paths {
        Paths {
            cache: cache.to_owned(),
            ..self.paths.clone()
        }
    }

    /// Lets another cache have what helm has fetched.
    ///
    /// # Errors
    /// [`Code::StateIo`].
    pub(super) fn share_dependencies(&self, cache: &Path) -> Result<()> {
        share_dependencies(&self.paths.cache, cache)
    }

    /// The facts of one chart. That it does not render is a fact.
    ///
    /// # Errors
    /// What keeps the chart's files from being read.
    pub async fn facts(&self, chart: &CheckedChart<'_>) -> Result<ChartFacts, Errors> {
        match chart {
            CheckedChart::Release(project, release) => self.of_release(project, release).await,
            CheckedChart::Folder(folder) => self.of_folder(folder).await,
        }
    }

    /// The facts of a release by one rendering, with stand-ins for ports and image tags. The plan of `devk up` makes it first,
    /// so that after an `up` it comes from the cache, unless a bridge or the cluster's kinds make it another one.
    ///
    /// # Errors
    /// As [`Self::facts`].
    pub async fn as_installed(
        &self,
        project: &Project,
        release: &ReleaseConfig,
    ) -> Result<ChartFacts, Errors> {
        Ok(self.drafted_facts(project, release).await?.0)
    }

    async fn of_release(
        &self,
        project: &Project,
        release: &ReleaseConfig,
    ) -> Result<ChartFacts, Errors> {
        let (mut facts, drafted) = self.drafted_facts(project, release).await?;
        if let Some((drafted, values)) = drafted {
            let DraftedRelease {
                release: drafted,
                capabilities,
            } = drafted;
            let (prepared, used) = (&drafted.prepared, &release.values);
            self.matrix(&mut facts, prepared, &capabilities, &values, used)
                .await;
            self.installed(&mut facts, &drafted).await;
        }
        Ok(facts)
    }

    /// The facts by devk's values alone, with the release and its values if it renders.
    async fn drafted_facts(
        &self,
        project: &Project,
        release: &ReleaseConfig,
    ) -> Result<(ChartFacts, Option<(DraftedRelease, Value)>), Errors> {
        let (folder, files) = match release.source.chart() {
            Some(folder) => (folder, chart_files(folder)?),
            // The files are no chart's, and devk's own chart has nothing to judge.
            None => (&*project.root, vec![]),
        };
        let mut facts = ChartFacts::new(&release.name, &project.id, folder, files);
        facts.origin = release.origin.clone();
        facts.replaces_jobs = release.replace_jobs;
        match self.drafted(project, release).await {
            Ok(drafted) => {
                let prepared = &drafted.release.prepared;
                facts.name.clone_from(&prepared.chart.name);
                let values = effective_values(prepared)?;
                let text = prepared.text(&self.helm, &drafted.capabilities, &self.paths.cache);
                let (text, usage) = (text.await, RenderingUse::Judged);
                take(
                    &mut facts,
                    prepared,
                    "devk.yaml",
                    usage,
                    text,
                    values.clone(),
                );
                Ok((facts, Some((drafted, values))))
            }
            Err(errors) if errors.0.iter().all(is_of_chart) => {
                let failures = errors.0.into_iter();
                facts
                    .failures
                    .extend(failures.map(|error| failure("the values of devk.yaml", error)));
                Ok((facts, None))
            }
            Err(errors) => Err(errors),
        }
    }

    /// A release as `devk up` renders it. A release that does not render keeps none of the others from it.
    async fn drafted(
        &self,
        project: &Project,
        release: &ReleaseConfig,
    ) -> Result<DraftedRelease, Errors> {
        let render =
            |project| DraftedProject::of(project, self.paths, &self.helm, self.environment);
        let all = self
            .all
            .get_or_init(|| async { render(project).await.ok() });
        if let Some(all) = all.await {
            return Ok(all.release(&release.name)?);
        }
        let alone = Project {
            releases: vec![release.clone()],
            ..project.clone()
        };
        let alone = DraftedProject::of(&alone, self.paths, &self.helm, self.environment).await?;
        Ok(alone.release(&release.name)?)
    }

    async fn of_folder(&self, folder: &Path) -> Result<ChartFacts, Errors> {
        let files = chart_files(folder)?;
        let mut facts = ChartFacts::new("release", NAMESPACE, folder, files);
        let name = label(&facts.name).unwrap_or_else(|| "release".to_owned());
        facts.release.clone_from(&name);
        facts
            .notes
            .push("a folder has no release: what is installed was not looked at".to_owned());
        if facts.is_library() {
            return Ok(facts);
        }
        let scratch = scratch()?;
        let paths = Paths {
            scratch: Some(scratch.path().to_owned()),
            ..self.paths.clone()
        };
        let release = chart_release(folder, &name);
        let project = nobodys(folder);
        let prepared = match Prepared::of_chart(&release, &project, &self.helm, &paths.cache).await
        {
            Ok(prepared) => prepared,
            Err(errors) => {
                let failures = errors
                    .0
                    .into_iter()
                    .map(|error| failure("its own values", error));
                facts.failures.extend(failures);
                return Ok(facts);
            }
        };
        self.anew(&paths).by_demand(&mut facts, prepared).await?;
        Ok(facts)
    }

    /// A chart with its own values, and with stand-ins for those that it demands.
    async fn by_demand(&self, facts: &mut ChartFacts, bare: Prepared) -> Result<(), Errors> {
        let mut demanded = DemandedValues::new(&bare.name, &facts.folder);
        let mut prepared = bare.clone();
        let mut text = self.text(&prepared).await;
        for _ in 0..MAX_DEMANDS {
            let Err(refusal) = &text else { break };
            if !demanded.learn(refusal, &bare.chart.name) {
                break;
            }
            let values = demanded.values().to_string();
            let file = facts.folder.join("values.yaml");
            prepared = bare.with_values(&values, &file, self.paths)?;
            text = self.text(&prepared).await;
        }
        let paths = demanded.paths().join("`, `");
        if !paths.is_empty() && text.is_ok() {
            let message = format!("the chart demands values: stand-ins were given for `{paths}`");
            let error = Error::new(Code::ChartRender, message.clone());
            facts.notes.push(message);
            facts.failures.push(RenderFailure {
                asks_for_value: true,
                ..failure("values.yaml", error)
            });
        }
        let values = effective_values(&prepared)?;
        take(
            facts,
            &prepared,
            "values.yaml",
            RenderingUse::Judged,
            text,
            values.clone(),
        );
        let capabilities = Capabilities::default();
        self.matrix(facts, &prepared, &capabilities, &values, &[])
            .await;
        Ok(())
    }

    async fn text(&self, prepared: &Prepared) -> Result<String> {
        let capabilities = Capabilities::default();
        prepared
            .text(&self.helm, &capabilities, &self.paths.cache)
            .await
    }

    /// Renders with all other values that are found.
    async fn matrix(
        &self,
        facts: &mut ChartFacts,
        prepared: &Prepared,
        capabilities: &Capabilities,
        values: &Value,
        used: &[PathBuf],
    ) {
        if facts.renderings.is_empty() {
            return;
        }
        let (flips, more) = match facts.text("values.yaml") {
            Some(text) => matrix::flips(&facts.folder, text, values),
            None => (vec![], 0),
        };
        if more > 0 {
            let note = format!("{more} more values named `enabled` were not flipped");
            facts.notes.push(note);
        }
        let sets = matrix::files(&facts.folder, &facts.files, used);
        let sets: Vec<_> = sets.into_iter().chain(flips).collect();
        let parallel = std::thread::available_parallelism().map_or(2, usize::from);
        let rendered: Vec<_> = stream::iter(sets)
            .map(|set| async move { self.with(prepared, capabilities, set).await })
            .buffered(parallel)
            .collect()
            .await;
        for (set, result) in rendered {
            match result {
                Ok((other, text, values)) => {
                    take(facts, &other, &set.label, set.usage, Ok(text), values);
                }
                Err(error) => {
                    let mut failed = failure(&set.label, error);
                    failed.usage = RenderingUse::Working;
                    failed.asks_for_value = asks_for_value(&failed.error);
                    facts.failures.push(failed);
                }
            }
        }
    }

    async fn with(
        &self,
        prepared: &Prepared,
        capabilities: &Capabilities,
        set: ValueSet,
    ) -> (ValueSet, Result<(Prepared, String, Value)>) {
        let rendered = async {
            let other = prepared.with_values(&set.text, &set.file, self.paths)?;
            let mut capabilities = capabilities.clone();
            let common = COMMON_APIS.iter().map(|api| (*api).to_owned());
            capabilities.api_versions.extend(common);
            let text = other
                .text(&self.helm, &capabilities, &self.paths.cache)
                .await?;
            let values = effective_values(&other)?;
            Ok((other, text, values))
        };
        let rendered = rendered.await;
        (set, rendered)
    }

    /// Compares with helm's record, if there is one and the cluster answers.
    async fn installed(&self, facts: &mut ChartFacts, drafted: &PreparedRelease) {
        let access = match &self.cluster {
            Some(Ok(access)) => access,
            Some(Err(why)) => {
                facts
                    .notes
                    .push(format!("what is installed was not looked at: {why}"));
                return;
            }
            None => return,
        };
        let (namespace, release) = (&facts.namespace, &facts.release);
        match installed_manifests(&access.client, namespace, release).await {
            Ok(Some(before)) => {
                facts.installed = InstalledObject::of(&drafted.rendered, &before, namespace);
            }
            Ok(None) => facts.notes.push("the release is not installed".to_owned()),
            Err(error) => {
                let why = error.message;
                facts
                    .notes
                    .push(format!("what is installed was not looked at: {why}"));
            }
        }
    }
}
