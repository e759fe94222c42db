//! Waits until a namespace is gone, and names what holds it: objects with finalizers that nobody answers, or an API
//! whose server is gone, so that Kubernetes cannot tell what of it is in the namespace.
//!
//! Kubernetes counts such objects in the namespace's conditions, some seconds late and without their names. devk lists
//! what is in the namespace itself; of APIs the conditions are all there is.

use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::ApiResource;
use kube::discovery::{Scope, verbs};
use tokio::time::Instant;

use super::super::client::{discovery, refused};
use crate::error::{Code, Error, Result, on_cluster};
use crate::shell::quote;
use crate::ui::event::Step;

/// How long the removal of a namespace may take: the grace periods of its pods, and some more.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(180);
/// A finalizer is answered within moments if its program runs.
const FINALIZER_TIMEOUT: Duration = Duration::from_secs(15);
/// An API whose server starts or is replaced answers within this time.
const API_TIMEOUT: Duration = Duration::from_secs(30);
/// By these conditions Kubernetes says that it cannot tell what is in a namespace (core/v1, `NamespaceConditionType`).
const UNLISTED: [&str; 2] = [
    "NamespaceDeletionDiscoveryFailure",
    "NamespaceDeletionGroupVersionParsingFailure",
];
/// Between two looks at what is left; what both find is told.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// So many kinds are listed at once.
const LISTS_AT_ONCE: usize = 16;

/// An object that is to go and has finalizers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    kind: String,
    name: String,
    /// `configmaps`, or `widgets.example.com`: as kubectl takes it.
    resource: String,
    finalizers: Vec<String>,
}

impl Held {
    /// None if the object is to stay, or if Kubernetes itself lets it go.
    fn of(kind: &ApiResource, metadata: ObjectMeta) -> Option<Self> {
        metadata.deletion_timestamp.as_ref()?;
        let separator = if kind.group.is_empty() { "" } else { "." };
        let held = Self {
            kind: kind.kind.clone(),
            name: metadata.name?,
            resource: format!("{}{separator}{}", kind.plural, kind.group),
            finalizers: metadata.finalizers?,
        };
        held.is_foreign().then_some(held)
    }

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

/// Waits until the namespace is gone. What holds it is told within seconds.
///
/// # Errors
/// [`Code::NamespaceHeld`] if the same objects hold it for 15 s, or the same API for 30 s, and if it is not gone after 3
/// minutes; [`Code::ClusterUnreachable`].
pub(super) async fn wait_gone(client: &Client, namespace: &str, step: &Step) -> Result<()> {
    let api: Api<Namespace> = Api::all(client.clone());
    let began = Instant::now();
    let mut next_look = began + LOOK_INTERVAL;
    let mut kinds = vec![];
    let mut known: (Option<Error>, Instant) = (None, began);
    let mut is_told = false;
    while let Some(left) = api.get_opt(namespace).await.map_err(|e| refused(&e))? {
        if began.elapsed() > REMOVAL_TIMEOUT {
            return Err(stuck(namespace, &left));
        }
        if Instant::now() > next_look {
            if kinds.is_empty() {
                // An API that does not answer hides the others; the namespace's conditions name it.
                kinds = namespaced(client).await.unwrap_or_default();
            }
            let (why, patience) = obstacle(client, namespace, &left, &kinds).await;
            match why {
                Some(why) if known.0.as_ref() == Some(&why) && known.1.elapsed() > patience => {
                    return Err(why);
                }
                Some(why) if known.0.as_ref() == Some(&why) => {
                    if !is_told {
                        step.trouble(why);
                        is_told = true;
                    }
                }
                why => {
                    known = (why, Instant::now());
                    is_told = false;
                }
            }
            next_look = Instant::now() + LOOK_INTERVAL;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Ok(())
}

/// Why a namespace that is being removed is still there; None if it is not being removed.
///
/// # Errors
/// [`Code::ClusterUnreachable`].
pub async fn removal(client: &Client, namespace: &str) -> Result<Option<Error>> {
    let api: Api<Namespace> = Api::all(client.clone());
    let found = api.get_opt(namespace).await.map_err(|e| refused(&e))?;
    let is_going = |found: &Namespace| found.metadata.deletion_timestamp.is_some();
    let Some(left) = found.filter(is_going) else {
        return Ok(None);
    };
    let kinds = namespaced(client).await.unwrap_or_default();
    let (why, _) = obstacle(client, namespace, &left, &kinds).await;
    let going = || {
        let message = format!("namespace `{namespace}` is being removed");
        Error::new(Code::NamespaceHeld, message)
    };
    Ok(Some(why.unwrap_or_else(going)))
}

/// What keeps a namespace that is being removed, if that can be seen, and how long it may without being given up.
async fn obstacle(
    client: &Client,
    namespace: &str,
    left: &Namespace,
    kinds: &[ApiResource],
) -> (Option<Error>, Duration) {
    match &held(client, namespace, kinds).await[..] {
        [] => (unlisted(namespace, left), API_TIMEOUT),
        held => (Some(held_by(namespace, held)), FINALIZER_TIMEOUT),
    }
}

/// Every kind of which a namespace may hold objects.
async fn namespaced(client: &Client) -> Result<Vec<ApiResource>> {
    let found = discovery(client).await.map_err(|e| refused(&e))?;
    let all = found
        .groups()
        .flat_map(|group| group.recommended_resources());
    let listed = all
        .filter(|(_, can)| can.scope == Scope::Namespaced && can.supports_operation(verbs::LIST));
    Ok(listed.map(|(resource, _)| resource).collect())
}

/// The objects that are to go and that a foreign finalizer holds. A kind that cannot be listed (it went, or its API
/// service does not answer, or it is not ours to see) tells of none.
async fn held(client: &Client, namespace: &str, kinds: &[ApiResource]) -> Vec<Held> {
    let lists = kinds.iter().cloned().map(|kind| {
        let objects: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind);
        async move {
            let list = objects.list_metadata(&ListParams::default()).await.ok()?;
            let items = list.items.into_iter();
            Some(
                items
                    .filter_map(|object| Held::of(&kind, object.metadata))
                    .collect::<Vec<_>>(),
            )
        }
    });
    let lists: Vec<_> = futures::stream::iter(lists)
        .buffer_unordered(LISTS_AT_ONCE)
        .collect()
        .await;
    let mut held: Vec<_> = lists.into_iter().flatten().flatten().collect();
    held.sort();
    held
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

/// The messages of those conditions of a namespace that hold, of the wanted types.
fn messages(left: &Namespace, is_wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let conditions = left
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    conditions
        .filter(|c| c.status == "True" && is_wanted(&c.type_))
        .filter_map(|c| c.message.clone())
        .collect()
}

/// Kubernetes cannot list what is in the namespace, and keeps it until it can.
fn unlisted(namespace: &str, left: &Namespace) -> Option<Error> {
    let why = messages(left, |kind| UNLISTED.contains(&kind));
    if why.is_empty() {
        return None;
    }
    let message = format!(
        "namespace `{namespace}` cannot go: an API of the cluster does not answer, so Kubernetes does not know what is in \
         the namespace"
    );
    let list = on_cluster("kubectl get apiservices".to_owned());
    Some(
        Error::new(Code::NamespaceHeld, message)
            .evidence(why.join("\n"))
            .hint(format!(
                "{list} names it by `False`; start its server, or delete that APIService if the server is gone for good"
            )),
    )
}

/// Kubernetes' own message on what is left.
fn stuck(namespace: &str, left: &Namespace) -> Error {
    Error::new(
        Code::NamespaceHeld,
        format!(
            "namespace `{namespace}` is not gone after {} s",
            REMOVAL_TIMEOUT.as_secs()
        ),
    )
    .evidence(messages(left, |_| true).join("\n"))
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
    fn only_an_object_that_is_to_go_holds_a_namespace() {
        let gvk = kube::core::GroupVersionKind::gvk("example.com", "v1", "Widget");
        let kind = ApiResource::from_gvk_with_plural(&gvk, "widgets");
        let of = |deleted: Option<&str>, finalizers: &[&str]| {
            let metadata = serde_json::json!({"name": "w", "deletionTimestamp": deleted, "finalizers": finalizers});
            Held::of(&kind, serde_json::from_value(metadata).unwrap())
        };
        let deleted = Some("2026-01-01T00:00:00Z");
        let held = of(deleted, &["example.com/hold"]).unwrap();
        assert_eq!(held.resource, "widgets.example.com");
        assert_eq!(of(None, &["example.com/hold"]), None);
        assert_eq!(of(deleted, &["kubernetes.io/pvc-protection"]), None);
        assert_eq!(of(deleted, &[]), None);
    }

    #[test]
    fn what_holds_a_namespace_is_named_with_a_command_that_lets_it_go() {
        let error = held_by(
            "shop",
            &[
                held("ConfigMap", "held", "example.com/hold"),
                held("Secret", "b", "example.com/hold"),
            ],
        );
        assert_eq!(
            error.message,
            "namespace `shop` cannot go: ConfigMap `held` has the finalizer example.com/hold, and 1 more"
        );
        assert_eq!(error.evidence.len(), 2);
        assert!(error.hint.unwrap().ends_with(
            r#"kubectl patch configmaps/held secrets/b --namespace shop --type merge --patch '{"metadata":{"finalizers":null}}' --kubeconfig "$(devk kubeconfig)""#
        ));
    }

    #[test]
    fn an_api_that_does_not_answer_holds_a_namespace_and_the_cluster_does_answer() {
        let condition = |kind: &str, status: &str| serde_json::json!({"type": kind, "status": status, "message": kind});
        let namespace = |conditions: serde_json::Value| -> Namespace {
            serde_json::from_value(serde_json::json!({"metadata": {"name": "shop"}, "status": {"conditions": conditions}}))
                .unwrap()
        };
        let broken = namespace(serde_json::json!([
            condition("NamespaceDeletionDiscoveryFailure", "True"),
            condition("NamespaceContentRemaining", "True"),
        ]));
        let error = unlisted("shop", &broken).unwrap();
        assert_eq!(error.code, Code::NamespaceHeld);
        assert_eq!(error.evidence, ["NamespaceDeletionDiscoveryFailure"]);
        assert!(
            error
                .hint
                .unwrap()
                .contains("kubectl get apiservices --kubeconfig")
        );
        let whole = namespace(serde_json::json!([condition(
            "NamespaceDeletionDiscoveryFailure",
            "False"
        )]));
        assert_eq!(unlisted("shop", &whole), None);
        assert_eq!(stuck("shop", &broken).code, Code::NamespaceHeld);
        assert_eq!(stuck("shop", &broken).evidence.len(), 2);
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
