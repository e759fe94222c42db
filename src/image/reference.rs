//! The parts of an image reference.

use super::load::normalise;

/// An image reference taken apart (distribution/reference: `NAME[:TAG][@DIGEST]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceParts {
    /// The repository in full, as containerd names it: `docker.io/library/postgres`.
    pub repository: String,
    /// The repository as it was written: `postgres`.
    pub written: String,
    pub tag: Option<String>,
    pub digest: Option<String>,
}

impl ReferenceParts {
    /// None if the text is no reference.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.to_owned())),
            None => (text, None),
        };
        let (written, tag) = match name.rsplit_once(':') {
            Some((written, tag)) if !tag.contains('/') => (written, Some(tag.to_owned())),
            _ => (name, None),
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || "._-/:".contains(c);
        let is_well_formed = written.split('/').all(|part| !part.is_empty())
            && written.chars().all(is_name)
            && tag.as_deref().is_none_or(|tag| !tag.is_empty())
            && digest.as_deref().is_none_or(|digest| digest.contains(':'));
        let full = normalise(written);
        let repository = full.strip_suffix(":latest").unwrap_or(&full).to_owned();
        is_well_formed.then(|| Self {
            repository,
            written: written.to_owned(),
            tag,
            digest,
        })
    }

    /// `api` of `registry.example/shop/api:1`.
    pub fn last_part(&self) -> &str {
        self.written.rsplit('/').next().unwrap_or(&self.written)
    }

    /// The kubelet pulls such a reference each time unless the pod says otherwise: no tag, or `latest`, and no digest
    /// (Kubernetes, "Default image pull policy").
    pub fn is_latest(&self) -> bool {
        self.digest.is_none() && self.tag.as_deref().is_none_or(|tag| tag == "latest")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_taken_apart() {
        let parts = |text: &str| {
            ReferenceParts::parse(text).map(|found| {
                (
                    found.repository.clone(),
                    found.last_part().to_owned(),
                    found.tag,
                    found.digest,
                )
            })
        };
        let tag = |tag: &str| Some(tag.to_owned());
        assert_eq!(
            parts("postgres"),
            Some((
                "docker.io/library/postgres".into(),
                "postgres".into(),
                None,
                None
            ))
        );
        assert_eq!(
            parts("localhost:5000/shop/api"),
            Some(("localhost:5000/shop/api".into(), "api".into(), None, None))
        );
        assert_eq!(
            parts("acme/api:1@sha256:00"),
            Some((
                "docker.io/acme/api".into(),
                "api".into(),
                tag("1"),
                tag("sha256:00")
            ))
        );
    }

    #[test]
    fn what_is_no_reference_is_none() {
        for text in [
            "",
            "a b",
            ":1",
            "/x",
            "x/",
            "a:",
            "data:image/png;base64,AA",
            "x@y",
        ] {
            assert_eq!(ReferenceParts::parse(text), None, "{text}");
        }
    }

    #[test]
    fn without_a_tag_it_is_latest_and_a_digest_is_not() {
        let is_latest = |text| ReferenceParts::parse(text).is_some_and(|found| found.is_latest());
        assert!(is_latest("tool") && is_latest("acme/tool:latest"));
        assert!(!is_latest("tool:1") && !is_latest("tool@sha256:00"));
    }
}
