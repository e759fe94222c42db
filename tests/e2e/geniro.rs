//! The ports of the `geniro` profile: the table that its chart and its Compose file give.

use std::net::TcpListener;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::machine::machine;
use crate::support::run::Running;

/// Name, Service port, host port: design and README of the profile.
const TABLE: [(&str, u16, u16); 8] = [
    ("api", 5000, 15000),
    ("web", 4173, 14173),
    ("litellm", 4000, 14000),
    ("keycloak", 80, 18080),
    ("postgres", 5432, 15432),
    ("redis", 6379, 16379),
    ("qdrant", 6333, 16333),
    ("runner", 8080, 28080),
];

const PUBLISHED: [&str; 10] = [
    "3986", "3987", "8080", "8082", "4000", "5439", "6333", "6334", "6379", "8085",
];

#[test]
fn the_table_of_geniro_is_the_documented_one() {
    for (_, _, local) in TABLE {
        let free = TcpListener::bind(("127.0.0.1", local));
        assert!(free.is_ok(), "port {local} of the table is held: {free:?}");
    }
    let folder = machine().new_folder();
    let mut command = Command::new(env!("CARGO_BIN_EXE_devk"));
    command
        .args(["ports", "--profile", "geniro", "--format", "json"])
        .current_dir(folder.path());
    let ran = Running::start(command.env_clear().envs(machine().environment()))
        .ended()
        .well();
    let document = ran.document();
    // There is no stack that a `down` would take along.
    assert!(!machine().state().join("projects/geniro").exists());

    let rows = document["forwards"].as_array().unwrap();
    let row = |f: &Value| (f["name"].clone(), f["remote"].clone(), f["local"].clone());
    let expected = TABLE.map(|(name, remote, local)| (json!(name), json!(remote), json!(local)));
    assert_eq!(rows.iter().map(row).collect::<Vec<_>>(), expected);
    let moved: Vec<_> = rows.iter().map(|f| f["moved"].clone()).collect();
    assert_eq!(moved[..7], [const { Value::Null }; 7]);
    assert_eq!(moved[7], "18080 is held by forward `keycloak`");

    let published = document["compose"]
        .as_array()
        .unwrap()
        .iter()
        .map(|port| port["published"].as_str().unwrap());
    assert_eq!(published.collect::<Vec<_>>(), PUBLISHED);
}
