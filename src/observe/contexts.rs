//! Build contexts that devk does not have: Compose gives a build further, named ones, and the Dockerfile uses them.
//! BuildKit would take such a name for an image and pull it.

use crate::compose::Compose;
use crate::config::{ImageConfig, Project};
use crate::dockerfile::{Instruction, instructions};
use crate::error::{Code, Error};

/// The places in Dockerfiles that name a further context of Compose's.
pub(super) fn missing(project: &Project, compose: &Compose) -> Vec<Error> {
    let images = project.images.iter();
    images
        .flat_map(|image| missing_of(image, compose))
        .collect()
}

fn missing_of(image: &ImageConfig, compose: &Compose) -> Vec<Error> {
    // One that cannot be read is found by the build.
    let text = std::fs::read_to_string(&image.dockerfile).unwrap_or_default();
    let builds = compose
        .services
        .values()
        .filter_map(|service| service.build.as_ref());
    let same = builds.filter(|build| build.has_files_of(image));
    let names: Vec<_> = same.flat_map(|build| &build.additional_contexts).collect();
    let mut stages = vec![];
    let mut problems = vec![];
    for instruction in instructions(&text) {
        let words: Vec<_> = instruction.text.split_whitespace().collect();
        for name in &names {
            if !stages.contains(name) && uses(&instruction, &words, name) {
                problems.push(problem(image, name, instruction.line));
            }
        }
        if let ("FROM", [.., "AS" | "as" | "As", stage]) = (&*instruction.keyword, &words[..]) {
            stages.extend(names.iter().copied().filter(|name| name == stage));
        }
    }
    problems
}

/// `FROM shared`, `COPY --from=shared`, `RUN --mount=type=bind,from=shared`.
fn uses(instruction: &Instruction, words: &[&str], name: &str) -> bool {
    match instruction.keyword.as_str() {
        "FROM" => words.iter().find(|word| !word.starts_with("--")) == Some(&name),
        _ => instruction.sources().any(|source| source == name),
    }
}

fn problem(image: &ImageConfig, name: &str, line: u32) -> Error {
    let message = format!(
        "image `{}` needs the further context `{name}` of the Compose file, and a build of devk has one context",
        image.name
    );
    Error::new(Code::ImageContext, message)
        .hint(format!(
            "make an image `{name}` of that folder (FROM scratch, COPY . /), add args: {{{upper}: \"${{image.{name}.reference}}\"}} to `{}`, \
             and begin the Dockerfile with ARG {upper}=scratch and FROM ${{{upper}}} AS {name}: Compose builds it as before, \
             for its context takes the place of that stage",
            image.name,
            upper = name.to_uppercase().replace(['-', '.'], "_"),
        ))
        .at(&image.dockerfile, line)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::compose::{Service, ServiceBuild};
    use crate::image::context::tests::image;

    fn lines(dockerfile: &str) -> Vec<Option<u32>> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("Dockerfile"), dockerfile).unwrap();
        missing_of(&image(dir.path()), &compose(dir.path()))
            .into_iter()
            .map(|error| error.line)
            .collect()
    }

    fn compose(context: &Path) -> Compose {
        let build = ServiceBuild {
            context: context.to_owned(),
            dockerfile: Some(context.join("Dockerfile")),
            target: None,
            additional_contexts: vec!["shared".to_owned()],
            args: Default::default(),
            secrets: vec![],
            ssh: vec![],
        };
        let service = Service {
            build: Some(build),
            name: "api".into(),
            active: true,
            image: None,
            network_mode: None,
            environment: Default::default(),
            ports: vec![],
            databases: vec![],
            development: Default::default(),
            origin: crate::config::Origin {
                file: "compose.yaml".into(),
                line: 1,
            },
        };
        Compose {
            services: [("api".to_owned(), service)].into(),
            ..Compose::default()
        }
    }

    #[test]
    fn every_use_of_a_further_context_is_named_with_its_line() {
        let found = lines(
            "FROM busybox\nCOPY --from=shared a /a\nRUN --mount=type=bind,from=shared ls\nFROM shared\nCOPY shared /b\n",
        );
        assert_eq!(found, [Some(2), Some(3), Some(4)]);
    }

    #[test]
    fn the_lines_to_write_leave_composes_build_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let dockerfile = dir.path().join("Dockerfile");
        std::fs::write(&dockerfile, "FROM busybox\nCOPY --from=shared a /a\n").unwrap();
        let found = missing_of(&image(dir.path()), &compose(dir.path()));
        let hint = found[0].hint.as_deref().unwrap();
        // An ARG without a value ends every build that does not give it one.
        assert!(
            hint.contains("ARG SHARED=scratch and FROM ${SHARED} AS shared"),
            "{hint}"
        );
        let text =
            "ARG SHARED=scratch\nFROM ${SHARED} AS shared\nFROM busybox\nCOPY --from=shared a /a\n";
        assert_eq!(lines(text), []);
    }

    #[test]
    fn a_stage_of_that_name_is_the_dockerfiles_own() {
        assert_eq!(
            lines("ARG S\nFROM ${S} AS shared\nFROM busybox\nCOPY --from=shared a /a\n"),
            []
        );
    }
}
