//! Where files of a build context go is checked against the image that was built: a save is served wherever a build
//! would put it, by a sync or by a build, however the Dockerfile says it.

use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

use crate::support::eventually;
use crate::support::followed::{Followed, change, events};
use crate::support::machine::{CLUSTER, docker_list, run};
use crate::support::wire::get;

/// A sync or a build, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program that is known to notice changed files, for devk: what it does is to serve `/www`.
const SERVER: &str = "RUN printf '#!/bin/sh\\nexec httpd -f -p 8080 -h /www\\n' >/bin/nodemon && chmod +x /bin/nodemon\n";
const START: &str = "CMD [\"nodemon\"]\n";

const NODE: &str = "const http = require('node:http');\n\
    http.createServer((_, answer) => answer.end(require('./text.js'))).listen(8080);\n";

/// A project with this Dockerfile, up; the server is in the image, and starts.
fn served(name: &str, dockerfile: &str, files: &[(&str, &str)]) -> Followed {
    let text = dockerfile.replacen("FROM busybox:1\n", &format!("FROM busybox:1\n{SERVER}"), 1);
    let dockerfile = format!("{text}{START}");
    let files = [&[("Dockerfile", dockerfile.as_str())], files].concat();
    Followed::copies(name, &files).up()
}

fn page(of: &Followed, path: &str) -> String {
    get(of.project.port("app"), path)
        .map(|answer| answer.body)
        .unwrap_or_default()
}

/// Waits until this is served.
fn serves(of: &Followed, path: &str, text: &str) {
    eventually(&format!("{path} is not `{text}`"), PATIENCE, || {
        page(of, path) == text
    });
}

fn verified(of: &Followed) {
    of.settled();
    let verified = of.project.devk(&["verify"]).well().document();
    assert_eq!(verified["equal"], true, "{verified}");
}

/// How many paths were synced into the image that runs now.
fn synced(of: &Followed) -> u64 {
    of.settled()["paths"].as_u64().unwrap()
}

#[test]
fn what_a_stage_has_its_children_copy_is_synced() {
    let dockerfile = format!(
        "FROM busybox:1 AS base\n{SERVER}WORKDIR /www\nONBUILD COPY app app\nFROM base\n{START}"
    );
    let files = [
        ("Dockerfile", dockerfile.as_str()),
        ("app/page", "one"),
        ("app/deep/page", "one"),
    ];
    let of = Followed::copies("copies-onbuild", &files).up();
    for path in ["app/page", "app/deep/page", "app/new"] {
        of.save(path, "two");
        serves(&of, &format!("/{path}"), "two");
    }
    assert_eq!(synced(&of), 3);
    verified(&of);
}

#[test]
fn a_copy_through_a_symbolic_link_is_served() {
    let dockerfile = "FROM node:20-slim\nWORKDIR /srv\nCOPY services/api/lib lib/\nCOPY services/api/server.js ./\n\
                      CMD [\"node\", \"--watch\", \"server.js\"]\n";
    let server = NODE.replace("./text.js", "./lib/text.js");
    let of = Followed::copies(
        "copies-linked",
        &[
            ("Dockerfile", dockerfile),
            ("lib/text.js", "module.exports = 'one'"),
            ("services/api/server.js", &server),
        ],
    );
    symlink("../../lib", of.file("services/api/lib")).unwrap();
    let of = of.up();
    serves(&of, "/", "one");
    of.save("lib/text.js", "module.exports = 'two'");
    serves(&of, "/", "two");
    assert_eq!(synced(&of), 1);
    verified(&of);
    // The link leads elsewhere: only a build follows it.
    std::fs::create_dir(of.file("other")).unwrap();
    of.save("other/text.js", "module.exports = 'three'");
    std::fs::remove_file(of.file("services/api/lib")).unwrap();
    symlink("../../other", of.file("services/api/lib")).unwrap();
    serves(&of, "/", "three");
}

#[test]
fn what_a_run_moves_or_changes_after_its_copy_is_built() {
    let of = served(
        "copies-moved",
        // A shell that does more than the RUN says.
        "FROM busybox:1\nCOPY www /www\nRUN mv /www/moved /www/there\n\
         COPY more /www/more\nSHELL [\"/bin/sh\", \"-c\", \"sed -i s/old/new/ /www/more/* && eval \\\"$0\\\"\"]\nRUN true\n",
        &[
            ("www/moved", "one"),
            ("more/page", "old one"),
            ("more/other", "plain"),
        ],
    );
    assert_eq!(
        (page(&of, "/there"), page(&of, "/more/page")),
        ("one".into(), "new one".into())
    );
    of.save("www/moved", "two");
    serves(&of, "/there", "two");
    of.save("more/page", "old two");
    serves(&of, "/more/page", "new two");
    of.save("more/added", "old three");
    serves(&of, "/more/added", "new three");
    verified(&of);
}

#[test]
fn what_two_stages_put_into_two_places_is_new_in_both() {
    let of = served(
        "copies-two-places",
        "FROM busybox:1 AS assets\nCOPY www/page /out/page\nFROM busybox:1\n\
         COPY www /www\nCOPY --from=assets /out/page /www/again\n",
        &[("www/page", "one"), ("www/other", "one")],
    );
    of.save("www/other", "two");
    serves(&of, "/other", "two");
    assert_eq!(synced(&of), 1);
    of.save("www/page", "two");
    serves(&of, "/page", "two");
    serves(&of, "/again", "two");
    verified(&of);
}

/// An image that somebody else built; removed with the test.
struct Base(String);

impl Base {
    fn build(name: &str, dockerfile: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("Dockerfile"), dockerfile).unwrap();
        let tag = format!("devk-e2e-base/{name}");
        run(Command::new("docker")
            .args(["build", "-q", "-t", &tag])
            .arg(folder.path())
            .env("DOCKER_BUILDKIT", "0"));
        Self(tag)
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rmi", "-f", &self.0]).output();
    }
}

#[test]
fn what_only_the_base_image_knows_is_left_to_builds() {
    let base = Base::build("folder", &format!("FROM busybox:1\n{SERVER}WORKDIR /www\n"));
    let triggering = Base::build(
        "onbuild",
        &format!("FROM busybox:1\n{SERVER}ONBUILD COPY . /www\n"),
    );
    let of = served(
        "copies-base",
        &format!("FROM {}\nCOPY page other ./\n", base.0),
        &[("page", "one"), ("other", "one")],
    );
    serves(&of, "/page", "one");
    of.save("page", "two");
    serves(&of, "/page", "two");
    // The Dockerfile shows one place of two.
    of.save(
        "Dockerfile",
        format!("FROM {}\nCOPY page /www/again/\n{START}", triggering.0),
    );
    serves(&of, "/again/page", "two");
    of.save("page", "three");
    serves(&of, "/again/page", "three");
    serves(&of, "/page", "three");
    // Nothing of the context is known to be anywhere in that image.
    let compared = of.project.devk(&["verify"]).exits(1).document();
    assert_eq!(
        (&compared["files"], &compared["containers"]),
        (&0.into(), &1.into())
    );
}

#[test]
fn a_file_that_no_copy_takes_is_built() {
    let of = served(
        "copies-untaken",
        "FROM busybox:1\nCOPY www /www\n",
        &[("www/page", "one"), ("notes", "one")],
    );
    let mut events = events(&of);
    of.save("notes", "two");
    let told = change(&mut events);
    assert_eq!(told["status"], "done", "{told}");
    of.save("www/page", "two");
    serves(&of, "/page", "two");
    verified(&of);
}

#[test]
fn what_sync_makes_has_the_rights_that_a_build_gives_it_and_verify_names_others() {
    let of = served(
        "copies-owners",
        "FROM busybox:1\nCOPY --chown=7:8 www /www\nCOPY plain /www/plain\nCOPY run.sh keys /www/bin/\n\
         RUN chgrp -R 9 /www/plain && chmod +x /www/bin/run.sh && chown 5:6 /www/bin/keys\n",
        &[
            ("www/page", "one"),
            ("plain/page", "one"),
            ("run.sh", "one"),
            ("keys", "one"),
        ],
    );
    for path in [
        "www/page",
        "www/new",
        "plain/page",
        "plain/new",
        "run.sh",
        "keys",
    ] {
        of.save(path, "two");
    }
    let places = [
        "/page",
        "/new",
        "/plain/page",
        "/plain/new",
        "/bin/run.sh",
        "/bin/keys",
    ];
    for path in places {
        serves(&of, path, "two");
    }
    assert_eq!(synced(&of), 6);
    let files = places.map(|place| format!("/www{place}"));
    let mut stat = vec!["stat", "-c", "%a %u:%g"];
    stat.extend(files.iter().map(String::as_str));
    assert_eq!(
        of.exec(&of.pod(), &stat),
        "644 7:8\n644 7:8\n644 0:9\n644 0:9\n755 0:0\n644 5:6\n"
    );
    verified(&of);

    of.exec(&of.pod(), &["chmod", "644", "/www/bin/run.sh"]);
    of.exec(&of.pod(), &["chown", "0:0", "/www/page"]);
    let verify = of.project.devk(&["verify"]);
    assert_eq!(verify.code, Some(1), "{verify:?}");
    let told = verify.document()["differences"].clone();
    let told: Vec<_> = told.as_array().unwrap().iter().collect();
    let named: Vec<_> = told.iter().map(|one| (&one["path"], &one["why"])).collect();
    assert_eq!(
        named,
        [
            (
                &"run.sh".into(),
                &"its mode is 644 and should be 755".into()
            ),
            (
                &"www/page".into(),
                &"its owner is 0:0 and should be 7:8".into()
            ),
        ]
    );
}

#[test]
fn a_save_during_the_first_build_is_not_lost_and_nothing_is_left_in_docker() {
    let dockerfile = format!("FROM busybox:1\n{SERVER}RUN sleep 5\nCOPY www /www\n{START}");
    let of = Followed::copies(
        "copies-early",
        &[("Dockerfile", &dockerfile), ("www/page", "one")],
    );
    let mut up = of.project.start(&["up", "-d"]);
    up.wait_for(&["image.build/app", "started"]);
    std::thread::sleep(Duration::from_secs(2));
    of.save("www/page", "two");
    up.ended().well();
    serves(&of, "/page", "two");
    verified(&of);
    let looks = docker_list(&[
        "ps",
        "-aq",
        "--filter",
        "label=dev.devk.project=copies-early",
    ]);
    assert!(looks.is_empty(), "{looks:?}, on {CLUSTER}");
}
