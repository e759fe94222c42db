//! `${forward.api.url}` and its kin in values files, inline values and build arguments.
//!
//! devk's references are those whose first word is `forward`, `project` or `image`, followed by a dot;
//! all other `${…}`, such as a shell's `${HOME}`, are left alone. `$${forward.…}` stands for the text
//! `${forward.…}`. A line that is a YAML comment as a whole may name what does not exist.

use std::collections::BTreeSet;

use super::did_you_mean;
use super::yaml::{ConfigData, ConfigNode};
use crate::error::{Code, Error};

const NAMESPACES: &[&str] = &["forward", "project", "image"];
const FORWARD: &[&str] = &["url", "host", "port"];
const PROJECT: &[&str] = &["name", "id", "namespace"];
const IMAGE: &[&str] = &["reference", "repository", "tag"];

/// The names of the forwards that a text refers to: whether its result depends on the ports.
pub fn names(text: &str) -> BTreeSet<String> {
    let references = pieces(text).into_iter().filter_map(|piece| match piece {
        Piece::Reference(reference) => reference.target().ok().and_then(|target| match target {
            ReferenceTarget::Forward(name, _) => Some(name.to_owned()),
            _ => None,
        }),
        Piece::Literal(_) => None,
    });
    references.collect()
}

/// The names of the images that a text refers to.
pub(super) fn image_names(text: &str) -> BTreeSet<String> {
    let references = pieces(text).into_iter().filter_map(|piece| match piece {
        Piece::Reference(reference) => match reference.target() {
            Ok(ReferenceTarget::Image(name, _)) => Some(name.to_owned()),
            _ => None,
        },
        Piece::Literal(_) => None,
    });
    references.collect()
}

/// The names that references may have while devk.yaml is read; their values come later.
#[derive(Debug)]
pub(super) struct References {
    /// None: every Service is forwarded, which are known only after rendering.
    pub(super) forwards: Option<BTreeSet<String>>,
    pub(super) images: BTreeSet<String>,
}

impl References {
    /// Checks the references in all texts below a node.
    pub(super) fn check(&self, node: &ConfigNode, problems: &mut Vec<Error>) {
        match &node.data {
            ConfigData::List(items) => items.iter().for_each(|item| self.check(item, problems)),
            ConfigData::Map(entries) => entries
                .iter()
                .for_each(|entry| self.check(&entry.value, problems)),
            ConfigData::Scalar { text, .. } => self.check_text(text, node, |_| Ok(()), problems),
        }
    }

    /// The same for the text of one scalar, such as a build argument.
    pub(super) fn check_argument(&self, node: &ConfigNode, problems: &mut Vec<Error>) {
        self.check_text(node.text().unwrap_or_default(), node, |_| Ok(()), problems);
    }

    fn check_text(
        &self,
        text: &str,
        node: &ConfigNode,
        also: impl Fn(&ReferenceTarget<'_>) -> Result<(), Error>,
        problems: &mut Vec<Error>,
    ) {
        for piece in pieces(text) {
            let Piece::Reference(reference) = piece else {
                continue;
            };
            let checked = reference
                .target()
                .and_then(|target| also(&target).and_then(|()| self.known(&target)));
            problems.extend(
                checked
                    .err()
                    .map(|problem| problem.at(&node.place.file, node.place.line)),
            );
        }
    }

    fn known(&self, target: &ReferenceTarget<'_>) -> Result<(), Error> {
        match (target, &self.forwards) {
            (ReferenceTarget::Forward(name, _), Some(all)) if !all.contains(*name) => {
                Err(unknown(name, "forwards", all))
            }
            (ReferenceTarget::Image(name, _), _) if !self.images.contains(*name) => {
                Err(unknown(name, "images", &self.images))
            }
            _ => Ok(()),
        }
    }
}

/// A reference that is well formed; the property is one of its namespace's.
pub(crate) enum ReferenceTarget<'a> {
    Forward(&'a str, &'static str),
    Project(&'static str),
    Image(&'a str, &'static str),
}

pub(crate) enum Piece<'a> {
    Literal(&'a str),
    Reference(Reference<'a>),
}

pub(crate) struct Reference<'a> {
    /// `${…}`, or up to the line's end where the brace does not close.
    pub(crate) raw: &'a str,
    /// 0-based, from the text's start.
    pub(crate) line: u32,
    /// The line is a comment as a whole.
    pub(crate) in_comment: bool,
}

impl<'a> Reference<'a> {
    pub(crate) fn target(&self) -> Result<ReferenceTarget<'a>, Error> {
        let inner = self
            .raw
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}'))
            .ok_or_else(|| {
                Error::new(
                    Code::ConfigVariable,
                    format!("`{}` is not closed", self.raw),
                )
                .hint("add `}`")
            })?;
        match inner.split('.').collect::<Vec<_>>()[..] {
            ["forward", name, property] => Ok(ReferenceTarget::Forward(name, self.property(property, FORWARD)?)),
            ["project", property] => Ok(ReferenceTarget::Project(self.property(property, PROJECT)?)),
            ["image", name, property] => Ok(ReferenceTarget::Image(name, self.property(property, IMAGE)?)),
            _ => Err(Error::new(Code::ConfigVariable, format!("`{}` is not a reference that devk knows", self.raw))
                .hint("write `${forward.NAME.url}`, `${project.name}` or `${image.NAME.reference}`; `$${…}` for the text itself")),
        }
    }

    fn property(&self, text: &str, known: &'static [&'static str]) -> Result<&'static str, Error> {
        known
            .iter()
            .copied()
            .find(|property| *property == text)
            .ok_or_else(|| {
                Error::new(
                    Code::ConfigVariable,
                    format!("`{}` has no `{text}`", self.raw),
                )
                .hint(did_you_mean(text, known.iter().copied(), "properties"))
            })
    }
}

pub(crate) fn unknown<'a>(
    name: &str,
    what: &str,
    known: impl IntoIterator<Item = &'a String>,
) -> Error {
    let known: Vec<_> = known.into_iter().map(String::as_str).collect();
    Error::new(
        Code::ConfigVariable,
        format!("`{name}` is none of the {what}"),
    )
    .hint(did_you_mean(name, known.into_iter(), what))
}

/// Cuts a text into what stands for itself and devk's references.
pub(crate) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut from = 0;
    while let Some(found) = text[from..].find("${").map(|at| from + at) {
        let length = match_length(&text[found..]);
        from = found + length.unwrap_or(2);
        let Some(length) = length else { continue };
        let escaped = text[start..found].ends_with('$');
        // Of `$${…}` the first dollar goes and the rest is text.
        pieces.push(Piece::Literal(&text[start..found - usize::from(escaped)]));
        let raw = &text[found..found + length];
        pieces.push(if escaped {
            Piece::Literal(raw)
        } else {
            Piece::Reference(reference(text, found, raw))
        });
        start = from;
    }
    pieces.push(Piece::Literal(&text[start..]));
    pieces
}

/// The length of devk's reference at the start of a text, if it is one.
fn match_length(text: &str) -> Option<usize> {
    let inner = text.get(2..)?;
    let ours = NAMESPACES.iter().any(|name| {
        inner
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('.'))
    });
    let end = inner.find(['}', '\n', '\r']).unwrap_or(inner.len());
    let closed = usize::from(inner[end..].starts_with('}'));
    ours.then_some(2 + end + closed)
}

fn reference<'a>(text: &str, at: usize, raw: &'a str) -> Reference<'a> {
    let before = &text[..at];
    let line = before.matches('\n').count();
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Reference {
        raw,
        line: u32::try_from(line).unwrap_or(u32::MAX),
        in_comment: before[line_start..].trim_start().starts_with('#'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forwards_a_text_needs_are_known_before_they_have_values() {
        let text = "${forward.api.url} ${forward.web.port} $${forward.no.url} ${project.id} ${forward.api.nonsense}";
        assert_eq!(names(text).into_iter().collect::<Vec<_>>(), ["api", "web"]);
        assert!(names("${HOME}").is_empty());
    }
}
