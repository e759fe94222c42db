//! The weakest fit: the image's name is a word in the last part of a reference, as in `acme-api-service`. It counts only
//! where nothing else comes into question, and the other words name the project or say what every service is: another
//! word may make it somebody else's image, such as `oauth2-proxy` beside an image `proxy`.

use std::collections::{BTreeMap, BTreeSet};

use super::problems::several;
use super::{Assigning, MatchedBy, plain};
use crate::config::{ImageConfig, is_base};
use crate::image::ImageRef;

/// Words that say nothing of which service it is.
const ROLES: [&str; 7] = [
    "service",
    "svc",
    "server",
    "app",
    "image",
    "container",
    "docker",
];

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
        let own = self.own_names().flat_map(words_of);
        let said: BTreeSet<_> = own.chain(ROLES.map(str::to_owned)).collect();
        let is_open = |name: &String| open.iter().any(|(config, _)| config.name == *name);
        let mut found = BTreeMap::new();
        for (repository, seen) in &self.seen {
            let last = seen.reference.last_part();
            let named = used
                .iter()
                .filter(|config| has_word(last, &config.name, &said));
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

fn words_of(name: &str) -> impl Iterator<Item = String> + use<'_> {
    name.split(['-', '_', '.']).map(plain)
}

/// Whether words of a name are those of an image, and each other one is among `said`.
fn has_word(name: &str, image: &str, said: &BTreeSet<String>) -> bool {
    let words: Vec<_> = words_of(name).collect();
    let image = plain(image);
    let mut spans =
        (0..words.len()).flat_map(|from| (from + 1..=words.len()).map(move |to| from..to));
    let is_said = |words: &[String]| words.iter().all(|word| said.contains(word));
    !image.is_empty()
        && spans.any(|span| {
            words[span.clone()].concat() == image
                && is_said(&words[..span.start])
                && is_said(&words[span.end..])
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_whole_and_the_others_are_of_the_project_or_of_every_service() {
        let said = ["acme", "service", "svc", "server"]
            .map(str::to_owned)
            .into();
        let has = |name, image| has_word(name, image, &said);
        for name in ["acme-api-service", "acme_api", "api.server", "Api-svc"] {
            assert!(has(name, "api"), "{name}");
        }
        for name in ["acme-apis", "rapid", "kong-api", "api-gateway", ""] {
            assert!(!has(name, "api"), "{name}");
        }
        assert!(!has("apiserver", "api"));
        assert!(has("acme-todo-api-svc", "todo_api"));
        assert!(!has("acme-api-todo", "todo-api"));
    }
}
