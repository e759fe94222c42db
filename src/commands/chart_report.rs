//! What a chart out of Compose files has, and what of the files it has not.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::init::{ChartDraft, SecretSource};
use crate::new_chart::{Carried, ComposeKeyNote, LOCAL_VALUES};
use crate::ui::plain::escape_controls;

/// The chart in a JSON document.
pub(super) fn document(draft: &ChartDraft, folder: &Path) -> Value {
    let files = draft
        .chart
        .files
        .iter()
        .map(|(path, _)| path.display().to_string());
    json!({
        "folder": folder,
        "files": files.collect::<Vec<_>>(),
        "secrets": draft.secrets,
        "localValues": draft.local.as_ref().map(|_| folder.join(LOCAL_VALUES)),
        "notes": draft.notes,
    })
}

/// The same for people.
pub(super) fn text(draft: &ChartDraft, folder: &Path, dry_run: bool) -> String {
    let count = draft.chart.files.len();
    let folder = folder.display();
    let mut text = match dry_run {
        true => format!("{folder}/ would get {count} files:\n"),
        false => format!("{folder}/ is written, {count} files\n"),
    };
    if dry_run {
        text.extend(
            draft
                .chart
                .files
                .iter()
                .map(|(path, _)| format!("  {}\n", path.display())),
        );
    }
    for (from, what) in [
        (SecretSource::Generated, "devk makes up"),
        (SecretSource::Local, "as Compose uses them here"),
        (SecretSource::Unknown, "nobody here knows"),
    ] {
        let keys: Vec<_> = draft
            .secrets
            .iter()
            .filter(|secret| secret.from == from)
            .map(|secret| secret.key.as_str())
            .collect();
        if !keys.is_empty() {
            text += &format!("secrets, {what}: {}\n", keys.join(", "));
        }
    }
    if draft.local.is_some() {
        text += &format!(
            "warning: {folder}/{LOCAL_VALUES} has secrets in plain text, for this machine alone; {folder}/.gitignore keeps it out of git\n"
        );
    }
    for (carried, title) in [
        (Carried::Changed, "in the chart in another way:"),
        (Carried::No, "not in the chart:"),
    ] {
        let notes: Vec<_> = draft
            .notes
            .iter()
            .filter(|note| note.carried == carried)
            .collect();
        if !notes.is_empty() {
            text += &format!("\n{title}\n");
            text.extend(grouped(&notes));
        }
    }
    text + "\n"
}

/// One line a key and reason, with all places that have it.
fn grouped(notes: &[&ComposeKeyNote]) -> Vec<String> {
    let mut lines: BTreeMap<(String, u32, String, String), Vec<String>> = BTreeMap::new();
    let mut order = vec![];
    for note in notes {
        let file = note
            .file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let service = note.service.clone().unwrap_or_default();
        let key = (service, 0, note.key.clone(), note.why.clone());
        if !lines.contains_key(&key) {
            order.push(key.clone());
        }
        lines
            .entry(key)
            .or_default()
            .push(format!("{file}:{}", note.line));
    }
    order
        .iter()
        .map(|key| {
            let (service, _, name, why) = key;
            let service = if service.is_empty() {
                String::new()
            } else {
                format!("{service}.")
            };
            escape_controls(&format!(
                "  {service}{name} ({}): {why}",
                lines[key].join(", ")
            )) + "\n"
        })
        .collect()
}
