//! The files of a chart out of its model. Pure: the same model gives the same bytes.

mod before;
mod extras;
mod helpers;
mod lines;
mod pages;
mod pod;
mod schema;
mod scripts;
mod shared;
mod values;
mod volumes;
mod workload;

use std::path::PathBuf;

use super::model::{ChartModel, ComposeKeyNote, CopiedFile};

pub(crate) use lines::scalar as yaml_scalar;
pub(super) use values::local_text;

/// All files, by their paths in the chart. `notes` are for the README.
pub(super) fn files(model: &ChartModel, notes: &[ComposeKeyNote]) -> Vec<CopiedFile> {
    let mut files = vec![
        file("Chart.yaml", pages::chart(model)),
        file(".helmignore", pages::helmignore()),
        file("README.md", pages::readme(model, notes)),
        file("values.yaml", values::text(model)),
        file("values.schema.json", schema::text(model)),
        file("templates/_helpers.tpl", helpers::text(model)),
        file("templates/NOTES.txt", pages::notes(model)),
        file(
            "templates/serviceaccount.yaml",
            shared::service_account(model),
        ),
        file(
            "templates/networkpolicy.yaml",
            extras::network_policies(model),
        ),
    ];
    if !model.for_production || !model.secrets.is_empty() {
        files.push(file(".gitignore", pages::gitignore()));
    }
    if !model.secrets.is_empty() {
        files.push(file("templates/secret.yaml", shared::secret(model)));
    }
    if !model.claims.is_empty() {
        files.push(file("templates/volumes.yaml", shared::claims(model)));
    }
    if let Some(text) = shared::job_reader(model) {
        files.push(file("templates/role.yaml", text));
    }
    for component in &model.components {
        let folder = match model.for_production {
            true => "templates".to_owned(),
            false => format!("templates/{}", component.name),
        };
        let (kind, text) = workload::text(model, component);
        files.push(file(&format!("{folder}/{kind}.yaml"), text));
        if let Some(text) = workload::services(model, component) {
            files.push(file(&format!("{folder}/service.yaml"), text));
        }
        if let Some(text) = workload::config_map(model, component) {
            files.push(file(&format!("{folder}/configmap.yaml"), text));
        }
        if model.for_production {
            files.extend(
                extras::for_production(model, component)
                    .map(|(name, text)| file(&format!("templates/{name}"), text)),
            );
        }
    }
    files.extend(model.files.iter().cloned());
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn file(path: &str, text: String) -> CopiedFile {
    CopiedFile {
        path: PathBuf::from(path),
        content: text.into_bytes(),
    }
}
