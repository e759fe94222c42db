//! Answers of any size in pages of at most 16 KB: a document is written with one element of a list on a line, and cut
//! between lines. All pages one after the other are the document. The rest of the last answers is kept for `status` with
//! a cursor; the cursor names the answer and the place in it, so the same cursor gives the same page again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::error::{Code, Error, Result, internal};
use crate::hex;

/// The largest result of a call, in bytes of its JSON.
pub(super) const MAX_RESULT_BYTES: usize = 16 * 1024;
/// Beside text and structured content: the keys of the result, and the text with the cursor.
const ENVELOPE_BYTES: usize = 400;
/// The largest structured content.
const MAX_STRUCTURED_BYTES: usize = 6 * 1024;
/// The rest of so many answers is kept.
const KEPT_ANSWERS: usize = 16;

/// The answers whose rest can be asked for.
#[derive(Debug, Default)]
pub(super) struct KeptAnswers(Mutex<VecDeque<(String, Arc<str>)>>);

/// A part of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub text: String,
    /// Where the rest begins.
    pub rest: Option<PageRest>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct PageRest {
    pub cursor: String,
    pub bytes: usize,
}

impl KeptAnswers {
    /// The first page of a text that may take so much room beside `beside` bytes of other content.
    ///
    /// # Errors
    /// [`Code::Internal`] if the system has no randomness.
    pub(super) fn first(&self, text: &str, beside: usize) -> Result<Page> {
        let room = MAX_RESULT_BYTES - ENVELOPE_BYTES - beside.min(MAX_STRUCTURED_BYTES);
        let end = cut(text, room);
        if end == text.len() {
            return Ok(Page {
                text: text.to_owned(),
                rest: None,
            });
        }
        let id = hex::random::<6>().map_err(|e| internal(&e))?;
        if let Ok(mut kept) = self.0.lock() {
            kept.push_back((id.clone(), Arc::from(text)));
            if kept.len() > KEPT_ANSWERS {
                kept.pop_front();
            }
        }
        Ok(page(&id, text, 0, end))
    }

    /// The page at a cursor.
    ///
    /// # Errors
    /// [`Code::Usage`] if this server did not give the cursor, or has dropped the answer since.
    pub(super) fn at(&self, cursor: &str) -> Result<Page> {
        let found = cursor.split_once('.').and_then(|(id, start)| {
            let kept = self.0.lock().ok()?;
            let (_, text) = kept.iter().find(|(kept, _)| kept == id)?;
            let start = start.parse().ok()?;
            text.is_char_boundary(start)
                .then(|| (id, text.clone(), start))
        });
        let (id, text, start) = found.ok_or_else(|| {
            let what = format!("there is no answer with the cursor `{cursor}`, or not any more");
            Error::new(Code::Usage, what).hint("call the tool again that gave it")
        })?;
        let end = start + cut(&text[start..], MAX_RESULT_BYTES - ENVELOPE_BYTES);
        Ok(page(id, &text, start, end))
    }
}

fn page(id: &str, text: &str, start: usize, end: usize) -> Page {
    let rest = (end < text.len()).then(|| PageRest {
        cursor: format!("{id}.{end}"),
        bytes: text.len() - end,
    });
    Page {
        text: text[start..end].to_owned(),
        rest,
    }
}

/// How much of a text takes at most `room` bytes within a JSON string: up to the end of a line, if there is one.
fn cut(text: &str, room: usize) -> usize {
    let mut taken = 0;
    let mut line_end = None;
    for (at, c) in text.char_indices() {
        taken += escaped_bytes(c);
        if taken > room {
            return line_end.unwrap_or(at);
        }
        if c == '\n' {
            line_end = Some(at + 1);
        }
    }
    text.len()
}

fn escaped_bytes(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' => 2,
        '\u{8}' | '\u{c}' => 2,
        c if c.is_ascii_control() => 6,
        c => c.len_utf8(),
    }
}

/// A document with each element of its lists on a line of its own.
pub(super) fn lines(document: &Value) -> String {
    let Value::Object(members) = document else {
        return document.to_string();
    };
    let members = members.iter().map(|(key, value)| {
        let value = match value {
            Value::Array(items) if !items.is_empty() => {
                let items: Vec<_> = items.iter().map(nested).collect();
                format!("[\n{}]", items.join(",\n"))
            }
            value => value.to_string(),
        };
        format!("{}:{value}", Value::from(key.as_str()))
    });
    format!("{{{}}}", members.collect::<Vec<_>>().join(",\n"))
}

/// An element; of its own lists of texts, such as the lines of a log, each is on a line.
fn nested(item: &Value) -> String {
    let Value::Object(members) = item else {
        return item.to_string();
    };
    let members = members.iter().map(|(key, value)| {
        let value = match value {
            Value::Array(items) if items.len() > 1 && items.iter().all(Value::is_string) => {
                let items: Vec<_> = items.iter().map(Value::to_string).collect();
                format!("[\n{}]", items.join(",\n"))
            }
            value => value.to_string(),
        };
        format!("{}:{value}", Value::from(key.as_str()))
    });
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

/// The document with its longest lists and texts cut until it has the size of structured content. Of a list the end
/// stays, since the last line of a log says most.
pub(super) fn shortened(mut document: Value) -> Value {
    while document.to_string().len() > MAX_STRUCTURED_BYTES && halve_largest(&mut document) {}
    document
}

/// Halves the largest list or text. False if there is none that can be halved.
fn halve_largest(document: &mut Value) -> bool {
    match document {
        Value::Object(members) => {
            let largest = members
                .values_mut()
                .max_by_key(|value| value.to_string().len());
            largest.is_some_and(halve_largest)
        }
        Value::Array(items) if items.len() > 1 => {
            items.drain(..items.len().div_ceil(2));
            true
        }
        Value::Array(items) => items.first_mut().is_some_and(halve_largest),
        Value::String(text) if text.len() > 64 => {
            *text = format!("…{}", &text[text.ceil_char_boundary(text.len() / 2)..]);
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn all_pages(text: &str) -> Vec<String> {
        let kept = KeptAnswers::default();
        let mut page = kept.first(text, 0).unwrap();
        let mut pages = vec![];
        loop {
            pages.push(page.text);
            match page.rest {
                Some(rest) => page = kept.at(&rest.cursor).unwrap(),
                None => return pages,
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn all_pages_together_are_the_document_and_none_is_too_large(
            lines in proptest::collection::vec("[a-z\"\\\\\u{1}ü\u{1f600}]{0,2000}", 0..60)
        ) {
            let text = lines.join("\n");
            let pages = all_pages(&text);
            prop_assert_eq!(pages.concat(), text);
            for page in pages {
                prop_assert!(Value::from(page).to_string().len() <= MAX_RESULT_BYTES - ENVELOPE_BYTES + 2);
            }
        }
    }

    #[test]
    fn a_document_is_cut_between_elements() {
        let pods: Vec<_> = (0..1000)
            .map(|n| json!({"name": format!("pod-{n}"), "ready": true}))
            .collect();
        let document = json!({"version": 1, "pods": pods, "empty": []});
        let pages = all_pages(&lines(&document));
        assert!(pages.len() > 2);
        assert!(
            pages[0].ends_with("},\n"),
            "{}",
            &pages[0][pages[0].len() - 20..]
        );
        assert_eq!(
            serde_json::from_str::<Value>(&pages.concat()).unwrap(),
            document
        );
    }

    #[test]
    fn a_cursor_that_nobody_gave_is_refused() {
        let kept = KeptAnswers::default();
        let page = kept.first(&"ü\n".repeat(20_000), 0).unwrap();
        let cursor = page.rest.unwrap().cursor;
        let id = cursor.split_once('.').unwrap().0;
        for wrong in [
            "",
            "x",
            "x.5",
            &format!("{id}.1"),
            &format!("{id}.999999"),
            &format!("{id}.-1"),
        ] {
            assert_eq!(kept.at(wrong).unwrap_err().code, Code::Usage, "{wrong}");
        }
        assert_eq!(kept.at(&cursor), kept.at(&cursor));
    }

    #[test]
    fn structured_content_keeps_its_shape_and_the_end_of_a_log() {
        let log: Vec<_> = (0..2000).map(|n| format!("line {n}")).collect();
        let document = json!({"settled": false, "failures": [{"step": "x", "log": log, "text": "y".repeat(9000)}]});
        let short = shortened(document);
        assert!(short.to_string().len() <= MAX_STRUCTURED_BYTES);
        let log = short["failures"][0]["log"].as_array().unwrap();
        assert_eq!(log.last().unwrap(), "line 1999");
        assert_eq!(short["settled"], false);
    }
}
