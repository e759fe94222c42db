//! Where manifests name a Service: the environment, the command and the ConfigMaps of a template. That is what shows who refers
//! to whom; devk sees no connections.

use serde_json::Value;

use super::answer::AskAnswer;
use super::facts::uses;
use super::kind::AskedKind::{self, ConfigMap, Ingress, Service};
use super::object::{SeenObject, items, text, texts};
use super::question::{Question, Referring};
use super::relation::{related, routes_to};
use super::resolve::Meant;
use super::snapshot::ClusterSnapshot;
use super::unclear::Unclear;

impl Question {
    /// The objects of a kind that refer to what was meant, or to which that refers. A Service is referred to by its name, and
    /// speaks for its pods; what else is used (a ConfigMap, a claim) belongs to what uses it.
    ///
    /// # Errors
    /// The two have nothing to do with each other; nobody reaches what has no Service.
    pub(super) fn referring<'a>(
        &self,
        way: Referring,
        kind: AskedKind,
        meant: &Meant<'a>,
        snapshot: &'a ClusterSnapshot,
    ) -> Result<Vec<SeenObject<'a>>, Unclear> {
        let is_reached = |seen: &SeenObject<'_>| seen.kind.has_pods() || seen.kind == Service;
        let of_manifests = meant.objects.iter().any(is_reached)
            && (kind.has_pods() || matches!(kind, Service | Ingress));
        if !of_manifests {
            return related(kind, meant, snapshot)
                .ok_or_else(|| Unclear::unfitting(&format!("`{}`", meant.name), kind.several()));
        }
        let services = || self.of_kind(Service, snapshot).into_iter();
        let names = |service: &SeenObject<'_>| {
            let mut users = meant.objects.iter();
            users.any(|user| refers_to(*user, *service, snapshot))
        };
        if way == Referring::From {
            return Ok(match kind {
                Service => services().filter(names).collect(),
                _ => behind(kind, services().filter(names), snapshot),
            });
        }
        let used = related(Service, meant, snapshot).unwrap_or_default();
        if used.is_empty() {
            return Err(Unclear::without_service(meant));
        }
        let mut found = self.of_kind(kind, snapshot);
        found.retain(|one| {
            used.iter()
                .any(|service| refers_to(*one, *service, snapshot))
        });
        Ok(found)
    }
}

/// The objects of a kind that are behind Services.
fn behind<'a>(
    kind: AskedKind,
    services: impl Iterator<Item = SeenObject<'a>>,
    snapshot: &'a ClusterSnapshot,
) -> Vec<SeenObject<'a>> {
    let mut found: Vec<SeenObject<'a>> = vec![];
    for service in services {
        let service = Meant {
            name: service.name().to_owned(),
            objects: vec![service],
        };
        for one in related(kind, &service, snapshot).unwrap_or_default() {
            if !found.iter().any(|seen| seen.same(&one)) {
                found.push(one);
            }
        }
    }
    found
}

/// Whether an object, or a pod behind it, names a Service of others.
fn refers_to(one: SeenObject<'_>, service: SeenObject<'_>, snapshot: &ClusterSnapshot) -> bool {
    if one.kind == Ingress {
        let routes = routes_to(service, snapshot);
        return routes.iter().any(|(ingress, _)| ingress.same(&one));
    }
    let behind = snapshot.pods_of(service);
    let pods = snapshot.pods_of(one);
    if one.same(&service)
        || pods
            .iter()
            .any(|pod| behind.iter().any(|other| other.same(pod)))
    {
        return false;
    }
    match one.kind {
        Service => pods
            .iter()
            .any(|pod| !mentions(*pod, service, snapshot).is_empty()),
        _ => !mentions(one, service, snapshot).is_empty(),
    }
}

impl AskAnswer {
    /// Says from what it was read who refers to whom.
    pub(super) fn read_from_manifests(&mut self, users: &[SeenObject<'_>]) {
        self.notes.push(
            "read from environments, commands, ConfigMaps and ingresses; devk sees no connections"
                .to_owned(),
        );
        if users.iter().any(|user| hides(*user)) {
            self.notes
                .push("what stands in Secrets was not read".to_owned());
        }
    }
}

/// The places where a template names a Service as a host.
pub(super) fn mentions(
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
        if uses(user, ConfigMap, map.name()).is_empty() {
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
    let place = |word: &str| {
        let start = word.as_ptr() as usize - text.as_ptr() as usize;
        (start, start + word.len())
    };
    // The scheme, the user, the password and the path of a URL are no hosts.
    let is_host = |word: &&str| {
        let (start, end) = place(word);
        let (before, after) = (&text[..start], &text[end..]);
        let url = before.rsplit(char::is_whitespace).next().unwrap_or(before);
        let authority = after.split(['/', '?', '#', ' ']).next().unwrap_or(after);
        let is_login = url.contains("://") && authority.contains('@');
        let is_path = before.ends_with('/') && !before.ends_with("//");
        !after.starts_with("://") && !is_login && !is_path
    };
    let words = text.rsplit(|c: char| !is_part(c));
    let word = words.filter(is_service).find(is_host)?;
    let (_, end) = place(word);
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
    let from =
        |one: &Value| one["secretRef"].is_object() || one["valueFrom"]["secretKeyRef"].is_object();
    user.containers()
        .flat_map(|one| items(&one["envFrom"]).chain(items(&one["env"])))
        .any(from)
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
            ("redis://redis:12345@redis:6379/redis", "redis:6379"),
        ] {
            assert_eq!(host(text, true).as_deref(), Some(found), "{text}");
        }
        assert_eq!(host("redis-exporter:9121", true), None);
        assert_eq!(host("redis", false), None);
        assert_eq!(host("redis.other.svc", true), None);
    }
}
