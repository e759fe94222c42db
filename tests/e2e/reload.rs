//! Loading an image again after a small change: only the difference travels, and whatever goes wrong on the
//! way, the node ends with the right image or with none.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use devk::docker::{Engine, Exec};
use devk::image::{self, Loaded, Loader};
use devk::process::Cmd;

use crate::engine;
use crate::image::{Container, Project, drain, reporter};

/// Much that stays, and a little that changes.
const DOCKERFILE: &str = "FROM busybox:1\nCOPY much /much\nWORKDIR /app\nCOPY little /app/little\n";

/// Bytes that cannot be compressed, other ones for each seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length.div_ceil(8)).flat_map(|_| next()).take(length).collect()
}

/// What changes from run to run, so that nothing comes from an earlier one.
fn now() -> u64 {
    u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() & u128::from(u64::MAX)).unwrap()
}

/// An image, a node that has it, and a loader that has learnt from that.
struct Bench {
    engine: Engine,
    project: Project,
    nodes: Vec<Container>,
    cache: tempfile::TempDir,
    loader: Loader,
    first: String,
}

impl Bench {
    async fn new(id: &'static str, nodes: usize) -> Self {
        let engine = engine().await;
        let project = Project::new(id, &[("Dockerfile", DOCKERFILE), ("little", "one")]);
        project.write("much", noise(now(), 20_000_000));
        let nodes: Vec<_> = futures::future::join_all((0..nodes).map(|_| Container::node(&engine))).await;
        let cache = tempfile::tempdir().unwrap();
        let loader = Loader::new(&engine.docker, cache.path()).await.unwrap();
        let mut bench = Self { engine, project, nodes, cache, loader, first: String::new() };
        bench.first = bench.build().await;
        for node in &bench.nodes {
            let loaded = bench.load(node, &bench.first).await.0.unwrap();
            assert!(loaded.in_full.is_some(), "nothing is learnt yet: {loaded}");
        }
        bench.loader.learn().await.unwrap();
        bench
    }

    fn node(&self) -> &Container {
        &self.nodes[0]
    }

    async fn build(&self) -> String {
        let (built, target, _) = self.project.build(&self.engine).await;
        built.unwrap();
        target.reference()
    }

    /// A build with other content in the last layer.
    async fn change(&self, little: impl AsRef<[u8]>) -> String {
        self.project.write("little", little);
        self.build().await
    }

    async fn load(&self, node: &Container, reference: &str) -> (Result<Loaded, devk::error::Error>, Vec<String>) {
        let (reporter, mut events) = reporter();
        let step = reporter.start("image.load/api", "");
        let loaded = self.loader.load(&node.0, reference, &step).await;
        step.done("");
        (loaded, drain(&mut events).into_iter().map(|event| event.detail).collect())
    }

    async fn ctr(&self, node: &Container, args: &[&str]) -> String {
        let command = ["ctr", "--namespace=k8s.io"].iter().chain(args).copied();
        Exec::new(&node.0, command).run(&self.engine.docker).await.unwrap().text()
    }

    /// What a container of the image would see of a file.
    async fn content(&self, node: &Container, reference: &str, file: &str) -> String {
        let script = "d=$(mktemp -d) && ctr --namespace=k8s.io images mount \"$0\" $d >/dev/null && \
            { md5sum < $d/$1; ctr --namespace=k8s.io images unmount --rm $d >/dev/null; }";
        let mounted = Exec::new(&node.0, ["sh", "-c", script, reference, file]).run(&self.engine.docker).await.unwrap();
        mounted.text().split_whitespace().next().unwrap().to_owned()
    }

    async fn assert_is(&self, node: &Container, reference: &str, little: impl AsRef<[u8]>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("little");
        std::fs::write(&file, little).unwrap();
        let sum = Cmd::new("md5sum").arg(&file).run().await.unwrap().stdout;
        let expected = sum.split_whitespace().next().unwrap();
        assert_eq!(self.content(node, reference, "app/little").await, expected);
        let much = Cmd::new("md5sum").arg(self.project.file("much")).run().await.unwrap().stdout;
        assert_eq!(self.content(node, reference, "much").await, much.split_whitespace().next().unwrap());
    }

    /// The names that pushes have borrowed for images.
    async fn borrowed(&self) -> Vec<String> {
        let listed = Cmd::new("docker").args(["images", "--format", "{{.Repository}}"]).run().await.unwrap();
        listed.stdout.lines().filter(|name| name.contains("/devk-push-")).map(str::to_owned).collect()
    }

    async fn end(self) {
        self.project.remove(&self.engine).await;
    }
}

fn assert_is_delta(loaded: &Loaded) {
    assert!(loaded.in_full.is_none() && loaded.sent < 1_000_000, "{loaded}");
}

#[tokio::test]
async fn a_small_change_travels_alone_and_arrives() {
    let bench = Bench::new("e2e-delta", 1).await;
    for little in ["two", "three"] {
        let reference = bench.change(little).await;
        assert_is_delta(&bench.load(bench.node(), &reference).await.0.unwrap());
        bench.assert_is(bench.node(), &reference, little).await;
    }
    // What was learnt outlives the process.
    let reference = bench.change("four").await;
    let bench = Bench { loader: Loader::new(&bench.engine.docker, bench.cache.path()).await.unwrap(), ..bench };
    assert_is_delta(&bench.load(bench.node(), &reference).await.0.unwrap());
    bench.assert_is(bench.node(), &reference, "four").await;
    bench.end().await;
}
