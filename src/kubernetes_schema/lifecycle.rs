//! Kinds that a version of Kubernetes no longer has, or not yet, or that it will lose; and kinds of groups that are not
//! Kubernetes' own.

use serde_json::Value;

use super::SchemaProblem;
use super::custom::CustomKinds;
use super::packed::{Life, VersionMask};
use super::walk::{Complaint, Walk};
use crate::error::suggest;
use crate::kubernetes_version::KubernetesVersion;

/// The group of an `apiVersion`; empty for the core.
pub(super) fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

impl Walk<'_> {
    /// Says in which of the asked versions a kind is not served, and in which it is deprecated.
    pub(super) fn lifecycle(
        &mut self,
        (api_version, kind): (&str, &str),
        has: VersionMask,
        mask: VersionMask,
    ) {
        let packed = self.packed;
        let life = packed.life(api_version, kind);
        let instead = life
            .map(|life| life.replacement.as_str())
            .filter(|text| !text.is_empty());
        let instead = instead.map(|text| instead_of(text, kind));
        let without = mask & !has;
        let early = without & below(has);
        for (missing, word) in [(early, "not yet"), (without & !early, "no longer")] {
            let what = format!("`{kind}` of `{api_version}` is {word} served");
            let mut complaint = Complaint::new(SchemaProblem::NotServed, what);
            complaint.expected = instead.clone().filter(|_| word == "no longer");
            self.within("apiVersion", |walk| walk.complain(complaint, missing));
        }
        if let Some(life) = life {
            self.deprecated((api_version, kind), life, instead, has & mask);
        }
    }

    fn deprecated(
        &mut self,
        (api_version, kind): (&str, &str),
        life: &Life,
        instead: Option<String>,
        mask: VersionMask,
    ) {
        let before = self.packed.before(KubernetesVersion::new(life.deprecated));
        // Alpha and beta versions are born with a date of their end; nobody can use another one while there is none.
        if life.deprecated == 0 || (instead.is_none() && life.introduced > 0) {
            return;
        }
        let end = match life.removed {
            0 => String::new(),
            removed => format!(", and gone from 1.{removed} on"),
        };
        let what = format!("`{kind}` of `{api_version}` is deprecated{end}");
        let mut complaint = Complaint::new(SchemaProblem::Deprecated, what);
        complaint.expected = instead;
        self.within("apiVersion", |walk| {
            walk.complain(complaint, mask & !before)
        });
    }

    /// A kind that no version of Kubernetes with schemas has.
    pub(super) fn other_kind(
        &mut self,
        object: &Value,
        (api_version, kind): (&str, &str),
        custom: &CustomKinds,
        mask: VersionMask,
    ) -> Option<String> {
        if let Some(found) = custom.find(api_version, kind) {
            return found.check(self, object, mask);
        }
        if let Some(life) = self.packed.life(api_version, kind) {
            let what = format!("`{kind}` of `{api_version}` is no longer served");
            let mut complaint = Complaint::new(SchemaProblem::NotServed, what);
            let instead = Some(life.replacement.as_str()).filter(|text| !text.is_empty());
            complaint.expected = instead.map(|text| instead_of(text, kind));
            self.within("apiVersion", |walk| walk.complain(complaint, mask));
            return None;
        }
        if let Some(versions) = custom.versions_of(group(api_version), kind) {
            let what = format!("the chart's definition of `{kind}` does not serve `{api_version}`");
            let complaint = Complaint::new(SchemaProblem::NotServed, what).expected(versions);
            self.within("apiVersion", |walk| walk.complain(complaint, mask));
            return None;
        }
        let packed = self.packed;
        let mut versions: Vec<_> = packed.versions_of_group(group(api_version)).collect();
        versions.sort_unstable();
        if versions.is_empty() {
            return Some(format!("there is no schema of `{kind}` in `{api_version}`"));
        }
        self.unknown_kind((api_version, kind), &versions, mask);
        None
    }

    /// A group of Kubernetes' own has only the kinds that it has.
    fn unknown_kind(
        &mut self,
        (api_version, kind): (&str, &str),
        versions: &[&str],
        mask: VersionMask,
    ) {
        let packed = self.packed;
        let has_kind = |version: &&&str| packed.kind(version, kind).is_some();
        let elsewhere: Vec<_> = versions
            .iter()
            .filter(has_kind)
            .map(|version| format!("`{version}`"))
            .collect();
        let what = format!("`{api_version}` has no kind `{kind}`");
        let mut complaint = Complaint::new(SchemaProblem::UnknownKind, what);
        let known = packed.kinds(api_version);
        complaint.expected = match elsewhere.is_empty() {
            false => Some(elsewhere.join(" or ")),
            true => suggest(kind, known).map(|near| format!("did you mean `{near}`?")),
        };
        self.within("kind", |walk| walk.complain(complaint, mask));
    }
}

/// All bits below the lowest one.
fn below(mask: VersionMask) -> VersionMask {
    match mask {
        0 => 0,
        _ => (1 << mask.trailing_zeros()) - 1,
    }
}

/// `apps/v1/Deployment` → `` `Deployment` of `apps/v1` ``.
fn instead_of(replacement: &str, kind: &str) -> String {
    let (api_version, other) = replacement.rsplit_once('/').unwrap_or((replacement, kind));
    match other == kind {
        true => format!("`{api_version}`"),
        false => format!("`{other}` of `{api_version}`"),
    }
}
