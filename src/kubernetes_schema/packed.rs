//! The packed schemas, read once, when they are first asked for. Masks tell versions: bit 0 is the oldest. A type is
//! written in letters:
//!
//! | Letters | Type |
//! |---|---|
//! | `s`, `b`, `n` | text, boolean, number |
//! | `i`, `l` | integer of 32 and 64 bits |
//! | `y` | bytes in base64 |
//! | `q`, `x`, `t` | quantity, text or integer, time |
//! | `o`, `a` | object of any keys, anything |
//! | `eN` | enumeration N |
//! | `#N` | definition N |
//! | `[T`, `{T` | list of T, map from texts to T |

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::sync::LazyLock;

use flate2::read::GzDecoder;
use serde::Deserialize;

use super::demands::{self, ServerDemand};
use super::fields::{self, FieldFormat};
use crate::kubernetes_version::KubernetesVersion;

/// Versions, a bit for each.
pub(super) type VersionMask = u16;

static PACKED: LazyLock<Packed> = LazyLock::new(|| {
    let text = unpacked();
    let written: Written = serde_json::from_str(&text).unwrap_or_default();
    Packed::of(written)
});

/// The schemas. They are a part of the program, and `the_packed_schemas_are_whole` looks whether they can be read.
pub(super) fn packed() -> &'static Packed {
    &PACKED
}

fn unpacked() -> String {
    let mut text = String::new();
    let mut reader = GzDecoder::new(include_bytes!("schemas.json.gz").as_slice());
    let read = reader.read_to_string(&mut text);
    read.map(|_| text).unwrap_or_default()
}

/// Its name, its fields, those that it requires with their versions, and its own versions.
type WrittenDefinition = (
    String,
    BTreeMap<String, WrittenField>,
    BTreeMap<String, VersionMask>,
    VersionMask,
);

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
struct Written {
    versions: Vec<u8>,
    enumerations: Vec<Vec<String>>,
    definitions: Vec<WrittenDefinition>,
    kinds: HashMap<String, BTreeMap<String, (usize, VersionMask)>>,
    lifecycle: HashMap<String, HashMap<String, Life>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum WrittenField {
    /// In all versions.
    One(String),
    Several(Vec<(VersionMask, String)>),
}

/// When a kind came, is deprecated and goes, as minors of 1, 0 for never; and what replaces it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Life {
    pub(super) introduced: u8,
    pub(super) deprecated: u8,
    pub(super) removed: u8,
    /// `GROUP/VERSION/KIND`, or empty.
    pub(super) replacement: String,
}

/// The schemas of all versions.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) versions: Vec<u8>,
    pub(super) enumerations: Vec<Vec<String>>,
    pub(super) definitions: Vec<SchemaDefinition>,
    kinds: HashMap<String, BTreeMap<String, (usize, VersionMask)>>,
    lifecycle: HashMap<String, HashMap<String, Life>>,
}

/// An object with known keys.
#[derive(Debug)]
pub(super) struct SchemaDefinition {
    /// `apps.v1.DeploymentSpec`.
    pub(super) name: String,
    pub(super) fields: BTreeMap<String, Field>,
    pub(super) required: BTreeMap<String, VersionMask>,
    /// In which versions it may have any keys.
    pub(super) open: VersionMask,
    /// What the API server demands beyond the schema.
    pub(super) demand: Option<ServerDemand>,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) types: Vec<(VersionMask, SchemaType)>,
    pub(super) format: Option<FieldFormat>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SchemaType {
    Anything,
    /// An object of any keys.
    Object,
    Text,
    Base64,
    Boolean,
    Number,
    Integer32,
    Integer64,
    Quantity,
    IntegerOrText,
    Time,
    Enumeration(usize),
    SchemaDefinition(usize),
    List(Box<Self>),
    Map(Box<Self>),
}

impl SchemaType {
    fn parse(letters: &str) -> Self {
        let (first, rest) = letters.split_at(letters.chars().next().map_or(0, char::len_utf8));
        let number = || rest.parse().ok();
        match first {
            "s" => Self::Text,
            "y" => Self::Base64,
            "b" => Self::Boolean,
            "n" => Self::Number,
            "i" => Self::Integer32,
            "l" => Self::Integer64,
            "q" => Self::Quantity,
            "x" => Self::IntegerOrText,
            "t" => Self::Time,
            "o" => Self::Object,
            "e" => number().map_or(Self::Text, Self::Enumeration),
            "#" => number().map_or(Self::Anything, Self::SchemaDefinition),
            "[" => Self::List(Box::new(Self::parse(rest))),
            "{" => Self::Map(Box::new(Self::parse(rest))),
            _ => Self::Anything,
        }
    }
}

impl Packed {
    fn of(written: Written) -> Self {
        let definitions = written
            .definitions
            .into_iter()
            .map(|(name, fields, required, open)| {
                let fields = fields.into_iter().map(|(key, types)| {
                    let field = Field {
                        types: types.parsed(),
                        format: fields::format(&name, &key),
                    };
                    (key, field)
                });
                SchemaDefinition {
                    fields: fields.collect(),
                    demand: demands::of(&name),
                    name,
                    required,
                    open,
                }
            });
        Self {
            definitions: definitions.collect(),
            versions: written.versions,
            enumerations: written.enumerations,
            kinds: written.kinds,
            lifecycle: written.lifecycle,
        }
    }

    /// The bit of a version; None if it has no schemas.
    pub(super) fn bit(&self, version: KubernetesVersion) -> Option<VersionMask> {
        let at = self
            .versions
            .iter()
            .position(|minor| *minor == version.minor)?;
        Some(1 << at)
    }

    /// The versions before another one.
    pub(super) fn before(&self, version: KubernetesVersion) -> VersionMask {
        let older = self.versions.iter().filter(|minor| **minor < version.minor);
        older.enumerate().fold(0, |all, (at, _)| all | 1 << at)
    }

    /// The versions of a mask.
    pub(super) fn versions(&self, mask: VersionMask) -> Vec<KubernetesVersion> {
        let all = self.versions.iter().enumerate();
        let found = all.filter(|(at, _)| mask >> at & 1 == 1);
        found
            .map(|(_, minor)| KubernetesVersion::new(*minor))
            .collect()
    }

    /// The definition of a kind, and the versions that have it.
    pub(super) fn kind(&self, api_version: &str, kind: &str) -> Option<(usize, VersionMask)> {
        self.kinds.get(api_version)?.get(kind).copied()
    }

    /// The kinds of a version of a group.
    pub(super) fn kinds(&self, api_version: &str) -> impl Iterator<Item = &str> {
        let kinds = self.kinds.get(api_version);
        kinds.into_iter().flatten().map(|(kind, _)| kind.as_str())
    }

    /// The versions of a group that any version of Kubernetes has, as `GROUP/VERSION`.
    pub(super) fn versions_of_group<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a str> {
        let all = self.kinds.keys().map(String::as_str);
        all.filter(move |api_version| super::lifecycle::group(api_version) == group)
    }

    pub(super) fn life(&self, api_version: &str, kind: &str) -> Option<&Life> {
        self.lifecycle.get(api_version)?.get(kind)
    }

    pub(super) fn definition(&self, name: &str) -> Option<usize> {
        let found = self
            .definitions
            .binary_search_by(|definition| definition.name.as_str().cmp(name));
        found.ok()
    }
}

impl WrittenField {
    fn parsed(self) -> Vec<(VersionMask, SchemaType)> {
        let types = match self {
            Self::One(letters) => vec![(VersionMask::MAX, letters)],
            Self::Several(types) => types,
        };
        types
            .into_iter()
            .map(|(mask, letters)| (mask, SchemaType::parse(&letters)))
            .collect()
    }
}
