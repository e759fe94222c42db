//! Which objects a name means: the exact name first, then the short names that people use: those of forwards, of releases
//! (`api` for `shop-api`), and the end of a name. Several that fit are not chosen from.

use std::collections::BTreeSet;

use super::kind::AskedKind;
use super::object::SeenObject;
use super::question::{AskedScope, NameAsked, Question};
use super::snapshot::ClusterSnapshot;
use super::unclear::Unclear;
use crate::error::suggest;

/// The objects that share the name that was meant, what runs first.
#[derive(Debug, Clone)]
pub(super) struct Meant<'a> {
    pub(super) name: String,
    pub(super) objects: Vec<SeenObject<'a>>,
}

impl<'a> Meant<'a> {
    pub(super) fn first(&self) -> Option<SeenObject<'a>> {
        self.objects.first().copied()
    }

    /// The pods of the first object that has some, each once.
    pub(super) fn pods(&self, snapshot: &'a ClusterSnapshot) -> Vec<SeenObject<'a>> {
        let found = self.objects.iter().map(|object| snapshot.pods_of(*object));
        found
            .into_iter()
            .find(|pods| !pods.is_empty())
            .unwrap_or_default()
    }
}

impl AskedScope {
    /// Whether objects of this namespace are asked for; those without a namespace always are.
    pub(super) fn has(&self, namespace: &str, snapshot: &ClusterSnapshot) -> bool {
        match self {
            _ if namespace.is_empty() => true,
            Self::Project => snapshot.project.namespaces.contains(namespace),
            Self::Namespace(name) => name == namespace,
            Self::Everywhere => true,
        }
    }

    /// ``namespace `shop` ``.
    pub(super) fn words(&self, snapshot: &ClusterSnapshot) -> String {
        match self {
            Self::Namespace(name) => format!("namespace `{name}`"),
            Self::Everywhere => "all namespaces".to_owned(),
            Self::Project => {
                let names: Vec<_> = snapshot
                    .project
                    .namespaces
                    .iter()
                    .map(|name| format!("`{name}`"))
                    .collect();
                let noun = if names.len() == 1 {
                    "namespace"
                } else {
                    "namespaces"
                };
                format!("{noun} {}", names.join(", "))
            }
        }
    }
}

impl Question {
    /// The objects of a kind that the question is about, whatever the names in it.
    pub(super) fn of_kind<'a>(
        &self,
        kind: AskedKind,
        snapshot: &'a ClusterSnapshot,
    ) -> Vec<SeenObject<'a>> {
        snapshot
            .all(kind)
            .filter(|seen| self.scope.has(seen.namespace(), snapshot))
            .collect()
    }

    /// What each name means.
    ///
    /// # Errors
    /// All names that mean nothing or several things.
    pub(super) fn meant<'a>(
        &self,
        snapshot: &'a ClusterSnapshot,
    ) -> Result<Vec<Meant<'a>>, Unclear> {
        let mut unknown = vec![];
        let mut meant = vec![];
        for name in &self.names {
            match self.resolve(name, snapshot)? {
                Some(found) => meant.push(found),
                None => unknown.push(name),
            }
        }
        match &unknown[..] {
            [] => Ok(meant),
            [one] if one.kind.is_some() => Err(self.no_such(one, snapshot)),
            several => Err(self.no_words(several, snapshot)),
        }
    }

    /// A name without a kind means a Namespace only if it means nothing else here: others' namespaces may have any name.
    ///
    /// # Errors
    /// Several objects fit.
    pub(super) fn resolve<'a>(
        &self,
        name: &NameAsked,
        snapshot: &'a ClusterSnapshot,
    ) -> Result<Option<Meant<'a>>, Unclear> {
        let found = self.resolve_object(name, snapshot)?;
        let namespace = || snapshot.find(AskedKind::Namespace, "", &name.text);
        Ok(found.or_else(|| {
            let namespace = namespace().filter(|_| name.kind.is_none())?;
            Some(Meant {
                name: name.text.clone(),
                objects: vec![namespace],
            })
        }))
    }

    /// The same, but for Namespaces whose kind is not said.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub(super) fn resolve_object<'a>(
        &self,
        name: &NameAsked,
        snapshot: &'a ClusterSnapshot,
    ) -> Result<Option<Meant<'a>>, Unclear> {
        let text = name.text.as_str();
        let all = self.nameable(name.kind, snapshot);
        let exactly = |wanted: &str| -> Vec<SeenObject<'a>> {
            all.iter()
                .filter(|seen| seen.name() == wanted)
                .copied()
                .collect()
        };
        let found = exactly(text);
        if !found.is_empty() {
            return self.one_place(text, found, snapshot).map(Some);
        }
        let project = &snapshot.project;
        let known = project.forwards.get(text).cloned().into_iter();
        let prefixed = project
            .releases
            .iter()
            .map(|release| format!("{release}-{text}"));
        for wanted in known.chain(prefixed) {
            let found = exactly(&wanted);
            if !found.is_empty() {
                return self.one_place(&wanted, found, snapshot).map(Some);
            }
        }
        let ends: Vec<_> = all
            .iter()
            .filter(|seen| ends_in(seen, text))
            .copied()
            .collect();
        let names: BTreeSet<_> = ends.iter().map(SeenObject::name).collect();
        let names: Vec<_> = names.into_iter().map(str::to_owned).collect();
        match &names[..] {
            // A pod is called by its workload: `pod api`.
            [] if name.kind == Some(AskedKind::Pod) => self.pods_called(name, snapshot),
            [] => Ok(None),
            [one] => self.one_place(one, ends, snapshot).map(Some),
            several => Err(Unclear::ambiguous(text, several)),
        }
    }

    fn pods_called<'a>(
        &self,
        name: &NameAsked,
        snapshot: &'a ClusterSnapshot,
    ) -> Result<Option<Meant<'a>>, Unclear> {
        let of_any = NameAsked {
            kind: None,
            text: name.text.clone(),
        };
        let meant = self.resolve(&of_any, snapshot)?;
        Ok(meant
            .map(|meant| Meant {
                name: meant.name.clone(),
                objects: meant.pods(snapshot),
            })
            .filter(|meant| !meant.objects.is_empty()))
    }

    /// The objects that a name may mean.
    fn nameable<'a>(
        &self,
        kind: Option<AskedKind>,
        snapshot: &'a ClusterSnapshot,
    ) -> Vec<SeenObject<'a>> {
        let kinds: Vec<_> = match kind {
            Some(kind) => vec![kind],
            None => AskedKind::nameable()
                .filter(|kind| *kind != AskedKind::Namespace)
                .collect(),
        };
        kinds
            .into_iter()
            .flat_map(|kind| self.of_kind(kind, snapshot))
            .collect()
    }

    /// Objects of one name in several namespaces are several things, unless one of them is in the project's own.
    fn one_place<'a>(
        &self,
        name: &str,
        found: Vec<SeenObject<'a>>,
        snapshot: &ClusterSnapshot,
    ) -> Result<Meant<'a>, Unclear> {
        let places: BTreeSet<_> = found
            .iter()
            .map(SeenObject::namespace)
            .filter(|namespace| !namespace.is_empty())
            .collect();
        let own = snapshot.project.namespace.as_str();
        let objects: Vec<_> = match places.len() {
            0 | 1 => found,
            _ if places.contains(own) => found
                .into_iter()
                .filter(|seen| seen.namespace() == own)
                .collect(),
            _ => {
                let candidates: Vec<_> = places
                    .iter()
                    .map(|place| format!("{name} in namespace {place}"))
                    .collect();
                return Err(Unclear::ambiguous(name, &candidates));
            }
        };
        Ok(Meant {
            name: name.to_owned(),
            objects,
        })
    }

    fn no_such(&self, name: &NameAsked, snapshot: &ClusterSnapshot) -> Unclear {
        let all = self.nameable(name.kind, snapshot);
        let near = suggest(&name.text, all.iter().map(SeenObject::name));
        let kind = name.kind.map_or("object", AskedKind::name);
        Unclear::no_such(kind, &name.text, &self.scope.words(snapshot), near)
    }

    fn no_words(&self, names: &[&NameAsked], snapshot: &ClusterSnapshot) -> Unclear {
        let unknown: Vec<_> = names.iter().map(|name| name.text.clone()).collect();
        let mut all = self.nameable(None, snapshot);
        all.extend(snapshot.all(AskedKind::Namespace));
        let ends = all
            .iter()
            .filter_map(|seen| seen.name().rsplit_once('-'))
            .map(|(_, end)| end);
        let mut known: Vec<&str> = all.iter().map(SeenObject::name).chain(ends).collect();
        for word in super::nearest::words() {
            known.push(word);
        }
        let near: Vec<_> = unknown
            .iter()
            .filter_map(|word| {
                let word = word.to_lowercase();
                // A phrase that has no place where it stands is not meant by itself.
                let others = known.iter().copied().filter(|known| *known != word);
                suggest(&word, others).map(str::to_owned)
            })
            .collect();
        Unclear::words(&unknown, &near, &super::nearest::questions(&self.text))
    }
}

/// `api` for `shop-api`. Of pods the name of their workload counts, not their own.
fn ends_in(seen: &SeenObject<'_>, text: &str) -> bool {
    let is_made = matches!(
        seen.kind,
        AskedKind::Pod | AskedKind::ReplicaSet | AskedKind::Job
    ) && seen.controller().is_some();
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    !is_made
        && !is_number
        && seen
            .name()
            .strip_suffix(text)
            .is_some_and(|rest| rest.ends_with('-'))
}
