//! Checks that need the whole project: references to undefined names, settings that contradict each other. Inactive
//! services are not checked; a dependency on an inactive service is refused.

mod resources;
mod unique;

use super::project::{Model, check_circles};
use super::yaml::{YamlData, YamlEntry, YamlNode};
use crate::error::{Code, Error, Result, suggest};
use resources::{limits, scale};
use unique::{container_names, mounts};

type Check = fn(&Model, &YamlEntry) -> Result<()>;

const CHECKS: &[Check] = &[
    origin,
    build,
    networks,
    healthcheck,
    dependencies,
    volumes,
    configs,
    secrets,
    models,
    scale,
    limits,
    watch,
    mounts,
];

/// # Errors
/// The first thing that Compose refuses.
pub(super) fn check(model: &Model) -> Result<()> {
    for service in model.active() {
        CHECKS.iter().try_for_each(|check| check(model, service))?;
    }
    top_secrets(model)?;
    check_circles(model)?;
    container_names(model)
}

/// # Errors
/// The first thing that `docker compose config --format json` cannot print, though `docker compose up` takes it.
pub(super) fn check_printable(model: &Model) -> Result<()> {
    for service in model.active() {
        let ssh = service
            .value
            .get("build")
            .and_then(|build| build.get("ssh"));
        let keys = ssh.map(YamlNode::entries).unwrap_or_default();
        if let Some(key) = keys.iter().find(|key| !key.value.is_null()) {
            let what = "has a `build.ssh` with a path, which `docker compose config --format json` cannot print";
            return Err(conflict(&key.value, service, what));
        }
    }
    Ok(())
}

fn conflict(node: &YamlNode, service: &YamlEntry, what: &str) -> Error {
    node.place.error(
        Code::ComposeConflict,
        format!("service `{}` {what}", service.key),
    )
}

fn undefined(
    node: &YamlNode,
    service: &YamlEntry,
    section: &str,
    name: &str,
    model: &Model,
) -> Error {
    let known: Vec<&str> = match section {
        "services" => model.active.iter().map(String::as_str).collect(),
        _ => model
            .root
            .get(section)
            .map(YamlNode::entries)
            .unwrap_or_default()
            .iter()
            .map(|e| e.key.as_str())
            .collect(),
    };
    let hint = match suggest(name, known) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("add `{name}` to `{section}:`"),
    };
    let one = section.trim_end_matches('s');
    let message = format!(
        "service `{}` refers to the {one} `{name}`, which is not defined",
        service.key
    );
    node.place.error(Code::ComposeReference, message).hint(hint)
}

/// A service that is there, and that its profiles keep out.
fn inactive(node: &YamlNode, service: &YamlEntry, needs: &str, other: &YamlEntry) -> Error {
    let profiles: Vec<_> = texts(other, "profiles")
        .into_iter()
        .map(|(text, _)| text)
        .collect();
    let message = format!(
        "service `{}` {needs} `{}`, which no profile activates",
        service.key, other.key
    );
    let error = node.place.error(Code::ComposeReference, message);
    error.hint(format!("activate a profile: {}", profiles.join(", ")))
}

fn texts<'a>(service: &'a YamlEntry, key: &str) -> Vec<(&'a str, &'a YamlNode)> {
    let Some(node) = service.value.get(key) else {
        return Vec::new();
    };
    let items = if node.text().is_some() {
        std::slice::from_ref(node)
    } else {
        node.items()
    };
    items
        .iter()
        .filter_map(|item| item.text().map(|text| (text, item)))
        .collect()
}

fn filled<'a>(node: &'a YamlNode, key: &str) -> Option<&'a YamlNode> {
    node.get(key)
        .filter(|value| !value.is_null() && value.text() != Some(""))
}

fn origin(_: &Model, service: &YamlEntry) -> Result<()> {
    let node = &service.value;
    if filled(node, "build").is_some()
        || filled(node, "image").is_some()
        || filled(node, "provider").is_some()
    {
        return Ok(());
    }
    let message = format!(
        "service `{}` has neither an `image` nor a `build`",
        service.key
    );
    Err(service.place.error(Code::ComposeReference, message))
}

fn build(model: &Model, service: &YamlEntry) -> Result<()> {
    let Some(build) = service.value.get("build") else {
        return Ok(());
    };
    if let (Some(inline), Some(_)) = (
        filled(build, "dockerfile_inline"),
        filled(build, "dockerfile"),
    ) {
        return Err(conflict(
            inline,
            service,
            "has both `dockerfile` and `dockerfile_inline`",
        ));
    }
    for context in build
        .get("additional_contexts")
        .map(YamlNode::entries)
        .unwrap_or_default()
    {
        let Some(name) = context
            .value
            .text()
            .and_then(|text| text.strip_prefix("service:"))
        else {
            continue;
        };
        match model.services.get(name) {
            None => return Err(undefined(&context.value, service, "services", name, model)),
            Some(other) if !model.is_active(name) => {
                return Err(inactive(&context.value, service, "builds on", other));
            }
            Some(other) if other.value.get("build").is_none() => {
                let what = format!("builds on `{name}`, which is not built itself");
                return Err(conflict(&context.value, service, &what));
            }
            Some(_) => {}
        }
    }
    references(build.get("secrets"), "secrets", model, service)?;
    platforms(build, service)
}

fn platforms(build: &YamlNode, service: &YamlEntry) -> Result<()> {
    let (Some(list), Some(own)) = (build.get("platforms"), filled(&service.value, "platform"))
    else {
        return Ok(());
    };
    if list.items().is_empty() || list.items().iter().any(|platform| platform.same(own)) {
        return Ok(());
    }
    Err(conflict(
        list,
        service,
        "is not built for its own `platform`",
    ))
}

fn networks(model: &Model, service: &YamlEntry) -> Result<()> {
    let Some(networks) = service.value.get("networks") else {
        return Ok(());
    };
    if let Some(mode) =
        filled(&service.value, "network_mode").filter(|_| !networks.entries().is_empty())
    {
        return Err(conflict(
            mode,
            service,
            "has both `network_mode` and `networks`",
        ));
    }
    for network in networks.entries() {
        if !model.has("networks", &network.key) {
            let at = YamlNode::new(&network.place, YamlData::Null);
            return Err(undefined(&at, service, "networks", &network.key, model));
        }
    }
    Ok(())
}

fn healthcheck(_: &Model, service: &YamlEntry) -> Result<()> {
    let test = service
        .value
        .get("healthcheck")
        .and_then(|check| check.get("test"));
    let Some(first) = test.and_then(|test| test.items().first()) else {
        return Ok(());
    };
    if matches!(first.text(), Some("CMD" | "CMD-SHELL" | "NONE")) {
        return Ok(());
    }
    Err(conflict(
        first,
        service,
        "has a `healthcheck.test` that does not begin with CMD, CMD-SHELL or NONE",
    ))
}

fn dependencies(model: &Model, service: &YamlEntry) -> Result<()> {
    for dependency in service
        .value
        .get("depends_on")
        .map(YamlNode::entries)
        .unwrap_or_default()
    {
        if model.is_active(&dependency.key) {
            continue;
        }
        let node = YamlNode::new(&dependency.place, YamlData::Null);
        let Some(other) = model.services.get(&dependency.key) else {
            return Err(undefined(
                &node,
                service,
                "services",
                &dependency.key,
                model,
            ));
        };
        if dependency
            .value
            .get("required")
            .map(|required| &required.data)
            == Some(&YamlData::Bool(false))
        {
            continue;
        }
        return Err(inactive(&node, service, "depends on", other));
    }
    Ok(())
}

fn volumes(model: &Model, service: &YamlEntry) -> Result<()> {
    for volume in service
        .value
        .get("volumes")
        .map(YamlNode::items)
        .unwrap_or_default()
    {
        let named = volume.get("type").and_then(YamlNode::text) == Some("volume");
        let Some(source) = filled(volume, "source").filter(|_| named) else {
            continue;
        };
        let name = source.printed();
        if !model.has("volumes", &name) {
            return Err(undefined(source, service, "volumes", &name, model));
        }
    }
    Ok(())
}

fn references(
    list: Option<&YamlNode>,
    section: &str,
    model: &Model,
    service: &YamlEntry,
) -> Result<()> {
    for item in list.map(YamlNode::items).unwrap_or_default() {
        let name = item
            .get("source")
            .map(YamlNode::printed)
            .unwrap_or_default();
        if !model.has(section, &name) {
            return Err(undefined(item, service, section, &name, model));
        }
    }
    Ok(())
}

fn configs(model: &Model, service: &YamlEntry) -> Result<()> {
    references(service.value.get("configs"), "configs", model, service)
}

fn secrets(model: &Model, service: &YamlEntry) -> Result<()> {
    references(service.value.get("secrets"), "secrets", model, service)
}

fn models(model: &Model, service: &YamlEntry) -> Result<()> {
    for used in service
        .value
        .get("models")
        .map(YamlNode::entries)
        .unwrap_or_default()
    {
        if !model.has("models", &used.key) {
            let at = YamlNode::new(&used.place, YamlData::Null);
            return Err(undefined(&at, service, "models", &used.key, model));
        }
    }
    Ok(())
}

fn watch(_: &Model, service: &YamlEntry) -> Result<()> {
    let triggers = service
        .value
        .get("develop")
        .and_then(|develop| develop.get("watch"));
    for trigger in triggers.map(YamlNode::items).unwrap_or_default() {
        let action = trigger.get("action").and_then(YamlNode::text);
        if filled(trigger, "target").is_none() && !matches!(action, Some("rebuild" | "restart")) {
            return Err(conflict(
                trigger,
                service,
                "has a `develop.watch` without a `target`",
            ));
        }
    }
    Ok(())
}

fn top_secrets(model: &Model) -> Result<()> {
    for secret in model
        .root
        .get("secrets")
        .map(YamlNode::entries)
        .unwrap_or_default()
    {
        let external = secret.value.get("external").map(|external| &external.data)
            == Some(&YamlData::Bool(true));
        if !external
            && filled(&secret.value, "file").is_none()
            && filled(&secret.value, "environment").is_none()
        {
            let message = format!(
                "the secret `{}` has neither a `file` nor an `environment`",
                secret.key
            );
            return Err(secret.place.error(Code::ComposeReference, message));
        }
    }
    Ok(())
}
