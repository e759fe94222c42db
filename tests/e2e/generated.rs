//! Generated Dockerfiles, built by the real builder: a file that is synced is wherever a fresh build would have it, and
//! nowhere else. `DEVK_E2E_DOCKERFILES` is how many, `DEVK_E2E_SEED` makes the same ones again.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use devk::config::{ImageConfig, Origin, Sync};
use devk::docker::Engine;
use devk::image::{self, ContextManifest};
use devk::sync::checked::{Checked, check, places};
use devk::sync::rules::{Rules, Usage, Verdict};

use crate::engine;
use crate::image::reporter;

const PROJECT: &str = "generated-dockerfiles";
const DOCKERFILES: usize = 30;

const FILES: [&str; 14] = [
    "app/a.txt",
    "app/b.js",
    "app/deep/c.txt",
    "app/deep/x/d.txt",
    "conf/e.conf",
    "conf/f.txt",
    "lib/g.txt",
    "lib/sub/h.txt",
    "web/index.html",
    "web/i.css",
    "top.txt",
    "package.json",
    "other/a.txt",
    "data.d/j.txt",
];
/// What comes after the build.
const LATER: [&str; 5] = [
    "app/new.txt",
    "app/newfolder/n.txt",
    "lib/new.js",
    "web/new.html",
    "new.txt",
];
const LINKS: [(&str, &str); 4] = [
    ("services/lib", "../lib"),
    ("wl/link.txt", "../lib/g.txt"),
    ("wl/folder", "../app/deep"),
    ("app/inner", "../web"),
];
const IGNORES: [&str; 5] = [
    "",
    "*.css\n",
    "conf\n!conf/e.conf\n",
    "app/deep\n",
    "**/*.txt\n!top.txt\n",
];
const SOURCES: [&str; 22] = [
    ".",
    "app",
    "app/",
    "app/*.txt",
    "app/*",
    "*/*.txt",
    "top.txt",
    "lib",
    "services/lib",
    "services/lib/",
    "services/lib/g.txt",
    "wl/link.txt",
    "wl/*",
    "web conf",
    "l*",
    "s*/*",
    "app/deep",
    "./app/../lib",
    "package.json top.txt",
    "app other",
    "$SRC",
    "[a-l]*/?.txt",
];
const TARGETS: [&str; 10] = [
    "./",
    ".",
    "/srv/x/",
    "/srv/x",
    "$D/",
    "${D}/in/",
    "/${E:-etc}/cfg/",
    "renamed.txt",
    "/opt/",
    "$TARGETARCH/",
];
const FLAGS: [&str; 10] = [
    "",
    "",
    "",
    "",
    "--chown=1000:1000 ",
    "--chown=7 ",
    "--chmod=640 ",
    "--link ",
    "--exclude=*.txt ",
    "--parents ",
];
const RUNS: [&str; 15] = [
    "RUN chown -R 5:6 /srv || true",
    "RUN chmod -R g+w /srv || true",
    "RUN mkdir -p /srv/logs",
    "RUN cp -r /srv /copy || true",
    "RUN mv /srv/app /moved || true",
    "RUN sed -i s/t/T/ /srv/top.txt || true",
    "RUN find /srv -name '*.txt' -exec chmod 600 {} +",
    "RUN cat /srv/*.txt >/all || true",
    "RUN rm -rf /srv/web /srv/x",
    "RUN --mount=type=bind,source=lib,target=/m cp -r /m /mounted",
    "RUN --mount=type=bind,source=services/lib,target=/m cp -r /m /mounted",
    "RUN ln -s /srv/x /linked && true",
    "RUN adduser -D someone || true",
    "RUN chmod 600 /srv/top.txt || true",
    "WORKDIR /srv",
];

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn copy(&mut self) -> String {
        let verb = if self.chance(15) { "ADD" } else { "COPY" };
        let source = self.one(&SOURCES);
        format!("{verb} {}{source} {}", self.one(&FLAGS), self.one(&TARGETS))
    }

    fn step(&mut self) -> String {
        match self.below(12) {
            0..=5 => self.copy(),
            6 => "COPY --from=0 /srv /from".to_owned(),
            7 => format!("COPY <<EOF /srv/{}\nhere\nEOF", self.one(&FILES)),
            8 => "ENV D=/srv/app SRC=web".to_owned(),
            _ => self.one(&RUNS).to_owned(),
        }
    }

    fn dockerfile(&mut self) -> String {
        let mut lines = vec!["# syntax=docker/dockerfile:1".to_owned()];
        if self.chance(30) {
            // As the builder of the Engine itself reads it.
            lines.clear();
        }
        lines.push("ARG E=etc".to_owned());
        lines.push("FROM busybox:1 AS base".to_owned());
        lines.push("WORKDIR /srv".to_owned());
        lines.push("ENV D=/opt/app".to_owned());
        let simple = self.chance(50);
        for _ in 0..if simple { 0 } else { self.below(3) } {
            let step = self.step();
            let is_one = !step.contains('\n') && !step.contains("--from");
            let prefix = if is_one && self.chance(50) {
                "ONBUILD "
            } else {
                ""
            };
            lines.push(format!("{prefix}{}", step.replace("--from=0 ", "")));
        }
        let from = if self.chance(60) { "base" } else { "busybox:1" };
        lines.push(format!("FROM {from}"));
        if self.chance(80) {
            lines.push("WORKDIR /srv".to_owned());
        }
        if self.chance(50) {
            lines.push("ARG SRC=app".to_owned());
        }
        if simple {
            let only: Vec<_> = (0..=self.below(2)).map(|_| self.copy()).collect();
            lines.extend(only);
        } else {
            lines.extend((0..=self.below(4)).map(|_| self.step()).collect::<Vec<_>>());
        }
        lines.push("CMD [\"nodemon\"]\n".to_owned());
        lines.join("\n")
    }
}

/// What no other file has, and no RUN changes.
fn token(number: usize) -> String {
    format!("<{}>", 710_000 + number)
}

struct Case {
    dir: tempfile::TempDir,
    image: ImageConfig,
}

/// A file of an image: its owner, and its permission bits.
type Made = (String, u32);

impl Case {
    fn new(dockerfile: &str, ignore: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let case = Self {
            image: ImageConfig {
                name: "api".to_owned(),
                context: dir.path().to_owned(),
                dockerfile: dir.path().join("Dockerfile"),
                target: None,
                platform: None,
                args: BTreeMap::new(),
                replaces: Vec::new(),
                sync: Sync::Auto,
                origin: Origin {
                    file: "devk.yaml".into(),
                    line: 1,
                },
            },
            dir,
        };
        FILES
            .iter()
            .for_each(|file| case.write(file, &format!("first of {file}\n")));
        for (link, target) in LINKS {
            let link = case.dir.path().join(link);
            std::fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(target, link).unwrap();
        }
        case.write("Dockerfile", dockerfile);
        case.write(".dockerignore", ignore);
        case
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.dir.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Builds; None if the Dockerfile is none that builds.
    async fn build(&self, engine: &Engine) -> Option<(String, ContextManifest)> {
        let none = BTreeMap::new();
        let hashed = image::content_hash(&self.image, &none).unwrap();
        let target = image::image_ref(PROJECT, "api", &hashed.tag);
        let (reporter, _events) = reporter();
        let step = reporter.start("image.build/api", "");
        let built = image::build(engine, PROJECT, &self.image, &none, &target, &step).await;
        step.done("");
        built.ok()?;
        Some((target.reference(), hashed.manifest))
    }

    async fn checked(&self, engine: &Engine, rules: &Rules) -> Option<Checked> {
        let (reference, manifest) = self.build(engine).await?;
        let places = places(rules, &manifest);
        let looked = image::look(&engine.docker, PROJECT, &reference, places).await;
        Some(check(rules, &manifest, &looked.unwrap().unwrap()))
    }
}

/// Every file of an image that holds a token, by the token.
fn holders(reference: &str) -> BTreeMap<String, BTreeMap<PathBuf, Made>> {
    let created = Command::new("docker")
        .args(["create", reference, "x"])
        .output()
        .unwrap();
    let id = String::from_utf8(created.stdout).unwrap().trim().to_owned();
    let mut export = Command::new("docker")
        .args(["export", &id])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut tar = tar::Archive::new(export.stdout.take().unwrap());
    let mut found = BTreeMap::<String, BTreeMap<PathBuf, Made>>::new();
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.header().entry_type() != tar::EntryType::Regular || entry.size() > 100_000 {
            continue;
        }
        let path = Path::new("/").join(entry.path().unwrap());
        let header = entry.header();
        let owner = format!("{}:{}", header.uid().unwrap(), header.gid().unwrap());
        let made = (owner, header.mode().unwrap() & 0o777);
        let mut text = Vec::new();
        entry.read_to_end(&mut text).unwrap();
        let text = String::from_utf8_lossy(&text);
        for number in 0..FILES.len() + LATER.len() {
            let token = token(number);
            if text.contains(&token) {
                found
                    .entry(token)
                    .or_default()
                    .insert(path.clone(), made.clone());
            }
        }
    }
    export.wait().unwrap();
    Command::new("docker")
        .args(["rm", "-v", &id])
        .output()
        .unwrap();
    found
}

/// How many files were synced, built or ignored.
#[derive(Debug, Default)]
struct Count {
    synced: usize,
    built: usize,
    ignored: usize,
}

async fn try_one(engine: &Engine, random: &mut Random, count: &mut Count) -> bool {
    let dockerfile = random.dockerfile();
    let ignore = random.one(&IGNORES);
    let case = Case::new(&dockerfile, ignore);
    let rules = Rules::read(&case.image, &BTreeMap::new(), &Usage::default()).unwrap();
    let Some(checked) = case.checked(engine, &rules).await else {
        return false;
    };
    let all: Vec<_> = FILES.iter().chain(&LATER).copied().collect();
    for (number, file) in all.iter().enumerate() {
        case.write(file, &format!("second {} of {file}\n", token(number)));
    }
    let Some((reference, _)) = case.build(engine).await else {
        return false;
    };
    let holders = holders(&reference);
    for (number, file) in all.iter().enumerate() {
        let fresh = holders.get(&token(number)).cloned().unwrap_or_default();
        let verdict = checked.verdict(&rules, Path::new(file));
        let told = format!(
            "`{file}`: {verdict:?}, and a fresh build has it at {fresh:?}\nDockerfile:\n{dockerfile}\n.dockerignore:\n{ignore}"
        );
        match verdict {
            Verdict::Rebuild(_) => count.built += 1,
            Verdict::Ignore(_) => {
                count.ignored += 1;
                assert!(fresh.is_empty(), "{told}");
            }
            Verdict::Sync(to) => {
                count.synced += 1;
                let place = Path::new(&rules.roots()[to.root]).join(&to.path);
                let at: BTreeSet<_> = fresh.keys().collect();
                assert_eq!(at, BTreeSet::from([&place]), "{told}");
                let (owner, mode) = &fresh[&place];
                assert_eq!(to.owner.as_ref(), Some(owner), "{told}");
                assert_eq!(to.mode.unwrap_or(0o644), *mode, "{told}");
            }
        }
    }
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_synced_is_wherever_a_fresh_build_has_it() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let engine = engine().await;
    let wanted =
        number("DEVK_E2E_DOCKERFILES").map_or(DOCKERFILES, |many| usize::try_from(many).unwrap());
    let now = || u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let seed = number("DEVK_E2E_SEED").unwrap_or_else(now);
    eprintln!("DEVK_E2E_SEED={seed} DEVK_E2E_DOCKERFILES={wanted}");
    let mut random = Random(seed | 1);
    let mut count = Count::default();
    let (mut tried, mut built) = (0, 0);
    while built < wanted && tried < 4 * wanted {
        tried += 1;
        built += usize::from(try_one(&engine, &mut random, &mut count).await);
    }
    image::remove_looks(&engine.docker, PROJECT).await.unwrap();
    image::remove_project_images(&engine.docker, PROJECT)
        .await
        .unwrap();
    eprintln!("{built} of {tried} Dockerfiles built; files: {count:?}");
    assert!(built == wanted && count.synced > wanted, "{count:?}");
}
