//! The instructions of a Dockerfile out of its lines, as BuildKit reads them: comments, continuations, the escape
//! directive, here-documents.

/// The parser directives that BuildKit knows. Any other comment ends them.
const DIRECTIVES: [&str; 3] = ["check", "escape", "syntax"];

/// The instructions that may have here-documents.
const WITH_DOCUMENTS: [&str; 3] = ["ADD", "COPY", "RUN"];

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instruction {
    /// In capitals.
    pub(crate) keyword: String,
    /// What follows the keyword, continuations joined, here-documents left out.
    pub(crate) text: String,
    /// Its first line, from 1.
    pub(crate) line: u32,
}

impl Instruction {
    /// The stages, images and contexts that files are taken from: `COPY --from=NAME`, `RUN --mount=type=bind,from=NAME`.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &str> {
        let option = match self.keyword.as_str() {
            "COPY" | "ADD" => "--",
            _ => "--mount=",
        };
        let words = self.text.split_whitespace();
        let options = words.filter_map(move |word| word.strip_prefix(option));
        options
            .flat_map(|option| option.split(','))
            .filter_map(|part| part.strip_prefix("from="))
    }
}

/// All instructions of a Dockerfile, whatever they mean.
pub(crate) fn instructions(text: &str) -> Vec<Instruction> {
    let text = without_mark(text);
    let escape = escape(text);
    let mut lines = (1u32..).zip(text.lines());
    let mut found = Vec::new();
    while let Some((line, first)) = lines.next() {
        if is_empty(first) {
            continue;
        }
        let mut text = first.trim_start().to_owned();
        while let Some(start) = continued(&text, escape) {
            text.truncate(start);
            // Comments and empty lines in between are skipped.
            let Some((_, next)) = lines.find(|(_, next)| !is_empty(next)) else {
                break;
            };
            text.push_str(next);
        }
        let (keyword, rest) = text
            .split_once(char::is_whitespace)
            .unwrap_or((text.trim_end(), ""));
        let instruction = Instruction {
            keyword: keyword.to_ascii_uppercase(),
            text: rest.trim().to_owned(),
            line,
        };
        for document in documents(&instruction, escape) {
            // Its content goes to a shell or into a file; neither is of the context.
            let _ = lines.find(|(_, line)| document.ends_at(line));
        }
        found.push(instruction);
    }
    found
}

/// The character that makes the next one, or the end of a line, mean nothing.
pub(crate) fn escape(text: &str) -> char {
    let comments = without_mark(text)
        .lines()
        .map_while(|line| line.trim().strip_prefix('#'));
    let directives = comments.map_while(|comment| {
        let (name, value) = comment.split_once('=')?;
        let name = name.trim().to_ascii_lowercase();
        DIRECTIVES
            .contains(&name.as_str())
            .then(|| (name, value.trim()))
    });
    let mut escapes = directives.filter(|(name, _)| name == "escape");
    match escapes.next() {
        Some((_, "`")) => '`',
        _ => '\\',
    }
}

/// Editors of Windows put a byte order mark in front.
fn without_mark(text: &str) -> &str {
    text.trim_start_matches('\u{feff}')
}

fn is_empty(line: &str) -> bool {
    line.trim().is_empty() || line.trim_start().starts_with('#')
}

/// Where the escape character stands that makes a line go on, if there is one: the last on it, and not escaped
/// itself.
fn continued(line: &str, escape: char) -> Option<usize> {
    let before = line.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    (!before.ends_with(escape)).then_some(before.len())
}

/// A here-document to come.
struct Document {
    end: String,
    /// `<<-`: tabs before its end do not count.
    indented: bool,
}

impl Document {
    /// By the word that begins it: `<<EOF`, `<<-EOF`, `3<<"EOF"`.
    fn of(word: &str, escape: char) -> Option<Self> {
        let after = word.trim_start_matches(|c: char| c.is_ascii_digit());
        let after = after.strip_prefix("<<")?;
        let (indented, end) = after
            .strip_prefix('-')
            .map_or((false, after), |end| (true, end));
        let end = unquoted(end, escape);
        (!end.is_empty() && !after.contains('<')).then_some(Self { end, indented })
    }

    fn ends_at(&self, line: &str) -> bool {
        let line = if self.indented {
            line.trim_start_matches('\t')
        } else {
            line
        };
        line == self.end
    }
}

/// The here-documents that follow an instruction. What a JSON form holds is no shell's.
fn documents(instruction: &Instruction, escape: char) -> Vec<Document> {
    let (keyword, text) = match instruction.keyword.as_str() {
        "ONBUILD" => {
            let text = instruction.text.as_str();
            text.split_once(char::is_whitespace).unwrap_or((text, ""))
        }
        keyword => (keyword, instruction.text.as_str()),
    };
    let mut known = WITH_DOCUMENTS.iter();
    let is_json = serde_json::from_str::<Vec<String>>(text).is_ok();
    if is_json || !known.any(|known| known.eq_ignore_ascii_case(keyword)) {
        return vec![];
    }
    words(text, escape)
        .iter()
        .filter_map(|word| Document::of(word, escape))
        .collect()
}

/// Words parted by white space, quotes and escapes still in them.
fn words(text: &str, escape: char) -> Vec<String> {
    let mut words = vec![String::new()];
    each(text, escape, |c, is_plain| {
        if is_plain && c.is_whitespace() {
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.push(c);
        }
    });
    words
}

/// A word without its quotes and escapes.
fn unquoted(word: &str, escape: char) -> String {
    let mut found = String::new();
    let mut quote = None;
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        match quote {
            Some(end) if c == end => quote = None,
            None if matches!(c, '"' | '\'') => quote = Some(c),
            Some('\'') => found.push(c),
            _ if c == escape => found.extend(chars.next()),
            _ => found.push(c),
        }
    }
    found
}

/// Tells of every character whether it stands outside of quotes and is not escaped.
fn each(text: &str, escape: char, mut tell: impl FnMut(char, bool)) {
    let mut quote = None;
    let mut is_escaped = false;
    for c in text.chars() {
        let was_escaped = std::mem::take(&mut is_escaped);
        tell(c, quote.is_none() && !was_escaped);
        match quote {
            _ if was_escaped => {}
            Some('\'') if c == '\'' => quote = None,
            Some('\'') => {}
            _ if c == escape => is_escaped = true,
            Some(end) if c == end => quote = None,
            None if matches!(c, '"' | '\'') => quote = Some(c),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `LINE KEYWORD text` of each instruction.
    fn read(text: &str) -> Vec<String> {
        let shown = |i: &Instruction| format!("{} {} {}", i.line, i.keyword, i.text);
        instructions(text).iter().map(shown).collect()
    }

    #[test]
    fn lines_go_on_behind_the_escape_character_and_not_behind_one_that_is_escaped() {
        assert_eq!(
            read("FROM x\nRUN a \\ \n  # why\n\n  b\\\nc\nRUN dir c:\\\\\nRUN d \\"),
            ["1 FROM x", "2 RUN a   bc", "7 RUN dir c:\\\\", "8 RUN d"]
        );
        assert_eq!(
            read(
                "\u{feff}# syntax=x\r\n# Escape = `\r\nFROM x\r\nCOPY a c:\\\r\nRUN a `\r\n  b\r\n"
            ),
            ["3 FROM x", "4 COPY a c:\\", "5 RUN a   b"]
        );
    }

    #[test]
    fn a_directive_counts_before_all_other_comments_only() {
        assert_eq!(escape("# escape=`\nFROM x"), '`');
        assert_eq!(escape("# syntax=docker/dockerfile:1\n#escape=`\n"), '`');
        for text in [
            "",
            "FROM x\n# escape=`",
            "\n# escape=`",
            "# why\n# escape=`",
            "# a=b\n# escape=`",
        ] {
            assert_eq!(escape(text), '\\', "{text}");
        }
    }

    #[test]
    fn what_stands_in_a_here_document_is_no_instruction() {
        let text = "RUN <<EOF\nRUN one\n\tEOF\nEOF\nCOPY <<-'A B' <<\"C\" /to/\n\tFROM no\n\tA B\nRUN two\nC\n\
                    ONBUILD RUN 3<<X cat\nRUN three\nX\nRUN last";
        assert_eq!(
            read(text),
            [
                "1 RUN <<EOF",
                "5 COPY <<-'A B' <<\"C\" /to/",
                "10 ONBUILD RUN 3<<X cat",
                "13 RUN last"
            ]
        );
    }

    #[test]
    fn what_only_looks_like_a_here_document_takes_nothing_away() {
        for first in [
            "RUN echo \"a <<EOF\"",
            "RUN cat <<<EOF",
            "RUN echo \\<<EOF",
            "RUN [\"sh\", \"<<EOF\"]",
            "RUN a << EOF",
            "ENV A=<<EOF",
            "RUNNER <<EOF",
        ] {
            assert_eq!(read(&format!("{first}\nRUN b")).len(), 2, "{first}");
        }
    }
}
