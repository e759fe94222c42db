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

    /// The text without the names. Of a longer word a name at its beginning counts, as of a pod that came since.
    pub(super) fn hide(&self, text: &str) -> String {
        of_words(
            text,
            |word| {
                let ends = word.match_indices('-').map(|(at, _)| at);
                let ends = ends.chain([word.len()]);
                let longest = ends
                    .rev()
                    .find_map(|end| Some((end, self.hidden.get(&word[..end])?)));
                longest.map(|(end, instead)| format!("{instead}{}", &word[end..]))
            },
            self.hidden.is_empty(),
        )
    }

    /// The text with the names.
    pub(super) fn show(&self, text: &str) -> String {
        of_words(
            text,
            |word| {
                let (head, tail) = word
                    .split_once('-')
                    .map_or((word, ""), |(head, _)| (head, &word[head.len()..]));
                self.shown.get(head).map(|name| format!("{name}{tail}"))
            },
            self.shown.is_empty(),
        )
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

/// The text with each word replaced for which there is something else. A word consists of letters, digits and dashes.
fn of_words(text: &str, other: impl Fn(&str) -> Option<String>, is_idle: bool) -> String {
    if is_idle {
        return text.to_owned();
    }
    let is_of_word = |c: char| c.is_alphanumeric() || c == '-';
    let mut changed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_of_word) {
        let (between, from) = rest.split_at(start);
        let end = from.find(|c| !is_of_word(c)).unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        changed += between;
        changed += other(word).as_deref().unwrap_or(word);
        rest = after;
    }
    changed + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(names: &[&str]) -> NameMask {
        NameMask::of(&names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn names_are_hidden_wherever_they_stand_and_put_back() {
        let mask = mask(&["shop", "shop-api", "redis", "payroll-7d9f-x2"]);
        let text = "shop-api-5c77-abc in shop says: redis://redis.shop.svc:6379 refused; payroll-7d9f-x2, shopping, (shop)";
        let hidden = mask.hide(text);
        for name in ["shop-api", "redis.", "payroll", "(shop)"] {
            assert!(!hidden.contains(name), "{hidden}");
        }
        assert!(
            hidden.contains("-5c77-abc") && hidden.contains("shopping"),
            "{hidden}"
        );
        assert_eq!(mask.show(&hidden), text);
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
