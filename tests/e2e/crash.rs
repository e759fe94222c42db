//! An image that crashes at its start: explained by its own last words, while its neighbours stay up.

use crate::support::machine::cluster;
use crate::support::project::{Project, port_of};
use crate::support::tell;
use crate::support::wire::get;

#[test]
fn an_image_that_crashes_is_explained_by_its_last_log_line_and_its_neighbour_stays_up() {
    cluster();
    let project = Project::pair("crash");
    let last_words = "no DATABASE_URL, so this cannot go on";
    let dockerfile = format!(
        "FROM busybox:1\nCMD [\"sh\", \"-c\", \"echo starting; echo '{last_words}'; exit 3\"]\n"
    );
    project.write("right/Dockerfile", &dockerfile);
    let up = project.devk(&["up", "-d"]).exits(1);
    tell("devk up -d until a crash is certain", up.took);

    let failed = up.end_of("release.ready/pair");
    assert_eq!(
        (&failed["status"], &failed["error"]["code"]),
        (&"failed".into(), &"release.not-ready".into())
    );
    let evidence = failed["error"]["evidence"].as_array().unwrap();
    assert!(
        evidence
            .iter()
            .any(|line| line.as_str().unwrap().contains(last_words)),
        "{failed}"
    );
    assert!(failed["error"]["hint"].is_string(), "{failed}");
    assert!(
        up.settled()["failed"]
            .as_array()
            .unwrap()
            .contains(&"release.ready/pair".into())
    );

    assert_eq!(up.verdict("forward.open/left"), "done", "{up:?}");
    let left = port_of(up.settled()["forwards"].as_array().unwrap(), "left");
    assert_eq!(get(left, "/index.html").unwrap().well(), "this is left\n");

    // The session of `-d` has stayed, and the corrected image comes up in it.
    let session = project.session()["pid"].clone();
    assert!(session.is_u64(), "{session}");
    std::fs::copy(
        project.path("left/Dockerfile"),
        project.path("right/Dockerfile"),
    )
    .unwrap();
    project.devk(&["up", "-d"]).well();
    assert_eq!(project.session()["pid"], session);
}
