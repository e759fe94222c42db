//! A Postgres that the chart still runs beside Compose's, because no value is known to turn it off. Pure.

use serde_json::Value;

use super::POSTGRES_PORT;
use super::convention::{ValuePaths, has_place};
use super::source::is_server;
use crate::release::manifest::{Manifest, Rendered};
use crate::release::pods::{Pod, list, pods};

/// What the release runs of its own, each with the line that would turn it off. Where a value is turned off, what is
/// still there is not the database that the bridge replaces.
pub(super) fn stays(paths: &ValuePaths, values: &Value, rendered: &Rendered) -> Vec<String> {
    if paths.enabled.is_some() {
        return vec![];
    }
    let pods = pods(rendered).into_iter();
    let servers = pods.filter(runs_server).map(|pod| pod.manifest);
    servers.map(|server| said(server, values)).collect()
}

/// A program that only talks to a server (a dump, a wait) has a command, and no port.
fn runs_server(pod: &Pod<'_>) -> bool {
    let is_server = |container: &Value| {
        let image = container["image"].as_str().is_some_and(is_server);
        let mut ports = list(&container["ports"]);
        let is_open = ports.any(|port| port["containerPort"] == POSTGRES_PORT);
        image && (is_open || container["command"].is_null() && container["args"].is_null())
    };
    matches!(pod.manifest.kind(), "StatefulSet" | "Deployment")
        && list(&pod.spec["containers"]).any(is_server)
}

fn said(server: &Manifest, values: &Value) -> String {
    let path = switch_of(server, values).unwrap_or_else(|| "path.to.enabled".to_owned());
    format!(
        "the chart's own `{}` stays beside Compose's server: devk does not know which value turns it off; name the value: `bridge: {{postgres: {{values: {{enabled: {path}}}}}}}`",
        server.object_name()
    )
}

/// `pg-main.enabled` for what `shop/charts/pg-main/templates/statefulset.yaml` renders, if the values have such a block.
fn switch_of(server: &Manifest, values: &Value) -> Option<String> {
    let (_, below) = server.source.split_once("/charts/")?;
    let (subchart, _) = below.split_once('/')?;
    let path = format!("{subchart}.enabled");
    (!subchart.contains('.') && has_place(values, &path)).then_some(path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::convention::ConnectionPaths;
    use super::*;

    fn paths(enabled: Option<&str>) -> ValuePaths {
        ValuePaths {
            enabled: enabled.map(str::to_owned),
            connection: ConnectionPaths::Url {
                path: "databaseUrl".into(),
                like: None,
            },
        }
    }

    fn rendered(source: &str, kind: &str, container: &str) -> Rendered {
        Rendered::parse(&format!(
            "---\n# Source: {source}\napiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: store}}\nspec: {{template: {{spec: {{containers: [{container}]}}}}}}\n"
        ))
        .unwrap()
    }

    const SERVER: &str = "{name: db, image: 'bitnami/postgresql:17'}";

    #[test]
    fn a_server_that_no_value_turns_off_is_told_with_the_line_to_write() {
        let values = json!({"databaseUrl": "postgres://a@b/c", "pg-main": {"persistence": {}}});
        let told = |source: &str| {
            stays(
                &paths(None),
                &values,
                &rendered(source, "StatefulSet", SERVER),
            )
        };
        assert_eq!(
            told("shop/charts/pg-main/templates/primary.yaml"),
            [
                "the chart's own `StatefulSet/store` stays beside Compose's server: devk does not know which value turns it off; name the value: `bridge: {postgres: {values: {enabled: pg-main.enabled}}}`"
            ]
        );
        for source in [
            "shop/templates/db.yaml",
            "shop/charts/unsaid/templates/db.yaml",
        ] {
            let told = told(source);
            assert!(
                told[0].ends_with("{enabled: path.to.enabled}}}`"),
                "{told:?}"
            );
        }
        let turned_off = paths(Some("postgresql.enabled"));
        let rendered = rendered("shop/templates/db.yaml", "StatefulSet", SERVER);
        assert!(stays(&turned_off, &values, &rendered).is_empty());
    }

    #[test]
    fn a_client_with_the_servers_image_is_no_server() {
        let count = |kind: &str, container: &str| {
            let rendered = rendered("shop/templates/db.yaml", kind, container);
            stays(&paths(None), &json!({}), &rendered).len()
        };
        let dump = "{name: dump, image: 'postgres:17', command: [pg_dump]}";
        assert_eq!(count("Deployment", dump), 0);
        assert_eq!(count("Job", SERVER), 0);
        assert_eq!(count("Deployment", "{name: api, image: 'acme/api:1'}"), 0);
        let tuned = "{name: db, image: 'postgres:17', args: [-c, fsync=off], ports: [{containerPort: 5432}]}";
        assert_eq!(count("Deployment", tuned), 1);
        assert_eq!(count("StatefulSet", SERVER), 1);
    }
}
