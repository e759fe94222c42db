//! Values by the OpenAPI schema of a CustomResourceDefinition, as the API server validates them: structural, so a key that
//! the schema does not have is unknown, and parts below `allOf`, `anyOf`, `oneOf` and `not` only restrict.

use regex::RegexBuilder;
use serde_json::{Map, Value};

use super::super::formats::{self, shown};
use super::super::packed::VersionMask;
use super::super::walk::{Complaint, Walk, type_name};
use super::super::{SchemaProblem, SchemaViolation};

/// No pattern of a definition needs more than this; a larger one is not applied.
const PATTERN_BYTES: usize = 1 << 20;
/// Keys that every object has. They are Kubernetes' own, whatever the schema says of them.
const OWN: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// What a schema says of keys that it does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keys {
    /// They are unknown, but for those of every object.
    Object,
    /// They are unknown.
    Known,
    /// Nothing: the schema only restricts some.
    Some,
}

impl Keys {
    /// Of the parts of a value.
    fn below(self) -> Self {
        match self {
            Self::Object | Self::Known => Self::Known,
            Self::Some => Self::Some,
        }
    }
}

/// A whole object.
pub(super) fn check(walk: &mut Walk<'_>, schema: &Value, value: &Value, mask: VersionMask) {
    look(walk, schema, value, mask, Keys::Object);
}

fn look(walk: &mut Walk<'_>, schema: &Value, value: &Value, mask: VersionMask, keys: Keys) {
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    let kind = schema["type"].as_str();
    let is_either = schema["x-kubernetes-int-or-string"] == true;
    if is_either && !(value.is_string() || formats::is_integer(value, 64)) {
        return walk.wrong_type(value, "an integer or a text", mask);
    }
    if let Some(expected) = kind
        .filter(|_| !is_either)
        .and_then(|kind| wrong_type(kind, value))
    {
        return walk.wrong_type(value, expected, mask);
    }
    for complaint in scalar(schema, value) {
        walk.complain(complaint, mask);
    }
    match value {
        Value::Object(map) => object(walk, schema, map, mask, keys),
        Value::Array(items) => {
            for (at, item) in items
                .iter()
                .enumerate()
                .filter(|_| schema["items"].is_object())
            {
                walk.within(&at.to_string(), |walk| {
                    look(walk, &schema["items"], item, mask, keys.below())
                });
            }
        }
        _ => {}
    }
    junctors(walk, schema, value, mask);
}

/// What would be right, if the value is not of the type.
fn wrong_type(kind: &str, value: &Value) -> Option<&'static str> {
    let (fits, expected) = match kind {
        "object" => (value.is_object(), "an object"),
        "array" => (value.is_array(), "a list"),
        "string" => (value.is_string(), "a text"),
        "boolean" => (value.is_boolean(), "`true` or `false`"),
        "integer" => (formats::is_integer(value, 64), "an integer"),
        "number" => (value.is_number(), "a number"),
        _ => return None,
    };
    (!fits).then_some(expected)
}

fn object(
    walk: &mut Walk<'_>,
    schema: &Value,
    map: &Map<String, Value>,
    mask: VersionMask,
    keys: Keys,
) {
    let empty = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&empty);
    let additional = &schema["additionalProperties"];
    let is_object = keys == Keys::Object || schema["x-kubernetes-embedded-resource"] == true;
    let is_open = additional == true
        || schema["x-kubernetes-preserve-unknown-fields"] == true
        || keys == Keys::Some;
    let is_checked = |key: &str| !is_object || !OWN.contains(&key);
    for (key, value) in map.iter().filter(|(key, _)| is_checked(key)) {
        let inner = properties
            .get(key)
            .or(Some(additional).filter(|inner| inner.is_object()));
        match inner {
            // The API server fills in the default for a null that is not allowed.
            Some(inner) if value.is_null() && inner.get("default").is_some() => {}
            Some(inner) => walk.within(key, |walk| look(walk, inner, value, mask, keys.below())),
            None if is_open => {}
            None => walk.within(key, |walk| {
                walk.unknown(key, "schema", properties.keys().map(String::as_str), mask);
            }),
        }
    }
    let required = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let has_default = |key: &str| {
        properties
            .get(key)
            .is_some_and(|inner| inner.get("default").is_some())
    };
    for key in required.filter(|key| !map.contains_key(*key) && !has_default(key)) {
        walk.within(key, |walk| walk.missing(key, mask));
    }
}

/// What a schema says of a value itself: its texts, bounds and sizes.
fn scalar(schema: &Value, value: &Value) -> Vec<Complaint> {
    let mut found = vec![];
    if let Some(known) = schema["enum"]
        .as_array()
        .filter(|known| !known.contains(value))
    {
        let texts: Vec<_> = known
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        let complaint = value
            .as_str()
            .and_then(|text| formats::member(text, &texts));
        let other = || Complaint::new(SchemaProblem::NotInEnumeration, "the value is not allowed");
        found.push(complaint.unwrap_or_else(other));
    }
    match value {
        Value::String(text) => {
            found.extend(pattern(schema, text));
            found.extend(format(schema, text));
            found.extend(bounds(
                schema,
                ["minLength", "maxLength"],
                text.chars().count() as f64,
                "characters",
            ));
        }
        Value::Array(items) => found.extend(bounds(
            schema,
            ["minItems", "maxItems"],
            items.len() as f64,
            "items",
        )),
        Value::Object(map) => {
            found.extend(bounds(
                schema,
                ["minProperties", "maxProperties"],
                map.len() as f64,
                "keys",
            ));
        }
        Value::Number(_) => found.extend(number(schema, value.as_f64().unwrap_or_default())),
        _ => {}
    }
    found
}

fn bounds(schema: &Value, [least, most]: [&str; 2], size: f64, unit: &str) -> Option<Complaint> {
    let (least, most) = (schema[least].as_f64(), schema[most].as_f64());
    let complaint = |expected: String| {
        Complaint::new(
            SchemaProblem::Conflict,
            format!("the value has {size} {unit}"),
        )
        .expected(expected)
    };
    let few = least
        .filter(|least| size < *least)
        .map(|least| complaint(format!("at least {least} {unit}")));
    few.or_else(|| {
        most.filter(|most| size > *most)
            .map(|most| complaint(format!("at most {most} {unit}")))
    })
}

fn number(schema: &Value, number: f64) -> Option<Complaint> {
    let complaint = |expected: String| {
        Complaint::new(
            SchemaProblem::Conflict,
            format!("{number} is out of bounds"),
        )
        .expected(expected)
    };
    let is_open = |key: &str| schema[key] == true;
    let low = schema["minimum"].as_f64();
    let low = low.filter(|low| number < *low || (number == *low && is_open("exclusiveMinimum")));
    let high = schema["maximum"].as_f64();
    let high =
        high.filter(|high| number > *high || (number == *high && is_open("exclusiveMaximum")));
    let step = schema["multipleOf"]
        .as_f64()
        .filter(|step| *step != 0.0 && (number / step).fract() != 0.0);
    let low = low.map(|low| complaint(format!("at least {low}")));
    let high = high.map(|high| complaint(format!("at most {high}")));
    low.or(high)
        .or(step.map(|step| complaint(format!("a multiple of {step}"))))
}

/// The API server's patterns are Go's, which are Rust's but for rare escapes; one that Rust does not take is not applied.
fn pattern(schema: &Value, text: &str) -> Option<Complaint> {
    let pattern = schema["pattern"].as_str()?;
    let regex = RegexBuilder::new(pattern)
        .size_limit(PATTERN_BYTES)
        .build()
        .ok()?;
    let what = format!("{} does not fit its pattern", shown(text));
    (!regex.is_match(text)).then(|| Complaint::format(what, format!("a text like `{pattern}`")))
}

fn format(schema: &Value, text: &str) -> Option<Complaint> {
    let (fits, expected) = match schema["format"].as_str()? {
        "date-time" => return formats::time(text),
        "byte" => return formats::base64(text),
        "date" => (
            text.parse::<jiff::civil::Date>().is_ok(),
            "a date such as `2026-01-31`",
        ),
        "ipv4" => (
            text.parse::<std::net::Ipv4Addr>().is_ok(),
            "an IPv4 address",
        ),
        "ipv6" => (
            text.parse::<std::net::Ipv6Addr>().is_ok(),
            "an IPv6 address",
        ),
        _ => return None,
    };
    (!fits).then(|| Complaint::format(format!("{} has another format", shown(text)), expected))
}

fn junctors(walk: &mut Walk<'_>, schema: &Value, value: &Value, mask: VersionMask) {
    let list = |key: &str| {
        schema[key]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default()
    };
    for part in list("allOf") {
        look(walk, part, value, mask, Keys::Some);
    }
    let fits = |part: &Value| {
        let mut found: Vec<SchemaViolation> = vec![];
        look(
            &mut Walk::new(walk.packed, &mut found),
            part,
            value,
            mask,
            Keys::Some,
        );
        found.is_empty()
    };
    let any = list("anyOf");
    let one = list("oneOf");
    let fitting = one.iter().filter(|part| fits(part)).count();
    let has_not = schema["not"].is_object() && fits(&schema["not"]);
    let what = if !any.is_empty() && !any.iter().any(fits) {
        "the value fits no part of `anyOf`"
    } else if !one.is_empty() && fitting == 0 {
        "the value fits no part of `oneOf`"
    } else if fitting > 1 {
        "the value fits several parts of `oneOf`"
    } else if has_not {
        "the value fits what the schema excludes with `not`"
    } else {
        return;
    };
    let what = format!("{what} ({})", type_name(value));
    walk.complain(Complaint::new(SchemaProblem::Conflict, what), mask);
}
