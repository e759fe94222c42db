//! Phrases of questions as patterns, and how they are found in the words of a question.
//!
//! A pattern is a row of words. `a|b` is one of several words, `[a]` may be missing, and a word in braces takes a value:
//! `{word}` one word, `{place}` one that is no phrase, `{image}` one with a colon or slash, `{number}`, `{quantity}` (`500Mi`), `{span}` (`2 days`, `90m`), `{time}` (`10:00`, `yesterday`,
//! `5 minutes ago`) and `{label}` (`app=web`).

use super::kind::AskedKind;
use super::lexicon::is_phrase;
use super::moment::{Moment, span, time};
use super::tokens::QuestionWord;
use crate::quantity;

/// What a pattern took in braces.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Slot {
    Word(String),
    Number(i64),
    /// In thousandths of its unit.
    Quantity(f64),
    Span(jiff::SignedDuration),
    Time(Moment),
    Label(String, String),
}

/// How many tokens a pattern takes from the start, and the values; None if it does not fit. The longest fit counts.
pub(super) fn fit(pattern: &str, tokens: &[QuestionWord]) -> Option<(usize, Vec<Slot>)> {
    longest(&parts(pattern), tokens)
}

/// The parts of a pattern, for [`longest`].
pub(super) fn parts(pattern: &str) -> Vec<&str> {
    pattern.split(' ').collect()
}

/// As [`fit`], with a pattern that is split already.
pub(super) fn longest(parts: &[&str], tokens: &[QuestionWord]) -> Option<(usize, Vec<Slot>)> {
    let Some((part, rest)) = parts.split_first() else {
        return Some((0, vec![]));
    };
    let (part, is_optional) = match part.strip_prefix('[').and_then(|p| p.strip_suffix(']')) {
        Some(inner) => (inner, true),
        None => (*part, false),
    };
    let taken = takes(part, tokens).into_iter().filter_map(|(count, slot)| {
        let (more, slots) = longest(rest, &tokens[count..])?;
        Some((
            count + more,
            slot.into_iter().chain(slots).collect::<Vec<_>>(),
        ))
    });
    let without = is_optional.then(|| longest(rest, tokens)).flatten();
    taken.chain(without).max_by_key(|(count, _)| *count)
}

/// The ways in which one part fits the start of the tokens.
fn takes(part: &str, tokens: &[QuestionWord]) -> Vec<(usize, Option<Slot>)> {
    let Some(first) = tokens.first() else {
        return vec![];
    };
    let one = |slot: Option<Slot>| slot.map(|slot| (1, Some(slot))).into_iter().collect();
    match part {
        "{word}" => one(is_name(first).then(|| Slot::Word(first.text.clone()))),
        "{place}" => {
            let is_place = is_name(first) && (first.is_quoted || !is_phrase(&first.lower));
            one(is_place.then(|| Slot::Word(first.text.clone())))
        }
        "{image}" => {
            let slash = first.text.split_once('/').map(|(kind, _)| kind);
            let is_object = slash.is_some_and(|kind| AskedKind::called(kind).is_some());
            let is_image = first.text.contains([':', '/']) && !is_object && time(tokens).is_empty();
            one((is_image && is_name(first)).then(|| Slot::Word(first.text.clone())))
        }
        "{number}" => one(number(&first.lower).map(Slot::Number)),
        "{quantity}" => one(is_amount(&first.text)
            .then(|| quantity::thousandths(&first.text))
            .flatten()
            .map(Slot::Quantity)),
        "{label}" => one(label(&first.text).map(|(key, value)| Slot::Label(key, value))),
        "{span}" => span(tokens)
            .into_iter()
            .map(|(count, span)| (count, Some(Slot::Span(span))))
            .collect(),
        "{time}" => time(tokens)
            .into_iter()
            .map(|(count, time)| (count, Some(Slot::Time(time))))
            .collect(),
        words if !first.is_quoted && words.split('|').any(|word| word == first.lower) => {
            vec![(1, None)]
        }
        _ => vec![],
    }
}

/// No name is one of these words, or the word for a kind, unless it is quoted.
const NO_NAMES: &[&str] = &[
    "the", "a", "an", "this", "that", "these", "those", "my", "our", "your", "its", "all", "any",
    "every", "each", "which", "what", "who", "called", "named", "name", "it", "is", "are", "was",
    "to", "of", "for", "in", "on", "and", "or", "not", "no",
];

fn is_name(token: &QuestionWord) -> bool {
    let word = token.lower.as_str();
    let is_other = || NO_NAMES.contains(&word) || AskedKind::called(word).is_some();
    token.is_quoted || (!token.is_label() && !is_other())
}

fn is_amount(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// A number in digits, or in words up to ten.
pub(super) fn number(word: &str) -> Option<i64> {
    const WORDS: [&str; 11] = [
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    ];
    let in_words = WORDS.iter().position(|known| *known == word);
    word.parse().ok().or_else(|| i64::try_from(in_words?).ok())
}

/// `app=web`, or `app:web` behind the word label.
fn label(text: &str) -> Option<(String, String)> {
    let (key, value) = text.split_once("==").or_else(|| text.split_once('='))?;
    (!key.is_empty() && !value.is_empty()).then(|| (key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokens;
    use super::*;

    fn fits(pattern: &str, text: &str) -> Option<(usize, Vec<Slot>)> {
        fit(pattern, &tokens(text))
    }

    #[test]
    fn alternatives_and_words_that_may_be_missing_fit() {
        assert_eq!(
            fits("persistent volume|disk [claim]", "persistent disk claim"),
            Some((3, vec![]))
        );
        assert_eq!(
            fits("persistent volume|disk [claim]", "persistent volume x"),
            Some((2, vec![]))
        );
        assert_eq!(fits("persistent volume", "persistent claim"), None);
    }

    #[test]
    fn values_are_taken_and_the_longest_fit_counts() {
        let two_days = jiff::SignedDuration::from_hours(48);
        assert_eq!(
            fits("older than {span}", "older than 2 days"),
            Some((4, vec![Slot::Span(two_days)]))
        );
        assert_eq!(
            fits("label {label}", "label app=web"),
            Some((2, vec![Slot::Label("app".into(), "web".into())]))
        );
        assert_eq!(fits("{quantity} memory", "1.5Gi memory").unwrap().0, 2);
        assert_eq!(
            fits("{number} times", "three times"),
            Some((2, vec![Slot::Number(3)]))
        );
    }

    #[test]
    fn a_quoted_word_is_no_word_of_a_phrase() {
        assert_eq!(fits("logs", "`logs`"), None);
        assert_eq!(
            fits("logs of {word}", "logs of `logs`"),
            Some((3, vec![Slot::Word("logs".into())]))
        );
    }
}
