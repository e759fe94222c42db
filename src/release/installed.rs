//! What helm has installed, in one GET of metadata: is it what devk would install?

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{Api, ListParams};

use crate::cluster::client::deletion_of;
use crate::config::Project;
use crate::error::{Code, Error, Result};

/// The label with the hash of a release's inputs.
pub(super) const INPUTS: &str = "devk-inputs";
/// The label with the revision that devk made. An upgrade by hand inherits labels but counts on, so
/// the two revisions differ.
pub(super) const REVISION: &str = "devk-revision";

/// helm's note of the release that an object belongs to.
pub const RELEASE_ANNOTATION: &str = "meta.helm.sh/release-name";

/// The newest revision of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    pub revision: u32,
    /// helm's word: `deployed`, `failed`, `pending-upgrade`, …
    pub status: String,
    /// The hash of the inputs, if devk made this very revision.
    pub inputs: Option<String>,
    secret: String,
    uid: Option<String>,
}

impl Installed {
    /// True if devk installed these inputs and nothing has happened to the release since.
    pub fn is_current(&self, inputs: &str) -> bool {
        self.status == "deployed" && self.inputs.as_deref() == Some(inputs)
    }

    /// The Secret that holds helm's record.
    pub(super) fn secret(&self) -> &str {
        &self.secret
    }

    /// True while a helm operation runs, or was killed.
    pub fn is_pending(&self) -> bool {
        self.status.starts_with("pending-")
    }

    fn read(secret: &impl ResourceExt) -> Option<Self> {
        let label = |key: &str| secret.labels().get(key);
        let revision = label("version")?.parse().ok()?;
        let ours = label(REVISION).and_then(|text| text.parse::<u32>().ok()) == Some(revision);
        Some(Self {
            revision,
            status: label("status")?.clone(),
            inputs: label(INPUTS).filter(|_| ours).cloned(),
            secret: secret.name_any(),
            uid: secret.uid(),
        })
    }
}

/// Releases that devk made for this project and devk.yaml does not name any more, sorted.
///
/// # Errors
/// As [`installed`].
pub async fn orphaned_releases(
    client: &kube::Client,
    project: &Project,
) -> Result<BTreeSet<String>> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &project.id);
    let ours = ListParams::default().labels(&format!("owner=helm,{INPUTS}"));
    let list = secrets
        .list_metadata(&ours)
        .await
        .map_err(|e| unreachable(&e, "read the installed releases"))?;
    let names = list
        .items
        .iter()
        .filter_map(|secret| secret.labels().get("name"));
    Ok(names
        .filter(|name| {
            project
                .releases
                .iter()
                .all(|release| release.name != **name)
        })
        .cloned()
        .collect())
}

/// The newest revision of every release in a namespace.
///
/// # Errors
/// As [`installed`].
pub async fn releases(client: &kube::Client, namespace: &str) -> Result<Vec<Installed>> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let list = secrets
        .list_metadata(&ListParams::default().labels("owner=helm"))
        .await
        .map_err(|e| unreachable(&e, "read the installed releases"))?;
    let mut newest = BTreeMap::<String, Installed>::new();
    for secret in &list.items {
        let Some((name, found)) = secret.labels().get("name").zip(Installed::read(secret)) else {
            continue;
        };
        let known = newest.get(name).map_or(0, |known| known.revision);
        if found.revision > known {
            newest.insert(name.clone(), found);
        }
    }
    Ok(newest.into_values().collect())
}

/// The newest revision, or None if the release is not installed.
///
/// # Errors
/// [`Code::ClusterUnreachable`] if the API server does not answer or refuses.
pub async fn installed(
    client: &kube::Client,
    namespace: &str,
    release: &str,
) -> Result<Option<Installed>> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let ours = ListParams::default().labels(&format!("owner=helm,name={release}"));
    let list = secrets
        .list_metadata(&ours)
        .await
        .map_err(|e| unreachable(&e, "read the installed releases"))?;
    Ok(list
        .items
        .iter()
        .filter_map(Installed::read)
        .max_by_key(|found| found.revision))
}

/// Removes the record of a revision that a killed helm left pending. No object of the release is
/// touched: the next upgrade starts from the last deployed revision, as after any failed upgrade,
/// and adopts what the killed one created (it carries helm's ownership annotations). A rollback
/// would run hooks; an uninstall would delete the volumes that stand in the chart's templates.
pub(super) async fn forget(
    client: &kube::Client,
    namespace: &str,
    pending: &Installed,
) -> Result<()> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let how = deletion_of(pending.uid.clone());
    match secrets.delete(&pending.secret, &how).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(e) => Err(unreachable(&e, "remove the interrupted revision")),
    }
}

/// The API server did not answer.
pub fn unreachable(cause: &kube::Error, what: &str) -> Error {
    Error::new(Code::ClusterUnreachable, format!("cannot {what}: {cause}")).hint("devk doctor")
}

#[cfg(test)]
mod tests {
    use kube::core::{ObjectMeta, PartialObjectMeta, PartialObjectMetaExt};

    use super::*;

    fn secret(labels: &[(&str, &str)]) -> PartialObjectMeta<Secret> {
        let labels = labels
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        ObjectMeta {
            name: Some("s".into()),
            labels: Some(labels),
            ..ObjectMeta::default()
        }
        .into_response_partial()
    }

    fn read(labels: &[(&str, &str)]) -> Installed {
        Installed::read(&secret(labels)).unwrap()
    }

    #[test]
    fn what_devk_installed_is_current_for_the_same_inputs() {
        let ours = read(&[
            ("version", "3"),
            ("status", "deployed"),
            (INPUTS, "abc"),
            (REVISION, "3"),
        ]);
        assert!(ours.is_current("abc"));
        assert!(!ours.is_current("def"));
    }

    #[test]
    fn an_upgrade_by_hand_inherits_labels_and_is_not_current() {
        assert!(
            !read(&[
                ("version", "4"),
                ("status", "deployed"),
                (INPUTS, "abc"),
                (REVISION, "3")
            ])
            .is_current("abc")
        );
    }

    #[test]
    fn a_failed_or_pending_revision_is_not_current() {
        for status in ["failed", "pending-upgrade"] {
            assert!(
                !read(&[
                    ("version", "3"),
                    ("status", status),
                    (INPUTS, "abc"),
                    (REVISION, "3")
                ])
                .is_current("abc")
            );
        }
    }
}
