//! The plan of a change: steps of a closed set of verbs on named objects.
//!
//! As JSON:
//!
//! ```json
//! {"version": 1, "steps": [
//!   {"verb": "scale", "object": {"kind": "Deployment", "namespace": "shop", "name": "web"}, "replicas": 3},
//!   {"verb": "delete", "object": {"kind": "Pod", "namespace": "shop", "name": "web-1"}, "reason": "it hangs"}
//! ]}
//! ```
//!
//! [`read_plan`](super::read_plan) reads that form with all its problems; serde writes it. No field holds a command, a
//! selector, a pattern or a file: a step names one object, and what becomes of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::kind::ObjectKind;

/// The version of the form.
pub const PLAN_VERSION: u64 = 1;
/// A longer text is refused before it is read.
pub const MOST_BYTES: usize = 1024 * 1024;
/// A plan of more steps is refused: it is to be read as a whole before it is approved.
pub const MOST_STEPS: usize = 40;
/// More replicas are refused: it is one machine.
pub const MOST_REPLICAS: u32 = 100;

/// What is to be done, in this order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChangePlan {
    pub steps: Vec<ChangeStep>,
}

/// One change of one object.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeStep {
    pub object: ObjectName,
    pub action: ChangeAction,
    /// Why, in the words of whoever made the plan. It is shown and changes nothing.
    pub reason: Option<String>,
}

/// One object of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ObjectName {
    pub kind: ObjectKind,
    /// None for an object that is in no namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    pub name: String,
}

/// What becomes of the object. The variant is the step's `verb`, its fields are further keys of the step.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub enum ChangeAction {
    /// Other counts of replicas.
    Scale(Scale),
    /// New pods from the same template.
    Restart(Restart),
    /// The template of an earlier revision.
    RollBack(RollBack),
    /// Another image of a container.
    SetImage(SetImage),
    /// Environment variables of a container.
    SetEnv(SetEnv),
    /// Requests and limits of a container.
    SetResources(SetResources),
    /// A strategic merge patch of fields that may be patched.
    Patch(PatchFields),
    /// Labels of the object itself.
    Label(SetLabels),
    /// An object that is not there.
    Create(Create),
    /// The object goes.
    Delete(Delete),
    /// A Service for the pods of a workload.
    Expose(Expose),
}

/// To which count: a number, or a text of one of the forms of [`ReplicaCount`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    pub replicas: ReplicaCount,
}

/// A count of replicas, absolute or relative to the one that the object has: `3`, `"+2"`, `"-1"`, `"150%"`, `"x2"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicaCount {
    Exactly(u32),
    More(u32),
    Fewer(u32),
    /// Of the present count, rounded up.
    Percent(u32),
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restart {}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollBack {
    /// As `kubectl rollout history` counts them; without it the one before the present one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetImage {
    /// Not needed where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// A reference; one that begins with `:` is another tag of the image that the container has.
    pub image: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetEnv {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    /// Variables that go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unset: Vec<String>,
}

/// Quantities by `cpu`, `memory` and `ephemeral-storage`; what is not named stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetResources {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, String>,
}

/// Lists of containers, ports and variables are merged by their names, as `kubectl patch` does; null removes a field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchFields {
    pub patch: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetLabels {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unset: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Create {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The manifest but for `apiVersion`, `kind` and `metadata`: `spec`, `data`, `rules`, …
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub body: Map<String, Value>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delete {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expose {
    pub port: u16,
    /// The container's port by number; the same as `port` without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_port: Option<u16>,
    /// The Service's name; the workload's without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

impl ChangeStep {
    /// The object that the step writes: its own, or the Service of an `expose`.
    pub(super) fn target(&self) -> ObjectName {
        match &self.action {
            ChangeAction::Expose(expose) => ObjectName {
                kind: ObjectKind::Service,
                namespace: self.object.namespace.clone(),
                name: match &expose.service {
                    Some(service) => service.clone(),
                    None => self.object.name.clone(),
                },
            },
            _ => self.object.clone(),
        }
    }

    /// Whether one of two steps writes an object that the other writes or goes by. The preview shows each step on the
    /// objects as they are, so the second of the two would do something else than it shows.
    pub(super) fn clashes_with(&self, other: &Self) -> bool {
        let (own, others) = (self.target(), other.target());
        own == others || own == other.object || others == self.object
    }
}

impl ChangePlan {
    /// Two steps that do not go into one plan, as a sentence that names both: those with an earlier step that
    /// [clash](ChangeStep::clashes_with) with the step at a place.
    pub(super) fn clash(steps: &[Option<&ChangeStep>], at: usize) -> Option<String> {
        let step = (*steps.get(at)?)?;
        let earlier = steps.iter().take(at).enumerate();
        let (first, other) = earlier
            .filter_map(|(first, other)| Some((first, (*other)?)))
            .find(|(_, other)| step.clashes_with(other))?;
        let said = |at: usize, step: &ChangeStep| {
            format!(
                "step {}, `{}` of {}",
                at + 1,
                step.action.verb(),
                step.object
            )
        };
        Some(format!(
            "{}, and {} write the same object, or one that the other goes by",
            said(first, other),
            said(at, step)
        ))
    }
}

/// What to do about a clash.
pub(super) const OF_CLASH: &str =
    "a plan shows what each step changes as things are now: say it in one step, or in two plans";

impl ChangeAction {
    /// Every verb, as plans have it.
    pub const VERBS: &'static [&'static str] = &[
        "scale",
        "restart",
        "roll-back",
        "set-image",
        "set-env",
        "set-resources",
        "patch",
        "label",
        "create",
        "delete",
        "expose",
    ];

    /// As plans have it: `roll-back`.
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Scale(_) => "scale",
            Self::Restart(_) => "restart",
            Self::RollBack(_) => "roll-back",
            Self::SetImage(_) => "set-image",
            Self::SetEnv(_) => "set-env",
            Self::SetResources(_) => "set-resources",
            Self::Patch(_) => "patch",
            Self::Label(_) => "label",
            Self::Create(_) => "create",
            Self::Delete(_) => "delete",
            Self::Expose(_) => "expose",
        }
    }
}

impl ReplicaCount {
    /// The count that comes of the present one; None beyond [`MOST_REPLICAS`] or below zero.
    pub fn of(self, present: u32) -> Option<u32> {
        let count = match self {
            Self::Exactly(count) => Some(count),
            Self::More(more) => present.checked_add(more),
            Self::Fewer(fewer) => present.checked_sub(fewer),
            Self::Percent(percent) => present
                .checked_mul(percent)
                .map(|hundredths| hundredths.div_ceil(100)),
        };
        count.filter(|count| *count <= MOST_REPLICAS)
    }

    /// The count of a text; None if it has none of the forms.
    pub fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| -> Option<u32> {
            let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            is_number.then(|| text.parse().ok())?
        };
        if let Some(more) = text.strip_prefix('+') {
            return number(more).map(Self::More);
        }
        if let Some(fewer) = text.strip_prefix(['-', '−']) {
            return number(fewer).map(Self::Fewer);
        }
        if let Some(percent) = text.strip_suffix('%') {
            return number(percent).map(Self::Percent);
        }
        if let Some(times) = text.strip_prefix(['x', '×']) {
            return number(times)?.checked_mul(100).map(Self::Percent);
        }
        number(text).map(Self::Exactly)
    }
}

impl std::fmt::Display for ReplicaCount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exactly(count) => write!(f, "{count}"),
            Self::More(more) => write!(f, "+{more}"),
            Self::Fewer(fewer) => write!(f, "-{fewer}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl Serialize for ReplicaCount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Exactly(count) => serializer.serialize_u32(*count),
            relative => serializer.collect_str(relative),
        }
    }
}

impl<'de> Deserialize<'de> for ReplicaCount {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || {
            serde::de::Error::custom(
                "a count of replicas is a number, or a text like `+2`, `-1`, `150%` or `x2`",
            )
        };
        match Value::deserialize(deserializer)? {
            Value::Number(number) => {
                let count = number.as_u64().and_then(|count| u32::try_from(count).ok());
                count.map(Self::Exactly).ok_or_else(wrong)
            }
            Value::String(text) => Self::parse(&text).ok_or_else(wrong),
            _ => Err(wrong()),
        }
    }
}

/// The form that [`read_plan`](super::read_plan) reads.
impl Serialize for ChangePlan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Form<'a> {
            version: u64,
            steps: &'a [ChangeStep],
        }
        let form = Form {
            version: PLAN_VERSION,
            steps: &self.steps,
        };
        form.serialize(serializer)
    }
}

impl Serialize for ChangeStep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Form<'a> {
            #[serde(flatten)]
            action: &'a ChangeAction,
            object: &'a ObjectName,
            #[serde(skip_serializing_if = "Option::is_none")]
            reason: Option<&'a str>,
        }
        let form = Form {
            action: &self.action,
            object: &self.object,
            reason: self.reason.as_deref(),
        };
        form.serialize(serializer)
    }
}

impl std::fmt::Display for ObjectName {
    /// `deployment/web`, with the kind as a command has it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.kind.word(), self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_of_replicas_is_absolute_or_relative() {
        let of =
            |text: &str, present| ReplicaCount::parse(text).and_then(|count| count.of(present));
        assert_eq!(of("3", 1), Some(3));
        assert_eq!(of("+2", 1), Some(3));
        assert_eq!(of("-1", 3), Some(2));
        assert_eq!(of("150%", 3), Some(5));
        assert_eq!(of("x2", 3), Some(6));
        assert_eq!(of("×2", 3), Some(6));
        assert_eq!(of("0", 3), Some(0));
    }

    #[test]
    fn a_count_beyond_the_machine_or_below_zero_is_none() {
        let of =
            |text: &str, present| ReplicaCount::parse(text).and_then(|count| count.of(present));
        for text in [
            "101",
            "99999999999",
            "-4",
            "x4294967295",
            "4294967295%",
            "+4294967295",
        ] {
            assert_eq!(of(text, 3), None, "{text}");
        }
        for text in [
            "", "+", "%", "x", "-x", "1.5", "1e9", " 3", "3 ", "+-1", "٣",
        ] {
            assert_eq!(ReplicaCount::parse(text), None, "{text}");
        }
    }
}
