//! Pods and containers that come, go, and cannot be written to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::followed::Followed;
use crate::support::machine::{NODE, docker};
use crate::support::wire::get;
use crate::support::{eventually, tell};

#[test]
fn a_pod_deleted_20_times_during_a_stream_of_saves_has_the_working_tree_in_the_end() {
    let pair = Followed::pair("deleted");
    pair.save("f0", "0");
    pair.settled();
    let over = AtomicBool::new(false);
    let port = pair.project.port("left");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                pair.save(format!("f{}", number % 10), format!("{number}"));
                pair.save("hot", format!("{number}"));
                std::thread::sleep(Duration::from_millis(20));
                if over.load(Ordering::SeqCst) {
                    return;
                }
            }
        });
        for _ in 0..20 {
            let pod = pair.pod();
            pair.kubectl(&["delete", "pod", &pod, "--wait=false"]);
            eventually("no new pod comes", Duration::from_secs(60), || {
                pair.pods().first().is_some_and(|p| *p != pod)
            });
            // Whoever answers has all that was saved before its pod started.
            let answer = get(port, "/f0").unwrap();
            assert_eq!(
                answer.status, 200,
                "a connection went to a pod without what was saved before it"
            );
        }
        over.store(true, Ordering::SeqCst);
    });
    pair.is_equal();
}

/// Kills the pod's httpd from the node: within its container the first process cannot be killed.
fn kill_httpd(pair: &Followed, pod: &str) {
    let uid = pair.kubectl(&["get", "pod", pod, "-o", "jsonpath={.metadata.uid}"]);
    let script = "for pid in $(pgrep -f '^httpd -f -p 8080'); do
        grep -q \"$0\" /proc/$pid/cgroup && kill -9 $pid && exit; done; exit 1";
    docker(&["exec", NODE, "sh", "-c", script, &uid]);
}

#[test]
fn a_killed_container_gets_what_its_predecessor_had() {
    let pair = Followed::pair("killed");
    pair.save("index.html", "synced\n");
    pair.save("new", "synced\n");
    pair.settled();
    let pod = pair.pod();
    let port = pair.project.port("left");
    kill_httpd(&pair, &pod);
    let restarted = [
        "get",
        "pod",
        &pod,
        "-o",
        "jsonpath={.status.containerStatuses[0].restartCount}",
    ];
    eventually(
        "the container is not restarted",
        Duration::from_secs(60),
        || pair.kubectl(&restarted) != "0",
    );
    assert_eq!(get(port, "/index.html").unwrap().well(), "synced\n");
    pair.is_equal();
    assert_eq!(pair.pod(), pod);
}

/// Puts a volume of 1 MiB in memory where `www/small` is synced to.
fn with_small_volume(pair: &Followed) {
    let chart = std::fs::read_to_string(pair.project.path("chart/templates/pair.yaml")).unwrap();
    let mounted = chart.replace(
        "          readinessProbe:",
        "          volumeMounts: [{name: small, mountPath: /www/small}]\n          readinessProbe:",
    );
    let with = mounted.replace(
        "      containers:",
        "      volumes: [{name: small, emptyDir: {medium: Memory, sizeLimit: 1Mi}}]\n      containers:",
    );
    assert_ne!(mounted, with);
    pair.project.write("chart/templates/pair.yaml", &with);
}

#[test]
fn a_full_disk_in_the_container_is_told_and_a_file_that_fits_mends_it() {
    let pair = Followed::pair_not_up("full");
    with_small_volume(&pair);
    let pair = pair.up();
    std::fs::create_dir_all(pair.file("small")).unwrap();
    pair.save("small/x", "fits");
    pair.is_equal();
    pair.save("small/x", vec![b'x'; 3 << 20]);
    let full = |sync: &serde_json::Value| {
        sync["containers"][0]["trouble"]
            .as_str()
            .is_some_and(|why| why.contains("No space left on device"))
    };
    let sync = pair.until("the full disk is not told", full);
    assert!(
        sync["containers"][0]["trouble"]
            .as_str()
            .unwrap()
            .contains("/www/small/x"),
        "{sync}"
    );
    // Nothing else waits for it, and what was there stays whole.
    pair.save("index.html", "meanwhile\n");
    let page = || {
        get(pair.project.port("left"), "/index.html")
            .unwrap()
            .well()
            == "meanwhile\n"
    };
    eventually(
        "other files wait for the one that does not fit",
        Duration::from_secs(10),
        page,
    );
    assert_eq!(pair.exec(&pair.pod(), &["cat", "/www/small/x"]), "fits");
    pair.save("small/x", "fits again");
    pair.is_equal();
}

#[test]
fn a_read_only_root_is_told_and_served_by_a_rebuild() {
    let pair = Followed::pair_not_up("read-only");
    pair.project.edit(
        "chart/templates/pair.yaml",
        "          readinessProbe:",
        "          securityContext: {readOnlyRootFilesystem: true}\n          readinessProbe:",
    );
    pair.project.devk(&["up", "-d"]).well();
    let pod = pair.pod();
    let port = pair.project.port("left");
    let told = pair.until("the read-only root is not told", |sync| {
        sync["containers"][0]["refused"].is_string()
    });
    assert!(
        told["containers"][0]["refused"]
            .as_str()
            .unwrap()
            .to_lowercase()
            .contains("read-only"),
        "{told}"
    );
    let since = std::time::Instant::now();
    pair.save("index.html", "built\n");
    let built = || get(port, "/index.html").is_ok_and(|answer| answer.body == "built\n");
    eventually(
        "the save is not served by a rebuild",
        Duration::from_secs(90),
        built,
    );
    tell(
        "a save into a read-only container, by rebuild",
        since.elapsed(),
    );
    assert_ne!(pair.pod(), pod);
}
