//! One rendering as objects that rules can ask: which have pods, what runs in them, which are hooks, tests or of a
//! dependency.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::Value;

use super::facts::{ChartFacts, CheckRendering, RenderingUse};
use crate::config::CheckConfig;
use crate::kubernetes_schema::SchemaViolation;
use crate::pod_security::PodSecurityViolation;

/// What a rule about the chart as a whole looks at.
#[derive(Debug)]
pub(super) struct ChartView<'a> {
    pub(super) facts: &'a ChartFacts,
    pub(super) renderings: Vec<RenderingView<'a>>,
    pub(super) constraints: &'a CheckConfig,
    pub(super) today: Date,
}

/// The rendering that a rule looks at.
#[derive(Debug)]
pub(super) struct RenderingView<'a> {
    pub(super) objects: Vec<ChartObject<'a>>,
    pub(super) usage: RenderingUse,
    /// The release's namespace.
    pub(super) namespace: &'a str,
    pub(super) release: &'a str,
    /// Jobs that Kubernetes cannot change are replaced.
    pub(super) replaces_jobs: bool,
    pub(super) constraints: &'a CheckConfig,
    /// The chart's values with those of the rendering over them.
    pub(super) values: &'a Value,
    pub(super) facts: &'a ChartFacts,
    /// What several rules go by, looked for once; each with the position of its object.
    pub(super) schema: OnceCell<Vec<(usize, SchemaViolation)>>,
    /// As `schema`.
    pub(super) pod_security: OnceCell<Vec<(usize, PodSecurityViolation)>>,
}

/// A rendered object.
#[derive(Debug)]
pub(super) struct ChartObject<'a> {
    /// The position of the rendering in the facts.
    pub(super) rendering: usize,
    /// The position of its document in the rendering.
    pub(super) document: usize,
    /// JSON pointer of the object in its document; empty unless that is a list.
    pub(super) prefix: String,
    /// helm's name of the template.
    pub(super) template: &'a str,
    pub(super) json: &'a Value,
    pub(super) kind: &'a str,
    pub(super) name: &'a str,
    /// Its own namespace, else the release's.
    pub(super) namespace: &'a str,
    pub(super) role: ObjectRole,
    pub(super) pod: Option<PodView<'a>>,
}

/// What helm does with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ObjectRole {
    Installed,
    Hook,
    Test,
}

/// The pod, or the pod template, of an object.
#[derive(Debug)]
pub(super) struct PodView<'a> {
    /// With `metadata` and `spec`.
    pub(super) template: &'a Value,
    pub(super) spec: &'a Value,
    /// JSON pointer of `template`; empty for a bare pod.
    pub(super) path: &'static str,
    pub(super) containers: Vec<ContainerView<'a>>,
}

#[derive(Debug)]
pub(super) struct ContainerView<'a> {
    pub(super) json: &'a Value,
    pub(super) name: &'a str,
    pub(super) kind: ContainerKind,
    /// JSON pointer from the object.
    pub(super) path: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ContainerKind {
    Main,
    /// Runs to its end before the others start.
    Init,
    /// An init container that runs on (`restartPolicy: Always`).
    Sidecar,
}

/// Kinds whose pods run on.
pub(super) const LONG_RUNNING: [&str; 3] = ["Deployment", "StatefulSet", "DaemonSet"];

impl<'a> ChartView<'a> {
    pub(super) fn new(facts: &'a ChartFacts, constraints: &'a CheckConfig, today: Date) -> Self {
        let renderings = facts.renderings.iter().enumerate();
        let renderings = renderings.map(|(at, rendering)| RenderingView {
            objects: objects(at, rendering, &facts.namespace),
            usage: rendering.usage,
            namespace: &facts.namespace,
            release: &facts.release,
            replaces_jobs: facts.replaces_jobs,
            constraints,
            values: &rendering.values,
            facts,
            schema: OnceCell::new(),
            pod_security: OnceCell::new(),
        });
        Self {
            renderings: renderings.collect(),
            facts,
            constraints,
            today,
        }
    }

    /// The renderings that are judged as what is installed.
    pub(super) fn judged(&self) -> impl Iterator<Item = &RenderingView<'a>> {
        self.renderings
            .iter()
            .filter(|view| view.usage == RenderingUse::Judged)
    }
}

/// The objects of a rendering; a `List` is taken apart.
fn objects<'a>(
    at: usize,
    rendering: &'a CheckRendering,
    namespace: &'a str,
) -> Vec<ChartObject<'a>> {
    let documents = rendering.documents.iter().enumerate();
    let objects = documents.flat_map(|(document, found)| {
        let object = move |prefix: String, json| {
            let mut object = ChartObject::of(json, namespace);
            (object.rendering, object.document, object.prefix) = (at, document, prefix);
            object.template = &found.source;
            object
        };
        match found.object["kind"].as_str() {
            Some("List") => {
                let items = list(&found.object["items"]).iter().enumerate();
                let items = items.map(|(item, json)| object(format!("/items/{item}"), json));
                items.collect()
            }
            _ => vec![object(String::new(), &found.object)],
        }
    });
    objects.collect()
}

impl<'a> ChartObject<'a> {
    /// An object by itself, of the first document of the first rendering.
    pub(super) fn of(json: &'a Value, namespace: &'a str) -> Self {
        let kind = json["kind"].as_str().unwrap_or_default();
        Self {
            rendering: 0,
            document: 0,
            prefix: String::new(),
            template: "",
            json,
            kind,
            name: json["metadata"]["name"].as_str().unwrap_or_default(),
            namespace: json["metadata"]["namespace"].as_str().unwrap_or(namespace),
            role: role(json),
            pod: PodView::of(json, kind),
        }
    }

    /// `Deployment/api`.
    pub(super) fn label(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }

    pub(super) fn is_installed(&self) -> bool {
        self.role == ObjectRole::Installed
    }

    pub(super) fn api_group(&self) -> &'a str {
        let version = self.json["apiVersion"].as_str().unwrap_or_default();
        version.split_once('/').map_or("", |(group, _)| group)
    }

    pub(super) fn spec(&self) -> &'a Value {
        &self.json["spec"]
    }

    pub(super) fn annotation(&self, key: &str) -> Option<&'a str> {
        self.json["metadata"]["annotations"][key].as_str()
    }
}

impl<'a> PodView<'a> {
    fn of(json: &'a Value, kind: &str) -> Option<Self> {
        let path = match (json["apiVersion"].as_str()?, kind) {
            ("v1", "Pod") => "",
            ("v1", "ReplicationController") => "/spec/template",
            (version, "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
                if version.starts_with("apps/") =>
            {
                "/spec/template"
            }
            (version, "Job") if version.starts_with("batch/") => "/spec/template",
            (version, "CronJob") if version.starts_with("batch/") => {
                "/spec/jobTemplate/spec/template"
            }
            _ => return None,
        };
        let template = json.pointer(path)?;
        let spec = template.get("spec")?;
        let containers = [("containers", false), ("initContainers", true)];
        let containers = containers.into_iter().flat_map(|(key, is_init)| {
            let items = list(&spec[key]).iter().enumerate();
            items.map(move |(at, json)| ContainerView {
                json,
                name: json["name"].as_str().unwrap_or_default(),
                kind: match is_init {
                    true if json["restartPolicy"] == "Always" => ContainerKind::Sidecar,
                    true => ContainerKind::Init,
                    false => ContainerKind::Main,
                },
                path: format!("{path}/spec/{key}/{at}"),
            })
        });
        Some(Self {
            template,
            spec,
            path,
            containers: containers.collect(),
        })
    }

    pub(super) fn labels(&self) -> BTreeMap<&'a str, &'a str> {
        texts(&self.template["metadata"]["labels"])
    }

    pub(super) fn annotations(&self) -> BTreeMap<&'a str, &'a str> {
        texts(&self.template["metadata"]["annotations"])
    }

    /// JSON pointer of something below its spec.
    pub(super) fn at(&self, below: &str) -> String {
        format!("{}/spec{below}", self.path)
    }

    /// The containers that run on beside each other.
    pub(super) fn running(&self) -> impl Iterator<Item = &ContainerView<'a>> {
        self.containers
            .iter()
            .filter(|container| container.kind != ContainerKind::Init)
    }

    /// The names and numbers of the ports that its containers declare.
    pub(super) fn ports(&self) -> Vec<(Option<&'a str>, u64)> {
        let ports = self.running().flat_map(ContainerView::ports);
        ports.collect()
    }
}

impl<'a> ContainerView<'a> {
    pub(super) fn ports(&self) -> impl Iterator<Item = (Option<&'a str>, u64)> + use<'a> {
        list(&self.json["ports"])
            .iter()
            .filter_map(|port| Some((port["name"].as_str(), port["containerPort"].as_u64()?)))
    }

    pub(super) fn image(&self) -> &'a str {
        self.json["image"].as_str().unwrap_or_default()
    }
}

impl<'a> RenderingView<'a> {
    /// What is installed and is no hook.
    pub(super) fn installed(&self) -> impl Iterator<Item = &ChartObject<'a>> {
        self.objects.iter().filter(|object| object.is_installed())
    }

    pub(super) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &ChartObject<'a>> {
        self.installed().filter(move |object| object.kind == kind)
    }

    /// Workloads whose pods run on.
    pub(super) fn services(&self) -> impl Iterator<Item = (&ChartObject<'a>, &PodView<'a>)> {
        self.workloads()
            .filter(|(object, _)| LONG_RUNNING.contains(&object.kind))
    }

    /// Everything with pods but hooks and tests.
    pub(super) fn workloads(&self) -> impl Iterator<Item = (&ChartObject<'a>, &PodView<'a>)> {
        self.pods().filter(|(object, _)| object.is_installed())
    }

    /// Everything with pods but tests.
    pub(super) fn pods(&self) -> impl Iterator<Item = (&ChartObject<'a>, &PodView<'a>)> {
        let pods = self
            .objects
            .iter()
            .filter(|object| object.role != ObjectRole::Test);
        pods.filter_map(|object| Some((object, object.pod.as_ref()?)))
    }

    /// Whether the rendering has an object.
    pub(super) fn has(&self, kind: &str, namespace: &str, name: &str) -> bool {
        self.find(kind, namespace, name).is_some()
    }

    pub(super) fn find(&self, kind: &str, namespace: &str, name: &str) -> Option<&ChartObject<'a>> {
        self.objects.iter().find(|object| {
            object.kind == kind && object.name == name && object.namespace == namespace
        })
    }
}

/// helm's hooks (helm, "Chart Hooks"); an object of which every hook is a test is a test.
fn role(json: &Value) -> ObjectRole {
    let hooks = json["metadata"]["annotations"]["helm.sh/hook"].as_str();
    let mut hooks = hooks.unwrap_or_default().split(',').map(str::trim);
    let is_test = |hook: &str| matches!(hook, "test" | "test-success" | "test-failure");
    match hooks.next().filter(|first| !first.is_empty()) {
        None => ObjectRole::Installed,
        Some(first) if is_test(first) && hooks.all(is_test) => ObjectRole::Test,
        Some(_) => ObjectRole::Hook,
    }
}

/// The items of a list; none of anything else.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The texts of a mapping, such as labels.
pub(super) fn texts(value: &Value) -> BTreeMap<&str, &str> {
    let entries = value.as_object().into_iter().flatten();
    entries
        .filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
        .collect()
}

/// Whether labels have everything that a selector of equal labels asks for; an empty one selects nothing here.
pub(super) fn selects(selector: &BTreeMap<&str, &str>, labels: &BTreeMap<&str, &str>) -> bool {
    !selector.is_empty()
        && selector
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
}
