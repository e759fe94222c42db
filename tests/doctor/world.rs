//! The demo as files in a folder of its own, and what a healthy machine looks like; plants change either.

use std::path::{Path, PathBuf};

use devk::compose;
use devk::config::{self, Origin, Source};
use devk::docker::PublishedPort;
use devk::doctor::charts::RenderedChart;
use devk::doctor::cluster::{ClusterFacts, PinFacts};
use devk::doctor::docker::Docker;
use devk::doctor::host_names::HostNames;
use devk::doctor::leftovers;
use devk::doctor::machine::Machine;
use devk::doctor::network::{Network, Route, Subnet};
use devk::doctor::tools::Tools;
use devk::doctor::{self, Check, CheckStatus, DoctorFacts};
use devk::environment::Environment;
use devk::paths::Paths;
use devk::release::manifest::Rendered;
use devk::release::user_template::UserTemplate;

/// What `helm template` makes of the demo's chart.
const RENDERED: &str = include_str!("demo.yaml");
const COMPOSE: &str = include_str!("../../profiles/demo/compose.yaml");
const PROJECT: &str = include_str!("../../profiles/demo/devk.yaml");

const GIB: u64 = 1 << 30;

/// A change of what was seen, for what cannot be planted in files.
pub(crate) type Change = fn(&mut DoctorFacts, &Path);

/// A change of a container's port; the path is the project's.
pub(crate) type Edit = fn(&mut PublishedPort, &Path);

pub(crate) struct World {
    dir: tempfile::TempDir,
    pub(crate) project: String,
    pub(crate) compose: String,
    pub(crate) rendered: String,
    pub(crate) changes: Vec<Change>,
    pub(crate) listeners: Vec<std::net::TcpListener>,
    /// What containers have, edited once it is known where the project is.
    pub(crate) containers: Vec<(PublishedPort, Edit)>,
}

impl World {
    pub(crate) fn demo() -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/demo"),
            &dir.path().join("demo"),
        );
        let project = PROJECT.to_owned();
        let compose = COMPOSE.to_owned();
        let rendered = RENDERED.to_owned();
        Self {
            dir,
            project,
            compose,
            rendered,
            changes: vec![],
            listeners: vec![],
            containers: vec![],
        }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("demo")
    }

    pub(crate) fn paths(&self) -> Paths {
        Paths::below(self.dir.path())
    }

    /// Adds a Compose service.
    pub(crate) fn service(&mut self, text: &str) {
        self.compose = self
            .compose
            .replacen("services:\n", &format!("services:\n{text}"), 1);
    }

    /// A program that listens on a port, until the end of the test.
    pub(crate) fn listen(&mut self) -> u16 {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        self.listeners.push(listener);
        port
    }

    /// Adds a template to the chart, which renders as it stands there.
    pub(crate) fn template(&mut self, name: &str, text: &str) {
        std::fs::write(self.root().join(format!("chart/templates/{name}")), text).unwrap();
        for document in text.split("---\n") {
            self.rendered += &format!("\n---\n# Source: demo/templates/{name}\n{document}");
        }
    }

    /// Looks at the files as devk does, and at a healthy machine.
    pub(crate) async fn facts(&self) -> DoctorFacts {
        std::fs::write(self.root().join("devk.yaml"), &self.project).unwrap();
        std::fs::write(self.root().join("compose.yaml"), &self.compose).unwrap();
        let paths = self.paths();
        let environment = Environment::default();
        let source = Source {
            dir: self.root(),
            file: None,
            profile: None,
        };
        let project = config::load(&source, &paths).unwrap();
        let compose = compose::of_project(&project, &environment).map_err(doctor::Missing::from);
        let listed = compose.as_ref().ok().and_then(Option::as_ref);
        let containers: Vec<_> = self
            .containers
            .iter()
            .map(|(port, edit)| self.edited(port, *edit))
            .collect();
        let mut ports = doctor::ports::inspect(Ok(&project), &paths, listed, Some(&containers))
            .await
            .unwrap();
        // Whatever else listens on the machine that runs this test.
        let planted: Vec<_> = self
            .listeners
            .iter()
            .map(|l| l.local_addr().unwrap().port())
            .collect();
        ports.listeners.retain(|port, _| planted.contains(port));
        let cluster = cluster();
        let mut left = leftovers::inspect(&paths, None, Some(&cluster), Some(&project)).await;
        (left.clusters, left.images) = (Ok(vec![]), Ok(vec![]));
        let mut facts = DoctorFacts {
            charts: Ok(vec![self.chart(&project.releases[0].origin)]),
            bridge: Ok(None),
            host_names: Ok(HostNames::default()),
            requirements: Ok(vec![]),
            scores: Ok(vec![]),
            ports: Ok(ports),
            docker: Ok(docker()),
            tools: tools(),
            cluster: Ok(cluster),
            network: network(),
            machine: machine(),
            leftovers: left,
            project: Ok(project),
            compose,
        };
        self.changes
            .iter()
            .for_each(|change| change(&mut facts, self.dir.path()));
        facts
    }

    pub(crate) async fn problems(&self) -> Vec<Check> {
        let checks = doctor::check(&self.facts().await);
        checks
            .into_iter()
            .filter(|check| matches!(check.status, CheckStatus::Warning | CheckStatus::Error))
            .collect()
    }

    fn edited(&self, port: &PublishedPort, edit: Edit) -> PublishedPort {
        let mut port = port.clone();
        edit(&mut port, &self.root());
        port
    }

    fn chart(&self, origin: &Origin) -> RenderedChart {
        let rendered = Rendered::parse(&self.rendered).unwrap();
        let template = |source: &String| {
            let file = self
                .root()
                .join("chart")
                .join(source.strip_prefix("demo/")?);
            let text = std::fs::read_to_string(&file).ok()?;
            Some((source.clone(), UserTemplate { file, text }))
        };
        let values = std::fs::read_to_string(self.root().join("chart/values.yaml")).unwrap();
        RenderedChart {
            release: "demo".to_owned(),
            namespace: "demo".to_owned(),
            values: serde_saphyr::from_str(&values).unwrap(),
            templates: rendered
                .manifests
                .iter()
                .filter_map(|manifest| template(&manifest.source))
                .collect(),
            origin: origin.clone(),
            rendered,
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for item in std::fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        let target = to.join(item.file_name());
        if item.path().is_dir() {
            copy(&item.path(), &target);
        } else {
            std::fs::copy(item.path(), target).unwrap();
        }
    }
}

fn docker() -> Docker {
    Docker {
        host: "unix:///var/run/docker.sock".into(),
        version: "28.0.0".into(),
        api: "1.48".into(),
        memory: Some(16 * GIB),
        clock: Some(0),
        forwards: Some(true),
        networks: vec![doctor::docker::DockerNetwork {
            name: "kind".into(),
            subnets: vec![Subnet::parse("172.18.0.0/16").unwrap()],
            gateways: vec!["172.18.0.1".parse().unwrap()],
            interface: "br-0123456789ab".into(),
        }],
        ..Docker::default()
    }
}

fn cluster() -> ClusterFacts {
    ClusterFacts {
        name: "devk".into(),
        state: "running",
        pin: PinFacts::Pinned("u1".into()),
        version: Some("v1.36.3".into()),
        projects: Some(vec![]),
        ..ClusterFacts::default()
    }
}

fn tools() -> Tools {
    Tools {
        kind: Ok("kind v0.33.0 go1.26 linux/amd64".into()),
        minikube: Ok("minikube version: v1.38.1".into()),
        k3d: Ok("k3d version v5.8.3".into()),
        helm: Ok("v4.3.1+g0123456".into()),
        kubectl: Ok("Client Version: v1.36.3".into()),
    }
}

fn network() -> Network {
    let route = |interface: &str, to: &str| Route {
        interface: interface.into(),
        to: Subnet::parse(to).unwrap(),
    };
    Network {
        routes: vec![
            route("eth0", "0.0.0.0/0"),
            route("eth0", "192.168.1.0/24"),
            route("docker0", "172.17.0.0/16"),
            route("br-0123456789ab", "172.18.0.0/16"),
        ],
        addresses: ["192.168.1.7".parse().unwrap()].into(),
    }
}

fn machine() -> Machine {
    Machine {
        disk: Some(("/var/lib/docker".into(), 100 * GIB)),
        memory: Some(12 * GIB),
        inotify: vec![("max_user_watches", 1 << 20), ("max_user_instances", 1024)],
    }
}
