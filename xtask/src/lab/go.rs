//! Programs built from the Go module proxy.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::apt;
use super::cache::{Cache, Key};
use super::progress::Progress;
use crate::command;

/// Kubernetes 1.36 needs it; a `go` from 1.21 on fetches it by itself.
const TOOLCHAIN: &str = "go1.26.8";
/// What a node on this machine has no use for: cloud providers, and Kubernetes' Docker runtime.
const TAGS: &str = "providerless,dockerless";
const FIRST_WITH_TOOLCHAINS: (u32, u32) = (1, 21);

/// Packages of one module at one version.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    pub(super) packages: &'static [&'static str],
    /// Variables the linker sets, mostly the version that the program tells.
    pub(super) stamps: &'static [(&'static str, &'static str)],
    /// A source file of our own, where the module has no fitting `main`.
    pub(super) main: Option<&'static str>,
}

impl Program {
    pub(super) fn key(&self) -> Key {
        let stamps = self.stamps.iter().flat_map(|(name, value)| [*name, *value]);
        let own = [
            self.name,
            self.version,
            std::env::consts::ARCH,
            self.main.unwrap_or_default(),
        ];
        Key::of(
            own.into_iter()
                .chain(self.packages.iter().copied())
                .chain(stamps),
        )
    }

    fn cache_name(&self) -> String {
        format!("go-{}", self.name)
    }

    pub(super) fn path(&self, cache: &Cache) -> PathBuf {
        cache.path(&self.cache_name(), &self.key())
    }

    pub(super) fn is_built(&self, cache: &Cache) -> bool {
        self.path(cache).exists()
    }

    /// Downloads all modules that the program is compiled from, into a source folder that only
    /// `compile` removes.
    pub(super) fn fetch(&self, cache: &Cache, go: &Go, progress: &Progress) -> Result<Fetched<'_>> {
        let source = cache.file(&format!("tmp/source-{}-{}", self.name, self.key().as_str()));
        progress.step(&format!("modules of {}", self.name), || {
            fs::create_dir(&source).context("cannot create the source folder")?;
            let go_mod = format!("module lab/{}\n\ngo 1.26.0\n", self.name);
            fs::write(source.join("go.mod"), go_mod).context("cannot write go.mod")?;
            match self.main {
                Some(main) => self.require_modules(go, &source, main)?,
                None => self.require_packages(go, &source)?,
            }
            // Modules are downloaded when their packages are loaded.
            let mut list = go.command(&source);
            list.args(["list", "-mod=mod", "-deps", "-tags", TAGS]);
            command::run(list.args(self.compiled()))
        })?;
        Ok(Fetched {
            program: self,
            source,
        })
    }

    /// `go install PACKAGE@VERSION` refuses modules with `replace` lines; a module that requires
    /// them does not.
    fn require_packages(&self, go: &Go, source: &Path) -> Result<()> {
        let versioned = |package: &&str| format!("{package}@{}", self.version);
        let packages = self.packages.iter().map(versioned);
        command::run(go.command(source).arg("get").args(packages))
    }

    fn require_modules(&self, go: &Go, source: &Path, main: &str) -> Result<()> {
        fs::write(source.join("main.go"), main).context("cannot write main.go")?;
        let modules = self.packages.iter();
        modules
            .copied()
            .try_for_each(|module| require_with_staging(go, source, module, self.version))
    }

    /// What `go build` is given.
    fn compiled(&self) -> &[&'static str] {
        match self.main {
            Some(_) => &["."],
            None => self.packages,
        }
    }

    /// `…/server/v3` and `…/v2/cmd` would leave binaries named `server` and `cmd`: a lone one is
    /// named like its program.
    fn rename_binary(&self, folder: &Path) -> Result<()> {
        let [package] = self.packages else {
            return Ok(());
        };
        let is_major = |part: &&str| part.starts_with('v') && part[1..].parse::<u32>().is_ok();
        let made = package.rsplit('/').find(|part| !is_major(part));
        let made = made.unwrap_or(package);
        fs::rename(folder.join(made), folder.join(self.name))
            .with_context(|| format!("no binary `{made}`"))
    }
}

/// A program whose modules are all on this machine.
#[derive(Debug)]
pub(super) struct Fetched<'a> {
    pub(super) program: &'a Program,
    source: PathBuf,
}

impl Fetched<'_> {
    /// Leaves the binaries in the cache, each under the last part of its package's name.
    pub(super) fn compile(self, cache: &Cache, go: &Go, progress: &Progress) -> Result<()> {
        let program = self.program;
        let name = program.cache_name();
        cache.get(&name, &program.key(), progress, |folder| {
            let stamps = program.stamps.iter();
            let stamps: String = stamps
                .map(|(name, value)| format!(" -X {name}={value}"))
                .collect();
            let mut build = go.command(&self.source);
            build.args(["build", "-mod=mod", "-trimpath", "-tags", TAGS]);
            // The linker would drop the debug information; without it an eighth of the compilers' time goes.
            build.args(["-gcflags", "all=-dwarf=false", "-ldflags"]);
            build.arg(format!("-s -w{stamps}")).arg("-o");
            if program.main.is_some() {
                return command::run(build.arg(folder.join(program.name)).arg("."));
            }
            command::run(build.arg(folder).args(program.packages))?;
            program.rename_binary(folder)
        })?;
        fs::remove_dir_all(&self.source).context("cannot remove the source folder")
    }
}

/// Kubernetes' main module replaces its libraries by folders of its own repository. They are published too, each as
/// v0.MINOR.PATCH of the v1.MINOR.PATCH they belong to.
fn require_with_staging(go: &Go, source: &Path, module: &str, version: &str) -> Result<()> {
    let wanted = format!("{module}@{version}");
    let answer = command::output(
        go.command(source)
            .args(["mod", "download", "-json", &wanted]),
    )?;
    let answer: Value =
        serde_json::from_str(&answer).context("`go mod download -json` is not JSON")?;
    let file = answer["GoMod"]
        .as_str()
        .context("`go mod download` names no go.mod")?;
    let theirs = fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
    let staging = version.replacen("v1.", "v0.", 1);
    let path = source.join("go.mod");
    let mut ours = fs::read_to_string(&path).context("cannot read go.mod")?;
    ours.push_str(&format!(
        "godebug default=go1.26\nrequire {module} {version}\n"
    ));
    ours.extend(
        staged_modules(&theirs).map(|name| format!("replace {name} => {name} {staging}\n")),
    );
    fs::write(&path, ours).context("cannot write go.mod")
}

fn staged_modules(go_mod: &str) -> impl Iterator<Item = &str> {
    let replaced = go_mod
        .lines()
        .filter_map(|line| line.split_once(" => ./staging/"));
    replaced.filter_map(|(name, _)| name.split_whitespace().last())
}

/// A `go` that fetches the toolchain which a module asks for.
#[derive(Debug)]
pub(super) struct Go(OsString);

impl Go {
    /// The machine's own if it is new enough to switch toolchains by itself, else one of the lab's.
    pub(super) fn ensure(cache: &Cache) -> Result<Self> {
        let own = cache.file(&format!("{TOOLCHAIN}/bin/go"));
        if own.exists() {
            return Ok(Self(own.into()));
        }
        if command::on_path("go") && switches_toolchains("go") {
            return Ok(Self("go".into()));
        }
        apt::ensure("go", &["golang-go", "ca-certificates"])?;
        if switches_toolchains("go") {
            return Ok(Self("go".into()));
        }
        fetch_toolchain(cache)?;
        Ok(Self(own.into()))
    }

    /// `go` in a folder, with nothing of the caller's build flags.
    fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.0);
        command
            .current_dir(folder)
            .env("CGO_ENABLED", "0")
            .env("GOFLAGS", "")
            .env("GOWORK", "off");
        command
    }
}

fn switches_toolchains(go: &str) -> bool {
    let version = command::output(Command::new(go).args(["env", "GOVERSION"])).unwrap_or_default();
    parse_version(&version).is_some_and(|version| version >= FIRST_WITH_TOOLCHAINS)
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text
        .trim()
        .strip_prefix("go")?
        .split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Toolchains are modules too, which any older `go` can download. It leaves them as data: no file is executable, and
/// every go.mod is named `_go.mod`.
fn fetch_toolchain(cache: &Cache) -> Result<()> {
    let arch = command::output(Command::new("go").args(["env", "GOARCH"]))?;
    let module = format!(
        "golang.org/toolchain@v0.0.1-{TOOLCHAIN}.linux-{}",
        arch.trim()
    );
    let answer = command::output(Command::new("go").args(["mod", "download", "-json", &module]))?;
    let answer: Value =
        serde_json::from_str(&answer).context("`go mod download -json` is not JSON")?;
    let Some(folder) = answer["Dir"].as_str() else {
        bail!("`go mod download {module}` names no folder");
    };
    let unpack = r#"rm -rf "$2" && cp -r "$1" "$2" && chmod -R u+w "$2"
        chmod +x "$2"/bin/* "$2"/pkg/tool/*/*
        find "$2" -name _go.mod | while read -r file; do mv "$file" "${file%_go.mod}go.mod"; done"#;
    let unfinished = cache.file(&format!("tmp/{TOOLCHAIN}"));
    command::run(&mut command::script(
        unpack,
        &[folder, &unfinished.to_string_lossy()],
    ))?;
    fs::rename(unfinished, cache.file(TOOLCHAIN)).context("cannot rename the Go toolchain")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_go_are_read() {
        assert_eq!(parse_version("go1.26.8\n"), Some((1, 26)));
        assert_eq!(parse_version("go1.19rc2"), Some((1, 19)));
        assert_eq!(parse_version("devel +abc"), None);
    }

    #[test]
    fn staged_modules_are_found_in_a_block_and_alone() {
        let text = "replace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n)\n\
            replace k8s.io/metrics => ./staging/src/k8s.io/metrics\nreplace a.b/c => d.e/f v1.0.0\n";
        assert_eq!(
            staged_modules(text).collect::<Vec<_>>(),
            ["k8s.io/api", "k8s.io/metrics"]
        );
    }

    #[test]
    fn a_stamp_is_an_input() {
        let plain = Program {
            name: "x",
            version: "v1",
            packages: &["p"],
            stamps: &[],
            main: None,
        };
        let stamped = Program {
            stamps: &[("p.v", "1")],
            ..plain
        };
        assert_ne!(
            Program {
                name: "x",
                version: "v1",
                packages: &["p"],
                stamps: &[],
                main: None
            }
            .key(),
            stamped.key()
        );
    }
}
