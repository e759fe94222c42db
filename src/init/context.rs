//! The build context of a Dockerfile, proved by its COPY lines: the folder in which all that they name exists.

use std::path::{Path, PathBuf};

use super::clue::{plain, shown};
use super::draft::Confidence;
use super::scan::RepositoryTree;
use crate::dockerfile::Instruction;
use crate::image::dockerignore::{Ignore, ignore_file};

/// A build context, and why.
#[derive(Debug)]
pub(super) struct ProvedContext {
    pub(super) folder: PathBuf,
    pub(super) confidence: Confidence,
    pub(super) evidence: Option<String>,
    pub(super) alternatives: Vec<String>,
    /// What is copied and the context lacks, and what to do.
    pub(super) missing: Option<String>,
}

/// The context that somebody names, if it has all that is copied; else the nearest folder that has it.
pub(super) fn prove(
    tree: &RepositoryTree,
    dockerfile: &Path,
    all: &[Instruction],
    names: &[String],
    said: Option<(PathBuf, String)>,
) -> ProvedContext {
    let sources = sources(all);
    let has = |folder: &Path| {
        let found = sources
            .iter()
            .filter(|(source, _)| exists(tree, folder, source));
        found.count()
    };
    let own = dockerfile.parent().unwrap_or(Path::new("")).to_owned();
    let candidates = candidates(tree, &own, names);
    let best = candidates.iter().rev().max_by_key(|folder| has(folder));
    let best = best.cloned().unwrap_or(own.clone());
    let is_complete = has(&best) == sources.len();
    let first = sources.first().filter(|_| is_complete);
    let proof = first.map(|(source, line)| {
        format!(
            "context {}: `{source}` of {}:{line} is there",
            shown(&best),
            dockerfile.display()
        )
    });
    let missing = sources
        .iter()
        .find(|(source, _)| !exists(tree, &best, source));
    let missing = missing.map(|(source, line)| {
        format!(
            "`{source}` of {}:{line} is in no folder that could be the context: make it first",
            dockerfile.display()
        )
    });
    let proved = match said {
        // A script may have gone to another folder before it builds.
        Some((folder, at)) if is_complete && has(&folder) < sources.len() => ProvedContext {
            alternatives: vec![format!(
                "{at} says `context: {}`, which lacks what is copied",
                shown(&folder)
            )],
            folder: best,
            confidence: Confidence::Likely,
            evidence: proof,
            missing: None,
        },
        Some((folder, at)) => ProvedContext {
            missing: missing.filter(|_| has(&folder) < sources.len()),
            folder,
            confidence: Confidence::Certain,
            evidence: Some(format!("context by {at}")),
            alternatives: vec![],
        },
        None => {
            let found = has(&best);
            let rivals = candidates
                .iter()
                .filter(|other| **other != best && found > 0 && has(other) == found);
            ProvedContext {
                alternatives: rivals
                    .map(|other| format!("`context: {}` has the same files", shown(other)))
                    .collect(),
                confidence: match (is_complete, sources.is_empty()) {
                    (true, false) => Confidence::Certain,
                    (true, true) => Confidence::Likely,
                    (false, _) => Confidence::Guess,
                },
                evidence: proof.filter(|_| best != own),
                folder: best,
                missing,
            }
        }
    };
    let missing = proved.missing.or_else(|| {
        let folder = tree.root.join(&proved.folder);
        left_out(tree, &folder, dockerfile, &sources)
    });
    ProvedContext { missing, ..proved }
}

/// The first of these sources that is there and that the ignore file keeps out of the context. A file that cannot be
/// read is told by the build.
fn left_out(
    tree: &RepositoryTree,
    folder: &Path,
    dockerfile: &Path,
    sources: &[(String, u32)],
) -> Option<String> {
    let file = ignore_file(folder, &tree.root.join(dockerfile))?;
    let ignore = Ignore::parse(&std::fs::read_to_string(&file).ok()?, &file).ok()?;
    let is_out = |source: &str| {
        let is_plain = !source.contains(['*', '?', '[']);
        is_plain && ignore.ignores(source) && !ignore.may_except_below(source)
    };
    let (source, line) = sources.iter().find(|(source, _)| is_out(source))?;
    let file = file.strip_prefix(&tree.root).unwrap_or(&file).display();
    Some(format!(
        "{file} leaves out `{source}`, which {}:{line} copies: take it out of {file}",
        dockerfile.display()
    ))
}

/// The Dockerfile's folder, those above it, and those that are called like the image; the nearest first.
fn candidates(tree: &RepositoryTree, own: &Path, names: &[String]) -> Vec<PathBuf> {
    let mut found: Vec<_> = own.ancestors().map(Path::to_owned).collect();
    let folders = |dir: &Path| {
        let items = std::fs::read_dir(tree.root.join(dir))
            .into_iter()
            .flatten()
            .flatten();
        let names = items
            .filter(|item| item.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|item| dir.join(item.file_name()));
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    };
    let first = folders(Path::new(""));
    let hidden = |folder: &&PathBuf| !folder.to_string_lossy().starts_with('.');
    let below = first
        .iter()
        .filter(hidden)
        .flat_map(|folder| folders(folder));
    let all = first.clone().into_iter().chain(below);
    let is_named = |folder: &PathBuf| {
        let name = folder
            .file_name()
            .map(|name| plain(&name.to_string_lossy()));
        names.iter().any(|own| Some(plain(own)) == name)
    };
    found.extend(all.filter(is_named));
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|folder| seen.insert(folder.clone()));
    found
}

/// What COPY and ADD name that proves something: `.` and variables do not.
fn sources(all: &[Instruction]) -> Vec<(String, u32)> {
    let proves = |source: &str| {
        ![".", "*", "**"].contains(&source)
            && !["$", "://", "<<"].iter().any(|part| source.contains(part))
    };
    let mut copied = copied(all);
    copied.retain(|(source, _)| proves(source));
    copied
}

/// What COPY and ADD take out of the context, with their lines.
pub(super) fn copied(all: &[Instruction]) -> Vec<(String, u32)> {
    let mut found = vec![];
    let copies = ["COPY", "ADD"];
    for instruction in all
        .iter()
        .filter(|one| copies.contains(&one.keyword.as_str()))
    {
        let mut rest = instruction.text.as_str();
        let mut is_of_context = true;
        while let Some(flag) = rest.strip_prefix("--") {
            let end = flag.find(char::is_whitespace).unwrap_or(flag.len());
            is_of_context &= !flag[..end].starts_with("from=");
            rest = flag[end..].trim_start();
        }
        if !is_of_context {
            continue;
        }
        let words: Vec<String> = serde_json::from_str(rest)
            .unwrap_or_else(|_| rest.split_whitespace().map(str::to_owned).collect());
        let Some((_, sources)) = words.split_last() else {
            continue;
        };
        for source in sources {
            let source = source.trim_matches(['"', '\'']);
            let source = source.trim_start_matches("./").trim_matches('/');
            let source = if source.is_empty() { "." } else { source };
            found.push((source.to_owned(), instruction.line));
        }
    }
    found
}

/// Whether a path is below a folder; a name with wildcards if anything fits.
fn exists(tree: &RepositoryTree, folder: &Path, source: &str) -> bool {
    let Some(at) = source.find(['*', '?', '[']) else {
        return tree.root.join(folder).join(source).exists();
    };
    let dir = source[..at].rsplit_once('/').map_or("", |(dir, _)| dir);
    let pattern = source[dir.len()..]
        .trim_start_matches('/')
        .split('/')
        .next()
        .unwrap_or_default();
    let items = std::fs::read_dir(tree.root.join(folder).join(dir))
        .into_iter()
        .flatten()
        .flatten();
    let mut names = items.map(|item| item.file_name().to_string_lossy().into_owned());
    let head = pattern.split(['*', '?', '[']).next().unwrap_or_default();
    let tail = pattern.rsplit(['*', '?', ']']).next().unwrap_or_default();
    names.any(|name| name.starts_with(head) && name.ends_with(tail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dockerfile::instructions;

    #[test]
    fn a_said_context_that_has_all_is_whole_wherever_it_is_and_one_that_lacks_something_yields_or_says_it()
     {
        let dir = tempfile::tempdir().unwrap();
        for file in ["docker/api.Dockerfile", "shared/src/app.py"] {
            let file = dir.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "").unwrap();
        }
        let tree = RepositoryTree::scan(dir.path());
        let proved = |text: &str, said: &str| {
            let said = Some((PathBuf::from(said), "Makefile:3".to_owned()));
            let file = Path::new("docker/api.Dockerfile");
            prove(&tree, file, &instructions(text), &[], said)
        };
        // No candidate has it: it is neither above the Dockerfile nor called like the image.
        let whole = proved("FROM a\nCOPY src/app.py /app/\n", "shared");
        assert_eq!((whole.folder, whole.missing), ("shared".into(), None));
        let elsewhere = proved("FROM a\nCOPY shared/src /app/\n", "docker");
        assert_eq!((elsewhere.folder, elsewhere.missing), ("".into(), None));
        let nowhere = proved("FROM a\nCOPY dist /app/\n", "shared");
        assert_eq!(nowhere.folder, PathBuf::from("shared"));
        assert!(
            nowhere
                .missing
                .unwrap()
                .starts_with("`dist` of docker/api.Dockerfile:2")
        );
    }

    #[test]
    fn what_the_ignore_file_leaves_out_is_missing_unless_an_exception_takes_it_back() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("conf")).unwrap();
        std::fs::write(dir.path().join("conf/a.conf"), "").unwrap();
        let tree = RepositoryTree::scan(dir.path());
        let missing = |ignored: &str, source: &str| {
            std::fs::write(dir.path().join(".dockerignore"), ignored).unwrap();
            let all = instructions(&format!("FROM a\nCOPY {source} /etc/\n"));
            prove(&tree, Path::new("Dockerfile"), &all, &[], None).missing
        };
        let out = "leaves out `conf/a.conf`, which Dockerfile:2 copies";
        assert!(missing("conf\n", "conf/a.conf").unwrap().contains(out));
        assert_eq!(missing("conf/*\n!conf/a.conf\n", "conf/a.conf"), None);
        assert_eq!(missing("conf\n!conf/a.conf\n", "conf"), None);
        assert_eq!(missing("*.md\n", "conf"), None);
    }
}
