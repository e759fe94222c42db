//! The snapshot of a real cluster, from files: objects as the API server listed them, without managedFields.

use std::path::Path;

use devk::ask::{AskedProject, ClusterSnapshot, LogOf};
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[derive(Deserialize)]
struct About {
    now: jiff::Timestamp,
    cluster: String,
    version: String,
    project: AskedProject,
}

#[derive(Deserialize)]
struct Log {
    #[serde(flatten)]
    of: LogOf,
    text: String,
}

#[derive(Deserialize)]
struct Usage {
    namespace: String,
    pod: String,
    #[serde(flatten)]
    used: devk::inventory::PodUse,
}

fn read<T: DeserializeOwned>(name: &str) -> T {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/ask/cluster")
        .join(name);
    serde_json::from_slice(&std::fs::read(&file).unwrap())
        .unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

pub(crate) fn snapshot() -> ClusterSnapshot {
    let about: About = read("about.json");
    let mut snapshot = ClusterSnapshot::new(about.project, about.now, TimeZone::UTC);
    snapshot.cluster = about.cluster;
    snapshot.version = about.version;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ask/cluster");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let plural = name.strip_suffix(".json").unwrap();
        if !["about", "logs", "usage"].contains(&plural) {
            snapshot.add(plural, read::<Vec<Value>>(&name));
        }
    }
    let logs: Vec<Log> = read("logs.json");
    snapshot.logs = logs.into_iter().map(|log| (log.of, log.text)).collect();
    let usage: Vec<Usage> = read("usage.json");
    snapshot.usage = Some(
        usage
            .into_iter()
            .map(|one| ((one.namespace, one.pod), one.used))
            .collect(),
    );
    snapshot
}
