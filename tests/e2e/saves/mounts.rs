//! What the chart mounts is not the image's: no save is written there.

use super::{containers, page, pod, project, serves, up};
use crate::support::project::Project;

const FILES: &[(&str, &str)] = &[
    ("data/app.db", "seed\n"),
    ("config.yaml", "mode: file\n"),
    ("server.py", "one\n"),
];

const DOCKERFILE: &str = "FROM python:3.11-slim
WORKDIR /app
COPY . .
CMD [\"python\", \"-m\", \"http.server\", \"8000\"]
";

/// A claim over a folder that the Dockerfile copies, and a ConfigMap over one of its files.
const MOUNTED: &str = "
claim: true
config: {config.yaml: \"mode: cluster\\n\"}
deployments:
  app:
    volumeMounts:
      - {name: data, mountPath: /app/data}
      - {name: config, mountPath: /app/config.yaml, subPath: config.yaml}
    volumes:
      - {name: data, persistentVolumeClaim: {claimName: data}}
      - {name: config, configMap: {name: settings}}
";

fn mounted(name: &str) -> Project {
    let project = project(name, DOCKERFILE, FILES);
    project.write("values-dev.yaml", MOUNTED);
    project
}

fn inside(project: &Project, path: &str) -> String {
    project.kubectl(&["exec", "deploy/app", "--", "cat", path])
}

fn covered(project: &Project) -> Vec<(String, String)> {
    let containers = containers(project);
    let covered = containers[0]["covered"].as_array().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let mut covered: Vec<_> = covered
        .iter()
        .map(|one| (text(&one["path"]), text(&one["volume"])))
        .collect();
    covered.sort();
    covered
}

/// Saves what is covered and what is not, and looks that only the latter came.
fn nothing_is_overwritten(project: &Project) {
    up(project);
    let before = pod(project, "app");
    let precious = "echo precious >/app/data/app.db";
    project.kubectl(&["exec", "deploy/app", "--", "sh", "-c", precious]);
    project.write("app/data/app.db", "local\n");
    project.write("app/data/new.db", "local\n");
    project.write("app/config.yaml", "mode: other\n");
    for text in ["two", "three", "four"] {
        project.write("app/server.py", text);
        serves(project, "app", "/server.py", text);
    }
    std::fs::remove_dir_all(project.path("app/data")).unwrap();
    project.write("app/server.py", "five");
    serves(project, "app", "/server.py", "five");
    // A folder that is gone is believed after a moment.
    std::thread::sleep(std::time::Duration::from_secs(1));
    project.write("app/server.py", "six");
    serves(project, "app", "/server.py", "six");
    assert_eq!(pod(project, "app"), before, "nothing was rolled out");
    assert_eq!(inside(project, "/app/data/app.db"), "precious\n");
    assert_eq!(page(project, "app", "/config.yaml"), "mode: cluster\n");
    let listed = project.kubectl(&["exec", "deploy/app", "--", "ls", "/app/data"]);
    assert_eq!(listed, "app.db\n");
    let told = covered(project);
    for (path, volume) in [
        ("config.yaml", "ConfigMap `settings`"),
        ("data/app.db", "claim `data`"),
        ("data/new.db", "claim `data`"),
    ] {
        assert!(
            told.contains(&(path.to_owned(), volume.to_owned())),
            "{told:?}"
        );
    }
    let verified = project.devk(&["verify"]).well().document();
    assert_eq!(verified["equal"], true, "{verified}");
    assert_eq!(verified["containers"], 1, "{verified}");
    let left_out = verified["left_out"].as_array().unwrap();
    assert!(
        left_out.iter().any(|left| left["path"] == "config.yaml"),
        "{verified}"
    );
}

#[test]
fn a_claim_over_copied_files_is_never_written_by_a_rule() {
    let project = mounted("claim-by-rule");
    project.edit(
        "devk.yaml",
        "context: ./app",
        "context: ./app, sync: [{from: ., to: /app}]",
    );
    nothing_is_overwritten(&project);
}

#[test]
fn a_claim_over_copied_files_is_never_written_by_what_the_dockerfile_says() {
    nothing_is_overwritten(&mounted("claim-by-copy"));
}

#[test]
fn a_target_that_is_in_a_volume_gets_nothing_and_the_others_get_theirs() {
    let dockerfile = "FROM python:3.11-slim
COPY site /app/site
COPY shared /scratch/shared
RUN ln -s /scratch/shared /app/site/shared
WORKDIR /app/site
CMD [\"python\", \"-m\", \"http.server\", \"8000\"]
";
    let files = [("site/x", "one\n"), ("shared/y", "one\n")];
    let project = project("volume-above", dockerfile, &files);
    project.edit(
        "devk.yaml",
        "context: ./app",
        "context: ./app, sync: [{from: site, to: /app/site}, {from: shared, to: /scratch/shared}]",
    );
    project.write(
        "values-dev.yaml",
        "deployments:\n  app:\n    volumeMounts: [{name: scratch, mountPath: /scratch}]\n    \
         volumes: [{name: scratch, emptyDir: {}}]\n",
    );
    up(&project);
    project.write("app/shared/y", "two\n");
    // Through a link of the image that leads into the volume.
    std::fs::create_dir(project.path("app/site/shared")).unwrap();
    project.write("app/site/shared/z", "two\n");
    project.write("app/site/x", "two\n");
    serves(&project, "app", "/x", "two");
    let listed = project.kubectl(&["exec", "deploy/app", "--", "ls", "-A", "/scratch"]);
    assert_eq!(listed, "");
    let told = covered(&project);
    assert!(
        told.contains(&("shared/y".to_owned(), "volume `scratch`".to_owned())),
        "{told:?}"
    );
}
