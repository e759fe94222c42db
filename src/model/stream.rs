//! The JSON documents of a reply's body: events of a stream (the HTML standard's Server-Sent Events), lines, or one document.

use serde_json::Value;

use super::parts::ModelFault;

/// A longer line is no event.
const MOST_BYTES: usize = 2 * 1024 * 1024;

/// How a body is cut into documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyForm {
    /// `text/event-stream`
    Events,
    /// `application/x-ndjson`
    Lines,
    /// Anything else: one document, or several one after another.
    Document,
}

/// The part of a body that has come and is not yet read.
#[derive(Debug)]
pub(super) struct BodyReader {
    form: BodyForm,
    /// Bytes of a line, or of a document, that is not whole.
    rest: Vec<u8>,
    /// The data of an event that is not whole, each line with its end.
    data: String,
    /// OpenAI's last event has been seen.
    pub(super) is_done: bool,
}

impl BodyForm {
    pub(super) fn of(content_type: &str) -> Self {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        match kind {
            "text/event-stream" => Self::Events,
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Self::Lines,
            _ => Self::Document,
        }
    }
}

impl BodyReader {
    pub(super) fn new(form: BodyForm) -> Self {
        Self {
            form,
            rest: vec![],
            data: String::new(),
            is_done: false,
        }
    }

    /// The documents that are whole with these bytes.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Vec<Value>, ModelFault> {
        let mut documents = vec![];
        let mut bytes = bytes;
        // Only what has just come can end a line.
        while self.form != BodyForm::Document
            && let Some(end) = memchr::memchr(b'\n', bytes)
        {
            let (line, after) = bytes.split_at(end + 1);
            bytes = after;
            self.rest.extend_from_slice(line);
            let line = std::mem::take(&mut self.rest);
            let line = String::from_utf8_lossy(&line);
            documents.extend(self.line(line.trim_end_matches(['\r', '\n']))?);
        }
        self.rest.extend_from_slice(bytes);
        match self.rest.len() + self.data.len() > MOST_BYTES {
            true => Err(ModelFault(format!(
                "the reply has more than {MOST_BYTES} bytes at once"
            ))),
            false => Ok(documents),
        }
    }

    /// The documents that are whole because the body ends here.
    pub(super) fn end(&mut self) -> Result<Vec<Value>, ModelFault> {
        let rest = std::mem::take(&mut self.rest);
        let text = String::from_utf8_lossy(&rest);
        match self.form {
            // An event that no empty line ends was cut.
            BodyForm::Events => Ok(vec![]),
            BodyForm::Lines => Ok(self.line(text.trim())?.into_iter().collect()),
            BodyForm::Document => {
                let documents = serde_json::Deserializer::from_str(&text).into_iter();
                let documents: Result<Vec<_>, _> = documents.collect();
                documents.map_err(|e| not_json(&e))
            }
        }
    }

    fn line(&mut self, line: &str) -> Result<Option<Value>, ModelFault> {
        if self.form == BodyForm::Lines {
            return document(line);
        }
        if line.is_empty() {
            return self.event();
        }
        // `event`, `id`, `retry` and comments say nothing that the data does not say.
        if let Some(data) = line.strip_prefix("data:") {
            self.data += data.strip_prefix(' ').unwrap_or(data);
            self.data.push('\n');
        }
        Ok(None)
    }

    /// The event whose lines have all come.
    fn event(&mut self) -> Result<Option<Value>, ModelFault> {
        let data = std::mem::take(&mut self.data);
        if data.trim() == "[DONE]" {
            self.is_done = true;
            return Ok(None);
        }
        document(&data)
    }
}

/// None for a text of spaces alone.
fn document(text: &str) -> Result<Option<Value>, ModelFault> {
    match text.trim() {
        "" => Ok(None),
        text => serde_json::from_str(text)
            .map(Some)
            .map_err(|e| not_json(&e)),
    }
}

fn not_json(e: &serde_json::Error) -> ModelFault {
    ModelFault(match e.is_eof() {
        true => "the reply was cut".to_owned(),
        false => format!("the reply is no JSON: {e}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All documents of a body that comes in pieces of so many bytes.
    fn read(form: BodyForm, body: &str, piece: usize) -> Result<Vec<Value>, ModelFault> {
        let mut reader = BodyReader::new(form);
        let mut documents = vec![];
        for bytes in body.as_bytes().chunks(piece) {
            documents.extend(reader.take(bytes)?);
        }
        documents.extend(reader.end()?);
        Ok(documents)
    }

    #[test]
    fn documents_are_the_same_however_the_body_is_cut() {
        let events = ": hello\r\nevent: a\r\ndata: {\"a\":\r\ndata: \"ä\"}\r\n\r\ndata:{\"a\":2}\n\ndata: [DONE]\n\n";
        let lines = "{\"a\":\"ä\"}\n\n{\"a\":2}";
        let document = "{\"a\":\n\"ä\"}\n{\"a\":2}\n";
        let expected = vec![serde_json::json!({"a": "ä"}), serde_json::json!({"a": 2})];
        for piece in 1..events.len() {
            for (form, body) in [
                (BodyForm::Events, events),
                (BodyForm::Lines, lines),
                (BodyForm::Document, document),
            ] {
                assert_eq!(
                    read(form, body, piece),
                    Ok(expected.clone()),
                    "{form:?} {piece}"
                );
            }
        }
    }

    #[test]
    fn a_body_that_is_cut_or_no_json_is_no_shorter_reply() {
        assert_eq!(read(BodyForm::Events, "data: {\"a\":1}\n", 3), Ok(vec![]));
        for form in [BodyForm::Lines, BodyForm::Document] {
            let fault = read(form, "{\"a\":", 2).unwrap_err();
            assert_eq!(fault.0, "the reply was cut");
        }
        assert!(read(BodyForm::Events, "data: <html>\n\n", 9).is_err());
        assert!(read(BodyForm::Document, "<html>", 9).is_err());
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut reader = BodyReader::new(BodyForm::Events);
        let piece = vec![b'x'; 64 * 1024];
        let refused = (0..100).any(|_| reader.take(&piece).is_err());
        assert!(refused);
        let mut reader = BodyReader::new(BodyForm::Events);
        let piece = "data: x\n".repeat(8192);
        let refused = (0..400).any(|_| reader.take(piece.as_bytes()).is_err());
        assert!(refused);
    }
}
