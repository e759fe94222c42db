//! A save that the reloader of a container does not see, or that no COPY shows the way of, is built: the program runs it,
//! or the file is where a build puts it.

use std::time::Duration;

use super::PATIENCE;
use crate::support::eventually;
use crate::support::machine::{CLUSTER, cluster};
use crate::support::project::Project;

/// All images are built anew, each after the reloader's patience, beside other tests.
const BUILDS: Duration = Duration::from_secs(240);

/// The last line that a container has printed; nothing while it is replaced.
fn last_line(project: &Project, deployment: &str, container: &str) -> String {
    let target = format!("deploy/{deployment}");
    let words = [
        "-n",
        &project.name,
        "logs",
        &target,
        "-c",
        container,
        "--tail=5",
    ];
    let output = std::process::Command::new("kubectl")
        .arg("--kubeconfig")
        .arg(cluster().kubeconfig(CLUSTER))
        .args(words)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = text.lines().rfind(|line| !line.starts_with("INFO:"));
    said.unwrap_or_default().to_owned()
}

#[test]
fn what_the_reloader_does_not_watch_and_what_no_copy_shows_is_built() {
    cluster();
    let project = Project::new("tests/e2e/fixtures/unwatched", "unwatched", CLUSTER);
    project.devk(&["up", "-d"]).well();
    let programs = [
        // An entrypoint copies it to where it runs.
        ("entry", "app", "entry/server.js"),
        // It is compiled at the start.
        ("compiled", "app", "compiled/src/server.js"),
        // uvicorn watches its folder, and not the library beside that.
        ("beside", "app", "beside/lib/helper.py"),
        // Of two containers of one image only the first reloads.
        ("pair", "app", "pair/server.js"),
        ("pair", "worker", "pair/server.js"),
        // Read once, by a program that the reloader does not restart for it.
        ("settings", "app", "settings/settings.yaml"),
        // The first program of a start script runs it too, and nothing starts that one again.
        ("second", "app", "second/words.js"),
    ];
    for (deployment, container, _) in programs {
        eventually("the program has not started", PATIENCE, || {
            last_line(&project, deployment, container) == "one"
        });
    }
    let files: std::collections::BTreeSet<_> = programs.iter().map(|(_, _, file)| file).collect();
    for file in files {
        project.edit(file, "\"one\"", "\"two\"");
    }
    // The server serves a copy.
    project.write("copied/page.html", "two\n");
    // useradd copies it into a home.
    project.write("skeleton/skel/rc", "two\n");
    // ADD unpacks it.
    let mut archive =
        tar::Builder::new(std::fs::File::create(project.path("archive/files/new.bin")).unwrap());
    let mut header = tar::Header::new_gnu();
    header.set_size(3);
    header.set_mode(0o644);
    archive
        .append_data(&mut header, "unpacked", &b"two"[..])
        .unwrap();
    archive.finish().unwrap();
    for (deployment, container, file) in programs {
        eventually(
            &format!("{file} is not run in {deployment}/{container}"),
            BUILDS,
            || last_line(&project, deployment, container) == "two",
        );
    }
    let inside = |deployment: &str, path: &str| {
        let target = format!("deploy/{deployment}");
        let cat = ["exec", &target, "--", "cat", path].map(str::to_owned);
        let words: Vec<_> = cat.iter().map(String::as_str).collect();
        project.kubectl(&words)
    };
    project.devk(&["settle", "--timeout", "120s"]).well();
    assert_eq!(inside("skeleton", "/users/dev/rc"), "two\n");
    assert_eq!(inside("archive", "/srv/unpacked"), "two");
    assert_eq!(inside("copied", "/served/page.html"), "two\n");
    let verified = project.devk(&["verify"]).well().document();
    assert_eq!(verified["equal"], true, "{verified}");

    // The Job of the rebuilt image has run again.
    assert_eq!(project.kubectl(&["logs", "job/seed"]), "two\n");
    project.kubectl(&["create", "job", "--from=cronjob/nightly", "nightly-1"]);
    let failing = || {
        let status = project.devk(&["status"]).well().document();
        status["failing_cron_jobs"].as_array().unwrap().clone()
    };
    eventually("the CronJob is not told", PATIENCE, || {
        !failing().is_empty()
    });
    assert_eq!(failing()[0]["name"], "nightly");
    assert_eq!(failing()[0]["job"], "nightly-1");
}
