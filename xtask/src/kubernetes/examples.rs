//! One object of each kind with every field set, as Kubernetes keeps them to see that no version loses a field.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{MINORS, module};

pub(super) fn make(scratch: &Path) -> Result<String> {
    let folder =
        module(scratch, &format!("k8s.io/api@v0.{}.0", MINORS.end()))?.join("testdata/HEAD");
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let objects = paths.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
    let mut examples = BTreeMap::new();
    for path in objects {
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let object: Value =
            serde_json::from_str(&text).with_context(|| format!("no JSON: {}", path.display()))?;
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        examples.insert(name, object);
    }
    serde_json::to_string(&examples).context("cannot write JSON")
}
