//! What helm's words mean. helm 3 and 4 say the same in different ones; both are recorded in the tests.

use super::hooks::HookReport;
use super::refusal;
use super::{BUSY, apply_error, busy, says};
use crate::error::{Code, Error};
use crate::release::manifest::{Manifest, Rendered};
use crate::release::prepare::Prepared;
use crate::release::requirements;
use crate::release::written::Written;

/// helm's words for a hook that failed: on an install in v3 and v4, on an upgrade, and for a hook that was refused.
const HOOK_FAILED: [&str; 5] = [
    "failed pre-install",
    "failed post-install",
    "pre-upgrade hooks failed",
    "post-upgrade hooks failed",
    "warning: Hook ",
];

/// helm's error with its cause and a way out; secrets that it quotes are left out.
pub(super) async fn explain(
    error: Error,
    reports: &[HookReport],
    prepared: &Prepared,
    rendered: &Rendered,
    client: &kube::Client,
) -> Error {
    let evidence = error
        .evidence
        .iter()
        .map(|line| without_value(line))
        .collect();
    let error = Error { evidence, ..error };
    if error.code != Code::CommandFailed {
        return error;
    }
    if says(&error, BUSY) {
        return Error {
            evidence: error.evidence,
            ..busy(prepared, "an operation that began just now")
        };
    }
    if let Some(first) = refusal::refusals(&error).first() {
        return first.explain(error, prepared, rendered, client).await;
    }
    let text = error.evidence.join("\n");
    if let Some(manifest) = requirements::unmatched(&text, rendered) {
        let found = requirements::no_such_kind(prepared, rendered, manifest);
        return Error {
            evidence: error.evidence,
            ..found
        };
    }
    let has_failed_hook = HOOK_FAILED.iter().any(|words| says(&error, words));
    let error = apply_error(error, prepared);
    if !has_failed_hook {
        return error;
    }
    with_hooks(error, reports, prepared, rendered)
}

/// The hook's own words, which say more than helm's.
fn with_hooks(
    error: Error,
    reports: &[HookReport],
    prepared: &Prepared,
    rendered: &Rendered,
) -> Error {
    let Some(HookReport { hook, report }) = reports.last() else {
        return error;
    };
    let message = format!(
        "release `{}` cannot be installed: hook `{hook}` failed: {}",
        prepared.name, report.summary
    );
    let error = Error { message, ..error };
    let error = reports
        .iter()
        .fold(error, |error, HookReport { report, .. }| {
            error.evidence(report.text())
        })
        .hint("mend what the hook says; then `devk up`");
    let is_it = |manifest: &&Manifest| manifest.is_hook() && manifest.name() == Some(hook);
    match rendered.manifests.iter().find(is_it) {
        Some(manifest) => Written::new(prepared, rendered, manifest).locate(error, &["kind:"]),
        None => error,
    }
}

/// The API server quotes a value of the wrong type, and in a Secret that is the secret: `expected string, got
/// &value.valueUnstructured{Value:…}` (structured-merge-diff). It also quotes a value that cannot change, and in a pod
/// template that is the whole environment: `Invalid value: {…}: field is immutable`.
fn without_value(line: &str) -> String {
    const INVALID: &str = "Invalid value: ";
    if let Some((before, _)) = line.split_once("&value.valueUnstructured{") {
        return format!("{before}a value of another type");
    }
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once(INVALID) {
        let is_short = |value: &str| !value.contains(['{', '[']);
        let end = after
            .find(": field is immutable")
            .filter(|end| !is_short(&after[..*end]));
        text.push_str(before);
        text.push_str(INVALID);
        rest = match end {
            Some(end) => {
                text.push('…');
                &after[end..]
            }
            None => after,
        };
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::fake;
    use crate::release::crash::Report;
    use crate::release::prepare::fixture;

    const HOOK: &str = "apiVersion: batch/v1
kind: Job
metadata: {name: migrate, annotations: {helm.sh/hook: pre-install}}
";

    fn reports() -> [HookReport; 1] {
        [HookReport {
            hook: "migrate".into(),
            report: Report {
                summary: "container `m` of pod `migrate-1` ended with exit code 1".into(),
                lines: vec!["| cannot reach the billing database".into()],
            },
        }]
    }

    async fn explained(said: &str) -> Error {
        let failed = Error::new(Code::CommandFailed, "`helm` failed").evidence(said);
        let (client, _) = fake::client(serde_json::Value::Null);
        let prepared = fixture::prepared(std::path::Path::new("/p"));
        let rendered = Rendered::parse(HOOK).unwrap();
        explain(failed, &reports(), &prepared, &rendered, &client).await
    }

    #[tokio::test]
    async fn a_failed_hook_is_explained_by_its_own_words_whichever_helm_ran_it() {
        let three = "Error: failed pre-install: 1 error occurred:\n\t* job migrate failed: BackoffLimitExceeded";
        let four = "Error: failed pre-install: resource Job/shop/migrate not ready. status: Failed, message: Job \
                    Failed. failed: 1/1";
        let upgrade = "Error: UPGRADE FAILED: pre-upgrade hooks failed: resource Job/shop/migrate not ready. status: \
                       InProgress, message: Job in progress\ncontext deadline exceeded";
        for said in [three, four, upgrade] {
            let error = explained(said).await;
            assert_eq!(
                error.message,
                "release `shop` cannot be installed: hook `migrate` failed: container `m` of pod `migrate-1` ended with \
                 exit code 1"
            );
            let last_words = "  | cannot reach the billing database".to_owned();
            assert!(error.evidence.contains(&last_words), "{error:?}");
        }
    }

    #[tokio::test]
    async fn a_hook_that_recovered_is_not_blamed_for_another_failure() {
        let error = explained("Error: UPGRADE FAILED: timed out waiting for the condition").await;
        assert_eq!(
            error.message,
            "release `shop` cannot be installed: UPGRADE FAILED: timed out waiting for the condition"
        );
    }

    #[test]
    fn a_value_that_the_api_server_quotes_is_left_out() {
        let line = r#"Error: .stringData.set: expected string, got &value.valueUnstructured{Value:[]interface {}{"secret"}}"#;
        assert_eq!(
            without_value(line),
            "Error: .stringData.set: expected string, got a value of another type"
        );
        assert_eq!(without_value("Error: timed out"), "Error: timed out");
        let line = r#"Job.batch "a" is invalid: spec.template: Invalid value: {"env":[{"value":"secret: x"}]}: field is immutable && Service "b" is invalid: spec.clusterIP: Invalid value: "None": field is immutable"#;
        assert_eq!(
            without_value(line),
            r#"Job.batch "a" is invalid: spec.template: Invalid value: …: field is immutable && Service "b" is invalid: spec.clusterIP: Invalid value: "None": field is immutable"#
        );
    }
}
