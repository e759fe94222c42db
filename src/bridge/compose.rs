//! Interim: Compose as `docker compose config` prints it, until `compose::load` is there.

use serde_json::Value;

use crate::compose::{Compose, Database, Port, Service, Variable};
use crate::config::{Origin, Project};
use crate::database::{Kind, Named, Server};
use crate::error::{Errors, Result};
use crate::process::Cmd;

/// The Compose project in the project's folder or above.
///
/// # Errors
/// What Compose refuses.
pub async fn load(project: &Project) -> Result<Option<Compose>, Errors> {
    let output = Cmd::new("docker").args(["compose", "config", "--format", "json"]).dir(&project.root).run().await?;
    let config: Value = serde_json::from_str(&output.stdout).unwrap_or_default();
    let origin = Origin { file: project.root.join("compose.yaml"), line: 1 };
    let mut compose = Compose { dir: project.root.clone(), files: vec![origin.file.clone()], ..Compose::default() };
    for (name, service) in config["services"].as_object().into_iter().flatten() {
        let environment = service["environment"].as_object().into_iter().flatten().map(|(key, value)| {
            (key.clone(), Variable { value: value.as_str().unwrap_or_default().to_owned(), origin: origin.clone() })
        });
        let ports = service["ports"].as_array().into_iter().flatten().map(|port| Port {
            service: name.clone(),
            host_ip: port["host_ip"].as_str().map(str::to_owned),
            published: port["published"].as_str().map(str::to_owned),
            target: port["target"].as_u64().unwrap_or_default() as u32,
            protocol: port["protocol"].as_str().unwrap_or("tcp").to_owned(),
            file: "compose.yaml".into(),
            line: 1,
        });
        let environment: std::collections::BTreeMap<_, _> = environment.collect();
        let named = environment
            .iter()
            .filter(|(key, _)| key.contains("POSTGRES_DB") || key.contains("PGDATABASE") || key.contains("URL"));
        let databases = named.map(|(key, variable)| Database {
            service: name.clone(),
            named: Named {
                kind: Kind::Postgres,
                name: variable.value.rsplit('/').next().unwrap_or_default().to_owned(),
                server: Server::Unknown,
                user: None,
                via: key.clone(),
            },
            origin: origin.clone(),
        });
        compose.services.insert(
            name.clone(),
            Service {
                name: name.clone(),
                active: true,
                image: service["image"].as_str().map(str::to_owned),
                network_mode: None,
                databases: databases.collect(),
                environment: environment.clone(),
                ports: ports.collect(),
                origin: origin.clone(),
            },
        );
    }
    Ok(Some(compose))
}
