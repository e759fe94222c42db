//! Which objects of a proposed plan its user has named.
//!
//! A model reads logs and annotations, in which anybody may write. So a plan may only write what the user's own words name;
//! about everything else the user decides after having read it.

use crate::ask::AskedProject;
use crate::change::plan::{ChangePlan, ObjectName};

/// The objects that the question does not name.
pub(super) fn unnamed(
    question: &str,
    plan: &ChangePlan,
    project: &AskedProject,
) -> Vec<ObjectName> {
    let words: Vec<_> = words(question).collect();
    let is_said = |name: &str| words.iter().any(|word| word == name);
    let is_named = |object: &ObjectName| {
        let short = project.releases.iter().filter_map(|release| {
            object
                .name
                .strip_prefix(release.as_str())?
                .strip_prefix('-')
        });
        let is_place = object
            .namespace
            .as_deref()
            .is_none_or(|namespace| project.namespaces.contains(namespace) || is_said(namespace));
        is_place && (is_said(&object.name) || short.into_iter().any(is_said))
    };
    let mut unnamed: Vec<_> = plan.steps.iter().map(|step| step.object.clone()).collect();
    unnamed.retain(|object| !is_named(object));
    unnamed.dedup();
    unnamed
}

/// The words of a question in the letters that names consist of: `deploy/web` is two, `it's` too.
fn words(question: &str) -> impl Iterator<Item = String> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let words = question.split(move |c| !is_of_name(c));
    words
        .map(|word| word.trim_matches(['-', '.']).to_lowercase())
        .filter(|word| !word.is_empty())
}
