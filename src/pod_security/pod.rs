//! A pod or pod template as the checks look at it.

use serde_json::{Map, Value};

use super::Offence;

/// The prefix of a pointer to a container's own security context, and of the pod's.
pub(super) const CONTEXT: &str = "/securityContext";

/// A pod, or the template of one.
#[derive(Debug)]
pub(super) struct PodTemplate<'a> {
    spec: &'a Value,
    annotations: Option<&'a Map<String, Value>>,
    /// Init containers first, then containers, then ephemeral ones.
    pub(super) containers: Vec<PodContainer<'a>>,
}

/// A container of any kind.
#[derive(Debug)]
pub(super) struct PodContainer<'a> {
    pub(super) name: &'a str,
    /// JSON pointer from the pod.
    path: String,
    json: &'a Value,
}

/// Who has a security context: the pod or a container.
#[derive(Debug, Clone, Copy)]
pub(super) enum Holder<'p, 'a> {
    PodTemplate(&'p PodTemplate<'a>),
    PodContainer(&'p PodContainer<'a>),
}

impl<'a> PodTemplate<'a> {
    pub(super) fn of(template: &'a Value) -> Self {
        let spec = &template["spec"];
        let kinds = ["initContainers", "containers", "ephemeralContainers"];
        let containers = kinds.into_iter().flat_map(|kind| {
            let list = spec[kind].as_array().into_iter().flatten().enumerate();
            list.map(move |(at, json)| PodContainer {
                name: json["name"].as_str().unwrap_or_default(),
                path: format!("/spec/{kind}/{at}"),
                json,
            })
        });
        Self {
            containers: containers.collect(),
            annotations: template["metadata"]["annotations"].as_object(),
            spec,
        }
    }

    pub(super) fn spec(&self, pointer: &str) -> Option<&'a Value> {
        present(self.spec, pointer)
    }

    /// Annotations that are texts, with their values.
    pub(super) fn annotations(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let all = self.annotations.into_iter().flatten();
        all.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
    }

    pub(super) fn annotation(&self, key: &str) -> Option<&'a str> {
        self.annotations?.get(key)?.as_str()
    }

    pub(super) fn volumes(&self) -> impl Iterator<Item = (usize, &'a Value)> {
        let volumes = self.spec["volumes"].as_array();
        volumes.into_iter().flatten().enumerate()
    }

    /// `spec.os.name: windows`.
    pub(super) fn is_windows(&self) -> bool {
        self.spec["os"]["name"] == "windows"
    }

    /// `hostUsers: false`: root in the pod is nobody on the node.
    pub(super) fn has_own_users(&self) -> bool {
        self.spec["hostUsers"] == false
    }

    /// The pod, then its containers.
    pub(super) fn holders(&self) -> impl Iterator<Item = Holder<'_, 'a>> {
        let containers = self.containers.iter().map(Holder::PodContainer);
        std::iter::once(Holder::PodTemplate(self)).chain(containers)
    }

    /// What a check says of the pod.
    pub(super) fn offence(path: impl Into<String>, what: impl Into<String>) -> Offence {
        Offence {
            container: None,
            path: path.into(),
            what: what.into(),
        }
    }
}

impl<'a> PodContainer<'a> {
    /// A value below the container, unless it is null.
    pub(super) fn get(&self, pointer: &str) -> Option<&'a Value> {
        present(self.json, pointer)
    }

    /// What a check says of this container.
    pub(super) fn offence(&self, below: &str, what: impl Into<String>) -> Offence {
        Offence {
            container: Some(self.name.to_owned()),
            path: format!("{}{below}", self.path),
            what: what.into(),
        }
    }
}

impl<'a> Holder<'_, 'a> {
    /// A value below the security context, unless it is null.
    pub(super) fn context(self, below: &str) -> Option<&'a Value> {
        let pointer = format!("{CONTEXT}{below}");
        match self {
            Self::PodTemplate(pod) => pod.spec(&pointer),
            Self::PodContainer(container) => container.get(&pointer),
        }
    }

    /// What a check says of a field of the security context.
    pub(super) fn offence(self, below: &str, what: impl Into<String>) -> Offence {
        match self {
            Self::PodTemplate(_) => PodTemplate::offence(format!("/spec{CONTEXT}{below}"), what),
            Self::PodContainer(container) => container.offence(&format!("{CONTEXT}{below}"), what),
        }
    }
}

/// A value by its JSON pointer; null is nothing, as for the API server.
pub(super) fn present<'a>(json: &'a Value, pointer: &str) -> Option<&'a Value> {
    json.pointer(pointer).filter(|value| !value.is_null())
}

/// A key as a step of a JSON pointer (RFC 6901).
pub(super) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The texts of a list.
pub(super) fn texts(list: Option<&Value>) -> impl Iterator<Item = (usize, &str)> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items
        .enumerate()
        .filter_map(|(at, item)| Some((at, item.as_str()?)))
}
