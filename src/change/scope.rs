//! What a plan may touch at all, whatever the role: the project's namespace, and namespaces that changes of the project
//! have made. Nothing of helm's records and of devk's own objects. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::kind::ObjectKind;
use super::plan::{ChangeAction, ChangeStep, ObjectName};
use super::role::is_own_role;
use crate::cluster::namespace::{MADE_FOR_LABEL, is_of_kubernetes};
use crate::error::{Code, Error};

/// The namespaces that a plan may touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ChangeScope {
    pub(super) project: String,
    /// Made by earlier changes of the project.
    pub(super) made: BTreeSet<String>,
    /// What earlier steps of the plan make.
    pub(super) planned: BTreeSet<ObjectName>,
    /// Of other projects, each with its project.
    pub(super) of_others: BTreeMap<String, String>,
}

impl ChangeScope {
    /// The problem of a step that leaves the scope. A namespace that a step makes belongs to the scope afterwards.
    pub(super) fn take(&mut self, step: &ChangeStep) -> Option<Error> {
        let (object, name) = (&step.object, &step.object.name);
        let is_made = matches!(step.action, ChangeAction::Create(_));
        let problem = match &object.namespace {
            Some(namespace) => self.namespaced(object, namespace),
            None if is_made => self
                .owner(name)
                .map(|owner| outside(format!("namespace `{name}` is {owner}"))),
            None => self.namespace(name),
        };
        if is_made && problem.is_none() {
            self.planned.insert(object.clone());
        }
        problem
    }

    /// What an earlier step of the plan makes and the API server asks for, even to try this one: the namespace, or the Role that
    /// a RoleBinding gives.
    pub(super) fn waits_for(&self, step: &ChangeStep) -> Option<String> {
        let name = step.object.namespace.as_ref()?;
        let namespace = namespace_called(name);
        if self.planned.contains(&namespace) {
            return Some(namespace.to_string());
        }
        let (ObjectKind::RoleBinding, ChangeAction::Create(create)) =
            (step.object.kind, &step.action)
        else {
            return None;
        };
        let role = ObjectName {
            kind: ObjectKind::Role,
            namespace: Some(name.clone()),
            name: create.body.get("roleRef")?["name"].as_str()?.to_owned(),
        };
        self.planned.contains(&role).then(|| role.to_string())
    }

    /// Whose a namespace is, if it is known to be somebody else's.
    fn owner(&self, namespace: &str) -> Option<String> {
        if is_of_kubernetes(namespace) {
            return Some("Kubernetes' own".to_owned());
        }
        let project = self.of_others.get(namespace)?;
        Some(format!("project `{project}`'s"))
    }

    fn namespaced(&self, object: &ObjectName, namespace: &str) -> Option<Error> {
        let is_in = namespace == self.project
            || self.made.contains(namespace)
            || self.planned.contains(&namespace_called(namespace));
        if !is_in {
            let whose = self
                .owner(namespace)
                .unwrap_or_else(|| "not the project's".to_owned());
            let message = format!("{object} is in namespace `{namespace}`, which is {whose}");
            return Some(outside(message).hint(format!(
                "a plan changes objects of the namespace `{}`, and of namespaces that a plan of the project has made",
                self.project
            )));
        }
        let name = &object.name;
        let owner = match object.kind {
            ObjectKind::Secret if name.starts_with("sh.helm.release.v1.") => Some("helm's record"),
            kind if is_own_role(kind, name) => Some("what gives devk's roles their rights"),
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
            let whose = self
                .owner(name)
                .unwrap_or_else(|| "not made by a plan of the project".to_owned());
            outside(format!("namespace `{name}` is {whose}"))
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

fn namespace_called(name: &str) -> ObjectName {
    ObjectName {
        kind: ObjectKind::Namespace,
        namespace: None,
        name: name.to_owned(),
    }
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
            of_others: [("other", "other"), ("other-dev", "other")]
                .map(|(namespace, project)| (namespace.to_owned(), project.to_owned()))
                .into(),
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
    fn a_binding_waits_for_the_role_that_an_earlier_step_makes_and_for_no_other() {
        let binding = |namespace: &str, role: &str| {
            let mut step = step("create", "RoleBinding", Some(namespace), "robot");
            step["body"] = json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role}});
            step
        };
        let steps = [
            step("create", "Role", Some("shop"), "reader"),
            binding("shop", "reader"),
            binding("shop-dev", "reader"),
        ];
        let plan = json!({"version": 1, "steps": steps}).to_string();
        let plan = read_plan(&plan, Path::new("plan")).unwrap();
        let mut scope = ChangeScope {
            project: "shop".to_owned(),
            made: BTreeSet::from(["shop-dev".to_owned()]),
            ..ChangeScope::default()
        };
        let waits = plan.steps.iter().map(|step| {
            assert!(scope.take(step).is_none());
            scope.waits_for(step)
        });
        let waits: Vec<_> = waits.collect();
        assert_eq!(waits, [None, Some("role/reader".to_owned()), None]);
    }

    #[test]
    fn only_the_project_and_what_its_changes_made_is_in_reach() {
        let delete = |namespace| step("delete", "Pod", Some(namespace), "web");
        assert_eq!(problems(&[delete("shop"), delete("shop-dev")]), [""; 0]);
        for (namespace, whose) in [
            ("kube-system", "Kubernetes' own"),
            ("default", "Kubernetes' own"),
            ("other", "project `other`'s"),
            ("other-dev", "project `other`'s"),
            ("shop2", "not the project's"),
        ] {
            let found = problems(&[delete(namespace)]);
            let expected = format!("pod/web is in namespace `{namespace}`, which is {whose}");
            assert_eq!(found, [expected]);
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
        for name in ["shop", "kube-system", "other", "other-dev", "shop2"] {
            assert_eq!(problems(&[delete(name)]).len(), 1, "{name}");
        }
        let make = step("create", "Namespace", None, "other-dev");
        assert_eq!(
            problems(&[make]),
            ["namespace `other-dev` is project `other`'s"]
        );
    }

    #[test]
    fn records_of_helm_and_rights_of_devk_are_out_of_reach() {
        let delete = |kind, name| step("delete", kind, Some("shop"), name);
        assert_eq!(
            problems(&[delete("Secret", "sh.helm.release.v1.shop.v1")]).len(),
            1
        );
        for kind in ["Role", "RoleBinding"] {
            assert_eq!(problems(&[delete(kind, "devk-operator")]).len(), 1);
        }
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
