//! Namespaces in questions: whether they are there, and when a name means what is in a namespace and not an object.

use super::draft::QuestionDraft;
use super::facts::FactRow;
use super::kind::AskedKind;
use super::question::{AskedFor, AskedScope, AskedState, NameAsked, Question};
use super::snapshot::ClusterSnapshot;
use super::unclear::Unclear;

impl Question {
    /// A namespace that is not there has no pods, and that is no answer.
    pub(super) fn place_is_there(&self, namespaces: &[String]) -> Result<(), Unclear> {
        match &self.scope {
            AskedScope::Namespace(name) if !namespaces.contains(name) => {
                let near = crate::error::suggest(name, namespaces.iter().map(String::as_str));
                Err(Unclear::no_such("namespace", name, "the cluster", near))
            }
            _ => Ok(()),
        }
    }

    /// `logs of shop`: a name without a kind that is a namespace's, and means no object where the question looks, means what
    /// is in the namespace. `what is wrong with shop` does so for a namespace of the project even if an object has its name,
    /// for what is wrong with that is in it.
    ///
    /// # Errors
    /// Two places.
    pub(super) fn placed(mut self, snapshot: &ClusterSnapshot) -> Result<Self, Unclear> {
        if self.asked == AskedFor::Describe && self.scope == AskedScope::Project {
            let is_node = |name: &NameAsked| {
                let kinds = [None, Some(AskedKind::Node)];
                kinds.contains(&name.kind)
                    && snapshot.find(AskedKind::Node, "", &name.text).is_some()
            };
            // What is on a node is of all namespaces.
            if self.names.iter().any(is_node) {
                self.scope = AskedScope::Everywhere;
                return Ok(self);
            }
        }
        let Some(at) = self
            .names
            .iter()
            .position(|name| self.is_place(name, snapshot))
        else {
            return Ok(self);
        };
        let name = self.names.remove(at).text;
        match &self.scope {
            AskedScope::Project => {}
            AskedScope::Namespace(other) if *other == name => {}
            _ => return Err(Unclear::twice("namespaces")),
        }
        self.scope = AskedScope::Namespace(name);
        if self.names.is_empty() && self.kinds.is_empty() {
            self.kinds = match self.asked {
                AskedFor::Logs | AskedFor::Check => vec![AskedKind::Pod],
                AskedFor::Fact(fact) => FactRow::of(fact)
                    .map(FactRow::default_kinds)
                    .unwrap_or_default(),
                _ => vec![],
            };
        }
        self.check()?;
        self.placed(snapshot)
    }

    fn is_place(&self, name: &NameAsked, snapshot: &ClusterSnapshot) -> bool {
        let is_namespace = snapshot
            .find(AskedKind::Namespace, "", &name.text)
            .is_some();
        if name.kind.is_some() || !is_namespace || self.refers.is_some() {
            return false;
        }
        let is_own = snapshot.project.namespaces.contains(&name.text);
        let is_wrong = is_own && self.asked == AskedFor::Why && self.conditions.is_empty();
        let of_namespace = match self.asked {
            // The Namespace itself has these.
            AskedFor::Fact(fact) => FactRow::is_of(fact, AskedKind::Namespace),
            AskedFor::Talks | AskedFor::Cluster | AskedFor::Help => true,
            AskedFor::Check => self.conditions.is_empty(),
            _ => false,
        };
        // Several that fit are told as such.
        let is_other = || !matches!(self.resolve_object(name, snapshot), Ok(None));
        is_wrong || (!of_namespace && !is_other())
    }
}

impl QuestionDraft {
    /// `labels of namespace shop`, `is namespace shop terminating`: the Namespace itself, not what is in it.
    pub(super) fn namespace_itself(&mut self, asked: AskedFor) {
        use AskedState::{Active, Terminating};
        let is_alone = self.is_of_namespace && self.kinds.is_empty() && self.names.is_empty();
        let is_its = match asked {
            AskedFor::Fact(fact) => FactRow::is_of(fact, AskedKind::Namespace),
            AskedFor::Check => self
                .states()
                .all(|state| matches!(state, Active | Terminating)),
            _ => false,
        };
        if let (true, Some(AskedScope::Namespace(name))) = (is_alone && is_its, &self.scope) {
            self.names.push(NameAsked {
                kind: Some(AskedKind::Namespace),
                text: name.clone(),
            });
            self.scope = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use serde_json::{Value, json};

    use super::super::snapshot::AskedProject;
    use super::super::{AskReply, reply};
    use super::*;

    fn object(namespace: &str, name: &str) -> Value {
        json!({"metadata": {"namespace": namespace, "name": name}, "spec": {"replicas": 0}})
    }

    /// Project `shop` with Deployment `shop-api` and ConfigMap `shop`, beside namespaces of others.
    fn understood(text: &str) -> String {
        let project = AskedProject {
            namespace: "shop".to_owned(),
            namespaces: ["shop".to_owned()].into(),
            releases: ["shop".to_owned()].into_iter().collect(),
            ..AskedProject::default()
        };
        let now = "2026-03-04T12:00:00Z".parse().unwrap();
        let mut snapshot = ClusterSnapshot::new(project, now, TimeZone::UTC);
        for kind in AskedKind::all() {
            snapshot.add(kind.plural(), vec![]);
        }
        let namespaces = ["shop", "api", "batch"].map(|name| json!({"metadata": {"name": name}}));
        snapshot.add("namespaces", namespaces.to_vec());
        snapshot.add(
            "deployments",
            vec![object("shop", "shop-api"), object("batch", "importer")],
        );
        snapshot.add("configmaps", vec![object("shop", "shop")]);
        match reply(text, &snapshot) {
            Ok(AskReply::AskAnswer(answer)) => answer.understood,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_namespace_by_its_name_is_what_is_in_it_unless_the_name_means_an_object() {
        for (text, place) in [
            ("what is wrong with batch", "batch"),
            ("deployments of batch", "batch"),
            ("is batch ready", "batch"),
            ("what changed in batch", "batch"),
            ("what is wrong with shop", "shop"),
        ] {
            let end = format!("in namespace `{place}`");
            assert!(
                understood(text).ends_with(&end),
                "{text}: {}",
                understood(text)
            );
            assert!(
                !understood(text).contains(&format!(": `{place}`")),
                "{text}"
            );
        }
        // Somebody else's namespace is called as the project's own Deployment is.
        for text in ["what is wrong with api", "is api ready", "describe api"] {
            let understood = understood(text);
            assert!(understood.contains("`api`, "), "{text}: {understood}");
            assert!(
                understood.ends_with("in namespace `shop`"),
                "{text}: {understood}"
            );
        }
        assert!(understood("describe shop").contains("`shop`, in namespace `shop`"));
        assert!(understood("labels of namespace batch").contains("Namespace `batch`"));
    }
}
