//! Shapes that many keys have.

use crate::compose::shapes::ComposeShape::{self, Either, List, Of, Set};
use crate::compose::shapes::{Rest, Types};

pub(super) const TEXT: ComposeShape = Of(Types::TEXT);
/// A flag that may come from a variable.
pub(super) const FLAG: ComposeShape = Of(Types::FLAG.or(Types::TEXT));
pub(super) const INTEGER: ComposeShape = Of(Types::INTEGER.or(Types::TEXT));
pub(super) const NUMBER: ComposeShape = Of(Types::NUMBER.or(Types::TEXT));
pub(super) const NUMBER_ONLY: ComposeShape = Of(Types::NUMBER);
pub(super) const BARE_FLAG: ComposeShape = Of(Types::FLAG);
pub(super) const SCALAR: ComposeShape = Of(Types::TEXT.or(Types::NUMBER).or(Types::FLAG));
pub(super) const SCALAR_OR_NULL: ComposeShape = Of(Types::TEXT
    .or(Types::NUMBER)
    .or(Types::FLAG)
    .or(Types::NULL));
pub(super) const TEXTS: ComposeShape = List(&TEXT);
pub(super) const TEXT_SET: ComposeShape = Set(&TEXT);
pub(super) const TEXT_OR_SET: ComposeShape = Either(&[TEXT, TEXT_SET]);
pub(super) const TEXT_OR_LIST: ComposeShape = Either(&[TEXT, TEXTS]);
pub(super) const COMMAND: ComposeShape = Either(&[Of(Types::NULL.or(Types::TEXT)), TEXTS]);
pub(super) const LIST_OR_DICT: ComposeShape = Either(&[
    ComposeShape::Map {
        names: has_a_line,
        value: &SCALAR_OR_NULL,
        rest: Rest::Closed,
    },
    TEXT_SET,
]);
pub(super) const EXTRA_HOSTS: ComposeShape = Either(&[
    ComposeShape::Map {
        names: has_a_line,
        value: &TEXT_OR_LIST,
        rest: Rest::Closed,
    },
    TEXT_SET,
]);
pub(super) const DRIVER_OPTS: ComposeShape = ComposeShape::Map {
    names: is_a_line,
    value: &NUMBER,
    rest: Rest::Open,
};
pub(super) const OPTIONS: ComposeShape = ComposeShape::Map {
    names: is_a_line,
    value: &TEXT,
    rest: Rest::Closed,
};

/// `^[a-zA-Z0-9._-]+$`
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// `^.+$`, where `.` is anything but a line feed.
pub(super) fn is_a_line(text: &str) -> bool {
    !text.is_empty() && !text.contains('\n')
}

/// `.+`, anywhere in the text.
pub(super) fn has_a_line(text: &str) -> bool {
    text.chars().any(|c| c != '\n')
}

/// `^[a-z]+$`
pub(super) fn is_lower(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase())
}

/// `[a-zA-Z0-9][a-zA-Z0-9_.-]+`, anywhere in the text.
pub(super) fn has_container_name(text: &str) -> bool {
    let follows = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    text.as_bytes()
        .windows(2)
        .any(|pair| pair[0].is_ascii_alphanumeric() && follows(pair[1]))
}

/// `always|never|build|if_not_present|missing|refresh|daily|weekly|every_([0-9]+[wdhms])+`, anywhere.
pub(super) fn has_pull_policy(text: &str) -> bool {
    let words = [
        "always",
        "never",
        "build",
        "if_not_present",
        "missing",
        "refresh",
        "daily",
        "weekly",
    ];
    let every = |(at, _): (usize, &str)| {
        let rest = &text[at + "every_".len()..];
        let unit = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        unit.len() < rest.len() && unit.starts_with(['w', 'd', 'h', 'm', 's'])
    };
    words.iter().any(|word| text.contains(word)) || text.match_indices("every_").any(every)
}

/// A mapping with these keys, and `x-…`.
pub(super) const fn object(keys: &'static [(&'static str, ComposeShape)]) -> ComposeShape {
    ComposeShape::Object {
        keys,
        required: &[],
        rest: Rest::Extensions,
    }
}

pub(super) const fn object_with(
    keys: &'static [(&'static str, ComposeShape)],
    required: &'static [&'static str],
) -> ComposeShape {
    ComposeShape::Object {
        keys,
        required,
        rest: Rest::Extensions,
    }
}

/// A mapping with these keys and no others.
pub(super) const fn closed(
    keys: &'static [(&'static str, ComposeShape)],
    required: &'static [&'static str],
) -> ComposeShape {
    ComposeShape::Object {
        keys,
        required,
        rest: Rest::Closed,
    }
}

pub(super) const fn named(value: &'static ComposeShape, rest: Rest) -> ComposeShape {
    ComposeShape::Map {
        names: is_name,
        value,
        rest,
    }
}

pub(super) const NULL: ComposeShape = Of(Types::NULL);
