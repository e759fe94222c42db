//! A release that somebody changes by hand: the next `up` says what differs, and brings back what devk.yaml says.

use std::process::Command;

use crate::support::machine::{CLUSTER, cluster, run};
use crate::support::project::Project;
use crate::support::run::Ran;
use crate::support::wire::get;

struct Touched(Project);

impl Touched {
    fn up(name: &str) -> Self {
        cluster();
        let project = Project::pair(name);
        project.devk(&["up", "-d"]).well();
        Self(project)
    }

    fn kubectl(&self, words: &[&str]) -> String {
        self.0.kubectl(words)
    }

    fn helm(&self, words: &[&str]) {
        let kubeconfig = cluster().kubeconfig(CLUSTER);
        let home = cluster().home();
        let mut helm = Command::new("helm");
        helm.args(words)
            .args(["--namespace", &self.0.name, "--kubeconfig"])
            .arg(kubeconfig)
            .env("HOME", home);
        run(helm.current_dir(self.0.path("")));
    }

    /// What the next `up` would do to the release, and why.
    fn planned(&self) -> (bool, String) {
        let plan = self.0.devk(&["up", "--dry-run"]).well().document();
        let steps = plan["steps"].as_array().unwrap();
        let apply = steps
            .iter()
            .find(|step| step["id"] == "release.apply/pair")
            .unwrap();
        (
            !apply["skip"].as_bool().unwrap(),
            apply["why"].as_str().unwrap().to_owned(),
        )
    }

    /// The next `up` upgrades and says this; the one after it has nothing to do.
    fn is_mended(&self, said: &str) -> Ran {
        let (upgrades, why) = self.planned();
        assert!(
            upgrades && why.contains(said),
            "`{said}` is not the reason: {why}"
        );
        let up = self.0.devk(&["up", "-d"]).well();
        assert_eq!(up.verdict("release.apply/pair"), "done", "{up:?}");
        assert_eq!(
            self.planned(),
            (false, "chart, values and images are unchanged".to_owned())
        );
        assert_eq!(
            get(self.0.port("left"), "/index.html").unwrap().well(),
            "this is left\n"
        );
        up
    }
}

#[test]
fn what_kubectl_changed_is_named_and_brought_back() {
    let pair = Touched::up("patched");
    let patch = r#"[{"op":"replace","path":"/spec/ports/0/targetPort","value":1}]"#;
    pair.kubectl(&["patch", "service", "pair-left", "--type=json", "-p", patch]);
    pair.is_mended(
        "changed by hand: Service/pair-left: spec.ports[2480].targetPort, by kubectl-patch",
    );
    let target = pair.kubectl(&[
        "get",
        "service",
        "pair-left",
        "-o",
        "jsonpath={.spec.ports[0].targetPort}",
    ]);
    assert_eq!(target, "http");

    pair.kubectl(&["set", "image", "deployment/pair-left", "left=busybox:1"]);
    pair.is_mended(
        "Deployment/pair-left: spec.template.spec.containers[left].image, by kubectl-set",
    );
    pair.kubectl(&["delete", "service", "pair-right"]);
    pair.is_mended("Service/pair-right: deleted");
}

#[test]
fn what_kubectl_changed_where_the_chart_says_nothing_is_named_and_left() {
    let pair = Touched::up("added");
    pair.kubectl(&["set", "env", "deployment/pair-right", "COLOUR=geheim"]);
    let up = pair.0.devk(&["up", "-d"]).well();
    let told = up.end_of("release.apply/pair");
    assert_eq!(told["status"], "skipped", "{told}");
    let detail = told["detail"].as_str().unwrap();
    assert!(
        detail.contains("Deployment/pair-right") && detail.contains("env[COLOUR], by kubectl-set"),
        "{detail}"
    );
    assert!(
        !up.stdout.contains("geheim") && !up.stderr.contains("geheim"),
        "a value is shown"
    );

    // The chart names no number of replicas.
    pair.kubectl(&["scale", "deployment/pair-left", "--replicas=0"]);
    pair.kubectl(&[
        "wait",
        "--for=delete",
        "pod",
        "-l",
        "app=left",
        "--timeout=60s",
    ]);
    let up = pair.0.devk(&["up", "-d"]).well();
    let told = up.end_of("release.apply/pair")["detail"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        told.contains("Deployment/pair-left: spec.replicas, which is 0"),
        "{told}"
    );
    assert_eq!(
        up.settled()["waiting"][0]["why"],
        "no pod: Deployment `pair-left` has 0 replicas"
    );
    pair.kubectl(&["scale", "deployment/pair-left", "--replicas=1"]);
    pair.0.devk(&["up", "-d"]).well();
}

#[test]
fn what_helm_changed_is_brought_back() {
    let pair = Touched::up("helmed");
    pair.helm(&[
        "upgrade",
        "pair",
        "chart",
        "--reuse-values",
        "--set",
        "left.ready=/cgi-bin/pod",
    ]);
    pair.is_mended("its inputs are new");
    pair.helm(&["rollback", "pair", "2"]);
    pair.is_mended("its inputs are new");
    pair.helm(&["uninstall", "pair", "--wait"]);
    pair.is_mended("its inputs are new");
    let ready = "jsonpath={.spec.template.spec.containers[0].readinessProbe.httpGet.path}";
    assert_eq!(
        pair.kubectl(&["get", "deployment", "pair-left", "-o", ready]),
        "/index.html"
    );
}
