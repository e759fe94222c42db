//! Which Service ports want a host port: those that devk.yaml lists, or all of them.

use std::collections::BTreeMap;

use crate::config::{ForwardConfig, Project};
use crate::error::{Code, Error, Errors, suggest};
use crate::plan::Skipped;
use crate::ports::PortRequest;
use crate::release::manifest::{ManifestService, Rendered, ServicePort};

/// A rendered Service and the release it belongs to.
#[derive(Debug, Clone)]
pub struct RenderedService {
    pub release: String,
    pub service: ManifestService,
}

/// Every Service that the charts render.
pub(super) fn services(project: &Project, draft: &[(String, Rendered)]) -> Vec<RenderedService> {
    let of_release = |(release, rendered): &(String, Rendered)| {
        let with_release = |service| RenderedService {
            release: release.clone(),
            service,
        };
        rendered
            .services(&project.id)
            .into_iter()
            .map(with_release)
            .collect::<Vec<_>>()
    };
    draft.iter().flat_map(of_release).collect()
}

/// A request and the release that renders its Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedForward {
    pub request: PortRequest,
    pub release: String,
}

/// What is left out where every Service port is forwarded. A list in devk.yaml leaves out nothing that it
/// names, and the rest is its own choice.
pub fn skipped(project: &Project, services: &[RenderedService]) -> Vec<Skipped> {
    if project.forwards.is_some() {
        vec![]
    } else {
        services
            .iter()
            .flat_map(|r| unforwarded(&r.service, services))
            .collect()
    }
}

fn unforwarded(service: &ManifestService, all: &[RenderedService]) -> Vec<Skipped> {
    let skipped = |port: Option<u16>, reason: String| Skipped {
        namespace: service.namespace.clone(),
        service: service.name.clone(),
        port,
        reason,
    };
    match unasked(service, all) {
        Some(reason) => vec![skipped(None, reason)],
        None => {
            let others = service.ports.iter().filter(|port| port.protocol != "TCP");
            others
                .map(|port| {
                    skipped(
                        Some(port.port),
                        format!("{}, and forwards carry TCP", port.protocol),
                    )
                })
                .collect()
        }
    }
}

/// The requests of a project, in the order in which they are placed, and the listed forwards whose
/// Services a bridge has taken out of the charts: those that are among `gone`.
///
/// # Errors
/// [`Code::ForwardTarget`] for each listed forward that leads nowhere, at its line.
pub fn wanted(
    project: &Project,
    services: &[RenderedService],
    gone: &[RenderedService],
) -> Result<(Vec<RequestedForward>, Vec<ForwardConfig>), Errors> {
    let Some(listed) = &project.forwards else {
        return Ok((all(services), vec![]));
    };
    let mut wanted = vec![];
    let mut left_out = vec![];
    let mut problems = vec![];
    for forward in listed {
        match find(forward, services) {
            Ok((rendered, port)) => wanted.push(request(forward, rendered, port)),
            Err(_) if find(forward, gone).is_ok() => left_out.push(forward.clone()),
            Err(error) => problems.push(error.at(&forward.origin.file, forward.origin.line)),
        }
    }
    Errors::unless_empty(problems, (wanted, left_out))
}

fn request(
    forward: &ForwardConfig,
    rendered: &RenderedService,
    port: &ServicePort,
) -> RequestedForward {
    let mut wanted = every(&forward.name, rendered, port);
    wanted.request.local = forward.local;
    wanted.request.listed = true;
    wanted.request.origin = Some(forward.origin.clone());
    wanted
}

fn find<'a>(
    forward: &ForwardConfig,
    services: &'a [RenderedService],
) -> Result<(&'a RenderedService, &'a ServicePort), Error> {
    let found = match &forward.service {
        Some(name) => services.iter().find(|r| &r.service.name == name),
        None => by_suffix(&forward.name, services)?,
    };
    let rendered = found.ok_or_else(|| unknown_service(forward, services))?;
    if let Some(reason) = unfit(&rendered.service) {
        return Err(Error::new(
            Code::ForwardTarget,
            format!("Service `{}` is {reason}", rendered.service.name),
        ));
    }
    let port = rendered
        .service
        .ports
        .iter()
        .find(|p| p.port == forward.port && p.protocol == "TCP");
    port.map(|port| (rendered, port))
        .ok_or_else(|| unknown_port(forward, &rendered.service))
}

/// The Service called `name`, else the only one that ends in `-name`.
fn by_suffix<'a>(
    name: &str,
    services: &'a [RenderedService],
) -> Result<Option<&'a RenderedService>, Error> {
    if let Some(exact) = services.iter().find(|r| r.service.name == name) {
        return Ok(Some(exact));
    }
    let ends = |r: &&RenderedService| {
        r.service
            .name
            .strip_suffix(name)
            .is_some_and(|rest| rest.ends_with('-'))
    };
    let found: Vec<_> = services.iter().filter(ends).collect();
    match found[..] {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => {
            let names: Vec<_> = found
                .iter()
                .map(|r| format!("`{}`", r.service.name))
                .collect();
            Err(Error::new(
                Code::ForwardTarget,
                format!("forward `{name}` could mean {}", names.join(" or ")),
            )
            .hint(format!(
                "forwards: {{{name}: {{service: {}, port: …}}}}",
                found[0].service.name
            )))
        }
    }
}

fn unknown_service(forward: &ForwardConfig, services: &[RenderedService]) -> Error {
    let names: Vec<_> = services.iter().map(|r| r.service.name.as_str()).collect();
    let wanted = forward.service.as_ref().unwrap_or(&forward.name);
    let hint = match suggest(wanted, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the charts render: {}", names.join(", ")),
    };
    Error::new(
        Code::ForwardTarget,
        format!(
            "the charts render no Service `{wanted}` for forward `{}`",
            forward.name
        ),
    )
    .hint(hint)
}

fn unknown_port(forward: &ForwardConfig, service: &ManifestService) -> Error {
    let ports: Vec<_> = service
        .ports
        .iter()
        .map(|p| format!("{}/{}", p.port, p.protocol))
        .collect();
    Error::new(
        Code::ForwardTarget,
        format!(
            "Service `{}` has no TCP port {}",
            service.name, forward.port
        ),
    )
    .hint(format!("its ports are {}", ports.join(", ")))
}

/// Why a Service cannot be forwarded.
fn unfit(service: &ManifestService) -> Option<&'static str> {
    (service.kind == "ExternalName").then_some("of type ExternalName, which has no pods")
}

/// Why a Service is not forwarded unless devk.yaml names it.
fn unasked(service: &ManifestService, all: &[RenderedService]) -> Option<String> {
    if let Some(reason) = unfit(service) {
        return Some(reason.to_owned());
    }
    if !service.headless {
        return None;
    }
    if service.selector.is_empty() {
        return Some("headless, and selects no pods".to_owned());
    }
    let others = all.iter().map(|r| &r.service);
    let beside = others
        .filter(|other| !other.headless && other.namespace == service.namespace)
        .find(|other| lead_to_same_pods(service, other))?;
    Some(format!(
        "headless, and Service `{}` leads to the same pods",
        beside.name
    ))
}

/// Whether two Services of a namespace select a pod in common. Where the charts render no pods for the first one, such
/// as those of an operator, one selector has to include the other.
fn lead_to_same_pods(one: &ManifestService, other: &ManifestService) -> bool {
    if !one.selected.is_empty() {
        return !one.selected.is_disjoint(&other.selected);
    }
    let includes = |a: &ManifestService, b: &ManifestService| {
        let has = |(key, value): (&String, &String)| a.selector.get(key) == Some(value);
        b.selector.iter().all(has)
    };
    !other.selector.is_empty() && (includes(one, other) || includes(other, one))
}

/// Every TCP port of every Service that is forwarded unasked, under names that are unique and short: the
/// Service's without the release's in front, with the port's behind it where there are several.
fn all(services: &[RenderedService]) -> Vec<RequestedForward> {
    let fit = services
        .iter()
        .filter(|r| unasked(&r.service, services).is_none());
    let ports: Vec<_> = fit
        .flat_map(|r| tcp(&r.service).map(move |port| (r, port)))
        .collect();
    let mut uses: BTreeMap<String, usize> = BTreeMap::new();
    ports
        .iter()
        .for_each(|(r, port)| *uses.entry(short(r, port)).or_default() += 1);
    let name = |r: &RenderedService, port: &ServicePort| match short(r, port) {
        name if uses[&name] == 1 => name,
        _ => long(&r.service.name, port),
    };
    ports
        .into_iter()
        .map(|(r, port)| every(&name(r, port), r, port))
        .collect()
}

fn tcp(service: &ManifestService) -> impl Iterator<Item = &ServicePort> {
    service.ports.iter().filter(|port| port.protocol == "TCP")
}

fn short(rendered: &RenderedService, port: &ServicePort) -> String {
    let service = &rendered.service.name;
    let base = service
        .strip_prefix(&format!("{}-", rendered.release))
        .unwrap_or(service);
    if tcp(&rendered.service).count() == 1 {
        base.to_owned()
    } else {
        long(base, port)
    }
}

fn long(base: &str, port: &ServicePort) -> String {
    format!(
        "{base}-{}",
        port.name.clone().unwrap_or_else(|| port.port.to_string())
    )
}

fn every(name: &str, rendered: &RenderedService, port: &ServicePort) -> RequestedForward {
    let service = &rendered.service;
    let request = PortRequest {
        container_port: port.target,
        port_name: port.name.clone().unwrap_or_default(),
        ..PortRequest::new(name, &service.namespace, &service.name, port.port)
    };
    RequestedForward {
        request,
        release: rendered.release.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Origin;

    fn service(release: &str, name: &str, ports: &[(Option<&str>, u16)]) -> RenderedService {
        let port = |(name, port): &(Option<&str>, u16)| ServicePort {
            name: name.map(str::to_owned),
            port: *port,
            target: None,
            protocol: "TCP".into(),
        };
        let service = ManifestService {
            name: name.into(),
            namespace: "shop".into(),
            kind: "ClusterIP".into(),
            headless: false,
            selector: BTreeMap::new(),
            selected: Default::default(),
            ports: ports.iter().map(port).collect(),
            source: String::new(),
        };
        RenderedService {
            release: release.into(),
            service,
        }
    }

    fn forward(name: &str, service: Option<&str>, port: u16) -> ForwardConfig {
        let origin = Origin {
            file: "devk.yaml".into(),
            line: 7,
        };
        ForwardConfig {
            name: name.into(),
            service: service.map(str::to_owned),
            port,
            local: None,
            origin,
        }
    }

    #[test]
    fn without_a_list_every_port_is_forwarded_under_a_short_and_unique_name() {
        let services = [
            service("shop", "shop-api", &[(None, 5000)]),
            service(
                "shop",
                "shop-bus",
                &[(Some("amqp"), 5672), (Some("http"), 15672)],
            ),
            service("infra", "infra-api", &[(None, 80)]),
        ];
        let names: Vec<_> = all(&services).into_iter().map(|w| w.request.name).collect();
        assert_eq!(
            names,
            ["shop-api-5000", "bus-amqp", "bus-http", "infra-api-80"]
        );
    }

    /// A Service with one port that selects the pods of `objects`.
    fn selecting(name: &str, headless: bool, label: &str, objects: &[&str]) -> RenderedService {
        let mut rendered = service("shop", name, &[(None, 5432)]);
        rendered.service.headless = headless;
        rendered.service.selector = [("app".to_owned(), label.to_owned())].into();
        rendered.service.selected = objects.iter().map(|o| (*o).to_owned()).collect();
        rendered
    }

    fn told(services: &[RenderedService]) -> Vec<String> {
        let skipped = services
            .iter()
            .flat_map(|r| unforwarded(&r.service, services));
        skipped
            .map(|s| format!("{} {:?}: {}", s.service, s.port, s.reason))
            .collect()
    }

    fn names(services: &[RenderedService]) -> Vec<String> {
        all(services).into_iter().map(|w| w.request.name).collect()
    }

    #[test]
    fn what_cannot_be_forwarded_is_skipped_with_the_reason() {
        let mut dns = service("shop", "dns", &[(None, 53), (None, 5300)]);
        dns.service.ports[0].protocol = "UDP".into();
        let mut far = service("shop", "far", &[]);
        far.service.kind = "ExternalName".into();
        assert_eq!(
            told(&[dns, far]),
            [
                "dns Some(53): UDP, and forwards carry TCP",
                "far None: of type ExternalName, which has no pods"
            ]
        );
    }

    #[test]
    fn a_headless_service_is_forwarded_unless_another_one_leads_to_its_pods() {
        let alone = selecting("db", true, "db", &["StatefulSet/db"]);
        let canary = selecting("canary", false, "db", &[]);
        assert_eq!(names(&[alone.clone(), canary.clone()]), ["db", "canary"]);
        assert!(told(&[alone.clone(), canary]).is_empty());
        let beside = selecting("db-read", false, "other", &["StatefulSet/db"]);
        assert_eq!(names(&[alone.clone(), beside.clone()]), ["db-read"]);
        assert_eq!(
            told(&[alone.clone(), beside]),
            ["db None: headless, and Service `db-read` leads to the same pods"]
        );
        let mut far = selecting("db-far", false, "db", &["StatefulSet/db"]);
        far.service.namespace = "far".into();
        assert!(told(&[alone, far]).is_empty());
    }

    #[test]
    fn headless_services_of_pods_that_no_chart_renders_are_compared_by_their_selectors() {
        let pods = selecting("pg-pods", true, "pg", &[]);
        let mut primary = selecting("pg", false, "pg", &[]);
        let role = ("role".to_owned(), "primary".to_owned());
        primary.service.selector.extend([role]);
        assert_eq!(names(&[pods.clone(), primary]), ["pg"]);
        assert_eq!(
            names(&[pods, selecting("web", false, "web", &[])]),
            ["pg-pods", "web"]
        );
    }

    #[test]
    fn a_headless_service_without_a_selector_is_forwarded_only_if_it_is_named() {
        let mut pods = selecting("legacy", true, "x", &[]);
        pods.service.selector.clear();
        assert_eq!(
            told(std::slice::from_ref(&pods)),
            ["legacy None: headless, and selects no pods"]
        );
        let services = [pods];
        assert!(find(&forward("legacy", None, 5432), &services).is_ok());
    }

    #[test]
    fn a_headless_service_can_be_named_though_another_one_leads_to_its_pods() {
        let services = [
            selecting("db-pods", true, "db", &["StatefulSet/db"]),
            selecting("db", false, "db", &["StatefulSet/db"]),
        ];
        let (found, _) = find(&forward("db-pods", None, 5432), &services).unwrap();
        assert_eq!(found.service.name, "db-pods");
    }

    #[test]
    fn a_short_name_means_the_service_that_ends_in_it() {
        let services = [
            service("shop", "shop-api", &[(None, 5000)]),
            service("shop", "rapi", &[(None, 1)]),
        ];
        let (found, _) = find(&forward("api", None, 5000), &services).unwrap();
        assert_eq!(found.service.name, "shop-api");
    }

    #[test]
    fn a_forward_that_leads_nowhere_says_what_there_is() {
        let services = [service("shop", "shop-api", &[(None, 5000)])];
        let error = find(&forward("api", Some("shop-ape"), 5000), &services).unwrap_err();
        assert_eq!(error.hint.as_deref(), Some("did you mean `shop-api`?"));
        let error = find(&forward("api", None, 80), &services).unwrap_err();
        assert_eq!(error.hint.as_deref(), Some("its ports are 5000/TCP"));
    }
}
