//! YAML with the lines of its keys: where a value stands, which keys stand twice, all values with their paths.

use serde_json::Value;

use super::spanned::{self, Data, SpannedNode};

/// The first document of a YAML text.
#[derive(Debug, Clone, Default)]
pub struct LinedYaml {
    root: Option<SpannedNode>,
    /// Where each line begins, in bytes.
    begins: Vec<usize>,
}

/// A value of a YAML text that is no collection, or an empty one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinedValue {
    /// The keys that lead to it; of a list the positions from 0.
    pub path: Vec<String>,
    /// 1-based, of its key.
    pub line: u32,
    /// As it is written, without quotes; empty for a collection.
    pub text: String,
}

/// A key that a mapping has twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepeatedKey {
    /// The keys that lead to it, itself the last.
    pub path: Vec<String>,
    /// 1-based, of the second.
    pub line: u32,
    pub first: u32,
}

impl LinedYaml {
    /// # Errors
    /// What the parser says, with the line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let begins = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Ok(Self {
            root: spanned::parse(text)?,
            begins,
        })
    }

    /// The line of the key or item at a path, or of the deepest one on the way that is there, with the count of its
    /// steps. None if not even the first one is.
    pub fn line<S: AsRef<str>>(&self, path: &[S]) -> Option<(u32, usize)> {
        let mut node = self.root.as_ref()?;
        let mut found = None;
        for (at, step) in path.iter().enumerate() {
            let step = step.as_ref();
            let next = match &node.data {
                Data::Map { .. } => node.entry(step).map(|entry| (entry.start, &entry.value)),
                Data::List(items) => step
                    .parse()
                    .ok()
                    .and_then(|index: usize| items.get(index))
                    .map(|item| (item.range.start, item)),
                Data::Scalar { .. } => None,
            };
            let Some((start, below)) = next else { break };
            found = Some((self.line_at(start), at + 1));
            node = below;
        }
        found
    }

    /// Keys that stand twice in a mapping.
    pub fn repeated(&self) -> Vec<RepeatedKey> {
        let mut found = vec![];
        if let Some(root) = &self.root {
            self.repeated_below(root, &mut vec![], &mut found);
        }
        found
    }

    /// All values, in the order of the text.
    pub fn values(&self) -> Vec<LinedValue> {
        let mut found = vec![];
        if let Some(root) = &self.root {
            self.values_below(root, root.range.start, &mut vec![], &mut found);
        }
        found
    }

    /// The keys of the outermost mapping with their lines.
    pub fn keys(&self) -> Vec<(&str, u32)> {
        let entries = self.root.iter().flat_map(SpannedNode::entries);
        entries
            .map(|entry| (entry.key.as_str(), self.line_at(entry.start)))
            .collect()
    }

    fn line_at(&self, byte: usize) -> u32 {
        let line = self.begins.partition_point(|begin| *begin <= byte);
        u32::try_from(line).unwrap_or(u32::MAX)
    }

    fn repeated_below(
        &self,
        node: &SpannedNode,
        path: &mut Vec<String>,
        found: &mut Vec<RepeatedKey>,
    ) {
        let entries = node.entries();
        for (at, entry) in entries.iter().enumerate() {
            path.push(entry.key.clone());
            // `<<` may merge several maps.
            let first = entries[..at].iter().find(|other| other.key == entry.key);
            if let Some(first) = first.filter(|_| entry.key != "<<") {
                found.push(RepeatedKey {
                    path: path.clone(),
                    line: self.line_at(entry.start),
                    first: self.line_at(first.start),
                });
            }
            self.repeated_below(&entry.value, path, found);
            path.pop();
        }
        for (at, item) in node.items().iter().enumerate() {
            path.push(at.to_string());
            self.repeated_below(item, path, found);
            path.pop();
        }
    }

    fn values_below(
        &self,
        node: &SpannedNode,
        start: usize,
        path: &mut Vec<String>,
        found: &mut Vec<LinedValue>,
    ) {
        let is_leaf = node.entries().is_empty() && node.items().is_empty();
        if is_leaf && !path.is_empty() {
            found.push(LinedValue {
                path: path.clone(),
                line: self.line_at(start),
                text: node.text().unwrap_or_default().to_owned(),
            });
        }
        for entry in node.entries() {
            path.push(entry.key.clone());
            self.values_below(&entry.value, entry.start, path, found);
            path.pop();
        }
        for (at, item) in node.items().iter().enumerate() {
            path.push(at.to_string());
            self.values_below(item, item.range.start, path, found);
            path.pop();
        }
    }
}

/// A document of a rendering.
#[derive(Debug, Clone, PartialEq)]
pub struct RenderedDocument {
    /// helm's name of the template; empty if helm did not say.
    pub source: String,
    pub text: String,
    pub object: Value,
}

/// The documents of what helm has rendered, tests and hooks included, empty ones left out.
///
/// # Errors
/// The source of the first document that is no YAML, and what the parser says.
pub fn rendered_documents(text: &str) -> Result<Vec<RenderedDocument>, (String, String)> {
    let mut found = vec![];
    for range in super::manifest::documents(text) {
        let text = &text[range];
        let source = text.lines().find_map(|l| l.strip_prefix("# Source: "));
        let source = source.unwrap_or_default().trim().to_owned();
        match super::yaml::parse(text) {
            Ok(object) if object.is_object() => found.push(RenderedDocument {
                source,
                text: text.to_owned(),
                object,
            }),
            Ok(_) => {}
            Err((why, _)) => return Err((source, why)),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a: 1\nb:\n  c: [x, {d: 2}]\n  e: {}\nb2:\n- f: |\n    g\n";

    #[test]
    fn a_path_has_the_line_of_its_key_or_of_the_deepest_one_there() {
        let yaml = LinedYaml::parse(TEXT).unwrap();
        assert_eq!(yaml.line(&["b", "c", "1", "d"]), Some((3, 4)));
        assert_eq!(yaml.line(&["b2", "0", "f"]), Some((6, 3)));
        assert_eq!(yaml.line(&["b", "gone", "x"]), Some((2, 1)));
        assert_eq!(yaml.line(&["gone"]), None);
    }

    #[test]
    fn every_value_is_found_with_its_path() {
        let yaml = LinedYaml::parse(TEXT).unwrap();
        let values = yaml.values();
        let found: Vec<_> = values.iter().map(|v| (v.path.join("."), v.line)).collect();
        assert_eq!(
            found,
            [
                ("a".to_owned(), 1),
                ("b.c.0".to_owned(), 3),
                ("b.c.1.d".to_owned(), 3),
                ("b.e".to_owned(), 4),
                ("b2.0.f".to_owned(), 6)
            ]
        );
        assert_eq!(yaml.keys(), [("a", 1), ("b", 2), ("b2", 5)]);
    }

    #[test]
    fn a_key_that_stands_twice_is_found_at_any_depth() {
        let yaml = LinedYaml::parse("a:\n- b: 1\n  c: 2\n  b: 3\n<<: {}\n<<: {}\n").unwrap();
        let repeated = yaml.repeated();
        assert_eq!(repeated.len(), 1);
        assert_eq!(
            (
                repeated[0].path.join("."),
                repeated[0].line,
                repeated[0].first
            ),
            ("a.0.b".to_owned(), 4, 2)
        );
    }
}
