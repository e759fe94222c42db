//! What a creation that was cut off leaves running: its `kind`, if devk was killed, and that one's
//! `docker run`, even after Ctrl-C. The node that they still make appears after everything was removed.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::process::command_lines;
use crate::ui::event::Step;

/// How long the Engine may take to make a container.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ends the orphaned `kind` of a cluster and waits until no `docker run` makes a node of it any more. Only
/// for who has the cluster's lock and finds the mark of a creation: else it is somebody else's `kind`.
pub(super) async fn end(name: &str, kubeconfig: &Path, step: &Step) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let found = orphans(name, kubeconfig, command_lines().await);
        // Past the deadline the next command tells what is wrong.
        if found.is_empty() || tokio::time::Instant::now() > deadline {
            return;
        }
        step.progress("waiting for the end of a creation that was cut off");
        for pid in found.iter().filter(|orphan| orphan.is_kind).filter_map(|orphan| Pid::from_raw(orphan.pid)) {
            // It may have ended by itself meanwhile.
            let _ = kill_process(pid, Signal::KILL);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Orphan {
    pid: i32,
    /// It is `kind` itself, not a `docker run` of it, which the Engine would finish without its client.
    is_kind: bool,
}

fn orphans(name: &str, kubeconfig: &Path, running: Vec<(i32, String)>) -> Vec<Orphan> {
    // The private kubeconfig is nobody else's.
    let kind = format!(" --kubeconfig {} ", kubeconfig.display());
    let node = format!(" io.x-k8s.kind.cluster={name} ");
    let orphan = |(pid, line): (i32, String)| {
        let is_kind = line.contains(" create cluster ") && line.contains(&kind);
        let is_node = line.contains(" run ") && line.contains(&node);
        (is_kind || is_node).then_some(Orphan { pid, is_kind })
    };
    running.into_iter().filter_map(orphan).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_makes_this_cluster_is_an_orphan() {
        let running = [
            "kind create cluster --name devk --kubeconfig /s/clusters/devk/kubeconfig ",
            "docker run --name devk-control-plane --label io.x-k8s.kind.cluster=devk --privileged kindest/node ",
            "docker run --label io.x-k8s.kind.cluster=devk-2 kindest/node ",
            "docker ps -a --filter label=io.x-k8s.kind.cluster=devk --format {{.Names}} ",
            "kind create cluster --name devk --kubeconfig /home/ann/.kube/config ",
            "kind delete cluster --name devk --kubeconfig /s/clusters/devk/kubeconfig ",
        ];
        let running = (1..).zip(running.map(str::to_owned)).collect();
        let found = orphans("devk", Path::new("/s/clusters/devk/kubeconfig"), running);
        assert_eq!(found, [Orphan { pid: 1, is_kind: true }, Orphan { pid: 2, is_kind: false }]);
    }
}
