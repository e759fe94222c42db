//! Command lines in Makefiles, scripts, pipelines and READMEs: `docker build`, `helm upgrade`, `kubectl apply`. Variables
//! that the same file sets are known, loops over words are walked through; what nobody can know keeps its `$`.

use std::path::{Path, PathBuf};

use super::super::clue::{ApplyClue, BuildClue, Clues, InstallClue, SourceLine, Speaker, inside};
use super::super::scan::RepositoryTree;
use super::flags::Flags;
use super::variables::{TOP, expand, replaced, variables, with_top};

/// Programs whose `build` is Docker's.
const BUILDERS: [&str; 3] = ["docker", "podman", "nerdctl"];

/// Reads the commands of one file.
pub(super) fn read(
    tree: &RepositoryTree,
    file: &Path,
    text: &str,
    speaker: Speaker,
    clues: &mut Clues,
) {
    let text = &with_top(text);
    let variables = variables(text);
    let mut folder = None;
    for (line, command) in logical_lines(text) {
        if let Some(set) = command.trim().strip_prefix("working-directory:") {
            folder = inside(Path::new(set.trim().trim_matches(['"', '\''])));
        }
        let reader = Reader {
            tree,
            at: SourceLine::new(file, line),
            speaker,
            bases: bases(file, folder.as_deref()),
        };
        for body in loops(&command) {
            let body = expand(&body, &variables);
            reader.commands(&body, clues);
        }
    }
}

/// Where relative paths may start, the likeliest first.
fn bases(file: &Path, folder: Option<&Path>) -> Vec<PathBuf> {
    let own = file.parent().unwrap_or(Path::new("")).to_owned();
    let is_of_pipeline = own.starts_with(".github") || own.starts_with(".circleci");
    let mut bases: Vec<_> = folder.map(Path::to_owned).into_iter().collect();
    if !is_of_pipeline {
        bases.push(own);
    }
    bases.push(PathBuf::new());
    bases
}

/// Lines with their numbers, continued ones joined.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = vec![];
    let mut open = false;
    for (at, line) in text.lines().enumerate() {
        let (part, goes_on) = match line.trim_end().strip_suffix('\\') {
            Some(part) => (part, true),
            None => (line, false),
        };
        match found.last_mut() {
            Some((_, last)) if open => {
                last.push(' ');
                last.push_str(part.trim());
            }
            _ => found.push((at + 1, part.to_owned())),
        }
        open = goes_on;
    }
    found
}

/// A line once for every word of `for NAME in …; do`, or as it is.
fn loops(command: &str) -> Vec<String> {
    // A Makefile doubles the dollar of the shell.
    let command = command.replace("$$", "$");
    let parts = command
        .split_once("for ")
        .and_then(|(_, rest)| rest.split_once(" in "))
        .and_then(|(name, rest)| Some((name.trim(), rest.split_once("do ")?)));
    let Some((name, (words, body))) = parts else {
        return vec![command];
    };
    let words = words.trim().trim_end_matches(';');
    let words = words.split_whitespace();
    let each = words.map(|word| replaced(body, name, word.trim_matches(['"', '\''])));
    each.collect()
}

struct Reader<'a> {
    tree: &'a RepositoryTree,
    at: SourceLine,
    speaker: Speaker,
    bases: Vec<PathBuf>,
}

impl Reader<'_> {
    fn commands(&self, line: &str, clues: &mut Clues) {
        let mut folder = PathBuf::new();
        for part in line
            .split([';', '|', '`'])
            .flat_map(|part| part.split("&&"))
        {
            let words = words(part);
            if let Some(at) = words.iter().position(|word| word == "cd") {
                folder = words.get(at + 1).map(PathBuf::from).unwrap_or_default();
            }
            for at in 0..words.len() {
                self.command(&words[at..], &folder, clues);
            }
        }
    }

    fn command(&self, words: &[String], folder: &Path, clues: &mut Clues) {
        let is = |at: usize, text: &str| words.get(at).is_some_and(|word| word == text);
        let program = words[0].rsplit('/').next().unwrap_or_default();
        if BUILDERS.contains(&program) && is(1, "build") {
            clues.builds.extend(self.build(&words[2..], folder));
        } else if BUILDERS.contains(&program)
            && (is(1, "buildx") || is(1, "image"))
            && is(2, "build")
        {
            clues.builds.extend(self.build(&words[3..], folder));
        } else if program == "helm" && (is(1, "upgrade") || is(1, "install")) {
            match self.install(&words[2..], folder) {
                Some(clue) => clues.installs.push(clue),
                None => clues.remote.extend(self.remote(&words[2..])),
            }
        } else if program == "kubectl" && is(1, "apply") {
            clues.applies.extend(self.apply(&words[2..], folder));
        } else if program == "kustomize" && is(1, "build") {
            let given = words[2..].iter().find(|word| !word.starts_with('-'));
            clues
                .applies
                .extend(given.and_then(|path| self.applied(path, folder)));
        }
    }

    fn build(&self, words: &[String], folder: &Path) -> Option<BuildClue> {
        let flags = Flags::of(words, &BUILD_SWITCHES);
        let place = flags.rest.last()?;
        let file = flags.get(&["-f", "--file"]);
        let (context, dockerfile) = self.bases.iter().find_map(|base| {
            let context = self.below(base, folder, place)?;
            let dockerfile = match file {
                // From the folder of the command, not from the context.
                Some(file) => self.below(base, folder, file)?,
                None => context.join("Dockerfile"),
            };
            let is_there = self.tree.is_dir(&context) && self.tree.is_file(&dockerfile);
            is_there.then_some((context, dockerfile))
        })?;
        let args = flags.all(&["--build-arg"]);
        let args = args.iter().filter_map(|arg| arg.split_once('='));
        Some(BuildClue {
            speaker: self.speaker,
            at: self.at.clone(),
            context,
            dockerfile,
            target: flags.get(&["--target"]).map(str::to_owned),
            args: args
                .filter(|(_, value)| !value.contains('$'))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            withheld: vec![],
            tags: flags
                .all(&["-t", "--tag"])
                .into_iter()
                .map(str::to_owned)
                .collect(),
            name: None,
        })
    }

    fn install(&self, words: &[String], folder: &Path) -> Option<InstallClue> {
        let flags = Flags::of(words, &INSTALL_SWITCHES);
        let (release, chart) = match &flags.rest[..] {
            [release, chart, ..] => (Some(*release), *chart),
            [chart] => (flags.get(&["--name", "-n"]), *chart),
            [] => return None,
        };
        let chart = self.found(chart, folder, |tree, path| {
            tree.is_file(&path.join("Chart.yaml"))
        })?;
        let values = flags.all(&["-f", "--values"]);
        let values = values.iter().flat_map(|files| files.split(','));
        Some(InstallClue {
            speaker: self.speaker,
            at: self.at.clone(),
            chart,
            release: release
                .filter(|name| !name.contains('$'))
                .map(str::to_owned),
            values: values
                .filter_map(|file| self.found(file, folder, RepositoryTree::is_file))
                .collect(),
        })
    }

    /// `bitnami/redis`, or a chart of a registry.
    fn remote(&self, words: &[String]) -> Option<(String, SourceLine)> {
        let flags = Flags::of(words, &INSTALL_SWITCHES);
        let chart = flags.rest.get(1).copied()?;
        let is_name = chart.starts_with("oci://")
            || (chart.matches('/').count() == 1 && !chart.starts_with(['.', '/', '$']));
        let is_known = is_name && !chart.contains('$') && self.speaker != Speaker::Readme;
        is_known.then(|| (chart.to_owned(), self.at.clone()))
    }

    fn apply(&self, words: &[String], folder: &Path) -> Option<ApplyClue> {
        let flags = Flags::of(words, &[]);
        let path = flags.get(&["-k", "--kustomize", "-f", "--filename"])?;
        self.applied(path, folder)
    }

    fn applied(&self, path: &str, folder: &Path) -> Option<ApplyClue> {
        let exists = |tree: &RepositoryTree, path: &Path| tree.is_dir(path) || tree.is_file(path);
        Some(ApplyClue {
            at: self.at.clone(),
            path: self.found(path, folder, exists)?,
        })
    }

    /// A path from the first of the bases where it leads to something.
    fn found(
        &self,
        path: &str,
        folder: &Path,
        is_there: impl Fn(&RepositoryTree, &Path) -> bool,
    ) -> Option<PathBuf> {
        let mut bases = self.bases.iter();
        bases.find_map(|base| {
            let found = self.below(base, folder, path)?;
            is_there(self.tree, &found).then_some(found)
        })
    }

    /// A path as it is for a command that runs in `folder` of a base; None if it leads out of the repository.
    fn below(&self, base: &Path, folder: &Path, path: &str) -> Option<PathBuf> {
        let path = path.trim_end_matches('/');
        if let Some(rest) = path.strip_prefix(TOP) {
            return inside(Path::new(rest.trim_start_matches('/')));
        }
        let path = ["$PWD", "$(PWD)", "${PWD}", "$(CURDIR)", "$(pwd)"]
            .iter()
            .find_map(|here| path.strip_prefix(here))
            .map_or(path, |rest| rest.trim_start_matches('/'));
        inside(&base.join(folder).join(path))
    }
}

/// Options of `docker build` without a value.
const BUILD_SWITCHES: [&str; 9] = [
    "--push",
    "--load",
    "--no-cache",
    "--pull",
    "--rm",
    "--quiet",
    "-q",
    "--force-rm",
    "--squash",
];
/// Options of `helm upgrade` and `helm install` without a value.
const INSTALL_SWITCHES: [&str; 14] = [
    "--install",
    "-i",
    "--wait",
    "--atomic",
    "--create-namespace",
    "--debug",
    "--dry-run",
    "--force",
    "--reuse-values",
    "--reset-values",
    "--dependency-update",
    "--wait-for-jobs",
    "--cleanup-on-fail",
    "--generate-name",
];

/// The words of a command; quotes that do not end are no obstacle.
fn words(text: &str) -> Vec<String> {
    let text = text.trim().trim_start_matches(['@', '-', '$', '>']);
    shlex::split(text).unwrap_or_else(|| text.split_whitespace().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture::write;
    use super::*;

    fn clues(text: &str) -> Clues {
        let dir = tempfile::tempdir().unwrap();
        let files = [
            "api/Dockerfile",
            "web/Dockerfile",
            "chart/Chart.yaml",
            "chart/values-dev.yaml",
            "Makefile",
        ];
        write(dir.path(), &files.map(|file| (file, "")));
        let tree = RepositoryTree::scan(dir.path());
        let mut clues = Clues::default();
        read(
            &tree,
            Path::new("Makefile"),
            text,
            Speaker::Commands,
            &mut clues,
        );
        clues
    }

    #[test]
    fn a_script_finds_its_repository_by_its_own_folder_or_by_git() {
        let dir = tempfile::tempdir().unwrap();
        let files = ["Dockerfile", "api/Dockerfile", "tools/build/all.sh"];
        write(dir.path(), &files.map(|file| (file, "")));
        let tree = RepositoryTree::scan(dir.path());
        let built = |text: &str| {
            let mut clues = Clues::default();
            let file = Path::new("tools/build/all.sh");
            read(&tree, file, text, Speaker::Commands, &mut clues);
            let builds = clues.builds.iter();
            let shown = builds.map(|build| {
                let context = build.context.display();
                format!("{} {context} {}", build.at, build.dockerfile.display())
            });
            shown.collect::<Vec<_>>()
        };
        let by_folder = r#"HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
readonly ROOT="$(cd "$HERE/../.." && pwd)"
docker build -t page "$ROOT"
docker build -t api "${ROOT}/api"
"#;
        let expected = [
            "tools/build/all.sh:3  Dockerfile",
            "tools/build/all.sh:4 api api/Dockerfile",
        ];
        assert_eq!(built(by_folder), expected);
        let by_git = "ROOT=$(git rev-parse --show-toplevel)\n\ndocker build $ROOT\ndocker build -f $ROOT/api/Dockerfile $ROOT/api\n";
        assert_eq!(built(by_git), expected);
        // A line that enters the root before is not followed: there is only one place with such a Dockerfile.
        let expected = ["tools/build/all.sh:2  api/Dockerfile"];
        assert_eq!(
            built("cd ../..\ndocker build -f api/Dockerfile .\n"),
            expected
        );
        assert_eq!(built("docker build $ELSEWHERE\n"), [""; 0]);
    }

    #[test]
    fn variables_loops_folders_and_continued_lines_are_followed() {
        let found = clues(
            "REPO ?= acme\nbuild:\n\tfor s in api web; do docker build -t $(REPO)/$$s:1 $$s; done\n\tcd api && docker buildx build \\\n\t  --push --build-arg A=b -t x/y:$(TAG) .\n",
        );
        let builds: Vec<_> = found
            .builds
            .iter()
            .map(|build| {
                format!(
                    "{} {} {:?} {:?}",
                    build.at,
                    build.context.display(),
                    build.tags,
                    build.args
                )
            })
            .collect();
        assert_eq!(
            builds,
            [
                "Makefile:3 api [\"acme/api:1\"] {}",
                "Makefile:3 web [\"acme/web:1\"] {}",
                "Makefile:4 api [\"x/y:$(TAG)\"] {\"A\": \"b\"}",
            ]
        );
    }

    #[test]
    fn an_install_has_its_release_and_values_and_one_of_a_repository_is_told_apart() {
        let found = clues(
            "up:\n\thelm upgrade -i --wait shop ./chart -f chart/values-dev.yaml -n dev\n\thelm install cache bitnami/redis\n",
        );
        let install = &found.installs[0];
        assert_eq!(
            (install.release.as_deref(), install.chart.as_path()),
            (Some("shop"), Path::new("chart"))
        );
        assert_eq!(install.values, [Path::new("chart/values-dev.yaml")]);
        assert_eq!(
            (found.installs.len(), found.remote[0].0.as_str()),
            (1, "bitnami/redis")
        );
    }

    #[test]
    fn a_command_in_the_middle_of_something_broken_is_no_obstacle() {
        let text = "for x in do\n$(\ndocker build\nhelm upgrade\nhelm install 'x\ndocker build -t\nkubectl apply -f\n\\\n";
        let found = clues(text);
        assert!(found.builds.is_empty() && found.installs.is_empty());
    }
}
