//! What people need who run the chart: labels, documentation, backup.

use serde_json::Value;

use super::super::rule::rules;
use super::super::seen::Sightings;
use super::super::view::{ChartObject, ChartView, RenderingView, list, texts};

rules! { Operational;
    "labels.standard" Low, Upkeep 2, On, Rendering(standard_labels):
        "dashboards and tools find what belongs together by the labels that all charts have",
        "add `app.kubernetes.io/name`, `app.kubernetes.io/instance` and `helm.sh/chart` to every workload",
        "Kubernetes, \"Recommended Labels\"; helm, \"Best Practices\": Labels and Annotations";
    "labels.managed-by" Low, Upkeep 0, Off, Rendering(managed_by):
        "nobody sees at the object that helm will overwrite a change by hand",
        "add `app.kubernetes.io/managed-by: {{ .Release.Service }}`",
        "helm, \"Best Practices\": Labels and Annotations";
    "docs.readme" Low, Upkeep 3, On, Chart(readme):
        "nobody learns what the chart installs, and which values it takes",
        "add a README.md",
        "helm, \"Charts\": The Chart File Structure";
    "docs.notes" Low, Upkeep 2, On, Chart(notes):
        "after the installation nobody is told how to reach what was installed",
        "add templates/NOTES.txt",
        "helm, \"Creating a NOTES.txt File\"";
    "docs.description" Low, Upkeep 1, Off, Chart(description):
        "Chart.yaml does not say what the chart is for",
        "add `description`",
        "helm, \"Charts\": The Chart.yaml File";
    "docs.app-version" Low, Upkeep 1, Off, Chart(app_version):
        "Chart.yaml does not say which version of the program the chart installs",
        "add `appVersion`",
        "helm, \"Charts\": The appVersion Field";
    "data.backup" Low, Upkeep 3, On, Chart(backup):
        "nothing of the chart backs its data up, or says which backup does",
        "annotate the pods for your backup (`backup.velero.io/backup-volumes`), or add a CronJob or a VolumeSnapshot behind `backup.enabled`",
        "Velero, \"File System Backup\"; Kubernetes, \"Volume Snapshots\"";
}

const WITH_LABELS: [&str; 5] = ["Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job"];

fn standard_labels(view: &RenderingView<'_>, seen: &mut Sightings) {
    const STANDARD: [&str; 3] = [
        "app.kubernetes.io/name",
        "app.kubernetes.io/instance",
        "helm.sh/chart",
    ];
    for object in view.installed().filter(|o| WITH_LABELS.contains(&o.kind)) {
        let labels = texts(&object.json["metadata"]["labels"]);
        let missing = STANDARD.iter().filter(|key| !labels.contains_key(**key));
        let missing: Vec<_> = missing.map(|key| format!("`{key}`")).collect();
        if !missing.is_empty() {
            let message = format!("the label {} is missing", missing.join(", "));
            seen.object(object, "/metadata/labels", message);
        }
    }
}

fn managed_by(view: &RenderingView<'_>, seen: &mut Sightings) {
    for object in view.installed().filter(|o| WITH_LABELS.contains(&o.kind)) {
        let labels = texts(&object.json["metadata"]["labels"]);
        if !labels.contains_key("app.kubernetes.io/managed-by") {
            let message = "the label `app.kubernetes.io/managed-by` is missing";
            seen.object(object, "/metadata/labels", message);
        }
    }
}

/// The chart installs something that people use: it is no library, and not only definitions.
fn installs(view: &ChartView<'_>) -> bool {
    let facts = view.facts;
    facts.has_files()
        && !facts.is_library()
        && view
            .judged()
            .any(|rendering| rendering.installed().next().is_some())
}

fn readme(view: &ChartView<'_>, seen: &mut Sightings) {
    let is_there = view.facts.files.iter().any(|file| {
        let name = file.path.to_string_lossy().to_lowercase();
        name.starts_with("readme")
    });
    if installs(view) && !is_there {
        seen.chart("the chart has no README.md");
    }
}

fn notes(view: &ChartView<'_>, seen: &mut Sightings) {
    if installs(view) && view.facts.text("templates/NOTES.txt").is_none() {
        seen.chart("the chart has no templates/NOTES.txt");
    }
}

fn description(view: &ChartView<'_>, seen: &mut Sightings) {
    missing_field(view, "description", seen);
}

fn app_version(view: &ChartView<'_>, seen: &mut Sightings) {
    if installs(view) {
        missing_field(view, "appVersion", seen);
    }
}

pub(in crate::check) fn missing_field(view: &ChartView<'_>, field: &str, seen: &mut Sightings) {
    if view.facts.has_files() && view.facts.metadata[field].is_null() {
        seen.file("Chart.yaml", 1, format!("`{field}` is missing"));
    }
}

/// Whether an object is about a backup: by its kind, its name, or its annotations.
fn is_backup(object: &ChartObject<'_>) -> bool {
    let by_kind = [
        "VolumeSnapshot",
        "Schedule",
        "BackupSchedule",
        "ScheduledBackup",
        "ReplicationSource",
    ];
    let says = |annotations: &Value| {
        texts(annotations)
            .keys()
            .any(|key| key.to_lowercase().contains("backup") || key.contains("velero.io"))
    };
    let of_pod = object
        .pod
        .as_ref()
        .map(|pod| &pod.template["metadata"]["annotations"]);
    by_kind.contains(&object.kind)
        || (object.kind == "CronJob" && object.name.contains("backup"))
        || says(&object.json["metadata"]["annotations"])
        || of_pod.is_some_and(says)
}

/// The first object with a claim that the release makes.
fn first_claim<'v, 'a>(view: &'v RenderingView<'a>) -> Option<(&'v ChartObject<'a>, &'static str)> {
    view.installed().find_map(|object| match object.kind {
        "PersistentVolumeClaim" => Some((object, "/spec")),
        "StatefulSet" if !list(&object.spec()["volumeClaimTemplates"]).is_empty() => {
            Some((object, "/spec/volumeClaimTemplates"))
        }
        _ => None,
    })
}

fn has_backup(view: &ChartView<'_>) -> bool {
    view.renderings
        .iter()
        .any(|rendering| rendering.objects.iter().any(is_backup))
}

pub(in crate::check) fn backup(view: &ChartView<'_>, seen: &mut Sightings) {
    if has_backup(view) {
        return;
    }
    if let Some((object, path)) = view.judged().find_map(first_claim) {
        let values = &["podAnnotations", "backup"];
        seen.governed(
            object,
            path,
            values,
            "nothing backs up the data of the claim",
        );
    }
}
