//! Generated Dockerfiles, built by the real builder and run in pods with mounts: after saves of every file of the context,
//! each container has a file wherever a fresh build has it, as that build makes it, or a build follows, or devk says what
//! covers it; and nothing that is mounted is ever written. `DEVK_E2E_DOCKERFILES` is how many, `DEVK_E2E_SEED` makes the
//! same ones again; a long run may have a cluster of its own, by `DEVK_E2E_KUBECONFIG` and its node's name in
//! `DEVK_E2E_KUBE_NODE`.

mod dockerfile;
mod running;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use devk::config::{ImageConfig, Origin, Sync};
use devk::docker::Engine;
use devk::image::{self, ContextManifest, Loader};
use devk::sync::rules::Scope;
use devk::sync::watch::Baseline;
use futures::StreamExt;

use crate::engine;
use crate::image::reporter;
use crate::support::machine::run;
use crate::support::sample::times;
use dockerfile::{BASE, FILES, IGNORES, LATER, LINKS, Random};
use running::{Ground, Holders, Running, mount_points};

const PROJECT: &str = "generated-dockerfiles";
/// Dockerfiles of an ordinary run, and how many times as many are all.
const DOCKERFILES: usize = 12;
const ALL: usize = 25;
/// Dockerfiles at once.
const AT_ONCE: usize = 3;

/// What no other file has, and no RUN changes. Tokens of a second save differ from those of the first.
fn token(number: usize, is_second: bool) -> String {
    format!("<{}>", 710_000 + number + if is_second { 500 } else { 0 })
}

struct Case {
    dir: tempfile::TempDir,
    image: ImageConfig,
}

impl Case {
    fn new(dockerfile: &str, target: Option<&str>, ignore: &str, number: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let case = Self {
            image: ImageConfig {
                name: "api".to_owned(),
                context: dir.path().to_owned(),
                dockerfile: dir.path().join("Dockerfile"),
                target: target.map(str::to_owned),
                platform: None,
                args: BTreeMap::new(),
                replaces: Vec::new(),
                secrets: vec![],
                ssh: vec![],
                sync: Sync::Auto,
                origin: Origin {
                    file: "devk.yaml".into(),
                    line: 1,
                },
            },
            dir,
        };
        for (at, file) in FILES.iter().enumerate() {
            case.write(file, &format!("first {} of {file}\n", token(at, false)));
        }
        for (link, target) in LINKS {
            let link = case.dir.path().join(link);
            std::fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(target, link).unwrap();
        }
        // No other case has this content, so that no two share an image.
        case.write("Dockerfile", &format!("{dockerfile}# {number}\n"));
        let own = if number.is_multiple_of(3) {
            "Dockerfile.dockerignore"
        } else {
            ".dockerignore"
        };
        case.write(own, ignore);
        case
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.dir.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        if !file.ends_with(".tar") {
            return std::fs::write(path, text).unwrap();
        }
        let mut archive = tar::Builder::new(std::fs::File::create(path).unwrap());
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive
            .append_data(&mut header, "packed.txt", text.as_bytes())
            .unwrap();
        archive.finish().unwrap();
    }

    /// Builds; None if the Dockerfile is none that builds.
    async fn build(&self, engine: &Engine) -> Option<(String, ContextManifest)> {
        let hashed = image::content_hash(&self.image, &self.image.args).unwrap();
        let target = image::image_ref(PROJECT, "api", &hashed.tag);
        let (reporter, _events) = reporter();
        let step = reporter.start("image.build/api", "");
        let built = image::build(
            engine,
            PROJECT,
            &self.image,
            &self.image.args,
            &target,
            &step,
        )
        .await;
        step.done("");
        built.ok()?;
        Some((target.reference(), hashed.manifest))
    }
}

/// Every file of an image that holds a token.
fn holders(reference: &str) -> Holders {
    let id = run(Command::new("docker").args(["create", reference, "x"]));
    let id = id.trim();
    let mut export = Command::new("docker")
        .args(["export", id])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut tar = tar::Archive::new(export.stdout.take().unwrap());
    let mut found = Holders::new();
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
        if let Some(at) = text.find("<71") {
            let token = text[at..at + token(0, false).len()].to_owned();
            found.entry(token).or_default().insert(path, made);
        }
    }
    export.wait().unwrap();
    run(Command::new("docker").args(["rm", "-v", id]));
    found
}

/// What came of the saves.
#[derive(Debug, Default)]
struct Count {
    dockerfiles: usize,
    saves: usize,
    synced: usize,
    built: usize,
    covered: usize,
    nowhere: usize,
    /// Saves into containers that cannot be synced into, which is said.
    refused: usize,
    misses: Vec<String>,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.dockerfiles += other.dockerfiles;
        self.saves += other.saves;
        self.synced += other.synced;
        self.built += other.built;
        self.covered += other.covered;
        self.nowhere += other.nowhere;
        self.refused += other.refused;
        self.misses.extend(other.misses);
    }

    /// Whether what chance made has tried what can be lost: a save that is synced, and one that a mount covers.
    fn has_all_kinds(&self) -> bool {
        self.synced > 0 && self.covered > 0
    }
}

/// None for a Dockerfile that does not build.
async fn try_one(
    ground: &Ground,
    engine: &Engine,
    loader: &Loader,
    seed: u64,
    number: usize,
) -> Option<Count> {
    let mut random = Random(seed | 1);
    let (dockerfile, target) = random.dockerfile();
    let ignore = random.one(&IGNORES);
    let case = Case::new(&dockerfile, target, ignore, number);
    let scope = Scope::read(&case.image).unwrap();
    let baseline = Arc::new(Baseline::look(&case.image.context, |folder| {
        scope.enters(folder)
    }));
    let (reference, manifest) = case.build(engine).await?;
    let first = holders(&reference);
    let step = reporter().0.start("image.load/api", "");
    loader.load(&ground.node, &reference, &step).await.unwrap();
    step.done("");
    let points = mount_points(&first, &mut random);
    let built = (reference.as_str(), manifest, baseline);
    let mut running = Running::start(ground, &engine.docker, &case, built, points).await;

    let all: Vec<_> = FILES.iter().chain(&LATER).copied().collect();
    // One file goes, the others change or come.
    let removed = random.below(FILES.len());
    for (at, file) in all.iter().enumerate() {
        match at == removed {
            true => std::fs::remove_file(case.dir.path().join(file)).unwrap(),
            false => case.write(file, &format!("second {} of {file}\n", token(at, true))),
        }
    }
    let asked = running.settled().await;
    let told = format!(
        "seed {seed}, mounts {:?}, ignored:\n{ignore}Dockerfile:\n{dockerfile}",
        running.points()
    );
    running.assert_kept(&told).await;
    let fresh = match case.build(engine).await {
        Some((reference, _)) => holders(&reference),
        // Without the file that is gone it may not build any more; then devk has to say so, by building.
        None => {
            assert!(
                asked.as_ref().is_none_or(|asked| !asked.is_empty()),
                "nothing is built\n{told}"
            );
            running.end().await;
            return Some(Count {
                dockerfiles: 1,
                ..Count::default()
            });
        }
    };
    let mut count = Count {
        dockerfiles: 1,
        saves: all.len(),
        ..Count::default()
    };
    for container in running.containers() {
        let has = running.holders(container).await;
        let seen = Seen {
            running: &running,
            container,
            first: &first,
            fresh: &fresh,
            has: &has,
        };
        for (at, file) in all.iter().enumerate() {
            let is_built = asked
                .as_ref()
                .is_none_or(|asked| asked.contains(Path::new(file)));
            seen.judge(at, Path::new(file), is_built, &mut count, &told);
        }
    }
    running.end().await;
    Some(count)
}

/// A container after the saves.
struct Seen<'a> {
    running: &'a Running<'a>,
    container: &'a str,
    first: &'a Holders,
    fresh: &'a Holders,
    has: &'a Holders,
}

impl Seen<'_> {
    fn judge(&self, at: usize, file: &Path, is_built: bool, count: &mut Count, told: &str) {
        if is_built {
            count.built += 1;
            return;
        }
        if self.running.refused(self.container).is_some() {
            count.refused += 1;
            return;
        }
        let of = |holders: &Holders, token: &str| holders.get(token).cloned().unwrap_or_default();
        let mount = self.running.mount(self.container);
        let is_mounted = |place: &PathBuf| mount.is_some_and(|mount| place.starts_with(mount));
        let (new, old) = (token(at, true), token(at, false));
        let wanted = of(self.fresh, &new);
        let (mounted, wanted): (BTreeMap<_, _>, BTreeMap<_, _>) =
            wanted.into_iter().partition(|(place, _)| is_mounted(place));
        let has = of(self.has, &new);
        let still: BTreeSet<_> = of(self.fresh, &old).into_keys().collect();
        let stale: Vec<_> = of(self.has, &old)
            .into_keys()
            .filter(|place| !still.contains(place))
            .collect();
        let is_told = mounted.is_empty() || self.running.covered(self.container).contains(file);
        if has != wanted || !stale.is_empty() || !is_told {
            count.misses.push(format!(
                "`{}` in `{}`: it has {has:?}, and the old content at {stale:?}; a fresh build has {wanted:?}, and \
                 below a mount {mounted:?} (told: {is_told}); the first one had {:?}\n{told}",
                file.display(),
                self.container,
                of(self.first, &old),
            ));
        } else if !mounted.is_empty() {
            count.covered += 1;
        } else if wanted.is_empty() {
            count.nowhere += 1;
        } else {
            count.synced += 1;
        }
    }
}

/// What the generated Dockerfiles begin with: images that somebody else built.
struct Bases;

impl Bases {
    const TAGS: [(&str, &str); 3] = [
        ("plain", ""),
        (
            "variables",
            "ENV HOME_OF_BASE=/srv/home\nWORKDIR /of/base\n",
        ),
        ("triggers", "ONBUILD COPY lib /triggered\n"),
    ];

    fn build() -> Self {
        const PROGRAM: &str = "FROM busybox:1\nRUN printf '#!/bin/sh\\nwhile :; do sleep 1000; done\\n' >/bin/tsx \
                               && chmod +x /bin/tsx\n";
        for (tag, more) in Self::TAGS {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("Dockerfile"), format!("{PROGRAM}{more}")).unwrap();
            run(Command::new("docker")
                .args(["build", "-q", "-t", &format!("{BASE}:{tag}")])
                .arg(folder.path())
                .env("DOCKER_BUILDKIT", "0"));
        }
        Self
    }
}

impl Drop for Bases {
    fn drop(&mut self) {
        let tags = Self::TAGS.map(|(tag, _)| format!("{BASE}:{tag}"));
        let _ = Command::new("docker")
            .args(["rmi", "-f"])
            .args(tags)
            .output();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_saved_is_in_every_container_wherever_a_fresh_build_has_it() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let ground = Ground::new().await;
    let engine = engine().await;
    let _bases = Bases::build();
    let cache = tempfile::tempdir().unwrap();
    let loader = Loader::new(&engine.docker, cache.path()).await.unwrap();
    let ordinary = if times(ALL) == 1 {
        DOCKERFILES
    } else {
        DOCKERFILES * ALL
    };
    let wanted =
        number("DEVK_E2E_DOCKERFILES").map_or(ordinary, |many| usize::try_from(many).unwrap());
    let now = || u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let seed = number("DEVK_E2E_SEED").unwrap_or_else(now);
    eprintln!("DEVK_E2E_SEED={seed} DEVK_E2E_DOCKERFILES={wanted}");
    let mut random = Random(seed | 1);
    let seeds = std::iter::repeat_with(move || random.next()).take(4 * wanted);
    let mut count = Count::default();
    let mut tried = 0_usize;
    let cases = futures::stream::iter(seeds.enumerate());
    let tries = cases.map(|(number, seed)| try_one(&ground, &engine, &loader, seed, number));
    {
        let mut tries = std::pin::pin!(tries.buffer_unordered(AT_ONCE));
        while (count.dockerfiles < wanted || !count.has_all_kinds())
            && let Some(tried_one) = tries.next().await
        {
            tried += 1;
            if let Some(one) = tried_one {
                one.misses.iter().for_each(|miss| eprintln!("MISS {miss}"));
                count.add(one);
            }
            if tried.is_multiple_of(20) {
                let Count {
                    dockerfiles,
                    saves,
                    synced,
                    built,
                    ..
                } = &count;
                eprintln!(
                    "{dockerfiles} of {tried} Dockerfiles, {saves} saves: {synced} synced, {built} built"
                );
            }
        }
    }
    image::remove_looks(&engine.docker, PROJECT).await.unwrap();
    image::remove_project_images(&engine.docker, PROJECT)
        .await
        .unwrap();
    ground.end().await;
    let misses = std::mem::take(&mut count.misses);
    eprintln!(
        "{} of {tried} Dockerfiles built; {count:?}; {} misses",
        count.dockerfiles,
        misses.len()
    );
    assert!(misses.is_empty(), "{}", misses.join("\n\n"));
    assert!(
        count.dockerfiles >= wanted && count.has_all_kinds(),
        "{count:?}"
    );
}
