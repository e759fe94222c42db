//! CustomResourceDefinitions of manifests that helm leaves alone. helm installs the definitions in a chart's folder `crds`
//! with the first revision of a release and changes them never: a definition counts for the whole cluster, and to remove
//! or narrow it takes objects of others with it. devk keeps to that, and says what to type.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::{Api, PostParams};
use serde_json::Value;

use crate::error::{Code, Error, Result, on_cluster};
use crate::release::installed::{installed, unreachable};
use crate::release::prepare::Prepared;
use crate::release::wrapper::CrdManifest;
use crate::release::yaml;
use crate::shell::quote;

/// An error for each definition that the cluster lacks although the release is installed: the upgrade would not bring it.
///
/// # Errors
/// [`Code::ClusterUnreachable`].
pub async fn absent_definitions(client: &Client, prepared: &Prepared) -> Result<Vec<Error>> {
    let definitions = definitions(prepared);
    let is_upgrade = !definitions.is_empty()
        && installed(client, &prepared.namespace, &prepared.name)
            .await?
            .is_some();
    if !is_upgrade {
        return Ok(vec![]);
    }
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut errors = vec![];
    for definition in definitions {
        let found = api.get_metadata_opt(&definition.name).await;
        let found = found.map_err(|e| unreachable(&e, "read the definitions of the cluster"))?;
        if found.is_none() {
            let message = format!(
                "CustomResourceDefinition `{}` is not on the cluster, and helm installs definitions only with the first \
                 revision of a release",
                definition.name
            );
            errors.push(told(
                Code::ChartKind,
                message,
                "create",
                prepared,
                definition,
            ));
        }
    }
    Ok(errors)
}

/// What to tell of each definition that the cluster has in another form. The API server says what the manifest's would
/// become there (a dry run); where it does not answer, or refuses, nothing is told.
pub async fn changed_definitions(client: &Client, prepared: &Prepared) -> Vec<Error> {
    let mut errors = vec![];
    for definition in definitions(prepared) {
        if is_changed(client, definition).await == Some(true) {
            let message = format!(
                "CustomResourceDefinition `{}` stays as the cluster has it, and the manifest is different: helm changes no \
                 definitions",
                definition.name
            );
            errors.push(told(
                Code::ReleaseConflict,
                message,
                "replace",
                prepared,
                definition,
            ));
        }
    }
    errors
}

fn definitions(prepared: &Prepared) -> &[CrdManifest] {
    let wrapped = prepared.chart.wrapped.as_ref();
    wrapped.map_or(&[], |wrapped| &wrapped.definitions)
}

fn told(
    code: Code,
    message: String,
    verb: &str,
    prepared: &Prepared,
    definition: &CrdManifest,
) -> Error {
    // The copy holds definitions alone; the user's file may hold more.
    let copy = prepared.chart.dir.join(&definition.copy);
    let command = on_cluster(format!("kubectl {verb} -f {}", quote(&copy)));
    Error::new(code, message)
        .at(&definition.file, definition.line)
        .hint(command)
}

async fn is_changed(client: &Client, definition: &CrdManifest) -> Option<bool> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let live = api.get_opt(&definition.name).await.ok()??;
    let mut wanted: Value = yaml::parse(&definition.text).ok()?;
    wanted["metadata"]["resourceVersion"] = live.metadata.resource_version.clone()?.into();
    let wanted: CustomResourceDefinition = serde_json::from_value(wanted).ok()?;
    let dry_run = PostParams {
        dry_run: true,
        field_manager: None,
    };
    let would_be = api
        .replace(&definition.name, &dry_run, &wanted)
        .await
        .ok()?;
    Some(would_be.spec != live.spec)
}
