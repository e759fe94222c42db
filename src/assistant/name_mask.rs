//! Other names for the objects of a cluster, for users whose names are nobody else's business: they are replaced before a text
//! goes to a model, and put back in what it says.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// The names and what stands for each.
#[derive(Debug, Clone, Default)]
pub(super) struct NameMask {
    hidden: BTreeMap<String, String>,
    shown: BTreeMap<String, String>,
}

impl NameMask {
    /// A mask of these names. What stands for them is in the order of the names, so that a text always becomes the same one.
    pub(super) fn of(names: &BTreeSet<String>) -> Self {
        let prefix = ["object", "thing", "item", "masked"];
        let is_free = |prefix: &&&str| !names.iter().any(|name| name.starts_with(**prefix));
        let prefix = prefix.iter().find(is_free).unwrap_or(&"masked-name");
        let pairs = names.iter().enumerate();
        let pairs = pairs.map(|(at, name)| (name.clone(), format!("{prefix}{}", at + 1)));
        let hidden: BTreeMap<_, _> = pairs.collect();
        let shown = hidden.iter();
        let shown = shown.map(|(name, instead)| (instead.clone(), name.clone()));
        Self {
            shown: shown.collect(),
            hidden,
        }
    }

    /// The text without the names, wherever in a word they stand, in whatever letters, and with `_` for `-`.
    pub(super) fn hide(&self, text: &str) -> String {
        replaced(text, &self.hidden)
    }

    /// The text with the names.
    pub(super) fn show(&self, text: &str) -> String {
        replaced(text, &self.shown)
    }

    /// The document with the names in its texts.
    pub(super) fn show_in(&self, document: &Value) -> Value {
        match document {
            Value::String(text) => Value::String(self.show(text)),
            Value::Array(items) => items.iter().map(|item| self.show_in(item)).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(key, value)| (self.show(key), self.show_in(value)))
                .collect(),
            other => other.clone(),
        }
    }
}

/// The text with what stands for a name, where one begins and ends with a part of a word. The longest name counts.
fn replaced(text: &str, others: &BTreeMap<String, String>) -> String {
    if others.is_empty() {
        return text.to_owned();
    }
    let mut changed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if !first.is_alphanumeric() {
            changed.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let word = rest
            .find(|c: char| !(c.is_alphanumeric() || "-_.".contains(c)))
            .map_or(rest, |end| &rest[..end]);
        let ends = word
            .match_indices(['-', '_', '.'])
            .map(|(at, _)| at)
            .chain([word.len()]);
        let ends: Vec<_> = ends.collect();
        let name = |end: &usize| {
            let name = word[..*end].to_lowercase().replace('_', "-");
            Some((*end, others.get(&name)?))
        };
        let end = match ends.iter().rev().find_map(name) {
            Some((end, other)) => {
                changed += other;
                end
            }
            None => {
                changed += &word[..ends[0]];
                ends[0]
            }
        };
        rest = &rest[end..];
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(names: &[&str]) -> NameMask {
        NameMask::of(&names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn names_are_hidden_wherever_they_stand_and_put_back() {
        let mask = mask(&[
            "shop",
            "shop-api",
            "redis",
            "payroll-7d9f-x2",
            "shop.example.com-tls",
        ]);
        let text = "shop-api-5c77-abc in shop says: redis://redis.shop.svc:6379 refused; payroll-7d9f-x2, shopping, (shop), shop.example.com-tls";
        let hidden = mask.hide(text);
        for name in ["shop-api", "redis.", "payroll", "(shop)", "example"] {
            assert!(!hidden.contains(name), "{hidden}");
        }
        assert!(
            hidden.contains("-5c77-abc") && hidden.contains("shopping"),
            "{hidden}"
        );
        assert_eq!(mask.show(&hidden), text);
        let others = "SHOP_API_SERVICE_HOST=Payroll-7d9f-x2 my-shop-api";
        let hidden = mask.hide(others).to_lowercase();
        for name in ["shop", "payroll"] {
            assert!(!hidden.contains(name), "{hidden}");
        }
    }

    #[test]
    fn a_name_that_looks_like_what_stands_for_one_is_told_apart() {
        let mask = mask(&["object1", "object2", "thing"]);
        let text = "object2 and object1 and thing";
        assert_eq!(mask.show(&mask.hide(text)), text);
        assert!(!mask.hide(text).contains("object"));
    }

    #[test]
    fn a_call_of_the_model_gets_the_names_back() {
        let mask = mask(&["api"]);
        let call =
            serde_json::json!({"steps": [{"object": {"name": mask.hide("api")}, "replicas": 3}]});
        assert_eq!(mask.show_in(&call)["steps"][0]["object"]["name"], "api");
    }
}
