//! minikube, with nodes that are Docker containers and containerd in them.
//!
//! Docker reports whether the containers run, so an unchanged `up` starts no process. `minikube status` reports what
//! else may keep the API server from answering (a paused cluster, a container that was started by hand), and
//! `minikube start` repairs it. Only the exit code says whether minikube succeeded: it prints errors and warnings on
//! success, too. Invariant: minikube always gets devk's private kubeconfig as `KUBECONFIG`.

use std::path::{Path, PathBuf};

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Deserialize;
use serde_json::Value;

use super::nodes::{self, Labels};
use super::tool::{Tool, not_created};
use super::{Cluster, End, State, network};
use crate::config::Provider;
use crate::docker::Engine;
use crate::error::{Code, Error, Result};
use crate::process::Cmd;
use crate::ui::event::Step;

/// minikube's exit code for a profile that it does not know.
const NO_SUCH_PROFILE: i32 = 85;

/// On every container of minikube's.
pub(super) const CREATED_LABEL: &str = "created_by.minikube.sigs.k8s.io";

/// Which node of a cluster of minikube's a container is.
pub(super) fn role(name: &str, labels: &Labels) -> Option<(Provider, bool)> {
    (labels.get(CREATED_LABEL)? == "true").then(|| (Provider::Minikube, !machine(name).1))
}

/// One profile of minikube's.
#[derive(Debug)]
pub(super) struct Minikube {
    pub(super) engine: Engine,
    pub(super) profile: String,
    /// Where the private kubeconfig is.
    pub(super) dir: PathBuf,
    /// `cluster.image` of devk.yaml.
    pub(super) image: Option<String>,
}

impl Cluster for Minikube {
    fn state(&self) -> BoxFuture<'_, Result<State>> {
        async {
            let mut nodes =
                nodes::labelled(&self.engine.docker, &format!("{CREATED_LABEL}=true"), role)
                    .await?;
            nodes.retain(|node| self.has(&node.name));
            // A profile of its own may have a name that ends as those of further nodes do.
            for node in &mut nodes {
                node.control_plane = node.name == self.profile;
            }
            Ok(nodes::state(nodes))
        }
        .boxed()
    }

    fn start<'a>(&'a self, from: &'a State, step: &'a Step) -> BoxFuture<'a, Result<()>> {
        async move {
            match from {
                State::Absent | State::HalfMade => {
                    self.create(*from == State::HalfMade, step).await
                }
                State::Stopped(_) => self.up(&[], step).await,
                State::Running(_) => match self.health().await? {
                    Health::Well => Ok(()),
                    // The address has changed since devk looked last.
                    Health::Misled => self.update_context(&self.kubeconfig_file()).await,
                    Health::Paused => {
                        step.progress("the cluster is paused");
                        let unpause = self.command(&["unpause"], &self.kubeconfig_file())?;
                        unpause.run().await.map(drop)
                    }
                    Health::Down => self.up(&[], step).await,
                },
            }
        }
        .boxed()
    }

    fn kubeconfig(&self) -> BoxFuture<'_, Result<String>> {
        async {
            let io = |e: std::io::Error| {
                Error::new(
                    Code::StateIo,
                    format!("cannot write `{}`: {e}", self.dir.display()),
                )
            };
            std::fs::create_dir_all(&self.dir).map_err(io)?;
            let fresh = tempfile::tempdir_in(&self.dir).map_err(io)?;
            let file = fresh.path().join("kubeconfig");
            self.update_context(&file).await?;
            std::fs::read_to_string(&file).map_err(io)
        }
        .boxed()
    }

    fn end(&self, end: End) -> BoxFuture<'_, Result<()>> {
        async move {
            let word = match end {
                End::Stop => "stop",
                End::Delete => "delete",
            };
            self.command(&[word], &self.kubeconfig_file())?
                .run()
                .await?;
            if end == End::Delete {
                // minikube leaves the network of several nodes.
                network::remove_unused(&self.engine.docker, &self.profile).await;
            }
            Ok(())
        }
        .boxed()
    }
}

impl Minikube {
    fn kubeconfig_file(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// Whether a node of this name is one of the profile's: `p`, `p-m02`.
    fn has(&self, node: &str) -> bool {
        node == self.profile || machine(node) == (&self.profile, true)
    }

    /// Makes the cluster, for which there is no container. `interrupted`: an attempt of devk's own was cut off.
    async fn create(&self, interrupted: bool, step: &Step) -> Result<()> {
        let profile = self.profile().await?;
        match (profile, interrupted) {
            (Profile::WithoutNode, false) => return Err(self.without_node()),
            (Profile::WithoutNode, true) => {
                step.progress("removing what an interrupted creation left");
                self.end(End::Delete).await?;
            }
            (Profile::Unknown | Profile::Other, _) => {}
        }
        let made = self.up(&self.creation(), step).await;
        let is_failed = made
            .as_ref()
            .is_err_and(|error| error.code != Code::CommandKilled);
        if is_failed && profile != Profile::Other {
            // minikube leaves profile, volume and network, and would go on with them the next time.
            let removed = self.end(End::Delete).await;
            return made.map_err(|error| match removed {
                Ok(()) => error,
                Err(why) => error.evidence(format!("nor can the rest be removed: {why}")),
            });
        }
        made
    }

    /// The node is gone, its volume may be there: minikube would wait for minutes, and then make an empty one.
    fn without_node(&self) -> Error {
        let message = format!(
            "minikube has the profile `{}`, but its node container is gone",
            self.profile
        );
        Error::new(Code::ClusterCreate, message)
            .evidence(
                "the node's volume may hold the data of the cluster, which a new one would not use",
            )
            .hint(format!(
                "{}    # with the data, and `devk up` makes it anew",
                Tool::MINIKUBE.removal(&self.profile)
            ))
    }

    async fn profile(&self) -> Result<Profile> {
        let cmd = self.command(&["status", "--output=json"], &self.kubeconfig_file())?;
        let answer = cmd.answer(|_| {}).await?;
        Ok(match answer.status.code() {
            Some(NO_SUCH_PROFILE) => Profile::Unknown,
            _ if has_no_node(&answer.output.stdout) => Profile::WithoutNode,
            _ => Profile::Other,
        })
    }

    /// The settings of a new cluster that devk needs to reach into its nodes. An old cluster keeps its own settings.
    fn creation(&self) -> Vec<String> {
        let mut args = [
            "--driver=docker",
            "--container-runtime=containerd",
            "--embed-certs",
        ]
        .map(str::to_owned)
        .to_vec();
        args.extend(
            self.image
                .iter()
                .map(|image| format!("--base-image={image}")),
        );
        args
    }

    async fn up(&self, more: &[String], step: &Step) -> Result<()> {
        let cmd = self
            .command(&["start", "--output=json"], &self.kubeconfig_file())?
            .args(more);
        let answer = cmd
            .answer(|line| {
                progress(line)
                    .into_iter()
                    .for_each(|text| step.progress(text))
            })
            .await?;
        if answer.status.success() {
            return Ok(());
        }
        let failed = not_created(cmd.failed(&answer));
        let said: Vec<_> = answer.output.stdout.lines().filter_map(complaint).collect();
        if said.is_empty() {
            return Err(failed);
        }
        // minikube's text instead of its events.
        Err(Error {
            evidence: vec![format!("$ {}", cmd.pasteable())],
            ..failed
        }
        .evidence(said.join("\n")))
    }

    async fn health(&self) -> Result<Health> {
        let cmd = self.command(&["status", "--output=json"], &self.kubeconfig_file())?;
        // minikube's exit code only says that not everything runs.
        Ok(health(&cmd.answer(|_| {}).await?.output.stdout))
    }

    async fn update_context(&self, kubeconfig: &Path) -> Result<()> {
        self.command(&["update-context"], kubeconfig)?
            .run()
            .await
            .map(drop)
    }

    /// In the user's own settings of minikube's.
    fn command(&self, args: &[&str], kubeconfig: &Path) -> Result<Cmd> {
        let cmd = Tool::MINIKUBE.command(&self.engine, kubeconfig)?;
        Ok(cmd.args(args).arg(format!("--profile={}", self.profile)))
    }
}

/// The profile that a node belongs to, by the node's name, and whether it is not the profile's first: `p`, `p-m02`.
fn machine(name: &str) -> (&str, bool) {
    match name.rsplit_once("-m") {
        Some((profile, number))
            if number.len() >= 2 && number.bytes().all(|b| b.is_ascii_digit()) =>
        {
            (profile, true)
        }
        _ => (name, false),
    }
}

/// What minikube knows of a cluster that has no container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Profile {
    Unknown,
    WithoutNode,
    /// Such as one of another driver.
    Other,
}

/// The state of a cluster by `minikube status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Well,
    Paused,
    /// Everything runs, but the kubeconfig has another address.
    Misled,
    Down,
}

/// One node of `minikube status --output=json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MinikubeStatus {
    host: String,
    kubelet: String,
    #[serde(rename = "APIServer")]
    api_server: String,
    kubeconfig: String,
    worker: bool,
}

/// An object, a list of several nodes, or, where there is no such cluster, anything else.
fn statuses(text: &str) -> Option<Vec<MinikubeStatus>> {
    let one = || serde_json::from_str(text).ok().map(|status| vec![status]);
    serde_json::from_str(text).ok().or_else(one)
}

/// minikube 1.38 prints `null` for a profile whose container was removed.
fn has_no_node(text: &str) -> bool {
    let is_gone = |nodes: Vec<MinikubeStatus>| nodes.iter().all(|node| node.host == "Nonexistent");
    text.trim() == "null" || statuses(text).is_some_and(is_gone)
}

fn health(text: &str) -> Health {
    let Some(nodes) = statuses(text) else {
        return Health::Down;
    };
    let is_paused = |node: &MinikubeStatus| node.host == "Running" && node.api_server == "Paused";
    if nodes.iter().any(is_paused) {
        return Health::Paused;
    }
    let runs = |node: &MinikubeStatus| {
        let parts = [
            &node.host,
            &node.kubelet,
            if node.worker {
                &node.host
            } else {
                &node.api_server
            },
        ];
        parts.iter().all(|part| *part == "Running")
    };
    match nodes.as_slice() {
        nodes if nodes.is_empty() || !nodes.iter().all(runs) => Health::Down,
        nodes
            if nodes
                .iter()
                .all(|node| node.worker || node.kubeconfig == "Configured") =>
        {
            Health::Well
        }
        _ => Health::Misled,
    }
}

/// The data of a line, if it is an event of this type (CloudEvents).
fn event(line: &str, kind: &str) -> Option<Value> {
    let mut event: Value = serde_json::from_str(line).ok()?;
    (event["type"] == format!("io.k8s.sigs.minikube.{kind}")).then(|| event["data"].take())
}

/// `8/19 Creating Container`. Steps are passed over, so that only `currentstep` tells how far it is.
fn progress(line: &str) -> Option<String> {
    let data = event(line, "step")?;
    let text = |key: &str| data[key].as_str();
    Some(format!(
        "{}/{} {}",
        text("currentstep")?,
        text("totalsteps")?,
        text("name")?
    ))
}

fn complaint(line: &str) -> Option<String> {
    let data = event(line, "error")?;
    let text = |key: &str| data[key].as_str().filter(|text| !text.is_empty());
    let advice = text("advice")
        .map(|advice| format!("\n{advice}"))
        .unwrap_or_default();
    Some(format!(
        "{}: {}{advice}",
        text("name").unwrap_or("error"),
        text("message")?
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fake::{Program, container, told};
    use super::*;

    /// What minikube 1.38 prints, by the state of the cluster, and the exit code with it.
    const WELL: &str = r#"{"Name":"p","Host":"Running","Kubelet":"Running","APIServer":"Running","Kubeconfig":"Configured","Worker":false}"#;
    const PAUSED: &str = r#"{"Name":"p","Host":"Running","Kubelet":"Stopped","APIServer":"Paused","Kubeconfig":"Configured","Worker":false}"#;
    const STOPPED: &str = r#"{"Name":"p","Host":"Stopped","Kubelet":"Stopped","APIServer":"Stopped","Kubeconfig":"Stopped","Worker":false}"#;
    const BY_HAND: &str = r#"{"Name":"p","Host":"Running","Kubelet":"Stopped","APIServer":"Stopped","Kubeconfig":"Configured","Worker":false}"#;
    const MISLED: &str = r#"{"Name":"p","Host":"Running","Kubelet":"Running","APIServer":"Running","Kubeconfig":"Misconfigured","Worker":false}"#;
    const WORKER: &str = r#"{"Name":"p-m02","Host":"Running","Kubelet":"Running","APIServer":"Irrelevant","Kubeconfig":"Irrelevant","Worker":true}"#;

    const STEP: &str = r#"{"specversion":"1.0","id":"1","source":"https://minikube.sigs.k8s.io/","type":"io.k8s.sigs.minikube.step","datacontenttype":"application/json","data":{"currentstep":"8","message":"Creating docker container ...","name":"Creating Container","totalsteps":"19"}}"#;
    const ROOT: &str = r#"{"specversion":"1.0","id":"2","source":"https://minikube.sigs.k8s.io/","type":"io.k8s.sigs.minikube.error","datacontenttype":"application/json","data":{"advice":"","exitcode":"64","issues":"","message":"The \"docker\" driver should not be used with root privileges.","name":"DRV_AS_ROOT","url":""}}"#;
    const FATAL: &str = r#"{"specversion":"1.0","id":"3","source":"https://minikube.sigs.k8s.io/","type":"io.k8s.sigs.minikube.error","datacontenttype":"application/json","data":{"advice":"Check output of journalctl -xeu kubelet","exitcode":"80","issues":"","message":"the kubelet is not running","name":"GUEST_START","url":""}}"#;

    async fn minikube(program: &Program) -> Minikube {
        let labels = json!({CREATED_LABEL: "true"});
        let containers = vec![
            container("p-m02", true, "192.168.49.3", &labels),
            container("p", true, "192.168.49.2", &labels),
            container("p2", false, "192.168.58.2", &labels),
        ];
        Minikube {
            engine: program.engine(containers).await,
            profile: "p".into(),
            dir: program.state(),
            image: None,
        }
    }

    fn stand_in(script: &str) -> Program {
        let mut program = Program::new(
            "minikube",
            &["KUBECONFIG", "MINIKUBE_HOME", "HELM_DRIVER"],
            script,
        );
        program.set("MINIKUBE_HOME", "/m");
        program.set("HELM_DRIVER", "sql");
        program
    }

    /// As every call ends: in devk's kubeconfig, with the user's settings of minikube's and nobody else's.
    const AS: &str = "--profile=p KUBECONFIG=STATE/kubeconfig MINIKUBE_HOME=/m HELM_DRIVER=";

    #[test]
    fn the_status_tells_what_docker_cannot() {
        assert_eq!(health(WELL), Health::Well);
        assert_eq!(health(&format!("[{WELL},{WORKER}]")), Health::Well);
        assert_eq!(health(MISLED), Health::Misled);
        assert_eq!(health(PAUSED), Health::Paused);
        for down in [STOPPED, BY_HAND, "null", STEP, ""] {
            assert_eq!(health(down), Health::Down, "{down}");
        }
    }

    #[tokio::test]
    async fn nodes_are_those_of_the_profile_and_of_no_other() {
        let State::Running(nodes) = minikube(&stand_in("exit 1")).await.state().await.unwrap()
        else {
            panic!()
        };
        let names: Vec<_> = nodes
            .iter()
            .map(|node| (node.name.as_str(), node.control_plane))
            .collect();
        assert_eq!(names, [("p", true), ("p-m02", false)]);
    }

    #[tokio::test]
    async fn a_creation_ends_well_by_its_exit_code_whatever_it_printed() {
        let program = stand_in(&format!(
            "[ $1 != status ] || exit 85\necho '{ROOT}'\necho '{STEP}'\necho 'Failing to connect to the registry' >&2"
        ));
        let minikube = minikube(&program).await;
        let (done, told) = told(async |step| minikube.start(&State::Absent, step).await).await;
        assert_eq!(
            (done, told),
            (Ok(()), vec!["8/19 Creating Container".to_owned()])
        );
        let made = "--driver=docker --container-runtime=containerd --embed-certs";
        let call = AS.replace(
            "--profile=p",
            &format!("start --output=json --profile=p {made}"),
        );
        assert_eq!(
            program.calls(),
            [format!("status --output=json {AS}"), call]
        );
    }

    #[tokio::test]
    async fn a_creation_that_fails_leaves_nothing_and_one_of_another_driver_is_not_devks_to_remove()
    {
        let attempt = async |status: &str, code: i32, from: State| {
            let program = stand_in(&format!(
                "case $1 in status) printf '%s' '{status}'; exit {code} ;; start) exit 80 ;; esac"
            ));
            let minikube = minikube(&program).await;
            let (done, _) = told(async |step| minikube.start(&from, step).await).await;
            let words = program.calls();
            let words = words
                .iter()
                .map(|call| call.split(' ').next().unwrap().to_owned());
            (done.unwrap_err(), words.collect::<Vec<_>>())
        };
        let (_, calls) = attempt(STEP, 85, State::Absent).await;
        assert_eq!(calls, ["status", "start", "delete"]);
        // `minikube status` of a profile whose machine is virtual.
        let (_, calls) = attempt(STOPPED, 7, State::Absent).await;
        assert_eq!(calls, ["status", "start"]);
        let (error, calls) = attempt("null", 7, State::Absent).await;
        assert_eq!(
            calls,
            ["status"],
            "the volume of a node that is gone holds data"
        );
        assert!(
            error
                .hint
                .unwrap()
                .starts_with("minikube delete --profile p")
        );
        let (_, calls) = attempt("null", 7, State::HalfMade).await;
        assert_eq!(calls, ["status", "delete", "start", "delete"]);
    }

    #[tokio::test]
    async fn a_profile_with_the_name_of_a_further_node_is_a_cluster_of_its_own() {
        let labels = json!({CREATED_LABEL: "true"});
        let program = stand_in("exit 1");
        let containers = vec![container("team-m02", true, "192.168.49.2", &labels)];
        let minikube = Minikube {
            engine: program.engine(containers).await,
            profile: "team-m02".into(),
            dir: program.state(),
            image: None,
        };
        let State::Running(nodes) = minikube.state().await.unwrap() else {
            panic!()
        };
        assert!(nodes.len() == 1 && nodes[0].control_plane, "{nodes:?}");
    }

    #[tokio::test]
    async fn a_failed_start_is_told_in_minikubes_words_and_not_as_events() {
        let program = stand_in(&format!("echo '{STEP}'\necho '{FATAL}'\nexit 80"));
        let minikube = minikube(&program).await;
        let (done, _) =
            told(async |step| minikube.start(&State::Stopped(vec![]), step).await).await;
        let error = done.unwrap_err();
        assert_eq!(error.code, Code::ClusterCreate);
        assert!(
            error.evidence[0].contains("start --output=json --profile=p"),
            "{error:?}"
        );
        assert_eq!(
            error.evidence[1..],
            [
                "GUEST_START: the kubelet is not running",
                "Check output of journalctl -xeu kubelet"
            ]
        );
    }

    #[tokio::test]
    async fn a_silent_cluster_is_mended_as_its_status_says() {
        let mended = async |status: &str, code: i32| {
            let program = stand_in(&format!(
                "[ $1 != status ] || {{ printf '%s' '{status}'; exit {code}; }}"
            ));
            let minikube = minikube(&program).await;
            let (done, _) =
                told(async |step| minikube.start(&State::Running(vec![]), step).await).await;
            done.unwrap();
            program.calls()
        };
        let status = format!("status --output=json {AS}");
        let start = format!("start --output=json {AS}");
        assert_eq!(mended(WELL, 0).await, std::slice::from_ref(&status));
        assert_eq!(
            mended(PAUSED, 2).await,
            [status.clone(), format!("unpause {AS}")]
        );
        assert_eq!(mended(BY_HAND, 2).await, [status.clone(), start]);
        assert_eq!(
            mended(MISLED, 6).await,
            [status, format!("update-context {AS}")]
        );
    }

    #[tokio::test]
    async fn a_kubeconfig_is_asked_for_beside_the_private_one() {
        let program = stand_in("echo \"for $2\" >\"$KUBECONFIG\"");
        let minikube = minikube(&program).await;
        assert_eq!(minikube.kubeconfig().await.unwrap(), "for --profile=p\n");
        assert!(
            !program.state().join("kubeconfig").exists(),
            "it is the handle's to keep"
        );
    }

    #[tokio::test]
    async fn it_is_stopped_and_removed_by_its_own_program() {
        let program = stand_in("");
        let minikube = minikube(&program).await;
        minikube.end(End::Stop).await.unwrap();
        minikube.end(End::Delete).await.unwrap();
        assert_eq!(
            program.calls(),
            [format!("stop {AS}"), format!("delete {AS}")]
        );
    }

    #[test]
    fn a_worker_is_told_by_its_number() {
        assert_eq!(machine("p-m02"), ("p", true));
        assert_eq!(machine("team-map"), ("team-map", false));
        assert_eq!(machine("p-m2"), ("p-m2", false));
    }
}
