//! What a chart's values say of its images, where helm cannot render the chart.

use std::path::Path;

use serde_json::{Value, json};

use super::charts::values;
use super::scan::RepositoryTree;
use crate::image::ReferenceParts;
use crate::release::manifest::{Manifest, Rendered};
use crate::release::values::{image_blocks, leaves};

/// The references of values.yaml, as if each were a container's that is called like its value.
pub(super) fn find(tree: &RepositoryTree, chart: &Path) -> Option<(Rendered, Value)> {
    let file = chart.join("values.yaml");
    let values = values(tree, &file)?;
    let blocks = image_blocks(&values);
    let of_blocks = blocks
        .into_iter()
        .filter_map(|block| Some((block.path, block.repository?)));
    let is_image = |path: &str| path.to_lowercase().ends_with("image");
    let of_texts = leaves(&values).into_iter().filter_map(|(path, value)| {
        let text = value
            .as_str()
            .filter(|text| is_image(&path) && ReferenceParts::parse(text).is_some())?;
        Some((path, text.to_owned()))
    });
    let containers: Vec<_> = of_blocks
        .chain(of_texts)
        .map(|(path, image)| {
            let name = path
                .trim_end_matches("image")
                .trim_end_matches('.')
                .to_owned();
            json!({"name": name, "image": image})
        })
        .collect();
    let manifest = Manifest {
        source: file.display().to_string(),
        object: json!({"kind": "Values", "metadata": {"name": ""}, "spec": {"containers": containers}}),
    };
    let rendered = Rendered {
        manifests: vec![manifest],
    };
    Some((rendered, values))
}
