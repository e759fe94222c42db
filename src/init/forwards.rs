//! Short names for the Services that are forwarded: those of Compose's services where they lead to the same thing.

use std::collections::BTreeSet;

use super::clue::plain;
use super::draft::DraftForward;
use super::references::ReleaseLook;
use crate::compose::Compose;
use crate::config::label;
use crate::observe::requests::{RenderedService, RequestedForward};

/// The longest name of a forward.
const MAX_NAME_CHARS: usize = 63;

/// The forwards, in the order in which the charts have their Services.
pub(super) fn choose(
    services: &[RenderedService],
    requested: Vec<RequestedForward>,
    stack: Option<&Compose>,
) -> Vec<DraftForward> {
    let mut taken = BTreeSet::new();
    let mut found = vec![];
    for RequestedForward { request, release } in requested {
        let of_compose =
            stack.and_then(|stack| compose_name(stack, &request.service, &release, services));
        let (name, why) = match of_compose {
            Some((name, at)) if !taken.contains(&name) => (name, at),
            _ => (
                request.name.clone(),
                format!("Service of release {release}"),
            ),
        };
        let mut name = label(&name).unwrap_or_else(|| "service".to_owned());
        name.truncate(MAX_NAME_CHARS);
        if !taken.insert(name.clone()) {
            name = format!("{name}-{}", request.remote);
            taken.insert(name.clone());
        }
        found.push(DraftForward {
            name,
            service: request.service,
            port: request.remote,
            why,
        });
    }
    found
}

/// The service of Compose that is called as the Service is, or as its end.
fn compose_name(
    stack: &Compose,
    service: &str,
    release: &str,
    services: &[RenderedService],
) -> Option<(String, String)> {
    let own = services
        .iter()
        .find(|rendered| rendered.service.name == service)?;
    if own.service.ports.len() > 1 {
        return None;
    }
    let short = service
        .strip_prefix(&format!("{release}-"))
        .unwrap_or(service);
    let same = |name: &str| plain(name) == plain(service) || plain(name) == plain(short);
    let ends = |name: &str| service.ends_with(&format!("-{name}"));
    let mut all = stack.services.values();
    let found = all
        .clone()
        .find(|one| same(&one.name))
        .or_else(|| all.find(|one| ends(&one.name)))?;
    let file = found
        .origin
        .file
        .strip_prefix(&stack.dir)
        .unwrap_or(&found.origin.file);
    Some((
        found.name.clone(),
        format!(
            "Compose calls it {} ({}:{})",
            found.name,
            file.display(),
            found.origin.line
        ),
    ))
}

/// Which releases name a Service of another one.
pub(super) fn needs(
    looks: &[ReleaseLook<'_>],
    services: &[RenderedService],
) -> std::collections::BTreeMap<String, BTreeSet<String>> {
    let names_host = |text: &str, host: &str| {
        text.match_indices(host).any(|(at, _)| {
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            let before = text[..at].chars().next_back();
            let after = text[at + host.len()..].chars().next();
            !before.is_some_and(|c| is_part(c) || c == '.') && !after.is_some_and(is_part)
        })
    };
    let mut needs = std::collections::BTreeMap::new();
    for look in looks {
        let texts: Vec<String> = look
            .rendered
            .manifests
            .iter()
            .map(|manifest| {
                manifest.object["spec"].to_string() + &manifest.object["data"].to_string()
            })
            .collect();
        let others = services
            .iter()
            .filter(|other| other.release != look.release);
        let needed = others.filter(|other| {
            texts
                .iter()
                .any(|text| names_host(text, &other.service.name))
        });
        needs.insert(
            look.release.to_owned(),
            needed
                .map(|other| other.release.clone())
                .collect::<BTreeSet<_>>(),
        );
    }
    needs
}
