//! What the text of a YAML file is made of.

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TokenKind {
    End,
    /// `%YAML 1.1`
    Version {
        supported: bool,
    },
    /// `%TAG !e! prefix`
    TagPrefix {
        handle: String,
        prefix: String,
    },
    /// `---`
    DocumentStart,
    /// `...`
    DocumentEnd,
    BlockList,
    BlockMap,
    BlockEnd,
    FlowList,
    FlowListEnd,
    FlowMap,
    FlowMapEnd,
    /// `-`
    Item,
    /// `,`
    Comma,
    /// `?`, or the place before a key that needs none.
    Key,
    /// `:`
    Value,
    Alias(String),
    Anchor(String),
    Tag {
        handle: String,
        suffix: String,
    },
    Scalar {
        text: String,
        plain: bool,
    },
}

#[derive(Debug, Clone)]
pub(super) struct YamlToken {
    pub(super) kind: TokenKind,
    pub(super) line: u32,
}
