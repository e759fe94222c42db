//! Input that is written to harm: commands in names, paths that lead out, files without end.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::support::followed::Followed;
use crate::support::machine::{NODE, docker, machine};
use crate::support::project::Project;
use crate::support::tell;

/// For names of files, which have no `/`: a shell that reads this makes a file of it.
const TOUCH: &str =
    "it's \"a\" $(touch $HOME-canary) `touch $HOME-canary` ;touch $HOME-canary\n& x";

fn no_shell_has_read_it() {
    let canary = machine().home().with_file_name("home-canary");
    assert!(!canary.exists(), "a shell has read a name");
}

#[test]
fn no_name_reaches_a_shell_here_in_the_node_or_in_the_container() {
    let mut pair = Followed::pair_not_up("shells");
    let chart = format!("chart {TOUCH}");
    let values = format!("values {TOUCH}.yaml");
    let right = format!("right {TOUCH}");
    let rename = |from: &str, to: &str| {
        std::fs::rename(pair.project.path(from), pair.project.path(to)).unwrap()
    };
    rename("chart", &chart);
    rename("values-dev.yaml", &values);
    rename("right/Dockerfile", &format!("right/Dockerfile {TOUCH}"));
    rename("right", &right);
    let json = |text: &str| serde_json::to_string(text).unwrap();
    let inside = json("$(touch /canary)`touch /canary`;touch /canary'\"\n");
    pair.project.edit(
        "devk.yaml",
        "chart: ./chart",
        &format!("chart: {}\n    set: {{left.note: {inside}}}", json(&chart)),
    );
    pair.project.edit(
        "devk.yaml",
        "[values-dev.yaml]",
        &format!("[{}]", json(&values)),
    );
    let dockerfile = json(&format!("{right}/Dockerfile {TOUCH}"));
    let image = format!(
        "right: {{context: {}, dockerfile: {dockerfile}, args: {{NOTE: {inside}}}}}",
        json(&right)
    );
    pair.project
        .edit("devk.yaml", "right: {context: ./right}", &image);
    pair.project.edit(
        "devk.yaml",
        "run: [touch, /tmp/synced]",
        &format!("run: [echo, {inside}]"),
    );
    pair.project.set("NOTE", TOUCH);
    for words in [&["ports"][..], &["up", "--dry-run"]] {
        pair.project.devk(words).well();
        no_shell_has_read_it();
    }
    let pair = pair.up();
    pair.save(TOUCH, "saved");
    pair.is_equal();
    for words in [&["status"][..], &["ports"], &["env"], &["doctor"]] {
        pair.project.devk(words);
    }
    no_shell_has_read_it();
    docker(&["exec", NODE, "test", "!", "-e", "/canary"]);
    for pod in pair.pods() {
        pair.exec(&pod, &["test", "!", "-e", "/canary"]);
    }
}

#[test]
fn files_outside_of_the_project_are_not_shown_and_not_built_in() {
    let project = Project::pair("outside");
    let aside = machine().new_folder();
    let secret = aside.path().join("shadow");
    std::fs::write(&secret, "root:geheim:0:0\nnobody: [\n").unwrap();
    let file = secret.to_str().unwrap();
    let devk_yaml = std::fs::read_to_string(project.path("devk.yaml")).unwrap();
    let files = [
        ("[values-dev.yaml]", format!("[{file}]")),
        (
            "[values-dev.yaml]",
            "[../../../../../../etc/passwd]".to_owned(),
        ),
        ("./chart", "../../../../../../etc".to_owned()),
        ("./left", "/proc/self".to_owned()),
        (
            "name: pair\n    chart",
            "name: ../pair\n    chart".to_owned(),
        ),
    ];
    for (from, to) in files {
        project.write("devk.yaml", &devk_yaml);
        project.edit("devk.yaml", from, &to);
        let ran = project.devk(&["ports"]).exits(2);
        let shown = format!("{}{}", ran.stdout, ran.stderr);
        assert!(
            !shown.contains("geheim") && !shown.contains("root:x"),
            "{to}: {shown}"
        );
    }
    project.write("devk.yaml", &devk_yaml);
    for profile in ["../../etc", "/etc", "demo/../demo", "demo\n", "$(id)"] {
        assert_eq!(
            project
                .devk(&["ports", "--profile", profile])
                .exits(2)
                .error()["code"],
            "config.profile"
        );
    }
}

#[test]
fn a_link_out_of_the_context_is_a_link_in_the_container_and_nothing_more() {
    let aside = machine().new_folder();
    std::fs::write(aside.path().join("secret"), "geheim").unwrap();
    let pair = Followed::pair_not_up("links");
    std::os::unix::fs::symlink(aside.path().join("secret"), pair.file("built")).unwrap();
    std::os::unix::fs::symlink(aside.path(), pair.file("folder")).unwrap();
    let pair = pair.up();
    std::os::unix::fs::symlink(aside.path().join("secret"), pair.file("synced")).unwrap();
    pair.is_equal();
    for link in ["built", "folder", "synced"] {
        let there = pair.exec(
            &pair.pod(),
            &[
                "sh",
                "-c",
                "readlink \"$0\"; cat \"$0\" \"$0/secret\" 2>/dev/null || true",
                &pair.inside(link),
            ],
        );
        assert!(
            there.starts_with(aside.path().to_str().unwrap()) && !there.contains("geheim"),
            "{link}: {there}"
        );
    }
}

#[test]
fn files_without_end_are_refused_or_read_soon() {
    let project = Project::pair("endless");
    let devk_yaml = std::fs::read_to_string(project.path("devk.yaml")).unwrap();
    let timed = |what: &str, code: i32| {
        let since = Instant::now();
        let ran = project.devk(&["ports"]).exits(code);
        tell(what, since.elapsed());
        assert!(
            since.elapsed() < Duration::from_secs(180),
            "{what} took {:?}",
            since.elapsed()
        );
        ran
    };
    let file = std::fs::File::create(project.path("devk.yaml")).unwrap();
    file.set_len(100 << 20).unwrap();
    assert_eq!(
        timed("a devk.yaml of 100 MB", 2).error()["code"],
        "config.syntax"
    );
    project.write("devk.yaml", &devk_yaml);

    let mut values = std::fs::File::create(project.path("values-dev.yaml")).unwrap();
    values.write_all(b"left: {note: \"").unwrap();
    values.write_all(&vec![b'x'; 10 << 20]).unwrap();
    values.write_all(b"\"}\n").unwrap();
    let ran = timed("a value of 10 MB", 0);
    assert!(
        ran.stdout.len() + ran.stderr.len() < 100_000,
        "the value is shown"
    );
    project.write("values-dev.yaml", "{}\n");

    let services = "{{- range $n := until 10000 }}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: s{{ $n }}}\n\
                    spec: {ports: [{port: 80}]}\n{{- end }}\n";
    project.write("chart/templates/many.yaml", services);
    let ran = timed("a chart of 10,000 Services beside the two forwards", 0);
    assert_eq!(ran.document()["forwards"].as_array().unwrap().len(), 2);
    let without = &devk_yaml[..devk_yaml.find("forwards:").unwrap()];
    project.write("devk.yaml", without);
    let ran = timed("10,000 forwards", 0);
    let forwards = ran.document()["forwards"].as_array().unwrap().clone();
    let locals: std::collections::BTreeSet<_> = forwards
        .iter()
        .map(|forward| forward["local"].as_u64())
        .collect();
    assert_eq!(
        (forwards.len(), locals.len()),
        (10_002, 10_002),
        "every one has a port of its own"
    );
    std::fs::remove_file(project.path("chart/templates/many.yaml")).unwrap();
}
