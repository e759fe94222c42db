//! Waits until a namespace is gone, and names what holds it: objects with finalizers that nobody answers.
//!
//! Kubernetes counts them in the namespace's conditions (`NamespaceContentRemaining`, by resource) and does not name
//! them; devk lists the resources that the condition counts.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::ApiResource;
use kube::discovery;
use tokio::time::Instant;

use super::super::client::refused;
use crate::error::{Code, Error, Result, on_cluster};
use crate::shell::quote;
use crate::ui::event::Step;

/// How long the removal of a namespace may take: the grace periods of its pods, and some more.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(180);
/// A finalizer is answered within moments if its program runs.
const FINALIZER_TIMEOUT: Duration = Duration::from_secs(15);

/// An object that is to go and has finalizers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    /// `configmaps`, or `widgets.example.com`: as kubectl takes it.
    resource: String,
    kind: String,
    name: String,
    finalizers: Vec<String>,
}

impl Held {
    /// Kubernetes itself answers its own finalizers, if it takes a while.
    fn is_foreign(&self) -> bool {
        let is_own = |finalizer: &String| {
            let domain = finalizer.split_once('/').map_or("", |(domain, _)| domain);
            domain == "kubernetes.io"
                || domain.ends_with(".kubernetes.io")
                || ["foregroundDeletion", "orphan"].contains(&finalizer.as_str())
        };
        !self.finalizers.iter().all(is_own)
    }

    fn text(&self) -> String {
        format!(
            "{} `{}` has the finalizer {}",
            self.kind,
            self.name,
            self.finalizers.join(", ")
        )
    }
}

/// Waits until the namespace is gone. What holds it is told as soon as Kubernetes says that something does.
///
/// # Errors
/// [`Code::NamespaceHeld`] if the same objects hold it for 15 s, [`Code::ClusterUnreachable`] if it is not gone after 3
/// minutes.
pub(super) async fn wait_gone(client: &Client, namespace: &str, step: &Step) -> Result<()> {
    let api: Api<Namespace> = Api::all(client.clone());
    let deadline = Instant::now() + REMOVAL_TIMEOUT;
    let mut known: Option<(Vec<Held>, Instant)> = None;
    while let Some(left) = api.get_opt(namespace).await.map_err(|e| refused(&e))? {
        if Instant::now() > deadline {
            return Err(stuck(namespace, &left));
        }
        let mut held = held(client, namespace, &left).await?;
        held.retain(Held::is_foreign);
        match &known {
            Some((before, since)) if *before == held => {
                if since.elapsed() > FINALIZER_TIMEOUT {
                    return Err(held_by(namespace, &held));
                }
            }
            _ if held.is_empty() => known = None,
            _ => {
                step.trouble(held_by(namespace, &held));
                known = Some((held, Instant::now()));
            }
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Ok(())
}

/// The objects with finalizers, as far as Kubernetes counts them.
async fn held(client: &Client, namespace: &str, left: &Namespace) -> Result<Vec<Held>> {
    if condition(left, "NamespaceFinalizersRemaining").is_none() {
        return Ok(vec![]);
    }
    let message = condition(left, "NamespaceContentRemaining").unwrap_or_default();
    let mut held = vec![];
    for (plural, group) in remaining(message) {
        let Some(resource) = resource(client, plural, group).await? else {
            continue;
        };
        let objects: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), namespace, &resource);
        let list = match objects.list_metadata(&ListParams::default()).await {
            Ok(list) => list,
            // It went, or is not ours to see.
            Err(kube::Error::Api(status)) if [403, 404, 405].contains(&status.code) => continue,
            Err(error) => return Err(refused(&error)),
        };
        let separator = if group.is_empty() { "" } else { "." };
        let named = list.items.into_iter().filter_map(|object| {
            Some(Held {
                resource: format!("{plural}{separator}{group}"),
                kind: resource.kind.clone(),
                name: object.metadata.name?,
                finalizers: object.metadata.finalizers.filter(|all| !all.is_empty())?,
            })
        });
        held.extend(named);
    }
    Ok(held)
}

async fn resource(client: &Client, plural: &str, group: &str) -> Result<Option<ApiResource>> {
    match discovery::group(client, group).await {
        Ok(found) => Ok(found
            .recommended_resources()
            .into_iter()
            .map(|(resource, _)| resource)
            .find(|resource| resource.plural == plural)),
        // An API service that does not answer; the condition still counts its objects.
        Err(kube::Error::Discovery(_)) => Ok(None),
        Err(kube::Error::Api(status)) if [404, 503].contains(&status.code) => Ok(None),
        Err(error) => Err(refused(&error)),
    }
}

/// The message of a condition that holds.
fn condition<'a>(namespace: &'a Namespace, kind: &str) -> Option<&'a str> {
    let conditions = namespace.status.as_ref()?.conditions.as_ref()?;
    let found = conditions
        .iter()
        .find(|condition| condition.type_ == kind && condition.status == "True")?;
    Some(found.message.as_deref().unwrap_or_default())
}

/// Plurals and groups out of `Some resources are remaining: configmaps. has 1 resource instances, widgets.example.com
/// has 2 resource instances` (Kubernetes, `pkg/controller/namespace/deletion/status_condition_utils.go`).
fn remaining(message: &str) -> Vec<(&str, &str)> {
    let list = message
        .split_once(": ")
        .map_or("", |(_, resources)| resources);
    list.split(", ")
        .filter_map(|item| item.split_once(" has ")?.0.split_once('.'))
        .collect()
}

fn held_by(namespace: &str, held: &[Held]) -> Error {
    let message = match held {
        [one] => format!("namespace `{namespace}` cannot go: {}", one.text()),
        [first, others @ ..] => format!(
            "namespace `{namespace}` cannot go: {}, and {} more",
            first.text(),
            others.len()
        ),
        [] => format!("namespace `{namespace}` cannot go"),
    };
    let objects = held
        .iter()
        .map(|held| quote(format!("{}/{}", held.resource, held.name)))
        .collect::<Vec<_>>()
        .join(" ");
    let patch = on_cluster(format!(
        "kubectl patch {objects} --namespace {namespace} --type merge --patch '{{\"metadata\":{{\"finalizers\":null}}}}'"
    ));
    let evidence: Vec<_> = held.iter().map(Held::text).collect();
    Error::new(Code::NamespaceHeld, message)
        .evidence(evidence.join("\n"))
        .hint(format!(
            "start the program that answers the finalizer; if it is gone for good: {patch}"
        ))
}

/// Kubernetes' own message on what is left.
fn stuck(namespace: &str, left: &Namespace) -> Error {
    let conditions = left
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    let reasons = conditions
        .filter(|c| c.status == "True")
        .filter_map(|c| c.message.clone());
    Error::new(
        Code::ClusterUnreachable,
        format!(
            "namespace `{namespace}` is not gone after {} s",
            REMOVAL_TIMEOUT.as_secs()
        ),
    )
    .evidence(reasons.collect::<Vec<_>>().join("\n"))
    .hint(on_cluster(format!(
        "kubectl get namespace {namespace} -o yaml"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(kind: &str, name: &str, finalizer: &str) -> Held {
        Held {
            resource: format!("{}s", kind.to_lowercase()),
            kind: kind.into(),
            name: name.into(),
            finalizers: vec![finalizer.into()],
        }
    }

    #[test]
    fn the_condition_counts_resources_by_plural_and_group() {
        let message = "Some resources are remaining: configmaps. has 1 resource instances, widgets.example.com has 2 \
                       resource instances";
        assert_eq!(
            remaining(message),
            [("configmaps", ""), ("widgets", "example.com")]
        );
        assert_eq!(remaining("All content successfully removed"), []);
    }

    #[test]
    fn what_holds_a_namespace_is_named_with_a_command_that_lets_it_go() {
        let error = held_by(
            "shop",
            &[
                held("ConfigMap", "held", "example.com/hold"),
                held("Secret", "it's", "example.com/hold"),
            ],
        );
        assert_eq!(
            error.message,
            "namespace `shop` cannot go: ConfigMap `held` has the finalizer example.com/hold, and 1 more"
        );
        assert_eq!(error.evidence.len(), 2);
        assert!(error.hint.unwrap().ends_with(
            r#"kubectl patch configmaps/held 'secrets/it'\''s' --namespace shop --type merge --patch '{"metadata":{"finalizers":null}}' --kubeconfig "$(devk kubeconfig)""#
        ));
    }

    #[test]
    fn finalizers_that_kubernetes_answers_itself_hold_nothing() {
        assert!(held("ConfigMap", "a", "example.com/hold").is_foreign());
        assert!(held("ConfigMap", "a", "hold").is_foreign());
        assert!(held("ConfigMap", "a", "notkubernetes.io/hold").is_foreign());
        for own in [
            "kubernetes.io/pvc-protection",
            "batch.kubernetes.io/job-tracking",
            "foregroundDeletion",
        ] {
            assert!(!held("Pod", "a", own).is_foreign(), "{own}");
        }
    }
}
