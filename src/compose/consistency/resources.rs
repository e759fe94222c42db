//! How many containers a service has, and what each may use: said in two places, and the same in both.

use super::{conflict, filled};
use crate::compose::project::Model;
use crate::compose::units;
use crate::compose::yaml::{YamlData, YamlEntry, YamlNode};
use crate::error::Result;

pub(super) fn scale(_: &Model, service: &YamlEntry) -> Result<()> {
    // As Go makes 64 bits with a sign of them: what is too large becomes negative.
    #[allow(clippy::cast_possible_truncation)]
    let number = |node: Option<&YamlNode>| match node.map(|node| &node.data) {
        Some(YamlData::Int(number)) => Some(*number as i64),
        Some(YamlData::Float(number)) if number.abs() < i64::MAX as f64 => Some(*number as i64),
        Some(YamlData::Float(_)) => Some(i64::MIN),
        _ => None,
    };
    let scale = number(service.value.get("scale"));
    let replicas = number(
        service
            .value
            .get("deploy")
            .and_then(|deploy| deploy.get("replicas")),
    );
    let node = &service.value;
    if scale
        .zip(replicas)
        .is_some_and(|(scale, replicas)| scale != replicas)
    {
        return Err(conflict(
            node,
            service,
            "has different numbers as `scale` and `deploy.replicas`",
        ));
    }
    let count = scale.or(replicas).unwrap_or(1);
    if count < 0 {
        return Err(conflict(node, service, "has a negative number of replicas"));
    }
    match filled(node, "container_name") {
        Some(name) if count > 1 => Err(conflict(
            name,
            service,
            "has several replicas and one `container_name`",
        )),
        _ => Ok(()),
    }
}

/// Limits that stand in two places must be the same.
pub(super) fn limits(_: &Model, service: &YamlEntry) -> Result<()> {
    let resources = service
        .value
        .get("deploy")
        .map(|deploy| deploy.get("resources"));
    // Without `deploy` there is nothing to differ from; `deploy` without `resources` has no limits.
    let Some(Some(resources)) = resources else {
        return Ok(());
    };
    let pairs = [
        ("cpus", "limits", "cpus"),
        ("mem_limit", "limits", "memory"),
        ("mem_reservation", "reservations", "memory"),
        ("pids_limit", "limits", "pids"),
    ];
    for (own, group, key) in pairs {
        let read = if key == "memory" {
            units::bytes
        } else {
            units::number
        };
        let (Some(node), Some(group)) = (service.value.get(own), resources.get(group)) else {
            continue;
        };
        let value = read(node).unwrap_or(0.0);
        // Compose compares processor shares in single precision.
        #[allow(clippy::cast_possible_truncation)]
        let differs = group.get(key).and_then(read).unwrap_or(0.0) as f32 != value as f32;
        if value != 0.0 && differs {
            return Err(conflict(
                node,
                service,
                &format!("has another `{own}` than in `deploy.resources`"),
            ));
        }
    }
    Ok(())
}
