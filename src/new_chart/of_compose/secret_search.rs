//! Where the secrets of a project are: variables, addresses, commands, files, and what `.env` puts into any text.

use super::files::BoundFiles;
use super::granted::private_files;
use super::secret_names::is_secret;
use super::secrets::SecretBook;
use crate::compose::{WholeCompose, YamlData, YamlNode, words};
use crate::place::Origin;

/// All secrets of all services, and of files.
pub(super) fn read_secrets(
    book: &mut SecretBook,
    whole: &WholeCompose,
    alone: Option<&WholeCompose>,
    files: &BoundFiles,
) {
    for service in whole.compose.services.values() {
        // First those that are one as a whole: their names are the better ones.
        for (name, variable) in service
            .environment
            .iter()
            .filter(|(name, variable)| is_secret(name, &variable.value))
        {
            book.read(name, &variable.value, &variable.origin);
        }
    }
    for file in private_files(whole, alone, files) {
        book.file(file);
    }
    let texts: Vec<_> = whole
        .services
        .values()
        .flat_map(|entry| said(&entry.value))
        .collect();
    for (name, value) in whole
        .variables
        .iter()
        .filter(|(name, value)| is_secret(name, value))
    {
        if texts.iter().any(|(text, _)| text.contains(value.as_str())) && value.len() > 5 {
            let at = texts
                .iter()
                .find(|(text, _)| text.contains(value.as_str()))
                .map(|(_, at)| at.clone());
            book.read(
                name,
                value,
                &at.unwrap_or(Origin {
                    file: whole.compose.dir.clone(),
                    line: 1,
                }),
            );
        }
    }
    for service in whole.compose.services.values() {
        for (name, variable) in &service.environment {
            book.read(name, &variable.value, &variable.origin);
        }
    }
    for entry in whole.services.values() {
        for key in ["command", "entrypoint"] {
            let Some(node) = entry.value.get(key) else {
                continue;
            };
            let split = match node.text() {
                Some(text) => words(text).unwrap_or_default(),
                None => node.items().iter().map(YamlNode::printed).collect(),
            };
            book.read_words(&split, &Origin::from(&node.place));
        }
    }
}

/// The texts of a service that reach the chart, with their lines.
fn said(service: &YamlNode) -> Vec<(String, Origin)> {
    let parts = ["command", "entrypoint", "environment", "healthcheck"].map(|key| service.get(key));
    parts
        .into_iter()
        .flatten()
        .map(|node| (all_texts(node), Origin::from(&node.place)))
        .collect()
}

fn all_texts(node: &YamlNode) -> String {
    match &node.data {
        YamlData::Map(entries) => entries
            .iter()
            .map(|entry| all_texts(&entry.value) + "\n")
            .collect(),
        YamlData::List(items) => items.iter().map(|item| all_texts(item) + "\n").collect(),
        _ => node.printed(),
    }
}
