//! Data outlives `down`; nothing at all outlives `down --delete`. On a cluster of its own, which both may
//! end.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::leftovers::Snapshot;
use crate::support::machine::{docker, docker_list, images_of, listens, machine, nodes_of};
use crate::support::project::Project;
use crate::support::tell;
use crate::support::wire::{get, post};

const OWN: &str = "devk-e2e-data";

/// What a running stack consists of, to be looked for when it has gone.
struct Parts {
    containers: BTreeSet<String>,
    volumes: BTreeSet<String>,
    ports: Vec<u16>,
}

impl Parts {
    fn of(project: &Project) -> Self {
        let containers = nodes_of(OWN);
        let mounts = |node: &String| {
            let names = "{{range .Mounts}}{{if .Name}}{{.Name}}\n{{end}}{{end}}";
            docker_list(&["inspect", "--format", names, node])
        };
        let volumes = containers
            .iter()
            .flat_map(mounts)
            .filter(|name| !name.is_empty())
            .collect();
        let mut ports: Vec<_> = project
            .forwards()
            .iter()
            .map(|f| u16::try_from(f["local"].as_u64().unwrap()).unwrap())
            .collect();
        let api = docker(&["port", containers.first().unwrap(), "6443/tcp"]);
        ports.push(
            api.lines()
                .next()
                .unwrap()
                .rsplit_once(':')
                .unwrap()
                .1
                .parse()
                .unwrap(),
        );
        Self {
            containers,
            volumes,
            ports,
        }
    }

    fn are_there(&self) {
        assert!(self.containers.len() == 1 && !self.volumes.is_empty());
        assert!(
            self.ports.len() == 5 && self.ports.iter().all(|port| listens(*port)),
            "{:?}",
            self.ports
        );
    }

    fn are_gone(&self) {
        let all = docker_list(&["ps", "-a", "--format", "{{.Names}}"]);
        assert_eq!(
            self.containers.intersection(&all).collect::<Vec<_>>(),
            [""; 0]
        );
        let all = docker_list(&["volume", "ls", "--format", "{{.Name}}"]);
        assert_eq!(self.volumes.intersection(&all).collect::<Vec<_>>(), [""; 0]);
        let held: Vec<_> = self.ports.iter().filter(|port| listens(**port)).collect();
        assert!(held.is_empty(), "{held:?} are still listened on");
    }
}

#[test]
fn a_note_survives_down_and_up_and_down_delete_leaves_nothing() {
    let before = Snapshot::of(&["keeps", "data"]);
    let demo = Project::demo_on(OWN, "keeps");
    let cold = demo.devk(&["up", "-d"]).well();
    for (what, steps) in [
        ("kind create", "cluster."),
        ("image builds", "image.build/"),
        ("image loads", "image.load/"),
    ] {
        tell(&format!("of the cold up, {what}"), cold.time_of(steps));
    }
    tell("cold devk up -d of the demo, cluster and all", cold.took);
    assert!(
        cold.settled()["steps_ms"].as_u64().unwrap() > cold.settled()["ms"].as_u64().unwrap(),
        "nothing ran at once"
    );
    let api = demo.port("api");
    post(api, "/notes", &json!({"text": "written before down"}))
        .unwrap()
        .well();
    let parts = Parts::of(&demo);
    parts.are_there();

    let down = demo.devk(&["down"]).well();
    tell("devk down", down.took);
    assert_eq!(down.document()["ending"], "stop-cluster");
    assert!(
        docker_list(&["ps", "--format", "{{.Names}}"]).is_disjoint(&parts.containers),
        "the cluster is stopped"
    );
    assert_eq!(machine().supervisors("keeps"), [0; 0]);

    let up = demo.devk(&["up", "-d"]).well();
    tell("devk up -d of the demo on a stopped cluster", up.took);
    assert_eq!(demo.port("api"), api);
    assert!(
        get(api, "/notes")
            .unwrap()
            .well()
            .contains("written before down")
    );

    let delete = demo.devk(&["down", "--delete"]).well();
    tell("devk down --delete", delete.took);
    assert_eq!(delete.document()["ending"], "delete-cluster");
    parts.are_gone();
    assert_eq!(images_of("keeps"), BTreeSet::new());
    before.leaves_nothing("`down --delete`");
    assert_eq!(machine().state_of("keeps"), [""; 0]);
    assert!(
        !machine().state().join("clusters").join(OWN).exists(),
        "neither pin nor kubeconfig"
    );
}
