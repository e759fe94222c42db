//! Roles: with whose rights a change is made. devk impersonates a user that has nothing but the rights of the role, in
//! the project's namespace and in those that its changes made, so it is the API server that refuses what a role may not do.
//!
//! On a cluster that devk made, the roles are ClusterRoles that devk applies; each binding is in a namespace and goes with
//! it. Bound on the cluster is one right alone, to make namespaces: RBAC asks for it where the namespace is not there yet. To
//! see, change and delete a namespace is a right in that very namespace. On any other cluster devk makes nothing, unless the
//! user lets it be operator there: then a Role in the project's namespace.

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
use crate::config::{AskRights, AskRole};
use crate::error::{Code, Error, Result};
use crate::release::pods::list;

const RBAC: &str = "rbac.authorization.k8s.io";
/// Who may make and remove namespaces beside the project's.
const ADMINS: &str = "devk:admin";
const NAMESPACES_ROLE: &str = "devk-namespaces";
/// What an admin may do with a namespace that a change has made, bound in that namespace.
const OWN_NAMESPACE_ROLE: &str = "devk-own-namespace";
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

/// Whether an object is one of the roles and bindings that devk keeps.
pub(super) fn is_own_role(kind: ObjectKind, object: &str) -> bool {
    let mut names = AskRole::ALL.map(name).into_iter();
    matches!(kind, ObjectKind::Role | ObjectKind::RoleBinding)
        && (object == OWN_NAMESPACE_ROLE || names.any(|name| name == object))
}

/// Whether a role has a right on objects of a kind.
pub(super) fn has_right(role: AskRole, verb: &str, kind: ObjectKind) -> bool {
    let has = |words: &Value, word: &str| list(words).any(|found| found == word);
    rules(role).iter().any(|rule| {
        has(&rule["apiGroups"], kind.group())
            && has(&rule["resources"], kind.plural())
            && has(&rule["verbs"], verb)
    })
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

/// A Role, or without a namespace a ClusterRole.
fn role_of(namespace: Option<&str>, name: &str, rules: &[Value]) -> Value {
    let kind = match namespace {
        Some(_) => "Role",
        None => "ClusterRole",
    };
    json!({
        "apiVersion": format!("{RBAC}/v1"),
        "kind": kind,
        "metadata": metadata(name, namespace),
        "rules": rules,
    })
}

/// The binding of a role, under the same name.
fn binding(
    namespace: Option<&str>,
    (kind, role): (&str, &str),
    (of, subject): (&str, &str),
) -> Value {
    let binding = match namespace {
        Some(_) => "RoleBinding",
        None => "ClusterRoleBinding",
    };
    json!({
        "apiVersion": format!("{RBAC}/v1"),
        "kind": binding,
        "metadata": metadata(role, namespace),
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": role},
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

/// Makes the roles on a cluster that devk made. What is there as it should be stays.
///
/// # Errors
/// Those of the API server.
pub(super) async fn ensure_roles(client: &Client) -> kube::Result<()> {
    let mut wanted: Vec<_> = AskRole::ALL
        .iter()
        .map(|role| role_of(None, &name(*role), &rules(*role)))
        .collect();
    wanted.push(role_of(
        None,
        NAMESPACES_ROLE,
        &[on_namespaces(&["create"])],
    ));
    let within = on_namespaces(&["get", "patch", "delete"]);
    wanted.push(role_of(None, OWN_NAMESPACE_ROLE, &[within]));
    let role = ("ClusterRole", NAMESPACES_ROLE);
    wanted.push(binding(None, role, ("Group", ADMINS)));
    try_join_all(wanted.iter().map(|object| apply(client, object))).await?;
    Ok(())
}

fn on_namespaces(verbs: &[&str]) -> Value {
    json!({"apiGroups": [""], "resources": ["namespaces"], "verbs": verbs})
}

/// Gives the roles to the project's users in a namespace: the project's own, or one that a change has made.
///
/// # Errors
/// Those of the API server.
pub(super) async fn bind_roles(
    client: &Client,
    project: &str,
    namespace: &str,
) -> kube::Result<()> {
    let bindings = bindings(project, namespace);
    try_join_all(bindings.iter().map(|object| apply(client, object))).await?;
    Ok(())
}

fn bindings(project: &str, namespace: &str) -> Vec<Value> {
    let bound = |role: &str, of: AskRole| {
        let subject = user(project, of);
        binding(Some(namespace), ("ClusterRole", role), ("User", &subject))
    };
    let mut all: Vec<_> = AskRole::ALL
        .iter()
        .map(|role| bound(&name(*role), *role))
        .collect();
    // The project's own namespace no change deletes.
    if namespace != project {
        all.push(bound(OWN_NAMESPACE_ROLE, AskRole::Admin));
    }
    all
}

/// Makes a role in the project's namespace on a cluster that devk did not make, and gives it to the project's user.
///
/// # Errors
/// Those of the API server.
pub(super) async fn ensure_role_within(
    client: &Client,
    project: &str,
    role: AskRole,
) -> kube::Result<()> {
    let (name, subject) = (name(role), user(project, role));
    apply(client, &role_of(Some(project), &name, &rules(role))).await?;
    let to = ("User", subject.as_str());
    apply(client, &binding(Some(project), ("Role", &name), to)).await
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
    rights: &AskRights,
    step: &ChangeStep,
    operation: &Operation,
    before: Option<&Value>,
    after: &Value,
) -> Result<()> {
    let role = rights.role;
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
    let error = rights.beyond.iter().fold(error, Error::evidence);
    Err(error.hint(rights.how_to_get(AskRole::Admin)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::read_plan;
    use crate::config::{AskConfig, UserAsk};

    /// Whether a role may take a step on a Deployment, with what the dry run makes of it.
    fn keeps(role: AskRole, step: Value, before: Option<&Value>, after: &Value) -> bool {
        let mut step = step;
        step["object"] = json!({"kind": "Deployment", "namespace": "shop", "name": "web"});
        let plan = json!({"version": 1, "steps": [step]}).to_string();
        let plan = read_plan(&plan, std::path::Path::new("plan")).unwrap();
        let operation = Operation::of(&plan.steps[0], before, &[], "now").unwrap();
        let user = UserAsk {
            role: Some(role),
            ..UserAsk::default()
        };
        let rights = user.rights(&AskConfig::default(), None);
        keeps_to_role(&rights, &plan.steps[0], &operation, before, after).is_ok()
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
    fn what_is_kept_from_a_role_that_devk_yaml_wants_higher_says_so() {
        let step = json!({"verb": "create", "object": {"kind": "Deployment", "namespace": "shop", "name": "web"},
            "body": {"spec": deployment(&["db"])["spec"]}});
        let plan = json!({"version": 1, "steps": [step]}).to_string();
        let plan = read_plan(&plan, std::path::Path::new("plan")).unwrap();
        let operation = Operation::of(&plan.steps[0], None, &[], "now").unwrap();
        let user = UserAsk {
            role: Some(AskRole::Operator),
            ..UserAsk::default()
        };
        let asked = AskConfig {
            role: Some(AskRole::Admin),
            ..AskConfig::default()
        };
        let rights = user.rights(&asked, None);
        let refused = keeps_to_role(&rights, &plan.steps[0], &operation, None, &Value::Null);
        let evidence = refused.unwrap_err().evidence;
        assert!(evidence.contains(&rights.beyond[0]), "{evidence:?}");
    }

    #[test]
    fn a_patch_gives_what_the_pod_had_and_no_more() {
        let patch = || json!({"verb": "patch", "patch": {"spec": {"minReadySeconds": 1}}});
        let had = deployment(&["db"]);
        let may = |after: &Value| keeps(AskRole::Operator, patch(), Some(&had), after);
        assert!(may(&had));
        assert!(!may(&deployment(&["db", "mail"])));
    }

    use has_right as may;

    /// On the cluster as a whole nobody has more than the right to make namespaces, and in the project's own namespace
    /// nobody may delete it.
    #[test]
    fn what_is_bound_is_bound_in_the_projects_namespaces() {
        let own = bindings("shop", "shop");
        let made = bindings("shop", "shop-dev");
        assert_eq!((own.len(), made.len()), (3, 4));
        for (binding, namespace) in own
            .iter()
            .map(|binding| (binding, "shop"))
            .chain(made.iter().map(|binding| (binding, "shop-dev")))
        {
            assert_eq!(binding["kind"], "RoleBinding");
            assert_eq!(binding["metadata"]["namespace"], namespace);
            let subject = binding["subjects"][0]["name"].as_str().unwrap();
            assert!(subject.starts_with("devk:shop:"), "{binding}");
        }
        let deletes = |binding: &&Value| binding["roleRef"]["name"] == OWN_NAMESPACE_ROLE;
        assert_eq!(own.iter().filter(deletes).count(), 0);
        let deletes: Vec<_> = made.iter().filter(deletes).collect();
        assert_eq!(deletes[0]["subjects"][0]["name"], "devk:shop:admin");
        for role in AskRole::ALL {
            assert!(!may(role, "delete", ObjectKind::Namespace));
        }
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
