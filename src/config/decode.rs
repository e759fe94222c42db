//! A checked tree as a [`Project`], and the checks that take more than one value.
//!
//! Runs even where the check found problems, so that these are reported with them; what is missing is
//! then left empty, and the caller throws the project away.

mod check;
mod release;
mod secrets;
mod tests_of_project;

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

pub(super) use self::check::check;
use self::release::releases;
use self::tests_of_project::tests;
use super::format;
use super::variables::References;
use super::yaml::{ConfigData, ConfigEntry, ConfigNode};
use super::{
    Allow, AskConfig, AskRole, AskYes, BridgeConfig, BridgePaths, CheckConfig, ClusterConfig,
    ForwardConfig, ImageConfig, Origin, Provider, ReleaseConfig, Sync, SyncRule, TestCommand,
    bases, scalar,
};
use crate::error::{Code, Error};

/// The cluster that projects share by default.
const DEFAULT_CLUSTER: &str = "devk";

/// Everything of a project but its name and place.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) cluster: ClusterConfig,
    pub(super) compose: Option<Vec<PathBuf>>,
    pub(super) images: Vec<ImageConfig>,
    pub(super) releases: Vec<ReleaseConfig>,
    pub(super) forwards: Option<Vec<ForwardConfig>>,
    pub(super) allow: Allow,
    pub(super) bridge: Option<BridgeConfig>,
    pub(super) check: CheckConfig,
    pub(super) ask: AskConfig,
    pub(super) tests: Vec<TestCommand>,
}

pub(super) fn decode(root: &ConfigNode, problems: &mut Vec<Error>) -> Draft {
    let forwards = root.get("forwards").filter(|node| !node.is_null());
    let references = References {
        forwards: forwards.map(|node| {
            node.entries()
                .iter()
                .map(|entry| entry.key.clone())
                .collect()
        }),
        images: entries(root, "images")
            .iter()
            .map(|entry| entry.key.clone())
            .collect(),
    };
    duplicate_locals(entries(root, "forwards"), problems);
    let images: Vec<_> = entries(root, "images")
        .iter()
        .map(|entry| image(entry, &references, problems))
        .collect();
    problems.extend(bases::cycle(&images));
    Draft {
        cluster: cluster(root, problems),
        compose: root
            .get("compose")
            .filter(|node| !node.is_null())
            .map(paths),
        images,
        releases: releases(root, &references, problems),
        forwards: forwards.map(|node| node.entries().iter().map(forward).collect()),
        allow: Allow {
            node_port: allows(root, "nodePort"),
            always_pull: allows(root, "alwaysPull"),
        },
        bridge: root
            .get("bridge")
            .filter(|node| !node.is_null())
            .map(bridge),
        check: root.get("check").map(check).unwrap_or_default(),
        ask: root.get("ask").map(ask).unwrap_or_default(),
        tests: tests(root, problems),
    }
}

pub(super) fn ask(node: &ConfigNode) -> AskConfig {
    AskConfig {
        role: text(node, "role").and_then(AskRole::parse),
        yes: text(node, "yes").and_then(AskYes::parse),
    }
}

fn bridge(node: &ConfigNode) -> BridgeConfig {
    let postgres = node.get("postgres").filter(|node| !node.is_null());
    let text = |key| postgres.and_then(|node| text(node, key)).map(str::to_owned);
    let values = postgres.and_then(|node| node.get("values"));
    let path = |key| {
        values
            .and_then(|node| node.get(key))
            .and_then(ConfigNode::text)
            .map(str::to_owned)
    };
    BridgeConfig {
        service: text("service"),
        database: text("database"),
        release: text("release"),
        values: BridgePaths {
            enabled: path("enabled"),
            url: path("url"),
            host: path("host"),
            port: path("port"),
            database: path("database"),
            username: path("username"),
            password: path("password"),
        },
        origin: Origin::from(&postgres.unwrap_or(node).place),
    }
}

/// Tells of the items of a list that have the name of an earlier one.
fn named_once(nodes: &[ConfigNode], what: &str, problems: &mut Vec<Error>) {
    let mut lines = HashMap::new();
    for name in nodes.iter().filter_map(|node| node.get("name")) {
        let Some(text) = name.text() else { continue };
        if let Some(first) = lines.insert(text, name.place.line) {
            let message = format!("a second {what} is named `{text}`");
            let error = name.place.error(Code::ConfigValue, message);
            problems.push(error.hint(format!(
                "the first is in line {first}; give this one another name"
            )));
        }
    }
}

pub(super) fn entries<'a>(node: &'a ConfigNode, key: &str) -> &'a [ConfigEntry] {
    node.get(key).map_or(&[], ConfigNode::entries)
}

pub(super) fn text<'a>(node: &'a ConfigNode, key: &str) -> Option<&'a str> {
    node.get(key).and_then(ConfigNode::text)
}

fn path(node: &ConfigNode, key: &str) -> Option<PathBuf> {
    let value = node.get(key)?;
    value.text().map(|text| value.place.path(text))
}

fn allows(root: &ConfigNode, key: &str) -> bool {
    root.get("allow").and_then(|allow| text(allow, key)) == Some("true")
}

fn cluster(root: &ConfigNode, problems: &mut Vec<Error>) -> ClusterConfig {
    let node = root.get("cluster");
    let text = |key| node.and_then(|node| text(node, key));
    let provider = text("provider")
        .and_then(format::provider)
        .unwrap_or(Provider::Kind);
    problems.extend(node.and_then(|node| unfitting(node, provider)));
    problems.extend(node.and_then(preferred_in_vain));
    let name = if provider == Provider::Existing {
        text("context")
    } else {
        text("name")
    };
    ClusterConfig {
        provider,
        auto: text("provider") == Some("auto"),
        prefer: text("prefer").and_then(format::provider),
        name: name.unwrap_or(DEFAULT_CLUSTER).to_owned(),
        image: text("image").map(str::to_owned),
        remote: allows(root, "remote"),
    }
}

/// A preference where nothing is chosen. That of a profile below is no problem of the file above it.
fn preferred_in_vain(cluster: &ConfigNode) -> Option<Error> {
    let given = |key| cluster.get(key).filter(|node| !node.is_null());
    let prefer = given("prefer")?;
    let provider = given("provider");
    let is_chosen = provider.is_some_and(|provider| {
        provider.text() == Some("auto") || provider.place.file != prefer.place.file
    });
    let error = prefer.place.error(
        Code::ConfigValue,
        "`cluster.prefer` is for `provider: auto`",
    );
    (!is_chosen).then(|| error.hint("cluster: {provider: auto, prefer: minikube}"))
}

/// A key of the cluster that its provider cannot do without, or does not have. What stands in a profile below is no
/// problem of the file above it.
fn unfitting(cluster: &ConfigNode, provider: Provider) -> Option<Error> {
    let given = |key| cluster.get(key).filter(|node| !node.is_null());
    let is_existing = provider == Provider::Existing;
    let Some(context) = given("context") else {
        let error = cluster
            .place
            .error(Code::ConfigMissingKey, "`cluster.context` is missing");
        let hint = "name a context of your kubeconfig: cluster: {provider: existing, context: NAME}; \
                    `kubectl config get-contexts -o name` shows those there are";
        return is_existing.then(|| error.hint(hint));
    };
    if !is_existing {
        let error = context.place.error(
            Code::ConfigValue,
            "`cluster.context` is for existing clusters",
        );
        return Some(error.hint("cluster: {provider: existing, context: NAME}"));
    }
    let beside = |key| given(key).filter(|node| node.place.file == context.place.file);
    let (key, unused) = ["name", "image"]
        .into_iter()
        .find_map(|key| Some((key, beside(key)?)))?;
    let error = unused.place.error(
        Code::ConfigValue,
        format!("an existing cluster has no `{key}` for devk to choose"),
    );
    Some(error.hint("remove the key; `context` says which one it is"))
}

fn image(entry: &ConfigEntry, references: &References, problems: &mut Vec<Error>) -> ImageConfig {
    let node = &entry.value;
    let context = path(node, "context");
    let dockerfile = path(node, "dockerfile");
    problems.extend(missing_dockerfile(node));
    let args = entries(node, "args");
    args.iter()
        .for_each(|arg| references.check_argument(&arg.value, problems));
    let context = context.unwrap_or_default();
    ImageConfig {
        name: entry.key.clone(),
        dockerfile: dockerfile.unwrap_or_else(|| context.join("Dockerfile")),
        context,
        target: text(node, "target").map(str::to_owned),
        platform: text(node, "platform").map(str::to_owned),
        args: args
            .iter()
            .filter_map(|arg| Some((arg.key.clone(), arg.value.text()?.to_owned())))
            .collect(),
        replaces: texts(node, "replaces").collect(),
        sync: node
            .get("sync")
            .filter(|sync| !sync.is_null())
            .map(sync)
            .unwrap_or_default(),
        secrets: secrets::secrets(node),
        ssh: secrets::agents(node, problems),
        origin: Origin::from(&entry.place),
    }
}

fn sync(node: &ConfigNode) -> Sync {
    let ConfigData::List(rules) = &node.data else {
        return Sync::Auto;
    };
    Sync::Rules(rules.iter().map(sync_rule).collect())
}

/// The texts of a list.
pub(super) fn texts<'a>(node: &'a ConfigNode, key: &str) -> impl Iterator<Item = String> + use<'a> {
    node.get(key)
        .map_or(&[][..], ConfigNode::items)
        .iter()
        .filter_map(ConfigNode::text)
        .map(str::to_owned)
}

fn sync_rule(node: &ConfigNode) -> SyncRule {
    SyncRule {
        // Without its `.`: a path is compared part by part.
        from: Path::new(text(node, "from").unwrap_or_default())
            .components()
            .filter(|c| *c != Component::CurDir)
            .collect(),
        to: text(node, "to").unwrap_or_default().to_owned(),
        run: texts(node, "run").collect(),
        exclude: texts(node, "exclude").collect(),
        origin: Origin::from(&node.place),
    }
}

/// The problem if the Dockerfile, named or not, is not there.
fn missing_dockerfile(image: &ConfigNode) -> Option<Error> {
    let Some(node) = image.get("dockerfile").filter(|node| !node.is_null()) else {
        return missing_default_dockerfile(image.get("context")?);
    };
    let name = node
        .text()
        .filter(|name| !name.is_empty() && !node.place.path(name).is_file())?;
    let error = node.place.error(
        Code::ImageContext,
        format!("there is no Dockerfile `{name}`"),
    );
    // Compose reads `dockerfile` from the context: say so to those who followed it.
    let context = image
        .get("context")
        .and_then(|context| Some((context.text()?, &context.place)));
    Some(match context {
        Some((folder, place)) if place.path(folder).join(name).is_file() => error.hint(format!(
            "{}: write `{}/{name}`",
            format::base(&node.place),
            folder.trim_end_matches('/')
        )),
        _ => error.hint(format!("name a file; {}", format::base(&node.place))),
    })
}

fn missing_default_dockerfile(context: &ConfigNode) -> Option<Error> {
    let text = context.text()?;
    let folder = context.place.path(text);
    if !folder.is_dir() || folder.join("Dockerfile").is_file() {
        return None;
    }
    let message = format!("the build context `{text}` has no Dockerfile");
    Some(
        context
            .place
            .error(Code::ImageContext, message)
            .hint("add one, or name it with `dockerfile:`"),
    )
}

fn paths(list: &ConfigNode) -> Vec<PathBuf> {
    list.items()
        .iter()
        .filter_map(|item| item.text().map(|text| item.place.path(text)))
        .collect()
}

fn forward(entry: &ConfigEntry) -> ForwardConfig {
    ForwardConfig {
        name: entry.key.clone(),
        service: text(&entry.value, "service").map(str::to_owned),
        port: port(&entry.value, "port").unwrap_or_default(),
        local: port(&entry.value, "local"),
        origin: Origin::from(&entry.place),
    }
}

fn port(node: &ConfigNode, key: &str) -> Option<u16> {
    let number = scalar::plain(text(node, key)?).ok()?.as_u64()?;
    u16::try_from(number).ok()
}

fn duplicate_locals(forwards: &[ConfigEntry], problems: &mut Vec<Error>) {
    let mut first = HashMap::<u16, &ConfigEntry>::new();
    for entry in forwards {
        let (Some(local), Some(node)) = (port(&entry.value, "local"), entry.value.get("local"))
        else {
            continue;
        };
        if let Some(other) = first.insert(local, entry) {
            let message = format!(
                "the local port {local} is taken by the forward `{}` already",
                other.key
            );
            problems.push(
                node.place
                    .error(Code::ConfigValue, message)
                    .hint("choose another port, or leave `local` out"),
            );
        }
    }
}
