//! The ids of all checks and what each finds: the source of docs/doctor.md (a test compares the two).

use serde::{Serialize, Serializer};

macro_rules! checks {
    ($($variant:ident => $text:literal, $finds:literal;)+) => {
        /// A stable check id, `family.subject`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Id { $(#[doc = $finds] $variant,)+ }

        impl Id {
            /// Every check, in the order in which they are shown.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// One line for docs/doctor.md.
            pub const fn finds(self) -> &'static str {
                match self { $(Self::$variant => $finds,)+ }
            }
        }
    };
}

checks! {
    ProjectConfig => "project.config", "a devk.yaml that cannot be read";
    ComposeFiles => "compose.files", "Compose files that `docker compose config` would refuse";
    ComposePorts => "compose.ports", "one host port that two Compose services publish, profiles that are off included";
    PortsCompose => "ports.compose", "a forward on a port that Compose publishes";
    PortsContainers => "ports.containers", "a container, running or stopped, on the port of a forward, or a running one of another project on one that Compose publishes";
    PortsListeners => "ports.listeners", "another program on the port of a forward, or on one that Compose publishes";
    PortsLeases => "ports.leases", "a forward on a port that devk gave to another project";
    ChartsRender => "charts.render", "a chart that helm cannot render";
    ChartsServices => "charts.services", "an allowed Service of type NodePort or LoadBalancer";
    ChartsHostPort => "charts.host-port", "a rendered container port with a `hostPort`";
    ChartsHostNetwork => "charts.host-network", "a rendered pod with `hostNetwork: true`";
    ChartsLocalhost => "charts.localhost", "`localhost:PORT` in rendered manifests where Compose publishes that port";
    ChartsHostNames => "charts.host-names", "`host.docker.internal` and its like in rendered manifests, where pods of the cluster do not know the name or nothing takes the port";
    ChartsRequirements => "charts.requirements", "a kind, StorageClass, ServiceAccount, PriorityClass or RuntimeClass that a chart asks for and the running cluster does not have";
    ChartsScore => "charts.score", "a chart whose score fell with the last `devk chart check`, or with what `devk up` installed last";
    DatabasesShared => "databases.shared", "a database that the rendered manifests and Compose both use, on one server";
    DatabasesPort => "databases.port", "this machine as a database host with a port that Compose does not publish (5432 for 5439)";
    DatabasesLoopback => "databases.loopback", "a database that pods look for on this machine and that Compose publishes on 127.0.0.1 only";
    DatabasesLocalhost => "databases.localhost", "`localhost` as a database host inside a pod without such a database";
    BridgePostgres => "bridge.postgres", "what keeps the `bridge:` of devk.yaml from working: the errors with which `devk up` would refuse it";
    DockerEngine => "docker.engine", "no Docker Engine that answers";
    DockerBuildkit => "docker.buildkit", "an Engine without BuildKit";
    DockerContext => "docker.context", "an Engine on another machine, or DOCKER_HOST against the chosen context";
    DockerForwarding => "docker.forwarding", "daemon and kernel settings that keep published ports from working";
    ToolsKind => "tools.kind", "kind missing or too old";
    ToolsMinikube => "tools.minikube", "minikube missing or too old, where the project's cluster is minikube's";
    ToolsK3d => "tools.k3d", "k3d missing or too old, where the project's cluster is k3d's";
    ToolsHelm => "tools.helm", "helm missing or too old";
    ToolsKubectl => "tools.kubectl", "a kubectl more than one minor version from the cluster";
    ClusterState => "cluster.state", "a cluster whose creation was cut off";
    ClusterPin => "cluster.pin", "a running cluster that devk has not pinned, or another than the pinned one";
    NetworkSubnets => "network.subnets", "a route of a VPN or LAN into the addresses of kind, pods or Services";
    MachineDisk => "machine.disk", "too little free disk where Docker keeps its data";
    MachineMemory => "machine.memory", "too little memory for a cluster";
    MachineInotify => "machine.inotify", "inotify limits below what kind asks for";
    MachineClock => "machine.clock", "a clock of the nodes that differs from this machine's";
    LeftoversFolders => "leftovers.folders", "a session whose folder was renamed or deleted, with the ports that it holds";
    LeftoversSessions => "leftovers.sessions", "sockets of sessions that have ended";
    LeftoversLeases => "leftovers.leases", "ports given to folders that are gone";
    LeftoversClusters => "leftovers.clusters", "marks and pins of clusters that are gone";
    LeftoversNamespaces => "leftovers.namespaces", "namespaces of worktrees that are gone";
    LeftoversImages => "leftovers.images", "images built for folders that are gone";
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique() {
        let mut seen = std::collections::BTreeSet::new();
        assert!(Id::ALL.iter().all(|id| seen.insert(id.as_str())));
    }
}
