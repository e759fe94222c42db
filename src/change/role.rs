//! Roles: with whose rights a change is made. devk impersonates a user that has nothing but the rights of the role, in
//! the project's namespace alone, so it is the API server that refuses what a role may not do.
//!
//! On a cluster that devk made, the roles are ClusterRoles that devk applies; the binding is in the namespace and goes
//! with it. On any other cluster devk makes no role, so nothing is changed there.

use futures::future::try_join_all;
use kube::Client;
use kube::api::{Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use super::body::of_admins;
use super::kind::ObjectKind;
use super::operation::{Deed, Operation};
use super::plan::{ChangeAction, ChangeStep};
use crate::cluster::client::objects_of;
use crate::config::AskRole;
use crate::error::{Code, Error, Result};

const RBAC: &str = "rbac.authorization.k8s.io";
/// Who may make and remove namespaces beside the project's.
const ADMINS: &str = "devk:admin";
const NAMESPACES_ROLE: &str = "devk-namespaces";
/// What a viewer sees beside the kinds of plans.
const SEEN: &[(&str, &[&str])] = &[
    ("", &["pods/log", "events", "endpoints"]),
    ("apps", &["controllerrevisions"]),
    ("discovery.k8s.io", &["endpointslices"]),
    ("events.k8s.io", &["events"]),
    ("metrics.k8s.io", &["pods"]),
];
/// Kinds that only an admin changes: identity, rights, limits, secrets.
const OF_ADMINS: &[ObjectKind] = &[
    ObjectKind::Secret,
    ObjectKind::ServiceAccount,
    ObjectKind::Role,
    ObjectKind::RoleBinding,
    ObjectKind::ResourceQuota,
    ObjectKind::LimitRange,
];
const READS: &[&str] = &["get", "list", "watch"];
const WRITES: &[&str] = &["create", "update", "patch", "delete"];

/// Who devk is for a project and a role.
pub(super) fn user(project: &str, role: AskRole) -> String {
    format!("devk:{project}:{}", role.word())
}

/// The groups of that user.
pub(super) fn groups(role: AskRole) -> Vec<String> {
    let admins = (role == AskRole::Admin).then(|| ADMINS.to_owned());
    admins.into_iter().collect()
}

fn name(role: AskRole) -> String {
    format!("devk-{}", role.word())
}

/// Whether an object is one of the bindings that devk keeps for its roles.
pub(super) fn is_own_binding(kind: ObjectKind, object: &str) -> bool {
    kind == ObjectKind::RoleBinding && AskRole::ALL.iter().any(|role| name(*role) == object)
}

/// The rights of a role in a namespace.
fn rules(role: AskRole) -> Vec<Value> {
    let rule = |group: &str, resources: &[&str], verbs: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
    let kinds = ObjectKind::ALL.iter().filter(|kind| kind.is_namespaced());
    let of_kinds = kinds.filter_map(|kind| {
        let is_of_admins = OF_ADMINS.contains(kind);
        let writes = match role {
            AskRole::Viewer => false,
            AskRole::Operator => !is_of_admins,
            AskRole::Admin => true,
        };
        let reads = *kind != ObjectKind::Secret || role == AskRole::Admin;
        let verbs: Vec<_> = [(reads, READS), (writes, WRITES)]
            .into_iter()
            .filter(|(has, _)| *has)
            .flat_map(|(_, verbs)| verbs.iter().copied())
            .collect();
        (!verbs.is_empty()).then(|| rule(kind.group(), &[kind.plural()], &verbs))
    });
    let seen = SEEN
        .iter()
        .map(|(group, resources)| rule(group, resources, READS));
    of_kinds.chain(seen).collect()
}

fn cluster_role(name: &str, rules: &[Value]) -> Value {
    json!({
        "apiVersion": format!("{RBAC}/v1"),
        "kind": "ClusterRole",
        "metadata": metadata(name, None),
        "rules": rules,
    })
}

/// The binding of a ClusterRole, under the same name.
fn binding(namespace: Option<&str>, role: &str, (of, subject): (&str, &str)) -> Value {
    let kind = match namespace {
        Some(_) => "RoleBinding",
        None => "ClusterRoleBinding",
    };
    json!({
        "apiVersion": format!("{RBAC}/v1"),
        "kind": kind,
        "metadata": metadata(role, namespace),
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": RBAC, "kind": of, "name": subject}],
    })
}

fn metadata(name: &str, namespace: Option<&str>) -> Value {
    let labels = json!({"app.kubernetes.io/managed-by": "devk"});
    let mut metadata = json!({"name": name, "labels": labels});
    if let Some(namespace) = namespace {
        metadata["namespace"] = json!(namespace);
    }
    metadata
}

/// Makes the roles, and gives them to the project's users in its namespace. What is there as it should be stays.
///
/// # Errors
/// Those of the API server.
pub(super) async fn ensure_roles(client: &Client) -> kube::Result<()> {
    let mut wanted: Vec<_> = AskRole::ALL
        .iter()
        .map(|role| cluster_role(&name(*role), &rules(*role)))
        .collect();
    let verbs = ["get", "create", "patch", "delete"];
    let rule = json!({"apiGroups": [""], "resources": ["namespaces"], "verbs": verbs});
    wanted.push(cluster_role(NAMESPACES_ROLE, &[rule]));
    wanted.push(binding(None, NAMESPACES_ROLE, ("Group", ADMINS)));
    try_join_all(wanted.iter().map(|object| apply(client, object))).await?;
    Ok(())
}

/// Gives the roles to the project's users in a namespace.
///
/// # Errors
/// Those of the API server.
pub(super) async fn bind_roles(
    client: &Client,
    project: &str,
    namespace: &str,
) -> kube::Result<()> {
    let bindings = AskRole::ALL.map(|role| {
        let subject = user(project, role);
        binding(Some(namespace), &name(role), ("User", &subject))
    });
    try_join_all(bindings.iter().map(|object| apply(client, object))).await?;
    Ok(())
}

async fn apply(client: &Client, object: &Value) -> kube::Result<()> {
    let kind = object["kind"].as_str().unwrap_or_default();
    let kind = GroupVersionKind::gvk(RBAC, "v1", kind);
    let resource = ApiResource::from_gvk(&kind);
    let namespace = object["metadata"]["namespace"].as_str();
    let api = objects_of(client, namespace, &resource);
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let by = PatchParams::apply("devk").force();
    api.patch(name, &by, &Patch::Apply(object)).await.map(drop)
}

/// A role that may neither see Secrets nor be another account gives that to no pod either: the pod would show it.
/// `after` is the object by the dry run of a patch.
///
/// # Errors
/// [`Code::ChangeForbidden`], with what the step gives to its pods.
pub(super) fn keeps_to_role(
    role: AskRole,
    step: &ChangeStep,
    operation: &Operation,
    before: Option<&Value>,
    after: &Value,
) -> Result<()> {
    let given = match (&step.action, &operation.deed) {
        _ if role == AskRole::Admin => return Ok(()),
        // The API server itself adds an account and its pull secrets.
        (ChangeAction::Create(_), Deed::Create(manifest)) => of_admins(manifest),
        (ChangeAction::Patch(_), _) => of_admins(after),
        _ => return Ok(()),
    };
    let had = before.map(of_admins).unwrap_or_default();
    let new: Vec<_> = given.difference(&had).collect();
    if new.is_empty() {
        return Ok(());
    }
    let message = format!(
        "the role `{}` gives a pod neither Secrets nor another ServiceAccount than `default`",
        role.word()
    );
    let error = Error::new(Code::ChangeForbidden, message);
    let error = new.into_iter().fold(error, Error::evidence);
    Err(error.hint("in devk.yaml: ask: {role: admin}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::read_plan;

    /// Whether a role may take a step on a Deployment, with what the dry run makes of it.
    fn keeps(role: AskRole, step: Value, before: Option<&Value>, after: &Value) -> bool {
        let mut step = step;
        step["object"] = json!({"kind": "Deployment", "namespace": "shop", "name": "web"});
        let plan = json!({"version": 1, "steps": [step]}).to_string();
        let plan = read_plan(&plan, std::path::Path::new("plan")).unwrap();
        let operation = Operation::of(&plan.steps[0], before, &[], "now").unwrap();
        keeps_to_role(role, &plan.steps[0], &operation, before, after).is_ok()
    }

    fn deployment(env_from: &[&str]) -> Value {
        let env_from: Vec<_> = env_from
            .iter()
            .map(|name| json!({"secretRef": {"name": name}}))
            .collect();
        let container = json!({"name": "c", "image": "i", "envFrom": env_from});
        let template =
            json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}});
        json!({"kind": "Deployment", "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}})
    }

    #[test]
    fn only_an_admin_gives_a_pod_what_only_an_admin_sees() {
        let create = |env_from: &[&str]| json!({"verb": "create", "body": {"spec": deployment(env_from)["spec"]}});
        let may = |role, env_from: &[&str]| keeps(role, create(env_from), None, &Value::Null);
        assert!(may(AskRole::Operator, &[]));
        assert!(!may(AskRole::Operator, &["db"]));
        assert!(may(AskRole::Admin, &["db"]));
    }

    #[test]
    fn a_patch_gives_what_the_pod_had_and_no_more() {
        let patch = || json!({"verb": "patch", "patch": {"spec": {"minReadySeconds": 1}}});
        let had = deployment(&["db"]);
        let may = |after: &Value| keeps(AskRole::Operator, patch(), Some(&had), after);
        assert!(may(&had));
        assert!(!may(&deployment(&["db", "mail"])));
    }

    fn may(role: AskRole, verb: &str, kind: ObjectKind) -> bool {
        rules(role).iter().any(|rule| {
            let has = |key: &str, word: &str| {
                let mut words = rule[key].as_array().unwrap().iter();
                words.any(|found| found == word)
            };
            has("apiGroups", kind.group()) && has("resources", kind.plural()) && has("verbs", verb)
        })
    }

    #[test]
    fn a_viewer_sees_everything_but_secrets_and_changes_nothing() {
        for kind in ObjectKind::ALL.iter().filter(|kind| kind.is_namespaced()) {
            let seen = *kind != ObjectKind::Secret;
            assert_eq!(may(AskRole::Viewer, "get", *kind), seen, "{kind}");
            for verb in WRITES {
                assert!(!may(AskRole::Viewer, verb, *kind), "{verb} {kind}");
            }
        }
    }

    #[test]
    fn an_operator_changes_workloads_and_neither_rights_nor_secrets() {
        assert!(may(AskRole::Operator, "patch", ObjectKind::Deployment));
        for kind in OF_ADMINS {
            for verb in WRITES {
                assert!(!may(AskRole::Operator, verb, *kind), "{verb} {kind}");
                assert!(may(AskRole::Admin, verb, *kind), "{verb} {kind}");
            }
        }
    }

    #[test]
    fn no_right_is_a_wildcard() {
        for role in AskRole::ALL {
            assert!(!json!(rules(role)).to_string().contains('*'));
        }
    }
}
