//! Installing and removing releases with helm.
//!
//! v4 applies server-side: after anybody's `kubectl patch` an upgrade would conflict, so devk takes
//! the fields back (`--force-conflicts`). Release labels need 3.13: with an older helm every `up`
//! upgrades again, which is slower but correct.

mod claim;
mod explain;
mod hooks;
mod jobs;
mod refusal;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::helm::{Helm, Version};
use super::installed::{INPUTS, Installed, REVISION, forget, installed};
use super::manifest::Rendered;
use super::namespaces;
use super::post_renderer;
use super::prepare::Prepared;
use super::stray_helm;
use crate::error::{Code, Error, Result, on_cluster};
use crate::paths::{remove_file, write_atomic};
use crate::process::Cmd;
use crate::shell::quote;
use crate::ui::event::Step;
use hooks::{HookReport, HookWatch};
use refusal::Refusal;

/// helm's words for a release that is being worked on, in v3 and v4 alike.
const BUSY: &str = "another operation (install/upgrade/rollback) is in progress";
/// Where to install: the cluster that devk pinned.
#[derive(Clone, Copy)]
pub struct InstallTarget<'a> {
    pub client: &'a kube::Client,
    /// devk's private kubeconfig.
    pub kubeconfig: &'a Path,
    /// The project's state folder.
    pub state: &'a Path,
}

impl fmt::Debug for InstallTarget<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("kubeconfig", &self.kubeconfig)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// What devk is about to do, on disk while helm runs: the licence to clean up after a kill.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
struct Intent {
    revision: u32,
    inputs: String,
}

impl Helm {
    /// `helm upgrade --install` without waiting for workloads; hooks are waited for. The namespace
    /// must exist. Returns the revision. A revision that an earlier devk left pending, killed
    /// half-way, is cleaned up first; nobody else's is. A Job that Kubernetes cannot change is replaced if only images
    /// that devk built have changed in it, or where devk.yaml allows it, each once.
    ///
    /// # Errors
    /// [`Code::ReleaseBusy`] if another operation holds the release, [`Code::ChartKind`] and [`Code::ReleaseApply`] with
    /// helm's output, [`Code::ClusterUnreachable`].
    pub async fn apply(
        &self,
        prepared: &Prepared,
        rendered: &Rendered,
        target: &InstallTarget<'_>,
        step: &Step,
    ) -> Result<u32> {
        let version = self.version().await?;
        post_renderer::check(prepared, version)?;
        if version < Version::LABELS {
            step.progress("helm before 3.13 cannot label releases: every `devk up` will upgrade");
        }
        let mut replaced = BTreeSet::new();
        loop {
            let attempt = self.attempt(prepared, rendered, target, version, step);
            let (error, reports) = match attempt.await? {
                Ok(revision) => return Ok(revision),
                Err(failure) => failure,
            };
            let refusals = refusal::refusals(&error);
            let is_new = refusals
                .iter()
                .all(|refusal| replaced.insert(refusal.name.clone()));
            let may_replace = prepared.replace_jobs
                || are_rebuilt(&refusals, prepared, rendered, target.client).await;
            if !(is_new
                && may_replace
                && replace(&refusals, prepared, rendered, target, step).await?)
            {
                let explained =
                    explain::explain(error, &reports, prepared, rendered, target.client);
                return Err(explained.await);
            }
        }
    }

    /// One run of helm: the revision, or helm's error and what was seen of failing hooks.
    async fn attempt(
        &self,
        prepared: &Prepared,
        rendered: &Rendered,
        target: &InstallTarget<'_>,
        version: Version,
        step: &Step,
    ) -> Result<Result<u32, (Error, Vec<HookReport>)>> {
        let before = self.settled(prepared, target, step).await?;
        let revision = before.map_or(0, |found| found.revision) + 1;
        let intent = intent_file(target.state, &prepared.name);
        write_intent(
            &intent,
            &Intent {
                revision,
                inputs: prepared.inputs.clone(),
            },
        )?;
        let upgrade = self.upgrade(prepared, target, revision, version)?;
        let namespaces = namespaces::of(&prepared.namespace, [rendered]);
        let (result, reports) =
            HookWatch::during(target.client, &namespaces, step, upgrade.run()).await;
        // A helm that was killed may have left its revision pending; so may a devk that does not come to this line.
        if !matches!(&result, Err(error) if error.code == Code::CommandKilled) {
            remove_file(&intent)?;
        }
        Ok(match result {
            Ok(_) => Ok(revision),
            Err(error) => Err((error, reports)),
        })
    }

    /// Removes a release and all its objects; one that is not there is fine. What a killed devk left running
    /// is waited for first: it would go on installing.
    ///
    /// # Errors
    /// [`Code::ReleaseApply`] with helm's output.
    pub async fn uninstall(
        &self,
        release: &str,
        namespace: &str,
        target: &InstallTarget<'_>,
    ) -> Result<()> {
        if read_intent(&intent_file(target.state, release)).is_some() {
            // One that does not end finds that its release is gone.
            stray_helm::ended(target.state, release, || {}).await;
        }
        let cmd = self
            .cmd("uninstall")
            .arg(release)
            .args(["--namespace", namespace]);
        let result = cmd.arg("--kubeconfig").arg(target.kubeconfig).run().await;
        remove_file(&intent_file(target.state, release))?;
        match result {
            Ok(_) => Ok(()),
            Err(e) if says(&e, "release: not found") => Ok(()),
            Err(e) if e.code == Code::CommandFailed => Err(Error {
                code: Code::ReleaseApply,
                message: format!("release `{release}` cannot be removed"),
                ..e
            }),
            Err(e) => Err(e),
        }
    }

    fn upgrade(
        &self,
        prepared: &Prepared,
        target: &InstallTarget<'_>,
        revision: u32,
        version: Version,
    ) -> Result<Cmd> {
        let mut cmd = self
            .cmd("upgrade")
            .arg("--install")
            .arg(&prepared.name)
            .arg(&prepared.chart.dir)
            .args(["--namespace", &prepared.namespace])
            .arg("--kubeconfig")
            .arg(target.kubeconfig)
            .args(prepared.values_args())
            // Without it helm reuses the last values when there are none now.
            .arg("--reset-values")
            .args(["--timeout", &format!("{}s", prepared.timeout.as_secs())]);
        if version >= Version::LABELS {
            cmd = cmd.args([
                "--labels",
                &format!("{INPUTS}={},{REVISION}={revision}", prepared.inputs),
            ]);
        }
        if version >= Version::SERVER_SIDE {
            // `auto` stays client-side for releases of helm 3, where forcing is refused.
            cmd = cmd.args(["--server-side=true", "--force-conflicts"]);
        }
        post_renderer::add(cmd, prepared, version, target.state)
    }

    /// The installed revision, once no operation is under way.
    async fn settled(
        &self,
        prepared: &Prepared,
        target: &InstallTarget<'_>,
        step: &Step,
    ) -> Result<Option<Installed>> {
        let intent = read_intent(&intent_file(target.state, &prepared.name));
        let waiting =
            || step.progress("waiting for the helm that an interrupted devk left running");
        // It may not have come to its revision yet.
        if intent.is_some() && !stray_helm::ended(target.state, &prepared.name, waiting).await {
            return Err(busy(
                prepared,
                "the helm that an interrupted devk left running",
            ));
        }
        let find = || installed(target.client, &prepared.namespace, &prepared.name);
        let found = find().await?;
        let Some(pending) = found.as_ref().filter(|found| found.is_pending()) else {
            return Ok(found);
        };
        if !intent.is_some_and(|intent| is_ours(pending, &intent)) {
            return Err(busy(prepared, &pending.status));
        }
        step.progress(format!(
            "cleaning up revision {}, which was interrupted",
            pending.revision
        ));
        forget(target.client, &prepared.namespace, pending).await?;
        find().await
    }
}

/// Whether each of these refusals is of a Job whose image devk has built anew. Another run of it is what a save asks for.
async fn are_rebuilt(
    refusals: &[Refusal],
    prepared: &Prepared,
    rendered: &Rendered,
    client: &kube::Client,
) -> bool {
    let looks = refusals
        .iter()
        .map(|refusal| refusal.is_rebuilt_job(prepared, rendered, client));
    let looks = futures::future::join_all(looks).await;
    !looks.is_empty() && looks.into_iter().all(|is_rebuilt| is_rebuilt)
}

/// Whether each of these refusals was of a Job that is gone now, so that it can be made anew.
async fn replace(
    refusals: &[Refusal],
    prepared: &Prepared,
    rendered: &Rendered,
    target: &InstallTarget<'_>,
    step: &Step,
) -> Result<bool> {
    // Nothing is removed if the upgrade would fail all the same.
    let are_jobs = refusals.iter().all(|refusal| refusal.is_job(rendered));
    if refusals.is_empty() || !are_jobs {
        return Ok(false);
    }
    for refusal in refusals {
        if !jobs::replace(refusal, target.client, prepared, rendered, step).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn apply_error(error: Error, prepared: &Prepared) -> Error {
    let cause = error
        .evidence
        .iter()
        .rev()
        .find_map(|line| line.strip_prefix("Error: "))
        .unwrap_or("helm failed");
    let message = format!("release `{}` cannot be installed: {cause}", prepared.name);
    let (code, hint) = if says(&error, "Kubernetes cluster unreachable") {
        (Code::ClusterUnreachable, "devk doctor".to_owned())
    } else if let Some((owner, namespace)) = other_owner(&error, prepared) {
        let uninstall = on_cluster(format!(
            "helm uninstall {} --namespace {}",
            quote(owner),
            quote(namespace)
        ));
        (
            Code::ReleaseApply,
            format!(
                "release `{owner}` in namespace `{namespace}` has that object: give it another name, or {uninstall}"
            ),
        )
    } else {
        let status = format!(
            "helm status {} --namespace {}",
            prepared.name, prepared.namespace
        );
        (Code::ReleaseApply, on_cluster(status))
    };
    Error {
        code,
        message,
        ..error
    }
    .hint(hint)
    .at(&prepared.origin.file, prepared.origin.line)
}

/// The release that has the object, and its namespace, in helm's words: `… key "meta.helm.sh/release-name" must equal
/// "b": current value is "a"`, and the same for the namespace. What helm does not name is as for this release.
fn other_owner<'a>(error: &'a Error, own: &'a Prepared) -> Option<(&'a str, &'a str)> {
    let current = |key: &str| {
        let key = format!("key \"meta.helm.sh/{key}\" must equal");
        let mut lines = error.evidence.iter();
        let after = lines.find_map(|line| line.split_once(&key))?.1;
        let value = after.split_once("current value is \"")?.1;
        value.split('"').next()
    };
    match (current("release-name"), current("release-namespace")) {
        (None, None) => None,
        (name, namespace) => Some((
            name.unwrap_or(&own.name),
            namespace.unwrap_or(&own.namespace),
        )),
    }
}

fn busy(prepared: &Prepared, status: &str) -> Error {
    let Prepared {
        name, namespace, ..
    } = prepared;
    let rollback = on_cluster(format!("helm rollback {name} --namespace {namespace}"));
    Error::new(
        Code::ReleaseBusy,
        format!("release `{name}` is held by another helm operation ({status})"),
    )
    .hint(format!("wait for it; if nothing runs any more: {rollback}"))
    .at(&prepared.origin.file, prepared.origin.line)
}

/// The labels tell (they are there from helm 3.13 on), else the revision alone.
fn is_ours(pending: &Installed, intent: &Intent) -> bool {
    pending.revision == intent.revision
        && pending
            .inputs
            .as_ref()
            .is_none_or(|inputs| *inputs == intent.inputs)
}

fn says(error: &Error, words: &str) -> bool {
    error.evidence.iter().any(|line| line.contains(words))
}

fn intent_file(state: &Path, release: &str) -> PathBuf {
    state.join(format!("helm-{release}.json"))
}

fn write_intent(file: &Path, intent: &Intent) -> Result<()> {
    let text = serde_json::to_vec(intent).map_err(|e| Error::new(Code::StateIo, e.to_string()))?;
    write_atomic(file, &text, 0o600)
}

/// A file that is missing or damaged is no licence.
fn read_intent(file: &Path) -> Option<Intent> {
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::super::prepare::fixture;
    use super::*;

    async fn command(version: Version) -> String {
        let dir = Path::new("/p");
        let mut prepared = fixture::prepared(dir);
        prepared.values = vec!["/s/0.yaml".into(), "/s/devk.yaml".into()];
        let client =
            kube::Client::try_from(kube::Config::new("http://127.0.0.1:1".parse().unwrap()))
                .unwrap();
        let target = InstallTarget {
            client: &client,
            kubeconfig: Path::new("/s/kc"),
            state: Path::new("/s"),
        };
        Helm::at("helm")
            .upgrade(&prepared, &target, 4, version)
            .unwrap()
            .pasteable()
    }

    #[tokio::test]
    async fn helm_4_takes_fields_back_and_labels_the_revision() {
        let zeros = "0".repeat(40);
        assert_eq!(
            command(Version(4, 3)).await,
            format!(
                "helm upgrade --install shop /p/chart --namespace shop --kubeconfig /s/kc -f /s/0.yaml -f /s/devk.yaml \
                 --reset-values --timeout 60s --labels devk-inputs={zeros},devk-revision=4 --server-side=true --force-conflicts"
            )
        );
    }

    #[tokio::test]
    async fn helm_3_knows_no_server_side_and_before_3_13_no_labels() {
        assert!(command(Version(3, 13)).await.ends_with("devk-revision=4"));
        assert!(command(Version(3, 12)).await.ends_with("--timeout 60s"));
    }

    #[test]
    fn an_intent_survives_on_disk_and_a_damaged_one_is_no_licence() {
        let dir = tempfile::tempdir().unwrap();
        let file = intent_file(dir.path(), "shop");
        let intent = Intent {
            revision: 3,
            inputs: "abc".into(),
        };
        write_intent(&file, &intent).unwrap();
        assert_eq!(read_intent(&file), Some(intent));
        std::fs::write(&file, "{").unwrap();
        assert_eq!(read_intent(&file), None);
    }

    #[test]
    fn an_object_of_another_release_names_that_one() {
        let said = "Error: unable to continue with install: Service \"web\" in namespace \"shop\" exists and cannot be \
                    imported into the current release: invalid ownership metadata; annotation validation error: key \
                    \"meta.helm.sh/release-name\" must equal \"new\": current value is \"old\"";
        let failed = Error::new(Code::CommandFailed, "`helm` failed").evidence(said);
        let error = apply_error(failed, &fixture::prepared(Path::new("/p")));
        let hint = error.hint.unwrap();
        assert!(
            hint.contains("helm uninstall old --namespace shop"),
            "{hint}"
        );
    }

    #[test]
    fn an_object_of_a_release_of_the_same_name_names_the_namespace_of_that_one() {
        let said = "Error: unable to continue with install: ClusterRole \"reader\" in namespace \"\" exists and cannot be \
                    imported into the current release: invalid ownership metadata; annotation validation error: key \
                    \"meta.helm.sh/release-namespace\" must equal \"shop\": current value is \"roles\"";
        let failed = Error::new(Code::CommandFailed, "`helm` failed").evidence(said);
        let error = apply_error(failed, &fixture::prepared(Path::new("/p")));
        let hint = error.hint.unwrap();
        assert!(
            hint.starts_with("release `shop` in namespace `roles` has that object"),
            "{hint}"
        );
    }

    #[test]
    fn every_hint_of_a_command_leads_to_the_cluster_that_devk_pinned() {
        let prepared = fixture::prepared(Path::new("/p"));
        let failed = |said: &str| {
            apply_error(
                Error::new(Code::CommandFailed, "").evidence(said),
                &prepared,
            )
        };
        let errors = [
            failed("Error: timed out"),
            failed(
                "key \"meta.helm.sh/release-name\" must equal \"new\": current value is \"old\"",
            ),
            busy(&prepared, "pending-upgrade"),
        ];
        for hint in errors.into_iter().filter_map(|error| error.hint) {
            assert!(
                hint.contains(" --namespace shop --kubeconfig \"$(devk kubeconfig)\""),
                "{hint}"
            );
        }
    }
}
