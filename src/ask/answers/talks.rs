//! Who talks to a Service: which containers name it in their environment, their command or their ConfigMaps, and which
//! NetworkPolicies decide about it. That is what the manifests say; devk sees no connections.

use super::super::answer::AskAnswer;
use super::super::facts::policy;
use super::super::kind::AskedKind::Service;
use super::super::kind::USERS;
use super::super::mention::mentions;
use super::super::question::Question;
use super::super::relation::{limits_ingress, policies_of, related, routes_to};
use super::super::resolve::Meant;
use super::super::snapshot::ClusterSnapshot;
use super::super::unclear::Unclear;
use crate::session::target::SERVICE_LABEL;

pub(in super::super) fn talks(
    question: &Question,
    snapshot: &ClusterSnapshot,
) -> Result<AskAnswer, Unclear> {
    let mut answer = AskAnswer::new(question, snapshot);
    let mut rows: Vec<Vec<String>> = vec![];
    let mut targets = vec![];
    let users: Vec<_> = USERS
        .iter()
        .flat_map(|kind| snapshot.all(*kind))
        .filter(|one| snapshot.maker(*one).is_none())
        .collect();
    for meant in question.meant(snapshot)? {
        let services = related(Service, &meant, snapshot).unwrap_or_default();
        if services.is_empty() {
            return Err(Unclear::without_service(&meant));
        }
        for service in services {
            targets.push(service.name().to_owned());
            for user in &users {
                for (field, value) in mentions(*user, service, snapshot) {
                    rows.push(vec![user.title(), field.clone(), value.clone()]);
                    answer.shows(*user, field, value);
                }
            }
            let routes = routes_to(service, snapshot).into_iter();
            rows.extend(
                routes.map(|(ingress, way)| vec![ingress.title(), "route".to_owned(), way]),
            );
        }
        policies(&mut answer, &meant, snapshot);
    }
    rows.sort();
    rows.dedup();
    let mut who: Vec<_> = rows.iter().filter_map(|row| row.first().cloned()).collect();
    who.dedup();
    let target = super::super::answer::listed(&targets);
    answer.text = match who.len() {
        0 => format!("No manifest names the Service {target}."),
        1 => format!("{} names the Service {target}.", who[0]),
        count => format!(
            "{count} objects name the Service {target}: {}.",
            who.join(", ")
        ),
    };
    answer.count = Some(who.len());
    answer.table(&["WHO", "WHERE", "WHAT IT SAYS"], rows);
    answer.read_from_manifests(&users);
    for name in &targets {
        answer.kubectl(format!(
            "get endpointslices --selector {SERVICE_LABEL}={name} --namespace {}",
            snapshot.project.namespace
        ));
    }
    Ok(answer)
}

fn policies(answer: &mut AskAnswer, meant: &Meant<'_>, snapshot: &ClusterSnapshot) {
    let mut told = vec![];
    for pod in meant.pods(snapshot) {
        for found in policies_of(pod, snapshot)
            .into_iter()
            .filter(|found| limits_ingress(*found))
        {
            if !told.contains(&found.name()) {
                told.push(found.name());
                answer.shows(found, "spec.ingress", policy(found.spec()).join("; "));
            }
        }
    }
}
