//! Contents whose build gave an image that existed before. A file that no COPY takes changes the content hash but not
//! the image: the image keeps its reference, so its pods stay.

use std::path::{Path, PathBuf};

use bollard::Docker;
use serde::{Deserialize, Serialize};

use super::build::inspect;
use super::{ImageRef, remove_tags};
use crate::error::{Result, internal};
use crate::paths::write_atomic;

/// The contents that the file holds, those built last.
const MAX_CONTENTS: usize = 200;

/// A content, by the tag that names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    repository: String,
    tag: String,
    /// The tag of the image that its build gave.
    before: String,
    /// The ID of that image in Docker.
    id: String,
}

/// The record of contents whose builds gave the same image, one for each project.
#[derive(Debug, Clone)]
pub struct SameImages {
    file: PathBuf,
}

impl SameImages {
    /// `state` is the project's folder of state.
    pub fn of(state: &Path) -> Self {
        Self {
            file: state.join("same-images.json"),
        }
    }

    /// The image that the build of this content gave, and its ID in Docker; the image may be gone.
    pub fn before(&self, content: &ImageRef) -> Option<(ImageRef, String)> {
        let known = self
            .contents()
            .into_iter()
            .find(|known| known.is(content))?;
        let before = ImageRef {
            tag: known.before,
            ..content.clone()
        };
        Some((before, known.id))
    }

    /// Returns the earlier reference of an image that was just built, if the image existed before by another tag. Then
    /// the new tag is removed, and noted as a name of the same image.
    ///
    /// # Errors
    /// [`crate::error::Code::DockerRequest`], [`crate::error::Code::StateIo`].
    pub async fn reuse(
        &self,
        docker: &Docker,
        built: &ImageRef,
        id: &str,
    ) -> Result<Option<ImageRef>> {
        let reference = built.reference();
        let image = inspect(docker, &reference).await?;
        let tags = image.and_then(|image| image.repo_tags).unwrap_or_default();
        let Some(before) = other(&tags, built) else {
            return Ok(None);
        };
        remove_tags(docker, vec![reference]).await?;
        self.note(Content {
            repository: built.repository.clone(),
            tag: built.tag.clone(),
            before: before.tag.clone(),
            id: id.to_owned(),
        })?;
        Ok(Some(before))
    }

    /// A missing or broken file counts as empty: unknown contents are built.
    fn contents(&self) -> Vec<Content> {
        let text = std::fs::read(&self.file).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    fn note(&self, new: Content) -> Result<()> {
        let mut contents = self.contents();
        contents.retain(|known| (&known.repository, &known.tag) != (&new.repository, &new.tag));
        contents.push(new);
        let forgotten = contents.len().saturating_sub(MAX_CONTENTS);
        let text = serde_json::to_vec(&contents[forgotten..]).map_err(|e| internal(&e))?;
        write_atomic(&self.file, &text, 0o644)
    }
}

impl Content {
    fn is(&self, image: &ImageRef) -> bool {
        (&self.repository, &self.tag) == (&image.repository, &image.tag)
    }
}

/// Another tag of the same repository.
fn other(tags: &[String], image: &ImageRef) -> Option<ImageRef> {
    let tag = |reference: &String| {
        let (repository, tag) = reference.rsplit_once(':')?;
        (repository == image.repository && tag != image.tag).then(|| tag.to_owned())
    };
    let tag = tags.iter().find_map(tag)?;
    Some(ImageRef {
        tag,
        ..image.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::image_ref;

    fn content(tag: &str, before: &str) -> Content {
        let ImageRef {
            repository, tag, ..
        } = image_ref("shop", "api", tag);
        Content {
            repository,
            tag,
            before: before.to_owned(),
            id: "sha256:1".to_owned(),
        }
    }

    #[test]
    fn what_builds_have_shown_is_known_until_others_have_taken_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let same = SameImages::of(dir.path());
        let before = |image: &str, tag: &str| {
            let known = same.before(&image_ref("shop", image, tag));
            known.map(|(before, _)| before.reference())
        };
        assert_eq!(before("api", "2"), None);
        same.note(content("2", "0")).unwrap();
        same.note(content("2", "1")).unwrap();
        assert_eq!(before("api", "2").unwrap(), "devk.local/shop/api:1");
        assert_eq!(before("web", "2"), None, "of another image");
        for tag in 0..MAX_CONTENTS {
            same.note(content(&format!("n{tag}"), "1")).unwrap();
        }
        assert_eq!(before("api", "2"), None);
        assert!(before("api", "n0").is_some());
    }

    #[test]
    fn only_a_tag_of_the_same_repository_is_the_image_of_before() {
        let image = image_ref("shop", "api", "2");
        let tags = |tags: &[&str]| tags.iter().map(ToString::to_string).collect::<Vec<_>>();
        let alone = tags(&["devk.local/shop/api:2", "devk.local/shop/web:1", "api:1"]);
        assert_eq!(other(&alone, &image), None);
        let both = tags(&["devk.local/shop/api:2", "devk.local/shop/api:1"]);
        assert_eq!(other(&both, &image).unwrap().tag, "1");
    }
}
