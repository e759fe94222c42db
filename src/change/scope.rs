//! What a plan may touch at all, whatever the role: the project's namespace, and namespaces that changes of the project
//! have made. Nothing of helm's records and of devk's own objects. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use super::kind::ObjectKind;
use super::plan::{ChangeAction, ChangeStep, ObjectName};
use super::role::is_own_binding;
use crate::cluster::namespace::MADE_FOR_LABEL;
use crate::error::{Code, Error};

/// Namespaces of Kubernetes itself.
const OF_KUBERNETES: &[&str] = &["default", "kube-system", "kube-public", "kube-node-lease"];

/// The namespaces that a plan may touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ChangeScope {
    pub(super) project: String,
    /// Made by earlier changes of the project.
    pub(super) made: BTreeSet<String>,
    /// Made by earlier steps of the plan.
    pub(super) planned: BTreeSet<String>,
}

impl ChangeScope {
    /// The problem of a step that leaves the scope. A namespace that a step makes belongs to the scope afterwards.
    pub(super) fn take(&mut self, step: &ChangeStep) -> Option<Error> {
        let object = &step.object;
        match (&object.namespace, &step.action) {
            (Some(namespace), _) => self.namespaced(object, namespace),
            (None, ChangeAction::Create(_)) => {
                let name = &object.name;
                if OF_KUBERNETES.contains(&name.as_str()) || name.starts_with("kube-") {
                    return Some(outside(format!("namespace `{name}` is Kubernetes' own")));
                }
                self.planned.insert(name.clone());
                None
            }
            (None, _) => self.namespace(&object.name),
        }
    }

    fn namespaced(&self, object: &ObjectName, namespace: &str) -> Option<Error> {
        let is_in = namespace == self.project
            || self.made.contains(namespace)
            || self.planned.contains(namespace);
        if !is_in {
            let message =
                format!("{object} is in namespace `{namespace}`, which is not the project's");
            return Some(outside(message).hint(format!(
                "a plan changes objects of the namespace `{}`, and of namespaces that a plan of the project has made",
                self.project
            )));
        }
        let name = &object.name;
        let owner = match object.kind {
            ObjectKind::Secret if name.starts_with("sh.helm.release.v1.") => Some("helm's record"),
            kind if is_own_binding(kind, name) => Some("what gives devk's roles their rights"),
            ObjectKind::ConfigMap if name == "kube-root-ca.crt" => Some("Kubernetes' own"),
            _ => None,
        };
        owner.map(|owner| outside(format!("{object} is {owner}")))
    }

    fn namespace(&self, name: &str) -> Option<Error> {
        if name == self.project {
            let error = outside(format!("namespace `{name}` is the whole project"));
            return Some(error.hint("devk down --delete"));
        }
        let is_made = self.made.contains(name);
        (!is_made).then(|| {
            outside(format!(
                "namespace `{name}` was not made by a plan of the project"
            ))
        })
    }
}

/// The problem of an object that devk itself keeps on the cluster.
pub(super) fn kept_by_devk(object: &ObjectName, live: &Value) -> Option<Error> {
    let labels = &live["metadata"]["labels"];
    let is_kept =
        labels["app.kubernetes.io/managed-by"] == "devk" && labels[MADE_FOR_LABEL].is_null();
    is_kept.then(|| {
        outside(format!("{object} is devk's own"))
            .hint("devk up -d    # keeps it as devk.yaml says")
    })
}

fn outside(message: String) -> Error {
    Error::new(Code::ChangeForbidden, message)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::super::read_plan;
    use super::*;

    fn problems(steps: &[Value]) -> Vec<String> {
        let plan = json!({"version": 1, "steps": steps}).to_string();
        let plan = read_plan(&plan, Path::new("plan")).unwrap();
        let mut scope = ChangeScope {
            project: "shop".to_owned(),
            made: BTreeSet::from(["shop-dev".to_owned()]),
            planned: BTreeSet::new(),
        };
        let found = plan.steps.iter().filter_map(|step| scope.take(step));
        found.map(|error| error.message).collect()
    }

    fn step(verb: &str, kind: &str, namespace: Option<&str>, name: &str) -> Value {
        let mut object = json!({"kind": kind, "name": name});
        if let Some(namespace) = namespace {
            object["namespace"] = json!(namespace);
        }
        json!({"verb": verb, "object": object})
    }

    #[test]
    fn only_the_project_and_what_its_changes_made_is_in_reach() {
        let delete = |namespace| step("delete", "Pod", Some(namespace), "web");
        assert_eq!(problems(&[delete("shop"), delete("shop-dev")]), [""; 0]);
        for namespace in ["kube-system", "default", "other", "shop2"] {
            let found = problems(&[delete(namespace)]);
            assert!(
                found[0].ends_with("which is not the project's"),
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_namespace_that_a_step_makes_is_in_reach_of_the_steps_after_it() {
        let make = step("create", "Namespace", None, "new");
        let pod = step("delete", "Pod", Some("new"), "web");
        assert_eq!(problems(&[make.clone(), pod.clone()]), [""; 0]);
        assert_eq!(problems(&[pod, make]).len(), 1);
        assert_eq!(
            problems(&[step("create", "Namespace", None, "kube-mine")]).len(),
            1
        );
    }

    #[test]
    fn the_project_itself_and_the_namespaces_of_others_are_not_deleted() {
        let delete = |name| step("delete", "Namespace", None, name);
        assert_eq!(problems(&[delete("shop-dev")]), [""; 0]);
        for name in ["shop", "kube-system", "other"] {
            assert_eq!(problems(&[delete(name)]).len(), 1, "{name}");
        }
    }

    #[test]
    fn records_of_helm_and_rights_of_devk_are_out_of_reach() {
        let delete = |kind, name| step("delete", kind, Some("shop"), name);
        assert_eq!(
            problems(&[delete("Secret", "sh.helm.release.v1.shop.v1")]).len(),
            1
        );
        assert_eq!(problems(&[delete("RoleBinding", "devk-operator")]).len(), 1);
        let object = ObjectName {
            kind: ObjectKind::Service,
            namespace: Some("shop".to_owned()),
            name: "db".to_owned(),
        };
        let live = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "devk"}}});
        assert!(kept_by_devk(&object, &live).is_some());
        assert!(kept_by_devk(&object, &json!({})).is_none());
    }
}
