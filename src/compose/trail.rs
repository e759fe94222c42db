//! The position of a walk through a Compose file, and the rule that applies there.

use std::fmt;

/// What is done at the keys that a pattern names. In a pattern `*` stands for any key or list item.
pub(super) type TrailRules<T> = [(&'static [&'static str], T)];

/// The keys from the root to a value; `[]` stands for a list's items.
#[derive(Debug, Clone, Default)]
pub(super) struct Trail(Vec<String>);

/// What [`TrailRules`] say about a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TrailMatch<T> {
    Rule(T),
    /// A rule applies further down.
    Above,
    Nothing,
}

impl Trail {
    pub(super) fn of(keys: &[&str]) -> Self {
        Self(keys.iter().map(|key| (*key).to_owned()).collect())
    }

    /// Takes one step down, and back.
    pub(super) fn within<R>(&mut self, key: &str, walk: impl FnOnce(&mut Self) -> R) -> R {
        self.push(key);
        let result = walk(self);
        self.pop();
        result
    }

    pub(super) fn push(&mut self, key: &str) {
        self.0.push(key.to_owned());
    }

    pub(super) fn pop(&mut self) {
        self.0.pop();
    }

    /// Whether the keys here are names that the user gives, so that one with `x-` is no extension.
    pub(super) fn names_keys(&self) -> bool {
        match self.0.as_slice() {
            [section] => ["services", "volumes", "networks", "secrets", "configs"]
                .contains(&section.as_str()),
            [services, _, dependencies] => services == "services" && dependencies == "depends_on",
            _ => false,
        }
    }

    pub(super) fn find<T: Copy>(&self, rules: &TrailRules<T>) -> TrailMatch<T> {
        let mut found = TrailMatch::Nothing;
        for (pattern, rule) in rules {
            if pattern.len() < self.0.len()
                || !self
                    .0
                    .iter()
                    .zip(*pattern)
                    .all(|(key, part)| *part == "*" || key == part)
            {
                continue;
            }
            if pattern.len() == self.0.len() {
                return TrailMatch::Rule(*rule);
            }
            found = TrailMatch::Above;
        }
        found
    }
}

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_rules_at_and_below_a_place() {
        let rules: &TrailRules<u8> = &[
            (&["services", "*", "ports"], 1),
            (&["services", "*", "ports", "*"], 2),
        ];
        let at = |keys: &[&str]| Trail::of(keys).find(rules);
        assert_eq!(at(&["services", "db", "ports"]), TrailMatch::Rule(1));
        assert_eq!(at(&["services", "db", "ports", "[]"]), TrailMatch::Rule(2));
        assert_eq!(at(&["services", "db"]), TrailMatch::Above);
        assert_eq!(at(&["services", "db", "image"]), TrailMatch::Nothing);
        assert_eq!(at(&["x-services"]), TrailMatch::Nothing);
    }
}
