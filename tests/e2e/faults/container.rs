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

/// Does something with `$pid`, the pod's httpd, from the node.
fn with_httpd(pair: &Followed, pod: &str, command: &str) {
    let uid = pair.kubectl(&["get", "pod", pod, "-o", "jsonpath={.metadata.uid}"]);
    let script = format!(
        "for pid in $(pgrep -f '^httpd -f -p 8080'); do
        grep -q \"$0\" /proc/$pid/cgroup && {command} && exit; done; exit 1"
    );
    docker(&["exec", NODE, "sh", "-c", &script, &uid]);
}

#[test]
fn a_killed_container_gets_what_its_predecessor_had() {
    let pair = Followed::pair("killed");
    pair.save("index.html", "synced\n");
    pair.save("new", "synced\n");
    pair.settled();
    let pod = pair.pod();
    let port = pair.project.port("left");
    // Within its container the first process cannot be killed.
    with_httpd(&pair, &pod, "kill -9 $pid");
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

#[test]
fn a_file_that_cannot_be_written_is_told_holds_back_no_other_and_comes_when_it_can() {
    let pair = Followed::pair("busy");
    std::fs::create_dir_all(pair.file("small")).unwrap();
    pair.save("small/x", "first");
    pair.is_equal();
    let pod = pair.pod();
    let in_container = |command: &str| {
        let command = format!("nsenter --target $pid --mount {command}");
        with_httpd(&pair, &pod, &command);
    };
    // Nothing takes the place of a mountpoint, and this one came after the session had looked at the mounts.
    in_container("mount -o bind /etc/hostname /www/small/x");
    pair.save("small/x", "second");
    pair.save("small/beside", "beside");
    let told = pair.until("the busy file is not told", |sync| {
        let why = sync["containers"][0]["trouble"].as_str();
        why.is_some_and(|why| why.contains("/www/small/x"))
    });
    assert!(told.to_string().contains("busy"), "{told}");
    let port = pair.project.port("left");
    pair.save("index.html", "meanwhile\n");
    for (path, text) in [("/index.html", "meanwhile\n"), ("/small/beside", "beside")] {
        let page = || get(port, path).is_ok_and(|answer| answer.body == text);
        let why = format!("{path} waits for the file that cannot be written");
        eventually(&why, Duration::from_secs(10), page);
    }
    in_container("umount /www/small/x");
    pair.is_equal();
    assert_eq!(pair.exec(&pod, &["cat", "/www/small/x"]), "second");
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
