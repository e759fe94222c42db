//! Which service of Compose serves Postgres, on which port of this machine, and how one logs in there.
//! Pure.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::POSTGRES_PORT;
use crate::compose::{Compose, Port, Service};
use crate::error::{Code, Error, Result, suggest};

/// A text that appears in no debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where the server is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// How devk itself reaches it.
    pub local: IpAddr,
    pub port: u16,
    pub reach: Reach,
}

/// From where a published port can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Every address of this machine.
    Everywhere,
    /// Loopback alone: pods need the relay.
    Loopback,
    /// This one address of the machine.
    At(IpAddr),
}

/// A password, or the file in the container that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Password {
    Plain(Secret),
    File(String),
}

/// The settings that the official image derives from its variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseCredentials {
    pub user: String,
    pub password: Password,
    /// The database that Compose's own services use.
    pub main: String,
}

/// The service with the name `named`, or the only one that serves Postgres: of several with the image of a server, the
/// only one that publishes its port, for a job beside the server (a backup, `psql`) has the server's image, too.
///
/// # Errors
/// [`Code::BridgeServer`] if there is none, or several.
pub fn service<'a>(compose: &'a Compose, named: Option<&str>) -> Result<&'a Service> {
    if let Some(name) = named {
        let service = compose
            .services
            .get(name)
            .ok_or_else(|| unknown(compose, name))?;
        return if may_serve(service) {
            Ok(service)
        } else {
            Err(another(compose, service))
        };
    }
    match serving(compose)[..] {
        [one] => Ok(one),
        [] => Err(Error::new(
            Code::BridgeServer,
            "no service of the Compose project serves Postgres",
        )
        .evidence(read(compose))
        .hint("name the service: `bridge: {postgres: {service: …}}`")),
        ref several => {
            let names: Vec<_> = several
                .iter()
                .map(|service| format!("`{}`", service.name))
                .collect();
            Err(Error::new(
                Code::BridgeServer,
                format!("{} all serve Postgres", names.join(" and ")),
            )
            .hint(format!(
                "choose one: `bridge: {{postgres: {{service: {}}}}}`",
                several[0].name
            )))
        }
    }
}

fn serving(compose: &Compose) -> Vec<&Service> {
    let services = compose.services.values();
    let all: Vec<_> = services
        .filter(|service| service.active && serves(service))
        .collect();
    let publishing: Vec<_> = all
        .iter()
        .copied()
        .filter(|service| publishes(service))
        .collect();
    match publishing.is_empty() {
        true => all,
        false => publishing,
    }
}

/// Whether Postgres' port of the service is open on this machine.
fn publishes(service: &Service) -> bool {
    let mut ports = service.ports.iter();
    ports.any(|port| port.target == u32::from(POSTGRES_PORT))
}

/// Something speaks for it: a service that is asked for by name may be of an image and a port of its own.
fn may_serve(service: &Service) -> bool {
    let has_port = || {
        service
            .ports
            .iter()
            .any(|port| port.target == u32::from(POSTGRES_PORT))
    };
    serves(service)
        || has_port()
        || service
            .environment
            .keys()
            .any(|key| key.starts_with("POSTGRES"))
}

fn another(compose: &Compose, service: &Service) -> Error {
    let hint = match serving(compose)[..] {
        [one] => format!("did you mean `{}`?", one.name),
        _ => format!(
            "if it does, publish its port {POSTGRES_PORT}, or set POSTGRES_USER and POSTGRES_PASSWORD there"
        ),
    };
    let Service {
        name,
        image,
        origin,
        ..
    } = service;
    Error::new(
        Code::BridgeServer,
        format!("Compose service `{name}` does not serve Postgres"),
    )
    .evidence(format!(
        "{}:{}: {}",
        origin.file.display(),
        origin.line,
        image.as_deref().unwrap_or("built there")
    ))
    .hint(hint)
}

fn unknown(compose: &Compose, name: &str) -> Error {
    let names: Vec<_> = compose.services.keys().map(String::as_str).collect();
    let hint = match suggest(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("its services are {}", names.join(", ")),
    };
    Error::new(
        Code::BridgeServer,
        format!("the Compose project has no service `{name}`"),
    )
    .evidence(read(compose))
    .hint(hint)
}

fn read(compose: &Compose) -> String {
    compose
        .files
        .iter()
        .map(|file| format!("read {}", file.display()))
        .collect::<Vec<_>>()
        .join("\n")
}

/// By the variables that make a server of the image, or by the image's name where there are none.
fn serves(service: &Service) -> bool {
    const VARIABLES: &[&str] = &[
        "POSTGRES_PASSWORD",
        "POSTGRES_PASSWORD_FILE",
        "POSTGRES_HOST_AUTH_METHOD",
        "POSTGRESQL_PASSWORD",
    ];
    let image = service.image.as_deref().is_some_and(is_server);
    image
        || publishes(service)
            && VARIABLES
                .iter()
                .any(|name| service.environment.contains_key(*name))
}

/// Images whose last word is the server's, whatever registry and tag: `postgres`, `pgvector`, `postgis`.
pub(super) fn is_server(image: &str) -> bool {
    const NAMES: &[&str] = &[
        "postgres",
        "postgresql",
        "pgvector",
        "postgis",
        "timescaledb",
        "timescaledb-ha",
    ];
    let name = image.rsplit('/').next().unwrap_or_default();
    NAMES.contains(&name.split([':', '@']).next().unwrap_or_default())
}

/// The port of this machine at which the server is published; one that every address has before others.
///
/// # Errors
/// [`Code::BridgePort`] if there is none, or none that is fixed.
pub fn published(service: &Service) -> Result<Published> {
    let tcp: Vec<_> = service
        .ports
        .iter()
        .filter(|port| port.protocol == "tcp")
        .collect();
    let own = tcp
        .iter()
        .copied()
        .filter(|port| port.target == u32::from(POSTGRES_PORT) || tcp.len() == 1);
    let mut found: Vec<_> = own.filter_map(fixed).collect();
    found.sort_by_key(|published| match published.reach {
        Reach::Everywhere => 0,
        Reach::At(_) => 1,
        Reach::Loopback => 2,
    });
    found.first().copied().ok_or_else(|| {
        let ports = service.ports.iter().map(|port| {
            format!(
                "{}:{}: {} → {}",
                port.file.display(),
                port.line,
                port.published.as_deref().unwrap_or("any"),
                port.target
            )
        });
        let message = format!(
            "Compose service `{}` publishes no fixed port for Postgres",
            service.name
        );
        Error::new(Code::BridgePort, message)
            .evidence(ports.collect::<Vec<_>>().join("\n"))
            .hint(format!("publish it: `ports: [\"5439:{POSTGRES_PORT}\"]`"))
            .at(&service.origin.file, service.origin.line)
    })
}

fn fixed(port: &Port) -> Option<Published> {
    let number = port
        .published
        .as_deref()?
        .parse()
        .ok()
        .filter(|number| *number != 0)?;
    let (local, reach) = match port
        .host_ip
        .as_deref()
        .map(|ip| ip.trim_matches(['[', ']']))
    {
        None | Some("" | "0.0.0.0" | "::") => (Ipv4Addr::LOCALHOST.into(), Reach::Everywhere),
        Some("localhost") => (Ipv4Addr::LOCALHOST.into(), Reach::Loopback),
        Some(ip) => match ip.parse::<IpAddr>().ok()? {
            ip if ip.is_loopback() => (ip, Reach::Loopback),
            ip => (ip, Reach::At(ip)),
        },
    };
    let local = if port.host_ip.as_deref() == Some("::") {
        Ipv6Addr::LOCALHOST.into()
    } else {
        local
    };
    Some(Published {
        local,
        port: number,
        reach,
    })
}

/// User, password and main database by the rules of the official image, and of Bitnami's.
pub fn credentials(service: &Service) -> DatabaseCredentials {
    let get = |names: &[&str]| {
        let values = names
            .iter()
            .filter_map(|name| service.environment.get(*name));
        values
            .map(|variable| variable.value.clone())
            .find(|value| !value.is_empty())
    };
    let user =
        get(&["POSTGRES_USER", "POSTGRESQL_USERNAME"]).unwrap_or_else(|| "postgres".to_owned());
    let main = get(&["POSTGRES_DB", "POSTGRESQL_DATABASE"]).unwrap_or_else(|| user.clone());
    let plain = get(&["POSTGRES_PASSWORD", "POSTGRESQL_PASSWORD"])
        .map(|text| Password::Plain(Secret(text)));
    let file = || get(&["POSTGRES_PASSWORD_FILE", "POSTGRESQL_PASSWORD_FILE"]).map(Password::File);
    // A server that trusts everybody takes any password, and charts want one.
    let any = || Password::Plain(Secret(user.clone()));
    DatabaseCredentials {
        password: plain.or_else(file).unwrap_or_else(any),
        user,
        main,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::compose::Variable;
    use crate::config::Origin;

    fn origin() -> Origin {
        Origin {
            file: "compose.yaml".into(),
            line: 3,
        }
    }

    fn service(
        name: &str,
        image: &str,
        environment: &[(&str, &str)],
        ports: &[(&str, &str, u32)],
    ) -> Service {
        let variable = |(key, value): &(&str, &str)| {
            (
                (*key).to_owned(),
                Variable {
                    value: (*value).to_owned(),
                    origin: origin(),
                },
            )
        };
        let port = |(ip, published, target): &(&str, &str, u32)| Port {
            service: name.to_owned(),
            host_ip: Some((*ip).to_owned()).filter(|ip| !ip.is_empty()),
            published: Some((*published).to_owned()).filter(|published| !published.is_empty()),
            target: *target,
            protocol: "tcp".to_owned(),
            file: "compose.yaml".into(),
            line: 9,
        };
        Service {
            name: name.to_owned(),
            active: true,
            image: Some(image.to_owned()),
            build: None,
            network_mode: None,
            environment: environment.iter().map(variable).collect(),
            ports: ports.iter().map(port).collect(),
            databases: vec![],
            development: Default::default(),
            origin: origin(),
        }
    }

    fn compose(services: Vec<Service>) -> Compose {
        let services: BTreeMap<_, _> = services
            .into_iter()
            .map(|service| (service.name.clone(), service))
            .collect();
        Compose {
            services,
            ..Compose::default()
        }
    }

    #[test]
    fn the_only_postgres_is_found_among_others() {
        let stack = compose(vec![
            service(
                "db",
                "registry.example/library/postgres:17@sha256:1",
                &[],
                &[],
            ),
            service(
                "admin",
                "dpage/pgadmin4",
                &[("POSTGRES_USER", "x")],
                &[("", "8080", 80)],
            ),
            service(
                "exporter",
                "postgres-exporter",
                &[("POSTGRES_PASSWORD", "x")],
                &[("", "9187", 9187)],
            ),
        ]);
        assert_eq!(super::service(&stack, None).unwrap().name, "db");
    }

    #[test]
    fn an_own_image_is_known_by_its_variables_and_port() {
        let stack = compose(vec![service(
            "store",
            "acme/store",
            &[("POSTGRES_PASSWORD", "x")],
            &[("", "5439", 5432)],
        )]);
        assert_eq!(super::service(&stack, None).unwrap().name, "store");
    }

    #[test]
    fn a_job_with_the_servers_image_that_publishes_nothing_is_no_server() {
        let port = [("", "5439", 5432)];
        let mut stack = compose(vec![
            service("backup", "postgres:17", &[("PGHOST", "db")], &[]),
            service("db", "postgres:17", &[], &port),
        ]);
        assert_eq!(super::service(&stack, None).unwrap().name, "db");
        let second = service("other", "postgres:17", &[], &[("", "5440", 5432)]);
        stack.services.insert("other".into(), second);
        let error = super::service(&stack, None).unwrap_err();
        assert_eq!(error.message, "`db` and `other` all serve Postgres");
    }

    #[test]
    fn several_servers_are_named_and_one_that_is_asked_for_is_taken() {
        let stack = compose(vec![
            service("a", "postgres", &[], &[]),
            service("b", "postgres", &[], &[]),
        ]);
        let error = super::service(&stack, None).unwrap_err();
        assert_eq!(
            (error.code, error.message.as_str()),
            (Code::BridgeServer, "`a` and `b` all serve Postgres")
        );
        assert_eq!(super::service(&stack, Some("b")).unwrap().name, "b");
        let error = super::service(&stack, Some("c")).unwrap_err();
        assert!(error.hint.is_some_and(|hint| hint.contains("did you mean")));
    }

    #[test]
    fn a_service_that_is_asked_for_has_to_look_like_a_server() {
        let stack = compose(vec![
            service("db", "postgres", &[], &[]),
            service("own", "acme/store", &[], &[("", "5439", 5432)]),
            service(
                "other",
                "acme/store",
                &[("POSTGRES_USER", "x")],
                &[("", "5440", 5433)],
            ),
            service("cache", "redis:7", &[], &[("", "6379", 6379)]),
        ]);
        for name in ["db", "own", "other"] {
            assert_eq!(super::service(&stack, Some(name)).unwrap().name, name);
        }
        let error = super::service(&stack, Some("cache")).unwrap_err();
        assert_eq!(
            (error.code, error.message.as_str()),
            (
                Code::BridgeServer,
                "Compose service `cache` does not serve Postgres"
            )
        );
        assert_eq!(
            (error.evidence[0].as_str(), error.hint.as_deref()),
            ("compose.yaml:3: redis:7", Some("did you mean `db`?"))
        );
    }

    #[test]
    fn the_published_address_decides_how_pods_reach_it() {
        let at =
            |ip: &str| published(&service("db", "postgres", &[], &[(ip, "5439", 5432)])).unwrap();
        let everywhere = Published {
            local: Ipv4Addr::LOCALHOST.into(),
            port: 5439,
            reach: Reach::Everywhere,
        };
        assert_eq!(["", "0.0.0.0"].map(at), [everywhere; 2]);
        assert_eq!(at("::").local, IpAddr::from(Ipv6Addr::LOCALHOST));
        assert_eq!(
            ["127.0.0.1", "127.0.0.2", "::1"].map(|ip| at(ip).reach),
            [Reach::Loopback; 3]
        );
        let lan: IpAddr = [192, 168, 1, 5].into();
        assert_eq!(
            (at("192.168.1.5").local, at("192.168.1.5").reach),
            (lan, Reach::At(lan))
        );
    }

    #[test]
    fn a_port_that_every_address_has_is_preferred_to_one_on_loopback() {
        let both = service(
            "db",
            "postgres",
            &[],
            &[("127.0.0.1", "5439", 5432), ("", "5440", 5432)],
        );
        assert_eq!(published(&both).unwrap().port, 5440);
    }

    #[test]
    fn a_port_that_docker_picks_is_refused() {
        for text in ["", "0", "5439-5441"] {
            let error =
                published(&service("db", "postgres", &[], &[("", text, 5432)])).unwrap_err();
            assert_eq!(
                (error.code, error.line),
                (Code::BridgePort, Some(3)),
                "{text}"
            );
        }
    }

    #[test]
    fn credentials_follow_the_images_defaults() {
        let bare = credentials(&service(
            "db",
            "postgres",
            &[("POSTGRES_HOST_AUTH_METHOD", "trust")],
            &[],
        ));
        assert_eq!(
            (bare.user.as_str(), bare.main.as_str()),
            ("postgres", "postgres")
        );
        let named = [
            ("POSTGRES_USER", "shop"),
            ("POSTGRES_PASSWORD_FILE", "/run/secrets/db"),
            ("POSTGRES_DB", ""),
        ];
        let named = credentials(&service("db", "postgres", &named, &[]));
        assert_eq!((named.user.as_str(), named.main.as_str()), ("shop", "shop"));
        assert_eq!(named.password, Password::File("/run/secrets/db".into()));
    }

    #[test]
    fn a_password_appears_in_no_debug_output() {
        let all = credentials(&service(
            "db",
            "postgres",
            &[("POSTGRES_PASSWORD", "hunter2")],
            &[],
        ));
        assert!(!format!("{all:?}").contains("hunter2"));
    }
}
