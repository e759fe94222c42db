//! A new chart for one program, as it should be in production.

use std::collections::BTreeMap;

use serde_json::json;

use super::model::{
    ChartModel, Component, ComponentImage, ComponentKind, ComponentMount, ComponentPort,
    MountSource, Probes,
};
use super::names::{RESERVED_KEYS, values_key};

/// The port that the program of a new chart listens on.
const PORT: u16 = 8080;

/// As whom it runs.
const USER: u64 = 10_001;

/// The model of a chart for a program called `name`, which is a DNS label.
pub(super) fn model(name: &str, stateful: bool) -> ChartModel {
    let key = values_key(name);
    let key = match RESERVED_KEYS.contains(&key.as_str()) {
        true => "app".to_owned(),
        false => key,
    };
    ChartModel {
        name: name.to_owned(),
        description: format!("A Helm chart for {name}"),
        app_version: "0.1.0".to_owned(),
        components: vec![component(name, key, stateful)],
        for_production: true,
        ..ChartModel::default()
    }
}

fn component(name: &str, key: String, stateful: bool) -> Component {
    let probe = |path: &str, period: u32, failures: u32| {
        Some(json!({
            "httpGet": {"path": path, "port": "http"},
            "periodSeconds": period,
            "timeoutSeconds": 3,
            "failureThreshold": failures,
        }))
    };
    Component {
        name: name.to_owned(),
        key,
        comment: format!("The program {name}."),
        enabled: true,
        kind: if stateful {
            ComponentKind::StatefulSet
        } else {
            ComponentKind::Deployment
        },
        image: ComponentImage {
            repository: format!("registry.example/{name}"),
            tag: "0.1.0".to_owned(),
            digest: String::new(),
            pull_policy: "IfNotPresent".to_owned(),
        },
        replicas: if stateful { 1 } else { 2 },
        env: BTreeMap::new(),
        ports: vec![ComponentPort {
            name: "http".to_owned(),
            number: PORT,
            protocol: "TCP".to_owned(),
        }],
        services: vec![name.to_owned()],
        probes: Probes {
            startup: probe("/healthz", 2, 60),
            readiness: probe("/readyz", 5, 3),
            liveness: probe("/healthz", 10, 6),
        },
        resources: json!({"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}),
        security: json!({
            "runAsNonRoot": true,
            "runAsUser": USER,
            "runAsGroup": USER,
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        }),
        pod_security: json!({"runAsNonRoot": true, "fsGroup": USER, "seccompProfile": {"type": "RuntimeDefault"}}),
        mounts: mounts(stateful),
        grace: 30,
        ..Component::default()
    }
}

/// The root is read-only, so there is a folder for temporary files.
fn mounts(stateful: bool) -> Vec<ComponentMount> {
    let mount = |name: &str, path: &str, source| ComponentMount {
        name: name.to_owned(),
        path: path.to_owned(),
        read_only: false,
        sub_path: None,
        is_filled: false,
        source,
    };
    let mut mounts = vec![mount(
        "tmp",
        "/tmp",
        MountSource::Scratch {
            memory: false,
            size: None,
        },
    )];
    if stateful {
        let mut data = mount(
            "data",
            "/var/lib/data",
            MountSource::OwnClaim {
                size: "1Gi".to_owned(),
            },
        );
        // The root of a claim may hold what the file system keeps there.
        data.sub_path = Some("data".to_owned());
        mounts.push(data);
    }
    mounts
}
