//! Loading an image again after a small change: only the difference travels, and whatever goes wrong on the
//! way, the node ends with the right image or with none.

use std::path::Path;
use std::time::{Duration, Instant};

use devk::docker::{Engine, Exec};
use devk::image::{Loaded, Loader, on_node};
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
    (0..length.div_ceil(8))
        .flat_map(|_| next())
        .take(length)
        .collect()
}

/// What changes from run to run, so that nothing comes from an earlier one.
fn now() -> u64 {
    u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() & u128::from(u64::MAX))
        .unwrap()
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
    /// `much` is in bytes.
    async fn new(id: &'static str, nodes: usize, much: usize) -> Self {
        let engine = engine().await;
        let project = Project::new(id, &[("Dockerfile", DOCKERFILE), ("little", "one")]);
        project.write("much", noise(now(), much));
        let nodes: Vec<_> =
            futures::future::join_all((0..nodes).map(|_| Container::node(&engine))).await;
        let cache = tempfile::tempdir().unwrap();
        let loader = Loader::new(&engine.docker, cache.path()).await.unwrap();
        let mut bench = Self {
            engine,
            project,
            nodes,
            cache,
            loader,
            first: String::new(),
        };
        bench.first = bench.build().await;
        for node in &bench.nodes {
            let loaded = bench.load(node, &bench.first).await.0.unwrap();
            assert!(loaded.in_full.is_some(), "nothing is learnt yet: {loaded}");
        }
        bench.loader.warm_cache().await.unwrap();
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

    async fn load(
        &self,
        node: &Container,
        reference: &str,
    ) -> (Result<Loaded, devk::error::Error>, Vec<String>) {
        let (reporter, mut events) = reporter();
        let step = reporter.start("image.load/api", "");
        let loaded = self.loader.load(&node.0, reference, &step).await;
        step.done("");
        (
            loaded,
            drain(&mut events)
                .into_iter()
                .map(|event| event.detail)
                .collect(),
        )
    }

    async fn sh(&self, node: &Container, script: &str) -> String {
        Exec::new(&node.0, ["sh", "-c", script])
            .run(&self.engine.docker)
            .await
            .unwrap()
            .text()
    }

    async fn is_on(&self, node: &Container, reference: &str) -> bool {
        on_node(&self.engine.docker, &node.0)
            .await
            .unwrap()
            .contains_key(reference)
    }

    /// The diffIDs of an image, the lowest layer first.
    async fn diff_ids(&self, reference: &str) -> Vec<String> {
        let image = self.engine.docker.inspect_image(reference).await.unwrap();
        image.root_fs.unwrap().layers.unwrap()
    }

    /// What a container of the image would see of a file.
    async fn content(&self, node: &Container, reference: &str, file: &str) -> String {
        let script = "d=$(mktemp -d) && ctr --namespace=k8s.io images mount \"$0\" $d >/dev/null && \
            { md5sum < $d/$1; ctr --namespace=k8s.io images unmount --rm $d >/dev/null; }";
        let mounted = Exec::new(&node.0, ["sh", "-c", script, reference, file])
            .run(&self.engine.docker)
            .await
            .unwrap();
        mounted.text().split_whitespace().next().unwrap().to_owned()
    }

    async fn assert_is(&self, node: &Container, reference: &str, little: impl AsRef<[u8]>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("little");
        std::fs::write(&file, little).unwrap();
        let sum = Cmd::new("md5sum").arg(&file).run().await.unwrap().stdout;
        let expected = sum.split_whitespace().next().unwrap();
        assert_eq!(self.content(node, reference, "app/little").await, expected);
        let much = Cmd::new("md5sum")
            .arg(self.project.file("much"))
            .run()
            .await
            .unwrap()
            .stdout;
        assert_eq!(
            self.content(node, reference, "much").await,
            much.split_whitespace().next().unwrap()
        );
    }

    /// Waits for a push to begin or to be over, by the name that it borrows for the image.
    async fn until_pushed(&self, reference: &str, under_way: bool) {
        // The Engine tries a push that breaks off five times more, with growing pauses.
        let deadline = Instant::now() + Duration::from_secs(240);
        loop {
            let image = self.engine.docker.inspect_image(reference).await.unwrap();
            let mut names = [image.repo_tags, image.repo_digests]
                .into_iter()
                .flatten()
                .flatten();
            if names.any(|name| name.contains("/devk-push-")) == under_way {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "no push is {}",
                if under_way { "under way" } else { "over" }
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn end(self) {
        self.project.remove(&self.engine).await;
    }
}

fn assert_is_delta(loaded: &Loaded) {
    assert!(
        loaded.in_full.is_none() && loaded.sent < 1_000_000,
        "{loaded}"
    );
}

#[tokio::test]
async fn a_small_change_travels_alone_and_arrives() {
    let bench = Bench::new("e2e-delta", 1, 20_000_000).await;
    for little in ["two", "three"] {
        let reference = bench.change(little).await;
        assert_is_delta(&bench.load(bench.node(), &reference).await.0.unwrap());
        bench.assert_is(bench.node(), &reference, little).await;
    }
    // What was learnt outlives the process.
    let reference = bench.change("four").await;
    let bench = Bench {
        loader: Loader::new(&bench.engine.docker, bench.cache.path())
            .await
            .unwrap(),
        ..bench
    };
    assert_is_delta(&bench.load(bench.node(), &reference).await.0.unwrap());
    bench.assert_is(bench.node(), &reference, "four").await;
    bench.end().await;
}

#[tokio::test]
async fn several_images_reach_several_nodes_at_once() {
    let bench = Bench::new("e2e-delta-many", 2, 20_000_000).await;
    let littles = ["two", "three"];
    let references = [
        bench.change(littles[0]).await,
        bench.change(littles[1]).await,
    ];
    let pairs: Vec<_> = bench
        .nodes
        .iter()
        .flat_map(|node| references.iter().map(move |image| (node, image)))
        .collect();
    for (loaded, _) in
        futures::future::join_all(pairs.iter().map(|(node, image)| bench.load(node, image))).await
    {
        assert_is_delta(&loaded.unwrap());
    }
    for node in &bench.nodes {
        for (reference, little) in references.iter().zip(littles) {
            bench.assert_is(node, reference, little).await;
        }
    }
    bench.end().await;
}

#[tokio::test]
async fn a_node_that_threw_the_blobs_of_unpacked_layers_away_needs_none_of_them() {
    let bench = Bench::new("e2e-delta-blobs", 1, 20_000_000).await;
    for diff_id in bench.diff_ids(&bench.first).await {
        bench
            .sh(
                bench.node(),
                &format!("ctr --namespace=k8s.io content rm {diff_id}"),
            )
            .await;
    }
    let reference = bench.change("two").await;
    assert_is_delta(&bench.load(bench.node(), &reference).await.0.unwrap());
    bench.assert_is(bench.node(), &reference, "two").await;
    bench.end().await;
}

/// A `ctr` before the real one that claims to have layers which the node has not, and cannot import whole
/// images while there is a file `/broken`.
const LIES: &str = r#"real=$(which ctr) && cat > /usr/local/sbin/ctr <<EOF
#!/bin/sh
case "\$*" in
*snapshots*ls) cat /claimed ;;
*import*--digests*) if [ -e /broken ]; then exit 9; fi; exec $real "\$@" ;;
*) exec $real "\$@" ;;
esac
EOF
chmod +x /usr/local/sbin/ctr && touch /broken"#;

#[tokio::test]
async fn a_layer_that_is_missing_after_all_leaves_no_record_and_the_whole_image_comes_instead() {
    let bench = Bench::new("e2e-delta-trap", 1, 20_000_000).await;
    let snapshots = bench
        .sh(bench.node(), "ctr --namespace=k8s.io snapshots ls")
        .await;
    let other = Container::node(&bench.engine).await;
    bench.sh(&other, LIES).await;
    bench
        .sh(&other, &format!("cat > /claimed <<'EOF'\n{snapshots}\nEOF"))
        .await;
    let reference = bench.change("two").await;

    // With the way back broken too, the node has to be left without the image.
    let (failed, shown) = bench.load(&other, &reference).await;
    failed.unwrap_err();
    assert!(
        shown
            .iter()
            .any(|detail| detail.contains("ended with exit code 1")),
        "the delta was not tried: {shown:?}"
    );
    assert!(
        !bench.is_on(&other, &reference).await,
        "a record of an image without its layers is left"
    );

    bench.sh(&other, "rm /broken").await;
    let loaded = bench.load(&other, &reference).await.0.unwrap();
    assert!(
        loaded
            .in_full
            .as_ref()
            .is_some_and(|why| why.starts_with("the delta failed")),
        "{loaded}"
    );
    bench.assert_is(&other, &reference, "two").await;
    bench.end().await;
}

#[tokio::test]
async fn a_node_that_has_nothing_of_the_image_gets_all_of_it() {
    let bench = Bench::new("e2e-delta-cold", 1, 20_000_000).await;
    let other = Container::node(&bench.engine).await;
    let reference = bench.change("two").await;
    let loaded = bench.load(&other, &reference).await.0.unwrap();
    assert_eq!(
        loaded.in_full.as_deref(),
        Some("the node has too little of it")
    );
    bench.assert_is(&other, &reference, "two").await;
    bench.end().await;
}

#[tokio::test]
async fn a_load_that_is_given_up_leaves_nothing_and_can_be_made_again() {
    let bench = Bench::new("e2e-delta-dropped", 1, 60_000_000).await;
    let little = noise(now(), 30_000_000);
    let reference = bench.change(&little).await;
    tokio::select! {
        (loaded, _) = bench.load(bench.node(), &reference) => panic!("it was too fast to be given up: {loaded:?}"),
        () = bench.until_pushed(&reference, true) => {}
    }
    bench.until_pushed(&reference, false).await;
    assert!(!bench.is_on(bench.node(), &reference).await);
    let loaded = bench.load(bench.node(), &reference).await.0.unwrap();
    assert!(loaded.in_full.is_none(), "{loaded}");
    bench.assert_is(bench.node(), &reference, &little).await;
    bench.end().await;
}

#[tokio::test]
async fn a_devk_that_is_killed_during_a_load_leaves_nothing_that_the_next_one_minds() {
    let bench = Bench::new("e2e-delta-killed", 1, 60_000_000).await;
    let little = noise(now(), 30_000_000);
    let reference = bench.change(&little).await;
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "reload::loads_for_another_test", "--ignored"])
        .envs([("E2E_NODE", &bench.node().0), ("E2E_REFERENCE", &reference)])
        .env("E2E_CACHE", bench.cache.path())
        .spawn()
        .unwrap();
    bench.until_pushed(&reference, true).await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!bench.is_on(bench.node(), &reference).await);

    let loaded = bench.load(bench.node(), &reference).await.0.unwrap();
    assert!(loaded.in_full.is_none(), "{loaded}");
    bench.assert_is(bench.node(), &reference, &little).await;
    bench.loader.warm_cache().await.unwrap();
    bench.until_pushed(&reference, false).await;
    bench.end().await;
}

#[tokio::test]
#[ignore = "the process that another test kills"]
async fn loads_for_another_test() {
    let variable = |name| std::env::var(name).unwrap();
    let engine = engine().await;
    let loader = Loader::new(&engine.docker, Path::new(&variable("E2E_CACHE")))
        .await
        .unwrap();
    let step = reporter().0.start("image.load/api", "");
    loader
        .load(&variable("E2E_NODE"), &variable("E2E_REFERENCE"), &step)
        .await
        .unwrap();
    step.done("");
}

/// A large image that no build context had to carry; it is removed with the test.
struct Base(String);

impl Base {
    async fn new(bytes: usize) -> Self {
        let script = format!("head -c {bytes} /dev/urandom > /much");
        let container = Container::run(&["busybox:1", "sh", "-c", &script]).await;
        Cmd::new("docker")
            .args(["wait", &container.0])
            .run()
            .await
            .unwrap();
        let name = format!("devk-e2e-base:{}", now());
        Cmd::new("docker")
            .args(["commit", &container.0, &name])
            .run()
            .await
            .unwrap();
        Self(name)
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        let _ = std::process::Command::new("docker")
            .args(["rmi", "-f", &self.0])
            .output();
    }
}

/// One run,: `DEVK_E2E=1 cargo test --release --test e2e -- --ignored --nocapture than_kinds`.
#[tokio::test]
#[ignore = "takes minutes, and its figures a calm machine"]
async fn a_reload_is_far_faster_than_kinds_and_a_first_load_no_slower() {
    let engine = engine().await;
    let base = Base::new(906_000_000).await;
    let project = Project::new(
        "e2e-delta-bench",
        &[(
            "Dockerfile",
            &format!("FROM {}\nCOPY little /little\n", base.0),
        )],
    );
    let build = async |seed| {
        project.write("little", noise(seed, 5_000_000));
        let (built, target, _) = project.build(&engine).await;
        built.unwrap();
        target.reference()
    };
    let ours = Container::node(&engine).await;
    let kinds = Container::kind_node(&engine, "devk-e2e-bench").await;
    let cache = tempfile::tempdir().unwrap();
    let loader = Loader::new(&engine.docker, cache.path()).await.unwrap();
    let devk = async |reference: &str| {
        let since = Instant::now();
        let step = reporter().0.start("image.load/api", "");
        let loaded = loader.load(&ours.0, reference, &step).await.unwrap();
        step.done("");
        println!("devk: {loaded}");
        since.elapsed()
    };
    let kind = async |reference: &str| {
        let since = Instant::now();
        let args = [
            "load",
            "docker-image",
            "--name",
            "devk-e2e-bench",
            reference,
        ];
        Cmd::new("kind").args(args).run().await.unwrap();
        println!("kind load: {:.1} s", since.elapsed().as_secs_f64());
        assert!(
            on_node(&engine.docker, &kinds.0)
                .await
                .unwrap()
                .contains_key(reference)
        );
        since.elapsed()
    };

    let first = build(now()).await;
    let cold = devk(&first).await;
    let kind_cold = kind(&first).await;
    let since = Instant::now();
    loader.warm_cache().await.unwrap();
    println!("learning: {:.1} s", since.elapsed().as_secs_f64());
    let mut reloads = vec![];
    for _ in 0..5 {
        reloads.push(devk(&build(now()).await).await);
    }
    let kind_reload = kind(&build(now()).await).await;
    reloads.sort();
    let ratio = kind_reload.as_secs_f64() / reloads[2].as_secs_f64();
    println!(
        "reload, median of 5: {:.2} s, {ratio:.0} times faster",
        reloads[2].as_secs_f64()
    );
    project.remove(&engine).await;
    assert!(ratio >= 40.0, "only {ratio:.1} times faster");
    assert!(
        cold <= kind_cold,
        "the first load took {cold:?}, kind's {kind_cold:?}"
    );
}
