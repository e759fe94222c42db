//! What an upgrade does to what runs: new pods for new configuration, pods that may go, fields that cannot change.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::rule::rules;
use super::super::seen::{Sightings, escaped};
use super::super::view::{ChartObject, ChartView, PodView, RenderingView, list, selects, texts};
use super::scaling::least_replicas;

rules! { Operational;
    "upgrade.checksum" Low, Upkeep 2, On, Rendering(checksum):
        "a change of the ConfigMap or Secret reaches no pod: they read it at their start, and an upgrade starts none",
        "annotate the pods with `checksum/config: {{ include (print $.Template.BasePath \"/config.yaml\") . | sha256sum }}`, with the name of the template that has it for `config.yaml`",
        "helm, \"Chart Development Tips and Tricks\": Automatically Roll Deployments";
    "upgrade.selector-label" High, Foundation 5, On, Rendering(selector_label):
        "a selector cannot change, and the label does with each version of the chart: the next upgrade fails",
        "leave the label out of the selector",
        "helm, \"Best Practices\": Labels and Annotations; Kubernetes, \"Deployments\": Label selector updates";
    "upgrade.job-name" Medium, Foundation 3, On, Rendering(job_name):
        "the pods of a Job cannot change: the next upgrade with another image or variable fails",
        "put `{{ .Release.Revision }}` into the name, make it a hook, or set `replaceJobs: true` in devk.yaml",
        "Kubernetes, \"Jobs\"; helm, \"Chart Hooks\"";
    "upgrade.random" Medium, Foundation 3, Off, Chart(random):
        "the template makes another secret or certificate at each upgrade, and what has the old one fails",
        "keep the one that is there with `lookup`, or take it from a value",
        "helm, \"Chart Development Tips and Tricks\"; helm, \"Template Function List\": Cryptographic";
    "upgrade.budget" Low, Upkeep 3, On, Rendering(budget):
        "an upgrade of nodes may end all replicas at once",
        "add a PodDisruptionBudget with `maxUnavailable: 1`",
        "Kubernetes, \"Specifying a Disruption Budget\"";
    "upgrade.blocking-budget" Medium, Foundation 3, Off, Rendering(blocking_budget):
        "the disruption budget never lets a pod go, so no node can be drained",
        "`maxUnavailable: 1`, or a `minAvailable` below the count of replicas",
        "Kubernetes, \"Specifying a Disruption Budget\"";
    "upgrade.grace-period" Low, Upkeep 1, Off, Rendering(grace_period):
        "with a grace period of 0 the program is killed at once and loses what it was at",
        "leave `terminationGracePeriodSeconds` out, or set the time that the program needs to end",
        "Kubernetes, \"Pod Lifecycle\": Termination of Pods";
    "upgrade.recreate" Low, Upkeep 1, Off, Rendering(recreate):
        "each upgrade ends every replica before the first new one starts",
        "`strategy: {type: RollingUpdate}`",
        "Kubernetes, \"Deployments\": Strategy";
    "upgrade.hook-deadline" Low, Upkeep 1, Off, Rendering(hook_deadline):
        "a hook that hangs keeps the upgrade waiting until helm gives up",
        "set `activeDeadlineSeconds` of the Job",
        "helm, \"Chart Hooks\"; Kubernetes, \"Jobs\": Job termination and cleanup";
    "upgrade.hook-history" Low, Upkeep 0, Off, Rendering(hook_history):
        "without a delete policy a hook that has succeeded stays, and so do its pods",
        "annotate it with `helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded`",
        "helm, \"Chart Hooks\": Hook deletion policies";
    "upgrade.cron-overlap" Low, Upkeep 0, Off, Rendering(cron_overlap):
        "a run that takes longer than the interval runs beside the next one",
        "set `concurrencyPolicy: Forbid` or `Replace`",
        "Kubernetes, \"CronJob\": Concurrency policy";
    "upgrade.priority" Low, Upkeep 0, Off, Rendering(priority):
        "in a full cluster the pods are as likely to go as any others",
        "set `priorityClassName`",
        "Kubernetes, \"Pod Priority and Preemption\"";
}

/// The ConfigMaps and Secrets of the chart that a pod reads at its start only: as variables, or a single file of them.
fn read_at_start<'a>(pod: &PodView<'a>) -> BTreeSet<(&'static str, &'a str)> {
    let mut found = BTreeSet::new();
    for container in &pod.containers {
        for source in list(&container.json["envFrom"]) {
            found.extend(
                source["configMapRef"]["name"]
                    .as_str()
                    .map(|name| ("ConfigMap", name)),
            );
            found.extend(
                source["secretRef"]["name"]
                    .as_str()
                    .map(|name| ("Secret", name)),
            );
        }
        for variable in list(&container.json["env"]) {
            let from = &variable["valueFrom"];
            found.extend(
                from["configMapKeyRef"]["name"]
                    .as_str()
                    .map(|name| ("ConfigMap", name)),
            );
            found.extend(
                from["secretKeyRef"]["name"]
                    .as_str()
                    .map(|name| ("Secret", name)),
            );
        }
    }
    for volume in list(&pod.spec["volumes"]) {
        found.extend(
            volume["configMap"]["name"]
                .as_str()
                .map(|name| ("ConfigMap", name)),
        );
    }
    found
}

fn checksum(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, pod) in view.services() {
        let annotations = pod.annotations();
        let has_sum = annotations
            .keys()
            .any(|key| key.contains("checksum") || key.contains("hash"));
        let own = texts(&object.json["metadata"]["annotations"]);
        let has_reloader = own.keys().any(|key| key.contains("reloader"));
        let of_chart = read_at_start(pod);
        let mut of_chart = of_chart
            .iter()
            .filter(|(kind, name)| view.has(kind, object.namespace, name));
        if let Some((kind, name)) = of_chart.next().filter(|_| !(has_sum || has_reloader)) {
            let path = format!("{}/metadata", pod.path);
            let message = format!("a change of the {kind} `{name}` starts no new pods");
            seen.governed(object, &path, &["podAnnotations"], message);
        }
    }
}

fn selector_label(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, _) in view.services() {
        for key in texts(&object.spec()["selector"]["matchLabels"]).keys() {
            if matches!(
                *key,
                "helm.sh/chart" | "app.kubernetes.io/version" | "chart" | "version"
            ) {
                let path = format!("/spec/selector/matchLabels/{}", escaped(key));
                seen.object(object, &path, format!("the selector has the label `{key}`"));
            }
        }
    }
}

fn job_name(view: &RenderingView<'_>, seen: &mut Sightings) {
    for job in view.of_kind("Job").filter(|_| !view.replaces_jobs) {
        // `name-1`, `name-1f3a`: the revision, or a hash of what is in it.
        let last = job.name.rsplit('-').next().unwrap_or_default();
        let is_numbered = last != job.name && last.chars().any(|c| c.is_ascii_digit());
        if !is_numbered && !job.name.is_empty() {
            seen.object(
                job,
                "/metadata/name",
                "the Job keeps its name over upgrades",
            );
        }
    }
}

fn random(view: &ChartView<'_>, seen: &mut Sightings) {
    const MAKERS: [&str; 8] = [
        "randAlphaNum ",
        "randAlpha ",
        "randAscii ",
        "randBytes ",
        "genCA ",
        "genSelfSignedCert ",
        "genPrivateKey ",
        "uuidv4",
    ];
    for (path, text) in view.facts.own_templates() {
        // Who looks the old one up has thought of it.
        if text.contains("lookup ") {
            continue;
        }
        for (at, line) in text.lines().enumerate() {
            if let Some(maker) = MAKERS
                .iter()
                .find(|maker| line.contains("{{") && line.contains(**maker))
            {
                let message = format!("`{}` makes another one at each upgrade", maker.trim());
                seen.file(path.to_string_lossy(), u32::try_from(at + 1).ok(), message);
            }
        }
    }
}

/// The budgets that select the pods of a workload.
fn budgets<'v, 'a>(
    view: &'v RenderingView<'a>,
    object: &ChartObject<'_>,
    pod: &PodView<'_>,
) -> Vec<&'v ChartObject<'a>> {
    let labels = pod.labels();
    let budgets = view.of_kind("PodDisruptionBudget").filter(|budget| {
        budget.namespace == object.namespace
            && selects(&texts(&budget.spec()["selector"]["matchLabels"]), &labels)
    });
    budgets.collect()
}

fn budget(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, pod) in view.services() {
        let is_several = least_replicas(view, object).is_some_and(|count| count > 1);
        if is_several && budgets(view, object, pod).is_empty() {
            let values = &["podDisruptionBudget", "pdb"];
            let message = "no disruption budget protects the replicas";
            seen.governed(object, "/spec", values, message);
        }
    }
}

fn blocking_budget(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, pod) in view.services() {
        let Some(replicas) = least_replicas(view, object) else {
            continue;
        };
        for budget in budgets(view, object, pod) {
            let (least, gone) = (
                &budget.spec()["minAvailable"],
                &budget.spec()["maxUnavailable"],
            );
            let is_blocking = least.as_u64().is_some_and(|least| least >= replicas)
                || *least == "100%"
                || gone.as_u64() == Some(0)
                || *gone == "0%";
            if is_blocking {
                seen.object(budget, "/spec", "the budget lets no pod go");
            }
        }
    }
}

fn grace_period(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, pod) in view.services() {
        if pod.spec["terminationGracePeriodSeconds"].as_u64() == Some(0) {
            let path = pod.at("/terminationGracePeriodSeconds");
            let values = &["terminationGracePeriodSeconds"];
            seen.governed(object, &path, values, "the grace period is 0");
        }
    }
}

fn recreate(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, pod) in view.services() {
        let is_several = least_replicas(view, object).is_some_and(|count| count > 1);
        let has_claims = list(&pod.spec["volumes"])
            .iter()
            .any(|volume| volume["persistentVolumeClaim"].is_object());
        if is_several && !has_claims && object.spec()["strategy"]["type"] == "Recreate" {
            let message = "each upgrade ends every replica at once";
            seen.governed(object, "/spec/strategy/type", &["strategy"], message);
        }
    }
}

fn hook_jobs<'v, 'a>(view: &'v RenderingView<'a>) -> impl Iterator<Item = &'v ChartObject<'a>> {
    view.pods()
        .map(|(object, _)| object)
        .filter(|object| !object.is_installed() && object.kind == "Job")
}

fn hook_deadline(view: &RenderingView<'_>, seen: &mut Sightings) {
    for job in hook_jobs(view) {
        if job.spec()["activeDeadlineSeconds"].is_null() {
            seen.object(job, "/spec", "the hook may hang for ever");
        }
    }
}

fn hook_history(view: &RenderingView<'_>, seen: &mut Sightings) {
    for job in hook_jobs(view) {
        if job.annotation("helm.sh/hook-delete-policy").is_none() {
            seen.object(
                job,
                "/metadata/annotations",
                "the hook has no delete policy",
            );
        }
    }
}

fn cron_overlap(view: &RenderingView<'_>, seen: &mut Sightings) {
    for job in view.of_kind("CronJob") {
        let policy = job.spec()["concurrencyPolicy"].as_str();
        if matches!(policy, None | Some("Allow")) {
            let values = &["concurrencyPolicy"];
            seen.governed(job, "/spec", values, "runs of the CronJob may overlap");
        }
    }
}

fn priority(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, pod) in view.services() {
        if pod.spec["priorityClassName"] == Value::Null {
            let values = &["priorityClassName"];
            seen.governed(
                object,
                &pod.at(""),
                values,
                "the pods have no priority class",
            );
        }
    }
}
