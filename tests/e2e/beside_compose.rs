//! The demo in a cluster beside the same demo in Docker Compose: both answer, and neither is the other.

use std::net::TcpListener;
use std::time::Instant;

use serde_json::json;

use crate::support::compose::{API, Compose, REDIS, WEB};
use crate::support::machine::{CLUSTER, cluster, docker, machine};
use crate::support::project::{Project, port_of};
use crate::support::tell;
use crate::support::wire::{Answer, get, post, redis};

#[test]
fn demo_beside_compose() {
    cluster();
    let demo = Project::demo_on(CLUSTER, "beside");
    let since = Instant::now();
    let compose = Compose::up(&demo, &[]);
    tell("docker compose up", since.elapsed());
    let unused: Vec<u16> = [WEB, API, 5432, REDIS]
        .iter()
        .map(|port| port + 10_000)
        .filter(|p| TcpListener::bind(("127.0.0.1", *p)).is_ok())
        .collect();

    let up = demo.devk(&["up", "-d"]).well();
    tell("devk up -d of the demo on a running cluster", up.took);
    let forwards = up.settled()["forwards"].as_array().unwrap().clone();
    for forward in &forwards {
        let remote = forward["remote"].as_u64().unwrap();
        let local = forward["local"].as_u64().unwrap();
        let usual = local == remote + 10_000;
        assert_eq!(
            usual,
            forward["moved"].is_null(),
            "who moved says why: {forward}"
        );
        assert!(
            usual || !unused.iter().any(|p| u64::from(*p) == remote + 10_000),
            "it moved from a free port: {forward}"
        );
    }
    let port = |name: &str| port_of(&forwards, name);

    both_answer_and_say_who_they_are(port("api"), port("web"));
    the_page_of_the_cluster_calls_the_api_of_the_cluster(port("web"), port("api"));
    a_note_stays_where_it_was_written(port("api"));
    a_key_stays_where_it_was_written(port("redis"));
    psql_reaches_two_databases(&compose, port("postgres"));
}

fn well(answer: std::io::Result<Answer>) -> Answer {
    answer.unwrap_or_else(|e| panic!("{e}"))
}

fn both_answer_and_say_who_they_are(api: u16, web: u16) {
    assert_eq!(well(get(API, "/")).json()["stack"], "compose");
    assert_eq!(well(get(api, "/")).json()["stack"], "cluster");
    let pages = [well(get(WEB, "/")).well(), well(get(web, "/")).well()];
    assert!(
        pages[0].contains("<html") && pages[0] == pages[1],
        "the same page on both: {pages:?}"
    );
}

fn the_page_of_the_cluster_calls_the_api_of_the_cluster(web: u16, api: u16) {
    assert_eq!(
        well(get(web, "/config.json")).json(),
        json!({"apiUrl": format!("http://127.0.0.1:{api}")})
    );
    assert_eq!(
        well(get(WEB, "/config.json")).json(),
        json!({"apiUrl": "http://localhost:5000"})
    );
}

fn notes(api: u16) -> String {
    well(get(api, "/notes")).well()
}

fn a_note_stays_where_it_was_written(api: u16) {
    well(post(api, "/notes", &json!({"text": "only in the cluster"}))).well();
    well(post(API, "/notes", &json!({"text": "only in Compose"}))).well();
    let cluster = notes(api);
    let compose = notes(API);
    assert!(
        cluster.contains("only in the cluster") && !cluster.contains("only in Compose"),
        "{cluster}"
    );
    assert!(
        compose.contains("only in Compose") && !compose.contains("only in the cluster"),
        "{compose}"
    );
}

fn a_key_stays_where_it_was_written(redis_port: u16) {
    assert_eq!(
        redis(redis_port, &["SET", "where", "cluster"]).as_deref(),
        Some("OK")
    );
    assert_eq!(redis(REDIS, &["GET", "where"]), None);
    assert_eq!(
        redis(REDIS, &["SET", "who", "compose"]).as_deref(),
        Some("OK")
    );
    assert_eq!(redis(redis_port, &["GET", "who"]), None);
    assert_eq!(
        redis(redis_port, &["GET", "where"]).as_deref(),
        Some("cluster")
    );
}

/// The cluster's through the forward, from a client on this machine's network; Compose's in its container.
fn psql_reaches_two_databases(compose: &Compose, port: u16) {
    let secret = [
        "-n",
        "beside",
        "get",
        "secret",
        "demo-database",
        "-o",
        "jsonpath={.data.PGPASSWORD}",
    ];
    let encoded = machine().kubectl(CLUSTER, &secret);
    let password = String::from_utf8(
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, encoded).unwrap(),
    );
    let password = format!("PGPASSWORD={}", password.unwrap());
    let port = port.to_string();
    let client = [
        "run",
        "--rm",
        "--network",
        "host",
        "-e",
        &password,
        "--entrypoint",
        "psql",
        "postgres:17",
    ];
    let login = [
        "-h",
        "127.0.0.1",
        "-p",
        &port,
        "-U",
        "demo",
        "-d",
        "demo",
        "-tAc",
    ];
    let query = |sql: &str| docker(&[&client[..], &login, &[sql]].concat());
    assert!(query("select text from notes").contains("only in the cluster"));
    assert_eq!(
        compose
            .psql(
                "demo",
                "select count(*) from notes where text = 'only in the cluster'"
            )
            .trim(),
        "0"
    );
    let system = "select system_identifier from pg_control_system()";
    assert_ne!(query(system), compose.psql("demo", system), "two servers");
}
