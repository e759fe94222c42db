//! What the objects around a step's own tell of it: the autoscaler that goes on setting replicas, the sleep that the next `up`
//! ends, what a namespace holds, and the Job that counts its pods.

use serde_json::Value;

use super::access::{ChangeAccess, unreachable};
use super::diff::FieldChange;
use super::held::HeldObjects;
use super::kind::ObjectKind;
use super::look::SeenObjects;
use super::operation::{Deed, Operation};
use super::plan::{ChangeAction, ChangeStep, ObjectName};
use super::pod_end::{job_of, pod_end};
use super::risk::ChangeRisk;
use crate::cluster::sleep::REPLICAS_ANNOTATION;
use crate::error::Result;

/// What is to be known of a step beside what it changes.
pub(super) struct AroundStep {
    pub(super) notes: Vec<String>,
    /// The risk and the reason for it, where these objects decide.
    pub(super) risk: Option<(ChangeRisk, String)>,
}

/// Looks at the objects around a step's own.
///
/// # Errors
/// [`crate::error::Code::ClusterUnreachable`].
pub(super) async fn around(
    access: &ChangeAccess,
    step: &ChangeStep,
    seen: &SeenObjects,
    operation: &Operation,
    diff: &[FieldChange],
) -> Result<AroundStep> {
    let before = seen.before.as_ref();
    let mut notes = autoscaled(access, step).await?;
    notes.extend(asleep(before, diff));
    notes.extend(seen.held.iter().flat_map(HeldObjects::notes));
    let risk = of_job(access, operation, before).await?;
    Ok(AroundStep { notes, risk })
}

async fn autoscaled(access: &ChangeAccess, step: &ChangeStep) -> Result<Vec<String>> {
    if !matches!(step.action, ChangeAction::Scale(_)) {
        return Ok(vec![]);
    }
    let found = access.autoscaler(&step.object).await;
    let found = found.map_err(|e| unreachable(&e))?;
    let said = found.map(|name| {
        format!(
            "HorizontalPodAutoscaler `{name}` sets the replicas of {} again",
            step.object
        )
    });
    Ok(said.into_iter().collect())
}

/// The risk of the end of a Job's pod, by the Job as it is.
async fn of_job(
    access: &ChangeAccess,
    operation: &Operation,
    before: Option<&Value>,
) -> Result<Option<(ChangeRisk, String)>> {
    let is_end = operation.deed == Deed::Delete && operation.target.kind == ObjectKind::Pod;
    let Some(job) = before.filter(|_| is_end).and_then(job_of) else {
        return Ok(None);
    };
    let job = ObjectName {
        kind: ObjectKind::Job,
        namespace: operation.target.namespace.clone(),
        name: job.to_owned(),
    };
    let job = access.live(&job).await.map_err(|e| unreachable(&e))?;
    Ok(Some(pod_end(before, job.as_ref())))
}

/// What the next `up` makes of a change to a workload that sleeps: it wakes it with the count that it had.
fn asleep(before: Option<&Value>, diff: &[FieldChange]) -> Option<String> {
    let noted = &before?["metadata"]["annotations"][REPLICAS_ANNOTATION];
    let count = noted.as_str()?;
    let is_count = diff.iter().any(|change| change.path == "spec.replicas");
    Some(match is_count {
        true => format!(
            "the workload sleeps: the next `devk up` sets its replicas to {count} again, and this count is lost"
        ),
        false => format!(
            "the workload sleeps: no pod shows the change before `devk up` sets its replicas to {count} again"
        ),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::{Arc, Mutex};

    use serde_json::json;

    use super::super::execute::{StepEnd, execute};
    use super::super::preview::{ChangePreview, preview};
    use super::super::read_plan;
    use super::*;
    use crate::cluster::fake::{Requests, client_that};
    use crate::config::{AskConfig, AskRole, ClusterConfig, Project, Provider, UserAsk};
    use crate::error::Code;
    use crate::ui::event::Reporter;

    /// Admin on a cluster that devk made, whose API server answers by this.
    fn access(answer: impl Fn(&str) -> (u16, Value) + Send + 'static) -> (ChangeAccess, Requests) {
        let (client, requests) = client_that(answer);
        let pin = json!({"version": 1, "uid": "u1", "endpoint": "", "node": "n", "created": true,
            "network_created": false, "engine": {"id": "e", "host": ""}});
        let user = UserAsk {
            role: Some(AskRole::Admin),
            ..UserAsk::default()
        };
        let rights = user.rights(&AskConfig::default(), None);
        let pin = serde_json::from_value(pin).unwrap();
        (ChangeAccess::of_parts(client, pin, rights), requests)
    }

    async fn previewed(access: &ChangeAccess, step: Value) -> ChangePreview {
        let plan = json!({"version": 1, "steps": [step]}).to_string();
        let plan = read_plan(&plan, Path::new("plan")).unwrap();
        let project = Project::without_file(
            "shop",
            Path::new("/p"),
            ClusterConfig::new(Provider::Kind, "devk"),
        );
        preview(access, &project, &plan).await.unwrap()
    }

    fn list(kind: &str, items: &[Value]) -> Value {
        json!({"kind": kind, "apiVersion": "meta.k8s.io/v1", "metadata": {}, "items": items})
    }

    fn refusal(code: u16) -> (u16, Value) {
        let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "no", "reason": if code == 404 { "NotFound" } else { "Other" }, "code": code});
        (code, status)
    }

    fn namespace(name: &str, labels: &Value) -> Value {
        json!({"kind": "Namespace", "apiVersion": "v1",
            "metadata": {"name": name, "uid": "n1", "resourceVersion": "1", "labels": labels}})
    }

    #[tokio::test]
    async fn a_namespace_that_a_plan_makes_has_its_owner_and_is_told_when_its_roles_fail() {
        let made = namespace("shop-dev", &json!({}));
        let (access, requests) = access(move |asked| match asked {
            "GET /api/v1/namespaces" => (200, list("PartialObjectMetadataList", &[])),
            "POST /api/v1/namespaces" => (201, made.clone()),
            _ if asked.starts_with("GET ") => refusal(404),
            _ => refusal(500),
        });
        let step = json!({"verb": "create", "object": {"kind": "Namespace", "name": "shop-dev"}});
        let shown = previewed(&access, step).await;
        let (outcome, _) = execute(&access, &shown, &Reporter::default()).await;
        let sent = requests.lock().unwrap().clone();
        let posts: Vec<_> = sent.iter().filter(|(method, _)| method == "POST").collect();
        for (_, sent) in &posts {
            let metadata = &sent["metadata"];
            assert_eq!(metadata["labels"]["devk.dev/made-for"], "shop");
            assert_eq!(
                metadata["annotations"],
                json!({"devk.dev/root": "/p", "devk.dev/user": "7", "devk.dev/machine": "m"})
            );
        }
        assert_eq!(posts.len(), 2, "the dry run, and the write");
        let step = &outcome.steps[0];
        assert_eq!(step.end, StepEnd::Failed);
        let undo = step.undo.as_ref().unwrap();
        assert!(undo.contains("delete namespace/shop-dev"), "{undo}");
        let error = step.error.as_ref().unwrap();
        assert_eq!(error.code, Code::ChangeFailed);
        assert!(
            error.message.contains("namespace/shop-dev was made"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_namespace_that_goes_is_shown_with_what_it_holds_and_bound_to_its_claims() {
        let claims = Arc::new(Mutex::new(vec!["data-db-0"]));
        let now = claims.clone();
        let kinds = |names: &[(&str, &str)]| {
            let kinds = names.iter().map(|(kind, plural)| {
                json!({"resource": plural, "responseKind": {"group": "", "version": "v1", "kind": kind},
                    "scope": "Namespaced", "singularResource": "", "verbs": ["list", "delete", "get"]})
            });
            let kinds: Vec<_> = kinds.collect();
            json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {},
                "items": [{"metadata": {"name": ""}, "versions": [{"version": "v1", "resources": kinds}]}]})
        };
        let core = kinds(&[
            ("Pod", "pods"),
            ("PersistentVolumeClaim", "persistentvolumeclaims"),
            ("Secret", "secrets"),
        ]);
        let none = json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": []});
        let (access, _) = access(move |asked| {
            let within = asked.strip_prefix("GET /api/v1/namespaces/shop-dev/");
            let object = |name: &&str| {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                "metadata": {"name": name, "uid": format!("uid-of-{name}")}})
            };
            let of = |names: &[&str]| {
                let objects: Vec<_> = names.iter().map(object).collect();
                (200, list("PartialObjectMetadataList", &objects))
            };
            match (asked, within) {
                (_, Some("pods")) => of(&["a", "b"]),
                (_, Some("persistentvolumeclaims")) => of(&now.lock().unwrap()),
                (_, Some(_)) => refusal(403),
                ("GET /api", _) => (200, core.clone()),
                ("GET /apis", _) => (200, none.clone()),
                ("GET /api/v1/namespaces", _) => {
                    let labels = json!({"devk.dev/made-for": "shop"});
                    (
                        200,
                        list(
                            "PartialObjectMetadataList",
                            &[json!({"kind": "PartialObjectMetadata",
                        "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "shop-dev", "labels": labels}})],
                        ),
                    )
                }
                _ => (
                    200,
                    namespace("shop-dev", &json!({"devk.dev/made-for": "shop"})),
                ),
            }
        });
        let step =
            || json!({"verb": "delete", "object": {"kind": "Namespace", "name": "shop-dev"}});
        let shown = previewed(&access, step()).await;
        assert_eq!(
            shown.steps[0].notes,
            [
                "goes with it: 1 PersistentVolumeClaim, 2 Pod",
                "the data of these claims goes: data-db-0",
                "the API server does not list these kinds, of which there may be more: Secret",
            ]
        );
        assert_eq!(previewed(&access, step()).await.hash, shown.hash);
        claims.lock().unwrap().push("data-db-1");
        assert_ne!(previewed(&access, step()).await.hash, shown.hash);
    }

    #[test]
    fn a_change_of_a_workload_that_sleeps_says_what_the_next_up_makes_of_it() {
        let sleeping = json!({"metadata": {"annotations": {REPLICAS_ANNOTATION: "3"}}});
        let changed = |path: &str| {
            vec![FieldChange {
                path: path.to_owned(),
                before: None,
                after: None,
            }]
        };
        let told = |path: &str| asleep(Some(&sleeping), &changed(path)).unwrap();
        assert!(
            told("spec.replicas").contains("sets its replicas to 3 again, and this count is lost")
        );
        assert!(told("spec.template.spec").contains("no pod shows the change"));
        assert_eq!(asleep(Some(&json!({})), &changed("spec.replicas")), None);
    }
}
