//! Nodes and API servers that go away and come back.

use std::time::Duration;

use super::survives;
use crate::support::eventually;
use crate::support::followed::Followed;
use crate::support::machine::{NODE, docker};
use crate::support::wire::get;

const MANIFEST: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";
const ASIDE: &str = "/etc/kubernetes/kube-apiserver.yaml";

#[test]
fn a_restarted_node_ends_no_forward_and_loses_no_file() {
    let pair = Followed::pair("node-restart");
    survives(&pair, "node restarted", || {
        drop(docker(&["restart", "--time", "1", NODE]))
    });
}

#[test]
fn an_api_server_that_is_gone_for_60_seconds_ends_no_forward_and_loses_no_file() {
    let pair = Followed::pair("api-gone");
    let port = pair.project.port("left");
    survives(&pair, "API server gone for 60 s", || {
        docker(&["exec", NODE, "mv", MANIFEST, ASIDE]);
        let api = || {
            docker(&[
                "exec",
                NODE,
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
        docker(&["exec", NODE, "mv", ASIDE, MANIFEST]);
    });
}

#[test]
fn an_etcd_that_answers_nothing_for_10_seconds_ends_no_forward_and_loses_no_file() {
    let pair = Followed::pair("etcd-hangs");
    survives(&pair, "etcd hung for 10 s", || {
        docker(&["exec", NODE, "pkill", "-STOP", "-x", "etcd"]);
        std::thread::sleep(Duration::from_secs(10));
        docker(&["exec", NODE, "pkill", "-CONT", "-x", "etcd"]);
    });
}

#[test]
fn an_api_server_that_answers_nothing_for_30_seconds_ends_no_forward_and_loses_no_file() {
    let pair = Followed::pair("api-hangs");
    survives(&pair, "API server hung for 30 s", || {
        docker(&["exec", NODE, "pkill", "-STOP", "-f", "^kube-apiserver"]);
        std::thread::sleep(Duration::from_secs(30));
        docker(&["exec", NODE, "pkill", "-CONT", "-f", "^kube-apiserver"]);
    });
}
