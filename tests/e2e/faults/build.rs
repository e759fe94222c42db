//! Builds that the machine does not let succeed: no room, no memory, no network.

use std::time::Duration;

use serde_json::Value;

use crate::support::eventually;
use crate::support::followed::{Followed, change, events};
use crate::support::wire::get;

/// An instruction that fails as it does on such a machine, a word of its evidence, one of the hint.
const FAULTS: [(&str, &str, &str); 3] = [
    (
        "RUN dd if=/dev/zero of=/dev/full bs=1M count=1",
        "No space left on device",
        "docker system df",
    ),
    // What the kernel does to a process when memory is out.
    (
        "RUN sh -c 'kill -9 $$'; exit $?",
        "exit code: 137",
        "memory",
    ),
    // No name server knows that domain (RFC 6761, section 6.4).
    (
        "RUN wget -T 5 http://devk.invalid/",
        "bad address",
        "network",
    ),
];

const COPY: &str = "COPY www /www\n";

fn is_told(error: &Value, line: usize, evidence: &str, hint: &str) {
    assert_eq!(
        (&error["code"], &error["line"]),
        (&"image.build".into(), &line.into()),
        "{error}"
    );
    assert!(
        error["evidence"].to_string().contains(evidence),
        "`{evidence}` is not shown: {error}"
    );
    assert!(error["hint"].as_str().unwrap().contains(hint), "{error}");
}

#[test]
fn a_build_without_room_memory_or_network_is_told_once_and_the_next_save_builds_again() {
    let pair = Followed::pair("machine-build");
    let port = pair.project.port("left");
    let mut events = events(&pair);
    for (instruction, evidence, hint) in FAULTS {
        pair.project
            .edit("left/Dockerfile", COPY, &format!("{COPY}{instruction}\n"));
        let built: Value =
            serde_json::from_str(&events.wait_for(&["image.build/left", "\"failed\""])).unwrap();
        is_told(&built["error"], 3, evidence, hint);
        assert_eq!(change(&mut events)["error"]["code"], "session.not-live");
        // As long as nobody saves, nobody tries.
        std::thread::sleep(Duration::from_secs(4));
        assert_eq!(get(port, "/index.html").unwrap().well(), "this is left\n");
        pair.project
            .edit("left/Dockerfile", &format!("{instruction}\n"), "");
        assert_eq!(change(&mut events)["status"], "done");
    }
    pair.save("index.html", "after all of it\n");
    let page = || get(port, "/index.html").is_ok_and(|answer| answer.body == "after all of it\n");
    eventually("the session does not go on", Duration::from_secs(30), page);
    events.kill();
    let told = events.ended().events();
    let began = told
        .iter()
        .filter(|event| event["step"] == "image.build/left" && event["status"] == "started")
        .count();
    assert_eq!(began, FAULTS.len(), "builds for {} faults", FAULTS.len());
}

#[test]
fn a_first_build_that_is_killed_leaves_nothing_half_applied() {
    let pair = Followed::pair_not_up("killed-build");
    let (instruction, evidence, hint) = FAULTS[1];
    pair.project
        .edit("left/Dockerfile", COPY, &format!("{COPY}{instruction}\n"));
    let up = pair.project.devk(&["up", "-d"]).exits(1);
    is_told(&up.end_of("image.build/left")["error"], 3, evidence, hint);
    assert_eq!(up.verdict("release.apply/pair"), "skipped");
    assert_eq!(
        pair.project.devk(&["status"]).well().document()["releases"][0]["revision"],
        Value::Null
    );
    // The session that `up -d` left watches on.
    pair.project
        .edit("left/Dockerfile", &format!("{instruction}\n"), "");
    let port = pair.project.port("left");
    let page = || get(port, "/index.html").is_ok_and(|answer| answer.status == 200);
    eventually(
        "the mended build is not brought live",
        Duration::from_secs(90),
        page,
    );
}
