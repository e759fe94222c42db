//! Databases that would be shared: a name that Compose uses, and what the charts name on the bridged server
//! beside the database that devk makes. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::chart::KnownValues;
use super::{Bridge, name, server, service};
use crate::compose::{Compose, ComposeDatabase};
use crate::database::{Kind, MACHINE, Server};
use crate::error::{Code, Error, Errors, Result};
use crate::release::databases::ManifestDatabase;
use crate::release::value_path::{names_database, value_path};

/// No service of Compose uses a database of this name; `main` is the server's own.
///
/// # Errors
/// [`Code::BridgeInUse`] with every place that names it.
pub fn unused(name: &str, main: &str, compose: &Compose) -> Result<()> {
    let users = users(name, compose);
    let message = match users.first() {
        Some(first) => format!(
            "database `{name}` is used by Compose service `{}`",
            first.service
        ),
        None if name == main => format!("database `{name}` is the one that Compose uses"),
        None => return Ok(()),
    };
    Err(Error::new(Code::BridgeInUse, message)
        .evidence(places(&users))
        .hint(format!(
            "give the cluster one of its own: `bridge: {{postgres: {{database: {}}}}}`",
            name::default(name, None)
        )))
}

/// Where Compose's services name a database of Postgres.
fn users<'a>(name: &str, compose: &'a Compose) -> Vec<&'a ComposeDatabase> {
    let all = compose
        .services
        .values()
        .flat_map(|service| &service.databases);
    all.filter(|database| database.named.kind == Kind::Postgres && database.named.name == name)
        .collect()
}

fn places(users: &[&ComposeDatabase]) -> String {
    let place = |user: &&ComposeDatabase| {
        let ComposeDatabase {
            service,
            named,
            origin,
        } = user;
        format!(
            "{}:{}: service `{service}`, {}",
            origin.file.display(),
            origin.line,
            named.via
        )
    };
    users.iter().map(place).collect::<Vec<_>>().join("\n")
}

/// The other databases that the charts want on the bridged server.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct OtherDatabases {
    /// Nobody but this project uses them.
    pub apart: BTreeSet<String>,
    /// Those that Compose or somebody else uses, and the separate database of each.
    pub mapped: BTreeMap<String, String>,
}

/// Finds the other databases that the charts want on the bridged server.
///
/// # Errors
/// [`Code::BridgeShared`] for each that Compose uses or that is somebody else's and for which there can be no relay, or
/// no separate database, with the manifest that names it and the values that hold its name.
pub fn others(
    bridge: &Bridge,
    compose: &Compose,
    namespace: &str,
    databases: &[ManifestDatabase],
) -> Result<OtherDatabases, Errors> {
    let mut others = OtherDatabases::default();
    let mut problems = Vec::<Error>::new();
    let mut seen = BTreeSet::from([bridge.database.as_str()]);
    // A name without an address is on this server where the charts run none of their own.
    let runs_own = databases
        .iter()
        .any(|found| found.named.kind == Kind::Postgres && found.named.server == Server::Own);
    let there = |found: &&ManifestDatabase| match &found.named.server {
        Server::Unknown => !runs_own,
        server => leads_there(bridge, server, namespace),
    };
    let postgres = databases
        .iter()
        .filter(|found| found.named.kind == Kind::Postgres);
    for found in postgres.filter(there) {
        let name = found.named.name.as_str();
        if !seen.insert(name) {
            continue;
        }
        match apart(bridge, compose, name) {
            Ok(()) if name::is_reserved(name) => {}
            Ok(()) => drop(others.apart.insert(name.to_owned())),
            // The relay is not on the way to any other address.
            Err(error) if !leads_to_service(found, namespace) => {
                problems.push(explained(error, found, &bridge.charts));
            }
            Err(cause) => match instead(bridge, compose, name, cause) {
                Ok(separate) => drop(others.mapped.insert(name.to_owned(), separate)),
                Err(error) => problems.push(explained(error, found, &bridge.charts)),
            },
        }
    }
    Errors::unless_empty(problems, others)
}

/// The address is that of devk's Service, or there is none that devk can read.
fn leads_to_service(found: &ManifestDatabase, namespace: &str) -> bool {
    match &found.named.server {
        Server::At { host, .. } => service::is_host(host, namespace),
        Server::Own | Server::Unknown => true,
    }
}

/// The address is that of devk's Service, or of the machine with Compose's port.
fn leads_there(bridge: &Bridge, server: &Server, namespace: &str) -> bool {
    match server {
        Server::At { host, .. } if service::is_host(host, namespace) => true,
        Server::At { host, port } => {
            MACHINE.contains(&host.as_str()) && *port == Some(bridge.published.port)
        }
        Server::Own | Server::Unknown => false,
    }
}

/// The separate database that a chart gets in place of one that is not its own, for this `cause`.
fn instead(bridge: &Bridge, compose: &Compose, name: &str, cause: Error) -> Result<String> {
    if bridge.no_relay.is_some() {
        return Err(cause);
    }
    if name == bridge.login.main {
        return Ok(bridge.database.clone());
    }
    let separate = name::default(name, bridge.worktree.as_deref());
    apart(bridge, compose, &separate).map(|()| separate)
}

/// Nobody but this project uses the database.
fn apart(bridge: &Bridge, compose: &Compose, name: &str) -> Result<()> {
    unused(name, &bridge.login.main, compose)?;
    if name::is_reserved(name) {
        // The server's own; charts log in there to look whether it runs.
        return Ok(());
    }
    name::check(name)?;
    bridge.catalog.databases.get(name).map_or(Ok(()), |there| {
        server::check_owner(name, there, &bridge.mark)
    })
}

fn explained(cause: Error, found: &ManifestDatabase, charts: &[KnownValues]) -> Error {
    let ManifestDatabase {
        object,
        source,
        named,
        ..
    } = found;
    let name = &named.name;
    let host = match &named.server {
        Server::At { host, .. } => host.as_str(),
        Server::Own | Server::Unknown => "",
    };
    let paths = charts
        .iter()
        .filter_map(|chart| value_path(&chart.values, name, names_database, host));
    let paths: Vec<_> = paths.collect();
    let error = Error::new(
        Code::BridgeShared,
        format!(
            "`{object}` would share database `{name}`: {}",
            cause.message
        ),
    )
    .evidence(format!("{source}: {object}, {}", named.via))
    .evidence(cause.evidence.join("\n"));
    let separate = name::default(name, None);
    match &paths[..] {
        [path] => error
            .evidence(format!("value `{path}` is `{name}`"))
            .hint(format!(
                "give it a name of its own: set `{path}` to `{separate}`"
            )),
        _ => error.hint(format!(
            "name a database of the cluster's own there: {separate}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use serde_json::{Value, json};

    use super::super::convention::{ConnectionPaths, ValuePaths};
    use super::super::server::{Catalog, CatalogDatabase, Login, Mark};
    use super::super::source::{Published, Reach, Secret};
    use super::*;
    use crate::compose::Service;
    use crate::config::Origin;
    use crate::database::Named;
    use crate::owner::Owner;

    fn named(name: &str, server: Server) -> Named {
        Named {
            kind: Kind::Postgres,
            name: name.into(),
            server,
            user: None,
            via: "DATABASE_URL".into(),
        }
    }

    /// A stack whose service `worker` uses these databases.
    fn compose(names: &[&str]) -> Compose {
        let origin = Origin {
            file: "compose.yaml".into(),
            line: 7,
        };
        let database = |name: &&str| ComposeDatabase {
            service: "worker".into(),
            named: named(name, Server::Unknown),
            origin: origin.clone(),
        };
        let worker = Service {
            name: "worker".into(),
            active: true,
            image: None,
            build: None,
            network_mode: None,
            environment: Default::default(),
            ports: vec![],
            databases: names.iter().map(database).collect(),
            development: Default::default(),
            origin: origin.clone(),
        };
        Compose {
            services: [("worker".to_owned(), worker)].into(),
            ..Compose::default()
        }
    }

    /// To `shop_k8s`, on a server that also has `made` (by devk) and `old` (by somebody else).
    fn bridge(values: Value) -> Bridge {
        let owner = Owner {
            root: "/p".into(),
            user: None,
            machine: None,
        };
        let mark = Mark::of("shop", &owner);
        let there = [
            ("made", Some(mark.clone())),
            ("old", None),
            ("postgres", None),
        ];
        let databases = there
            .map(|(name, mark)| (name.to_owned(), CatalogDatabase { mark }))
            .into();
        Bridge {
            service: "db".into(),
            release: "shop".into(),
            database: "shop_k8s".into(),
            also: BTreeSet::new(),
            mapped: BTreeMap::new(),
            stays: vec![],
            worktree: None,
            no_relay: None,
            login: Login {
                address: ([127, 0, 0, 1], 5439).into(),
                user: "shop".into(),
                password: Secret(String::new()),
                main: "shop".into(),
            },
            published: Published {
                local: Ipv4Addr::LOCALHOST.into(),
                port: 5439,
                reach: Reach::Everywhere,
            },
            relay: false,
            made: false,
            mark,
            catalog: Catalog {
                databases,
                may_create: true,
                extensions: BTreeSet::new(),
            },
            paths: ValuePaths {
                enabled: None,
                connection: ConnectionPaths::Url {
                    path: String::new(),
                    like: None,
                },
            },
            charts: vec![KnownValues {
                release: "shop".into(),
                values,
            }],
            drop: String::new(),
        }
    }

    fn bridged(name: &str) -> ManifestDatabase {
        at(name, "devk-bridge-postgres.shop.svc", Some(5439))
    }

    fn at(name: &str, host: &str, port: Option<u16>) -> ManifestDatabase {
        rendered(named(
            name,
            Server::At {
                host: host.into(),
                port,
            },
        ))
    }

    fn rendered(named: Named) -> ManifestDatabase {
        let source = "shop/templates/litellm.yaml".into();
        let object = "Deployment/litellm".into();
        ManifestDatabase {
            named,
            source,
            object,
            container: None,
        }
    }

    #[test]
    fn a_name_that_compose_uses_is_refused_with_its_place() {
        let error = unused("jobs", "shop", &compose(&["jobs"])).unwrap_err();
        assert_eq!(
            error.message,
            "database `jobs` is used by Compose service `worker`"
        );
        assert_eq!(
            error.evidence,
            ["compose.yaml:7: service `worker`, DATABASE_URL"]
        );
        assert_eq!(
            unused("shop", "shop", &compose(&[])).unwrap_err().code,
            Code::BridgeInUse
        );
        unused("shop_k8s", "shop", &compose(&["jobs"])).unwrap();
    }

    /// Where devk's relay cannot be on the way.
    fn direct(values: Value) -> Bridge {
        Bridge {
            no_relay: Some(Error::new(Code::BridgeRelay, "elsewhere")),
            ..bridge(values)
        }
    }

    fn mapped(names: &[(&str, &str)]) -> BTreeMap<String, String> {
        let names = names.iter();
        names
            .map(|(asked, real)| ((*asked).to_owned(), (*real).to_owned()))
            .collect()
    }

    #[test]
    fn a_database_of_composes_or_of_somebody_else_gets_a_separate_one_instead() {
        let bridge = bridge(json!({}));
        let wanted = [
            bridged("litellm"),
            bridged("shop"),
            bridged("old"),
            bridged("own"),
        ];
        let found = others(&bridge, &compose(&["litellm"]), "shop", &wanted).unwrap();
        let expected = [
            ("litellm", "litellm_k8s"),
            ("shop", "shop_k8s"),
            ("old", "old_k8s"),
        ];
        assert_eq!(found.mapped, mapped(&expected));
        assert_eq!(found.apart, ["own".to_owned()].into());
        // Compose uses that name, too.
        let taken = compose(&["litellm", "litellm_k8s"]);
        let errors = others(&bridge, &taken, "shop", &[bridged("litellm")]).unwrap_err();
        assert!(
            errors.0[0]
                .message
                .contains("`litellm_k8s` is used by Compose"),
            "{errors:?}"
        );
    }

    #[test]
    fn without_a_relay_a_database_that_compose_uses_stops_the_plan_and_names_the_value() {
        let bridge = direct(
            json!({"litellm": {"db": {"name": "litellm"}}, "api": {"env": {"PROVIDER": "litellm"}}}),
        );
        let found = [bridged("shop_k8s"), bridged("litellm")];
        let errors = others(&bridge, &compose(&["litellm"]), "shop", &found).unwrap_err();
        let [error] = &errors.0[..] else {
            panic!("{errors:?}")
        };
        assert_eq!(error.code, Code::BridgeShared);
        assert!(
            error.evidence.contains(
                &"shop/templates/litellm.yaml: Deployment/litellm, DATABASE_URL".to_owned()
            )
        );
        assert_eq!(
            error.hint.as_deref(),
            Some("give it a name of its own: set `litellm.db.name` to `litellm_k8s`")
        );
    }

    #[test]
    fn one_that_is_apart_is_made_too_and_one_of_somebody_else_is_not() {
        let bridge = direct(json!({}));
        let wanted = [bridged("litellm_k8s"), bridged("made"), bridged("postgres")];
        let found = others(&bridge, &compose(&["litellm"]), "shop", &wanted).unwrap();
        assert_eq!(
            found.apart,
            ["litellm_k8s", "made"].map(str::to_owned).into()
        );
        let errors = others(
            &bridge,
            &compose(&[]),
            "shop",
            &[bridged("old"), bridged("shop")],
        )
        .unwrap_err();
        assert_eq!(errors.0.len(), 2, "{errors:?}");
    }

    #[test]
    fn the_machine_with_composes_port_is_composes_server_and_another_port_is_not() {
        let bridge = bridge(json!({}));
        let compose = compose(&["litellm"]);
        let look = |host: &str, port| {
            others(
                &bridge,
                &compose,
                "shop",
                &[at("litellm", host, Some(port))],
            )
        };
        assert!(look("host.docker.internal", 5439).is_err());
        assert!(look("host.containers.internal", 5439).is_err());
        assert_eq!(
            look("host.docker.internal", 5432),
            Ok(OtherDatabases::default())
        );
        assert_eq!(look("db.example.com", 5439), Ok(OtherDatabases::default()));
    }

    #[test]
    fn a_name_without_an_address_counts_unless_the_chart_runs_a_server_of_its_own() {
        let bridge = bridge(json!({}));
        let compose = compose(&["litellm"]);
        let unknown = rendered(named("litellm", Server::Unknown));
        let found = others(&bridge, &compose, "shop", std::slice::from_ref(&unknown));
        assert_eq!(found.unwrap().mapped, mapped(&[("litellm", "litellm_k8s")]));
        let own = rendered(named("litellm", Server::Own));
        assert_eq!(
            others(&bridge, &compose, "shop", &[unknown, own]),
            Ok(OtherDatabases::default())
        );
    }
}
