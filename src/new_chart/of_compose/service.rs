//! One service as a component of the chart.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value};

use super::environment::{EnvironmentContext, FoundEnvironment, secret_variables};
use super::images::FactsOfServices;
use super::keys::ServiceKeys;
use super::mounts::{FoundMounts, MountContext, Mounting};
use super::process::ProgramContext;
use super::secrets::SecretUse;
use super::{health, limits, network, process, security};
use crate::compose::{Service, WholeCompose};
use crate::image::ReferenceParts;
use crate::new_chart::model::{
    Carried, Component, ComponentImage, ComponentKind, ComponentMount, MountSource,
};
use crate::new_chart::names::service_name;

/// The tag of images that are built here, and the version of what the chart installs.
pub(super) const FIRST_VERSION: &str = "0.1.0";

/// What all services are read with.
#[derive(Debug)]
pub(super) struct ProjectContext<'a> {
    pub(super) mounts: MountContext<'a>,
    pub(super) environment: EnvironmentContext<'a>,
    pub(super) facts: &'a FactsOfServices,
    pub(super) one_shots: &'a [String],
    /// The project read without `.env` and the shell.
    pub(super) alone: Option<&'a WholeCompose>,
    /// Where file names in comments begin.
    pub(super) root: &'a Path,
}

/// A component without its waits, and what it brings along.
#[derive(Debug, Default)]
pub(super) struct FoundComponent {
    pub(super) component: Component,
    pub(super) mounts: FoundMounts,
    pub(super) environment: FoundEnvironment,
    /// Other values of this machine.
    pub(super) local: Map<String, Value>,
}

/// Reads a service. `name` and `key` are the component's.
pub(super) fn component(
    context: &ProjectContext<'_>,
    keys: &ServiceKeys<'_>,
    service: &Service,
    image: ComponentImage,
    (name, key): (String, String),
) -> FoundComponent {
    let facts = context.facts.get(&service.name);
    let is_job = is_one_shot(context, keys, service);
    let own = secret_variables(service, context.mounts.secrets);
    let plain = service
        .environment
        .keys()
        .filter(|name| !own.contains_key(*name))
        .cloned()
        .collect();
    let secrets = SecretUse::new(context.mounts.secrets, own, plain);
    let environment = context.environment.read(keys, service, &secrets);
    let names = context.mounts.names;
    let mut component = Component {
        services: names.services(&service.name),
        comment: comment(context, service),
        enabled: service.active,
        image,
        replicas: limits::replicas(keys),
        resources: limits::resources(keys),
        grace: limits::grace(keys),
        networks: network::networks(keys),
        ..Component::default()
    };
    for key in [
        "image",
        "build",
        "pull_policy",
        "profiles",
        "container_name",
        "links",
        "extends",
    ] {
        keys.take(key);
    }
    component.ports = network::ports(
        keys,
        service,
        facts,
        names,
        context.mounts.whole,
        health::asked_port(keys),
    );
    component.published = service
        .ports
        .iter()
        .filter_map(|port| u16::try_from(port.target).ok())
        .collect();
    let tcp = component.ports.iter().filter(|port| port.protocol == "TCP");
    let open: BTreeSet<u16> = tcp.map(|port| port.number).collect();
    component.probes = health::probes(keys, facts, &open, &secrets);
    let rename = |key: &str, text: &str| {
        let renamed = names.in_text(key, text);
        if renamed != text {
            keys.note_key(
                key,
                Carried::Changed,
                "a name in it is one that DNS does not take: the chart has the name of the Service",
            );
        }
        renamed
    };
    let alone = context
        .alone
        .and_then(|alone| alone.services.get(&service.name));
    let program = ProgramContext {
        facts,
        secrets: &secrets,
        names,
        alone: alone.map(|entry| &entry.value),
        rename: &rename,
    };
    let local = process::put(keys, &program, &mut component);
    let contexts = security::contexts(keys, facts, open.iter().any(|port| *port < 1024));
    component.security = contexts.container;
    component.pod_security = contexts.pod;
    component.security_comment = contexts.comment;
    let has_shell = facts.and_then(|facts| facts.has("sh")) != Some(false);
    let mounting = Mounting::new(
        &context.mounts,
        keys,
        &name,
        service.build.as_ref(),
        is_job,
        has_shell,
    );
    let mounts = mounting.all();
    component.mounts = mounts.mounts.clone();
    component.kind = kind(is_job, &component.mounts);
    if is_job {
        component.replicas = 1;
        component.probes = <_>::default();
    }
    component.env = environment.env.clone();
    component.env_file = environment.env_file.clone();
    component.secret_env = secrets.variables();
    (component.name, component.key) = (name, key);
    FoundComponent {
        component,
        mounts,
        environment,
        local,
    }
}

fn comment(context: &ProjectContext<'_>, service: &Service) -> String {
    let file = service
        .origin
        .file
        .strip_prefix(context.root)
        .unwrap_or(&service.origin.file);
    let off = if service.active {
        ""
    } else {
        "; off, since a profile keeps it out"
    };
    format!(
        "{} ({}:{}){off}",
        service.name,
        file.display(),
        service.origin.line
    )
}

/// Another service waits for its end; or it says that it is not to be started again, and nobody reaches it.
fn is_one_shot(context: &ProjectContext<'_>, keys: &ServiceKeys<'_>, service: &Service) -> bool {
    if context.one_shots.contains(&service.name) {
        return true;
    }
    let says_no = keys.text("restart").as_deref() == Some("no");
    let is_reached = !service.ports.is_empty()
        || keys.take("expose").is_some()
        || keys.take("healthcheck").is_some();
    let ends = says_no && !is_reached;
    if ends {
        keys.note_key(
            "restart",
            Carried::Changed,
            "a service that is not started again and that nobody reaches is a Job",
        );
    } else if says_no {
        keys.note_key(
            "restart",
            Carried::Changed,
            "a pod's containers are always restarted",
        );
    }
    ends
}

fn kind(is_job: bool, mounts: &[ComponentMount]) -> ComponentKind {
    let has = |is: fn(&MountSource) -> bool| mounts.iter().any(|mount| is(&mount.source));
    if is_job {
        ComponentKind::Job
    } else if has(|source| matches!(source, MountSource::OwnClaim { .. })) {
        ComponentKind::StatefulSet
    } else if has(|source| matches!(source, MountSource::SharedClaim { .. })) {
        ComponentKind::RecreatedDeployment
    } else {
        ComponentKind::Deployment
    }
}

/// The image that Compose names. One that is built here and has no tag gets a version: `latest` is another image tomorrow.
fn named(parts: &ReferenceParts, is_built: bool) -> ComponentImage {
    let tag = match (&parts.tag, &parts.digest, is_built) {
        (Some(tag), ..) => tag,
        (None, Some(_), _) => "",
        (None, None, true) => FIRST_VERSION,
        (None, None, false) => "latest",
    };
    ComponentImage {
        repository: parts.written.clone(),
        tag: tag.to_owned(),
        digest: parts.digest.clone().unwrap_or_default(),
        pull_policy: "IfNotPresent".to_owned(),
    }
}

/// The images of all services. Services that are built in the same way share one.
pub(super) fn images<'a>(
    project: &str,
    services: impl Iterator<Item = &'a Service>,
) -> BTreeMap<String, ComponentImage> {
    let mut built: Vec<(&Service, ComponentImage)> = vec![];
    let mut found = BTreeMap::new();
    // An image that several have is called after one that is reached.
    let (reached, others): (Vec<_>, Vec<_>) =
        services.partition(|service| !service.ports.is_empty());
    for service in reached.into_iter().chain(others) {
        let written = service.image.as_deref().and_then(ReferenceParts::parse);
        let same = built.iter().find(|(other, _)| {
            service.build.is_some() && other.build == service.build && other.image == service.image
        });
        let image = match (same, written) {
            (Some((_, image)), _) => image.clone(),
            (None, Some(parts)) => named(&parts, service.build.is_some()),
            (None, None) if service.build.is_some() => {
                let own = format!("{project}-{}", service_name(&service.name));
                ComponentImage {
                    repository: own,
                    tag: FIRST_VERSION.to_owned(),
                    digest: String::new(),
                    pull_policy: "IfNotPresent".to_owned(),
                }
            }
            (None, None) => continue,
        };
        if service.build.is_some() {
            built.push((service, image.clone()));
        }
        found.insert(service.name.clone(), image);
    }
    found
}
