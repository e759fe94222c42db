//! Which files make the project and which variables it sees: options, the environment, `.env` files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Options, dotenv};
use crate::config::{COMPOSE_FILES as FILES, COMPOSE_OVERRIDES as OVERRIDES};
use crate::error::{Code, Error, Result};
use crate::go_path;

/// Variables by name.
pub(super) type ComposeVariables = BTreeMap<String, String>;

/// The file of variables in the folder of a project.
pub const ENV_FILE: &str = ".env";

/// The names under which files are found that nobody named.
pub fn found_names() -> impl Iterator<Item = &'static str> {
    FILES.into_iter().chain(OVERRIDES)
}

/// What the options amount to.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    /// The Compose files, absolute, in the order in which they are laid over each other.
    pub(super) files: Vec<String>,
    /// The project's folder: the first file's.
    pub(super) dir: String,
    /// What `${…}` sees.
    pub(super) environment: ComposeVariables,
    pub(super) profiles: Vec<String>,
}

/// Finds files, variables and profiles; None: there is no Compose file.
///
/// # Errors
/// A named file that does not exist, an env file that Compose refuses.
pub(super) fn setup(options: &Options) -> Result<Option<Setup>> {
    let cwd = options.dir.to_string_lossy();
    let mut finder = Finder::new(options, &cwd)?;
    finder.read_env_files()?;
    finder.name_files()?;
    if finder.files.is_empty() {
        finder.discover();
    }
    if finder.files.is_empty() {
        return Ok(None);
    }
    finder.read_env_files()?;
    let profiles = finder.profiles(options);
    Ok(Some(Setup {
        dir: finder.dir(),
        files: finder.files,
        environment: finder.environment,
        profiles,
    }))
}

#[derive(Debug)]
struct Finder<'a> {
    cwd: &'a str,
    files: Vec<String>,
    /// `--env-file` or `COMPOSE_ENV_FILES`.
    named_env_files: Vec<String>,
    /// The env files in use: the named ones, or the last `.env` that was found.
    env_files: Vec<String>,
    /// The environment of the process, with the `COMPOSE_…` variables of the first `.env`.
    process: ComposeVariables,
    /// The same with all variables of the env files.
    environment: ComposeVariables,
}

impl<'a> Finder<'a> {
    fn new(options: &Options, cwd: &'a str) -> Result<Self> {
        let process = options.environment.clone();
        let absolute =
            |path: &str| go_path::join(if path.starts_with('/') { "" } else { cwd }, path);
        let from_options: Vec<_> = options
            .env_files
            .iter()
            .map(|file| file.to_string_lossy().into_owned())
            .collect();
        let from_environment = || {
            let list = process.get("COMPOSE_ENV_FILES").map_or("", String::as_str);
            list.split(',')
                .filter(|file| !file.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let env_files = if from_options.is_empty() {
            from_environment()
        } else {
            from_options
        };
        let files = options.files.iter().map(|file| file.to_string_lossy());
        let files = files
            .map(|file| named(&file).map(absolute))
            .collect::<Result<_>>()?;
        let named_env_files = env_files.iter().map(|file| absolute(file)).collect();
        let env_files = Vec::new();
        let environment = ComposeVariables::new();
        let mut finder = Self {
            cwd,
            files,
            named_env_files,
            env_files,
            process,
            environment,
        };
        let progress = finder
            .process
            .get("COMPOSE_PROGRESS")
            .cloned()
            .unwrap_or_default();
        finder.adopt();
        finder.check_output(&progress)?;
        finder.environment = finder.process.clone();
        finder
            .environment
            .entry("PWD".to_owned())
            .or_insert_with(|| cwd.to_owned());
        Ok(finder)
    }

    /// Compose first takes the `COMPOSE_…` variables of `.env` as if the user had exported them. What is
    /// wrong with the file is reported when it is read again.
    fn adopt(&mut self) {
        let Ok(Some(files)) = self.find_env_files() else {
            return;
        };
        let Ok(found) = read_env_files(&files, &self.process) else {
            return;
        };
        for (name, value) in found
            .into_iter()
            .filter(|(name, _)| name.starts_with("COMPOSE_"))
        {
            self.process.entry(name).or_insert(value);
        }
    }

    /// Compose refuses settings of its output and its speed that it does not know, whatever it is asked. The way in
    /// which progress is shown must come from the process itself.
    fn check_output(&self, progress: &str) -> Result<()> {
        let value = |name: &str| self.process.get(name).map(String::as_str);
        let refuse = |name: &str, value: &str, hint: &str| {
            Err(
                Error::new(Code::ComposeValue, format!("`{name}` is `{value}`"))
                    .hint(hint.to_owned()),
            )
        };
        match (progress, value("COMPOSE_ANSI").unwrap_or_default()) {
            ("tty", "never") | ("plain", "always") => {
                return refuse(
                    "COMPOSE_PROGRESS",
                    progress,
                    "set COMPOSE_ANSI to `auto`, or unset one of the two",
                );
            }
            ("" | "auto" | "tty" | "plain" | "quiet" | "none" | "json", _) => {}
            _ => {
                return refuse(
                    "COMPOSE_PROGRESS",
                    progress,
                    "set it to auto, tty, plain, quiet or json, or unset it",
                );
            }
        }
        match value("COMPOSE_PARALLEL_LIMIT") {
            Some(limit) if limit.parse::<i64>().is_err() => refuse(
                "COMPOSE_PARALLEL_LIMIT",
                limit,
                "set it to a whole number, in the environment or in .env",
            ),
            _ => Ok(()),
        }
    }

    /// The project's folder, or the one to search from.
    fn dir(&self) -> String {
        self.files
            .first()
            .map_or_else(|| self.cwd.to_owned(), |file| go_path::dir(file))
    }

    /// The env files that count now; None: those that counted before.
    fn find_env_files(&self) -> Result<Option<Vec<String>>> {
        if !self.named_env_files.is_empty() {
            return Ok(Some(self.named_env_files.clone()));
        }
        if self.is_disabled()? {
            return Ok(None);
        }
        let file = go_path::join(&self.dir(), ENV_FILE);
        match Path::new(&file).metadata() {
            Ok(found) => Ok((!found.is_dir()).then(|| vec![file])),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::new(
                Code::ComposeFile,
                format!("the env file `{file}` cannot be read: {e}"),
            )),
        }
    }

    fn is_disabled(&self) -> Result<bool> {
        let Some(text) = self.process.get("COMPOSE_DISABLE_ENV_FILE") else {
            return Ok(false);
        };
        match text.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            _ => Err(Error::new(
                Code::ComposeValue,
                format!("`COMPOSE_DISABLE_ENV_FILE` is `{text}`"),
            )
            .hint("set it to `true` or `false`")),
        }
    }

    fn read_env_files(&mut self) -> Result<()> {
        if let Some(files) = self.find_env_files()? {
            self.env_files = files;
        }
        for (name, value) in read_env_files(&self.env_files, &self.environment)? {
            self.environment.entry(name).or_insert(value);
        }
        Ok(())
    }

    /// The files of `COMPOSE_FILE`.
    fn name_files(&mut self) -> Result<()> {
        let Some(list) = self
            .environment
            .get("COMPOSE_FILE")
            .filter(|_| self.files.is_empty())
        else {
            return Ok(());
        };
        let separator = self
            .environment
            .get("COMPOSE_PATH_SEPARATOR")
            .filter(|separator| !separator.is_empty());
        for file in list.split(separator.map_or(":", String::as_str)) {
            let path = go_path::join(
                if file.starts_with('/') { "" } else { self.cwd },
                named(file)?,
            );
            if !Path::new(&path).exists() {
                return Err(Error::new(
                    Code::ComposeFile,
                    format!("`COMPOSE_FILE` names `{file}`, which does not exist"),
                )
                .hint("correct COMPOSE_FILE in the environment or in .env"));
            }
            self.files.push(path);
        }
        Ok(())
    }

    /// Looks for a Compose file here and above.
    fn discover(&mut self) {
        for dir in Path::new(self.cwd).ancestors() {
            let find = |names: &[&str]| {
                names
                    .iter()
                    .map(|name| dir.join(name))
                    .find(|file| file.exists())
            };
            if let Some(file) = find(&FILES) {
                let found: Vec<PathBuf> = std::iter::once(file).chain(find(&OVERRIDES)).collect();
                self.files = found
                    .iter()
                    .map(|file| file.to_string_lossy().into_owned())
                    .collect();
                return;
            }
        }
    }

    fn profiles(&self, options: &Options) -> Vec<String> {
        if !options.profiles.is_empty() {
            return options.profiles.clone();
        }
        let list = self
            .environment
            .get("COMPOSE_PROFILES")
            .map_or("", String::as_str);
        list.split(',')
            .map(|profile| profile.trim().to_owned())
            .collect()
    }
}

/// A Compose file as the user names it. For docker compose `-` is no file, not even where there is one.
fn named(file: &str) -> Result<&str> {
    if file != "-" {
        return Ok(file);
    }
    // The supervisor, which reads the files, has no standard input of the user's.
    let message = "`-` stands for the standard input, which devk does not read";
    Err(Error::new(Code::ComposeFile, message)
        .hint("write it to a file and name that; a file of this name is `./-`"))
}

/// The variables of env files, later ones over earlier ones. In values, `current` beats them all.
///
/// # Errors
/// A file that does not exist or that Compose refuses.
pub(super) fn read_env_files(
    files: &[String],
    current: &ComposeVariables,
) -> Result<ComposeVariables> {
    let mut found = BTreeMap::new();
    for file in files {
        let path = Path::new(file);
        let bytes = std::fs::read(path).map_err(|e| {
            Error::new(
                Code::ComposeFile,
                format!("the env file `{file}` cannot be read: {e}"),
            )
            .hint("create it, or name another with --env-file")
        })?;
        dotenv::parse(&bytes, path, &|name| current.get(name).cloned(), &mut found)?;
    }
    Ok(found
        .into_iter()
        .map(|(name, set)| (name, set.value))
        .collect())
}
