//! What a key of devk.yaml may be: the words of the table in `schema.rs`.

use super::format::ValueFormat;

/// What a value looks like.
#[derive(Debug)]
pub(super) enum Shape {
    Text(ValueFormat),
    /// Any text, number or boolean, taken as it is written.
    Scalar,
    Flag,
    /// A command: a text for a shell, or a list of words.
    Command,
    /// 1 to 65535.
    Port,
    /// A mapping with these keys and no others.
    Object(&'static [Key]),
    /// The same, or a scalar that stands for its `.0`.
    Short(&'static str, &'static [Key]),
    /// A mapping from names to values of one shape.
    Table(ValueFormat, &'static Shape),
    List(&'static Shape),
    /// A list of objects that are told apart by `name`.
    Named(&'static [Key]),
    /// This word, or a value of another shape.
    Word(&'static str, &'static Shape),
    /// A mapping of anything: Helm values.
    Values,
    /// A key that some expect and that cannot be.
    Refused {
        why: &'static str,
        instead: &'static str,
    },
}

/// When a key must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// What holds without the key, for people.
    Optional(&'static str),
    /// In the file, or in the profile it starts from.
    Somewhere,
    /// In every file that has the object.
    Here,
    /// Exactly one of these keys, in the file or in the profile; the file's replaces the profile's. The text says for
    /// people what holds without this one.
    OneOf(&'static [&'static str], &'static str),
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) need: Need,
    pub(super) shape: Shape,
    /// A value as it may stand in the file, in one line.
    pub(super) example: &'static str,
    pub(super) help: &'static str,
}

pub(super) const fn key(
    name: &'static str,
    need: Need,
    shape: Shape,
    example: &'static str,
    help: &'static str,
) -> Key {
    Key {
        name,
        need,
        shape,
        example,
        help,
    }
}
