//! A session works in the environment of the client that asks, not of the one that started it; and what
//! devk does where Compose files or Docker are out of order.

use crate::support::machine::{cluster, machine};
use crate::support::project::{Project, port_of};

const NOWHERE: &str = "unix:///nowhere/docker.sock";

#[test]
fn a_session_works_in_the_environment_of_the_client_that_asks() {
    cluster();
    let mut project = Project::pair("surroundings");
    let secret = "correct-horse-battery-staple";
    project.set("PASSWORD_OF_THE_CLIENT", secret);
    let up = project.devk(&["up", "-d"]).well();
    let before = port_of(up.settled()["forwards"].as_array().unwrap(), "left");

    // The variable leads to a file that publishes the port: the forward gives way, and says so.
    project.write(
        "claim.yaml",
        &format!("services:\n  web:\n    image: busybox:1\n    ports: ['{before}:80']\n"),
    );
    project.set("COMPOSE_FILE", "claim.yaml");
    let up = project.devk(&["up", "-d"]).well();
    let settled = up.settled();
    let left = &settled["forwards"][0];
    assert_ne!(left["local"], before);
    let local = &left["local"];
    let why = format!(
        "{local} in place of {before}, its port before: {before} is held by Compose service `web` (claim.yaml:4)"
    );
    // Other tests may hold the port that it would have next.
    let moved = left["moved"].as_str().unwrap();
    assert!(moved.starts_with(&why), "{left}");
    let plan = format!(
        "{}:{} on {local} ({moved})",
        left["service"].as_str().unwrap(),
        left["remote"]
    );
    let told = up
        .events()
        .into_iter()
        .any(|event| event["step"] == "forward.open/left" && event["detail"] == plan);
    assert!(told, "{up:?}");

    project.set("DOCKER_HOST", NOWHERE);
    assert_eq!(
        project.devk(&["up", "-d"]).exits(2).error()["code"],
        "docker.unavailable"
    );

    let folder = machine().state().join("projects/surroundings");
    for file in std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|file| file.is_file())
    {
        let text = std::fs::read(&file).unwrap();
        assert!(
            !text
                .windows(secret.len())
                .any(|part| part == secret.as_bytes()),
            "{}",
            file.display()
        );
    }
}

#[test]
fn ports_are_told_without_docker_and_say_what_was_not_looked_at() {
    let mut project = Project::pair("no-docker");
    project.set("DOCKER_HOST", NOWHERE);
    let document = project.devk(&["ports"]).well().document();
    assert_eq!(
        document["forwards"].as_array().unwrap().len(),
        2,
        "{document}"
    );
    let unseen = document["unseen"].as_array().unwrap();
    assert_eq!(
        (unseen.len(), &unseen[0]["what"]),
        (1, &"containers".into()),
        "{document}"
    );
    assert_eq!(unseen[0]["error"]["code"], "docker.unavailable");
}

#[test]
fn a_broken_compose_file_stops_up_together_with_everything_else_that_would() {
    let mut project = Project::pair("broken-compose");
    project.set("DOCKER_HOST", NOWHERE);
    project.write(
        "compose.yaml",
        "services:\n  web:\n    image: busybox:1\n    ports: ['80:80:80:80']\n",
    );
    let stderr = project.devk(&["up", "-d"]).exits(2).stderr;
    let document: serde_json::Value = serde_json::from_str(&stderr).unwrap();
    let errors = document["errors"].as_array().unwrap();
    let codes: Vec<_> = errors
        .iter()
        .map(|error| error["code"].as_str().unwrap())
        .collect();
    assert!(
        codes[0].starts_with("compose.") && codes[1..] == ["docker.unavailable"],
        "{document}"
    );
    assert_eq!(errors[0]["line"], 4, "{document}");

    project.edit(
        "devk.yaml",
        "name: broken-compose\n",
        "name: broken-compose\ncompose: []\n",
    );
    assert_eq!(
        project.devk(&["up", "-d"]).exits(2).error()["code"],
        "docker.unavailable"
    );
}
