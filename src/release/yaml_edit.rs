//! Single values set in the text of a YAML file: comments, order and style of everything else stay byte for byte.
//!
//! What cannot be set without touching something else (a value that an alias brings, a block where another value stands) is
//! not set. The new text is read again, and has to say what the old one said with that one value changed.

use serde_json::{Map, Value};

use super::spanned::{self, Data, Entry, SpannedNode};
use super::yaml;
use crate::new_chart::yaml_scalar;

/// How much deeper a new block stands than its key.
const STEP: usize = 2;

/// The text with the value at a path of keys, which are added as far as they are missing. None if that cannot be done.
pub fn set_in_text<S: AsRef<str>>(text: &str, path: &[S], value: &Value) -> Option<String> {
    let path: Vec<_> = path.iter().map(AsRef::as_ref).collect();
    let mut expected = read(text)?;
    put(&mut expected, &path, value.clone())?;
    let new = placed(text, &path, value)?;
    (read(&new)? == expected).then_some(new)
}

/// The text with an item in the list at a path of keys: at its end, unless it is there already. The list is made if it is
/// missing. None if that cannot be done.
pub fn add_in_text<S: AsRef<str>>(text: &str, path: &[S], item: &Value) -> Option<String> {
    let path: Vec<_> = path.iter().map(AsRef::as_ref).collect();
    let before = read(text)?;
    let list = path
        .iter()
        .try_fold(&before, |value, key| value.get(*key))
        .filter(|list| !list.is_null());
    let Some(list) = list else {
        return set_in_text(text, &path, &Value::Array(vec![item.clone()]));
    };
    let mut items = list.as_array()?.clone();
    if items.contains(item) {
        return Some(text.to_owned());
    }
    items.push(item.clone());
    let mut expected = before.clone();
    put(&mut expected, &path, Value::Array(items))?;
    let root = spanned::parse(text).ok()??;
    let mut node = &root;
    for key in &path {
        node = &own_entry(node, key)?.value;
    }
    let new = appended(text, node, item)?;
    (read(&new)? == expected).then_some(new)
}

/// A value on one line, in flow style.
pub fn flow_text(value: &Value) -> String {
    match value {
        Value::String(text) => yaml_scalar(text),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(flow_text).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(entries) => {
            let entries: Vec<_> = entries
                .iter()
                .map(|(key, value)| format!("{}: {}", yaml_scalar(key), flow_text(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

/// The entries of a mapping in block style, each line with its end.
pub fn block_text(
    entries: &Map<String, Value>,
    indent: usize,
    scalar: fn(&Value) -> String,
) -> String {
    let mut text = String::new();
    for (key, value) in entries {
        let key = yaml_scalar(key);
        let margin = " ".repeat(indent);
        match value {
            Value::Object(below) if !below.is_empty() => {
                text += &format!("{margin}{key}:\n");
                text += &block_text(below, indent + STEP, scalar);
            }
            other => text += &format!("{margin}{key}: {}\n", scalar(other)),
        }
    }
    text
}

fn read(text: &str) -> Option<Value> {
    match yaml::parse(text).ok()? {
        Value::Null => Some(Value::Object(Map::new())),
        value => Some(value),
    }
}

/// Sets a value; None if something that is no mapping stands on the way.
pub fn put<S: AsRef<str>>(root: &mut Value, path: &[S], value: Value) -> Option<()> {
    let mut at = root;
    for key in path {
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
        let entries = at.as_object_mut()?;
        at = entries.entry(key.as_ref()).or_insert(Value::Null);
    }
    *at = value;
    Some(())
}

/// The entry of a key that stands in the map itself, with its value; none that an alias or a merge brings.
fn own_entry<'a>(node: &'a SpannedNode, key: &str) -> Option<&'a Entry> {
    let entry = node.entries().iter().rfind(|entry| entry.key == key)?;
    (entry.value.range.start >= entry.start).then_some(entry)
}

fn placed(text: &str, path: &[&str], value: &Value) -> Option<String> {
    let nested = |rest: &[&str]| {
        let nest =
            |below: Value, key: &&str| Value::Object(Map::from_iter([((*key).to_owned(), below)]));
        rest.iter().rev().fold(value.clone(), nest)
    };
    let Some(root) = spanned::parse(text).ok()?.filter(|root| !is_null(root)) else {
        let entries = nested(path);
        let gap = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        return Some(format!(
            "{text}{gap}{}",
            block_text(entries.as_object()?, 0, flow_text)
        ));
    };
    let (mut node, mut entry, mut in_flow) = (&root, None, false);
    let mut rest = path;
    while let Some((key, below)) = rest.split_first() {
        if !node.entries().iter().any(|entry| entry.key == **key) {
            break;
        }
        in_flow |= is_flow(node);
        let own = own_entry(node, key)?;
        (node, entry, rest) = (&own.value, Some(own), below);
    }
    let site = Site {
        text,
        node,
        entry,
        in_flow,
    };
    match nested(rest) {
        Value::Object(added) if rest.is_empty() && added.is_empty() => site.replaced("{}"),
        Value::Object(added) => site.filled(&added),
        scalar => site.replaced(&flow_text(&scalar)),
    }
}

/// Where something is to be written.
struct Site<'a> {
    text: &'a str,
    node: &'a SpannedNode,
    /// The entry whose value the node is; None for the root.
    entry: Option<&'a Entry>,
    /// It stands in braces.
    in_flow: bool,
}

impl Site<'_> {
    /// Another value in the place of a scalar or of a collection in flow style.
    fn replaced(&self, new: &str) -> Option<String> {
        let range = self.node.range.clone();
        if is_null(self.node) && range.is_empty() {
            let colon = self.behind_key()?;
            return Some(format!(
                "{} {new}{}",
                &self.text[..colon],
                &self.text[colon..]
            ));
        }
        let is_block = match &self.node.data {
            Data::Scalar { is_block, .. } => *is_block,
            _ => !is_flow(self.node),
        };
        let (before, after) = (self.text.get(..range.start)?, self.text.get(range.end..)?);
        (!is_block).then(|| format!("{before}{new}{after}"))
    }

    /// The entries written into a mapping, or in the place of nothing.
    fn filled(&self, added: &Map<String, Value>) -> Option<String> {
        let entries = self.node.entries();
        match &self.node.data {
            Data::Map { flow: false, .. } if !entries.is_empty() => {
                let end = self.node.end();
                let block = block_text(added, entries.first()?.column, flow_text);
                Some(inserted(self.text, end, &block))
            }
            Data::Map { flow: true, .. } if !entries.is_empty() => {
                let end = entries.last()?.value.end();
                let flow = flow_text(&Value::Object(added.clone()));
                let inner = flow.get(1..flow.len() - 1)?;
                Some(format!(
                    "{}, {inner}{}",
                    &self.text[..end],
                    &self.text[end..]
                ))
            }
            Data::Map { flow: true, .. } if self.in_flow => {
                self.replaced(&flow_text(&Value::Object(added.clone())))
            }
            Data::Map { flow: true, .. } => self.opened(added),
            Data::Scalar { .. } if is_null(self.node) && !self.in_flow => self.opened(added),
            Data::Scalar { .. } | Data::Map { .. } | Data::List(_) => None,
        }
    }

    /// `key: {}` or `key:` becomes a block below the key.
    fn opened(&self, added: &Map<String, Value>) -> Option<String> {
        let range = self.node.range.clone();
        let indent = self.entry.map_or(0, |entry| entry.column + STEP);
        let block = block_text(added, indent, flow_text);
        let Some(_) = self.entry else {
            let (before, after) = (self.text.get(..range.start)?, self.text.get(range.end..)?);
            return Some(format!("{before}{}{after}", block.trim_end()));
        };
        let colon = self.behind_key()?;
        let written = self.text.get(colon..range.end.max(colon))?;
        // Only `{}`, `null` or `~` goes; a comment behind it stays.
        let is_alone = !written.contains('\n') && !written.contains('#');
        let after = match is_alone {
            true => &self.text[range.end.max(colon)..],
            false if range.is_empty() => &self.text[colon..],
            false => return None,
        };
        let line = after.find('\n').unwrap_or(after.len());
        let text = format!("{}{}", &self.text[..colon], after);
        let text = match after[..line].trim() {
            "" => format!("{}{}", &self.text[..colon], &after[line..]),
            _ => text,
        };
        Some(inserted(&text, colon, &block))
    }

    /// Behind the colon of the key.
    fn behind_key(&self) -> Option<usize> {
        let start = self.entry?.start;
        let line = self.text[start..].lines().next()?;
        // Keys in quotes may have colons; theirs are not followed by a blank.
        let colon = line.match_indices(':').find(|(at, _)| {
            let after = line[at + 1..].chars().next();
            after.is_none_or(char::is_whitespace)
        })?;
        Some(start + colon.0 + 1)
    }
}

fn is_null(node: &SpannedNode) -> bool {
    matches!(node.text(), Some("" | "~" | "null"))
}

fn is_flow(node: &SpannedNode) -> bool {
    match &node.data {
        Data::Map { flow, .. } => *flow,
        // Only in flow style the range of a list goes to its bracket.
        Data::List(items) => items.last().is_none_or(|last| node.range.end > last.end()),
        Data::Scalar { .. } => false,
    }
}

/// The text with lines behind the line that has this byte, or the last one before it that is not blank.
fn inserted(text: &str, at: usize, lines: &str) -> String {
    let at = text[..at].trim_end().len();
    let end = text[at..]
        .find('\n')
        .map_or(text.len(), |line| at + line + 1);
    with_lines(text, end, lines)
}

/// The text with lines before the line that begins at this byte, or at its end; they end as those of the text do.
pub fn with_lines(text: &str, at: usize, lines: &str) -> String {
    let (before, after) = text.split_at(at);
    let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let gap = if before.is_empty() || before.ends_with('\n') {
        ""
    } else {
        line_end
    };
    let lines = lines.replace('\n', line_end);
    format!("{before}{gap}{lines}{after}")
}

fn appended(text: &str, list: &SpannedNode, item: &Value) -> Option<String> {
    let Data::List(items) = &list.data else {
        return None;
    };
    let item = flow_text(item);
    let Some(last) = items.last() else {
        let (before, after) = (text.get(..list.range.start)?, text.get(list.range.end..)?);
        return Some(format!("{before}[{item}]{after}"));
    };
    if is_flow(list) {
        let end = last.end();
        return Some(format!("{}, {item}{}", text.get(..end)?, text.get(end..)?));
    }
    let first = items.first()?.range.start;
    let line = text[..first].rfind('\n').map_or(0, |at| at + 1);
    let margin = &text[line..first];
    let indent = margin.len() - margin.trim_start().len();
    margin.trim_start().starts_with("- ").then(|| {
        let dash = format!("{}- {item}\n", " ".repeat(indent));
        inserted(text, last.end(), &dash)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn set(text: &str, path: &str, value: Value) -> Option<String> {
        let path: Vec<_> = path.split('.').collect();
        set_in_text(text, &path, &value)
    }

    #[test]
    fn a_value_is_replaced_where_it_stands() {
        let text = "# head\na: 1   # one\nb:\n  c: 'x'\n  d: {e: 2}\n";
        for (path, value, from, to) in [
            ("a", json!(7), "a: 1 ", "a: 7 "),
            ("b.c", json!("it's"), "'x'", "\"it's\""),
            ("b.d.e", json!("1Gi"), "{e: 2}", "{e: 1Gi}"),
            ("b.d.f", json!([1]), "{e: 2}", "{e: 2, f: [1]}"),
        ] {
            assert_eq!(
                set(text, path, value).unwrap(),
                text.replace(from, to),
                "{path}"
            );
        }
    }

    #[test]
    fn missing_keys_are_added_at_the_end_of_their_mapping() {
        let text = "a:\n    b: 1  # one\n    c: |\n      x\n\n# of d\nd: 2\n";
        let found = set(text, "a.e.f", json!("1Gi")).unwrap();
        assert_eq!(
            found,
            "a:\n    b: 1  # one\n    c: |\n      x\n    e:\n      f: 1Gi\n\n# of d\nd: 2\n"
        );
        assert_eq!(
            set("a: 1", "b.c", json!(true)).unwrap(),
            "a: 1\nb:\n  c: true\n"
        );
        assert_eq!(set("", "b", json!("x")).unwrap(), "b: x\n");
        assert_eq!(
            set("# nothing\n", "b", json!(2)).unwrap(),
            "# nothing\nb: 2\n"
        );
    }

    #[test]
    fn an_empty_mapping_becomes_a_block_and_its_comments_stay() {
        let text = "r: {}\n  # limits:\n  #   cpu: 1\ns: {}  # none\nt:\nu: ~\nv: {w: {}}\n";
        let value = json!({"limits": {"memory": "1Gi"}});
        let block = "\n  limits:\n    memory: 1Gi\n";
        for (path, from, to) in [
            ("r", "r: {}\n", format!("r:{block}")),
            ("s", "s: {}  # none\n", format!("s:  # none{block}")),
            ("t", "t:\n", format!("t:{block}")),
            ("u", "u: ~\n", format!("u:{block}")),
            ("v.w", "{w: {}}", "{w: {limits: {memory: 1Gi}}}".to_owned()),
        ] {
            let found = set(text, path, value.clone());
            assert_eq!(
                found.as_deref(),
                Some(&*text.replacen(from, &to, 1)),
                "{path}"
            );
        }
    }

    #[test]
    fn line_ends_stay_as_they_are() {
        assert_eq!(
            set("a:\r\n  b: 1\r\n", "a.c", json!(2)).unwrap(),
            "a:\r\n  b: 1\r\n  c: 2\r\n"
        );
    }

    #[test]
    fn what_would_change_something_else_is_left() {
        for (text, path) in [
            ("a: &x {b: 1}\nc: *x\n", "c.b"),
            ("a: &x\n  b: 1\nc:\n  <<: *x\n  d: 1\n", "c.b.e"),
            ("a: |\n  text\n", "a"),
            ("a:\n- 1\n", "a"),
            ("a: 1\n", "a.b"),
            ("a: [\n", "b"),
        ] {
            assert_eq!(set(text, path, json!(2)), None, "{text}");
        }
    }

    #[test]
    fn an_item_is_added_to_its_list() {
        let append = |text: &str, path: &str| {
            let path: Vec<_> = path.split('.').collect();
            add_in_text(text, &path, &json!("x"))
        };
        assert_eq!(append("a: [b]  # c\n", "a").unwrap(), "a: [b, x]  # c\n");
        assert_eq!(
            append("a:\n  l:\n  - b\n  # c\nd: 1\n", "a.l").unwrap(),
            "a:\n  l:\n  - b\n  - x\n  # c\nd: 1\n"
        );
        assert_eq!(append("a: []\n", "a").unwrap(), "a: [x]\n");
        assert_eq!(append("a: [x, b]\n", "a").unwrap(), "a: [x, b]\n");
        assert_eq!(append("b: 1\n", "a").unwrap(), "b: 1\na: [x]\n");
        assert_eq!(append("a: 1\n", "a"), None);
    }

    proptest! {
        /// Whatever the file looks like: what is set is set, and every line that has nothing to do with it is still there.
        #[test]
        fn other_lines_survive(
            keys in proptest::collection::vec("[a-d]", 1..4),
            style in 0..3usize,
        ) {
            let text = [
                "# top\na:\n  b: {c: 1} # x\n  c:\n  - 1\n# end\n",
                "a: {}\nb:\n  a: 'x' # y\n\n  d: ~\nc: \"q\"\n",
                "d:\n    a:\n        b: 1\n    c: >\n      folded\n      text\n",
            ][style];
            if let Some(new) = set_in_text(text, &keys, &json!("new")) {
                let mut value = &read(&new).unwrap();
                for key in &keys {
                    value = &value[key];
                }
                prop_assert_eq!(value, &json!("new"));
                for comment in ["# top", "# x", "# end", "# y", "folded"] {
                    prop_assert_eq!(text.contains(comment), new.contains(comment));
                }
            }
        }
    }
}
