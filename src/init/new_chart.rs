//! A chart for a repository that has none, out of its Compose project, and the devk.yaml that uses it.
//!
//! The chart is written to a temporary folder first. There helm renders it as it renders any chart that `devk init`
//! finds, and the images are paired in the same way: the written chart is looked at, not assumed to be right.

use std::path::{Path, PathBuf};

use ignore::WalkBuilder;
use serde::Serialize;

use super::draft::{DraftRelease, DraftSecret, DraftValue, InitDraft, InitSource};
use super::stack::{self, WholeStack};
use super::{Survey, Surveying, builds, clues, name, write};
use crate::docker;
use crate::environment::Environment;
use crate::error::{Code, Error, Errors};
use crate::init::scan::RepositoryTree;
use crate::new_chart::{
    ComposeChart, ComposeKeyNote, LOCAL_VALUES, LocalSecret, NewChart, from_compose, look_at_images,
};
use crate::paths::{Paths, scratch};

/// Texts that may hold a secret, by their size in bytes.
const MAX_SEARCHED_BYTES: u64 = 256 * 1024;

/// A repository with more files is not searched: its secrets are not made up.
const MAX_SEARCHED_FILES: usize = 20_000;

/// A shorter value is found everywhere.
const MIN_SECRET_BYTES: usize = 9;

/// What devk makes up in place of a secret.
const MADE_UP: &str = "hex32";

/// A chart that is not written yet.
#[derive(Debug)]
pub struct ChartDraft {
    pub chart: NewChart,
    /// The values of this machine, for [`LOCAL_VALUES`].
    pub local: Option<String>,
    /// What Compose has and the chart has not, or in another way.
    pub notes: Vec<ComposeKeyNote>,
    pub secrets: Vec<ChartSecret>,
    aliases: Vec<String>,
    /// Components whose image a Job has: the repository, and the path of the image in the values.
    jobs: Vec<(String, String)>,
}

/// Where the value of one of the chart's secrets comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChartSecret {
    /// Below `secrets` in the values.
    pub key: String,
    /// Variables and files that are it.
    pub names: Vec<String>,
    pub from: SecretSource,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretSource {
    /// devk makes it up and keeps it.
    Generated,
    /// What Compose uses on this machine, in [`LOCAL_VALUES`].
    Local,
    /// Nobody here knows it.
    Unknown,
}

/// A chart out of a Compose project.
pub async fn draft_chart(
    root: &Path,
    name: &str,
    found: &WholeStack,
    environment: &Environment,
) -> ChartDraft {
    let whole = &found.whole;
    let engine = docker::connect(environment).await.ok();
    let docker = engine.as_ref().map(|engine| &engine.docker);
    let facts = look_at_images(docker, name, &whole.compose).await;
    let chart = from_compose(name, root, whole, found.alone.as_ref(), &facts);
    let files = chart.chart();
    let made_up = made_up(root, &chart, &files, &whole.compose.files);
    let is_made_up = |secret: &LocalSecret| made_up.contains(&secret.key);
    let secrets = chart.secrets.iter().map(|secret| ChartSecret {
        key: secret.key.clone(),
        names: secret.names.clone(),
        from: match (is_made_up(secret), secret.value.is_empty()) {
            (true, _) => SecretSource::Generated,
            (false, false) => SecretSource::Local,
            (false, true) => SecretSource::Unknown,
        },
    });
    ChartDraft {
        local: chart.local_values(&is_made_up),
        secrets: secrets.collect(),
        aliases: chart.aliases(),
        jobs: chart.job_images(),
        chart: files,
        notes: chart.notes,
    }
}

/// The secrets in whose place devk may make one up: programs of the stack alone ask for them, and nothing in the
/// repository or in the chart has the value, for it could not follow.
fn made_up(
    root: &Path,
    chart: &ComposeChart,
    files: &NewChart,
    compose: &[PathBuf],
) -> Vec<String> {
    let mut open: Vec<_> = chart
        .secrets
        .iter()
        .filter(|secret| secret.is_of_stack && secret.value.len() >= MIN_SECRET_BYTES)
        .collect();
    let mut drop = |text: &[u8]| {
        let text = String::from_utf8_lossy(text);
        open.retain(|secret| !text.contains(&secret.value));
    };
    files.files.iter().for_each(|(_, content)| drop(content));
    let places: Vec<_> = chart
        .secrets
        .iter()
        .map(|secret| secret.at.file.clone())
        .collect();
    let walk = WalkBuilder::new(root)
        .hidden(false)
        .require_git(false)
        .git_ignore(false)
        .filter_entry(|entry| entry.file_name() != ".git")
        .build();
    for (count, entry) in walk.flatten().enumerate() {
        if count > MAX_SEARCHED_FILES {
            return vec![];
        }
        let is_small = entry
            .metadata()
            .is_ok_and(|meta| meta.is_file() && meta.len() <= MAX_SEARCHED_BYTES);
        let path = entry.path();
        // Env files give the variables that the chart has.
        let is_own = compose.iter().chain(&places).any(|own| own == path)
            || path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(".env"));
        if is_small
            && !is_own
            && let Ok(content) = std::fs::read(path)
        {
            drop(&content);
        }
    }
    open.iter().map(|secret| secret.key.clone()).collect()
}

/// Looks through a repository that has no chart, and drafts one for `folder`, which is relative to the root, with the
/// devk.yaml that uses it.
///
/// # Errors
/// [`Code::InitNothing`] without Compose files; all that keeps those from being read; the first folder that cannot be
/// made.
pub async fn survey_with_chart(
    root: &Path,
    folder: &Path,
    environment: &Environment,
    paths: &Paths,
) -> Result<(Survey, ChartDraft), Errors> {
    let tree = RepositoryTree::scan(root);
    let Some(whole) = stack::whole(&tree, environment)? else {
        let message = format!(
            "there is no Compose file in `{}` to write a chart from",
            root.display()
        );
        return Err(Error::new(Code::InitNothing, message)
            .hint("devk chart new app")
            .into());
    };
    let found = stack::find(&tree, environment);
    let clues = clues::read(&tree, found.stack.as_ref());
    let builds = builds::find(&tree, &clues);
    let name = name(root, &[]);
    let chart = draft_chart(root, &name, &whole, environment).await;
    let temporary = scratch()?;
    let at = temporary.path().join(&chart.chart.name);
    chart.chart.write(&at)?;
    if let Some(local) = &chart.local {
        crate::paths::write_atomic(&at.join(LOCAL_VALUES), local.as_bytes(), 0o600)?;
    }
    let mut draft = InitDraft {
        name,
        compose: found.draft,
        ..InitDraft::default()
    };
    draft.releases = vec![release(&draft.name, &at, &chart)];
    let surveying = Surveying {
        tree: &tree,
        stack: found.stack.as_ref().map(|stack| &stack.compose),
        builds: &builds,
        jobs: &chart.jobs,
        environment,
        paths,
    };
    let survey = surveying.of_charts(draft).await?;
    Ok((in_place(survey, &at, folder, &chart), chart))
}

fn release(name: &str, at: &Path, chart: &ChartDraft) -> DraftRelease {
    let mut release = DraftRelease::new(name.to_owned(), InitSource::Chart(at.to_owned()));
    release
        .evidence
        .push("`devk init --chart` wrote the chart from the Compose files; it is yours".to_owned());
    if chart.local.is_some() {
        release.values.push(at.join(LOCAL_VALUES));
        release.alternatives.push(format!("{LOCAL_VALUES} has secrets of this machine, and git leaves it out: `devk init --chart` writes it where it is missing"));
    }
    let generated = chart
        .secrets
        .iter()
        .filter(|secret| secret.from == SecretSource::Generated);
    release.generate = generated
        .map(|secret| DraftSecret {
            length: MADE_UP.to_owned(),
            paths: vec![format!("secrets.{}", secret.key)],
            why: vec![format!("in place of {}", secret.names.join(", "))],
        })
        .collect();
    release
}

/// A Job gets its image by its values: its name is the hash of its pod, which helm takes before devk changes a reference.
/// An image that values have is theirs alone, so the other components with it get it in the same way.
pub(super) fn give_jobs(draft: &mut InitDraft, jobs: &[(String, String)]) {
    let Some(release) = draft.releases.first_mut() else {
        return;
    };
    for (repository, path) in jobs {
        let image = draft
            .images
            .iter_mut()
            .find(|image| image.off.is_none() && image.references.contains(repository));
        let Some(image) = image else { continue };
        image.replaces.clear();
        let values = [
            ("repository", format!("${{image.{}.reference}}", image.name)),
            ("tag", String::new()),
        ];
        release.set.extend(values.map(|(key, value)| DraftValue {
            path: format!("{path}.{key}"),
            value: value.into(),
            why: "the name of a Job changes with its image".to_owned(),
            is_users: false,
        }));
    }
}

/// The survey with the folder that the chart gets in place of the temporary one.
fn in_place(survey: Survey, at: &Path, folder: &Path, chart: &ChartDraft) -> Survey {
    let Survey::Chosen(mut chosen) = survey else {
        return survey;
    };
    let (from, to) = (at.display().to_string(), folder.display().to_string());
    for release in &mut chosen.draft.releases {
        if release.source.chart() == Some(at) {
            release.source = InitSource::Chart(folder.to_owned());
        }
        for file in &mut release.values {
            if let Ok(rest) = file.strip_prefix(at) {
                *file = folder.join(rest);
            }
        }
    }
    // One name is enough: the others lead to the same pods.
    chosen
        .draft
        .forwards
        .retain(|forward| !chart.aliases.contains(&forward.service));
    let unknown = chart
        .secrets
        .iter()
        .filter(|secret| secret.from == SecretSource::Unknown);
    chosen.open.extend(unknown.map(|secret| {
        format!(
            "nobody here knows the secret {} ({})",
            secret.key,
            secret.names.join(", ")
        )
    }));
    chosen.text = write::text(&chosen.draft);
    for text in chosen.open.iter_mut().chain([&mut chosen.text]) {
        *text = text.replace(&from, &to);
    }
    Survey::Chosen(chosen)
}
