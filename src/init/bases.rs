//! What images begin with: other images of the repository, and names that only the user knows.

use super::builds::FoundBuild;
use super::clue::{plain, shown};
use super::draft::{Confidence, DraftImage, InitDraft};
use crate::image::ReferenceParts;

/// Arguments to which BuildKit gives a value itself.
const GIVEN: [&str; 8] = [
    "BUILDARCH",
    "BUILDOS",
    "BUILDPLATFORM",
    "BUILDVARIANT",
    "TARGETARCH",
    "TARGETOS",
    "TARGETPLATFORM",
    "TARGETVARIANT",
];

/// An image that others begin with is no chart's: it is built for them, where an argument can name it.
pub(super) fn build(builds: &[FoundBuild], images: &mut [DraftImage]) {
    let last = |text: &str| ReferenceParts::parse(text).map(|parts| plain(parts.last_part()));
    let mut taken = vec![];
    for base in images.iter().filter(|image| image.off.is_some()) {
        let Some(build) = builds
            .iter()
            .find(|build| build.dockerfile == base.dockerfile)
        else {
            continue;
        };
        let tags: Vec<_> = build.tags.iter().filter_map(|(tag, _)| last(tag)).collect();
        let is_it = |text: &str| {
            last(text).is_some_and(|name| tags.contains(&name) || name == plain(&base.name))
        };
        for user in builds
            .iter()
            .filter(|user| user.dockerfile != build.dockerfile)
        {
            // `ARG BASE` without a value says by its own name what belongs there.
            let names_base =
                |argument: &str| plain(argument).trim_end_matches("image") == plain(&base.name);
            let begins = |argument: &str| user.bases.iter().any(|from| from.contains(argument));
            let argument =
                user.declared
                    .iter()
                    .find(|(argument, value, _)| match value.as_deref() {
                        // What stands in where Compose gives the folder as a further context.
                        None | Some("scratch") => names_base(argument) && begins(argument),
                        Some(value) => is_it(value),
                    });
            if let Some((argument, _, line)) = argument {
                taken.push((
                    base.name.clone(),
                    user.dockerfile.clone(),
                    Some((argument.clone(), *line)),
                ));
            } else if user.bases.iter().any(|from| is_it(from)) {
                taken.push((base.name.clone(), user.dockerfile.clone(), None));
            }
        }
    }
    for (base, user, argument) in taken {
        let Some(user_image) = images
            .iter_mut()
            .find(|image| image.dockerfile == user && image.off.is_none())
        else {
            continue;
        };
        match argument {
            Some((argument, line)) => {
                user_image.evidence.push(format!("begins with the image {base} ({}:{line})", user.display()));
                user_image.args.retain(|(name, _)| *name != argument);
                user_image.args.push((argument, format!("${{image.{base}.reference}}")));
                if let Some(image) = images.iter_mut().find(|image| image.name == base) {
                    image.off = None;
                    image.confidence = Confidence::Likely;
                }
            }
            None => user_image.alternatives.push(format!(
                "{} begins with the image {base} by a name that is written out: devk builds {base} for it if the Dockerfile says `ARG BASE` and `FROM ${{BASE}}`",
                user.display()
            )),
        }
    }
}

/// Arguments in a FROM to which nothing gives a value: the image's lines say what to write. The answer is what is open.
pub(super) fn ask(builds: &[FoundBuild], draft: &mut InitDraft) -> Vec<String> {
    let mut open = vec![];
    for image in draft.images.iter_mut().filter(|image| image.off.is_none()) {
        let build = builds
            .iter()
            .find(|build| build.dockerfile == image.dockerfile);
        for (name, line) in build.into_iter().flat_map(unvalued) {
            if image.args.iter().any(|(given, _)| *given == name) {
                continue;
            }
            let place = format!("{}:{line}", shown(&image.dockerfile));
            let why = format!(
                "the Dockerfile begins with the argument {name}, and nothing gives it a value ({place})"
            );
            image.alternatives.push(format!(
                "{why}: add `args: {{{name}: IMAGE}}`, or write `ARG {name}=IMAGE` there"
            ));
            open.push(format!(
                "image `{own}`: {why}; write images: {{{own}: {{args: {{{name}: IMAGE}}}}}}",
                own = image.name
            ));
        }
    }
    open
}

/// The arguments without a value that a FROM needs, and their lines.
fn unvalued(build: &FoundBuild) -> Vec<(String, usize)> {
    let mut found: Vec<(String, usize)> = vec![];
    for (name, _, line) in &build.declared {
        let mut same = build.declared.iter().filter(|(other, ..)| other == name);
        let has_value = same.any(|(_, value, _)| value.is_some());
        let is_needed = build.bases.iter().any(|from| uses(from, name));
        let is_known = found.iter().any(|(known, _)| known == name);
        if is_needed && !has_value && !is_known && !GIVEN.contains(&&**name) {
            found.push((name.clone(), *line));
        }
    }
    found
}

/// `$NAME` or `${NAME}`, without a default.
fn uses(from: &str, name: &str) -> bool {
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    from.split('$').skip(1).any(|word| {
        let open = word
            .strip_prefix('{')
            .and_then(|word| word.strip_prefix(name));
        let bare = word.strip_prefix(name);
        open.is_some_and(|rest| rest.starts_with('}')) || bare.is_some_and(ends)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_from_needs_the_arguments_that_it_names_without_a_default() {
        for from in ["$BASE", "${BASE}", "acme/${BASE}:1", "acme/x:$BASE-slim"] {
            assert!(uses(from, "BASE"), "{from}");
        }
        for from in [
            "BASE",
            "${BASE:-alpine}",
            "$BASE_IMAGE",
            "${BASE_IMAGE}",
            "alpine",
        ] {
            assert!(!uses(from, "BASE"), "{from}");
        }
    }
}
