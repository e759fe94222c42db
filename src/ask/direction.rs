//! The direction that a request says beside its amount: `scale down web to 5`, `raise the memory limit of web to 1Gi`. It is
//! compared with what is there, so that no plan does the opposite of the words. Pure.

use std::cmp::Ordering;

use super::object::{SeenObject, items, text};
use super::tokens::QuestionWord;
use super::unclear::Unclear;
use crate::change::plan::{ChangeAction, SetResources};
use crate::quantity::thousandths;

/// More or less than there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AskedDirection {
    More,
    Less,
}

impl AskedDirection {
    /// That of a word of a verb.
    pub(super) fn called(word: &str) -> Option<Self> {
        match word {
            "up" | "out" | "raise" | "increase" => Some(Self::More),
            "down" | "in" | "lower" | "decrease" | "reduce" => Some(Self::Less),
            _ => None,
        }
    }

    /// That of a word behind the object: `scale web down to 1`.
    pub(super) fn behind(word: &QuestionWord) -> Option<Self> {
        let is_word = !word.is_quoted && matches!(word.lower.as_str(), "up" | "down" | "out");
        is_word.then(|| Self::called(&word.lower))?
    }

    /// Whether an action goes in this direction from what the object has.
    ///
    /// # Errors
    /// What the object has, if the action would do the opposite.
    pub(super) fn agrees(
        self,
        action: &ChangeAction,
        seen: SeenObject<'_>,
        verb: &str,
    ) -> Result<(), Unclear> {
        match action {
            ChangeAction::Scale(scale) => {
                let present = seen.spec()["replicas"].as_u64().unwrap_or(1);
                let present = u32::try_from(present).unwrap_or(u32::MAX);
                let Some(count) = scale.replicas.of(present) else {
                    return Ok(());
                };
                let shown = (present.to_string(), count.to_string());
                self.compare(verb, seen, "replicas", count.cmp(&present), shown)
            }
            ChangeAction::SetResources(set) => self.resources(set, seen, verb),
            _ => Ok(()),
        }
    }

    fn resources(
        self,
        set: &SetResources,
        seen: SeenObject<'_>,
        verb: &str,
    ) -> Result<(), Unclear> {
        let containers = &seen.pod_spec()["containers"];
        // Of several containers the preview asks which is meant.
        let mut containers = items(containers);
        let (Some(container), None) = (containers.next(), containers.next()) else {
            return Ok(());
        };
        let has = &container["resources"];
        for (part, amounts) in [("request", &set.requests), ("limit", &set.limits)] {
            for (resource, amount) in amounts {
                let what = format!("{resource} {part}");
                let request = Some(&has["requests"][resource]).filter(|_| part == "request");
                // What is not requested is requested as it is limited.
                let present = match request {
                    Some(request) if !request.is_null() => request,
                    _ => &has["limits"][resource],
                };
                let old = thousandths(&text(present));
                let (Some(old), Some(new)) = (old, thousandths(amount)) else {
                    self.of_none(verb, seen, &what, part)?;
                    continue;
                };
                let shown = (text(present), amount.clone());
                self.compare(verb, seen, &what, new.total_cmp(&old), shown)?;
            }
        }
        Ok(())
    }

    /// Any limit is less than none, and any request more than none.
    fn of_none(
        self,
        verb: &str,
        seen: SeenObject<'_>,
        what: &str,
        part: &str,
    ) -> Result<(), Unclear> {
        let becomes = if part == "limit" {
            Self::Less
        } else {
            Self::More
        };
        if self == becomes {
            return Ok(());
        }
        let message = format!(
            "{} has no {what}, so there is nothing to {verb}",
            seen.title()
        );
        Err(Unclear::lacking(
            &message,
            &format!("set {what} of {} to …", seen.name()),
        ))
    }

    /// `order` is that of what is asked for to what is there.
    fn compare(
        self,
        verb: &str,
        seen: SeenObject<'_>,
        what: &str,
        order: Ordering,
        (old, new): (String, String),
    ) -> Result<(), Unclear> {
        let word = match (self, order) {
            (Self::More, Ordering::Less) => "less",
            (Self::Less, Ordering::Greater) => "more",
            _ => return Ok(()),
        };
        let message = format!(
            "`{verb}` says the opposite of the amount: {} has {what} {old}, and {new} is {word}",
            seen.title()
        );
        let name = seen.name();
        let instead = match what {
            "replicas" => format!("scale {name} to {new}"),
            _ => format!("set {what} of {name} to {new}"),
        };
        Err(Unclear::lacking(&message, &instead))
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;
    use serde_json::{Value, json};

    use super::super::request::ChangeRequest;
    use super::super::snapshot::{AskedProject, ClusterSnapshot};

    /// Three replicas of web with a limit of memory, and one of bare with none.
    fn snapshot() -> ClusterSnapshot {
        let project = AskedProject {
            namespace: "shop".to_owned(),
            namespaces: ["shop".to_owned()].into(),
            ..AskedProject::default()
        };
        let mut snapshot = ClusterSnapshot::new(project, Timestamp::UNIX_EPOCH, TimeZone::UTC);
        let deployment = |name: &str, replicas: u32, resources: Value| {
            json!({"metadata": {"name": name, "namespace": "shop"}, "spec": {"replicas": replicas,
                "template": {"spec": {"containers": [{"name": "c", "image": "i", "resources": resources}]}}}})
        };
        let limits =
            json!({"limits": {"memory": "512Mi", "cpu": "1"}, "requests": {"cpu": "100m"}});
        snapshot.add(
            "deployments",
            vec![
                deployment("web", 3, limits),
                deployment("bare", 1, json!({})),
            ],
        );
        let namespace = json!({"metadata": {"name": "shop"}});
        snapshot.add("namespaces", vec![namespace]);
        snapshot
    }

    fn planned(text: &str) -> Result<Option<Value>, String> {
        let request = ChangeRequest::of(text).unwrap();
        let planned = request.planned(&snapshot());
        let planned = planned.map_err(|unclear| unclear.to_string())?;
        Ok(planned
            .plan
            .map(|plan| serde_json::to_value(&plan.steps[0]).unwrap()))
    }

    #[test]
    fn no_plan_does_the_opposite_of_the_words() {
        for (text, told) in [
            (
                "scale down web to 5",
                "Deployment shop/web has replicas 3, and 5 is more",
            ),
            ("scale web down to 5", "has replicas 3, and 5 is more"),
            ("scale up web to 2", "has replicas 3, and 2 is less"),
            ("scale web up to 2", "has replicas 3, and 2 is less"),
            ("scale out web to 1", "has replicas 3, and 1 is less"),
            ("scale up web by -1", "has replicas 3, and 2 is less"),
            (
                "raise the memory limit of web to 256Mi",
                "has memory limit 512Mi, and 256Mi is less",
            ),
            (
                "lower the memory limit of web to 1Gi",
                "has memory limit 512Mi, and 1Gi is more",
            ),
            (
                "increase the cpu request of web to 50m",
                "has cpu request 100m, and 50m is less",
            ),
            // What is not requested is requested as it is limited.
            (
                "raise the memory request of web to 128Mi",
                "has memory request 512Mi, and 128Mi is less",
            ),
            (
                "reduce the cpu limit of web to 1500m",
                "has cpu limit 1, and 1500m is more",
            ),
            (
                "raise the memory limit of bare to 1Gi",
                "Deployment shop/bare has no memory limit",
            ),
            (
                "lower the cpu request of bare to 1",
                "Deployment shop/bare has no cpu request",
            ),
        ] {
            let refused = planned(text).unwrap_err();
            assert!(refused.contains(told), "{text}: {refused}");
        }
    }

    #[test]
    fn what_goes_in_the_direction_of_the_words_is_planned() {
        for (text, key, value) in [
            ("scale down web to 1", "replicas", json!(1)),
            ("scale web down to 1", "replicas", json!(1)),
            ("scale web down by 1", "replicas", json!("-1")),
            ("scale web up by 2", "replicas", json!("+2")),
            ("scale up web to 5", "replicas", json!(5)),
            ("scale web to 2", "replicas", json!(2)),
            (
                "raise the memory limit of web to 1Gi",
                "limits",
                json!({"memory": "1Gi"}),
            ),
            (
                "lower the memory limit of bare to 1Gi",
                "limits",
                json!({"memory": "1Gi"}),
            ),
            (
                "increase the cpu request of bare to 1",
                "requests",
                json!({"cpu": "1"}),
            ),
            (
                "set the memory limit of web to 256Mi",
                "limits",
                json!({"memory": "256Mi"}),
            ),
        ] {
            let step = planned(text).unwrap().unwrap();
            assert_eq!(step[key], value, "{text}");
        }
    }

    #[test]
    fn two_directions_are_none() {
        for text in ["scale up web down to 3", "scale web down up to 3"] {
            assert!(planned(text).is_err(), "{text}");
        }
    }
}
