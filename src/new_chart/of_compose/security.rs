//! Security contexts, as strict as the image allows.
//!
//! A program that runs as a user of its own needs no capability and must not become root. One that runs as root, as the
//! entry points of databases do to hand their folder to another user, keeps what a container runtime gives, but for what
//! no server needs; nobody can tell from outside what else it could do without.

use serde_json::{Map, Value, json};

use super::keys::ServiceKeys;
use crate::image::ImageFacts;
use crate::new_chart::model::Carried;

/// As whom a container runs.
#[derive(Debug, Clone, PartialEq, Eq)]
enum RunsAs {
    Number(u64, Option<u64>),
    /// A name of the image's own, which Kubernetes cannot check.
    Name(String),
    Root,
    Unknown,
}

/// The contexts of a container and of its pod, and why they are not stricter.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SecurityContexts {
    pub(super) container: Value,
    pub(super) pod: Value,
    pub(super) comment: String,
}

/// Reads `user`, `cap_add`, `cap_drop`, `privileged`, `security_opt`, `read_only`, `group_add` and `sysctls`. `low_port`: it listens
/// below 1024.
pub(super) fn contexts(
    keys: &ServiceKeys<'_>,
    facts: Option<&ImageFacts>,
    low_port: bool,
) -> SecurityContexts {
    let own = keys.text("user");
    let mut user = runs_as(own.as_deref(), facts);
    if let (Some(own), RunsAs::Name(name)) = (&own, &user) {
        keys.note_key("user", Carried::No, format!("Kubernetes takes numbers: `{own}` is `runAsUser: N`, where `id -u {name}` in the image prints N"));
        // The container runs as the image says.
        user = runs_as(None, facts);
    }
    let mut container = Map::new();
    let mut pod = Map::new();
    let restricted = !matches!(user, RunsAs::Root | RunsAs::Unknown);
    if let RunsAs::Number(user, group) = user {
        container.insert("runAsNonRoot".to_owned(), json!(true));
        container.insert("runAsUser".to_owned(), json!(user));
        if let Some(group) = group {
            container.insert("runAsGroup".to_owned(), json!(group));
        }
        // New volumes belong to root.
        pod.insert("fsGroup".to_owned(), json!(group.unwrap_or(user)));
    } else if own.as_deref().is_some_and(is_root) {
        container.insert("runAsUser".to_owned(), json!(0));
    }
    let privileged = keys.flag("privileged");
    let escalates = opts(keys);
    container.insert("allowPrivilegeEscalation".to_owned(), json!(privileged));
    container.insert(
        "readOnlyRootFilesystem".to_owned(),
        json!(keys.flag("read_only")),
    );
    if privileged {
        container.insert("privileged".to_owned(), json!(true));
        keys.note_key(
            "privileged",
            Carried::Changed,
            "the chart has it: the container may do to the node what it likes",
        );
    }
    if !privileged {
        container.insert("capabilities".to_owned(), capabilities(keys, restricted));
    }
    let profile = if escalates.unconfined {
        "Unconfined"
    } else {
        "RuntimeDefault"
    };
    pod.insert("seccompProfile".to_owned(), json!({"type": profile}));
    groups(keys, &mut pod);
    sysctls(keys, &mut pod, restricted && low_port);
    let comment = match (user, privileged) {
        (_, true) => "Compose runs it privileged.".to_owned(),
        (RunsAs::Root, _) => "The image starts as root. If it does not need to: runAsNonRoot: true, runAsUser, capabilities.drop: [ALL].".to_owned(),
        (RunsAs::Unknown, _) => "Nobody could look at the image: it may start as root. If it does not: runAsNonRoot: true, runAsUser, capabilities.drop: [ALL].".to_owned(),
        (RunsAs::Name(name), _) => format!("The image starts as `{name}`. Kubernetes checks numbers only: runAsNonRoot: true and runAsUser with what `id -u {name}` prints."),
        (RunsAs::Number(..), _) => String::new(),
    };
    SecurityContexts {
        container: container.into(),
        pod: pod.into(),
        comment,
    }
}

fn runs_as(own: Option<&str>, facts: Option<&ImageFacts>) -> RunsAs {
    let text = match (own, facts) {
        (Some(own), _) => own,
        (None, Some(facts)) => facts.user.as_str(),
        (None, None) => return RunsAs::Unknown,
    };
    if text.is_empty() || is_root(text) {
        return RunsAs::Root;
    }
    let (user, group) = text.split_once(':').unwrap_or((text, ""));
    match user.parse() {
        Ok(user) => RunsAs::Number(user, group.parse().ok()),
        Err(_) => RunsAs::Name(user.to_owned()),
    }
}

fn is_root(user: &str) -> bool {
    let user = user.split(':').next().unwrap_or(user);
    user == "root" || user.parse() == Ok(0)
}

struct Options {
    unconfined: bool,
}

fn opts(keys: &ServiceKeys<'_>) -> Options {
    let mut unconfined = false;
    for option in keys.texts("security_opt") {
        match option.replace('=', ":").as_str() {
            "no-new-privileges" | "no-new-privileges:true" => {}
            "seccomp:unconfined" => unconfined = true,
            _ => keys.note_key(
                "security_opt",
                Carried::No,
                format!("`{option}` is a profile of this machine, which a node does not have"),
            ),
        }
    }
    Options { unconfined }
}

fn capabilities(keys: &ServiceKeys<'_>, restricted: bool) -> Value {
    let names = |key: &str| -> Vec<String> {
        let names = keys.texts(key).into_iter();
        names
            .map(|name| name.to_uppercase().trim_start_matches("CAP_").to_owned())
            .collect()
    };
    let add = names("cap_add");
    let mut drop = names("cap_drop");
    if restricted {
        drop = vec!["ALL".to_owned()];
    } else if !drop.iter().any(|name| name == "ALL") {
        let needless = ["MKNOD", "NET_RAW"].map(str::to_owned).into_iter();
        drop.extend(needless.filter(|name| !add.contains(name)));
        drop.sort();
        drop.dedup();
    }
    match add.is_empty() {
        true => json!({"drop": drop}),
        false => json!({"drop": drop, "add": add}),
    }
}

fn groups(keys: &ServiceKeys<'_>, pod: &mut Map<String, Value>) {
    let groups = keys.texts("group_add");
    let (numbers, names): (Vec<_>, Vec<_>) = groups
        .iter()
        .partition(|group| group.parse::<u64>().is_ok());
    if !numbers.is_empty() {
        let numbers: Vec<u64> = numbers
            .iter()
            .filter_map(|number| number.parse().ok())
            .collect();
        pod.insert("supplementalGroups".to_owned(), json!(numbers));
    }
    if !names.is_empty() {
        keys.note_key(
            "group_add",
            Carried::No,
            "Kubernetes takes numbers of groups, not names",
        );
    }
}

/// Those that Kubernetes allows everywhere. containerd before version 2 lets nobody but root listen below 1024, which
/// Docker does.
fn sysctls(keys: &ServiceKeys<'_>, pod: &mut Map<String, Value>, low_port: bool) {
    const SAFE: [&str; 8] = [
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
    ];
    let given = keys
        .take("sysctls")
        .map(super::keys::pairs)
        .unwrap_or_default();
    let (mut safe, others): (Vec<_>, Vec<_>) = given
        .into_iter()
        .partition(|(name, _)| SAFE.contains(&name.as_str()));
    for (name, _) in others {
        keys.note_key(
            "sysctls",
            Carried::No,
            format!("a kubelet does not allow `{name}` unless its node is set up for it"),
        );
    }
    if low_port
        && !safe
            .iter()
            .any(|(name, _)| name == "net.ipv4.ip_unprivileged_port_start")
    {
        safe.push((
            "net.ipv4.ip_unprivileged_port_start".to_owned(),
            "0".to_owned(),
        ));
    }
    if !safe.is_empty() {
        let safe: Vec<_> = safe
            .iter()
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
        pod.insert("sysctls".to_owned(), safe.into());
    }
}
