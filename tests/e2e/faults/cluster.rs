//! Nodes and API servers that go away and come back.

use std::time::Duration;

use super::survives;
use crate::support::eventually;
use crate::support::followed::Followed;
use crate::support::machine::docker;
use crate::support::wire::get;

const MANIFEST: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";
const ASIDE: &str = "/etc/kubernetes/kube-apiserver.yaml";

#[test]
fn a_restarted_node_ends_no_forward_and_loses_no_file() {
    let pair = Followed::frail("node-restart");
    let node = pair.node();
    survives(&pair, "node restarted", || {
        drop(docker(&["restart", "--time", "1", &node]))
    });
}

#[test]
fn an_api_server_that_is_gone_for_60_seconds_ends_no_forward_and_loses_no_file() {
    let pair = Followed::frail("api-gone");
    let port = pair.project.port("left");
    let node = pair.node();
    survives(&pair, "API server gone for 60 s", || {
        docker(&["exec", &node, "mv", MANIFEST, ASIDE]);
        let api = || {
            docker(&[
                "exec",
                &node,
                "sh",
                "-c",
                "pgrep -f '^kube-apiserver' || true",
            ])
            .trim()
            .is_empty()
        };
        eventually("the API server does not end", Duration::from_secs(60), api);
        std::thread::sleep(Duration::from_secs(60));
        // The relay needs no API server.
        assert_eq!(get(port, "/before").unwrap().well(), "before");
        docker(&["exec", &node, "mv", ASIDE, MANIFEST]);
    });
}

#[test]
fn an_etcd_that_answers_nothing_for_10_seconds_ends_no_forward_and_loses_no_file() {
    let pair = Followed::frail("etcd-hangs");
    let node = pair.node();
    survives(&pair, "etcd hung for 10 s", || {
        docker(&["exec", &node, "pkill", "-STOP", "-x", "etcd"]);
        std::thread::sleep(Duration::from_secs(10));
        docker(&["exec", &node, "pkill", "-CONT", "-x", "etcd"]);
    });
}

#[test]
fn an_api_server_that_answers_nothing_for_30_seconds_ends_no_forward_and_loses_no_file() {
    let pair = Followed::frail("api-hangs");
    let node = pair.node();
    survives(&pair, "API server hung for 30 s", || {
        docker(&["exec", &node, "pkill", "-STOP", "-f", "^kube-apiserver"]);
        std::thread::sleep(Duration::from_secs(30));
        docker(&["exec", &node, "pkill", "-CONT", "-f", "^kube-apiserver"]);
    });
}
