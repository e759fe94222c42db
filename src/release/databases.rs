//! The databases that a rendered release names: in the environment and the commands of its containers,
//! in ConfigMaps and Secrets, and in the configuration files and init scripts inside them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::manifest::{Manifest, Rendered};
use super::pods::{self, ConfigSources, Pod};
use crate::database::{self, ContainerEnv, Named};

/// A database that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestDatabase {
    pub named: Named,
    /// helm's name of the template: `shop/templates/api.yaml`.
    pub source: String,
    /// `Deployment/api`.
    pub object: String,
    pub container: Option<String>,
}

/// Every database of a release. `namespace` is where objects go that name none.
pub fn databases(rendered: &Rendered, namespace: &str) -> Vec<ManifestDatabase> {
    let settings = ConfigSources::of(rendered, namespace);
    let mut found = vec![];
    for pod in pods::pods(rendered) {
        for container in pod.containers() {
            let name = container["name"].as_str().unwrap_or_default().to_owned();
            let named = of_container(&pod, container, &settings, namespace);
            found.extend(
                named
                    .into_iter()
                    .map(|named| database(named, pod.manifest, Some(name.clone()))),
            );
        }
    }
    for manifest in &rendered.manifests {
        let named = in_store(manifest);
        found.extend(
            named
                .into_iter()
                .map(|named| database(named, manifest, None)),
        );
    }
    found
}

/// The databases that one container names in its environment, its command and its hooks.
pub fn of_container(
    pod: &Pod,
    container: &Value,
    settings: &ConfigSources,
    namespace: &str,
) -> Vec<Named> {
    let image = container["image"].as_str();
    let environment = settings.environment(container, &pod.manifest.namespace(namespace));
    let variables: ContainerEnv = environment
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    let mut found = database::in_environment(image, &variables);
    let words = |value: &'_ Value| {
        pods::list(value)
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let command = [words(&container["command"]), words(&container["args"])].concat();
    let lifecycle = ["postStart", "preStop"]
        .map(|hook| words(&container["lifecycle"][hook]["exec"]["command"]));
    for (via, words) in [("command", command)]
        .into_iter()
        .chain(lifecycle.map(|words| ("lifecycle", words)))
    {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        found.extend(database::in_command(image, &words, &variables, via));
    }
    found
}

/// What a ConfigMap or Secret holds may be variables, configuration files and scripts at once.
fn in_store(manifest: &Manifest) -> Vec<Named> {
    if !matches!(manifest.kind(), "ConfigMap" | "Secret") {
        return vec![];
    }
    let data = pods::data(manifest);
    let variables: ContainerEnv = data
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    let mut found = database::in_environment(None, &variables);
    for (key, text) in data.iter().filter(|(_, text)| text.contains('\n')) {
        found.extend(in_file(key, text));
    }
    found.dedup();
    found
}

fn in_file(key: &str, text: &str) -> Vec<Named> {
    let settings: BTreeMap<String, String> = database::settings(text);
    let variables: ContainerEnv = settings
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    let mut found = database::in_text(None, text, key);
    for named in database::in_environment(None, &variables) {
        // A URL in a configuration file was found in its text.
        if !found
            .iter()
            .any(|other: &Named| (&other.name, &other.server) == (&named.name, &named.server))
        {
            found.push(Named {
                via: format!("{key}, {}", named.via),
                ..named
            });
        }
    }
    found
}

fn database(named: Named, manifest: &Manifest, container: Option<String>) -> ManifestDatabase {
    let object = manifest.object_name();
    ManifestDatabase {
        named,
        source: manifest.source.clone(),
        object,
        container,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Server;

    /// `name@host:port <- object via` of each finding.
    fn read(text: &str) -> Vec<String> {
        let rendered = Rendered::parse(text).unwrap();
        let show = |found: ManifestDatabase| {
            let server = match found.named.server {
                Server::At { host, port } => {
                    format!("{host}:{}", port.map_or("-".into(), |p| p.to_string()))
                }
                other => format!("{other:?}"),
            };
            format!(
                "{}@{server} <- {} {}",
                found.named.name, found.object, found.named.via
            )
        };
        databases(&rendered, "shop").into_iter().map(show).collect()
    }

    #[test]
    fn containers_name_databases_in_environment_and_command() {
        let text = r#"
apiVersion: batch/v1
kind: Job
metadata: {name: migrate}
spec:
  template:
    spec:
      initContainers:
      - {name: wait, image: postgres, command: [sh, -c, "until pg_isready -h $PGHOST -d app; do sleep 1; done"], env: [{name: PGHOST, value: db}]}
      containers:
      - name: migrate
        args: ["--url=postgres://db:5439/shop"]
        env: [{name: DB_NAME, value: litellm}, {name: DB_HOST, value: host.docker.internal}]
"#;
        assert_eq!(
            read(text),
            [
                "app@db:- <- Job/migrate command",
                "litellm@host.docker.internal:- <- Job/migrate DB_NAME",
                "shop@db:5439 <- Job/migrate command"
            ]
        );
    }

    #[test]
    fn configuration_files_and_init_scripts_in_stores_are_read() {
        let text = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: files}
data:
  config.yaml: |
    database: {host: db, name: shop}
    url: postgres://db/other
  init.sql: |
    CREATE DATABASE litellm;
    CREATE DATABASE keycloak;
  DATABASE_URL: postgres://db/app
"#;
        assert_eq!(
            read(text),
            [
                "app@db:- <- ConfigMap/files DATABASE_URL",
                "other@db:- <- ConfigMap/files config.yaml",
                "shop@db:- <- ConfigMap/files config.yaml, DATABASE_NAME",
                "litellm@Unknown <- ConfigMap/files init.sql",
                "keycloak@Unknown <- ConfigMap/files init.sql"
            ]
        );
    }
}
