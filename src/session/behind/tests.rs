use kube::client::Body;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::http::{Request, Response};

use super::*;
use crate::session::fake_api::listing;

/// What is behind the unnamed port of Service `api`.
async fn behind(objects: &[Value]) -> Behind {
    look(&listing(objects), &target("")).await
}

fn target(port_name: &str) -> Target {
    Target {
        namespace: "shop".into(),
        service: "api".into(),
        port_name: port_name.into(),
    }
}

fn service(selector: &Value, port: &Value) -> Value {
    json!({"kind": "Service", "metadata": {"name": "api"}, "spec": {"selector": selector, "ports": [port]}})
}

/// Service `api` with a selector.
fn api() -> Value {
    service(&json!({"app": "api"}), &json!({"port": 80}))
}

fn pods(replicas: u32) -> Value {
    json!({"replicas": replicas, "template": {"metadata": {"labels": {"app": "api", "tier": "x"}}}})
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"kind": kind, "metadata": {"name": name}, "spec": spec})
}

fn pod(phase: &str, ready: bool, owner: &str) -> Value {
    let ready = if ready { "True" } else { "False" };
    json!({"kind": "Pod", "metadata": {"name": "api-1", "labels": {"app": "api"},
        "ownerReferences": [{"apiVersion": "v1", "kind": owner, "name": "o", "uid": "1", "controller": true}]},
        "status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]}})
}

fn slice(ports: &Value, endpoint: &Value) -> Value {
    json!({"kind": "EndpointSlice", "addressType": "IPv4", "ports": ports, "endpoints": [endpoint],
        "metadata": {"name": "api-x", "labels": {"kubernetes.io/service-name": "api"}}})
}

fn nothing(why: &str) -> Behind {
    Behind::Nothing(why.to_owned())
}

fn expected(why: &str) -> Behind {
    Behind::Expected(why.to_owned())
}

#[tokio::test]
async fn a_ready_pod_is_ready_by_the_port_of_the_service() {
    let endpoint =
        json!({"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": "api-1"}});
    let objects = [
        service(&json!({"app": "api"}), &json!({"name": "http", "port": 80})),
        slice(&json!([{"name": "http", "port": 8080}]), &endpoint),
    ];
    let objects = NamespaceObjects::read(&listing(&objects), "shop")
        .await
        .unwrap();
    assert_eq!(objects.behind_port("api", 80), Behind::Ready);
    assert_eq!(objects.behind(&target("http")), Behind::Ready);
    assert_ne!(objects.behind(&target("metrics")), Behind::Ready);
    assert_eq!(Behind::Ready.why(), None);
}

#[tokio::test]
async fn workloads_that_ask_for_no_pod_are_named() {
    for kind in ["Deployment", "StatefulSet", "ReplicaSet"] {
        let found = behind(&[api(), object(kind, "worker", &pods(0))]).await;
        assert_eq!(found, nothing(&format!("{kind} `worker` has 0 replicas")));
    }
    let mut agent = object("DaemonSet", "agent", &pods(0));
    agent["status"]["desiredNumberScheduled"] = json!(0);
    assert_eq!(
        behind(&[api(), agent]).await,
        nothing("DaemonSet `agent` fits no node of the cluster")
    );
    let why = nothing("Deployment `worker` has 0 replicas").why().unwrap();
    assert_eq!(why, "no pod: Deployment `worker` has 0 replicas");
}

#[tokio::test]
async fn a_replica_set_goes_by_the_name_of_its_controller() {
    let owned = |kind: &str| {
        let mut set = object("ReplicaSet", "web-1", &pods(0));
        set["metadata"]["ownerReferences"] = json!([{"apiVersion": "x/v1", "kind": kind, "name": "web", "uid": "1", "controller": true}]);
        set
    };
    assert_eq!(
        behind(&[api(), owned("Rollout")]).await,
        nothing("Rollout `web` has 0 replicas")
    );
    // The old ReplicaSets of a Deployment say nothing.
    let objects = [
        api(),
        owned("Deployment"),
        object("Deployment", "web", &pods(2)),
    ];
    assert_eq!(
        behind(&objects).await,
        expected("Deployment `web` has no pod yet")
    );
}

#[tokio::test]
async fn one_workload_that_asks_for_pods_is_enough() {
    let objects = [
        api(),
        object("Deployment", "canary", &pods(0)),
        object("StatefulSet", "stable", &pods(1)),
    ];
    assert_eq!(
        behind(&objects).await,
        expected("StatefulSet `stable` has no pod yet")
    );
    // Without a number it is one (apps/v1).
    let mut unsaid = pods(1);
    unsaid.as_object_mut().unwrap().remove("replicas");
    let objects = [api(), object("Deployment", "api", &unsaid)];
    assert_eq!(
        behind(&objects).await,
        expected("Deployment `api` has no pod yet")
    );
}

#[tokio::test]
async fn a_pod_that_runs_is_expected_whoever_made_it() {
    let found = behind(&[api(), pod("Running", false, "Cluster")]).await;
    assert_eq!(found, expected("pod `api-1` is not Ready (Running)"));
    let found = behind(&[api(), pod("Running", true, "ReplicaSet")]).await;
    assert_eq!(
        found,
        expected("pod `api-1` is Ready, and no EndpointSlice has it yet")
    );
    let found = behind(&[api(), pod("Succeeded", false, "Cluster")]).await;
    assert_eq!(found, nothing("pod `api-1` has ended"));
    let mut ending = pod("Running", true, "ReplicaSet");
    ending["metadata"]["deletionTimestamp"] = json!("2026-01-31T09:30:00Z");
    let found = behind(&[api(), ending, object("Deployment", "api", &pods(0))]).await;
    assert_eq!(found, nothing("Deployment `api` has 0 replicas"));
}

#[tokio::test]
async fn a_port_that_no_container_has_is_named() {
    let service = service(
        &json!({"app": "api"}),
        &json!({"port": 80, "targetPort": "http"}),
    );
    let with_ports = |ready, ports: Value| {
        let mut pod = pod("Running", ready, "ReplicaSet");
        pod["spec"] = json!({"containers": [{"name": "c", "ports": ports}]});
        pod
    };
    let named = json!([{"name": "web", "containerPort": 8080}, {"containerPort": 9090}]);
    let found = behind(&[service.clone(), with_ports(true, named.clone())]).await;
    let why = "port 80 of Service `api` leads to the port `http` of its pods, and no container has one of that name; \
               pod `api-1` has `web` (8080), 9090";
    assert_eq!(found, Behind::NoPort(why.to_owned()));
    assert_eq!(found.why(), Some(format!("no port: {why}")));
    let Behind::NoPort(why) = behind(&[service.clone(), pod("Running", true, "ReplicaSet")]).await
    else {
        panic!("no container has it");
    };
    assert!(why.ends_with("pod `api-1` names no ports"), "{why}");
    // The next pod may have it, as long as this one is not Ready; and this one has it by another protocol only.
    let found = behind(&[service.clone(), with_ports(false, named)]).await;
    assert_eq!(found, expected("pod `api-1` is not Ready (Running)"));
    let udp = json!([{"name": "http", "containerPort": 80, "protocol": "UDP"}]);
    let found = behind(&[service.clone(), with_ports(true, udp)]).await;
    assert!(matches!(found, Behind::NoPort(_)), "{found:?}");
    let right = json!([{"name": "http", "containerPort": 80}]);
    assert_eq!(
        behind(&[service, with_ports(true, right)]).await,
        expected("pod `api-1` is Ready, and no EndpointSlice has it yet")
    );
}

#[tokio::test]
async fn jobs_have_pods_for_a_time_only() {
    let job = |spec: Value, condition: &str| {
        let mut job = object("Job", "seed", &pods(0));
        job["spec"]
            .as_object_mut()
            .unwrap()
            .extend(spec.as_object().unwrap().clone());
        job["status"]["conditions"] = json!([{"type": condition, "status": "True"}]);
        job
    };
    for (job, why) in [
        (job(json!({}), "Complete"), "has ended"),
        (job(json!({}), "Failed"), "has failed"),
        (job(json!({"suspend": true}), "Suspended"), "is suspended"),
        (job(json!({}), "Other"), "has no pod that runs"),
    ] {
        assert_eq!(
            behind(&[api(), job]).await,
            nothing(&format!("Job `seed` {why}"))
        );
    }
    let found = behind(&[api(), pod("Running", false, "Job")]).await;
    assert_eq!(found, nothing("pod `api-1` of a Job is not Ready"));
    let cron = |suspend: bool| {
        object(
            "CronJob",
            "nightly",
            &json!({"schedule": "0 3 * * *", "suspend": suspend, "jobTemplate": {"spec": pods(0)}}),
        )
    };
    assert_eq!(
        behind(&[api(), cron(false)]).await,
        nothing("CronJob `nightly` runs by its schedule only, `0 3 * * *`")
    );
    assert_eq!(
        behind(&[api(), cron(true)]).await,
        nothing("CronJob `nightly` is suspended")
    );
}

#[tokio::test]
async fn a_selector_that_matches_nothing_is_shown_as_kubectl_takes_it() {
    let canary = service(
        &json!({"app": "api", "track": "canary"}),
        &json!({"port": 80}),
    );
    let found = behind(&[
        canary,
        object("Deployment", "api", &pods(1)),
        pod("Running", true, "ReplicaSet"),
    ])
    .await;
    assert_eq!(
        found,
        nothing("nothing in the namespace has the labels `app=api,track=canary`")
    );
}

#[tokio::test]
async fn without_a_selector_only_pods_that_somebody_lists_count() {
    let unselecting = service(&Value::Null, &json!({"port": 80}));
    assert_eq!(
        behind(std::slice::from_ref(&unselecting)).await,
        nothing("the Service has no selector")
    );
    let far = slice(
        &json!([{"port": 80}]),
        &json!({"addresses": ["192.0.2.10"]}),
    );
    assert_eq!(
        behind(&[unselecting.clone(), far]).await,
        nothing("the Service has no selector, and forwards lead to pods, not to 192.0.2.10")
    );
    let pod = json!({"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": "leader"}});
    let objects = [unselecting, slice(&json!([{"port": 80}]), &pod)];
    assert_eq!(behind(&objects).await, Behind::Ready);
}

#[tokio::test]
async fn what_cannot_be_read_is_expected_with_the_reason() {
    let forbids = tower::service_fn(|_: Request<Body>| async {
        let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "pods is forbidden", "reason": "Forbidden", "code": 403});
        let body = Body::from(status.to_string().into_bytes());
        Ok::<_, std::convert::Infallible>(Response::builder().status(403).body(body).unwrap())
    });
    let Behind::Expected(why) = look(&Client::new(forbids, "shop"), &target("")).await else {
        panic!("nobody knows")
    };
    assert!(why.contains("pods is forbidden"), "{why}");
    assert_eq!(behind(&[]).await, expected("there is no Service `api`"));
}
