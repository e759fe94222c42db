//! What a request for a change says beyond its verb and names: variables, resources, labels, an image, bounds. And what is to be
//! made from it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::pattern::{Slot, fit};
use super::tokens::QuestionWord;
use crate::change::kind::ObjectKind;
use crate::change::plan::{ChangeAction, Create, ObjectName, PatchFields, SetEnv, SetResources};
use crate::quantity::thousandths;

/// Of which part of a container's resources the next value is: `memory`, and whether it is a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Resource {
    unit: &'static str,
    is_limit: bool,
}

/// The values of a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct WishValues {
    /// `KEY=VALUE`, of which there may be several.
    pairs: BTreeMap<String, String>,
    requests: BTreeMap<String, String>,
    limits: BTreeMap<String, String>,
    image: Option<String>,
    bounds: Option<(i64, i64)>,
    /// Percent of the requested cpu.
    cpu: Option<i64>,
    next: Option<Resource>,
}

/// An object that is not there yet.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Making {
    /// A pod of that name; it is no name of an object that is there.
    Pod(Create),
    /// An HPA for a workload.
    Autoscaler(Bounds),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    least: i64,
    most: i64,
    cpu: i64,
}

impl WishValues {
    /// How many words a value takes here; None if none stands here.
    pub(super) fn take(&mut self, words: &[QuestionWord]) -> Option<usize> {
        let first = words.first()?;
        if let Some((key, value)) = first.text.split_once('=').filter(|_| first.is_label()) {
            let is_new = self
                .pairs
                .insert(key.to_owned(), value.to_owned())
                .is_none();
            return (is_new && !key.is_empty()).then_some(1);
        }
        if let Some((count, _)) = fit(
            "[the] [a] memory|ram|cpu limit|limits|request|requests [of]",
            words,
        ) {
            // Of two resources with one amount, none is meant alone.
            if self.next.is_some() {
                return None;
            }
            let has = |known: &[&str]| {
                let mut taken = words[..count].iter();
                taken.any(|word| known.contains(&word.lower.as_str()))
            };
            self.next = Some(Resource {
                unit: if has(&["cpu"]) { "cpu" } else { "memory" },
                is_limit: has(&["limit", "limits"]),
            });
            let taken = words.get(count).is_some_and(|word| self.amount(&word.text));
            return Some(count + usize::from(taken));
        }
        let image = fit("[the] image {word}", words).filter(|_| self.image.is_none());
        if let Some((count, slots)) = image {
            self.image = slots.into_iter().find_map(|slot| match slot {
                Slot::Word(image) => Some(image),
                _ => None,
            });
            return Some(count);
        }
        let bounds = fit(
            "from|between {number} to|and {number} [replicas|pods|replica|pod]",
            words,
        );
        if let Some((count, slots)) = bounds.filter(|_| self.bounds.is_none())
            && let [Slot::Number(least), Slot::Number(most)] = slots[..]
        {
            self.bounds = Some((least, most));
            return Some(count);
        }
        if let (Some((count, _)), Some(share)) = (fit("at {word}", words), words.get(1)) {
            let percent = share.text.strip_suffix('%')?.parse().ok()?;
            let is_new = self.cpu.replace(percent).is_none();
            let cpu = fit("[of] cpu", &words[count..]).map_or(0, |(count, _)| count);
            return is_new.then_some(count + cpu);
        }
        None
    }

    /// `to 128Mi`, of the resource that was named.
    pub(super) fn amount(&mut self, text: &str) -> bool {
        let Some(next) = self.next.filter(|_| {
            text.starts_with(|c: char| c.is_ascii_digit()) && thousandths(text).is_some()
        }) else {
            return false;
        };
        let all = match next.is_limit {
            true => &mut self.limits,
            false => &mut self.requests,
        };
        self.next = None;
        all.insert(next.unit.to_owned(), text.to_owned()).is_none()
    }

    /// The keys of pairs without a capital letter, as variables seldom are and labels are.
    pub(super) fn small_keys(&self) -> Vec<String> {
        let small = |key: &&String| !key.chars().any(char::is_uppercase);
        self.pairs.keys().filter(small).cloned().collect()
    }

    /// Whether nothing but these was said.
    fn only(&self, has: Self) -> bool {
        *self == has
    }

    /// The pairs, if there are some and nothing else.
    fn only_pairs(&self) -> Option<&BTreeMap<String, String>> {
        let is_only = self.only(Self {
            pairs: self.pairs.clone(),
            ..Self::default()
        });
        (is_only && !self.pairs.is_empty()).then_some(&self.pairs)
    }

    pub(super) fn env(&self) -> Option<ChangeAction> {
        let set = self.only_pairs()?.clone();
        Some(ChangeAction::SetEnv(SetEnv {
            container: None,
            set,
            unset: vec![],
        }))
    }

    pub(super) fn resources(&self) -> Option<ChangeAction> {
        let is_only = self.only(Self {
            requests: self.requests.clone(),
            limits: self.limits.clone(),
            ..Self::default()
        });
        let has_some = !self.requests.is_empty() || !self.limits.is_empty();
        (is_only && has_some).then(|| {
            ChangeAction::SetResources(SetResources {
                container: None,
                requests: self.requests.clone(),
                limits: self.limits.clone(),
            })
        })
    }

    /// The Service chooses pods with these labels; other labels that it asks for stay.
    pub(super) fn selector(&self) -> Option<ChangeAction> {
        let patch = map(json!({"spec": {"selector": self.only_pairs()?}}));
        Some(ChangeAction::Patch(PatchFields { patch }))
    }

    pub(super) fn autoscaler(&self) -> Option<Making> {
        let (least, most) = self.bounds?;
        let is_only = self.only(Self {
            bounds: self.bounds,
            cpu: self.cpu,
            ..Self::default()
        });
        (is_only && least > 0).then_some(Making::Autoscaler(Bounds {
            least,
            most,
            cpu: self.cpu?,
        }))
    }

    pub(super) fn pod(&self, name: &str) -> Option<Making> {
        let is_only = self.only(Self {
            image: self.image.clone(),
            requests: self.requests.clone(),
            limits: self.limits.clone(),
            ..Self::default()
        });
        let mut container = json!({"name": name, "image": self.image.as_ref()?});
        for (part, amounts) in [("requests", &self.requests), ("limits", &self.limits)] {
            if !amounts.is_empty() {
                container["resources"][part] = json!(amounts);
            }
        }
        is_only.then(|| {
            Making::Pod(Create {
                labels: BTreeMap::from([("app".to_owned(), name.to_owned())]),
                body: map(json!({"spec": {"containers": [container]}})),
            })
        })
    }
}

impl Bounds {
    /// The HPA of a workload, and how it is made.
    pub(super) fn of(self, target: &ObjectName) -> (ObjectName, ChangeAction) {
        let utilization = json!({"type": "Utilization", "averageUtilization": self.cpu});
        let body = map(json!({"spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": target.kind.name(), "name": target.name},
            "minReplicas": self.least,
            "maxReplicas": self.most,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": utilization}}],
        }}));
        let create = Create {
            labels: BTreeMap::new(),
            body,
        };
        let object = ObjectName {
            kind: ObjectKind::HorizontalPodAutoscaler,
            ..target.clone()
        };
        (object, ChangeAction::Create(create))
    }
}

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
