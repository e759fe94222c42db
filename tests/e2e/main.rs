//! End-to-end tests on the real Docker and real clusters. `scripts/test` runs them; plain
//! `cargo test` leaves them out (Cargo.toml), for they need a machine of their own.

// Clippy exempts test functions by itself, but not what they call.
#![allow(clippy::unwrap_used, clippy::panic)]

mod agents;
#[path = "../init/archive.rs"]
mod archive;
mod ask;
mod beside_compose;
mod bridge;
mod bridge_agreement;
mod build_secrets;
mod builds;
mod change;
mod ci;
mod commands;
mod copies;
mod crash;
mod data;
mod doctor;
mod down_all;
mod environment;
mod existing;
mod explanations;
mod faults;
mod forwards;
mod generated;
mod geniro;
mod image;
mod init;
mod installed;
mod killed_install;
mod late_fix;
mod life_cycle;
mod manifests;
mod namespaces;
mod nothing_left;
mod rebuild;
mod relay;
mod release;
mod reload;
mod results;
mod same_image;
mod saves;
#[allow(dead_code, reason = "the unit tests use all of its faults")]
#[path = "../../src/model/scripted.rs"]
mod scripted;
mod services;
mod settle;
mod several_nodes;
mod shapes;
mod status;
mod stray_environment;
mod support;
mod sync;
mod todo_chatbot;
mod tour;
mod tutorial;
mod unchanged;
mod worktrees;
mod wrong_input;

/// The Engine, or an end to the test that says what is missing.
async fn engine() -> devk::docker::Engine {
    let asked_for = std::env::var("DEVK_E2E").is_ok_and(|value| value == "1");
    assert!(
        asked_for,
        "the e2e tests create and remove containers and images: run them through scripts/test"
    );
    devk::docker::connect(&devk::environment::Environment::of_process())
        .await
        .unwrap()
}
