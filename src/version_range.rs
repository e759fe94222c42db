//! Semantic versions, and ranges of them as charts write them: `>=1.25.0-0 <2`, `^1.2 || ~2.0`, `1.x`, `1.2 - 1.4`
//! (helm, "Charts": `kubeVersion` and the versions of dependencies; semver.org 2.0.0).

use semver::{BuildMetadata, Comparator, Op, Prerelease, Version};

/// A range of versions: one of several lists of comparisons that all hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRange(Vec<Vec<Comparison>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Comparison {
    comparator: Comparator,
    /// `!=`.
    negated: bool,
}

/// A version as Chart.yaml must have it: `MAJOR.MINOR.PATCH`, with a pre-release and build if wanted.
pub fn is_strict(text: &str) -> bool {
    Version::parse(text).is_ok()
}

/// A version, in which a `v` may stand before it and parts may be missing: `v1.31` is `1.31.0`.
pub fn version(text: &str) -> Option<Version> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, rest) = text.split_at(end);
    let missing = 2usize.checked_sub(numbers.matches('.').count())?;
    Version::parse(&format!("{numbers}{}{rest}", ".0".repeat(missing))).ok()
}

impl VersionRange {
    /// None if the text is no range.
    pub fn parse(text: &str) -> Option<Self> {
        let lists: Option<Vec<_>> = text.split("||").map(comparisons).collect();
        lists.map(Self)
    }

    /// Whether a version is in the range. Unlike a package manager it looks at pre-releases, too: those of a cluster's
    /// provider are released versions (`1.31.2-gke.1`).
    pub fn has(&self, version: &Version) -> bool {
        let version = Version {
            pre: Prerelease::EMPTY,
            build: BuildMetadata::EMPTY,
            ..version.clone()
        };
        self.0.iter().any(|all| {
            all.iter()
                .all(|one| one.comparator.matches(&version) != one.negated)
        })
    }
}

/// What all holds: comparisons with commas or spaces between them.
fn comparisons(text: &str) -> Option<Vec<Comparison>> {
    if let Some((low, high)) = text.split_once(" - ") {
        return Some(vec![
            comparison(&format!(">={}", low.trim()))?,
            comparison(&format!("<={}", high.trim()))?,
        ]);
    }
    let spaced = text.replace(',', " ");
    let mut words: Vec<String> = vec![];
    for word in spaced.split_whitespace() {
        match words.last_mut() {
            // `>= 1.2` is one comparison.
            Some(last) if last.chars().all(|c| "<>=!~^".contains(c)) => last.push_str(word),
            _ => words.push(word.to_owned()),
        }
    }
    if words.is_empty() {
        return None;
    }
    words.iter().map(|word| comparison(word)).collect()
}

fn comparison(text: &str) -> Option<Comparison> {
    let begin = text
        .find(|c: char| !"<>=!~^".contains(c))
        .unwrap_or(text.len());
    let (sign, number) = text.split_at(begin);
    let number = number.strip_prefix('v').unwrap_or(number);
    let end = number.find(['-', '+']).unwrap_or(number.len());
    let mut parts = number[..end].split('.');
    let mut part = || match parts.next() {
        None | Some("x" | "X" | "*") => Some(None),
        Some(digits) => digits.parse().ok().map(Some),
    };
    let (major, minor, patch) = (part()?, part()?, part()?);
    if parts.next().is_some() {
        return None;
    }
    let (op, negated) = match sign {
        "" | "=" | "==" => (Op::Exact, false),
        "!=" => (Op::Exact, true),
        ">" => (Op::Greater, false),
        ">=" | "=>" => (Op::GreaterEq, false),
        "<" => (Op::Less, false),
        "<=" | "=<" => (Op::LessEq, false),
        "~" | "~>" => (Op::Tilde, false),
        "^" => (Op::Caret, false),
        _ => return None,
    };
    let comparator = Comparator {
        op: match major {
            Some(_) => op,
            // `*`: any version is at least 0.
            None => Op::GreaterEq,
        },
        major: major.unwrap_or(0),
        minor,
        patch: minor.and(patch),
        pre: Prerelease::EMPTY,
    };
    Some(Comparison {
        comparator,
        negated,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(range: &str, text: &str) -> bool {
        VersionRange::parse(range)
            .unwrap()
            .has(&version(text).unwrap())
    }

    #[test]
    fn ranges_are_read_as_charts_write_them() {
        for (range, inside, outside) in [
            (">=1.25.0-0", "1.25.0", "1.24.9"),
            (">=1.25.0-0 <1.30", "v1.29.4", "1.30.0"),
            (">= 1.25, < 2", "1.99", "2.0.0"),
            ("^1.2", "1.9.0", "2.0.0"),
            ("~1.2.3", "1.2.9", "1.3.0"),
            ("1.x", "1.7.0", "2.0.0"),
            ("1.2 - 1.4", "1.4.9", "1.5.0"),
            ("^1.0 || ^3.0", "3.1.0", "2.0.0"),
            ("!=1.2.3", "1.2.4", "1.2.3"),
        ] {
            assert!(has(range, inside), "{range} has {inside}");
            assert!(!has(range, outside), "{range} has not {outside}");
        }
        assert!(has("*", "0.0.1"));
        assert!(has(">=1.31", "1.31.2-gke.100"));
    }

    #[test]
    fn what_is_no_range_or_version_is_none() {
        for text in ["", "new", ">=", "1.2.3.4", "1.2 ||"] {
            assert_eq!(VersionRange::parse(text), None, "{text}");
        }
        assert!(is_strict("1.2.3-rc.1+5") && !is_strict("1.2") && !is_strict("v1.2.3"));
    }
}
