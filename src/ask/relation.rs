//! Objects of one kind that belong to others: the pods of a Deployment, the Services in front of it, the ConfigMaps that it
//! uses, the ingresses that lead to it.

use kube::core::SelectorExt;

use super::facts::{backends, users_of, uses};
use super::kind::AskedKind::{
    self, Autoscaler, Claim, ConfigMap, CronJob, DaemonSet, Deployment, DisruptionBudget,
    EndpointSlice, Ingress, Job, LimitRange, Namespace, NetworkPolicy, Node, Pod, Quota,
    ReplicaSet, Secret, Service, ServiceAccount, StatefulSet, StorageClass, Volume,
};
use super::object::{SeenObject, items, selector, text};
use super::resolve::Meant;
use super::snapshot::ClusterSnapshot;

/// The objects of a kind that belong to those that were meant; None if the two have nothing to do with each other.
pub(super) fn related<'a>(
    kind: AskedKind,
    meant: &Meant<'a>,
    snapshot: &'a ClusterSnapshot,
) -> Option<Vec<SeenObject<'a>>> {
    let own: Vec<_> = meant
        .objects
        .iter()
        .filter(|seen| seen.kind == kind)
        .copied()
        .collect();
    if !own.is_empty() {
        return Some(own);
    }
    let first = meant.first()?;
    let here = || snapshot.here(kind, first.namespace());
    let has = |kinds: &[AskedKind]| meant.objects.iter().any(|seen| kinds.contains(&seen.kind));
    let users = || {
        meant
            .objects
            .iter()
            .flat_map(|seen| users_of(*seen, snapshot))
            .map(|(user, _)| user)
            .collect::<Vec<_>>()
    };
    let is_used = has(&[ConfigMap, Secret, Claim, ServiceAccount]);
    let pods = || {
        if is_used {
            users()
                .into_iter()
                .flat_map(|user| snapshot.pods_of(user))
                .collect()
        } else {
            meant.pods(snapshot)
        }
    };
    let is_any = |pods: &[SeenObject<'_>], of: SeenObject<'_>| pods.iter().any(|pod| pod.same(&of));
    let has_pods = meant.objects.iter().any(|seen| seen.kind.has_pods());
    Some(match kind {
        Pod => pods(),
        ReplicaSet if has(&[Deployment]) => snapshot.made_by(kind, first).collect(),
        Job if has(&[CronJob]) => here()
            .filter(|job| job.controller() == Some(("CronJob", first.name())))
            .collect(),
        Deployment | StatefulSet | DaemonSet | ReplicaSet | Job | CronJob if is_used => users()
            .into_iter()
            .filter(|user| user.kind == kind)
            .collect(),
        Deployment | StatefulSet | DaemonSet | ReplicaSet if has(&[Autoscaler]) => {
            here().filter(|one| scales(first, *one)).collect()
        }
        Deployment | StatefulSet | DaemonSet | Job | CronJob | ReplicaSet => {
            let pods = pods();
            here()
                .filter(|one| snapshot.pods_of(*one).iter().any(|pod| is_any(&pods, *pod)))
                .collect()
        }
        Service if has(&[Ingress]) => {
            let named: Vec<_> = backends(first)
                .into_iter()
                .map(|(_, _, service)| text(&service["name"]))
                .collect();
            here()
                .filter(|service| named.iter().any(|name| name == service.name()))
                .collect()
        }
        Service if has_pods => services(meant, snapshot),
        Ingress if has(&[Service]) || has_pods => {
            let mut names: Vec<_> = meant
                .objects
                .iter()
                .filter(|seen| seen.kind == Service)
                .map(|seen| seen.name().to_owned())
                .collect();
            names.extend(
                services(meant, snapshot)
                    .iter()
                    .map(|service| service.name().to_owned()),
            );
            let leads = |ingress: &SeenObject<'_>| {
                backends(*ingress).iter().any(|(_, _, service)| {
                    names.iter().any(|name| service["name"] == name.as_str())
                })
            };
            here().filter(leads).collect()
        }
        ConfigMap | Secret | Claim | ServiceAccount if has_pods => used(kind, meant, snapshot),
        Autoscaler if has_pods => {
            let is_target =
                |hpa: &SeenObject<'_>| meant.objects.iter().any(|seen| scales(*hpa, *seen));
            here().filter(is_target).collect()
        }
        DisruptionBudget | NetworkPolicy if has_pods || has(&[Service]) => {
            let pods = pods();
            here()
                .filter(|one| snapshot.pods_of(*one).iter().any(|pod| is_any(&pods, *pod)))
                .collect()
        }
        Node if has_pods || has(&[Service]) => {
            let nodes: Vec<_> = pods()
                .iter()
                .map(|pod| text(&pod.spec()["nodeName"]))
                .collect();
            snapshot
                .all(Node)
                .filter(|node| nodes.iter().any(|name| name == node.name()))
                .collect()
        }
        EndpointSlice if has(&[Service]) => snapshot.slices_of(first).collect(),
        Volume | StorageClass if has(&[Claim]) => {
            let key = if kind == Volume {
                "volumeName"
            } else {
                "storageClassName"
            };
            let wanted: Vec<_> = meant
                .objects
                .iter()
                .map(|claim| text(&claim.spec()[key]))
                .collect();
            snapshot
                .all(kind)
                .filter(|one| wanted.iter().any(|name| name == one.name()))
                .collect()
        }
        Namespace if !first.namespace().is_empty() => snapshot
            .all(Namespace)
            .filter(|one| one.name() == first.namespace())
            .collect(),
        Quota | LimitRange if !first.namespace().is_empty() => here().collect(),
        _ => return None,
    })
}

/// The Services whose selectors choose the pods that the objects make, whether or not there are any now.
fn services<'a>(meant: &Meant<'a>, snapshot: &'a ClusterSnapshot) -> Vec<SeenObject<'a>> {
    let labels: Vec<_> = meant
        .objects
        .iter()
        .filter(|seen| seen.kind.has_pods())
        .map(|seen| (seen.namespace(), seen.pod_labels()))
        .collect();
    let chooses = |service: &SeenObject<'_>| {
        let selector = super::object::texts(&service.spec()["selector"]);
        let fits = |(namespace, labels): &(&str, _)| {
            *namespace == service.namespace() && crate::release::labels::has_all(labels, &selector)
        };
        !selector.is_empty() && labels.iter().any(fits)
    };
    snapshot.all(Service).filter(chooses).collect()
}

/// What the templates of the objects use.
fn used<'a>(
    kind: AskedKind,
    meant: &Meant<'a>,
    snapshot: &'a ClusterSnapshot,
) -> Vec<SeenObject<'a>> {
    let templates: Vec<_> = meant
        .objects
        .iter()
        .filter(|seen| seen.kind.has_pods())
        .copied()
        .collect();
    // The claims of a StatefulSet are those of its pods.
    let pods = meant.pods(snapshot);
    let is_used = |one: &SeenObject<'_>| {
        let mut all = templates
            .iter()
            .chain(&pods)
            .filter(|user| user.namespace() == one.namespace());
        all.any(|user| !uses(*user, kind, one.name()).is_empty())
    };
    snapshot.all(kind).filter(is_used).collect()
}

/// The NetworkPolicies that choose a pod.
pub(super) fn policies_of<'a>(
    pod: SeenObject<'_>,
    snapshot: &'a ClusterSnapshot,
) -> Vec<SeenObject<'a>> {
    let labels = pod.labels();
    let chooses = |policy: &SeenObject<'_>| {
        selector(&policy.spec()["podSelector"]).is_some_and(|selector| selector.matches(&labels))
    };
    let here = snapshot.here(NetworkPolicy, pod.namespace());
    here.filter(chooses).collect()
}

/// Whether an HPA scales an object of its namespace.
fn scales(hpa: SeenObject<'_>, seen: SeenObject<'_>) -> bool {
    let target = &hpa.spec()["scaleTargetRef"];
    target["kind"] == seen.kind.name() && target["name"] == seen.name()
}

/// The ingresses that lead to a Service, with the host and path of each of its rules that does.
pub(super) fn routes_to<'a>(
    service: SeenObject<'_>,
    snapshot: &'a ClusterSnapshot,
) -> Vec<(SeenObject<'a>, String)> {
    let mut routes = vec![];
    for ingress in snapshot.here(Ingress, service.namespace()) {
        let own = backends(ingress)
            .into_iter()
            .filter(|(_, _, to)| to["name"] == service.name());
        routes.extend(own.map(|(host, path, _)| (ingress, format!("{host}{path}"))));
    }
    routes
}

/// Whether a policy limits what comes in.
pub(super) fn limits_ingress(policy: SeenObject<'_>) -> bool {
    items(&policy.spec()["policyTypes"]).any(|of| of == "Ingress")
}
