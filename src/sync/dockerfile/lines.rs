//! Instructions out of lines: comments, continuations, the escape directive, here-documents.

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instruction {
    /// In capitals.
    pub(super) keyword: String,
    /// What follows the keyword, continuations joined.
    pub(super) text: String,
    /// Its first line, from 1.
    pub(super) line: u32,
}

pub(super) fn instructions(text: &str) -> Vec<Instruction> {
    let escape = escape(text);
    let mut lines = (1u32..)
        .zip(text.trim_start_matches('\u{feff}').lines())
        .peekable();
    let mut found = Vec::new();
    while let Some((line, first)) = lines.next() {
        if is_empty(first) {
            continue;
        }
        let mut text = first.trim().to_owned();
        while text.ends_with(escape) {
            text.pop();
            // Comments and empty lines in between are skipped.
            let Some((_, next)) = lines.find(|(_, next)| !is_empty(next)) else {
                break;
            };
            text.push_str(next.trim_end());
        }
        for end in here_documents(&text) {
            // Its content goes to a shell or into a file; neither is of the context.
            let _ = lines
                .by_ref()
                .find(|(_, line)| line.trim_start_matches('\t') == end);
        }
        let (keyword, rest) = text.split_once(char::is_whitespace).unwrap_or((&text, ""));
        found.push(Instruction {
            keyword: keyword.to_ascii_uppercase(),
            text: rest.trim().to_owned(),
            line,
        });
    }
    found
}

fn is_empty(line: &str) -> bool {
    line.trim().is_empty() || line.trim_start().starts_with('#')
}

/// Directives are comments before anything else.
fn escape(text: &str) -> char {
    let comments = text.lines().map_while(|line| line.trim().strip_prefix('#'));
    let directives = comments.filter_map(|comment| comment.split_once('='));
    let found = directives
        .into_iter()
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("escape"));
    found
        .and_then(|(_, value)| value.trim().chars().next())
        .unwrap_or('\\')
}

/// The words that end the here-documents which begin on this line.
fn here_documents(text: &str) -> Vec<String> {
    let is_one = ["RUN", "COPY", "ADD"].iter().any(|word| {
        text.get(..word.len())
            .is_some_and(|w| w.eq_ignore_ascii_case(word))
    });
    if !is_one {
        return vec![];
    }
    let words = text
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("<<"))
        .filter(|word| !word.starts_with('<'));
    words
        .map(|word| {
            word.trim_start_matches('-')
                .trim_matches(['"', '\''])
                .to_owned()
        })
        .filter(|w| !w.is_empty())
        .collect()
}
