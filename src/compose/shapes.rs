//! What values in a Compose file may look like: the vocabulary of the table in [`super::keys`].

use std::fmt;

/// What a value looks like.
pub(super) enum ComposeShape {
    /// A value of one of these types.
    Of(Types),
    /// One of these texts.
    Word(&'static [&'static str]),
    /// A text that fits; `looks` says what would.
    Text {
        fits: fn(&str) -> bool,
        looks: &'static str,
    },
    /// An integer from the first to the second.
    Range(i128, i128),
    /// Any names that `names` takes, with values of one shape.
    Map {
        names: fn(&str) -> bool,
        value: &'static ComposeShape,
        rest: Rest,
    },
    Object {
        keys: &'static [(&'static str, ComposeShape)],
        required: &'static [&'static str],
        rest: Rest,
    },
    List(&'static ComposeShape),
    /// A list without repetitions.
    Set(&'static ComposeShape),
    /// One of these, told apart by their types.
    Either(&'static [ComposeShape]),
}

impl ComposeShape {
    /// The types that a value of this shape may have.
    pub(super) fn types(&self) -> Types {
        match self {
            Self::Of(types) => *types,
            Self::Word(_) | Self::Text { .. } => Types::TEXT,
            Self::Range(..) => Types::INTEGER,
            Self::Map { .. } | Self::Object { .. } => Types::MAP,
            Self::List(_) | Self::Set(_) => Types::LIST,
            Self::Either(shapes) => shapes
                .iter()
                .fold(Types::NONE, |types, shape| types.or(shape.types())),
        }
    }
}

/// What becomes of a key that no shape is given for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    Open,
    Closed,
    /// Closed, but for `x-…`.
    Extensions,
}

/// A set of JSON types.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Types(u8);

impl Types {
    pub(super) const NONE: Self = Self(0);
    pub(super) const NULL: Self = Self(1);
    pub(super) const FLAG: Self = Self(2);
    pub(super) const INTEGER: Self = Self(4);
    /// A number that is no integer.
    pub(super) const FRACTION: Self = Self(8);
    pub(super) const TEXT: Self = Self(16);
    pub(super) const LIST: Self = Self(32);
    pub(super) const MAP: Self = Self(64);
    pub(super) const NUMBER: Self = Self::INTEGER.or(Self::FRACTION);

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl fmt::Display for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (Self::TEXT, "a text"),
            (
                Self::INTEGER,
                if self.has(Self::FRACTION) {
                    "a number"
                } else {
                    "an integer"
                },
            ),
            (Self::FLAG, "`true` or `false`"),
            (Self::LIST, "a list"),
            (Self::MAP, "a mapping"),
            (Self::NULL, "nothing"),
        ];
        let named: Vec<_> = names
            .iter()
            .filter(|(types, _)| self.has(*types))
            .map(|(_, name)| *name)
            .collect();
        f.write_str(&named.join(" or "))
    }
}
