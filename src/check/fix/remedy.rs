//! What a finding is remedied with: fields of its object, with their values. Pure.
//!
//! A remedy is here only if it cannot keep a program from working by what is known of it: a user that is no root before
//! capabilities go, a port that a Service leads to before a probe asks it. All else is left to people, with the reason.

mod privileges;
mod probes;

use serde_json::{Value, json};

use super::super::facts::ChartFacts;
use super::super::finding::ChartFinding;
use super::super::gates::resources::amount;
use super::super::seen::Subject;
use super::super::view::{ChartObject, ContainerView, PodView, list, texts};
use super::FixFigures;
use crate::config::CheckConfig;
use crate::quantity::thousandths;

/// What would remove a finding.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Remedy {
    Fields(Vec<RemedyField>),
    /// A PodDisruptionBudget beside the workload.
    Budget,
    /// Nothing that could be done without a person, and why.
    ByHand(String),
}

/// A field of an object that gets a value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RemedyField {
    /// The keys from the document.
    pub(super) path: Vec<String>,
    /// As it is rendered.
    pub(super) value: Value,
    /// What a template says for it: `{{ .Release.Name }}`; None if that is the value itself.
    pub(super) action: Option<&'static str>,
}

impl RemedyField {
    /// What a template says: an action as its text, or the value.
    pub(super) fn said(&self) -> Value {
        let action = self.action.map(|action| json!(action));
        action.unwrap_or_else(|| self.value.clone())
    }
}

/// What keys and positions lead to.
pub(super) fn value_at<'v, S: AsRef<str>>(object: &'v Value, path: &[S]) -> Option<&'v Value> {
    path.iter().try_fold(object, |value, step| match value {
        Value::Array(items) => items.get(step.as_ref().parse::<usize>().ok()?),
        other => other.get(step.as_ref()),
    })
}

/// How many steps of a path lead to something that has entries; the last one leads to the value itself.
pub(super) fn depth(object: &Value, path: &[String]) -> usize {
    let has_entries = |steps: &usize| match value_at(object, &path[..*steps]) {
        Some(Value::Object(entries)) => !entries.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        _ => false,
    };
    let steps = (0..path.len()).take_while(has_entries);
    steps.last().unwrap_or(0)
}

/// A new liveness probe fails for five minutes before a program is started anew: nobody knows how long its start takes.
const PATIENT_FAILURES: u64 = 30;

/// A finding in its object.
struct Case<'a> {
    facts: &'a ChartFacts,
    rendering: usize,
    object: ChartObject<'a>,
    path: &'a [String],
    config: &'a CheckConfig,
    figures: &'a FixFigures,
}

pub(super) fn remedy(
    finding: &ChartFinding,
    facts: &ChartFacts,
    config: &CheckConfig,
    figures: &FixFigures,
) -> Remedy {
    if let Some(dependency) = &finding.dependency {
        return by_hand(format!("the object is of the dependency `{dependency}`"));
    }
    let Subject::Object {
        rendering,
        document,
        path,
        ..
    } = &finding.subject
    else {
        return by_hand(finding.rule.remedy);
    };
    let json = &facts.renderings[*rendering].documents[*document].object;
    if json["kind"] == "List" {
        return by_hand("the object is an item of a List");
    }
    let case = Case {
        facts,
        rendering: *rendering,
        object: ChartObject::of(json, &facts.namespace),
        path,
        config,
        figures,
    };
    let found = match finding.rule.id {
        "resources.cpu-request" => case.at_path(case.capped(&figures.cpu_request, &config.max_cpu)),
        "resources.memory-request" => {
            case.at_path(case.capped(&figures.memory_request, &config.max_memory))
        }
        "resources.memory-limit" => case.memory_limit(),
        "resources.init-container" | "resources.hook" => Ok(case.requests()),
        "pod.escalation" => case.escalation(),
        "pod.non-root" => case.non_root(),
        "pod.drop-capabilities" => case.drop_capabilities(),
        "pod.seccomp" => case.seccomp(),
        "pod.writable-root" => Err("nobody knows where the program writes".to_owned()),
        "probes.readiness" => case.probe("readinessProbe", None),
        "probes.liveness" => case.probe("livenessProbe", Some(PATIENT_FAILURES)),
        "probes.same" => case.patience(|live, ready| ready / live + 1),
        "probes.hasty" => case.patience(|live, _| 30_u64.div_ceil(live)),
        "account.token" => case.token(),
        "labels.standard" => Ok(case.standard_labels()),
        "labels.managed-by" => Ok(vec![case.label(
            "app.kubernetes.io/managed-by",
            "Helm",
            "{{ .Release.Service }}",
        )]),
        "upgrade.recreate" => case.strategy("RollingUpdate"),
        "storage.rolling-claim" => case.strategy("Recreate"),
        "upgrade.grace-period" => case.at_path(json!(30)),
        "upgrade.cron-overlap" => case.absent(&["spec", "concurrencyPolicy"], json!("Forbid")),
        "upgrade.hook-history" => {
            let policy = json!("before-hook-creation,hook-succeeded");
            case.absent(
                &["metadata", "annotations", "helm.sh/hook-delete-policy"],
                policy,
            )
        }
        "upgrade.budget" => return Remedy::Budget,
        _ => Err(finding.rule.remedy.to_owned()),
    };
    found.map_or_else(Remedy::ByHand, Remedy::Fields)
}

fn by_hand(why: impl Into<String>) -> Remedy {
    Remedy::ByHand(why.into())
}

/// The fields, or why there are none.
type Fields = Result<Vec<RemedyField>, String>;

fn field<S: AsRef<str>>(path: impl IntoIterator<Item = S>, value: Value) -> RemedyField {
    RemedyField {
        path: path
            .into_iter()
            .map(|step| step.as_ref().to_owned())
            .collect(),
        value,
        action: None,
    }
}

/// A field by its keys below a path.
fn below(path: &[String], keys: &[&str], value: Value) -> RemedyField {
    field(
        path.iter().map(String::as_str).chain(keys.iter().copied()),
        value,
    )
}

/// Why nothing is written over a value.
fn chosen(name: &str) -> String {
    format!("`{name}` has a value that somebody chose")
}

impl<'a> Case<'a> {
    fn at_path(&self, value: Value) -> Fields {
        Ok(vec![field(self.path, value)])
    }

    /// A field that has no value yet.
    fn absent(&self, path: &[&str], value: Value) -> Fields {
        match value_at(self.object.json, path) {
            Some(given) if !given.is_null() => {
                Err(chosen(path.last().copied().unwrap_or_default()))
            }
            _ => Ok(vec![field(path, value)]),
        }
    }

    fn pod(&self) -> Result<&PodView<'a>, String> {
        self.object
            .pod
            .as_ref()
            .ok_or_else(|| "the object has no pod".to_owned())
    }

    /// The container that the finding is about, with the keys that lead to it.
    fn container(&self) -> Result<(&ContainerView<'a>, Vec<String>), String> {
        let containers = self.pod()?.containers.iter();
        let mut with_paths = containers.map(|container| {
            let path = container.path.split('/').skip(1).map(str::to_owned);
            (container, path.collect::<Vec<_>>())
        });
        let found = with_paths.find(|(_, path)| self.path.starts_with(path));
        found.ok_or_else(|| "the finding is about no container".to_owned())
    }

    /// The path of the pod's spec.
    fn of_pod(&self) -> Result<Vec<String>, String> {
        let spec = self.pod()?.at("");
        Ok(spec.split('/').skip(1).map(str::to_owned).collect())
    }

    /// A figure, or what the constraint allows if that is less.
    fn capped(&self, figure: &str, most: &Option<String>) -> Value {
        let lower = most.as_deref().filter(|most| {
            thousandths(most)
                .zip(thousandths(figure))
                .is_some_and(|(most, figure)| most < figure)
        });
        json!(lower.unwrap_or(figure))
    }

    /// At least twice what the container requests.
    fn memory_limit(&self) -> Fields {
        const MEBIBYTE: f64 = 1_048_576e3;
        let (container, _) = self.container()?;
        let given = self.capped(&self.figures.memory_limit, &self.config.max_memory);
        let least = amount(container, "requests", "memory").map(|request| 2.0 * request);
        let most = given.as_str().and_then(thousandths);
        match least.zip(most) {
            Some((least, most)) if least > most => {
                self.at_path(json!(format!("{}Mi", (least / MEBIBYTE).ceil())))
            }
            _ => self.at_path(given),
        }
    }

    fn requests(&self) -> Vec<RemedyField> {
        let (cpu, memory) = (&self.figures.cpu_request, &self.figures.memory_request);
        vec![
            below(
                self.path,
                &["requests", "cpu"],
                self.capped(cpu, &self.config.max_cpu),
            ),
            below(
                self.path,
                &["requests", "memory"],
                self.capped(memory, &self.config.max_memory),
            ),
        ]
    }

    fn label(&self, key: &str, value: &str, action: &'static str) -> RemedyField {
        RemedyField {
            action: Some(action),
            ..field(["metadata", "labels", key], json!(value))
        }
    }

    fn standard_labels(&self) -> Vec<RemedyField> {
        let metadata = &self.facts.metadata;
        let text = |key: &str| metadata[key].as_str().unwrap_or_default();
        let chart = format!("{}-{}", text("name"), text("version").replace('+', "_"));
        let all = [
            self.label("app.kubernetes.io/name", text("name"), "{{ .Chart.Name }}"),
            self.label(
                "app.kubernetes.io/instance",
                &self.facts.release,
                "{{ .Release.Name }}",
            ),
            self.label(
                "helm.sh/chart",
                &chart,
                "{{ printf \"%s-%s\" .Chart.Name .Chart.Version | replace \"+\" \"_\" }}",
            ),
        ];
        let given = texts(&self.object.json["metadata"]["labels"]);
        let missing = all
            .into_iter()
            .filter(|label| !given.contains_key(label.path[2].as_str()));
        missing.collect()
    }

    fn strategy(&self, kind: &str) -> Fields {
        let has_host_port = self.pod()?.containers.iter().any(|container| {
            list(&container.json["ports"])
                .iter()
                .any(|port| !port["hostPort"].is_null())
        });
        let strategy = &self.object.spec()["strategy"];
        if has_host_port || !strategy["rollingUpdate"].is_null() {
            return Err("somebody chose how the pods are replaced".to_owned());
        }
        Ok(vec![field(["spec", "strategy", "type"], json!(kind))])
    }
}
