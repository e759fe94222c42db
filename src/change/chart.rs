//! Objects that a chart of the project made: a change of such an object by hand is drift, which the next upgrade may
//! take back, so the change of a value is offered first. The value is looked for in the template that helm has recorded.

use serde::Serialize;
use serde_json::Value;

use super::plan::{ChangeAction, ChangeStep, ObjectName};
use crate::cluster::sleep::RELEASE_NAMESPACE_ANNOTATION;
use crate::config::{Project, ReleaseSource};
use crate::error::Result;
use crate::release::installed::{RELEASE_ANNOTATION, installed};
use crate::release::record::RecordedRelease;
use crate::release::template::line_of;
use crate::release::written::references;

/// Where an object comes from, and what to change there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChartOrigin {
    pub release: String,
    /// What devk.yaml names as the release's source, from the folder of devk.yaml: a chart, manifests, a kustomization.
    pub source: String,
    /// The template in the chart; None if helm's record does not tell.
    pub template: Option<String>,
    /// Its line, from 1.
    pub line: Option<u32>,
    /// The values that the line takes, `api.replicas`; empty if none was found.
    pub values: Vec<String>,
}

/// The release that helm's notes on an object name, if the object is of this namespace's release.
fn release(live: &Value, project: &str) -> Option<String> {
    let notes = &live["metadata"]["annotations"];
    let namespace = notes[RELEASE_NAMESPACE_ANNOTATION].as_str();
    let release = notes[RELEASE_ANNOTATION].as_str()?;
    (namespace == Some(project)).then(|| release.to_owned())
}

/// Where an object comes from; None if no release of the project made it.
///
/// # Errors
/// As [`installed`].
pub(super) async fn origin(
    client: &kube::Client,
    project: &Project,
    step: &ChangeStep,
    target: &ObjectName,
    live: &Value,
) -> Result<Option<ChartOrigin>> {
    let Some(release) = release(live, &project.id) else {
        return Ok(None);
    };
    let mut origin = ChartOrigin {
        source: source(project, &release),
        release,
        template: None,
        line: None,
        values: vec![],
    };
    if let Some(found) = installed(client, &project.id, &origin.release).await?
        && let Some(recorded) = found.recorded(client, &project.id).await?
    {
        locate(&mut origin, &recorded, &project.id, step, target);
    }
    Ok(Some(origin))
}

fn source(project: &Project, release: &str) -> String {
    let found = project.releases.iter().find(|found| found.name == release);
    let Some(found) = found else {
        return "(no release of devk.yaml)".to_owned();
    };
    let near = |path: &std::path::Path| {
        let near = path.strip_prefix(&project.root).unwrap_or(path);
        near.display().to_string()
    };
    match &found.source {
        ReleaseSource::Chart(folder) | ReleaseSource::Kustomize(folder) => near(folder),
        ReleaseSource::Manifests(_) => "`manifests` of devk.yaml".to_owned(),
    }
}

/// Fills in template, line and values, as far as the record tells.
fn locate(
    origin: &mut ChartOrigin,
    recorded: &RecordedRelease,
    project: &str,
    step: &ChangeStep,
    target: &ObjectName,
) {
    let is_it = |manifest: &&crate::release::manifest::Manifest| {
        manifest.kind() == target.kind.name()
            && manifest.name() == Some(&target.name)
            && Some(manifest.namespace(project)) == target.namespace
    };
    let Some(manifest) = recorded.rendered.manifests.iter().find(is_it) else {
        return;
    };
    // `shop/templates/api.yaml`: the chart's name comes first.
    let Some((_, path)) = manifest.source.split_once('/') else {
        return;
    };
    let Some(text) = recorded.templates.get(path) else {
        return;
    };
    origin.template = Some(path.to_owned());
    let words = words(step);
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let object = manifest.object_name();
    let line = line_of(text, &recorded.rendered, &manifest.source, &object, &words);
    let Some(line) = line else {
        return;
    };
    origin.line = Some(line);
    let at = usize::try_from(line).unwrap_or_default();
    let text = text.lines().nth(at.saturating_sub(1)).unwrap_or_default();
    origin.values = references(text, "");
}

/// What the line of a template has that renders what the step changes.
fn words(step: &ChangeStep) -> Vec<String> {
    match &step.action {
        ChangeAction::Scale(_) => vec!["replicas:".to_owned()],
        ChangeAction::SetImage(_) => vec!["image:".to_owned()],
        ChangeAction::SetResources(_) => vec!["resources:".to_owned()],
        ChangeAction::SetEnv(set) => {
            let names = set.set.keys().chain(&set.unset);
            names.map(|name| format!("name: {name}")).collect()
        }
        _ => vec![],
    }
}

impl ChartOrigin {
    /// What to do instead, as a sentence.
    pub fn advice(&self) -> String {
        let (release, source) = (&self.release, &self.source);
        let made = format!("release `{release}` ({source}) made it, so this is drift");
        match (&self.template, self.line) {
            (None, _) => {
                format!(
                    "{made}; change it there first: devk did not find the value that it comes from"
                )
            }
            (Some(template), None) => format!(
                "{made}; change it there first: devk did not find a value for it in {template}"
            ),
            (Some(template), Some(line)) if self.values.is_empty() => format!(
                "{made}; change it there first: {template}:{line} names no value, so the template itself is to be changed"
            ),
            (Some(template), Some(line)) => {
                let values: Vec<_> = self
                    .values
                    .iter()
                    .map(|value| format!("`{value}`"))
                    .collect();
                let values = values.join(", ");
                format!(
                    "{made}; change the value first: {values} ({template}:{line}), then: devk up -d"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use serde_json::json;

    use super::super::read_plan;
    use super::*;
    use crate::release::manifest::Rendered;

    const TEMPLATE: &str = "kind: Deployment\nmetadata:\n  name: {{ .Release.Name }}-web\nspec:\n  replicas: {{ .Values.web.replicas | default 1 }}\n  image: x\n";
    const MANIFEST: &str = "---\n# Source: shop/templates/web.yaml\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop-web}\nspec: {replicas: 1}\n";

    fn located(step: &str) -> ChartOrigin {
        let object = r#""object": {"kind": "Deployment", "namespace": "shop", "name": "shop-web"}"#;
        let text = format!(r#"{{"version": 1, "steps": [{{{step}, {object}}}]}}"#);
        let plan = read_plan(&text, Path::new("plan")).unwrap();
        let recorded = RecordedRelease {
            rendered: Rendered::parse(MANIFEST).unwrap(),
            templates: BTreeMap::from([("templates/web.yaml".to_owned(), TEMPLATE.to_owned())]),
        };
        let mut origin = ChartOrigin {
            release: "shop".to_owned(),
            source: "chart".to_owned(),
            template: None,
            line: None,
            values: vec![],
        };
        let step = &plan.steps[0];
        locate(&mut origin, &recorded, "shop", step, &step.object);
        origin
    }

    #[test]
    fn the_value_is_the_one_that_the_templates_line_names() {
        let origin = located(r#""verb": "scale", "replicas": 2"#);
        assert_eq!(origin.values, ["web.replicas"]);
        let advice = origin.advice();
        assert!(
            advice.contains("`web.replicas` (templates/web.yaml:5)"),
            "{advice}"
        );
    }

    #[test]
    fn a_line_without_a_value_and_a_step_without_a_line_are_said() {
        let image = located(r#""verb": "set-image", "image": "x:2""#).advice();
        assert!(
            image.contains("templates/web.yaml:6 names no value"),
            "{image}"
        );
        let restart = located(r#""verb": "restart""#).advice();
        assert!(
            restart.contains("did not find a value for it in templates/web.yaml"),
            "{restart}"
        );
    }

    #[test]
    fn a_release_of_another_namespace_is_not_the_projects() {
        let live = |namespace: &str| json!({"metadata": {"annotations": {RELEASE_ANNOTATION: "shop", RELEASE_NAMESPACE_ANNOTATION: namespace}}});
        assert_eq!(release(&live("shop"), "shop").as_deref(), Some("shop"));
        assert_eq!(release(&live("other"), "shop"), None);
        assert_eq!(release(&json!({}), "shop"), None);
    }
}
