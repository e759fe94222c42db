//! `${forward.api.url}` and its kin in values files, inline values and build arguments.
//!
//! devk's references are those whose first word is `forward`, `project` or `image`, followed by a dot;
//! all other `${…}`, such as a shell's `${HOME}`, are left alone. `$${forward.…}` stands for the text
//! `${forward.…}`. A line that is a YAML comment as a whole may name what does not exist.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::format::did_you_mean;
use super::yaml::{Data, Node};
use super::{Origin, Project};
use crate::error::{Code, Error, Errors};
use crate::image::ImageRef;
use crate::ports::Forward;

const NAMESPACES: &[&str] = &["forward", "project", "image"];
const FORWARD: &[&str] = &["url", "host", "port"];
const PROJECT: &[&str] = &["name", "id", "namespace"];
const IMAGE: &[&str] = &["reference", "repository", "tag"];

/// What the references stand for, once ports and images are fixed.
#[derive(Debug, Clone)]
pub struct Variables {
    project: String,
    id: String,
    namespace: String,
    forwards: BTreeMap<String, Forward>,
    images: BTreeMap<String, ImageRef>,
}

impl Variables {
    /// Where two forwards have one name, the first counts.
    pub fn new(
        project: &Project,
        namespace: &str,
        forwards: &[Forward],
        images: &[ImageRef],
    ) -> Self {
        Self {
            project: project.name.clone(),
            id: project.id.clone(),
            namespace: namespace.to_owned(),
            forwards: forwards
                .iter()
                .rev()
                .map(|forward| (forward.name.clone(), forward.clone()))
                .collect(),
            images: images
                .iter()
                .map(|image| (image.name.clone(), image.clone()))
                .collect(),
        }
    }

    /// A file's text with its references replaced.
    ///
    /// # Errors
    /// [`Code::ConfigVariable`] with file and line for each reference that names nothing.
    pub fn resolve(&self, text: &str, file: &Path) -> Result<String, Errors> {
        self.resolve_at(
            text,
            &Origin {
                file: file.to_owned(),
                line: 1,
            },
        )
    }

    /// The same for a text that starts in the middle of a file, such as a build argument.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub fn resolve_at(&self, text: &str, origin: &Origin) -> Result<String, Errors> {
        let mut resolved = String::with_capacity(text.len());
        let mut problems = Vec::new();
        for piece in pieces(text) {
            match piece {
                Piece::Literal(literal) => resolved.push_str(literal),
                Piece::Reference(reference) => {
                    match reference.target().and_then(|target| self.value(&target)) {
                        Ok(value) => resolved.push_str(&value),
                        Err(_) if reference.in_comment => resolved.push_str(reference.raw),
                        Err(problem) => {
                            problems.push(problem.at(&origin.file, origin.line + reference.line))
                        }
                    }
                }
            }
        }
        Errors::unless_empty(problems, resolved)
    }

    fn value(&self, target: &Target<'_>) -> Result<String, Error> {
        match *target {
            Target::Forward(name, property) => {
                let forward = self
                    .forwards
                    .get(name)
                    .ok_or_else(|| unknown(name, "forwards", self.forwards.keys()))?;
                Ok(match property {
                    "url" => forward.url.clone(),
                    "port" => forward.local.to_string(),
                    _ => host(&forward.url).to_owned(),
                })
            }
            Target::Project("name") => Ok(self.project.clone()),
            Target::Project("id") => Ok(self.id.clone()),
            Target::Project(_) => Ok(self.namespace.clone()),
            Target::Image(name, property) => {
                let image = self
                    .images
                    .get(name)
                    .ok_or_else(|| unknown(name, "images", self.images.keys()))?;
                Ok(match property {
                    "repository" => image.repository.clone(),
                    "tag" => image.tag.clone(),
                    _ => image.reference(),
                })
            }
        }
    }
}

/// The names of the forwards that a text refers to: whether its result depends on the ports.
pub fn names(text: &str) -> BTreeSet<String> {
    let references = pieces(text).into_iter().filter_map(|piece| match piece {
        Piece::Reference(reference) => reference.target().ok().and_then(|target| match target {
            Target::Forward(name, _) => Some(name.to_owned()),
            _ => None,
        }),
        Piece::Literal(_) => None,
    });
    references.collect()
}

/// The host of `http://127.0.0.1:15000`, without the port.
fn host(url: &str) -> &str {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority
        .split_once('/')
        .map_or(authority, |(authority, _)| authority);
    authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host)
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
    pub(super) fn check(&self, node: &Node, problems: &mut Vec<Error>) {
        match &node.data {
            Data::List(items) => items.iter().for_each(|item| self.check(item, problems)),
            Data::Map(entries) => entries
                .iter()
                .for_each(|entry| self.check(&entry.value, problems)),
            Data::Scalar { text, .. } => self.check_text(text, node, |_| Ok(()), problems),
        }
    }

    /// The same for a build argument, which is fixed before any image is.
    pub(super) fn check_argument(&self, node: &Node, problems: &mut Vec<Error>) {
        let no_image = |target: &Target<'_>| match target {
            Target::Image(..) => Err(Error::new(
                Code::ConfigVariable,
                "a build argument cannot name an image: its tag depends on them",
            )
            .hint("use `${image.…}` in `set:` or a values file")),
            _ => Ok(()),
        };
        self.check_text(node.text().unwrap_or_default(), node, no_image, problems);
    }

    fn check_text(
        &self,
        text: &str,
        node: &Node,
        also: impl Fn(&Target<'_>) -> Result<(), Error>,
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

    fn known(&self, target: &Target<'_>) -> Result<(), Error> {
        match (target, &self.forwards) {
            (Target::Forward(name, _), Some(all)) if !all.contains(*name) => {
                Err(unknown(name, "forwards", all))
            }
            (Target::Image(name, _), _) if !self.images.contains(*name) => {
                Err(unknown(name, "images", &self.images))
            }
            _ => Ok(()),
        }
    }
}

/// A reference that is well formed; the property is one of its namespace's.
enum Target<'a> {
    Forward(&'a str, &'static str),
    Project(&'static str),
    Image(&'a str, &'static str),
}

enum Piece<'a> {
    Literal(&'a str),
    Reference(Reference<'a>),
}

struct Reference<'a> {
    /// `${…}`, or up to the line's end where the brace does not close.
    raw: &'a str,
    /// 0-based, from the text's start.
    line: u32,
    /// The line is a comment as a whole.
    in_comment: bool,
}

impl<'a> Reference<'a> {
    fn target(&self) -> Result<Target<'a>, Error> {
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
            ["forward", name, property] => Ok(Target::Forward(name, self.property(property, FORWARD)?)),
            ["project", property] => Ok(Target::Project(self.property(property, PROJECT)?)),
            ["image", name, property] => Ok(Target::Image(name, self.property(property, IMAGE)?)),
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

fn unknown<'a>(name: &str, what: &str, known: impl IntoIterator<Item = &'a String>) -> Error {
    let known: Vec<_> = known.into_iter().map(String::as_str).collect();
    Error::new(
        Code::ConfigVariable,
        format!("`{name}` is none of the {what}"),
    )
    .hint(did_you_mean(name, known.into_iter(), what))
}

/// Cuts a text into what stands for itself and devk's references.
fn pieces(text: &str) -> Vec<Piece<'_>> {
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

    fn forward(name: &str, local: u16) -> Forward {
        Forward {
            name: name.to_owned(),
            namespace: "shop".to_owned(),
            service: format!("shop-{name}"),
            remote: local - 10000,
            local,
            url: format!("http://127.0.0.1:{local}"),
            moved: None,
        }
    }

    fn variables() -> Variables {
        let image = ImageRef {
            name: "api".into(),
            repository: "devk.local/shop/api".into(),
            tag: "0123".into(),
        };
        Variables {
            project: "shop".into(),
            id: "shop-login".into(),
            namespace: "shop-login".into(),
            forwards: [forward("api", 15000), forward("web", 14173)]
                .into_iter()
                .map(|f| (f.name.clone(), f))
                .collect(),
            images: [("api".to_owned(), image)].into(),
        }
    }

    fn resolve(text: &str) -> String {
        match variables().resolve(text, Path::new("values.yaml")) {
            Ok(text) => text,
            Err(Errors(problems)) => {
                let line = |e: &Error| {
                    format!(
                        "{e} [{}]\n  {}\n",
                        e.code,
                        e.hint.clone().unwrap_or_default()
                    )
                };
                problems.iter().map(line).collect()
            }
        }
    }

    #[test]
    fn references_become_values() {
        assert_eq!(
            resolve("${forward.api.url}/v1?w=${forward.web.port}"),
            "http://127.0.0.1:15000/v1?w=14173"
        );
        assert_eq!(
            resolve("${forward.api.host}:${forward.api.port}"),
            "127.0.0.1:15000"
        );
        assert_eq!(
            resolve("${project.name} ${project.id} ${project.namespace}"),
            "shop shop-login shop-login"
        );
        assert_eq!(
            resolve("${image.api.repository} ${image.api.tag}"),
            "devk.local/shop/api 0123"
        );
        assert_eq!(
            resolve("${image.api.reference}"),
            "devk.local/shop/api:0123"
        );
    }

    #[test]
    fn what_is_not_devks_is_left_alone() {
        for text in [
            "${HOME} $HOME ${forward} ${forwards.x} ${a.b.c}",
            "$${HOME} $$ $",
            "${",
            "{{ .Values.x }} größe ${",
            "${forward:-x}",
        ] {
            assert_eq!(resolve(text), text);
        }
    }

    #[test]
    fn a_doubled_dollar_stands_for_the_text() {
        assert_eq!(
            resolve("$${forward.api.url} ${forward.api.port}"),
            "${forward.api.url} 15000"
        );
        assert_eq!(resolve("$${forward.none.url}"), "${forward.none.url}");
    }

    #[test]
    fn references_that_name_nothing_are_reported_together_at_their_lines() {
        let text = "a: ${forward.apo.url}\n# ${forward.NAME.url} in a comment\nb: ${forward.api.prot}\nc: ${forward.api}\nd: ${image.db.tag}\ne: ${project.name\nf: 1 # ${forward.x.url}\n";
        insta::assert_snapshot!(resolve(text), @r"
            values.yaml:1: `apo` is none of the forwards [config.variable]
              did you mean `api`?
            values.yaml:3: `${forward.api.prot}` has no `prot` [config.variable]
              did you mean `port`?
            values.yaml:4: `${forward.api}` is not a reference that devk knows [config.variable]
              write `${forward.NAME.url}`, `${project.name}` or `${image.NAME.reference}`; `$${…}` for the text itself
            values.yaml:5: `db` is none of the images [config.variable]
              the known images are `api`
            values.yaml:6: `${project.name` is not closed [config.variable]
              add `}`
            values.yaml:7: `x` is none of the forwards [config.variable]
              the known forwards are `api`, `web`
        ");
    }

    #[test]
    fn the_forwards_a_text_needs_are_known_before_they_have_values() {
        let text = "${forward.api.url} ${forward.web.port} $${forward.no.url} ${project.id} ${forward.api.nonsense}";
        assert_eq!(names(text).into_iter().collect::<Vec<_>>(), ["api", "web"]);
        assert!(names("${HOME}").is_empty());
    }

    #[test]
    fn the_host_of_a_url_has_no_port() {
        assert_eq!(
            ["http://127.0.0.1:15000", "http://[::1]:80/x", "localhost"].map(host),
            ["127.0.0.1", "[::1]", "localhost"]
        );
    }
}
