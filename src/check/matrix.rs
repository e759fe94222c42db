//! With which values a chart is rendered: each values file that its folder has, and each `enabled` flipped alone.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::facts::{RenderingUse, is_values_file};
use crate::release::chart::normalize;
use crate::release::lined::LinedYaml;
use crate::release::values::{get_path, set_path};
use crate::release::variant::ChartFile;

/// More flipped values than these are not rendered: each takes a run of helm.
const MAX_FLIPS: usize = 24;

/// Parts of names of values files that are no configuration for anybody's cluster.
const FOR_DEVELOPMENT: [&str; 6] = ["dev", "test", "local", "example", "sample", "minimal"];

/// Values over those of a release.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ValueSet {
    pub(super) label: String,
    pub(super) usage: RenderingUse,
    /// YAML.
    pub(super) text: String,
    pub(super) file: PathBuf,
}

/// The values files beside values.yaml, but those that are `used` already.
pub(super) fn files(folder: &Path, files: &[ChartFile], used: &[PathBuf]) -> Vec<ValueSet> {
    // As devk.yaml names them: `../chart/values-prod.yaml`.
    let used: Vec<_> = used.iter().map(|file| normalize(file)).collect();
    let others = files.iter().filter(|file| {
        is_values_file(&file.path)
            && file.path != Path::new("values.yaml")
            && !used.contains(&folder.join(&file.path))
    });
    let sets = others.filter_map(|file| {
        let label = file.path.to_string_lossy().into_owned();
        let is_for_development =
            file.path.starts_with("ci") || FOR_DEVELOPMENT.iter().any(|word| label.contains(word));
        Some(ValueSet {
            usage: match is_for_development {
                true => RenderingUse::Working,
                false => RenderingUse::Judged,
            },
            text: file.text.clone()?,
            file: folder.join(&file.path),
            label,
        })
    });
    sets.collect()
}

/// Each `enabled` of values.yaml, flipped alone, and how many more there are.
pub(super) fn flips(folder: &Path, defaults: &str, values: &Value) -> (Vec<ValueSet>, usize) {
    let Ok(yaml) = LinedYaml::parse(defaults) else {
        return (vec![], 0);
    };
    let all: Vec<_> = yaml
        .values()
        .into_iter()
        .filter(|value| is_switch(&value.path))
        .filter_map(|value| {
            let path = value.path.iter().map(|key| key.replace('.', "\\."));
            let path = path.collect::<Vec<_>>().join(".");
            let is_on = get_path(values, &path)?.as_bool()?;
            let mut over = Value::Object(serde_json::Map::new());
            set_path(&mut over, &path, Value::from(!is_on));
            Some(ValueSet {
                label: format!("{path}: {}", !is_on),
                usage: RenderingUse::Working,
                text: over.to_string(),
                file: folder.join("values.yaml"),
            })
        })
        .collect();
    let more = all.len().saturating_sub(MAX_FLIPS);
    (all.into_iter().take(MAX_FLIPS).collect(), more)
}

/// `ingress.enabled`, `metricsEnabled`; nothing in a list.
fn is_switch(path: &[String]) -> bool {
    let is_in_list = path.iter().any(|step| step.parse::<usize>().is_ok());
    let last = path.last().map(String::as_str).unwrap_or_default();
    !is_in_list && (last == "enabled" || last.ends_with("Enabled"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_enabled_is_flipped_alone_from_what_holds() {
        let text =
            "ingress:\n  enabled: false\nmetricsEnabled: true\nlist:\n- enabled: true\nname: x\n";
        let values = json!({"ingress": {"enabled": true}, "metricsEnabled": true});
        let (flips, more) = flips(Path::new("/c"), text, &values);
        let found: Vec<_> = flips
            .iter()
            .map(|set| (set.label.as_str(), set.text.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                (
                    "ingress.enabled: false",
                    "{\"ingress\":{\"enabled\":false}}"
                ),
                ("metricsEnabled: false", "{\"metricsEnabled\":false}")
            ]
        );
        assert_eq!(more, 0);
    }

    #[test]
    fn values_files_for_production_are_judged_and_those_for_tests_have_to_work() {
        let file = |path: &str| ChartFile {
            path: path.into(),
            text: Some(String::new()),
        };
        let all = [
            "Chart.yaml",
            "ci/small-values.yaml",
            "values.yaml",
            "values-prod.yaml",
            "values-dev.yaml",
            "templates/values.yaml",
        ];
        let all = all.map(file);
        let found = files(Path::new("/c"), &all, &["/c/values-dev.yaml".into()]);
        let found: Vec<_> = found
            .iter()
            .map(|set| (set.label.as_str(), set.usage))
            .collect();
        assert_eq!(
            found,
            [
                ("ci/small-values.yaml", RenderingUse::Working),
                ("values-prod.yaml", RenderingUse::Judged)
            ]
        );
    }
}
