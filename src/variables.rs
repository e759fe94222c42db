//! The values of `${forward.api.url}` and similar variables, once ports and images are fixed (src/config/variables.rs
//! lists the variables).

use std::collections::BTreeMap;
use std::path::Path;

use crate::config::{Origin, Piece, Project, ReferenceTarget, pieces, unknown};
use crate::error::{Error, Errors};
use crate::image::ImageRef;
use crate::ports::Forward;

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

    fn value(&self, target: &ReferenceTarget<'_>) -> Result<String, Error> {
        match *target {
            ReferenceTarget::Forward(name, property) => {
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
            ReferenceTarget::Project("name") => Ok(self.project.clone()),
            ReferenceTarget::Project("id") => Ok(self.id.clone()),
            ReferenceTarget::Project(_) => Ok(self.namespace.clone()),
            ReferenceTarget::Image(name, property) => {
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
    fn the_host_of_a_url_has_no_port() {
        assert_eq!(
            ["http://127.0.0.1:15000", "http://[::1]:80/x", "localhost"].map(host),
            ["127.0.0.1", "[::1]", "localhost"]
        );
    }
}
