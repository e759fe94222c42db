//! The bridge of devk.yaml, looked at by the code of `devk up`: doctor finds what `up` would refuse, with the same
//! codes and hints.

use super::missing::of_project;
use super::{Check, DoctorFacts, Id, Looked, Missing, skipped};
use crate::bridge::Bridge;
use crate::compose::Compose;
use crate::config::Project;
use crate::docker::Engine;
use crate::error::Result;
use crate::observe::Drafts;

/// The bridge as `up` would make it, or why it would not. None: devk.yaml wants none.
pub(super) fn looked_at(
    project: Result<&Project, &Missing>,
    compose: &Looked<Option<Compose>>,
    engine: &Result<Engine>,
    drafts: &Looked<Drafts>,
) -> Looked<Option<Bridge>> {
    let project = of_project(project)?;
    let skip = |why: &str| Err(Missing::Skipped(why.to_owned()));
    if project.bridge.is_none() {
        return Ok(None);
    }
    if compose.is_err() {
        return skip("the Compose files cannot be read");
    }
    if engine.is_err() {
        return skip("the Docker Engine does not answer");
    }
    match drafts.as_ref().map(|drafts| &drafts.bridge) {
        Ok(Some(Ok(bridge))) => Ok(Some(bridge.clone())),
        Ok(Some(Err(errors))) => Err(Missing::Failed(errors.clone())),
        Ok(None) => skip("the charts do not render"),
        Err(missing) => Err(missing.clone()),
    }
}

pub(super) fn checks(facts: &DoctorFacts) -> Vec<Check> {
    let id = Id::BridgePostgres;
    match &facts.bridge {
        Ok(None) => vec![Check::ok(id, "devk.yaml wants no bridge")],
        Ok(Some(bridge)) => vec![Check::ok(id, fine(bridge))],
        Err(Missing::Failed(errors)) => Check::all_failed(id, errors),
        Err(missing) => skipped(&[id], missing),
    }
}

fn fine(bridge: &Bridge) -> String {
    let names: Vec<_> = bridge.databases().map(|name| format!("`{name}`")).collect();
    let names = names.join(", ");
    format!(
        "`{}` gets {names} on Compose's `{}`",
        bridge.release, bridge.service
    )
}
