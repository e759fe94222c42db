//! One object as the API server told it, and what is read of it in many places.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::Selector;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::kind::AskedKind;
pub(super) use crate::release::pods::list as items;

/// An object of a snapshot.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeenObject<'a> {
    pub(super) kind: AskedKind,
    pub(super) value: &'a Value,
}

/// A text of a value; empty if there is none. Numbers and booleans are written out.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A map of texts.
pub(super) fn texts(value: &Value) -> BTreeMap<String, String> {
    let entries = value.as_object().into_iter().flatten();
    entries
        .map(|(key, value)| (key.clone(), text(value)))
        .collect()
}

impl<'a> SeenObject<'a> {
    pub(super) fn name(&self) -> &'a str {
        self.value["metadata"]["name"].as_str().unwrap_or_default()
    }

    pub(super) fn namespace(&self) -> &'a str {
        self.value["metadata"]["namespace"]
            .as_str()
            .unwrap_or_default()
    }

    pub(super) fn spec(&self) -> &'a Value {
        &self.value["spec"]
    }

    pub(super) fn status(&self) -> &'a Value {
        &self.value["status"]
    }

    pub(super) fn labels(&self) -> BTreeMap<String, String> {
        texts(&self.value["metadata"]["labels"])
    }

    pub(super) fn created(&self) -> Option<Timestamp> {
        moment(&self.value["metadata"]["creationTimestamp"])
    }

    pub(super) fn is_terminating(&self) -> bool {
        self.value["metadata"]["deletionTimestamp"].is_string()
    }

    /// `Deployment shop/api`.
    pub(super) fn title(&self) -> String {
        match self.namespace() {
            "" => format!("{} {}", self.kind.name(), self.name()),
            namespace => format!("{} {namespace}/{}", self.kind.name(), self.name()),
        }
    }

    /// ``Deployment `api` ``, for a sentence.
    pub(super) fn called(&self) -> String {
        format!("{} `{}`", self.kind.name(), self.name())
    }

    /// Whether both are one object of one snapshot.
    pub(super) fn same(&self, other: &SeenObject<'_>) -> bool {
        std::ptr::eq(self.value, other.value)
    }

    /// What an event says, in one line.
    pub(super) fn message(&self) -> String {
        text(&self.value["message"]).replace('\n', " ")
    }

    /// A condition of its status, by type.
    pub(super) fn condition(&self, of: &str) -> Option<&'a Value> {
        items(&self.status()["conditions"]).find(|condition| condition["type"] == of)
    }

    pub(super) fn is(&self, condition: &str) -> bool {
        self.condition(condition)
            .is_some_and(|found| found["status"] == "True")
    }

    /// The condition with which a Job ended.
    pub(super) fn end(&self) -> Option<&'a Value> {
        let end = ["Complete", "Failed"].into_iter().find(|end| self.is(end));
        self.condition(end?)
    }

    /// The owner that controls it: kind and name.
    pub(super) fn controller(&self) -> Option<(&'a str, &'a str)> {
        let owner = items(&self.value["metadata"]["ownerReferences"])
            .find(|owner| owner["controller"] == true)?;
        Some((owner["kind"].as_str()?, owner["name"].as_str()?))
    }

    /// The pod spec of a pod, or of what makes pods.
    pub(super) fn pod_spec(&self) -> &'a Value {
        match self.kind {
            AskedKind::Pod => self.spec(),
            AskedKind::CronJob => &self.spec()["jobTemplate"]["spec"]["template"]["spec"],
            _ => &self.spec()["template"]["spec"],
        }
    }

    /// The labels of its pods.
    pub(super) fn pod_labels(&self) -> BTreeMap<String, String> {
        texts(match self.kind {
            AskedKind::Pod => &self.value["metadata"]["labels"],
            AskedKind::CronJob => {
                &self.spec()["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
            }
            _ => &self.spec()["template"]["metadata"]["labels"],
        })
    }

    /// The containers, init containers first.
    pub(super) fn containers(&self) -> impl Iterator<Item = &'a Value> + use<'a> {
        let spec = self.pod_spec();
        items(&spec["initContainers"]).chain(items(&spec["containers"]))
    }

    /// The images of its containers.
    pub(super) fn images(&self) -> String {
        let images: Vec<_> = self.containers().map(|one| text(&one["image"])).collect();
        images.join(", ")
    }

    /// The state of the containers of a pod, init containers first.
    pub(super) fn container_statuses(&self) -> impl Iterator<Item = &'a Value> + use<'a> {
        let status = self.status();
        items(&status["initContainerStatuses"]).chain(items(&status["containerStatuses"]))
    }

    pub(super) fn restarts(&self) -> i64 {
        self.container_statuses()
            .filter_map(|status| status["restartCount"].as_i64())
            .sum()
    }

    /// The object as a type of the API; None if it does not fit, which only an object of another version does.
    pub(super) fn typed<K: DeserializeOwned>(&self) -> Option<K> {
        K::deserialize(self.value).ok()
    }
}

/// A time of the API.
pub(super) fn moment(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

/// A label selector of the API. An empty one chooses everything; none, and one that devk does not know, nothing.
pub(super) fn selector(value: &Value) -> Option<Selector> {
    LabelSelector::deserialize(value).ok()?.try_into().ok()
}

/// `app=web,tier=front`, expressions in words.
pub(super) fn selector_text(selector: &Value) -> String {
    let exact = texts(&selector["matchLabels"])
        .into_iter()
        .map(|(key, value)| format!("{key}={value}"));
    let expressions = items(&selector["matchExpressions"]).map(|one| {
        let values: Vec<_> = items(&one["values"]).map(text).collect();
        format!(
            "{} {} {}",
            text(&one["key"]),
            text(&one["operator"]),
            values.join("|")
        )
        .trim()
        .to_owned()
    });
    exact.chain(expressions).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use kube::core::SelectorExt;
    use serde_json::json;

    use super::*;

    fn selects(value: &Value, labels: &BTreeMap<String, String>) -> bool {
        selector(value).is_some_and(|selector| selector.matches(labels))
    }

    #[test]
    fn a_selector_chooses_by_labels_and_expressions() {
        let labels = texts(&json!({"app": "web", "tier": "front"}));
        assert!(selects(&json!({"matchLabels": {"app": "web"}}), &labels));
        assert!(selects(&json!({}), &labels));
        assert!(!selects(&Value::Null, &labels));
        let expression = |operator: &str, key: &str| json!({"matchExpressions": [{"key": key, "operator": operator, "values": ["web"]}]});
        assert!(selects(&expression("In", "app"), &labels));
        assert!(!selects(&expression("NotIn", "app"), &labels));
        assert!(selects(&expression("Exists", "tier"), &labels));
        assert!(selects(&expression("DoesNotExist", "zone"), &labels));
        assert!(!selects(&expression("Resembles", "app"), &labels));
        assert_eq!(selector_text(&expression("In", "app")), "app In web");
    }
}
