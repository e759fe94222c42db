//! The profile `geniro`: its table of ports, and its stack beside the Compose stack, with data of its own and over the
//! bridge.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::compose::{Compose, REDIS};
use crate::support::machine::{CLUSTER, cluster, machine};
use crate::support::project::{Project, port_of};
use crate::support::run::{Ran, Running};
use crate::support::wire::{get, post, redis};
use crate::support::{eventually, tell};

/// Name, Service port, host port: design and README of the profile.
const TABLE: [(&str, u16, u16); 6] = [
    ("api", 5000, 15000),
    ("web", 4173, 14173),
    ("litellm", 4000, 14000),
    ("postgres", 5432, 15432),
    ("redis", 6379, 16379),
    ("qdrant", 6333, 16333),
];

/// What is off by default.
const MORE: [(&str, u16, u16); 4] = [
    ("keycloak", 80, 18080),
    ("daytona-api", 3986, 13986),
    ("runner", 8080, 28080),
    ("proxy", 3987, 13987),
];

/// As the README of the profile turns it on.
const EVERYTHING_ON: &str = "\
profile: geniro
releases:
  - name: geniro
    set: {keycloak.enabled: true, daytona.enabled: true}
forwards:
  keycloak: {service: geniro-keycloak, port: 80}
  daytona-api: {service: geniro-daytona-api, port: 3986}
  runner: {service: geniro-daytona-runner, port: 8080}
  proxy: {service: geniro-daytona-proxy, port: 3987}
";

/// What its Compose stack publishes.
const PUBLISHED: [&str; 5] = ["4000", "5439", "6333", "6334", "6379"];
/// The same with its Compose profiles `auth` and `daytona`.
const NOT_ACTIVE: [&str; 5] = ["3986", "3987", "8080", "8082", "8085"];

/// The LiteLLM of the Compose stack.
const LITELLM: u16 = 4000;
const SOON: Duration = Duration::from_secs(60);

/// `devk ports` in a folder that holds this devk.yaml, or with the profile if it is none.
fn ports(devk_yaml: Option<&str>) -> Value {
    let folder = machine().new_folder();
    let mut command = Command::new(env!("CARGO_BIN_EXE_devk"));
    command.args(["ports", "--format", "json"]);
    match devk_yaml {
        Some(text) => std::fs::write(folder.path().join("devk.yaml"), text).unwrap(),
        None => drop(command.args(["--profile", "geniro"])),
    }
    command.current_dir(folder.path());
    Running::start(command.env_clear().envs(machine().environment()))
        .ended()
        .well()
        .document()
}

fn rows(document: &Value) -> Vec<(Value, Value, Value)> {
    let rows = document["forwards"].as_array().unwrap();
    let row = |f: &Value| (f["name"].clone(), f["remote"].clone(), f["local"].clone());
    rows.iter().map(row).collect()
}

#[test]
fn the_table_of_geniro_is_the_documented_one() {
    for (_, _, local) in TABLE.iter().chain(&MORE) {
        let free = TcpListener::bind(("127.0.0.1", *local));
        assert!(free.is_ok(), "port {local} of the table is held: {free:?}");
    }
    let document = ports(None);
    // There is no stack that a `down` would take along.
    assert!(!machine().state().join("projects/geniro").exists());
    let expected =
        |(name, remote, local): &(&str, u16, u16)| (json!(name), json!(remote), json!(local));
    assert_eq!(rows(&document), TABLE.each_ref().map(expected));
    let published = |which: &str| -> BTreeSet<String> {
        let ports = document[which].as_array().unwrap().iter();
        let published = ports.map(|port| port["published"].as_str().unwrap().to_owned());
        published.collect()
    };
    assert_eq!(
        published("compose"),
        BTreeSet::from(PUBLISHED.map(str::to_owned))
    );
    assert_eq!(
        published("inactive"),
        BTreeSet::from(NOT_ACTIVE.map(str::to_owned))
    );

    let all = ports(Some(EVERYTHING_ON));
    let expected: Vec<_> = TABLE.iter().chain(&MORE).map(expected).collect();
    assert_eq!(rows(&all), expected);
    let forwards = all["forwards"].as_array().unwrap();
    let moved: Vec<_> = forwards.iter().filter(|f| !f["moved"].is_null()).collect();
    assert_eq!(moved.len(), 1, "{moved:?}");
    assert_eq!(moved[0]["moved"], "18080 is held by forward `keycloak`");
}

fn api(port: u16, path: &str) -> Value {
    get(port, path)
        .unwrap_or_else(|e| panic!("{path}: {e}"))
        .json()
}

fn tell_api(port: u16, path: &str, body: Value) -> Value {
    post(port, path, &body)
        .unwrap_or_else(|e| panic!("{path}: {e}"))
        .json()
}

/// `psql` in the container of Compose's server.
fn sql(compose: &Compose, database: &str, sql: &str) -> String {
    let psql = [
        "exec", "-T", "postgres", "psql", "-U", "postgres", "-d", database, "-tAc", sql,
    ];
    compose.run(&psql).trim().to_owned()
}

/// Compose's own databases as texts.
fn dumps(compose: &Compose) -> [String; 3] {
    let dump = [
        "exec",
        "-T",
        "postgres",
        "pg_dump",
        "-U",
        "postgres",
        "--restrict-key=devk",
    ];
    ["geniro", "litellm", "keycloak"].map(|name| compose.run(&[&dump[..], &[name]].concat()))
}

#[test]
fn geniro_runs_beside_its_compose_stack_with_data_of_its_own_and_over_the_bridge() {
    cluster();
    let geniro = Project::new("profiles/geniro", "geniro-runs", CLUSTER);
    geniro.edit(
        "devk.yaml",
        "values: [values-dev.yaml]",
        "values: [values-dev.yaml]\n    set: {keycloak.enabled: true}",
    );
    geniro.edit(
        "devk.yaml",
        "forwards:",
        "forwards:\n  keycloak: {service: geniro-keycloak, port: 80}",
    );
    let compose = Compose::up(&geniro, &["postgres", "redis", "litellm"]);
    let up = geniro.devk(&["up", "-d"]).well();
    tell("devk up -d of geniro on a running cluster", up.took);

    every_service_answers(&up);
    each_service_is_used_once();
    neither_stack_is_the_other();

    geniro.devk(&["down"]).well();
    let again = geniro.devk(&["up", "-d"]).well();
    tell("devk up -d of geniro after devk down", again.took);
    what_was_written_is_there();

    over_the_bridge(&geniro, &compose);
}

/// On the ports of the table, none of which has moved, and each says what it is.
fn every_service_answers(up: &Ran) {
    let forwards = up.settled()["forwards"].as_array().unwrap().clone();
    for (name, _, local) in TABLE.iter().chain(&MORE[..1]) {
        assert_eq!(port_of(&forwards, name), *local, "{name}");
    }
    assert_eq!(api(15000, "/")["stack"], "cluster");
    assert_eq!(
        api(14173, "/config.json"),
        json!({"apiUrl": "http://127.0.0.1:15000"})
    );
    assert!(get(14173, "/").unwrap().well().contains("<html"));
    let stand_in = api(14000, "/")["stand_in"].as_str().unwrap().to_owned();
    assert!(stand_in.contains("no model"), "{stand_in}");
    let qdrant = api(16333, "/")["title"].as_str().unwrap().to_owned();
    assert!(qdrant.contains("stand-in"), "{qdrant}");
    let realm = api(18080, "/realms/geniro/.well-known/openid-configuration");
    assert!(
        realm["stand_in"].as_str().unwrap().contains("Keycloak"),
        "{realm}"
    );
    assert_eq!(api(15000, "/")["visits"], 2, "Redis has counted");
}

fn each_service_is_used_once() {
    for text in ["the cat sat on the mat", "shares fell on Monday"] {
        tell_api(15000, "/documents", json!({ "text": text }));
    }
    for engine in ["pgvector", "qdrant"] {
        let found = api(15000, &format!("/search?q=cat%20mat&engine={engine}"));
        assert_eq!(found[0], "the cat sat on the mat", "{engine}");
    }
    let secret = json!({"name": "openai", "value": "sk-known-to-nobody"});
    tell_api(15000, "/credentials", secret);
    assert_eq!(api(15000, "/credentials/openai")["ends_with"], "body");
    let sealed = [
        "-n",
        "geniro-runs",
        "exec",
        "geniro-postgresql-0",
        "--",
        "psql",
        "-U",
        "geniro",
        "-tAc",
        "select position('nobody' in encode(sealed, 'escape')) from credentials",
    ];
    assert_eq!(
        machine().kubectl(CLUSTER, &sealed).trim(),
        "0",
        "it is not kept as it is"
    );
    let reply = tell_api(15000, "/chat", json!({"text": "hello"}));
    assert!(
        reply["text"]
            .as_str()
            .unwrap()
            .starts_with("You said: hello"),
        "{reply}"
    );
}

fn neither_stack_is_the_other() {
    let composes = || get(LITELLM, "/health/readiness").is_ok_and(|answer| answer.status == 200);
    eventually("Compose's LiteLLM does not answer", SOON, composes);
    assert_eq!(
        redis(REDIS, &["GET", "visits"]),
        None,
        "the visits are counted in the cluster"
    );
}

fn what_was_written_is_there() {
    let documents = api(15000, "/documents");
    assert_eq!(documents.as_array().unwrap().len(), 2, "{documents}");
    let found = api(15000, "/search?q=cat&engine=qdrant");
    assert_eq!(found[0], "the cat sat on the mat");
    assert_eq!(api(15000, "/credentials/openai")["ends_with"], "body");
}

fn over_the_bridge(geniro: &Project, compose: &Compose) {
    let before = dumps(compose);
    let plan = geniro
        .devk(&["up", "--dry-run", "--bridge"])
        .well()
        .document();
    let mut steps = plan["steps"].as_array().unwrap().iter();
    let service = steps
        .find(|step| step["id"] == "bridge.service/postgres")
        .unwrap();
    let mapped = [
        "database `keycloak_k8s` in place of `keycloak`",
        "database `litellm_k8s` in place of `litellm`",
    ];
    assert_eq!(service["changes"], json!(mapped), "{plan}");

    let up = geniro.devk(&["up", "-d", "--bridge"]).well();
    tell("devk up -d --bridge of geniro", up.took);
    assert_eq!(api(15000, "/")["database"], "geniro_k8s");
    tell_api(15000, "/documents", json!({"text": "over the bridge"}));
    tell_api(15000, "/chat", json!({"text": "hello"}));
    assert_eq!(
        sql(compose, "geniro_k8s", "select text from documents"),
        "over the bridge"
    );
    assert_eq!(
        sql(compose, "litellm_k8s", "select count(*) from spend"),
        "1"
    );
    assert_eq!(
        sql(compose, "keycloak_k8s", "select name from realm"),
        "geniro"
    );
    assert_eq!(
        dumps(compose),
        before,
        "Compose's own databases are unchanged, byte for byte"
    );
}
