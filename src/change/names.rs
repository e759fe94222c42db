//! The object that a step names: one of a known kind, by its own name, with its namespace.

use serde_json::Value;

use super::kind::ObjectKind;
use super::plan::ObjectName;
use super::read::{PlanProblems, below, known_keys, object, shown, text};
use crate::kubernetes_schema::is_dns_label;

/// The object that a step names; None if it names none, which is a problem then.
pub(super) fn object_name(
    value: &Value,
    path: &[String],
    problems: &mut PlanProblems<'_>,
) -> Option<ObjectName> {
    let map = object(value, path, "`object`", problems)?;
    known_keys(
        map,
        &["kind", "namespace", "name"],
        path,
        "`object`",
        problems,
    );
    let mut field = |key: &str| {
        let value = map.get(key)?;
        let text = text(value, &below(path, key), key, problems)?;
        Some(text.to_owned())
    };
    let (kind, namespace, name) = (field("kind"), field("namespace"), field("name"));
    let kind = kind_of(kind, &below(path, "kind"), problems)?;
    let namespace = match (kind.is_namespaced(), namespace) {
        (true, Some(namespace)) => {
            is_namespace(&namespace, path, problems).then_some(Some(namespace))?
        }
        (true, None) => {
            let what = format!("a {kind} is in a `namespace`");
            problems.add(path, what, None);
            return None;
        }
        (false, None) => None,
        (false, Some(_)) => {
            let what = format!("a {kind} is in no namespace");
            problems.add(&below(path, "namespace"), what, None);
            return None;
        }
    };
    let Some(name) = name else {
        let what = "a step names one object, by its `name`".to_owned();
        problems.add(path, what, None);
        return None;
    };
    is_name(kind, &name, &below(path, "name"), problems).then_some(ObjectName {
        kind,
        namespace,
        name,
    })
}

fn kind_of(
    name: Option<String>,
    path: &[String],
    problems: &mut PlanProblems<'_>,
) -> Option<ObjectKind> {
    let Some(name) = name else {
        problems.add(path, "an object has a `kind`".to_owned(), None);
        return None;
    };
    let found = ObjectKind::named(&name);
    if found.is_none() {
        let hint = match ObjectKind::near(&name) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let all: Vec<_> = ObjectKind::ALL.iter().map(|kind| kind.name()).collect();
                format!("the kinds are {}", all.join(", "))
            }
        };
        let what = format!("no plan has objects of the kind `{}`", shown(&name));
        problems.add(path, what, Some(hint));
    }
    found
}

fn is_namespace(name: &str, path: &[String], problems: &mut PlanProblems<'_>) -> bool {
    let fits = is_dns_label(name);
    if !fits {
        let what = format!("`{}` is no name of a namespace", shown(name));
        problems.add(&below(path, "namespace"), what, None);
    }
    fits
}

fn is_name(kind: ObjectKind, name: &str, path: &[String], problems: &mut PlanProblems<'_>) -> bool {
    let fits = kind.takes_name(name);
    if !fits {
        let what = format!("`{}` is no name of a {kind}", shown(name));
        let hint = "a step names one object: no pattern, no list, no `all`".to_owned();
        problems.add(path, what, Some(hint));
    }
    fits
}
impl ObjectName {
    /// What is done to it: `delete deployment/web in shop`.
    pub fn deed(&self, verb: &str) -> String {
        match &self.namespace {
            Some(namespace) => format!("{verb} {self} in {namespace}"),
            None => format!("{verb} {self}"),
        }
    }
}
