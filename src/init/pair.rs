//! Which Dockerfile builds which image of the charts: weighted evidence, and an assignment that wants a margin between
//! the best and the next. Pure.

use std::path::Path;

use super::builds::FoundBuild;
use super::clue::plain;
use super::draft::Confidence;
use super::library::{LIBRARY, is_mirrored, is_official};
use super::references::SeenReference;

/// A tag by which the repository itself names the reference.
const SAME_REPOSITORY: u32 = 100;
/// The same, from another registry or with a variable in front.
const SAME_LAST_PART: u32 = 70;
const SAME_NAME: u32 = 50;
const PREFIXED_NAME: u32 = 40;
const NAMED_AROUND: u32 = 30;
const PORT: u32 = 12;
/// `Dockerfile` before `Dockerfile.debug`, where both fit.
const PLAIN: u32 = MARGIN;
/// There is one of each.
const ONLY: u32 = 35;

/// Less is no pair.
const LEAST: u32 = 30;
/// How far the best must be before the next.
const MARGIN: u32 = 10;

/// A build and the references that it replaces.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub(super) build: usize,
    pub(super) references: Vec<usize>,
    pub(super) confidence: Confidence,
    pub(super) evidence: Vec<String>,
}

/// Pairs, and what could not be decided: a build with the references that fit as well.
#[derive(Debug, Default)]
pub(super) struct Pairing {
    pub(super) pairs: Vec<Pair>,
    pub(super) open: Vec<(usize, Vec<usize>)>,
}

#[derive(Debug, Clone, Default)]
struct Score {
    points: u32,
    evidence: Vec<String>,
}

impl Score {
    fn add(&mut self, points: u32, why: String) {
        self.points += points;
        self.evidence.push(why);
    }
}

/// Assigns the builds. `own` are the names of the project, its releases and charts, which may stand in front of an
/// image's name.
pub(super) fn assign(
    builds: &[FoundBuild],
    references: &[SeenReference],
    own: &[String],
) -> Pairing {
    let only = is_only(builds, references, own);
    let scores: Vec<Vec<Score>> = builds
        .iter()
        .map(|build| {
            references
                .iter()
                .map(|reference| score(build, reference, own, only))
                .collect()
        })
        .collect();
    let mut pairing = Pairing::default();
    let mut free_builds: Vec<usize> = (0..builds.len()).collect();
    let mut free: Vec<usize> = (0..references.len()).collect();
    while let Some((build, reference)) = next(&scores, &free_builds, &free) {
        free_builds.retain(|other| *other != build);
        free.retain(|other| *other != reference);
        let score = &scores[build][reference];
        pairing.pairs.push(Pair {
            build,
            references: vec![reference],
            confidence: confidence(score.points),
            evidence: score.evidence.clone(),
        });
    }
    take_more(&scores, &mut pairing.pairs, &free);
    let taken: Vec<_> = pairing
        .pairs
        .iter()
        .flat_map(|pair| pair.references.clone())
        .collect();
    free.retain(|reference| !taken.contains(reference));
    let left = Left {
        builds,
        references,
        own,
        taken: &taken,
    };
    while let Some(pair) = left.next(&free_builds, &free) {
        free_builds.retain(|other| *other != pair.build);
        free.retain(|other| !pair.references.contains(other));
        pairing.pairs.push(pair);
    }
    for build in free_builds {
        let fits = free
            .iter()
            .copied()
            .filter(|reference| scores[build][*reference].points >= LEAST);
        let fits: Vec<_> = fits.collect();
        if !fits.is_empty() {
            pairing.open.push((build, fits));
        }
    }
    pairing.pairs.sort_by_key(|pair| pair.build);
    pairing
}

/// What no name pairs: the port does, or that nothing else is left beside images of the same origin.
struct Left<'a> {
    builds: &'a [FoundBuild],
    references: &'a [SeenReference],
    own: &'a [String],
    taken: &'a [usize],
}

impl Left<'_> {
    fn next(&self, builds: &[usize], references: &[usize]) -> Option<Pair> {
        let own: Vec<_> = references
            .iter()
            .copied()
            .filter(|reference| self.is_of_stack(*reference))
            .collect();
        let pair = |build: usize, reference: usize, why: String| Pair {
            build,
            references: vec![reference],
            confidence: Confidence::Guess,
            evidence: vec![why],
        };
        for build in builds {
            let same_port = |reference: &usize| self.port(*build, *reference).is_some();
            let fits: Vec<_> = own.iter().copied().filter(same_port).collect();
            if let [reference] = fits[..]
                && builds
                    .iter()
                    .filter(|other| self.port(**other, reference).is_some())
                    .count()
                    == 1
                && let Some(port) = self.port(*build, reference)
            {
                return Some(pair(
                    *build,
                    reference,
                    format!("of what is left, only this has the port {port}"),
                ));
            }
        }
        match (builds, &own[..]) {
            ([build], [reference]) => {
                Some(pair(*build, *reference, "the only ones left".to_owned()))
            }
            _ => None,
        }
    }

    fn port(&self, build: usize, reference: usize) -> Option<u16> {
        let exposed = &self.builds[build].exposed;
        exposed
            .intersection(&self.references[reference].ports)
            .next()
            .copied()
    }

    /// From the same registry and organisation as what the repository builds.
    fn is_of_stack(&self, reference: usize) -> bool {
        let origin = |at: usize| {
            self.references[at]
                .repository
                .rsplit_once('/')
                .map(|(origin, _)| origin)
        };
        let own = origin(reference);
        if is_official(&self.references[reference], self.own) && !self.is_sibling(reference) {
            return false;
        }
        self.taken.is_empty() || self.taken.iter().any(|taken| origin(*taken) == own)
    }

    /// `shop-web` where the repository builds `shop-api`: neither has a registry in its name.
    fn is_sibling(&self, reference: usize) -> bool {
        let family = |at: usize| {
            let name = self.references[at].repository.strip_prefix(LIBRARY)?;
            name.split_once('-').map(|(family, _)| family)
        };
        let own = family(reference);
        own.is_some() && self.taken.iter().any(|taken| family(*taken) == own)
    }
}

/// The pair with the most points that is ahead of all that share its build or its reference.
fn next(scores: &[Vec<Score>], builds: &[usize], references: &[usize]) -> Option<(usize, usize)> {
    let points = |build: usize, reference: usize| scores[build][reference].points;
    let mut candidates: Vec<_> = builds
        .iter()
        .flat_map(|build| references.iter().map(|reference| (*build, *reference)))
        .filter(|(build, reference)| points(*build, *reference) >= LEAST)
        .collect();
    candidates.sort_by_key(|(build, reference)| std::cmp::Reverse(points(*build, *reference)));
    candidates.into_iter().find(|&(build, reference)| {
        let own = points(build, reference);
        let others = references.iter().filter(|other| **other != reference);
        let in_row = others
            .map(|other| points(build, *other))
            .max()
            .unwrap_or_default();
        let others = builds.iter().filter(|other| **other != build);
        let in_column = others
            .map(|other| points(*other, reference))
            .max()
            .unwrap_or_default();
        // The repository itself may build several references from one Dockerfile.
        let is_ahead_in_row = own >= in_row + MARGIN || (own >= SAME_LAST_PART && own >= in_row);
        is_ahead_in_row && own >= in_column + MARGIN
    })
}

/// References that the repository itself builds from a Dockerfile that has one already.
fn take_more(scores: &[Vec<Score>], pairs: &mut [Pair], free: &[usize]) {
    for reference in free {
        let is_said = |pair: &&mut Pair| scores[pair.build][*reference].points >= SAME_LAST_PART;
        let mut saying: Vec<_> = pairs.iter_mut().filter(is_said).collect();
        if let [pair] = &mut saying[..] {
            pair.references.push(*reference);
            pair.evidence
                .extend(scores[pair.build][*reference].evidence.clone());
        }
    }
}

fn is_only(builds: &[FoundBuild], references: &[SeenReference], own: &[String]) -> bool {
    let candidates = references
        .iter()
        .filter(|reference| !is_official(reference, own));
    builds.len() == 1 && candidates.count() == 1
}

fn score(build: &FoundBuild, reference: &SeenReference, own: &[String], only: bool) -> Score {
    let mut score = Score::default();
    let by_tag = build
        .tags
        .iter()
        .filter_map(|(tag, at)| Some((tag_points(tag, reference)?, tag, at)));
    if let Some((points, tag, at)) = by_tag.max_by_key(|(points, _, _)| *points) {
        // The tag itself may come from `.env`.
        let name = tag
            .rsplit('/')
            .next()
            .and_then(|last| last.split(':').next());
        score.add(
            points,
            match points {
                SAME_REPOSITORY => format!("{at} builds it by that name"),
                _ => format!("{at} builds an image {}", name.unwrap_or_default()),
            },
        );
    }
    // That a Dockerfile is called like somebody's image says only that it begins with that one.
    if is_mirrored(reference) {
        return score;
    }
    if let Some((points, why)) = name_points(build, reference, own) {
        score.add(points, why);
    }
    let around = build.names.iter().find_map(|name| {
        let hint = reference
            .hints
            .iter()
            .find(|hint| plain(hint) == plain(name))?;
        Some(format!("`{hint}` in {}", reference.used))
    });
    if let Some(why) = around {
        score.add(NAMED_AROUND, why);
    }
    if only && !is_official(reference, own) {
        score.add(
            ONLY,
            "the only Dockerfile and the only image of its kind".to_owned(),
        );
    }
    if score.points > 0 && is_plain(&build.dockerfile) {
        score.points += PLAIN;
    }
    let ports: Vec<_> = build.exposed.intersection(&reference.ports).collect();
    if score.points > 0
        && let Some(port) = ports.first()
    {
        score.add(PORT, format!("EXPOSE {port} is the container's port"));
    }
    score
}

fn tag_points(tag: &str, reference: &SeenReference) -> Option<u32> {
    let (name, version) = match tag.rsplit_once(':') {
        Some((name, version)) if !version.contains('/') => (name, Some(version)),
        _ => (tag, None),
    };
    // Where tags are images of their own, the tag decides.
    if let (Some(wanted), Some(version)) = (&reference.tag, version)
        && wanted != version
        && !version.contains('$')
    {
        return None;
    }
    let full = crate::image::ReferenceParts::parse(name).map(|parts| parts.repository);
    let last = name.rsplit('/').next()?;
    if full.as_ref() == Some(&reference.repository) {
        Some(SAME_REPOSITORY)
    } else {
        (plain(&without_variables(last)) == plain(&reference.last_part)).then_some(SAME_LAST_PART)
    }
}

/// `api` of `api$(SUFFIX)`: what is not set is empty.
fn without_variables(name: &str) -> String {
    let mut found = String::new();
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('$') {
        found.push_str(before);
        rest = match after.chars().next() {
            Some('(') => after.split_once(')').map_or("", |(_, after)| after),
            Some('{') => after.split_once('}').map_or("", |(_, after)| after),
            _ => after.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_'),
        };
    }
    found + rest
}

fn is_plain(dockerfile: &Path) -> bool {
    let name = dockerfile.file_name().unwrap_or_default();
    name.eq_ignore_ascii_case("Dockerfile") || name.eq_ignore_ascii_case("Containerfile")
}

fn name_points(
    build: &FoundBuild,
    reference: &SeenReference,
    own: &[String],
) -> Option<(u32, String)> {
    let last = match &reference.tag {
        Some(tag) => plain(tag),
        None => plain(&reference.last_part),
    };
    let folders: Vec<_> = reference
        .written
        .split('/')
        .rev()
        .skip(1)
        .map(plain)
        .collect();
    let prefixes: Vec<_> = own.iter().map(|name| plain(name)).chain(folders).collect();
    let fit = |name: &String| {
        let plain_name = plain(name);
        let is_prefixed = |prefix: &String| {
            !prefix.is_empty()
                && (last == format!("{prefix}{plain_name}")
                    || plain_name == format!("{prefix}{last}"))
        };
        if plain_name == last || (reference.tag.is_some() && last.starts_with(&plain_name)) {
            Some((SAME_NAME, format!("`{name}` is the reference's last part")))
        } else if prefixes.iter().any(is_prefixed) {
            Some((
                PREFIXED_NAME,
                format!("`{name}` is the reference's last part, with the project's name in front"),
            ))
        } else {
            None
        }
    };
    build
        .names
        .iter()
        .filter_map(fit)
        .max_by_key(|(points, _)| *points)
}

fn confidence(points: u32) -> Confidence {
    match points {
        90.. => Confidence::Certain,
        50.. => Confidence::Likely,
        _ => Confidence::Guess,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use super::*;

    fn build(name: &str, port: u16) -> FoundBuild {
        FoundBuild {
            context: PathBuf::from(name),
            dockerfile: PathBuf::from(name).join("Dockerfile"),
            target: None,
            args: Default::default(),
            tags: vec![],
            names: vec![name.to_owned()],
            exposed: [port].into(),
            confidence: Confidence::Certain,
            evidence: vec![],
            alternatives: vec![],
            missing: None,
            services: 0,
            declared: vec![],
            bases: vec![],
            development: None,
        }
    }

    fn reference(written: &str, port: u16) -> SeenReference {
        let parts = crate::image::ReferenceParts::parse(written).unwrap();
        SeenReference {
            written: written.to_owned(),
            repository: parts.repository.clone(),
            last_part: parts.last_part().to_owned(),
            tag: parts.tag,
            hints: BTreeSet::new(),
            ports: [port].into(),
            used: "Deployment/x (x.yaml)".to_owned(),
        }
    }

    fn assigned(builds: &[FoundBuild], references: &[SeenReference]) -> Vec<String> {
        let pairing = assign(builds, references, &["shop".to_owned()]);
        let pairs = pairing.pairs.iter();
        pairs
            .map(|pair| {
                let written: Vec<_> = pair
                    .references
                    .iter()
                    .map(|at| references[*at].written.as_str())
                    .collect();
                format!("{} {}", builds[pair.build].names[0], written.join(" "))
            })
            .collect()
    }

    #[test]
    fn what_fits_twice_alike_is_left_open() {
        let builds = [build("api", 1)];
        let references = [reference("one/api", 2), reference("two/api", 2)];
        assert_eq!(assigned(&builds, &references), [""; 0]);
        let pairing = assign(&builds, &references, &[]);
        assert_eq!(pairing.open, [(0, vec![0, 1])]);
    }

    #[test]
    fn the_whole_name_goes_before_one_with_the_projects_in_front_and_official_images_are_nobodys() {
        let builds = [
            build("api", 1),
            build("shop-api", 1),
            build("redis-tools", 6379),
        ];
        let references = [
            reference("acme/shop-api", 2),
            reference("acme/api", 2),
            reference("redis:7", 6379),
        ];
        assert_eq!(
            assigned(&builds, &references),
            ["api acme/api", "shop-api acme/shop-api"]
        );
    }

    #[test]
    fn an_image_without_a_registry_that_has_the_projects_name_or_a_siblings_is_not_dockers() {
        // What is left over has a name of its own: the folder says nothing.
        let builds = [build("backend", 1), build("src", 2)];
        let with = |left: &str| {
            let references = [
                reference("shop-backend", 1),
                reference(left, 3),
                reference("postgres:17", 5432),
            ];
            assigned(&builds, &references)
        };
        assert_eq!(with("shop-page"), ["backend shop-backend", "src shop-page"]);
        let builds = [build("store-api", 1), build("src", 2)];
        let with = |left: &str| {
            let references = [reference("store-api", 1), reference(left, 3)];
            assigned(&builds, &references)
        };
        assert_eq!(
            with("store-page"),
            ["store-api store-api", "src store-page"]
        );
        assert_eq!(with("memcached"), ["store-api store-api"]);
        assert_eq!(with("shopware"), ["store-api store-api"]);
    }

    #[test]
    fn one_repository_with_a_tag_for_each_image_is_told_apart_by_the_tag() {
        let builds = [build("api", 1), build("web", 2)];
        let references = [
            reference("acme/shop:api-1", 3),
            reference("acme/shop:web-1", 4),
        ];
        assert_eq!(
            assigned(&builds, &references),
            ["api acme/shop:api-1", "web acme/shop:web-1"]
        );
    }
}
