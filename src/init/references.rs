//! The image references of what the releases render, each with what is known around it: containers, workloads, ports,
//! and the values that it comes from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::image::ReferenceParts;
use crate::release::chart::Chart;
use crate::release::manifest::{Manifest, Rendered};
use crate::release::user_template::UserTemplate;
use crate::release::values::{ImageBlock, leaves};

/// Parts of value paths that are no image's name.
pub(super) const GENERAL: [&str; 6] = ["image", "images", "repository", "global", "main", "app"];

/// A repository, or one tag of it where tags are images of their own.
#[derive(Debug, Clone)]
pub(super) struct SeenReference {
    /// As devk.yaml names it under `replaces`.
    pub(super) written: String,
    /// In full, without the tag.
    pub(super) repository: String,
    pub(super) last_part: String,
    pub(super) tag: Option<String>,
    /// Names of containers and workloads, parts of value paths.
    pub(super) hints: BTreeSet<String>,
    pub(super) ports: BTreeSet<u16>,
    /// `Deployment/api (deploy/shop/templates/api.yaml:12)`.
    pub(super) used: String,
}

/// What one release renders.
#[derive(Debug)]
pub(super) struct ReleaseLook<'a> {
    pub(super) release: &'a str,
    /// None where nothing could be rendered.
    pub(super) chart: Option<&'a Chart>,
    pub(super) rendered: &'a Rendered,
    pub(super) values: Value,
    pub(super) blocks: Vec<ImageBlock>,
}

impl ReleaseLook<'_> {
    /// An object that runs an image, and where the user writes that: the template's line, from the repository's root.
    fn used(&self, root: &Path, manifest: &Manifest, image: &str) -> String {
        let object = manifest.object_name();
        let source = &manifest.source;
        let template = self
            .chart
            .and_then(|chart| UserTemplate::read(chart, source));
        let Some(template) = template else {
            return format!("{object} ({source})");
        };
        let written = [
            format!("image: {image}"),
            format!("image: \"{image}\""),
            "image:".to_owned(),
        ];
        let words = written.each_ref().map(String::as_str);
        // Without a line: a template that takes its pod from a helper.
        let line = template.line(self.rendered, source, &object, &words);
        format!("{object} ({})", template.shown(root, line))
    }
}

/// Every reference of all releases. `root` is the repository's.
pub(super) fn find(root: &Path, looks: &[ReleaseLook<'_>]) -> Vec<SeenReference> {
    let mut tags: BTreeMap<String, BTreeSet<Option<String>>> = BTreeMap::new();
    let mut all = vec![];
    for look in looks {
        for manifest in &look.rendered.manifests {
            let mut containers = vec![];
            collect(&manifest.object, &mut containers);
            for container in containers {
                let Some(reference) = ReferenceParts::parse(&container.image) else {
                    continue;
                };
                tags.entry(reference.repository.clone())
                    .or_default()
                    .insert(reference.tag.clone());
                all.push((look, manifest, container, reference));
            }
        }
    }
    let mut found: BTreeMap<String, SeenReference> = BTreeMap::new();
    for (look, manifest, container, reference) in all {
        // One repository with a tag for each image.
        let by_tag = tags[&reference.repository].len() > 1 && reference.tag.is_some();
        let written = match (&reference.tag, by_tag) {
            (Some(tag), true) => format!("{}:{tag}", reference.written),
            _ => reference.written.clone(),
        };
        let seen = found
            .entry(written.clone())
            .or_insert_with(|| SeenReference {
                repository: reference.repository.clone(),
                last_part: reference.last_part().to_owned(),
                tag: reference.tag.clone().filter(|_| by_tag),
                hints: BTreeSet::new(),
                ports: BTreeSet::new(),
                used: look.used(root, manifest, &container.image),
                written,
            });
        seen.ports.extend(&container.ports);
        seen.hints
            .extend(hints(look, manifest, &container, &reference));
    }
    found.into_values().collect()
}

fn hints(
    look: &ReleaseLook<'_>,
    manifest: &Manifest,
    container: &Container,
    reference: &ReferenceParts,
) -> Vec<String> {
    let object = manifest.name().unwrap_or_default();
    let short = object
        .strip_prefix(&format!("{}-", look.release))
        .unwrap_or(object);
    let mut hints = vec![container.name.clone(), object.to_owned(), short.to_owned()];
    let component = &manifest.object["metadata"]["labels"]["app.kubernetes.io/component"];
    hints.extend(component.as_str().map(str::to_owned));
    let full = |text: &str| ReferenceParts::parse(text).map(|parts| (parts.repository, parts.tag));
    let own = (reference.repository.clone(), reference.tag.clone());
    let mut paths: Vec<String> = look
        .blocks
        .iter()
        .filter(|block| {
            let repository = block.repository.as_deref().and_then(full);
            repository.is_some_and(|(repository, _)| repository == own.0)
        })
        .map(|block| block.path.clone())
        .collect();
    // `api.image: acme/api:1`, a whole reference in one value.
    for (path, value) in leaves(&look.values) {
        if value
            .as_str()
            .is_some_and(|text| text.contains(':') && full(text).as_ref() == Some(&own))
        {
            paths.push(path);
        }
    }
    for path in paths {
        let parts = path.split('.').filter(|part| !GENERAL.contains(part));
        hints.extend(parts.map(str::to_owned));
    }
    hints.retain(|hint| !hint.is_empty());
    hints
}

struct Container {
    image: String,
    name: String,
    ports: Vec<u16>,
}

/// Wherever `image` is a text beside a container's other fields.
fn collect(value: &Value, found: &mut Vec<Container>) {
    match value {
        Value::Object(map) => {
            let kind = map.get("kind").and_then(Value::as_str).unwrap_or_default();
            if ["ConfigMap", "Secret", "CustomResourceDefinition"].contains(&kind) {
                return;
            }
            if let Some(image) = map.get("image").and_then(Value::as_str) {
                let ports = map
                    .get("ports")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten();
                found.push(Container {
                    image: image.to_owned(),
                    name: value["name"].as_str().unwrap_or_default().to_owned(),
                    ports: ports
                        .filter_map(|port| u16::try_from(port["containerPort"].as_u64()?).ok())
                        .collect(),
                });
            }
            map.values().for_each(|below| collect(below, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}
