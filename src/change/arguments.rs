//! Which verb goes with which kind, and whether its arguments have the forms that Kubernetes gives them.

use std::collections::BTreeMap;

use super::body;
use super::fields;
use super::kind::ObjectKind;
use super::plan::{ChangeAction, MOST_REPLICAS, ObjectName, ReplicaCount, SetEnv, SetResources};
use super::read::{PlanProblems, below, shown};
use crate::kubernetes_schema::{is_dns_label, is_label_value, is_qualified};
use crate::quantity::is_quantity;

/// Kinds that a plan may create.
const CREATED: &[ObjectKind] = &[
    ObjectKind::Deployment,
    ObjectKind::StatefulSet,
    ObjectKind::Pod,
    ObjectKind::Job,
    ObjectKind::CronJob,
    ObjectKind::Service,
    ObjectKind::Ingress,
    ObjectKind::NetworkPolicy,
    ObjectKind::ConfigMap,
    ObjectKind::PersistentVolumeClaim,
    ObjectKind::HorizontalPodAutoscaler,
    ObjectKind::PodDisruptionBudget,
    ObjectKind::ServiceAccount,
    ObjectKind::Role,
    ObjectKind::RoleBinding,
    ObjectKind::ResourceQuota,
    ObjectKind::LimitRange,
    ObjectKind::Namespace,
];

/// Whether a plan may do that with objects of the kind.
fn fits(action: &ChangeAction, kind: ObjectKind) -> bool {
    match action {
        ChangeAction::Scale(_) => kind.has_replicas(),
        ChangeAction::Restart(_) | ChangeAction::RollBack(_) => kind.rolls_out(),
        ChangeAction::SetImage(_) | ChangeAction::SetEnv(_) | ChangeAction::SetResources(_) => {
            kind.rolls_out()
        }
        ChangeAction::Expose(_) => kind.has_template(),
        ChangeAction::Create(_) => CREATED.contains(&kind),
        ChangeAction::Patch(_) => !matches!(
            kind,
            ObjectKind::Secret | ObjectKind::Role | ObjectKind::RoleBinding
        ),
        ChangeAction::Label(_) | ChangeAction::Delete(_) => true,
    }
}

/// Adds what is wrong with a step.
pub(super) fn check(
    object: &ObjectName,
    action: &ChangeAction,
    path: &[String],
    problems: &mut PlanProblems<'_>,
) {
    if !fits(action, object.kind) {
        let what = format!("`{}` does not go with a {}", action.verb(), object.kind);
        problems.add(path, what, Some(kinds_of(action)));
        return;
    }
    let mut add = |key: &str, what: String| problems.add(&below(path, key), what, None);
    match action {
        ChangeAction::Scale(scale) => replicas(scale.replicas, &mut add),
        ChangeAction::RollBack(back) if back.revision == Some(0) => {
            add("revision", "revisions are counted from 1".to_owned());
        }
        ChangeAction::SetImage(image) => {
            container(image.container.as_deref(), &mut add);
            reference(&image.image, &mut add);
        }
        ChangeAction::SetEnv(env) => variables(env, &mut add),
        ChangeAction::SetResources(resources) => quantities(resources, &mut add),
        ChangeAction::Label(labels) => {
            if labels.set.is_empty() && labels.unset.is_empty() {
                add("set", "the step changes no label".to_owned());
            }
            labels_fit("set", &labels.set, &mut add);
            let unset = labels.unset.iter();
            unset.for_each(|key| label_key("unset", key, &mut add));
        }
        ChangeAction::Patch(patch) => {
            for what in fields::refused(object.kind, &patch.patch) {
                add("patch", what);
            }
        }
        ChangeAction::Create(create) => {
            labels_fit("labels", &create.labels, &mut add);
            for what in body::refused(object, create) {
                add("body", what);
            }
        }
        ChangeAction::Expose(expose) => {
            if expose.port == 0 || expose.target_port == Some(0) {
                add("port", "a port is a number from 1 to 65535".to_owned());
            }
            let service = expose.service.as_ref().unwrap_or(&object.name);
            if !is_dns_label(service) {
                let what = format!("`{}` is no name of a Service", shown(service));
                add("service", what);
            }
        }
        ChangeAction::RollBack(_) | ChangeAction::Restart(_) | ChangeAction::Delete(_) => {}
    }
}

fn kinds_of(action: &ChangeAction) -> String {
    let kinds = ObjectKind::ALL.iter().filter(|kind| fits(action, **kind));
    let names: Vec<_> = kinds.map(|kind| kind.name()).collect();
    format!("`{}` goes with {}", action.verb(), names.join(", "))
}

fn replicas(count: ReplicaCount, add: &mut impl FnMut(&str, String)) {
    let too_many = match count {
        ReplicaCount::Exactly(count) | ReplicaCount::More(count) => count > MOST_REPLICAS,
        ReplicaCount::Fewer(_) => false,
        ReplicaCount::Percent(percent) => percent / 100 > MOST_REPLICAS,
    };
    if too_many {
        let what = format!(
            "`{count}` replicas are too many for one machine, the most are {MOST_REPLICAS}"
        );
        add("replicas", what);
    }
}

fn container(name: Option<&str>, add: &mut impl FnMut(&str, String)) {
    if let Some(name) = name.filter(|name| !is_dns_label(name)) {
        add(
            "container",
            format!("`{}` is no name of a container", shown(name)),
        );
    }
}

/// A reference, or a tag with its colon.
fn reference(image: &str, add: &mut impl FnMut(&str, String)) {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_./:@".contains(c);
    let begins = image.strip_prefix(':').unwrap_or(image);
    let is_one = begins.starts_with(|c: char| c.is_ascii_alphanumeric())
        && image.chars().all(fits)
        && image.len() <= 512;
    if !is_one {
        add(
            "image",
            format!("`{}` is no reference of an image", shown(image)),
        );
    }
}

fn variables(env: &SetEnv, add: &mut impl FnMut(&str, String)) {
    container(env.container.as_deref(), add);
    if env.set.is_empty() && env.unset.is_empty() {
        add("set", "the step changes no variable".to_owned());
    }
    for (key, name) in (env.set.keys().map(|name| ("set", name)))
        .chain(env.unset.iter().map(|name| ("unset", name)))
    {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let is_name = !name.is_empty()
            && name.chars().all(fits)
            // One with a dash is an option of kubectl.
            && !name.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        if !is_name {
            add(
                key,
                format!("`{}` is no name of an environment variable", shown(name)),
            );
        }
    }
}

fn quantities(resources: &SetResources, add: &mut impl FnMut(&str, String)) {
    container(resources.container.as_deref(), add);
    if resources.requests.is_empty() && resources.limits.is_empty() {
        add("requests", "the step changes no resource".to_owned());
    }
    let all = [
        ("requests", &resources.requests),
        ("limits", &resources.limits),
    ];
    for (key, quantities) in all {
        for (resource, quantity) in quantities {
            if !["cpu", "memory", "ephemeral-storage"].contains(&resource.as_str()) {
                let what = format!(
                    "`{}` is none of cpu, memory and ephemeral-storage",
                    shown(resource)
                );
                add(key, what);
            }
            if !is_quantity(quantity) || quantity.starts_with('-') {
                add(
                    key,
                    format!("`{}` is no quantity such as 500m or 256Mi", shown(quantity)),
                );
            }
        }
    }
}

fn labels_fit(key: &str, labels: &BTreeMap<String, String>, add: &mut impl FnMut(&str, String)) {
    for (name, value) in labels {
        label_key(key, name, add);
        if !is_label_value(value) {
            add(key, format!("`{}` is no value of a label", shown(value)));
        }
    }
}

fn label_key(key: &str, name: &str, add: &mut impl FnMut(&str, String)) {
    if !is_qualified(name) {
        add(key, format!("`{}` is no key of a label", shown(name)));
    } else if let Some(owner) = fields::kept_by(name) {
        add(
            key,
            format!("`{name}` belongs to {owner}, and no plan changes it"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_whose_name_is_an_option_of_a_command_is_refused() {
        let of = |name: &str| {
            let mut found = vec![];
            let env = SetEnv {
                container: None,
                set: BTreeMap::from([(name.to_owned(), "x".to_owned())]),
                unset: vec![name.to_owned()],
            };
            variables(&env, &mut |key, what| found.push(format!("{key}: {what}")));
            found.len()
        };
        assert_eq!((of("--kubeconfig"), of("-l")), (2, 2));
        assert_eq!(of("LOG-LEVEL.x"), 0);
    }
}
