//! The words of a question.

use super::kind::AskedKind;

/// One word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QuestionWord {
    /// As it was typed, without punctuation around it.
    pub(super) text: String,
    pub(super) lower: String,
    /// It stood in quotes or backticks: a name, whatever else it may mean.
    pub(super) is_quoted: bool,
}

impl QuestionWord {
    fn new(text: &str, is_quoted: bool) -> Self {
        Self {
            text: text.to_owned(),
            lower: text.to_lowercase(),
            is_quoted,
        }
    }

    /// The kind and name of `deploy/web`.
    pub(super) fn with_kind(&self) -> Option<(AskedKind, &str)> {
        let (kind, name) = self.text.split_once('/').filter(|_| !self.is_quoted)?;
        Some((AskedKind::called(&kind.to_lowercase())?, name))
    }

    pub(super) fn is_label(&self) -> bool {
        !self.is_quoted && self.text.contains('=')
    }
}

/// Contractions, written out.
const CONTRACTIONS: &[(&str, &[&str])] = &[
    ("what's", &["what", "is"]),
    ("whats", &["what", "is"]),
    ("who's", &["who", "is"]),
    ("where's", &["where", "is"]),
    ("there's", &["there", "is"]),
    ("it's", &["it", "is"]),
    ("isn't", &["is", "not"]),
    ("isnt", &["is", "not"]),
    ("aren't", &["are", "not"]),
    ("arent", &["are", "not"]),
    ("wasn't", &["was", "not"]),
    ("doesn't", &["does", "not"]),
    ("doesnt", &["does", "not"]),
    ("don't", &["do", "not"]),
    ("dont", &["do", "not"]),
    ("didn't", &["did", "not"]),
    ("hasn't", &["has", "not"]),
    ("haven't", &["have", "not"]),
    ("won't", &["will", "not"]),
    ("can't", &["can", "not"]),
    ("cant", &["can", "not"]),
    ("cannot", &["can", "not"]),
    ("couldn't", &["could", "not"]),
    ("i'd", &["i", "would"]),
    ("i'm", &["i", "am"]),
];

/// The words of a text, in their order.
pub(super) fn tokens(text: &str) -> Vec<QuestionWord> {
    let text = text.replace(['’', '‘'], "'").replace(['“', '”'], "\"");
    let mut found = vec![];
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let quoted = match first {
            '`' | '"' | '\'' => quoted(rest, first),
            _ => None,
        };
        let end = match quoted {
            Some(inside) => {
                found.push(QuestionWord::new(inside, true));
                inside.len() + 2
            }
            None => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                plain(&rest[..end], &mut found);
                end
            }
        };
        rest = rest[end..].trim_start();
    }
    found
}

/// What stands between this quote and the next of its kind.
fn quoted(text: &str, quote: char) -> Option<&str> {
    let inside = &text[quote.len_utf8()..];
    let end = inside.find(quote)?;
    let inside = inside[..end].trim();
    (inside.len() == end && !inside.is_empty() && !inside.contains(char::is_whitespace))
        .then_some(inside)
}

/// A word as it stands between blanks: a comma is an `and`, the marks around it are dropped, contractions written out.
fn plain(word: &str, found: &mut Vec<QuestionWord>) {
    for (at, word) in word.split([',', ';']).enumerate() {
        if at > 0 {
            found.push(QuestionWord::new("and", false));
        }
        let word = word.trim_matches(|c: char| "?!.:()\"'`".contains(c));
        let lower = word.to_lowercase();
        if word.is_empty() {
            continue;
        }
        if let Some((_, written)) = CONTRACTIONS.iter().find(|(known, _)| *known == lower) {
            found.extend(written.iter().map(|word| QuestionWord::new(word, false)));
            continue;
        }
        let owner = word.strip_suffix("'s").or_else(|| word.strip_suffix("s'"));
        found.push(QuestionWord::new(owner.unwrap_or(word), false));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        tokens(text).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn marks_are_dropped_and_contractions_written_out() {
        assert_eq!(
            texts("What's wrong with api's pods, please?"),
            [
                "what", "is", "wrong", "with", "api", "pods", "and", "please"
            ]
        );
        assert_eq!(texts("since 10:00."), ["since", "10:00"]);
        assert_eq!(
            texts("image nginx:1.25, app=web"),
            ["image", "nginx:1.25", "and", "app=web"]
        );
    }

    #[test]
    fn a_quoted_name_stays_whole_and_an_open_quote_is_a_mark() {
        let found = tokens("logs of `events` and \"jobs\"");
        let quoted: Vec<_> = found
            .iter()
            .filter(|t| t.is_quoted)
            .map(|t| t.text.as_str())
            .collect();
        assert_eq!(quoted, ["events", "jobs"]);
        assert_eq!(texts("logs of `events"), ["logs", "of", "events"]);
        assert_eq!(texts("  \u{a0} "), [""; 0]);
    }
}
