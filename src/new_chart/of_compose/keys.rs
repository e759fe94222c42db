//! The keys of one service, read one by one: what nobody has taken at the end is in the report.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::compose::{YamlData, YamlEntry, YamlNode};
use crate::new_chart::model::{Carried, ComposeKeyNote};
use crate::place::{Origin, Place};

/// A service as its Compose files have it, in the long forms.
#[derive(Debug)]
pub(super) struct ServiceKeys<'a> {
    pub(super) name: &'a str,
    entry: &'a YamlEntry,
    taken: RefCell<BTreeSet<&'a str>>,
    notes: RefCell<Vec<ComposeKeyNote>>,
}

impl<'a> ServiceKeys<'a> {
    pub(super) fn new(entry: &'a YamlEntry) -> Self {
        Self {
            name: &entry.key,
            entry,
            taken: RefCell::default(),
            notes: RefCell::default(),
        }
    }

    /// The whole service.
    pub(super) fn value(&self) -> &'a YamlNode {
        &self.entry.value
    }

    /// The value of a key that the chart has from here on. None: it is not there, or null.
    pub(super) fn take(&self, key: &str) -> Option<&'a YamlNode> {
        let entry = self
            .entry
            .value
            .entries()
            .iter()
            .find(|entry| entry.key == key)?;
        self.taken.borrow_mut().insert(&entry.key);
        (!entry.value.is_null()).then_some(&entry.value)
    }

    pub(super) fn text(&self, key: &str) -> Option<String> {
        let text = self.take(key)?.printed();
        (!text.is_empty()).then_some(text)
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        self.take(key).is_some_and(is_true)
    }

    /// The items of a list, or the one text that stands for a list.
    pub(super) fn texts(&self, key: &str) -> Vec<String> {
        let Some(node) = self.take(key) else {
            return vec![];
        };
        texts(node)
    }

    /// Says what became of a key.
    pub(super) fn note(&self, key: &str, at: &Place, carried: Carried, why: impl Into<String>) {
        let note = ComposeKeyNote::new(Some(self.name), key, &Origin::from(at), carried, why);
        self.notes.borrow_mut().push(note);
    }

    /// The same, at the line of the key.
    pub(super) fn note_key(&self, key: &str, carried: Carried, why: impl Into<String>) {
        let entry = self
            .entry
            .value
            .entries()
            .iter()
            .find(|entry| entry.key == key);
        let place = entry.map_or(&self.entry.place, |entry| &entry.place);
        self.note(key, place, carried, why);
    }

    /// All that became of the keys, those that nobody took at the end.
    pub(super) fn notes(self) -> Vec<ComposeKeyNote> {
        let taken = self.taken.borrow();
        let rest = self.entry.value.entries().iter();
        let rest =
            rest.filter(|entry| !taken.contains(entry.key.as_str()) && !is_empty(&entry.value));
        for entry in rest.filter(|entry| !entry.key.starts_with("x-")) {
            self.note(&entry.key, &entry.place, Carried::No, why_not(&entry.key));
        }
        self.notes.take()
    }
}

pub(super) fn is_true(node: &YamlNode) -> bool {
    match &node.data {
        YamlData::Bool(value) => *value,
        YamlData::Text(text) => ["true", "y", "yes", "on"].contains(&text.to_lowercase().as_str()),
        _ => false,
    }
}

pub(super) fn texts(node: &YamlNode) -> Vec<String> {
    match node.text() {
        Some(text) => vec![text.to_owned()],
        None => node.items().iter().map(YamlNode::printed).collect(),
    }
}

/// `KEY=VALUE` pairs, as a list or as a mapping.
pub(super) fn pairs(node: &YamlNode) -> Vec<(String, String)> {
    let entries = node.entries().iter().map(|entry| {
        let value = match entry.value.is_null() {
            true => String::new(),
            false => entry.value.printed(),
        };
        (entry.key.clone(), value)
    });
    let items = node.items().iter().map(|item| {
        let text = item.printed();
        let (key, value) = text.split_once('=').unwrap_or((&text, ""));
        (key.to_owned(), value.to_owned())
    });
    entries.chain(items).collect()
}

fn is_empty(node: &YamlNode) -> bool {
    match &node.data {
        YamlData::Null => true,
        YamlData::List(items) => items.is_empty(),
        YamlData::Map(entries) => entries.is_empty(),
        YamlData::Bool(value) => !value,
        _ => false,
    }
}

/// Why a chart cannot have a key, or why this one does not.
fn why_not(key: &str) -> &'static str {
    match key {
        "labels" | "label_file" => {
            "labels of Compose's containers are for programs that watch Docker, such as a proxy"
        }
        "logging" => "the cluster keeps the logs: `devk logs`, `kubectl logs`",
        "ulimits" => {
            "Kubernetes has no limits of this kind; they are those of the node's container runtime"
        }
        "devices" | "gpus" | "device_cgroup_rules" => {
            "a device of this machine; a cluster gives devices by device plugins and `resources.limits`"
        }
        "network_mode" => "a pod has a network of its own",
        "pid" | "ipc" | "uts" | "cgroup" | "cgroup_parent" | "userns_mode" | "isolation" => {
            "a namespace of this machine, which a chart should not share"
        }
        "runtime" => "a RuntimeClass of the cluster; set `runtimeClassName` in the template",
        "platform" => "the nodes decide; set `nodeSelector: {kubernetes.io/arch: …}` in the values",
        "mac_address" => "pods get their addresses from the cluster",
        "storage_opt" => "an option of Docker's storage driver",
        "oom_kill_disable" | "oom_score_adj" | "memswap_limit" | "mem_swappiness"
        | "blkio_config" => "Kubernetes decides it by requests and limits",
        "cpu_count" | "cpu_percent" | "cpu_period" | "cpu_quota" | "cpu_rt_period"
        | "cpu_rt_runtime" | "cpu_shares" | "cpuset" => {
            "a setting of Docker's scheduler; say `cpus` or `deploy.resources`"
        }
        "credential_spec" => "a setting of Windows",
        "external_links" => "a container outside of this Compose project",
        "domainname" => "a pod's domain is that of its Service",
        "volumes_from" => "name the volumes themselves",
        "provider" | "models" | "use_api_socket" => {
            "something that Docker provides and a cluster does not"
        }
        "attach" => "how `docker compose up` prints logs",
        "pre_start" | "post_start" | "pre_stop" => {
            "a command of Compose's own around the container"
        }
        _ => "the chart has nothing that stands for it",
    }
}
