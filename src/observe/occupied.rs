//! Host ports that are reserved whether or not a program listens on them: those of Compose files, containers and other
//! projects. `ports::allocate` looks at listeners.

use crate::compose::{Compose, Port, Service};
use crate::config::Project;
use crate::docker::{self, Engine, PublishedPort, host_ports};
use crate::error::{Errors, Result};
use crate::paths::Paths;
use crate::ports::{Leases, Lessee, OccupiedPorts};

/// What Compose files, containers (those of `engine`, if there is one) and other projects take, the most
/// telling holder of a port first.
pub(super) async fn taken(
    project: &Project,
    paths: &Paths,
    compose: Option<&Compose>,
    engine: Option<&Engine>,
) -> Result<OccupiedPorts, Errors> {
    let mut taken = OccupiedPorts::default();
    if let Some(compose) = compose {
        add_compose(&mut taken, compose);
    }
    if let Some(engine) = engine {
        for published in docker::published_ports(&engine.docker)
            .await?
            .into_iter()
            .filter(|p| p.protocol == "tcp")
        {
            taken.add(published.port, of_container(&published));
        }
    }
    for (port, holder) in Leases::open(&paths.state).others(&Lessee::from(project))? {
        taken.add(port, holder);
    }
    Ok(taken)
}

/// Every TCP port that a service publishes. Services that a profile keeps out are started one day, too;
/// active ones are named first.
fn add_compose(taken: &mut OccupiedPorts, compose: &Compose) {
    let (active, inactive): (Vec<_>, Vec<_>) = compose
        .services
        .values()
        .partition(|service| service.active);
    for service in active.into_iter().chain(inactive) {
        for port in service
            .ports
            .iter()
            .filter(|port| port.protocol.eq_ignore_ascii_case("tcp"))
        {
            for number in numbers(service, port) {
                taken.add(number, of_service(service, port));
            }
        }
    }
}

/// The host ports of an entry: a range whole, since Docker takes any port of it; none if Docker chooses.
/// On the host's network it is the container's own port that is taken.
pub fn numbers(service: &Service, port: &Port) -> Vec<u16> {
    let published = port
        .published
        .as_deref()
        .map(host_ports)
        .unwrap_or_default();
    let target = u16::try_from(port.target)
        .ok()
        .filter(|_| service.network_mode.as_deref() == Some("host"));
    published.into_iter().chain(target).collect()
}

fn of_service(service: &Service, port: &Port) -> String {
    let inactive = if service.active { "" } else { ", not active" };
    format!(
        "Compose service `{}` ({}:{}{inactive})",
        service.name,
        port.file.display(),
        port.line
    )
}

fn of_container(published: &PublishedPort) -> String {
    let compose = published
        .compose_service
        .as_ref()
        .zip(published.compose_project.as_ref());
    let compose = compose
        .map(|(service, project)| format!("Compose service `{service}` of project `{project}`"));
    let stopped = (!published.running).then(|| "stopped".to_owned());
    let more: Vec<_> = compose.into_iter().chain(stopped).collect();
    let container = format!("container `{}`", published.container);
    if more.is_empty() {
        container
    } else {
        format!("{container} ({})", more.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::Origin;

    fn service(name: &str, ports: &[(Option<&str>, u32, &str)]) -> Service {
        let port =
            |(line, (published, target, protocol)): (u32, &(Option<&str>, u32, &str))| Port {
                service: name.into(),
                host_ip: None,
                published: published.map(str::to_owned),
                target: *target,
                protocol: (*protocol).into(),
                file: "compose.yaml".into(),
                line,
            };
        Service {
            name: name.into(),
            active: true,
            image: None,
            build: None,
            network_mode: None,
            environment: BTreeMap::new(),
            ports: (12..).zip(ports).map(port).collect(),
            databases: vec![],
            development: Default::default(),
            origin: Origin {
                file: "compose.yaml".into(),
                line: 10,
            },
        }
    }

    fn holders(services: Vec<Service>, ports: &[u16]) -> Vec<Option<String>> {
        let services = services
            .into_iter()
            .map(|service| (service.name.clone(), service))
            .collect();
        let mut taken = OccupiedPorts::default();
        add_compose(
            &mut taken,
            &Compose {
                services,
                ..Compose::default()
            },
        );
        ports
            .iter()
            .map(|port| taken.holder(*port).map(str::to_owned))
            .collect()
    }

    #[test]
    fn a_published_port_is_held_by_its_service_and_line() {
        let db = service("db", &[(Some("5439"), 5432, "tcp")]);
        assert_eq!(
            holders(vec![db], &[5439, 5432]),
            [
                Some("Compose service `db` (compose.yaml:12)".to_owned()),
                None
            ]
        );
    }

    #[test]
    fn every_port_of_a_range_is_held_and_one_that_docker_chooses_is_not() {
        let web = service(
            "web",
            &[
                (Some("8000-8002"), 80, "tcp"),
                (None, 9000, "tcp"),
                (Some("70000"), 1, "tcp"),
            ],
        );
        let held = holders(vec![web], &[7999, 8000, 8001, 8002, 8003, 9000]);
        assert_eq!(
            held.iter().map(Option::is_some).collect::<Vec<_>>(),
            [false, true, true, true, false, false]
        );
    }

    #[test]
    fn udp_does_not_collide_with_tcp() {
        let dns = service(
            "dns",
            &[(Some("15353"), 53, "udp"), (Some("15354"), 53, "TCP")],
        );
        assert_eq!(holders(vec![dns], &[15353]), [None]);
    }

    #[test]
    fn a_service_that_is_not_active_holds_its_ports_behind_one_that_is() {
        let off = |name, ports| Service {
            active: false,
            ..service(name, ports)
        };
        let both = vec![
            off(
                "a-debug",
                &[(Some("5000"), 1, "tcp"), (Some("5001"), 1, "tcp")],
            ),
            service("web", &[(Some("5000"), 1, "tcp")]),
        ];
        assert_eq!(
            holders(both, &[5000, 5001]),
            [
                Some("Compose service `web` (compose.yaml:12)".to_owned()),
                Some("Compose service `a-debug` (compose.yaml:13, not active)".to_owned())
            ]
        );
    }

    #[test]
    fn on_the_hosts_network_a_containers_own_port_is_held() {
        let host = Service {
            network_mode: Some("host".into()),
            ..service("agent", &[(None, 9100, "tcp")])
        };
        assert_eq!(
            holders(vec![host], &[9100]),
            [Some("Compose service `agent` (compose.yaml:12)".to_owned())]
        );
    }

    #[test]
    fn a_container_is_named_with_its_service_and_whether_it_runs() {
        let published = PublishedPort {
            port: 5439,
            protocol: "tcp".into(),
            host_ip: None,
            container: "shop-db-1".into(),
            compose_project: Some("shop".into()),
            compose_service: Some("db".into()),
            compose_files: None,
            running: false,
        };
        assert_eq!(
            of_container(&published),
            "container `shop-db-1` (Compose service `db` of project `shop`, stopped)"
        );
        let plain = PublishedPort {
            compose_service: None,
            running: true,
            ..published
        };
        assert_eq!(of_container(&plain), "container `shop-db-1`");
    }
}
