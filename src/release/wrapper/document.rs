//! A manifest file taken apart into the documents that go into a chart: one object each, a List into its items.
//!
//! Invariant: YAML is cut and never written anew, so that helm and the API server read what the user wrote; only JSON,
//! which helm would read as YAML, is written in the form in which the two agree.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::object::{NoManifest, Object};
use crate::error::{Code, Error};
use crate::release::spanned::{self, SpannedNode};
use crate::release::yaml;

/// One file of manifests.
#[derive(Debug, Clone)]
pub(super) struct ManifestFile {
    pub(super) path: PathBuf,
    pub(super) content: Vec<u8>,
}

/// A piece of a manifest file that is a document of its own in the chart.
#[derive(Debug, Clone)]
pub(super) struct ManifestDocument {
    pub(super) text: String,
    /// One, but for a List that cannot be cut.
    pub(super) objects: Vec<Object>,
}

/// A part of a file between two `---`.
#[derive(Debug)]
struct Part {
    /// Of its first line in the file, from 1.
    line: u32,
    text: String,
}

/// The documents of a file. What is wrong with it is added to `problems`.
pub(super) fn documents(file: &ManifestFile, problems: &mut Vec<Error>) -> Vec<ManifestDocument> {
    let Ok(text) = std::str::from_utf8(&file.content) else {
        let error = Error::new(Code::ManifestInvalid, "the manifest is not UTF-8 text");
        problems.push(error.at(&file.path, None).hint(LEAVE_OUT));
        return vec![];
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut documents = vec![];
    for part in parts(text) {
        let read = Reading {
            file: &file.path,
            part: &part,
        };
        match read.documents() {
            Ok(found) => documents.extend(found),
            Err(found) => problems.extend(found),
        }
    }
    documents
}

pub(super) const LEAVE_OUT: &str =
    "leave the file out of `manifests:`: name files, or write a narrower pattern";

/// YAML separates documents by lines that begin with `---` and ends them by `...`; what follows `---` in its line belongs
/// to the next document. Lines with `%` before a document are for the parser alone.
fn parts(text: &str) -> Vec<Part> {
    let mut parts = vec![];
    let mut current = Part {
        line: 1,
        text: String::new(),
    };
    for (at, line) in (1u32..).zip(text.split_inclusive('\n')) {
        let is_end = |mark: &str| {
            line.strip_prefix(mark)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
        };
        if is_end("---") {
            let next = Part {
                line: at,
                text: format!("   {}", &line[3..]),
            };
            parts.push(std::mem::replace(&mut current, next));
        } else if is_end("...") || (line.starts_with('%') && current.text.trim().is_empty()) {
            current.text.push('\n');
        } else {
            current.text.push_str(line);
        }
    }
    parts.push(current);
    parts
}

struct Reading<'a> {
    file: &'a Path,
    part: &'a Part,
}

impl Reading<'_> {
    fn documents(&self) -> Result<Vec<ManifestDocument>, Vec<Error>> {
        let text = &self.part.text;
        if let Ok(json) = serde_json::from_str::<Value>(text) {
            return self.of_json(&json);
        }
        let value = yaml::parse(text).map_err(|(message, line)| {
            vec![self.invalid(&format!("the manifest is not valid YAML: {message}"), line)]
        })?;
        if value.is_null() {
            return Ok(vec![]);
        }
        let root = spanned::parse(text).map_err(|said| {
            vec![self.invalid(&format!("the manifest cannot be read: {said}"), None)]
        })?;
        let Some(root) = root else {
            return Ok(vec![]);
        };
        match items(&value) {
            Some(items) => self.of_list(&root, items),
            None => {
                let line = self.line_of(&root);
                let object =
                    Object::read(&value, self.file, line).map_err(|e| vec![e.into_error()])?;
                Ok(vec![ManifestDocument {
                    text: text.clone(),
                    objects: vec![object],
                }])
            }
        }
    }

    /// JSON is YAML, but not to every parser: tabs and pairs of surrogates (`\ud83d\ude00`) are an error to helm's.
    fn of_json(&self, json: &Value) -> Result<Vec<ManifestDocument>, Vec<Error>> {
        let mut problems = vec![];
        let mut documents = vec![];
        let line = self.first_line();
        for value in items(json).map_or_else(|| vec![json], |items| items.iter().collect()) {
            match Object::read(value, self.file, line) {
                Ok(object) => documents.push(ManifestDocument {
                    text: in_yaml(value),
                    objects: vec![object],
                }),
                Err(refusal) => problems.push(refusal.into_error()),
            }
        }
        match problems.is_empty() {
            true => Ok(documents),
            false => Err(problems),
        }
    }

    fn of_list(
        &self,
        root: &SpannedNode,
        values: &[Value],
    ) -> Result<Vec<ManifestDocument>, Vec<Error>> {
        let list = root.get("items").map_or(&[][..], SpannedNode::items);
        let mut problems: Vec<NoManifest> = vec![];
        let mut objects = vec![];
        for (value, node) in values.iter().zip(list) {
            match Object::read(value, self.file, self.line_of(node)) {
                Ok(object) => objects.push(object),
                Err(refusal) => problems.push(refusal),
            }
        }
        if !problems.is_empty() {
            return Err(problems.into_iter().map(NoManifest::into_error).collect());
        }
        let cut = cut(&self.part.text, root, list);
        let is_same = |(text, value): (&String, &Value)| yaml::parse(text).as_ref() == Ok(value);
        if cut.len() == values.len() && cut.iter().zip(values).all(is_same) {
            let whole = cut.into_iter().zip(objects);
            return Ok(whole
                .map(|(text, object)| ManifestDocument {
                    text,
                    objects: vec![object],
                })
                .collect());
        }
        // Items that share anchors make sense only together.
        if let Some(definition) = objects.iter().find(|object| object.is_definition()) {
            let message = format!(
                "{} shares a YAML anchor with other items of its List",
                definition.named()
            );
            let error = Error::new(Code::ManifestInvalid, message)
                .hint("write the CustomResourceDefinition as a document of its own: it is installed before the others");
            return Err(vec![error.at(self.file, definition.line)]);
        }
        Ok(vec![ManifestDocument {
            text: self.part.text.clone(),
            objects,
        }])
    }

    fn invalid(&self, message: &str, line: Option<u32>) -> Error {
        let line = line.map_or(self.part.line, |line| self.part.line + line - 1);
        let hint = match self.part.text.contains("{{") {
            true => {
                "a template of a chart is rendered by helm: name the chart's folder by `chart:` in place of `manifests:`"
            }
            false => "correct the file, or leave it out of `manifests:`",
        };
        Error::new(Code::ManifestInvalid, message)
            .at(self.file, line)
            .hint(hint)
    }

    fn line_of(&self, node: &SpannedNode) -> u32 {
        let before = &self.part.text[..node.range.start];
        let lines = before.matches('\n').count();
        self.part.line + u32::try_from(lines).unwrap_or_default()
    }

    fn first_line(&self) -> u32 {
        let blank = self.part.text.len() - self.part.text.trim_start().len();
        let lines = self.part.text[..blank].matches('\n').count();
        self.part.line + u32::try_from(lines).unwrap_or_default()
    }
}

/// The items of a List, or of a list of one kind (`ConfigMapList`), as kubectl tells them.
fn items(value: &Value) -> Option<&Vec<Value>> {
    let is_list = value["kind"]
        .as_str()
        .is_some_and(|kind| kind.ends_with("List"));
    value["items"].as_array().filter(|_| is_list)
}

/// The text of each item of a List: of a block from its first line to that of the next item, with the signs before it as
/// blanks.
fn cut(text: &str, root: &SpannedNode, items: &[SpannedNode]) -> Vec<String> {
    let Some(own) = root.entry("items") else {
        return vec![];
    };
    let line_start = |at: usize| text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let next_key = root
        .entries()
        .iter()
        .map(|entry| entry.start)
        .filter(|start| *start > own.start)
        .min();
    let list_end = next_key.map_or(text.len(), line_start);
    let starts: Vec<_> = items.iter().map(|item| item.range.start).collect();
    let one = |(at, item): (usize, &SpannedNode)| {
        let start = item.range.start;
        if text[start..].starts_with('{') {
            return text[item.range.clone()].to_owned() + "\n";
        }
        let line = line_start(start);
        let end = starts
            .get(at + 1)
            .map_or(list_end, |next| line_start(*next));
        let before = text.get(line..start).unwrap_or_default();
        let blanks = " ".repeat(before.chars().count());
        format!("{blanks}{}", text.get(start..end).unwrap_or_default())
    };
    items.iter().enumerate().map(one).collect()
}

/// As JSON that every parser of YAML reads alike.
fn in_yaml(value: &Value) -> String {
    let json = format!("{value:#}\n");
    let is_plain = |c: char| {
        !matches!(
            c,
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}'
        )
    };
    json.chars()
        .map(|c| match is_plain(c) {
            true => c.to_string(),
            false => format!("\\u{:04x}", u32::from(c)),
        })
        .collect()
}

#[cfg(test)]
mod tests;
