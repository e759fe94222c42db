//! The steps of bridge mode: what pods need to reach Compose's server, and its removal.

use super::{Action, BridgeFact, CLUSTER, Facts, PlannedStep, ready_id, step};

pub(super) const DATABASE: &str = "bridge.database/postgres";
pub(super) const SERVICE: &str = "bridge.service/postgres";
pub(super) const PROBE: &str = "bridge.probe/postgres";
pub(super) const LEFT: &str = "bridge.left/postgres";
pub(super) const REMOVE: &str = "bridge.remove/postgres";

/// Everything a pod needs to reach the database, before the release that uses it.
pub(super) fn steps(fact: &BridgeFact) -> Vec<PlannedStep> {
    let BridgeFact::Wanted {
        database,
        made,
        mapped,
        stays,
        ..
    } = fact
    else {
        return vec![];
    };
    let why = if *made {
        "is there"
    } else {
        "is missing, or lacks an extension"
    };
    let cluster = CLUSTER.to_owned();
    let why = format!("database `{database}` {why}");
    let needs = vec![cluster.clone(), DATABASE.to_owned(), SERVICE.to_owned()];
    let lead = "pods find Compose's server by devk's Service".to_owned();
    let probe = "devk connects first as the pods will".to_owned();
    let mapped = mapped.iter();
    let changes = mapped.map(|(asked, real)| format!("database `{real}` in place of `{asked}`"));
    let service = PlannedStep {
        changes: changes.collect(),
        ..step(
            SERVICE.to_owned(),
            vec![cluster],
            lead,
            false,
            Action::BridgeService,
        )
    };
    let left = (!stays.is_empty()).then(|| {
        step(
            LEFT.to_owned(),
            vec![],
            stays.join("; "),
            true,
            Action::Told,
        )
    });
    let steps = [
        step(
            DATABASE.to_owned(),
            vec![],
            why,
            *made,
            Action::BridgeDatabase,
        ),
        service,
        step(PROBE.to_owned(), needs, probe, false, Action::BridgeProbe),
    ];
    steps.into_iter().chain(left).collect()
}

/// The removal of the bridge, once no release uses it.
pub(super) fn removal(facts: &Facts) -> Option<PlannedStep> {
    let needs = facts
        .releases
        .iter()
        .map(|release| ready_id(&release.name))
        .collect();
    let why = "the charts use their own database again".to_owned();
    let leaving = facts.bridge == BridgeFact::Leaving;
    leaving.then(|| step(REMOVE.to_owned(), needs, why, false, Action::BridgeRemove))
}
