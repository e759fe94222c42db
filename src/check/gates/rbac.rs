//! What accounts may do in the cluster, and which pods have such an account.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::rule::rules;
use super::super::seen::Sightings;
use super::super::view::{ChartObject, RenderingView, list};

rules! { Security;
    "rbac.wildcard" High, Foundation 10, On, Rendering(wildcard):
        "a role with `*` may do what nobody has thought of, also with kinds that come later",
        "name the verbs, resources and groups",
        "Kubernetes, \"Role Based Access Control Good Practices\": Least privilege";
    "rbac.cluster-admin" Critical, Foundation 15, On, Rendering(cluster_admin):
        "an account with `cluster-admin` may do everything, so whoever takes the pod has the cluster",
        "bind a role with what the program needs",
        "Kubernetes, \"Role Based Access Control Good Practices\"; CIS Kubernetes Benchmark, 5.1.1";
    "rbac.escalation" High, Foundation 8, On, Rendering(escalation):
        "the verb, or the right to make pods, leads to the rights of others",
        "leave it out, or restrict it with `resourceNames`",
        "Kubernetes, \"Role Based Access Control Good Practices\": Privilege escalation risks";
    "rbac.secrets" Medium, Foundation 3, Off, Rendering(secrets):
        "a ClusterRole that reads Secrets reads those of every namespace",
        "make it a Role, or name the Secrets with `resourceNames`",
        "Kubernetes, \"Role Based Access Control Good Practices\": Listing secrets";
    "rbac.everybody" High, Foundation 8, Off, Rendering(everybody):
        "the binding gives rights to everybody who reaches the API server, or to every pod of the namespace",
        "bind an account of the program's own",
        "Kubernetes, \"Role Based Access Control Good Practices\"";
    "account.token" Low, Foundation 0, Off, Rendering(token):
        "the pod has a token of an account for which the chart has no role: nothing but an intruder uses it",
        "set `automountServiceAccountToken: false`",
        "Kubernetes, \"Configure Service Accounts for Pods\"";
    "account.default" Low, Foundation 0, Off, Rendering(default_account):
        "pods with the account `default` get every right that anybody binds to it",
        "give the pods a ServiceAccount of their own",
        "CIS Kubernetes Benchmark, 5.1.5";
}

const CLUSTER_ROLES: [&str; 2] = ["Role", "ClusterRole"];
const BINDINGS: [&str; 2] = ["RoleBinding", "ClusterRoleBinding"];

/// The rules of all roles, with their pointers.
fn role_rules<'v, 'a>(
    view: &'v RenderingView<'a>,
) -> impl Iterator<Item = (&'v ChartObject<'a>, String, &'a Value)> {
    let roles = view
        .installed()
        .filter(|object| CLUSTER_ROLES.contains(&object.kind));
    roles.flat_map(|role| {
        let rules = list(&role.json["rules"]).iter().enumerate();
        rules.map(move |(at, rule)| (role, format!("/rules/{at}"), rule))
    })
}

fn bindings<'v, 'a>(view: &'v RenderingView<'a>) -> impl Iterator<Item = &'v ChartObject<'a>> {
    view.installed()
        .filter(|object| BINDINGS.contains(&object.kind))
}

fn has(rule: &Value, key: &str, words: &[&str]) -> Option<String> {
    let found = list(&rule[key]).iter().filter_map(Value::as_str);
    let mut found = found.filter(|text| words.contains(text));
    found.next().map(str::to_owned)
}

fn wildcard(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (role, path, rule) in role_rules(view) {
        for key in ["verbs", "resources", "apiGroups"] {
            if has(rule, key, &["*"]).is_some() {
                seen.object(
                    role,
                    &format!("{path}/{key}"),
                    format!("the role has `{key}: [\"*\"]`"),
                );
            }
        }
    }
}

fn cluster_admin(view: &RenderingView<'_>, seen: &mut Sightings) {
    for binding in bindings(view) {
        if binding.json["roleRef"]["name"] == "cluster-admin" {
            seen.object(
                binding,
                "/roleRef/name",
                "the binding gives `cluster-admin`",
            );
        }
    }
}

fn escalation(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (role, path, rule) in role_rules(view) {
        let is_restricted = !list(&rule["resourceNames"]).is_empty();
        if is_restricted {
            continue;
        }
        if let Some(verb) = has(rule, "verbs", &["escalate", "bind", "impersonate"]) {
            seen.object(
                role,
                &format!("{path}/verbs"),
                format!("the role has the verb `{verb}`"),
            );
        }
        let leading = [
            "pods/exec",
            "pods/attach",
            "nodes/proxy",
            "serviceaccounts/token",
        ];
        let is_used = has(rule, "verbs", &["create", "get", "*"]).is_some();
        if let Some(resource) = has(rule, "resources", &leading).filter(|_| is_used) {
            let message = format!("the role may use `{resource}`");
            seen.object(role, &format!("{path}/resources"), message);
        }
    }
}

fn secrets(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (role, path, rule) in role_rules(view) {
        let reads = has(rule, "verbs", &["get", "list", "watch"]).is_some();
        let is_restricted = !list(&rule["resourceNames"]).is_empty();
        let is_of_secrets = has(rule, "resources", &["secrets"]).is_some();
        if role.kind == "ClusterRole" && reads && is_of_secrets && !is_restricted {
            let message = "the role reads the Secrets of every namespace";
            seen.object(role, &format!("{path}/resources"), message);
        }
    }
}

fn everybody(view: &RenderingView<'_>, seen: &mut Sightings) {
    let groups = [
        "system:authenticated",
        "system:unauthenticated",
        "system:serviceaccounts",
    ];
    for binding in bindings(view) {
        for (at, subject) in list(&binding.json["subjects"]).iter().enumerate() {
            let name = subject["name"].as_str().unwrap_or_default();
            let is_group = subject["kind"] == "Group" && groups.contains(&name);
            let is_anybody = subject["kind"] == "User" && name == "system:anonymous";
            let is_default = subject["kind"] == "ServiceAccount" && name == "default";
            if is_group || is_anybody || is_default {
                let message = format!("the binding is for `{name}`");
                seen.object(binding, &format!("/subjects/{at}/name"), message);
            }
        }
    }
}

fn account(spec: &Value) -> &str {
    spec["serviceAccountName"].as_str().unwrap_or("default")
}

fn token(view: &RenderingView<'_>, seen: &mut Sightings) {
    let bound: BTreeSet<_> = bindings(view)
        .flat_map(|binding| list(&binding.json["subjects"]))
        .filter(|subject| subject["kind"] == "ServiceAccount")
        .filter_map(|subject| subject["name"].as_str())
        .collect();
    for (object, pod) in view.workloads() {
        let name = account(pod.spec);
        let of_account = view.find("ServiceAccount", object.namespace, name);
        let mounts = |json: &Value| json["automountServiceAccountToken"].as_bool();
        let is_mounted = mounts(pod.spec)
            .or(of_account.and_then(|account| mounts(account.json)))
            .unwrap_or(true);
        // An account that the chart does not make may have roles of others.
        let is_known = name == "default" || of_account.is_some();
        if is_mounted && is_known && !bound.contains(name) {
            let values = &["automountServiceAccountToken", "automount"];
            let message = format!("the pods mount a token of `{name}`, which has no role");
            seen.governed(object, &pod.at(""), values, message);
        }
    }
}

fn default_account(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, pod) in view.workloads() {
        let has_token = pod.spec["automountServiceAccountToken"] != false;
        if account(pod.spec) == "default" && has_token {
            seen.object(object, &pod.at(""), "the pods have the account `default`");
        }
    }
}
