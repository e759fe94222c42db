//! What the name of a service means: the pods of a forward, of a Service or of a workload.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Service;
use kube::api::ListParams;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use crate::config::Project;
use crate::error::{Code, Error, Result, suggest};
use crate::release::project_pods::{PodSelector, ProjectPods};

/// The objects that a name can select, and their pods.
type Named = (String, PodSelector);

/// The pods of the object that a name selects: a forward's Service, a Service or workload of that name,
/// or the only one whose name ends in it (`api` for `shop-api`).
pub(super) async fn selector(
    client: &kube::Client,
    project: &Project,
    name: &str,
) -> Result<PodSelector> {
    let pods = ProjectPods::of(client, &project.id).await?;
    let mut namespaces: Vec<_> = pods.namespaces().into_iter().collect();
    // Of two objects of one name that in the project's own namespace counts.
    namespaces.sort_by_key(|namespace| *namespace != project.id);
    let mut known = vec![];
    for namespace in namespaces {
        known.extend(selecting(client, namespace).await?);
    }
    choose(project, name, &known).cloned()
}

/// The objects of a namespace that select pods, Services first.
async fn selecting(client: &kube::Client, namespace: &str) -> Result<Vec<Named>> {
    let (services, deployments, sets, daemons, jobs) = tokio::try_join!(
        list(client, namespace, |s: &Service| {
            s.spec.as_ref()?.selector.clone()
        }),
        list(client, namespace, |d: &Deployment| {
            d.spec.as_ref()?.selector.match_labels.clone()
        }),
        list(client, namespace, |s: &StatefulSet| {
            s.spec.as_ref()?.selector.match_labels.clone()
        }),
        list(client, namespace, |d: &DaemonSet| {
            d.spec.as_ref()?.selector.match_labels.clone()
        }),
        list(client, namespace, |j: &Job| {
            j.spec.as_ref()?.selector.as_ref()?.match_labels.clone()
        })
    )?;
    Ok([services, deployments, sets, daemons, jobs].concat())
}

/// Those that select pods: an empty selector would show the logs of everybody.
async fn list<K>(
    client: &kube::Client,
    namespace: &str,
    labels: impl Fn(&K) -> Option<BTreeMap<String, String>>,
) -> Result<Vec<Named>>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    let found = Api::<K>::namespaced(client.clone(), namespace)
        .list(&ListParams::default())
        .await;
    let found = found.map_err(|e| unreachable(&e))?.items.into_iter();
    let named = found.filter_map(|object| {
        let selector = PodSelector {
            namespace: namespace.to_owned(),
            labels: labels(&object)?,
        };
        Some((object.meta().name.clone()?, selector))
    });
    Ok(named
        .filter(|(_, selector)| !selector.labels.is_empty())
        .collect())
}

/// A Service and its workload often share a name, and mean the same pods: the first counts.
fn choose<'a>(project: &Project, name: &str, known: &'a [Named]) -> Result<&'a PodSelector> {
    let forward = project.forwards.iter().flatten().find(|f| f.name == name);
    let target = forward.and_then(|f| f.service.as_deref());
    if let Some((_, selector)) = known
        .iter()
        .find(|(full, _)| full == target.unwrap_or(name))
    {
        return Ok(selector);
    }
    let ends = |full: &str| {
        target.is_none()
            && full
                .strip_suffix(name)
                .is_some_and(|rest| rest.ends_with('-'))
    };
    let found: BTreeSet<_> = known
        .iter()
        .map(|(full, _)| full)
        .filter(|full| ends(full))
        .collect();
    let first = known.iter().find(|(full, _)| found.contains(full));
    match first.filter(|_| found.len() == 1) {
        Some((_, selector)) => Ok(selector),
        None if found.is_empty() => Err(unknown(project, name, known)),
        None => Err(several(name, &found)),
    }
}

fn several(name: &str, found: &BTreeSet<&String>) -> Error {
    let names: Vec<_> = found.iter().map(|full| format!("`{full}`")).collect();
    let hint = found
        .first()
        .map(|full| format!("devk logs {full}"))
        .unwrap_or_default();
    Error::new(
        Code::ServiceUnknown,
        format!("`{name}` could mean {}", names.join(" or ")),
    )
    .hint(hint)
}

fn unknown(project: &Project, name: &str, named: &[Named]) -> Error {
    let forwards = project.forwards.iter().flatten().map(|f| f.name.as_str());
    let known = forwards.chain(named.iter().map(|(name, _)| name.as_str()));
    let hint = near(name, &known.collect());
    Error::new(
        Code::ServiceUnknown,
        format!("`{}` has no service `{name}`", project.name),
    )
    .hint(hint)
}

fn unreachable(error: &kube::Error) -> Error {
    Error::new(Code::ClusterUnreachable, "the cluster does not answer")
        .evidence(error.to_string())
        .hint("devk up -d")
}

/// The name that may be meant, or all of them.
pub(super) fn near(name: &str, known: &BTreeSet<&str>) -> String {
    let names = || known.iter().copied();
    match suggest(name, names()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known: {}", names().collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ClusterConfig, ForwardConfig, Origin, Provider};

    fn project(forwards: Option<Vec<ForwardConfig>>) -> Project {
        Project {
            name: "shop".into(),
            id: "shop".into(),
            worktree: None,
            root: "/p".into(),
            file: "/p/devk.yaml".into(),
            cluster: ClusterConfig::new(Provider::Kind, "devk"),
            compose: None,
            images: vec![],
            releases: vec![],
            forwards,
            allow: crate::config::Allow::default(),
            bridge: None,
            check: Default::default(),
            ask: Default::default(),
            tests: vec![],
        }
    }

    /// Each has its own name as its label.
    fn named(names: &[&str]) -> Vec<Named> {
        names
            .iter()
            .map(|name| {
                let selector = PodSelector {
                    namespace: "shop".to_owned(),
                    labels: [("app".to_owned(), (*name).to_owned())].into(),
                };
                ((*name).to_owned(), selector)
            })
            .collect()
    }

    fn chosen(project: &Project, name: &str, names: &[&str]) -> Result<String> {
        choose(project, name, &named(names)).map(|selector| selector.labels["app"].clone())
    }

    #[test]
    fn an_end_that_several_names_have_is_refused_with_all_of_them() {
        let error = chosen(
            &project(None),
            "api",
            &["shop-api", "admin-api", "shop-web", "shop-api"],
        )
        .unwrap_err();
        assert_eq!(error.message, "`api` could mean `admin-api` or `shop-api`");
        assert_eq!(
            (error.code, error.hint.as_deref()),
            (Code::ServiceUnknown, Some("devk logs admin-api"))
        );
    }

    #[test]
    fn a_full_name_counts_before_an_end_and_one_end_is_enough() {
        let names = ["admin-api", "api", "shop-web", "shop-web"];
        assert_eq!(chosen(&project(None), "api", &names).unwrap(), "api");
        assert_eq!(chosen(&project(None), "web", &names).unwrap(), "shop-web");
        assert!(
            chosen(&project(None), "i", &names)
                .unwrap_err()
                .message
                .contains("has no service")
        );
    }

    #[test]
    fn a_forward_means_the_service_that_it_names_and_no_other() {
        let origin = Origin {
            file: "devk.yaml".into(),
            line: 1,
        };
        let forward = ForwardConfig {
            name: "api".into(),
            service: Some("admin".into()),
            port: 1,
            local: None,
            origin,
        };
        let project = project(Some(vec![forward]));
        assert_eq!(
            chosen(&project, "api", &["api", "shop-api", "admin"]).unwrap(),
            "admin"
        );
        assert!(chosen(&project, "api", &["api", "shop-api"]).is_err());
    }
}
