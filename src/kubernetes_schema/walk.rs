//! The walk through an object along its schema, for all asked versions at once.

use serde_json::{Map, Value};

use super::custom::CustomKinds;
use super::formats;
use super::packed::{Packed, SchemaType, VersionMask};
use super::{SchemaProblem, SchemaViolation};
use crate::error::suggest;

/// What lies deeper is not checked: nothing of Kubernetes goes so deep, and the stack is not endless.
const DEEPEST: usize = 100;

/// What a check of a value says: the problem, what is wrong, and what would be right.
#[derive(Debug, Clone)]
pub(super) struct Complaint {
    pub(super) problem: SchemaProblem,
    pub(super) what: String,
    pub(super) expected: Option<String>,
}

impl Complaint {
    pub(super) fn new(problem: SchemaProblem, what: impl Into<String>) -> Self {
        Self {
            problem,
            what: what.into(),
            expected: None,
        }
    }

    pub(super) fn format(what: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::new(SchemaProblem::WrongFormat, what).expected(expected)
    }

    #[must_use]
    pub(super) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }
}

/// A walk, with the place where it is.
#[derive(Debug)]
pub(super) struct Walk<'w> {
    pub(super) packed: &'static Packed,
    /// JSON pointer.
    path: String,
    depth: usize,
    found: &'w mut Vec<SchemaViolation>,
}

impl<'w> Walk<'w> {
    pub(super) fn new(packed: &'static Packed, found: &'w mut Vec<SchemaViolation>) -> Self {
        Self {
            packed,
            path: String::new(),
            depth: 0,
            found,
        }
    }

    /// A whole object. What was not checked is returned.
    pub(super) fn root(
        &mut self,
        object: &Value,
        custom: &CustomKinds,
        mask: VersionMask,
    ) -> Vec<String> {
        let Some(map) = object.as_object() else {
            self.wrong_type(object, "an object", mask);
            return vec![];
        };
        let (Some(api_version), Some(kind)) = (
            self.word(map, "apiVersion", mask),
            self.word(map, "kind", mask),
        ) else {
            return vec![];
        };
        if (api_version, kind) == ("v1", "List") {
            return self.items(map, custom, mask);
        }
        let unchecked = match self.packed.kind(api_version, kind) {
            None => self.other_kind(object, (api_version, kind), custom, mask),
            Some((definition, has)) => {
                self.lifecycle((api_version, kind), has, mask);
                // An object of a version that is not served is checked as far as any asked version has it.
                self.definition(definition, object, has & mask);
                None
            }
        };
        self.name(map, (api_version, kind), mask);
        unchecked.into_iter().collect()
    }

    /// A text that an object must have.
    fn word<'a>(
        &mut self,
        map: &'a Map<String, Value>,
        key: &str,
        mask: VersionMask,
    ) -> Option<&'a str> {
        match map.get(key) {
            None | Some(Value::Null) => self.within(key, |walk| walk.missing(key, mask)),
            Some(Value::String(text)) if text.is_empty() => {
                self.within(key, |walk| walk.missing(key, mask))
            }
            Some(Value::String(text)) => return Some(text),
            Some(value) => self.within(key, |walk| walk.wrong_type(value, "a text", mask)),
        }
        None
    }

    fn items(
        &mut self,
        list: &Map<String, Value>,
        custom: &CustomKinds,
        mask: VersionMask,
    ) -> Vec<String> {
        let items = list
            .get("items")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let each = items.enumerate().flat_map(|(at, item)| {
            self.within("items", |walk| {
                walk.within(&at.to_string(), |walk| walk.root(item, custom, mask))
            })
        });
        each.collect()
    }

    /// What is at a place below this one; `Default` where that is too deep.
    pub(super) fn within<T: Default>(&mut self, key: &str, look: impl FnOnce(&mut Self) -> T) -> T {
        if self.depth == DEEPEST {
            return T::default();
        }
        let length = self.path.len();
        self.path.push('/');
        self.path
            .push_str(&key.replace('~', "~0").replace('/', "~1"));
        self.depth += 1;
        let answer = look(self);
        self.depth -= 1;
        self.path.truncate(length);
        answer
    }

    pub(super) fn complain(&mut self, complaint: Complaint, mask: VersionMask) {
        if mask == 0 {
            return;
        }
        self.found.push(SchemaViolation {
            problem: complaint.problem,
            path: self.path.clone(),
            what: complaint.what,
            expected: complaint.expected,
            versions: self.packed.versions(mask),
        });
    }

    pub(super) fn missing(&mut self, key: &str, mask: VersionMask) {
        self.complain(
            Complaint::new(SchemaProblem::Missing, format!("`{key}` is missing")),
            mask,
        );
    }

    pub(super) fn wrong_type(&mut self, value: &Value, expected: &str, mask: VersionMask) {
        let what = format!("the value is {}", type_name(value));
        self.complain(
            Complaint::new(SchemaProblem::WrongType, what).expected(expected),
            mask,
        );
    }

    /// An object of a definition; null counts as an empty one.
    pub(super) fn definition(&mut self, at: usize, value: &Value, mask: VersionMask) {
        let packed = self.packed;
        let Some(definition) = packed.definitions.get(at).filter(|_| mask != 0) else {
            return;
        };
        let empty = Map::new();
        let map = match value {
            Value::Object(map) => map,
            Value::Null => &empty,
            _ => return self.wrong_type(value, "an object", mask),
        };
        let closed = mask & !definition.open;
        for (key, value) in map {
            match definition.fields.get(key) {
                Some(field) => self.within(key, |walk| {
                    let known = field.types.iter().fold(0, |all, (mask, _)| all | mask);
                    walk.other_versions(key, known, closed & !known);
                    if value.is_null() {
                        return;
                    }
                    for (has, kind) in &field.types {
                        walk.value(kind, value, has & mask);
                    }
                    let complaints = field
                        .format
                        .map(|format| format.complaints(value, packed, mask & known));
                    for (complaint, below, mask) in complaints.into_iter().flatten() {
                        match below {
                            Some(key) => walk.within(&key, |walk| walk.complain(complaint, mask)),
                            None => walk.complain(complaint, mask),
                        }
                    }
                }),
                None => self.within(key, |walk| {
                    let known = definition.fields.keys().map(String::as_str);
                    walk.unknown(key, &definition.name, known, closed);
                }),
            }
        }
        for (key, has) in &definition.required {
            if map.get(key).is_none_or(Value::is_null) {
                self.within(key, |walk| walk.missing(key, has & mask));
            }
        }
        for (complaint, below) in definition
            .demand
            .map(|demand| demand(map))
            .into_iter()
            .flatten()
        {
            match below {
                Some(key) => self.within(&key, |walk| walk.complain(complaint, mask)),
                None => self.complain(complaint, mask),
            }
        }
    }

    /// A key that only other versions have.
    fn other_versions(&mut self, key: &str, known: VersionMask, mask: VersionMask) {
        if mask == 0 {
            return;
        }
        let versions = self.packed.versions(known);
        let names: Vec<_> = versions.iter().map(ToString::to_string).collect();
        let span = match names.as_slice() {
            [only] => format!("only Kubernetes {only} has it"),
            [first, .., last] => format!("Kubernetes {first} to {last} has it"),
            [] => String::new(),
        };
        let what = format!("`{key}` is not known");
        self.complain(
            Complaint::new(SchemaProblem::UnknownKey, what).expected(span),
            mask,
        );
    }

    pub(super) fn unknown<'k>(
        &mut self,
        key: &str,
        of: &str,
        known: impl Iterator<Item = &'k str> + Clone,
        mask: VersionMask,
    ) {
        let short = of.rsplit('.').next().unwrap_or(of);
        let mut complaint = Complaint::new(
            SchemaProblem::UnknownKey,
            format!("`{key}` is no key of `{short}`"),
        );
        let same = known.clone().find(|known| known.eq_ignore_ascii_case(key));
        if let Some(near) = same.or_else(|| suggest(key, known)) {
            complaint = complaint.expected(format!("did you mean `{near}`?"));
        }
        self.complain(complaint, mask);
    }

    pub(super) fn value(&mut self, kind: &SchemaType, value: &Value, mask: VersionMask) {
        if mask == 0 {
            return;
        }
        let wrong = match kind {
            SchemaType::Anything => None,
            SchemaType::Object => (!value.is_object()).then_some("an object"),
            SchemaType::Boolean => (!value.is_boolean()).then_some("`true` or `false`"),
            SchemaType::Number => (!value.is_number()).then_some("a number"),
            SchemaType::Integer32 => {
                (!formats::is_integer(value, 32)).then_some("an integer of 32 bits")
            }
            SchemaType::Integer64 => {
                (!formats::is_integer(value, 64)).then_some("an integer of 64 bits")
            }
            SchemaType::IntegerOrText => {
                let fits = value.is_string() || formats::is_integer(value, 32);
                (!fits).then_some("an integer or a text")
            }
            SchemaType::Text => (!value.is_string()).then_some("a text"),
            SchemaType::SchemaDefinition(at) => return self.definition(*at, value, mask),
            SchemaType::List(inner) => return self.list(inner, value, mask),
            SchemaType::Map(inner) => return self.map(inner, value, mask),
            SchemaType::Quantity
            | SchemaType::Time
            | SchemaType::Base64
            | SchemaType::Enumeration(_) => {
                return self.written(kind, value, mask);
            }
        };
        if let Some(expected) = wrong {
            self.wrong_type(value, expected, mask);
        }
    }

    fn list(&mut self, inner: &SchemaType, value: &Value, mask: VersionMask) {
        let Some(items) = value.as_array() else {
            return self.wrong_type(value, "a list", mask);
        };
        for (at, item) in items.iter().enumerate() {
            // A null among texts is an empty text, and among objects an empty one, in which something may be missing.
            if !item.is_null() || matches!(inner, SchemaType::SchemaDefinition(_)) {
                self.within(&at.to_string(), |walk| walk.value(inner, item, mask));
            }
        }
    }

    fn map(&mut self, inner: &SchemaType, value: &Value, mask: VersionMask) {
        let Some(map) = value.as_object() else {
            return self.wrong_type(value, "a map", mask);
        };
        for (key, item) in map.iter().filter(|(_, item)| !item.is_null()) {
            self.within(key, |walk| walk.value(inner, item, mask));
        }
    }

    /// Texts that are written in a certain way.
    fn written(&mut self, kind: &SchemaType, value: &Value, mask: VersionMask) {
        let complaint = match (kind, value) {
            (SchemaType::Quantity, Value::Number(number)) => formats::quantity(&number.to_string()),
            (SchemaType::Quantity, Value::String(text)) => formats::quantity(text),
            (SchemaType::Time, Value::String(text)) => formats::time(text),
            (SchemaType::Base64, Value::String(text)) => formats::base64(text),
            (SchemaType::Enumeration(at), Value::String(text)) => {
                let known = self.packed.enumerations.get(*at).map(Vec::as_slice);
                formats::member(text, known.unwrap_or_default())
            }
            (SchemaType::Quantity, _) => {
                return self.wrong_type(value, "a quantity such as `500m` or `1Gi`", mask);
            }
            _ => return self.wrong_type(value, "a text", mask),
        };
        if let Some(complaint) = complaint {
            self.complain(complaint, mask);
        }
    }
}

/// A value's type, for people.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(_) => "an integer",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
