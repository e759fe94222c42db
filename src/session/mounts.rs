//! The lines of the charts that declare the mounts of the containers of an image.

use std::collections::BTreeMap;
use std::path::Path;

use crate::observe::PreparedRelease;
use crate::release::pods::{self, list};
use crate::release::user_template::UserTemplate;

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
            let template = UserTemplate::read(&prepared.chart, source);
            let Some(template) = template.filter(|_| !paths.is_empty()) else {
                continue;
            };
            let object = pod.manifest.object_name();
            for path in paths {
                let line = template.line(rendered, source, &object, &[path, "volumeMounts"]);
                let path = path.trim_end_matches('/').to_owned();
                places.insert(path, template.shown(root, line));
            }
        }
    }
    places
}
