//! The weakest fit: the image's name is a word in the last part of a reference, as in `acme-api-service`. It counts only
//! where nothing else comes into question.

use std::collections::{BTreeMap, BTreeSet};

use super::problems::several;
use super::{Assigning, MatchedBy, plain};
use crate::config::{ImageConfig, is_base};
use crate::image::ImageRef;

impl Assigning<'_> {
    /// By repository that is free the images of which the name has a word: those that are open, and all others of the
    /// project, too.
    pub(super) fn words(
        &self,
        open: &[(&ImageConfig, &ImageRef)],
    ) -> BTreeMap<String, BTreeSet<String>> {
        let project = self.inputs.project;
        let images = project.images.iter();
        let used: Vec<_> = images
            .filter(|config| !is_base(&config.name, &project.images))
            .collect();
        let is_open = |name: &String| open.iter().any(|(config, _)| config.name == *name);
        let mut found = BTreeMap::new();
        for (repository, seen) in &self.seen {
            let last = seen.reference.last_part();
            let named = used.iter().filter(|config| has_word(last, &config.name));
            let names: BTreeSet<_> = named.map(|config| config.name.clone()).collect();
            if self.is_free(repository) && names.iter().any(is_open) {
                found.insert(repository.clone(), names);
            }
        }
        found
    }

    pub(super) fn by_word(
        &mut self,
        config: &ImageConfig,
        image: &ImageRef,
        words: &BTreeMap<String, BTreeSet<String>>,
    ) -> bool {
        let own: Vec<_> = words
            .iter()
            .filter(|(_, names)| names.contains(&config.name))
            .collect();
        match own[..] {
            [] => return false,
            [(repository, names)] if names.len() == 1 => {
                self.claim(image, repository, None, MatchedBy::Word);
            }
            _ => {
                let repositories: Vec<_> = own.iter().map(|(found, _)| found.as_str()).collect();
                let others = own.iter().flat_map(|(_, names)| *names);
                let problem = several(&self.seen, config, &repositories, others);
                self.problems.push(problem);
            }
        }
        true
    }
}

/// Whether words of a name, which `-`, `_` and `.` part, are those of an image.
fn has_word(name: &str, image: &str) -> bool {
    let words: Vec<_> = name.split(['-', '_', '.']).map(plain).collect();
    let image = plain(image);
    let spans = (0..words.len()).flat_map(|from| (from + 1..=words.len()).map(move |to| from..to));
    let mut joined = spans.map(|span| words[span].concat());
    !image.is_empty() && joined.any(|word| word == image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_whole_and_may_be_several() {
        for name in ["acme-api-service", "acme_api", "api.server", "Api-v2"] {
            assert!(has_word(name, "api"), "{name}");
        }
        for name in ["acme-apis", "rapid", "acme-ap-i-x2", ""] {
            assert!(!has_word(name, "api2"), "{name}");
        }
        assert!(!has_word("apiserver", "api"));
        assert!(has_word("acme-todo-api-svc", "todo_api"));
        assert!(!has_word("acme-api-todo", "todo-api"));
    }
}
