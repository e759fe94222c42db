//! A listener once shown stays: a pod that goes costs a moment, never a refused connection.

use std::time::{Duration, Instant};

use crate::support::knocker::Knocker;
use crate::support::machine::{CLUSTER, cluster};
use crate::support::project::Project;
use crate::support::wire::get;
use crate::support::{eventually, tell};

#[test]
fn a_replaced_pod_ends_no_forward_and_its_listener_never_refuses() {
    cluster();
    let project = Project::pair("pod-replaced");
    project.devk(&["up", "-d"]).well();
    let port = project.port("left");
    let first = get(port, "/cgi-bin/pod").unwrap().well();
    assert!(first.contains("pair-left-"), "{first}");

    let knocker = Knocker::at(port);
    let since = Instant::now();
    cluster().kubectl(
        CLUSTER,
        &[
            "-n",
            "pod-replaced",
            "delete",
            "pod",
            &first,
            "--wait=false",
        ],
    );
    let answers = || {
        get(port, "/cgi-bin/pod").is_ok_and(|answer| answer.status == 200 && answer.body != first)
    };
    eventually(
        "the new pod does not answer through the old listener",
        Duration::from_secs(60),
        answers,
    );
    tell(
        "deleted pod to the first answer of its successor",
        since.elapsed(),
    );
    knocker.was_never_refused();
}

#[test]
fn twenty_requests_at_once_are_all_answered() {
    cluster();
    let project = Project::pair("parallel");
    project.devk(&["up", "-d"]).well();
    let port = project.port("left");
    let since = Instant::now();
    let requests: Vec<_> = (0..20)
        .map(|_| std::thread::spawn(move || get(port, "/cgi-bin/pod").unwrap().well()))
        .collect();
    let pods: Vec<_> = requests
        .into_iter()
        .map(|request| request.join().unwrap())
        .collect();
    tell("twenty requests at once", since.elapsed());
    assert!(
        pods.iter().all(|pod| pod.contains("pair-left-")),
        "{pods:?}"
    );
}

#[test]
fn a_thousand_connections_that_wait_for_a_pod_are_all_answered() {
    const CONNECTIONS: usize = 1_000;
    cluster();
    let project = Project::pair("queue");
    project.devk(&["up", "-d"]).well();
    let port = project.port("left");
    let scale = |replicas: &str| {
        let to = format!("--replicas={replicas}");
        drop(cluster().kubectl(
            CLUSTER,
            &["-n", "queue", "scale", "deployment/pair-left", &to],
        ));
    };
    let open = || {
        let status = project.devk(&["status"]).well().document();
        let left = status["forwards"]
            .as_array()
            .unwrap()
            .iter()
            .find(|f| f["name"] == "left")
            .cloned()
            .unwrap();
        left["numbers"]["open"].as_u64().unwrap()
    };
    scale("0");
    let gone = || {
        cluster()
            .kubectl(CLUSTER, &["-n", "queue", "get", "pods", "-o", "name"])
            .lines()
            .count()
            == 1
    };
    eventually("the pod does not go", Duration::from_secs(60), gone);
    let request = || std::thread::spawn(move || get(port, "/index.html").map(|answer| answer.body));
    let requests: Vec<_> = (0..CONNECTIONS).map(|_| request()).collect();
    eventually("they do not wait", Duration::from_secs(10), || {
        open() == CONNECTIONS as u64
    });
    let since = Instant::now();
    scale("1");
    let answers: Vec<_> = requests
        .into_iter()
        .map(|request| request.join().unwrap())
        .collect();
    tell(
        "a thousand connections that waited for a pod",
        since.elapsed(),
    );
    let wrong: Vec<_> = answers
        .iter()
        .filter(|body| !body.as_ref().is_ok_and(|b| b == "this is left\n"))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {CONNECTIONS}: {:?}",
        wrong.len(),
        wrong[0]
    );
}
