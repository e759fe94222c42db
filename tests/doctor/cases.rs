//! Single cases: what is to be found although it is easily overlooked, and what is no conflict.

use devk::docker::PublishedPort;
use devk::doctor::Check;

use crate::tell;
use crate::world::World;

/// The only problem there is.
async fn problem(world: &World) -> Check {
    let mut problems = world.problems().await;
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems.remove(0)
}

/// A running container on port 5439, which Compose's `postgres` publishes.
fn on_composes_port(world: &mut World, edit: fn(&mut PublishedPort, &std::path::Path)) {
    let container = PublishedPort {
        port: 5439,
        protocol: "tcp".into(),
        host_ip: None,
        container: "shop-db-1".into(),
        compose_project: Some("shop".into()),
        compose_service: Some("db".into()),
        compose_files: Some("/src/shop/compose.yaml".into()),
        running: true,
    };
    world.containers.push((container, edit));
}

#[tokio::test]
async fn a_running_container_of_another_project_on_a_port_of_composes_is_named() {
    let mut world = World::demo();
    on_composes_port(&mut world, |_, _| {});
    let check = problem(&world).await;
    assert_eq!(check.id.as_str(), "ports.containers");
    assert_eq!(
        check.summary,
        "Compose service `postgres` wants port 5439, which container `shop-db-1` has"
    );
    assert_eq!(check.hint.as_deref(), Some("docker stop shop-db-1"));
    assert!(
        tell(&check).contains("compose.yaml:10 service `postgres` publishes 5439:5432"),
        "{check:#?}"
    );
}

#[tokio::test]
async fn a_container_that_is_stopped_or_of_the_same_files_or_on_another_address_is_no_conflict() {
    let edits: [fn(&mut PublishedPort, &std::path::Path); 4] = [
        |container, _| container.running = false,
        |container, _| container.compose_project = Some("demo".into()),
        |container, root| {
            container.compose_files = Some(format!("{}/compose.yaml,/x", root.display()))
        },
        |container, _| container.protocol = "udp".into(),
    ];
    for edit in edits {
        let mut world = World::demo();
        on_composes_port(&mut world, edit);
        assert_eq!(world.problems().await, []);
    }
    let mut world = World::demo();
    world.compose = world.compose.replace("5439:5432", "127.0.0.1:5439:5432");
    on_composes_port(&mut world, |container, _| {
        container.host_ip = Some("192.168.1.7".into())
    });
    assert_eq!(world.problems().await, []);
}

#[tokio::test]
async fn the_port_that_a_hint_proposes_is_nobodys() {
    let mut world = World::demo();
    world
        .service("  one: {image: alpine, ports: ['16400-16405:80-85']}\n  two: {image: alpine, ports: ['16403:80']}\n");
    let check = problem(&world).await;
    assert_eq!(
        check.hint.as_deref(),
        Some("publish `two` elsewhere: `\"16406:80\"`")
    );
}

#[tokio::test]
async fn ranges_leave_room_for_each_other_and_not_for_a_fixed_port() {
    let mut world = World::demo();
    world.service(
        "  one: {image: alpine, ports: ['16400-16405:80']}\n  two: {image: alpine, ports: ['16400-16405:80']}\n",
    );
    assert_eq!(world.problems().await, []);
    world.service("  three: {image: alpine, ports: ['16405:80']}\n");
    let check = problem(&world).await;
    assert_eq!(
        check.summary,
        "Compose service `one` may take 16405 of its range, which `three` needs"
    );
    assert_eq!(
        check.hint.as_deref(),
        Some("publish `three` elsewhere: `\"16406:80\"`")
    );
}

#[tokio::test]
async fn a_container_on_the_hosts_network_that_listens_itself_is_no_stranger() {
    let mut world = World::demo();
    let port = world.listen();
    world.service(&format!(
        "  agent: {{image: alpine, network_mode: host, ports: ['{port}']}}\n"
    ));
    assert_eq!(world.problems().await, []);
    world.project += &format!("  agent: {{service: demo-api, port: 5000, local: {port}}}\n");
    let problems = world.problems().await;
    let told = format!("service `agent` listens on {port} of the host's network");
    assert!(
        problems.iter().any(|check| tell(check).contains(&told)),
        "{problems:#?}"
    );
}

#[tokio::test]
async fn a_service_whose_profile_is_off_wants_no_port_yet() {
    let mut world = World::demo();
    let port = world.listen();
    world.service(&format!(
        "  debug: {{image: alpine, profiles: [debug], ports: ['{port}:80']}}\n"
    ));
    assert_eq!(world.problems().await, []);
}

const MIGRATE: &str = "apiVersion: v1
kind: Pod
metadata: {name: migrate}
spec:
  containers:
  - name: migrate
    image: alpine
    env: [{name: PGHOST, value: host.docker.internal}, {name: PGPORT, value: '5439'}]
    command: [psql, -U, demo, -d, demo_k8s, -f, /init/init.sql]
";
const INIT: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: init}
data:
  init.sql: |
    CREATE DATABASE demo;
    CREATE DATABASE other;
";

#[tokio::test]
async fn an_init_script_without_an_address_runs_where_the_chart_goes() {
    let mut world = World::demo();
    world.rendered.clear();
    world.template("init.yaml", INIT);
    assert_eq!(world.problems().await, [], "the chart goes nowhere");
    world.template("migrate.yaml", MIGRATE);
    let check = problem(&world).await;
    assert_eq!(
        check.summary,
        "database `demo` of Compose service `postgres` is used by the cluster as well"
    );
    assert!(
        tell(&check).contains("init.yaml:5 init.sql of ConfigMap/init"),
        "{check:#?}"
    );
}

#[tokio::test]
async fn an_init_script_of_the_charts_own_server_stays_there() {
    let mut world = World::demo();
    world.template("init.yaml", INIT);
    world.template("migrate.yaml", MIGRATE);
    assert_eq!(world.problems().await, []);
}

/// A page that is told three times where the API is, beside what is no such address.
const PAGE: &str = "apiVersion: v1
kind: Pod
metadata: {name: page}
spec:
  containers:
  - name: page
    image: alpine
    ports: [{containerPort: 4173}, {containerPort: 6379}]
    livenessProbe: {exec: {command: [curl, 'http://localhost:4173']}}
    env: [{name: CACHE, value: 'redis://localhost:6379/0'}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: page}
data:
  config.js: |
    // in Compose it is http://localhost:4173
    window.api = 'http://localhost:5000';
    window.ws = 'ws://localhost:5000';
";

#[tokio::test]
async fn an_address_of_composes_is_told_once_for_each_file_and_where_it_stands() {
    let mut world = World::demo();
    world.template("page.yaml", PAGE);
    let check = problem(&world).await;
    assert_eq!(
        check.summary,
        "`config.js` of `ConfigMap/page` says localhost:5000, which is Compose's `api`"
    );
    assert!(
        tell(&check).contains("page.yaml:18 config.js"),
        "{check:#?}"
    );
}

#[tokio::test]
async fn the_evidence_stands_in_the_objects_own_part_of_the_template() {
    let mut world = World::demo();
    let service = |name: &str, kind: &str| {
        format!(
            "kind: Service\nmetadata: {{name: {name}}}\napiVersion: v1\nspec: {{type: {kind}, ports: [{{port: 80}}]}}\n"
        )
    };
    let both = [service("one", "ClusterIP"), service("two", "NodePort")].join("---\n");
    world.template("both.yaml", &both);
    let check = problem(&world).await;
    assert!(
        tell(&check).contains("both.yaml:9 Service/two"),
        "{check:#?}"
    );
}
