//! The lines of the charts that declare the mounts of the containers of an image.

use std::collections::BTreeMap;
use std::path::Path;

use crate::observe::PreparedRelease;
use crate::release::pods::{self, list};
use crate::release::template::line_of;

/// By the path in the container, the template that mounts something there: `FILE:LINE`, the file relative to the
/// folder of devk.yaml. Templates in archives have no line.
pub(super) fn mount_places(
    reference: &str,
    releases: &[PreparedRelease],
) -> BTreeMap<String, String> {
    let mut places = BTreeMap::new();
    for PreparedRelease {
        prepared, rendered, ..
    } in releases
    {
        let root = prepared.origin.file.parent().unwrap_or(Path::new(""));
        for pod in pods::pods(rendered) {
            let ours = pod
                .containers()
                .filter(|container| container["image"] == reference);
            let mounts = ours.flat_map(|container| list(&container["volumeMounts"]));
            let paths: Vec<_> = mounts
                .filter_map(|mount| mount["mountPath"].as_str())
                .collect();
            let source = &pod.manifest.source;
            let file = prepared.chart.user_file(source);
            let Some(file) = file.filter(|_| !paths.is_empty()) else {
                continue;
            };
            // Only the line is lost.
            let template = std::fs::read_to_string(&file).unwrap_or_default();
            let object = pod.manifest.object_name();
            let shown = file.strip_prefix(root).unwrap_or(&file).display();
            for path in paths {
                let words = [path, "volumeMounts"];
                let line = line_of(&template, rendered, source, &object, &words);
                let line = line.map(|line| format!(":{line}")).unwrap_or_default();
                places.insert(
                    path.trim_end_matches('/').to_owned(),
                    format!("{shown}{line}"),
                );
            }
        }
    }
    places
}
