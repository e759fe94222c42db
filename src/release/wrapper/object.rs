//! What a document must be to be installed: a Kubernetes object with a name. What is none is told with what it seems to be.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::document::LEAVE_OUT;
use crate::config::KUSTOMIZATION_FILES;
use crate::error::{Code, Error};

/// An object of a manifest file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Object {
    /// `apps`; empty for the core.
    pub(super) group: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) file: PathBuf,
    /// Where it begins, from 1.
    pub(super) line: u32,
}

/// A document that is no object to install.
#[derive(Debug)]
pub(super) struct NoManifest {
    message: String,
    hint: String,
    file: PathBuf,
    line: u32,
}

impl NoManifest {
    pub(super) fn into_error(self) -> Error {
        Error::new(Code::ManifestInvalid, self.message)
            .at(self.file, self.line)
            .hint(self.hint)
    }
}

impl Object {
    pub(super) fn read(value: &Value, file: &Path, line: u32) -> Result<Self, NoManifest> {
        let refusal = |message: String, hint: String| NoManifest {
            message,
            hint,
            file: file.to_owned(),
            line,
        };
        let text = |value: &Value| {
            value
                .as_str()
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        if let Some((what, hint)) = other_tools_file(value, file) {
            return Err(refusal(format!("this is {what}, and no manifest"), hint));
        }
        let (Some(version), Some(kind)) = (text(&value["apiVersion"]), text(&value["kind"])) else {
            let message = "this is no manifest: a Kubernetes object has `apiVersion` and `kind`";
            return Err(refusal(message.to_owned(), LEAVE_OUT.to_owned()));
        };
        let metadata = &value["metadata"];
        let Some(name) = text(&metadata["name"]) else {
            let (message, hint) = match text(&metadata["generateName"]) {
                Some(prefix) => (
                    format!(
                        "the {kind} with `generateName: {prefix}` has another name at every install: no upgrade would find it"
                    ),
                    format!(
                        "give it `name: {}` in place of `generateName`",
                        prefix.trim_end_matches('-')
                    ),
                ),
                None => (
                    format!("the {kind} has no `metadata.name`"),
                    "give it a name, in quotes if it is a number".to_owned(),
                ),
            };
            return Err(refusal(message, hint));
        };
        Ok(Self {
            group: version
                .split_once('/')
                .map_or("", |(group, _)| group)
                .to_owned(),
            kind,
            name,
            namespace: text(&metadata["namespace"]),
            file: file.to_owned(),
            line,
        })
    }

    /// `Deployment `api``, as it stands in sentences.
    pub(super) fn named(&self) -> String {
        format!("{} `{}`", self.kind, self.name)
    }

    pub(super) fn is_definition(&self) -> bool {
        self.kind == "CustomResourceDefinition" && self.group == "apiextensions.k8s.io"
    }

    pub(super) fn is_namespace(&self) -> bool {
        self.kind == "Namespace" && self.group.is_empty()
    }

    /// Equal for two objects that are one to the cluster.
    fn identity(&self) -> (&str, &str, Option<&str>, &str) {
        (
            &self.group,
            &self.kind,
            self.namespace.as_deref(),
            &self.name,
        )
    }
}

/// What a file of another tool is, and what to write for it.
fn other_tools_file(value: &Value, file: &Path) -> Option<(&'static str, String)> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let version = value["apiVersion"].as_str().unwrap_or_default();
    let is_other_kind = value["kind"].is_string();
    let has_its_name = KUSTOMIZATION_FILES.contains(&&*name) && !is_other_kind;
    if has_its_name || version.starts_with("kustomize.config.k8s.io/") {
        let hint = "name its folder in a release of its own: `kustomize: FOLDER`; or name the other files by `manifests:`";
        return Some(("a kustomization", hint.to_owned()));
    }
    if is_other_kind {
        return None;
    }
    if name == "Chart.yaml" {
        return Some((
            "the file of a chart",
            "name its folder: `chart: FOLDER`".to_owned(),
        ));
    }
    let is_compose = value["services"].is_object();
    is_compose.then(|| ("a Compose file", LEAVE_OUT.to_owned()))
}

/// An error for each object that a file has again.
pub(super) fn twice<'a>(objects: impl Iterator<Item = &'a Object>) -> Vec<Error> {
    let mut first = std::collections::HashMap::new();
    let mut errors = vec![];
    for object in objects {
        let Some(other) = first.get(&object.identity()) else {
            first.insert(object.identity(), object);
            continue;
        };
        let place = format!("{}:{}", other.file.display(), other.line);
        let message = format!("{} is written twice: it is in {place}, too", object.named());
        let error = Error::new(Code::ManifestInvalid, message).at(&object.file, object.line);
        errors.push(error.hint("keep one of them, or give this one another name or namespace"));
    }
    errors
}
