//! What serves a save is decided by what runs in each container.

use std::time::{Duration, Instant};

use super::{PATIENCE, page, pod, project, serves, serving, up};
use crate::support::sample::{p95, times};
use crate::support::{eventually, tell};

const SERVER: &str = "import http.server
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b'one')
http.server.HTTPServer(('', 8000), H).serve_forever()
";

fn answering(text: &str) -> String {
    SERVER.replace("one", text)
}

const NODE: &str = "require('http').createServer((_, answer) => answer.end('one')).listen(8000)\n";

#[test]
fn each_of_ten_saves_reaches_a_program_that_watches_the_file_itself() {
    let dockerfile =
        "FROM node:20-slim\nWORKDIR /srv\nCOPY . .\nCMD [\"node\", \"--watch\", \"server.js\"]\n";
    let project = project(
        "node-watch",
        dockerfile,
        &[("server.js", NODE), ("lib.js", "")],
    );
    up(&project);
    let before = pod(&project, "app");
    for number in 0..10 {
        let text = format!("save {number}");
        project.write("app/server.js", &NODE.replace("one", &text));
        serves(&project, "app", "/", &text);
    }
    assert_eq!(pod(&project, "app"), before);
    let told = serving(&project, "app");
    assert!(told.contains("written in place"), "{told}");
    project.devk(&["verify"]).well();
}

#[test]
fn a_reloader_that_a_start_script_runs_is_seen_where_it_runs() {
    let dockerfile = "FROM python:3.11-slim\nRUN pip install watchfiles\nWORKDIR /srv\nCOPY . .\nCMD [\"sh\", \"./start.sh\"]\n";
    let script = "sleep 2\nexec watchfiles 'python app.py' .\n";
    let project = project(
        "start-script",
        dockerfile,
        &[("app.py", SERVER), ("start.sh", script)],
    );
    up(&project);
    let before = pod(&project, "app");
    for text in ["two", "three"] {
        project.write("app/app.py", &answering(text));
        serves(&project, "app", "/", text);
    }
    assert_eq!(pod(&project, "app"), before);
    assert_eq!(serving(&project, "app"), "`watchfiles` reloads");
}

#[test]
fn a_plain_file_server_needs_no_reloader_and_its_settings_are_built() {
    let dockerfile = "FROM busybox:1\nCOPY site /site\nCOPY httpd.conf /etc/httpd.conf\nCMD [\"httpd\", \"-f\", \"-p\", \"8000\", \"-h\", \"/site\"]\n";
    let files = [
        ("site/index.html", "one"),
        ("httpd.conf", ".x:text/plain\n"),
    ];
    let project = project("static-site", dockerfile, &files);
    up(&project);
    let before = pod(&project, "app");
    project.write("app/site/index.html", "two");
    serves(&project, "app", "/", "two");
    assert_eq!(pod(&project, "app"), before);
    assert_eq!(
        serving(&project, "app"),
        "`httpd` reads files at each request"
    );
    project.write("app/httpd.conf", ".y:text/plain\n");
    eventually("the changed settings are not rolled out", PATIENCE, || {
        pod_or_none(&project).is_some_and(|pod| pod != before)
    });
    serves(&project, "app", "/", "two");
}

#[test]
fn a_fix_by_sync_is_as_fast_as_a_save() {
    let dockerfile = "FROM python:3.11-slim\nRUN pip install watchfiles\nWORKDIR /srv\nCOPY . .\nCMD [\"watchfiles\", \"python app.py\", \".\"]\n";
    let project = project("late-sync", dockerfile, &[("app.py", SERVER)]);
    up(&project);
    let live = |text: &str| {
        let since = Instant::now();
        project.write("app/app.py", &answering(text));
        serves(&project, "app", "/", text);
        since.elapsed()
    };
    let (mut alone, mut fixes) = (vec![], vec![]);
    for number in 0..times(20) {
        alone.push(live(&format!("alone {number}")));
        project.write("app/app.py", "import nothing_of_that_name\n");
        std::thread::sleep(Duration::from_secs(5));
        fixes.push(live(&format!("mended {number}")));
    }
    tell("a save alone, by sync", p95(&alone));
    tell("a fix, 5 s after the broken save, by sync", p95(&fixes));
    assert!(p95(&fixes) <= p95(&alone) * 2 + Duration::from_secs(3));
}

/// None while an old and a new one are there.
fn pod_or_none(project: &crate::support::project::Project) -> Option<String> {
    let pods = project.kubectl(&["get", "pods", "-o", "name"]);
    let mut pods = pods
        .lines()
        .map(|name| name.trim_start_matches("pod/").to_owned());
    pods.next().filter(|_| pods.next().is_none())
}

#[test]
fn where_one_of_two_deployments_of_an_image_reloads_the_other_is_built() {
    let dockerfile = "FROM python:3.11-slim\nRUN pip install watchfiles\nWORKDIR /srv\nCOPY . .\nCMD [\"python\", \"app.py\"]\n";
    let project = project("one-reloads", dockerfile, &[("app.py", SERVER)]);
    project.write(
        "values-dev.yaml",
        "deployments:\n  app: {command: [watchfiles, python app.py, .]}\n  plain: {}\n",
    );
    up(&project);
    project.write("app/app.py", &answering("two"));
    serves(&project, "app", "/", "two");
    serves(&project, "plain", "/", "two");
    let told = serving(&project, "plain");
    assert!(told.starts_with("by builds: `python app.py`"), "{told}");
}

#[test]
fn a_save_while_the_only_pod_crashes_is_built() {
    let dockerfile =
        "FROM python:3.11-slim\nWORKDIR /srv\nCOPY . .\nCMD [\"python\", \"app.py\"]\n";
    let project = project("crashes", dockerfile, &[("app.py", SERVER)]);
    up(&project);
    project.write("app/app.py", "import nothing_of_that_name\n");
    eventually("the broken program is not rolled out", PATIENCE, || {
        project
            .kubectl(&["get", "pods"])
            .contains("CrashLoopBackOff")
            || project.kubectl(&["get", "pods"]).contains("Error")
    });
    eventually("`verify` does not name the crash", PATIENCE, || {
        let verified = project.devk(&["verify"]).exits(1).document();
        verified["uncompared"]
            .to_string()
            .contains("ended with exit code 1")
            || verified["uncompared"]
                .to_string()
                .contains("CrashLoopBackOff")
    });
    project.write("app/app.py", &answering("mended"));
    serves(&project, "app", "/", "mended");
    assert_eq!(page(&project, "app", "/"), "mended");
}
