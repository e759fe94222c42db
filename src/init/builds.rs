//! What can be built: each Dockerfile with its context, stage and arguments, and the names that it goes by.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::clue::{BuildClue, Clues, SourceLine, Speaker, plain, shown};
use super::context;
use super::draft::Confidence;
use super::scan::{FileKind, RepositoryTree};
use super::stages;
use crate::dockerfile::{Instruction, instructions};

/// Words that say for what a Dockerfile is, not whose: `Dockerfile.dev`.
const VARIANTS: [&str; 13] = [
    "ci",
    "debug",
    "dev",
    "devel",
    "development",
    "local",
    "prod",
    "production",
    "release",
    "staging",
    "test",
    "tests",
    "watch",
];

/// Folders that say what they hold, not whose it is.
const GENERIC: [&str; 16] = [
    "apps",
    "build",
    "ci",
    "container",
    "containers",
    "deploy",
    "deployment",
    "docker",
    "dockerfiles",
    "image",
    "images",
    "package",
    "packages",
    "services",
    "src",
    "tools",
];

/// Something that can be built.
#[derive(Debug, Clone)]
pub(super) struct FoundBuild {
    pub(super) context: PathBuf,
    pub(super) dockerfile: PathBuf,
    pub(super) target: Option<String>,
    pub(super) args: BTreeMap<String, String>,
    /// References that it gets somewhere, and who says so.
    pub(super) tags: Vec<(String, SourceLine)>,
    /// What it is called, the best name first.
    pub(super) names: Vec<String>,
    /// How many of the names are Compose's: services that share the Dockerfile.
    pub(super) services: usize,
    /// EXPOSE, of all stages.
    pub(super) exposed: BTreeSet<u16>,
    pub(super) confidence: Confidence,
    pub(super) evidence: Vec<String>,
    pub(super) alternatives: Vec<String>,
    /// What is copied and the context lacks, and what to do.
    pub(super) missing: Option<String>,
    /// ARG, without those before the first FROM.
    pub(super) declared: Vec<(String, Option<String>, usize)>,
    /// Each FROM, as it is written, with variables.
    pub(super) bases: Vec<String>,
    /// The stage for development that Compose builds, and the ports of Compose's service.
    pub(super) development: Option<DevelopmentStage>,
}

/// A stage for development.
#[derive(Debug, Clone)]
pub(super) struct DevelopmentStage {
    pub(super) name: String,
    pub(super) at: SourceLine,
    pub(super) exposed: BTreeSet<u16>,
    pub(super) holds_sources: bool,
}

/// Every build of the repository, twins for development left out where there is another.
pub(super) fn find(tree: &RepositoryTree, clues: &Clues) -> Vec<FoundBuild> {
    let mut files: BTreeMap<(PathBuf, String), Vec<PathBuf>> = BTreeMap::new();
    for file in tree.of_kind(FileKind::Dockerfile) {
        if file.starts_with(".devcontainer") {
            continue;
        }
        let folder = file.parent().unwrap_or(Path::new("")).to_owned();
        let (name, _) = own_name(file);
        files
            .entry((folder, name.unwrap_or_default()))
            .or_default()
            .push(file.to_owned());
    }
    let mut found = vec![];
    for twins in files.into_values() {
        let chosen = chosen(&twins, clues);
        let others = twins.iter().filter(|file| **file != chosen);
        let others: Vec<_> = others
            .map(|file| format!("twin: `dockerfile: {}`", shown(file)))
            .collect();
        let before = found.len();
        found.extend(builds(tree, &chosen, clues));
        for build in &mut found[before..] {
            build.alternatives.extend(others.iter().cloned());
        }
    }
    found
}

/// Of `Dockerfile`, `Dockerfile.dev` and `Dockerfile.prod` the one that others than Compose build, else the plain one,
/// else that for production.
fn chosen(twins: &[PathBuf], clues: &Clues) -> PathBuf {
    let is_built = |file: &PathBuf| {
        let mut builds = clues.builds.iter();
        builds.any(|clue| clue.dockerfile == *file && clue.speaker != Speaker::Compose)
    };
    let rank = |file: &&PathBuf| {
        let order = match own_name(file).1.as_deref() {
            None => 0,
            Some("prod" | "production" | "release") => 1,
            Some(_) => 2,
        };
        (!is_built(file), order)
    };
    twins.iter().min_by_key(rank).cloned().unwrap_or_default()
}

/// `api` of `Dockerfile.api` and `api.Dockerfile`, and `dev` of `Dockerfile.dev`.
fn own_name(file: &Path) -> (Option<String>, Option<String>) {
    let name = file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    let mut own = None;
    let mut variant = None;
    for part in name
        .split('.')
        .filter(|part| !["dockerfile", "containerfile"].contains(part))
    {
        match VARIANTS.contains(&part) {
            true => variant = Some(part.to_owned()),
            false => own = Some(part.to_owned()),
        }
    }
    (own, variant)
}

/// The builds of one Dockerfile: one, or one for each stage that is an image of its own.
fn builds(tree: &RepositoryTree, dockerfile: &Path, clues: &Clues) -> Vec<FoundBuild> {
    let Some(text) = tree.read(dockerfile) else {
        return vec![];
    };
    let all = instructions(&text);
    // `dockerfile.go` is a program about Dockerfiles.
    if !all.iter().any(|instruction| instruction.keyword == "FROM") {
        return vec![];
    }
    let own: Vec<_> = clues
        .builds
        .iter()
        .filter(|clue| clue.dockerfile == dockerfile)
        .collect();
    let mut by_target: BTreeMap<Option<&str>, Vec<&BuildClue>> = BTreeMap::new();
    for clue in &own {
        // A stage that only a pipeline's input knows is none.
        let target = clue
            .target
            .as_deref()
            .filter(|target| !target.contains('$'));
        by_target.entry(target).or_default().push(clue);
    }
    let (for_development, others): (Vec<_>, Vec<_>) = by_target
        .into_iter()
        .partition(|(target, _)| target.is_some_and(is_for_development));
    let mut groups: Vec<_> = others
        .into_iter()
        .map(|(target, clues)| (target.map(str::to_owned), clues))
        .collect();
    if groups.is_empty() {
        groups.push((None, own.clone()));
    }
    let one = groups.len() == 1;
    let mut found: Vec<_> = groups
        .into_iter()
        .map(|(target, clues)| build(tree, dockerfile, &all, target, &clues))
        .collect();
    if let (true, [build], [(Some(target), clues), ..]) =
        (one, &mut found[..], &for_development[..])
    {
        let context = tree.root.join(&build.context);
        build.development = development(target, clues, &all, &context);
    }
    found
}

fn development(
    target: &str,
    clues: &[&BuildClue],
    all: &[Instruction],
    context: &Path,
) -> Option<DevelopmentStage> {
    let stages = stages::read(all);
    let stage = stages::named(&stages, target)?;
    Some(DevelopmentStage {
        name: target.to_owned(),
        at: clues.first()?.at.clone(),
        exposed: stage.exposed.clone(),
        holds_sources: stages::holds_sources(stage, &stages, context),
    })
}

fn is_for_development(target: &str) -> bool {
    let mut words = target.split(['-', '_']);
    words.any(|word| VARIANTS.contains(&word) && !word.starts_with("prod") && word != "release")
}

fn build(
    tree: &RepositoryTree,
    dockerfile: &Path,
    all: &[Instruction],
    target: Option<String>,
    clues: &[&BuildClue],
) -> FoundBuild {
    let mut clues = clues.to_vec();
    clues.sort_by_key(|clue| clue.speaker);
    let is_beside_plain = is_beside_plain(tree, dockerfile);
    let mut names = names(dockerfile, &clues, target.as_deref(), is_beside_plain);
    let services = clues.iter().filter(|clue| clue.speaker == Speaker::Compose);
    let services: BTreeSet<_> = services.filter_map(|clue| clue.name.as_deref()).collect();
    let services = services.len();
    if dockerfile.parent() == Some(Path::new("")) && !is_beside_plain {
        let own = tree
            .root
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        names.extend(own.filter(|own| !names.iter().any(|name| plain(name) == plain(own))));
    }
    let said = clues
        .first()
        .map(|clue| (clue.context.clone(), clue.at.to_string()));
    let context = context::prove(tree, dockerfile, all, &names, said);
    let mut evidence = vec![format!(
        "{} builds it",
        shown(dockerfile).trim_start_matches("./")
    )];
    evidence.extend(context.evidence);
    let tags = clues.iter().flat_map(|clue| {
        let tags = clue.tags.iter().filter(|tag| !tag.starts_with('$'));
        tags.map(|tag| (tag.clone(), clue.at.clone()))
    });
    let args = clues.iter().rev().flat_map(|clue| clue.args.clone());
    let withheld = clues.iter().flat_map(|clue| &clue.withheld);
    let withheld = withheld.map(|name| {
        format!("Compose gives the argument {name}, whose value comes from outside or is a secret: devk.yaml leaves it out")
    });
    let mut alternatives = context.alternatives;
    alternatives.extend(withheld);
    let (declared, bases) = variables(all);
    FoundBuild {
        target,
        args: args.collect(),
        tags: tags.collect(),
        exposed: exposed(all),
        development: None,
        confidence: context.confidence,
        alternatives,
        missing: context.missing,
        services,
        context: context.folder,
        dockerfile: dockerfile.to_owned(),
        declared,
        bases,
        evidence,
        names,
    }
}

/// `Dockerfile.worker` beside a `Dockerfile`: the folder's name is that of the plain one.
fn is_beside_plain(tree: &RepositoryTree, dockerfile: &Path) -> bool {
    let is_plain = |file: &Path| file.parent() == dockerfile.parent() && own_name(file).0.is_none();
    own_name(dockerfile).0.is_some() && tree.of_kind(FileKind::Dockerfile).any(is_plain)
}

/// Compose's name, that of the folder, of the file, of bake's target, of the stage, of the reference.
fn names(
    dockerfile: &Path,
    clues: &[&BuildClue],
    target: Option<&str>,
    is_beside_plain: bool,
) -> Vec<String> {
    let mut names: Vec<String> = vec![];
    let mut add = |name: Option<&str>| {
        let name = name.filter(|name| !plain(name).is_empty());
        let is_new = |name: &str| !names.iter().any(|other| plain(other) == plain(name));
        if let Some(name) = name.filter(|name| is_new(name)) {
            names.push(name.to_owned());
        }
    };
    for clue in clues.iter().filter(|clue| clue.speaker == Speaker::Compose) {
        add(clue.name.as_deref());
    }
    add(own_name(dockerfile).0.as_deref());
    // Of several stages of one file each is its own.
    add(target.filter(|target| {
        !VARIANTS.contains(target) && !["final", "runtime", "runner"].contains(target)
    }));
    let contexts = clues.iter().map(|clue| clue.context.as_path());
    let folders = dockerfile.parent().into_iter().chain(contexts);
    for folder in folders.filter(|_| !is_beside_plain) {
        add(specific(folder));
    }
    for clue in clues {
        add(clue.name.as_deref());
        for tag in &clue.tags {
            let last = tag.rsplit('/').next().unwrap_or(tag);
            add(last
                .split([':', '@'])
                .next()
                .filter(|name| !name.contains('$')));
        }
    }
    names
}

/// The nearest folder that says whose it is.
fn specific(folder: &Path) -> Option<&str> {
    let mut above = folder
        .ancestors()
        .filter_map(|folder| folder.file_name()?.to_str());
    above.find(|name| !GENERIC.contains(name) && !is_version(name))
}

/// `v1`, `v1beta1`.
fn is_version(name: &str) -> bool {
    let digits = name.strip_prefix('v').unwrap_or_default();
    digits.starts_with(|c: char| c.is_ascii_digit())
}

fn exposed(all: &[Instruction]) -> BTreeSet<u16> {
    let words = all
        .iter()
        .filter(|instruction| instruction.keyword == "EXPOSE")
        .flat_map(|instruction| instruction.text.split_whitespace());
    words
        .filter_map(|word| word.split('/').next()?.parse().ok())
        .collect()
}

type Declared = Vec<(String, Option<String>, usize)>;

/// The arguments that stages declare, and what they begin with.
fn variables(all: &[Instruction]) -> (Declared, Vec<String>) {
    let mut declared = vec![];
    let mut bases = vec![];
    for instruction in all {
        match instruction.keyword.as_str() {
            "FROM" => {
                let mut words = instruction.text.split_whitespace();
                bases.extend(
                    words
                        .find(|word| !word.starts_with("--"))
                        .map(str::to_owned),
                );
            }
            "ARG" => {
                let (name, value) = match instruction.text.split_once('=') {
                    Some((name, value)) => (name, Some(value.trim_matches(['"', '\'']).to_owned())),
                    None => (instruction.text.as_str(), None),
                };
                declared.push((name.trim().to_owned(), value, instruction.line as usize));
            }
            _ => {}
        }
    }
    (declared, bases)
}
