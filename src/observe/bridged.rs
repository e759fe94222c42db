//! Bridge mode in `observe`: the charts are rendered with Compose's database instead of their own, and forwards to
//! Services that are missing then are left out.

use super::charts::{Charts, PreparedRelease, manifests};
use super::requests::{self, RequestedForward, services};
use crate::bridge::chart::KnownValues;
use crate::bridge::find::BridgeInputs;
use crate::bridge::{self, Bridge, Bridging, record, service};
use crate::cluster::Access;
use crate::compose::Compose;
use crate::config::ForwardConfig;
use crate::docker::Engine;
use crate::error::{Errors, Result};
use crate::owner::Owner;
use crate::plan::{BridgeFact, ForwardFact, LeftOut};
use crate::ports::Forward;
use crate::release::known_values;
use crate::release::manifest::Rendered;

type Draft = Vec<(String, Rendered)>;

/// The charts with the bridge in them, if the cluster is to have one, and their draft. `compose` is None
/// where its files have a problem, which is reported: then there is nothing to bridge to.
pub(super) async fn draft<'a>(
    mut charts: Charts<'a>,
    compose: Option<&Option<Compose>>,
    engine: &Engine,
    bridging: Bridging,
) -> Result<(Charts<'a>, Draft), Errors> {
    let draft = bridge(&mut charts, compose, engine, bridging).await?;
    Ok((charts, manifests(draft)))
}

/// The drafts of the charts with the bridge in them, if the cluster is to have one; it is kept in the charts.
///
/// # Errors
/// Whatever keeps `up` from bridging, or a chart from rendering.
pub(super) async fn bridge(
    charts: &mut Charts<'_>,
    compose: Option<&Option<Compose>>,
    engine: &Engine,
    bridging: Bridging,
) -> Result<Vec<PreparedRelease>, Errors> {
    if let Some(compose) = compose.filter(|_| bridging.switch.is_on(charts.project)) {
        charts.bridge = Some(find(charts, compose.as_ref(), engine, bridging.once).await?);
    }
    let draft = charts.drafts(charts.bridge.as_ref()).await?;
    if let (Some(bridge), Some(Some(compose))) = (&mut charts.bridge, compose) {
        let rendered = draft.iter().map(|release| &release.rendered);
        bridge.share_nothing(compose, &charts.project.id, rendered)?;
        let user = draft
            .iter()
            .find(|release| release.prepared.name == bridge.release);
        if let Some(user) = user {
            bridge.look_at(&user.rendered);
        }
    }
    Ok(draft)
}

/// Looks whether a bridge can be had.
///
/// # Errors
/// As [`bridge::find`]; whatever was passed over in the Compose files.
pub(super) async fn find(
    charts: &Charts<'_>,
    compose: Option<&Compose>,
    engine: &Engine,
    once: bool,
) -> Result<Bridge, Errors> {
    let project = charts.project;
    // What was passed over may name a database.
    let unread = compose.map_or(&[][..], |compose| &compose.passed_over[..]);
    Errors::unless_empty(unread.to_vec(), ())?;
    let images = charts.stand_ins();
    let resolve = |text: &str, file: &std::path::Path| charts.resolve_draft(text, file, &images);
    let mut known = vec![];
    for release in &project.releases {
        let values = known_values(release, &resolve, charts.helm, charts.paths).await?;
        known.push(KnownValues {
            release: release.name.clone(),
            values,
        });
    }
    let owner = &Owner::of(&project.root, charts.paths).await;
    bridge::find(BridgeInputs {
        project,
        owner,
        compose,
        charts: &known,
        engine,
        once,
    })
    .await
}

/// Which Service ports want a host port, and the listed forwards that a bridge leaves without a Service.
pub(super) async fn wanted(
    charts: &Charts<'_>,
    draft: &Draft,
) -> Result<(Vec<RequestedForward>, Vec<ForwardConfig>), Errors> {
    let there = services(charts.project, draft);
    let found = requests::wanted(charts.project, &there, &[]);
    if found.is_ok() || charts.bridge.is_none() {
        return found;
    }
    // A chart that does not render without the bridge cannot tell what the bridge took from it.
    match charts.draft(None).await {
        Ok(whole) => requests::wanted(charts.project, &there, &services(charts.project, &whole)),
        Err(_) => found,
    }
}

/// What `${forward.…}` may name: the forwards, and Compose's database for the forwards that it replaces.
pub(super) fn rows(
    charts: &Charts<'_>,
    forwards: &[ForwardFact],
    absent: &[ForwardConfig],
) -> Vec<Forward> {
    let stand_ins = charts
        .bridge
        .iter()
        .flat_map(|bridge| absent.iter().filter_map(|f| bridge.stands_for(f)));
    forwards
        .iter()
        .map(|fact| fact.forward.clone())
        .chain(stand_ins)
        .collect()
}

/// The forwards that are not opened, and why.
pub(super) fn left_out(charts: &Charts<'_>, absent: &[ForwardConfig]) -> Vec<LeftOut> {
    charts
        .bridge
        .iter()
        .flat_map(|bridge| absent.iter().map(|forward| bridge.left_out(forward)))
        .collect()
}

/// What becomes of the bridge.
pub(super) async fn fact(charts: &Charts<'_>, access: Option<&Access>) -> Result<BridgeFact> {
    let Charts { project, paths, .. } = charts;
    if let Some(Bridge {
        release,
        database,
        made,
        mapped,
        stays,
        ..
    }) = &charts.bridge
    {
        return Ok(BridgeFact::Wanted {
            release: release.clone(),
            database: database.clone(),
            mapped: mapped.clone(),
            stays: stays.clone(),
            made: *made,
        });
    }
    let was_there = match access {
        Some(access) => service::find(&access.client, &project.id).await?.is_some(),
        None => false,
    };
    let was_there = was_there || record::load(&paths.project(&project.id))?.is_some();
    Ok(if was_there {
        BridgeFact::Leaving
    } else {
        BridgeFact::None
    })
}
