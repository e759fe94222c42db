//! Who talks to a Service: which containers name it in their environment, their command or their ConfigMaps, and which
//! NetworkPolicies decide about it. That is what the manifests say; devk sees no connections.

use super::super::answer::AskAnswer;
use super::super::facts::policy;
use super::super::kind::AskedKind::{
    ConfigMap, CronJob, DaemonSet, Deployment, Job, Pod, Service, StatefulSet,
};
use super::super::object::{SeenObject, items, text, texts};
use super::super::question::Question;
use super::super::relation::{limits_ingress, policies_of, related, routes_to};
use super::super::resolve::Meant;
use super::super::snapshot::ClusterSnapshot;
use super::super::unclear::Unclear;
use crate::session::target::SERVICE_LABEL;

pub(in super::super) fn talks(
    question: &Question,
    snapshot: &ClusterSnapshot,
) -> Result<AskAnswer, Unclear> {
    let mut answer = AskAnswer::new(question, snapshot);
    let mut rows: Vec<Vec<String>> = vec![];
    let mut targets = vec![];
    let users: Vec<_> = [Deployment, StatefulSet, DaemonSet, CronJob, Job, Pod]
        .into_iter()
        .flat_map(|kind| snapshot.all(kind))
        .filter(|one| snapshot.maker(*one).is_none())
        .collect();
    for meant in question.meant(snapshot)? {
        let services = related(Service, &meant, snapshot).unwrap_or_default();
        if services.is_empty() {
            let what = meant.first().map_or_else(String::new, |seen| seen.title());
            return Err(Unclear::lacking(
                &format!("{what} has no Service, so nobody reaches it by a name"),
                "services",
            ));
        }
        for service in services {
            targets.push(service.name().to_owned());
            for user in &users {
                for (field, value) in mentions(*user, service, snapshot) {
                    rows.push(vec![user.title(), field.clone(), value.clone()]);
                    answer.shows(*user, field, value);
                }
            }
            let routes = routes_to(service, snapshot).into_iter();
            rows.extend(
                routes.map(|(ingress, way)| vec![ingress.title(), "route".to_owned(), way]),
            );
        }
        policies(&mut answer, &meant, snapshot);
    }
    rows.sort();
    rows.dedup();
    let mut who: Vec<_> = rows.iter().filter_map(|row| row.first().cloned()).collect();
    who.dedup();
    let target = super::super::answer::listed(&targets);
    answer.text = match who.len() {
        0 => format!("No manifest names the Service {target}."),
        1 => format!("{} names the Service {target}.", who[0]),
        count => format!(
            "{count} objects name the Service {target}: {}.",
            who.join(", ")
        ),
    };
    answer.count = Some(who.len());
    answer.table(&["WHO", "WHERE", "WHAT IT SAYS"], rows);
    answer.notes.push(
        "read from environments, commands, ConfigMaps and ingresses; devk sees no connections"
            .to_owned(),
    );
    if users.iter().any(|user| hides(*user)) {
        answer
            .notes
            .push("what stands in Secrets was not read".to_owned());
    }
    for name in &targets {
        answer.kubectl(format!(
            "get endpointslices --selector {SERVICE_LABEL}={name} --namespace {}",
            snapshot.project.namespace
        ));
    }
    Ok(answer)
}

/// The places where a template names a Service as a host.
fn mentions(
    user: SeenObject<'_>,
    service: SeenObject<'_>,
    snapshot: &ClusterSnapshot,
) -> Vec<(String, String)> {
    let is_here = user.namespace() == service.namespace();
    let host = |value: &str| host_in(value, service, is_here);
    let mut found = vec![];
    for container in user.containers() {
        for variable in items(&container["env"]) {
            if let Some(host) = host(&text(&variable["value"])) {
                found.push((format!("variable {}", text(&variable["name"])), host));
            }
        }
        let words: Vec<_> = items(&container["command"])
            .chain(items(&container["args"]))
            .map(text)
            .collect();
        if words.iter().any(|word| host(word).is_some()) {
            found.push((
                format!("command of {}", text(&container["name"])),
                String::new(),
            ));
        }
    }
    for map in snapshot.here(ConfigMap, user.namespace()) {
        if super::super::facts::uses(user, ConfigMap, map.name()).is_empty() {
            continue;
        }
        let entries = texts(&map.value["data"]).into_iter();
        found.extend(entries.filter_map(|(key, value)| {
            Some((
                format!("ConfigMap {}, key {key}", map.name()),
                host(&value)?,
            ))
        }));
    }
    found
}

/// The Service's name as a whole host in a text, with its port: `redis`, `redis.shop:6379`. The rest of the text may be a
/// secret.
fn host_in(text: &str, service: SeenObject<'_>, is_here: bool) -> Option<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let is_service = |word: &&str| {
        let mut parts = word.split('.');
        let name = parts.next() == Some(service.name());
        match parts.next() {
            None => name && is_here,
            Some(namespace) => name && namespace == service.namespace(),
        }
    };
    // The last one: the first may be the scheme of a URL.
    let word = text.rsplit(|c: char| !is_part(c)).find(is_service)?;
    let end = word.as_ptr() as usize - text.as_ptr() as usize + word.len();
    let behind = text[end..].strip_prefix(':').unwrap_or_default();
    let digits = behind.find(|c: char| !c.is_ascii_digit());
    let port = &behind[..digits.unwrap_or(behind.len())];
    Some(match port {
        "" => word.to_owned(),
        port => format!("{word}:{port}"),
    })
}

/// Whether a part of its environment comes from Secrets.
fn hides(user: SeenObject<'_>) -> bool {
    let from = |one: &serde_json::Value| {
        one["secretRef"].is_object() || one["valueFrom"]["secretKeyRef"].is_object()
    };
    user.containers()
        .flat_map(|one| items(&one["envFrom"]).chain(items(&one["env"])))
        .any(from)
}

fn policies(answer: &mut AskAnswer, meant: &Meant<'_>, snapshot: &ClusterSnapshot) {
    let mut told = vec![];
    for pod in meant.pods(snapshot) {
        for found in policies_of(pod, snapshot)
            .into_iter()
            .filter(|found| limits_ingress(*found))
        {
            if !told.contains(&found.name()) {
                told.push(found.name());
                answer.shows(found, "spec.ingress", policy(found.spec()).join("; "));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_host_is_a_whole_name_and_a_password_is_not_shown() {
        let value = json!({"metadata": {"name": "redis", "namespace": "shop"}});
        let service = SeenObject {
            kind: Service,
            value: &value,
        };
        let host = |text: &str, is_here| host_in(text, service, is_here);
        for (text, found) in [
            ("redis://app:hunter2@redis:6379/0", "redis:6379"),
            ("Server=redis;Password=hunter2", "redis"),
            (
                "redis.shop.svc:6379,password=hunter2",
                "redis.shop.svc:6379",
            ),
            ("nc -z redis 6379", "redis"),
            ("redis.shop", "redis.shop"),
            ("redis:6379é", "redis:6379"),
        ] {
            assert_eq!(host(text, true).as_deref(), Some(found), "{text}");
        }
        assert_eq!(host("redis-exporter:9121", true), None);
        assert_eq!(host("redis", false), None);
        assert_eq!(host("redis.other.svc", true), None);
    }
}
