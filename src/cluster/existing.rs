//! An existing cluster: a context of the user's kubeconfig that devk.yaml names.
//!
//! Invariants: the context is the one that devk.yaml names, never the current one; the user's kubeconfig is read
//! and never written; devk neither creates nor stops nor removes an existing cluster; without
//! `allow: {remote: true}` devk sends no request to an existing cluster on another machine.

use std::path::PathBuf;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::client;
use super::kubeconfig::{self, UserContext};
use super::nodes::{self, Node, Role};
use super::{Cluster, End, State, k3d, kind, locality, minikube, pin, runtime};
use crate::docker::Engine;
use crate::error::{Code, Error, Result, internal};
use crate::shell::quote;
use crate::ui::event::Step;

/// A node may be a container of any provider that makes its nodes of containers.
const ROLES: [Role; 3] = [kind::role, k3d::role, minikube::role];

#[derive(Debug)]
pub(super) struct Existing {
    pub(super) engine: Engine,
    pub(super) context: String,
    /// The folder of the pin.
    pub(super) dir: PathBuf,
    /// It may be on another machine.
    pub(super) remote: bool,
}

impl Cluster for Existing {
    fn state(&self) -> BoxFuture<'_, Result<State>> {
        async {
            let found = match self.find().await? {
                Ok(found) => found,
                // devk has a pin, so it has worked on the cluster before.
                Err(missing) if pin::file(&self.dir).exists() => return Err(self.lost(missing)),
                Err(_) => return Ok(State::Absent),
            };
            let what = format!("context `{}` at {}", self.context, found.server);
            let client = client::client_of(&found.text, &what)
                .await
                .map_err(|error| self.lost(error))?;
            Ok(State::Running(self.nodes(&client).await?))
        }
        .boxed()
    }

    /// There is nothing that devk could start.
    fn start<'a>(&'a self, _from: &'a State, _step: &'a Step) -> BoxFuture<'a, Result<()>> {
        self.kubeconfig().map(|found| found.map(drop)).boxed()
    }

    fn kubeconfig(&self) -> BoxFuture<'_, Result<String>> {
        async { self.find().await?.map(|found| found.text) }.boxed()
    }

    fn end(&self, _: End) -> BoxFuture<'_, Result<()>> {
        async {
            Err(internal(&format!(
                "context `{}` is not devk's to stop or remove",
                self.context
            )))
        }
        .boxed()
    }
}

impl Existing {
    /// The inner error: there is no such context.
    async fn find(&self) -> Result<Result<UserContext>> {
        let found = kubeconfig::find(&self.engine.environment, &self.context)?;
        if let Ok(found) = &found
            && !self.remote
            && !locality::is_here(&found.server, &self.engine.docker).await?
        {
            let message = format!(
                "context `{}` leads to another machine: {}",
                self.context, found.server
            );
            return Err(Error::new(Code::ClusterRemote, message)
                .evidence(
                    "devk installs charts, makes a namespace and may put workloads to sleep there",
                )
                .hint("devk.yaml: allow: {remote: true}    # if that is what you want"));
        }
        Ok(found)
    }

    /// An error that also says how to go on if the cluster will never answer again.
    fn lost(&self, error: Error) -> Error {
        if !pin::file(&self.dir).exists() {
            return error;
        }
        let forget = format!(
            "if the cluster is gone for good: rm -r {}",
            quote(&self.dir)
        );
        match error.hint {
            Some(ref hint) if error.code == Code::ClusterContext => {
                let hint = format!("{hint}; {forget}");
                error.hint(hint)
            }
            _ => error.hint(forget),
        }
    }

    /// The nodes, if all of them are containers of this Engine with containerd in them; else none, since devk
    /// could not load images into all nodes.
    async fn nodes(&self, client: &kube::Client) -> Result<Vec<Node>> {
        match runtime::wanted(client).await? {
            Some(wanted) => nodes::among(&self.engine.docker, &wanted, &ROLES).await,
            None => Ok(vec![]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Program;
    use super::*;
    use crate::config::Provider;
    use crate::shell::pasted;

    /// A context `dev` that leads to `server`, and one that is current and leads elsewhere.
    async fn existing(server: &str) -> (Program, Existing) {
        let mut program = Program::new("kubectl", &[], "exit 1");
        let dir = program.state();
        std::fs::create_dir(&dir).unwrap();
        let kubeconfig = format!(
            "contexts: [{{name: dev, context: {{cluster: c}}}}, {{name: other, context: {{cluster: o}}}}]\n\
             clusters: [{{name: c, cluster: {{server: '{server}'}}}}, {{name: o, cluster: {{server: 'https://o.example'}}}}]\n\
             current-context: other\n"
        );
        std::fs::write(dir.join("config"), kubeconfig).unwrap();
        program.set("KUBECONFIG", dir.join("config").to_str().unwrap());
        let existing = Existing {
            engine: program.engine(vec![]).await,
            context: "dev".into(),
            dir,
            remote: false,
        };
        (program, existing)
    }

    #[tokio::test]
    async fn a_cluster_on_another_machine_is_not_even_asked_without_consent() {
        // An address of the documentation (RFC 5737): a connection there would not end before the test does.
        let (_program, mut existing) = existing("https://192.0.2.1:6443").await;
        let error = existing.state().await.unwrap_err();
        assert_eq!(error.code, Code::ClusterRemote);
        assert!(error.hint.unwrap().contains("allow: {remote: true}"));
        assert_eq!(
            existing.kubeconfig().await.unwrap_err().code,
            Code::ClusterRemote
        );
        existing.remote = true;
        assert!(existing.kubeconfig().await.unwrap().contains("192.0.2.1"));
    }

    #[tokio::test]
    async fn a_cluster_that_does_not_answer_is_told_and_not_waited_for() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let (_program, existing) = existing(&format!("https://{closed}")).await;
        let error = existing.state().await.unwrap_err();
        assert_eq!(error.code, Code::ClusterUnreachable);
        assert_eq!(
            error.message,
            format!("the API server of context `dev` at https://{closed} does not answer")
        );
    }

    #[tokio::test]
    async fn without_the_context_there_is_no_cluster_unless_something_of_devks_is_on_it() {
        let (_program, mut existing) = existing("https://127.0.0.1:1").await;
        existing.context = "gone".into();
        assert_eq!(existing.state().await, Ok(State::Absent));
        assert_eq!(
            existing.kubeconfig().await.unwrap_err().code,
            Code::ClusterContext
        );
        std::fs::write(pin::file(&existing.dir), "{}").unwrap();
        let error = existing.state().await.unwrap_err();
        assert_eq!(error.code, Code::ClusterContext);
        let forgotten = pasted(
            &error.hint.unwrap(),
            "if the cluster is gone for good: rm -r ",
        );
        assert_eq!(PathBuf::from(forgotten), existing.dir);
    }

    #[tokio::test]
    async fn it_is_never_stopped_nor_removed() {
        let (_program, existing) = existing("https://127.0.0.1:1").await;
        assert_eq!(
            existing.end(End::Stop).await.unwrap_err().code,
            Code::Internal
        );
        assert_eq!(
            existing.end(End::Delete).await.unwrap_err().code,
            Code::Internal
        );
    }

    #[test]
    fn what_runs_beside_the_nodes_is_none() {
        let role = |name: &str, key: &str, value: &str| {
            let labels = [(key.to_owned(), value.to_owned())].into();
            ROLES.iter().find_map(|role| role(name, &labels))
        };
        assert_eq!(
            role("x", "io.x-k8s.kind.role", "external-load-balancer"),
            None
        );
        assert_eq!(role("x", "k3d.role", "registry"), None);
        assert_eq!(role("x", "com.docker.compose.service", "db"), None);
        assert_eq!(
            role("p-m02", "created_by.minikube.sigs.k8s.io", "true"),
            Some((Provider::Minikube, false))
        );
    }
}
