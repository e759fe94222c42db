//! A broken pod that its StatefulSet waits for: in the default order it replaces no pod by a newer revision before that
//! pod is ready, so the fix of what broke it would never come. Kubernetes leaves it to whoever applied the fix to
//! remove the pod ("forced rollback" in its documentation of StatefulSets).

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use kube::{Client, ResourceExt};

use crate::cluster::client::deletion_of;
use crate::error::{Code, Error};
use crate::ui::event::Step;

/// A broken pod of an older revision.
#[derive(Debug)]
pub(super) struct StuckPod {
    pub(super) name: String,
    namespace: String,
    pub(super) uid: String,
    /// The StatefulSet replaces the pod as soon as the pod is gone, so devk may remove it.
    pub(super) is_replaced: bool,
}

impl StuckPod {
    pub(super) fn of(set: &StatefulSet, pod: &Pod) -> Self {
        Self {
            name: pod.name_any(),
            namespace: pod.namespace().unwrap_or_default(),
            uid: pod.uid().unwrap_or_default(),
            is_replaced: is_replaced(set, pod),
        }
    }

    /// Removes the broken pod. If the API server refuses, devk reports the error and leaves the pod to the user.
    pub(super) async fn remove(&self, client: &Client, step: &Step) {
        let Self {
            name,
            namespace,
            uid,
            ..
        } = self;
        step.progress(format!(
            "replacing the broken pod `{name}` of an older revision"
        ));
        let removed = Api::<Pod>::namespaced(client.clone(), namespace)
            .delete(name, &deletion_of(Some(uid.clone())))
            .await;
        match removed {
            Ok(_) => {}
            // The pod has been replaced since.
            Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => {}
            Err(e) => {
                let text = format!("cannot remove the broken pod `{name}`: {e}");
                step.trouble(Error::new(Code::ReleaseNotReady, text));
            }
        }
    }
}

/// Neither `OnDelete` nor a partition keeps the pod at its revision.
fn is_replaced(set: &StatefulSet, pod: &Pod) -> bool {
    let strategy = set.spec.as_ref().and_then(|s| s.update_strategy.as_ref());
    let is_on_delete = strategy.and_then(|s| s.type_.as_deref()) == Some("OnDelete");
    let partition = strategy
        .and_then(|s| s.rolling_update.as_ref())
        .and_then(|rolling| rolling.partition)
        .unwrap_or(0);
    let name = pod.name_any();
    let ordinal = name
        .rsplit('-')
        .next()
        .and_then(|text| text.parse::<i32>().ok());
    !is_on_delete && ordinal.is_some_and(|ordinal| ordinal >= partition)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_pod_that_is_to_stay_at_its_revision_is_left_alone() {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "my-db-1"}})).unwrap();
        let replaced = |strategy: Value| {
            let spec = json!({"selector": {}, "template": {}, "updateStrategy": strategy});
            let set = serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap();
            is_replaced(&set, &pod)
        };
        assert!(replaced(Value::Null));
        assert!(replaced(json!({"rollingUpdate": {"partition": 1}})));
        assert!(!replaced(json!({"rollingUpdate": {"partition": 2}})));
        assert!(!replaced(json!({"type": "OnDelete"})));
    }
}
