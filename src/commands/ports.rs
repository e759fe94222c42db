//! `devk ports`: the offset table, the ports that Compose publishes, and the Services that cannot be forwarded.

use super::{Context, compose_ports};
use crate::bridge::Switch;
use crate::compose::Compose;
use crate::config::Project;
use crate::daemon::client;
use crate::environment::Environment;
use crate::error::{Errors, Exit, Result};
use crate::observe::Own;
use crate::observe::table::{Table, Unseen, table};
use crate::plan::Skipped;
use crate::ports::Forward;
use crate::ports::table::OFFSET;
use crate::ui::{self, Format};

/// Prints the table; with `markdown`, as tables for a README or a pull request.
///
/// # Errors
/// Every problem that prevents the table, if no session has one.
pub async fn run(context: &Context, markdown: bool) -> Result<Exit, Errors> {
    let project = context.project()?;
    let table = shown(context, &project).await?;
    match context.format {
        Format::Json => ui::json(&document(&table))?,
        Format::Table if markdown => ui::out(&each(&table, ui::markdown))?,
        Format::Table => ui::out(&each(&table, ui::table))?,
    }
    Ok(Exit::Ok)
}

/// The running session's rows, or else those that `up` would make now.
///
/// # Errors
/// Every problem that prevents the table, if no session has one.
pub async fn forwards(context: &Context, project: &Project) -> Result<Vec<Forward>, Errors> {
    let held = held(context, project).await?;
    if !held.is_empty() {
        return Ok(held);
    }
    let (paths, _scratch) = context.paths.for_looking(&project.id)?;
    let (own, environment) = (Own::default(), Environment::of_process());
    let planned = table(project, &paths, &own, &environment, Switch::Configured).await?;
    Ok(planned.with_compose()?.forwards)
}

async fn held(context: &Context, project: &Project) -> Result<Vec<Forward>> {
    let session = client::status(&context.paths, &project.id).await?;
    Ok(session
        .into_iter()
        .flat_map(|session| session.forwards)
        .map(|held| held.forward)
        .collect())
}

/// The ports of a running session are shown whatever the files say now; what the files say is shown beside, if they
/// still can be read.
async fn shown(context: &Context, project: &Project) -> Result<Table, Errors> {
    let session = client::status(&context.paths, &project.id).await?;
    let bridged = session
        .as_ref()
        .and_then(|s| s.outcome.as_ref())
        .map(|outcome| outcome.bridge.is_some());
    let switch = bridged.map_or(Switch::Configured, |on| {
        if on { Switch::On } else { Switch::Off }
    });
    let held: Vec<_> = session
        .into_iter()
        .flat_map(|s| s.forwards)
        .map(|held| held.forward)
        .collect();
    let own = Own {
        ports: held.iter().map(|forward| forward.local).collect(),
        images: vec![],
    };
    let (paths, _scratch) = context.paths.for_looking(&project.id)?;
    let planned = table(project, &paths, &own, &Environment::of_process(), switch).await;
    if held.is_empty() {
        return planned;
    }
    let beside = planned.unwrap_or_else(|errors| {
        let unseen = errors.0.into_iter().map(|error| Unseen {
            what: "what `up` would do now",
            error,
        });
        Table {
            unseen: unseen.collect(),
            ..Table::default()
        }
    });
    Ok(Table {
        forwards: held,
        ..beside
    })
}

/// The contract of `devk ports --format json`.
fn document(table: &Table) -> serde_json::Value {
    let compose: Vec<_> = table.compose.iter().flat_map(Compose::published).collect();
    let inactive: Vec<_> = table.compose.iter().flat_map(Compose::inactive).collect();
    serde_json::json!({
        "version": 1,
        "forwards": table.forwards,
        "compose": compose,
        "inactive": inactive,
        "skipped": table.skipped,
        "unseen": table.unseen,
    })
}

/// The table and the lists below it, each by `layout`.
fn each(table: &Table, layout: fn(&[Vec<String>]) -> String) -> String {
    let compose = || table.compose.iter();
    let lists = [
        with_head(
            ["NAME", "ADDRESS", "SERVICE", "WHY"],
            table.forwards.iter().map(forward_row),
        ),
        compose_ports::list("COMPOSE", compose().flat_map(Compose::published)),
        compose_ports::list("NOT ACTIVE", compose().flat_map(Compose::inactive)),
        with_head(["SKIPPED", "WHY"], table.skipped.iter().map(skipped_row)),
        with_head(
            ["NOT LOOKED AT", "WHY"],
            table.unseen.iter().map(unseen_row),
        ),
    ];
    ui::lists(&lists, layout)
}

fn with_head<const N: usize>(
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> Vec<Vec<String>> {
    std::iter::once(head.map(str::to_owned))
        .chain(rows)
        .map(Vec::from)
        .collect()
}

fn forward_row(forward: &Forward) -> [String; 4] {
    let address = format!("127.0.0.1:{}", forward.local);
    [
        forward.name.clone(),
        address,
        format!("{}:{}", forward.service, forward.remote),
        why(forward),
    ]
}

fn why(forward: &Forward) -> String {
    // A row without a reason is at its base port + 10000.
    let base = forward.local.saturating_sub(OFFSET);
    match &forward.moved {
        Some(moved) => moved.clone(),
        None if base == forward.remote => format!("{base} + {OFFSET}"),
        None => format!("container port {base} + {OFFSET}"),
    }
}

fn skipped_row(skipped: &Skipped) -> [String; 2] {
    let port = skipped
        .port
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    [format!("{}{port}", skipped.service), skipped.reason.clone()]
}

fn unseen_row(unseen: &Unseen) -> [String; 2] {
    [unseen.what.to_owned(), unseen.error.on_one_line()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::{Port, Service};
    use crate::config::Origin;
    use crate::error::{Code, Error};

    fn forward(name: &str, remote: u16, local: u16, moved: Option<&str>) -> Forward {
        Forward {
            name: name.into(),
            namespace: "shop".into(),
            service: format!("shop-{name}"),
            remote,
            local,
            url: format!("http://127.0.0.1:{local}"),
            moved: moved.map(str::to_owned),
        }
    }

    fn compose() -> Compose {
        let port = Port {
            service: "db".into(),
            host_ip: Some("::1".into()),
            published: Some("5439".into()),
            target: 5432,
            protocol: "tcp".into(),
            file: "compose.yaml".into(),
            line: 12,
        };
        let service = |name: &str, active, ports| Service {
            name: name.into(),
            active,
            image: None,
            build: None,
            network_mode: None,
            environment: Default::default(),
            ports,
            databases: vec![],
            development: Default::default(),
            origin: Origin {
                file: "compose.yaml".into(),
                line: 1,
            },
        };
        let any = Port {
            host_ip: None,
            published: None,
            ..port.clone()
        };
        let of_off = Port {
            service: "off".into(),
            ..port.clone()
        };
        let off = service("off", false, vec![of_off]);
        let services = [
            ("db".into(), service("db", true, vec![port, any])),
            ("off".into(), off),
        ]
        .into();
        Compose {
            services,
            ..Compose::default()
        }
    }

    fn full() -> Table {
        let skipped = |port| Skipped {
            namespace: "shop".into(),
            service: "dns".into(),
            port,
            reason: "UDP".into(),
        };
        Table {
            forwards: vec![
                forward("api", 5000, 15000, None),
                forward("auth", 80, 18080, None),
                forward(
                    "runner",
                    8080,
                    28080,
                    Some("18080 is held by forward `auth`"),
                ),
            ],
            compose: Some(compose()),
            skipped: vec![skipped(Some(53)), skipped(None)],
            unseen: vec![Unseen {
                what: "containers",
                error: Error::new(Code::DockerUnavailable, "no answer"),
            }],
        }
    }

    #[test]
    fn the_text_shows_every_list_that_has_something() {
        insta::assert_snapshot!(each(&full(), ui::table), @r"
        NAME    ADDRESS          SERVICE           WHY
        api     127.0.0.1:15000  shop-api:5000     5000 + 10000
        auth    127.0.0.1:18080  shop-auth:80      container port 8080 + 10000
        runner  127.0.0.1:28080  shop-runner:8080  18080 is held by forward `auth`

        COMPOSE  PUBLISHED      CONTAINER  WHERE
        db       [::1]:5439     5432/tcp   compose.yaml:12
        db       any free port  5432/tcp   compose.yaml:12

        NOT ACTIVE  PUBLISHED   CONTAINER  WHERE
        off         [::1]:5439  5432/tcp   compose.yaml:12

        SKIPPED  WHY
        dns:53   UDP
        dns      UDP

        NOT LOOKED AT  WHY
        containers     no answer
        ");
        let bare = Table {
            forwards: full().forwards,
            ..Table::default()
        };
        assert_eq!(each(&bare, ui::table).lines().count(), 4);
    }

    #[test]
    fn markdown_has_the_same_lists() {
        insta::assert_snapshot!(each(&full(), ui::markdown), @r"
        | NAME | ADDRESS | SERVICE | WHY |
        | --- | --- | --- | --- |
        | api | 127.0.0.1:15000 | shop-api:5000 | 5000 + 10000 |
        | auth | 127.0.0.1:18080 | shop-auth:80 | container port 8080 + 10000 |
        | runner | 127.0.0.1:28080 | shop-runner:8080 | 18080 is held by forward `auth` |

        | COMPOSE | PUBLISHED | CONTAINER | WHERE |
        | --- | --- | --- | --- |
        | db | [::1]:5439 | 5432/tcp | compose.yaml:12 |
        | db | any free port | 5432/tcp | compose.yaml:12 |

        | NOT ACTIVE | PUBLISHED | CONTAINER | WHERE |
        | --- | --- | --- | --- |
        | off | [::1]:5439 | 5432/tcp | compose.yaml:12 |

        | SKIPPED | WHY |
        | --- | --- |
        | dns:53 | UDP |
        | dns | UDP |

        | NOT LOOKED AT | WHY |
        | --- | --- |
        | containers | no answer |
        ");
    }

    #[test]
    fn the_document_keeps_its_contract() {
        let document = document(&full());
        assert_eq!(document["version"], 1);
        assert_eq!(
            document["forwards"][0],
            serde_json::json!({"name": "api", "namespace": "shop", "service": "shop-api", "remote": 5000,
                "local": 15000, "url": "http://127.0.0.1:15000", "moved": null})
        );
        assert_eq!(
            document["compose"],
            serde_json::json!([
                {"service": "db", "host_ip": "::1", "published": "5439", "target": 5432, "protocol": "tcp",
                 "file": "compose.yaml", "line": 12},
                {"service": "db", "host_ip": null, "published": null, "target": 5432, "protocol": "tcp",
                 "file": "compose.yaml", "line": 12},
            ])
        );
        assert_eq!(document["inactive"].as_array().unwrap().len(), 1);
        assert_eq!(document["unseen"][0]["error"]["code"], "docker.unavailable");
    }
}
