//! Texts in manifests that send a pod to itself where the stack beside it is meant.

use std::collections::BTreeSet;

use serde_json::Value;

use super::charts::{RenderedChart, TemplateRef};
use super::compose::Claim;
use super::{Check, DoctorFacts, Id};
use crate::release::manifest::Manifest;
use crate::release::pods;

/// A text in a manifest: the key or the variable that it belongs to, and whether it is about the pod's own
/// containers (a command, a probe).
pub(super) struct Text {
    pub(super) key: String,
    pub(super) text: String,
    own: bool,
}

impl Text {
    /// What the template's line may hold, the most certain first.
    pub(super) fn words(&self, address: &str) -> Vec<String> {
        let key = &self.key;
        let address = address.to_owned();
        // In a file the address is further down.
        if self.text.contains('\n') {
            vec![address, key.clone()]
        } else {
            let defined = [format!("name: {key}"), format!("{key}:")];
            defined.into_iter().chain([key.clone(), address]).collect()
        }
    }
}

pub(super) fn texts(manifest: &Manifest) -> Vec<Text> {
    if manifest.kind() == "Secret" {
        let entries = pods::data(manifest).into_iter();
        return entries
            .map(|(key, text)| Text {
                key,
                text,
                own: false,
            })
            .collect();
    }
    let mut found = vec![];
    collect(&manifest.object, "", false, &mut found);
    found
}

fn collect(value: &Value, key: &str, own: bool, found: &mut Vec<Text>) {
    const OWN: [&str; 5] = [
        "command",
        "args",
        "lifecycle",
        "livenessProbe",
        "readinessProbe",
    ];
    match value {
        Value::String(text) => found.push(Text {
            key: key.to_owned(),
            text: text.clone(),
            own,
        }),
        Value::Array(items) => items.iter().for_each(|item| collect(item, key, own, found)),
        Value::Object(map) => {
            let variable = map
                .get("name")
                .and_then(Value::as_str)
                .filter(|_| map.contains_key("value"));
            for (name, value) in map {
                let own = own || OWN.contains(&name.as_str()) || name == "startupProbe";
                let key = variable.filter(|_| name == "value").unwrap_or(name);
                collect(value, key, own, found);
            }
        }
        _ => {}
    }
}

pub(super) fn localhosts(
    chart: &RenderedChart,
    claims: &[Claim],
    facts: &DoctorFacts,
) -> Vec<Check> {
    let pods = pods::pods(&chart.rendered);
    let mut found = vec![];
    for manifest in &chart.rendered.manifests {
        let own = pods
            .iter()
            .filter(|pod| std::ptr::eq(pod.manifest, manifest))
            .flat_map(pods::Pod::ports);
        let own: BTreeSet<u16> = own.collect();
        let mut told = BTreeSet::new();
        for text in texts(manifest) {
            for Loopback { host, port, is_web } in loopbacks(&uncommented(&text.text)) {
                let Some(claim) = claims.iter().find(|claim| claim.number == port) else {
                    continue;
                };
                // A pod that asks itself. Its own address in a variable is for browsers.
                let is_own = own.contains(&port) && (text.own || !is_web);
                if !is_own && told.insert((text.key.clone(), port)) {
                    found.push(localhost(chart, manifest, &text, host, claim, facts));
                }
            }
        }
    }
    found
}

fn localhost(
    chart: &RenderedChart,
    manifest: &Manifest,
    text: &Text,
    host: &str,
    claim: &Claim,
    facts: &DoctorFacts,
) -> Check {
    let address = format!("{host}:{}", claim.number);
    let key = &text.key;
    let owner = manifest.object_name();
    let summary = format!(
        "`{key}` of `{owner}` says {address}, which is Compose's `{}`",
        claim.service.name
    );
    let check = Check::warning(Id::ChartsLocalhost, summary);
    let of = TemplateRef {
        source: &manifest.source,
        object: &owner,
    };
    let words = text.words(&address);
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let check = claim.show(chart.show(check, of, &words, format!("{key}: …{address}…")));
    let forwards = facts
        .project
        .iter()
        .flat_map(|project| project.forwards.iter().flatten());
    let same = forwards
        .into_iter()
        .find(|forward| u32::from(forward.port) == claim.port.target);
    let url = format!(
        "${{forward.{}.url}}",
        same.map_or("NAME", |forward| &forward.name)
    );
    // The value is the address and nothing else.
    let is_url = text.text.trim_end_matches('/') == format!("http://{address}");
    match chart.value_path(&text.text, |_| is_url, "") {
        Some(path) => check.hint(format!(
            "devk.yaml, release `{}`: set: {{{path}: \"{url}\"}}",
            chart.release
        )),
        None => check.hint(format!(
            "write {url} in the values file: devk puts its own address in"
        )),
    }
}

/// A file without the lines that are comments.
pub(super) fn uncommented(text: &str) -> String {
    let is_comment = |line: &&str| {
        ["#", "//"]
            .iter()
            .any(|mark| line.trim_start().starts_with(mark))
    };
    if text.contains('\n') {
        text.lines()
            .filter(|line| !is_comment(line))
            .collect::<Vec<_>>()
            .join("\n")
    } else {
        text.to_owned()
    }
}

/// `localhost:5000` and its like.
pub(super) struct Loopback {
    pub(super) host: &'static str,
    pub(super) port: u16,
    /// A browser could open it.
    pub(super) is_web: bool,
}

pub(super) fn loopbacks(text: &str) -> Vec<Loopback> {
    let mut found = vec![];
    for host in ["localhost", "127.0.0.1", "[::1]", "0.0.0.0"] {
        for (at, _) in text.match_indices(host) {
            let part_of_name = |c: char| c.is_alphanumeric() || "-_.".contains(c);
            let Some(rest) = text[at + host.len()..].strip_prefix(':') else {
                continue;
            };
            let digits = &rest[..rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len())];
            let before = &text[..at];
            if let (false, Ok(port)) = (before.ends_with(part_of_name), digits.parse()) {
                let is_web = ["http://", "https://", "ws://", "wss://"]
                    .iter()
                    .any(|scheme| before.ends_with(scheme));
                found.push(Loopback { host, port, is_web });
            }
        }
    }
    found
}
