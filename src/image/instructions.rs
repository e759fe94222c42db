//! The files that say how an image is built, beside its content: the Dockerfile, and the ignore file.

use std::path::{Component, Path, PathBuf};

use super::dockerignore::deciding_files;
use crate::config::ImageConfig;

/// The paths of these files, also while they do not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instructions {
    /// In the build context, relative to it.
    pub within: Vec<PathBuf>,
    /// Outside of it, absolute.
    pub outside: Vec<PathBuf>,
}

impl Instructions {
    pub fn of(image: &ImageConfig) -> Self {
        let mut found = Self {
            within: vec![],
            outside: vec![],
        };
        let ignore = deciding_files(&image.context, &image.dockerfile);
        for file in std::iter::once(image.dockerfile.clone()).chain(ignore) {
            match within(image, &file) {
                Some(below) => found.within.push(below.to_owned()),
                None => found.outside.push(file),
            }
        }
        found
    }
}

/// The way to a file from the build context, if it is in there. devk.yaml's `../x` leads out of the context that it
/// is written below.
pub(super) fn within<'a>(image: &ImageConfig, file: &'a Path) -> Option<&'a Path> {
    let below = file.strip_prefix(&image.context).ok()?;
    below
        .components()
        .all(|part| matches!(part, Component::Normal(_)))
        .then_some(below)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::context::tests::{image, write};

    #[test]
    fn a_dockerfile_outside_of_the_context_has_its_own_ignore_file_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            &[
                ("app/a", ""),
                ("app/Dockerfile", ""),
                ("api.Dockerfile", ""),
            ],
        );
        let mut config = image(&dir.path().join("app"));
        let within = ["Dockerfile", "Dockerfile.dockerignore", ".dockerignore"]
            .map(PathBuf::from)
            .to_vec();
        assert_eq!(
            Instructions::of(&config),
            Instructions {
                within,
                outside: vec![]
            }
        );
        config.dockerfile = dir.path().join("api.Dockerfile");
        let outside = ["api.Dockerfile", "api.Dockerfile.dockerignore"]
            .map(|name| dir.path().join(name))
            .to_vec();
        assert_eq!(
            Instructions::of(&config),
            Instructions {
                within: vec![".dockerignore".into()],
                outside
            }
        );
    }
}
