//! A request for a change with the objects that it names: the plan that somebody may preview and approve. Nothing is done.

use std::path::Path;

use serde::Serialize;

use super::kind::AskedKind::{self, Deployment, Service, StatefulSet};
use super::kind::WORKLOADS;
use super::object::SeenObject;
use super::question::{AskedFor, AskedScope, Cut, NameAsked, Question};
use super::request::ChangeRequest;
use super::snapshot::ClusterSnapshot;
use super::unclear::Unclear;
use super::wish::Making;
use crate::change::kind::ObjectKind;
use crate::change::plan::{ChangeAction, ChangePlan, ChangeStep, ObjectName};
use crate::change::read_plan;

/// A request for a change as `devk ask` understood it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedRequest {
    /// As it was typed.
    pub verb: String,
    /// None if devk knows the verb as a change and makes no plan of it.
    pub plan: Option<ChangePlan>,
}

impl ChangeRequest {
    /// Where its objects are.
    pub(super) fn scope(&self) -> AskedScope {
        let namespace = self.namespace.clone();
        namespace.map_or(AskedScope::Project, AskedScope::Namespace)
    }

    /// The plan, with every name resolved to one object.
    ///
    /// # Errors
    /// Words that were not understood; names that mean nothing, or several objects.
    pub(super) fn planned(self, snapshot: &ClusterSnapshot) -> Result<PlannedRequest, Unclear> {
        let scope = self.scope();
        if self.action.is_none() && self.making.is_none() {
            return Ok(PlannedRequest {
                verb: self.verb,
                plan: None,
            });
        }
        if !self.unknown.is_empty() {
            return Err(Unclear::words(&self.unknown, &[], &[]));
        }
        if self.names.is_empty() {
            return Err(Unclear::lacking(
                &format!("`{}` does not say what", self.verb),
                "scale web to 3",
            ));
        }
        let question = Question {
            text: self.verb.clone(),
            asked: AskedFor::Describe,
            kinds: vec![],
            names: self.names.clone(),
            scope,
            refers: None,
            conditions: vec![],
            cut: Cut::default(),
            any: false,
            wants_yes: false,
        };
        question.place_is_there(&snapshot.namespaces())?;
        let project = &snapshot.project.namespace;
        let namespace = self.namespace.as_ref().unwrap_or(project);
        // A name that one object has may be that of another one, too.
        let kinds = self.kinds();
        let mut unread = snapshot.unread.iter();
        if let Some((_, why)) = unread.find(|(kind, _)| kinds.contains(kind)) {
            return Err(Unclear::unread(why));
        }
        let mut steps = vec![];
        for name in &self.names {
            let seen = || one(&question, name, self.verb_of_plan(), &kinds, snapshot);
            let (object, action) = match (&self.making, &self.action) {
                (Some(Making::Pod(create)), _) => {
                    let pod = ObjectName {
                        kind: ObjectKind::Pod,
                        namespace: Some(namespace.clone()),
                        name: name.text.clone(),
                    };
                    (pod, ChangeAction::Create(create.clone()))
                }
                (Some(Making::Autoscaler(bounds)), _) => bounds.of(&object(seen()?)?),
                (None, Some(action)) => {
                    let seen = seen()?;
                    if let Some(direction) = self.direction {
                        direction.agrees(action, seen, &self.verb)?;
                    }
                    (object(seen)?, action.clone())
                }
                (None, None) => return Err(Unclear::empty()),
            };
            steps.push(ChangeStep {
                object,
                action,
                reason: None,
            });
        }
        let plan = ChangePlan { steps };
        check(&plan)?;
        Ok(PlannedRequest {
            verb: self.verb,
            plan: Some(plan),
        })
    }
}

/// A plan of words is read like any other: what no plan may say is refused here, too.
fn check(plan: &ChangePlan) -> Result<(), Unclear> {
    let text = serde_json::to_string(plan).unwrap_or_default();
    match read_plan(&text, Path::new("the plan")) {
        Ok(_) => Ok(()),
        Err(errors) => {
            let told = errors.0.first().map(|error| error.message.clone());
            let told = told.unwrap_or_else(|| "no plan can be made of it".to_owned());
            Err(Unclear::lacking(&told, "scale web to 3"))
        }
    }
}

impl ChangeRequest {
    /// The kinds that such a change is made to; of a name without a kind only these are meant. What is deleted is named with
    /// its kind, unless only one object has the name.
    fn kinds(&self) -> Vec<AskedKind> {
        match &self.action {
            None | Some(ChangeAction::Scale(_)) => vec![Deployment, StatefulSet],
            Some(ChangeAction::Patch(_)) => vec![Service],
            Some(
                ChangeAction::SetImage(_)
                | ChangeAction::Restart(_)
                | ChangeAction::RollBack(_)
                | ChangeAction::SetEnv(_)
                | ChangeAction::SetResources(_),
            ) => WORKLOADS.to_vec(),
            _ => AskedKind::all().collect(),
        }
    }

    fn verb_of_plan(&self) -> &str {
        match &self.action {
            Some(action) => action.verb(),
            None => &self.verb,
        }
    }
}

fn one<'s>(
    question: &Question,
    name: &NameAsked,
    verb: &str,
    kinds: &[AskedKind],
    snapshot: &'s ClusterSnapshot,
) -> Result<SeenObject<'s>, Unclear> {
    let Some(meant) = question.resolve(name, snapshot)? else {
        let only = Question {
            names: vec![name.clone()],
            ..question.clone()
        };
        return Err(only.meant(snapshot).err().unwrap_or_else(Unclear::empty));
    };
    let fitting: Vec<SeenObject<'_>> = meant
        .objects
        .iter()
        .filter(|seen| kinds.contains(&seen.kind))
        .copied()
        .collect();
    match &fitting[..] {
        [] => Err(Unclear::unfitting(
            &format!("`{verb}`"),
            &meant
                .first()
                .map_or_else(|| meant.name.clone(), |seen| seen.title()),
        )),
        [one] => Ok(*one),
        several => Err(Unclear::ambiguous(
            &name.text,
            &several
                .iter()
                .map(|seen| format!("{}/{}", seen.kind.name().to_lowercase(), seen.name()))
                .collect::<Vec<_>>(),
        )),
    }
}

fn object(seen: SeenObject<'_>) -> Result<ObjectName, Unclear> {
    let kind = ObjectKind::named(seen.kind.name())
        .ok_or_else(|| Unclear::unfitting("a change", seen.kind.several()))?;
    let namespace = Some(seen.namespace())
        .filter(|namespace| !namespace.is_empty())
        .map(str::to_owned);
    Ok(ObjectName {
        kind,
        namespace,
        name: seen.name().to_owned(),
    })
}
