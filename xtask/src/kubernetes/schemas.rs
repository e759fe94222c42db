//! The schemas of all versions as one text. Each definition, field and type is written once, with the versions that have
//! it as a mask: bit 0 is the oldest version. The reader is `src/kubernetes_schema/packed.rs`, which says what is what.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::closed::CLOSED;
use super::go_types::GoTypes;
use super::packages::{self, Lives, Texts};
use super::{MINORS, wheel};

/// Beginnings of the OpenAPI's names, and what stands for them here.
const PREFIXES: [(&str, &str); 4] = [
    ("io.k8s.apimachinery.pkg.apis.meta.v1.", "meta.v1."),
    (
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.",
        "apiextensions.v1.",
    ),
    (
        "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.",
        "apiregistration.v1.",
    ),
    ("io.k8s.api.", ""),
];

/// Definitions that are written in their own way, or may hold anything.
const SPECIAL: [(&str, &str); 9] = [
    ("io.k8s.apimachinery.pkg.api.resource.Quantity", "q"),
    ("io.k8s.apimachinery.pkg.util.intstr.IntOrString", "x"),
    ("meta.v1.Time", "t"),
    ("meta.v1.MicroTime", "t"),
    ("io.k8s.apimachinery.pkg.runtime.RawExtension", "o"),
    ("apiextensions.v1.JSON", "a"),
    ("apiextensions.v1.JSONSchemaPropsOrArray", "a"),
    ("apiextensions.v1.JSONSchemaPropsOrBool", "a"),
    ("apiextensions.v1.JSONSchemaPropsOrStringArray", "a"),
];

/// Packages whose types others use.
const SHARED: [&str; 2] = ["core.v1", "meta.v1"];

type Masks = Vec<(u16, String)>;

/// The definitions of all versions together.
#[derive(Default)]
struct Union {
    definitions: BTreeMap<String, Definition>,
    enumerations: Vec<Vec<String>>,
    /// `GROUP/VERSION` → kind → definition and versions.
    kinds: BTreeMap<String, BTreeMap<String, (String, u16)>>,
}

#[derive(Default)]
struct Definition {
    fields: BTreeMap<String, Masks>,
    required: BTreeMap<String, u16>,
    /// In which versions it may have any keys.
    open: u16,
}

/// What the Go packages of one version say, by the first two parts of a definition's name.
type Packages = BTreeMap<String, GoTypes>;

pub(super) fn make(scratch: &Path) -> Result<String> {
    wheel::fetch(scratch)?;
    let (texts, lifecycle) = packages::read(scratch)?;
    let closed = closed_types(&texts);
    let mut union = Union::default();
    for (minor, texts) in MINORS.zip(&texts) {
        let parse = |(name, text): (&String, &String)| {
            (name.clone(), GoTypes::parse(text, &list(&closed, name)))
        };
        let go: Packages = texts.iter().map(parse).collect();
        union.add(minor, &wheel::definitions(scratch, minor)?, &go);
    }
    union.text(&lifecycle)
}

fn list<'a>(closed: &'a BTreeMap<String, BTreeSet<String>>, package: &str) -> Vec<&'a str> {
    let names = closed.get(package).into_iter().flatten();
    names.map(String::as_str).collect()
}

/// What is an enumeration in any version is one in all.
fn closed_types(versions: &[Texts]) -> BTreeMap<String, BTreeSet<String>> {
    let mut closed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (package, names) in CLOSED {
        closed.insert(
            package.to_owned(),
            names.iter().map(ToString::to_string).collect(),
        );
    }
    for (name, text) in versions.iter().flatten() {
        let found = GoTypes::parse(text, &[]).enumerations;
        closed
            .entry(name.clone())
            .or_default()
            .extend(found.into_keys());
    }
    closed
}

impl Union {
    fn add(&mut self, minor: u8, definitions: &Map<String, Value>, go: &Packages) {
        let bit = 1 << (minor - MINORS.start());
        for (name, definition) in definitions {
            let name = short(name);
            if SPECIAL.iter().any(|(special, _)| *special == name) {
                continue;
            }
            self.kind(&name, definition, bit);
            let (package, kind) = name.rsplit_once('.').unwrap_or_default();
            self.definition(&name, definition, bit, |key| {
                go.get(package)?.field(kind, key).map(|field| {
                    let own = go[package].enumerations.get(&field.kind);
                    // `core.Protocol` in the package of NetworkPolicies.
                    let shared = || {
                        let packages = SHARED.iter().filter(|_| field.is_foreign);
                        packages
                            .filter_map(|package| go.get(*package))
                            .find_map(|types| types.enumerations.get(&field.kind))
                    };
                    let texts = own.or_else(shared);
                    (
                        field.is_required,
                        texts.map(|texts| {
                            enumeration(texts, field.is_pointer || !field.is_optional)
                        }),
                    )
                })
            });
        }
    }

    fn kind(&mut self, name: &str, definition: &Value, bit: u16) {
        let kinds = definition["x-kubernetes-group-version-kind"].as_array();
        // Those of several groups are no objects of their own: options of a deletion, events of a watch.
        let Some([kind]) = kinds.map(Vec::as_slice) else {
            return;
        };
        let word = |key: &str| kind[key].as_str().unwrap_or_default().to_owned();
        let api_version = match word("group").as_str() {
            "" => word("version"),
            group => format!("{group}/{}", word("version")),
        };
        let kinds = self.kinds.entry(api_version).or_default();
        kinds
            .entry(word("kind"))
            .or_insert_with(|| (name.to_owned(), 0))
            .1 |= bit;
    }

    fn definition(
        &mut self,
        name: &str,
        definition: &Value,
        bit: u16,
        go: impl Fn(&str) -> Option<(bool, Option<Vec<String>>)>,
    ) {
        let mut found = self.definitions.remove(name).unwrap_or_default();
        let Some(properties) = definition["properties"].as_object() else {
            found.open |= bit;
            self.definitions.insert(name.to_owned(), found);
            return;
        };
        for (key, property) in properties {
            let (is_required, texts) = go(key).unwrap_or_default();
            let texts = texts.map(|texts| self.enumeration(texts));
            let kind = type_text(property, texts);
            let masks = found.fields.entry(key.clone()).or_default();
            match masks.iter_mut().find(|(_, known)| *known == kind) {
                Some((mask, _)) => *mask |= bit,
                None => masks.push((bit, kind)),
            }
            if is_required {
                *found.required.entry(key.clone()).or_default() |= bit;
            }
        }
        let required = definition["required"].as_array().into_iter().flatten();
        for key in required.filter_map(Value::as_str) {
            *found.required.entry(key.to_owned()).or_default() |= bit;
        }
        self.definitions.insert(name.to_owned(), found);
    }

    fn enumeration(&mut self, texts: Vec<String>) -> usize {
        let known = self.enumerations.iter().position(|known| *known == texts);
        known.unwrap_or_else(|| {
            self.enumerations.push(texts);
            self.enumerations.len() - 1
        })
    }

    fn text(&self, lifecycle: &Lives) -> Result<String> {
        let all = u16::MAX >> (16 - MINORS.count());
        let indices: BTreeMap<&str, usize> = self
            .definitions
            .keys()
            .map(String::as_str)
            .zip(0..)
            .collect();
        let numbered = |kind: &str| match kind.split_once('#') {
            Some((before, name)) => format!(
                "{before}#{}",
                indices.get(name).copied().unwrap_or_default()
            ),
            None => kind.to_owned(),
        };
        let field = |masks: &Masks| match masks.as_slice() {
            [(mask, kind)] if *mask == all => json!(numbered(kind)),
            masks => masks
                .iter()
                .map(|(mask, kind)| json!([mask, numbered(kind)]))
                .collect(),
        };
        let definitions = self.definitions.iter().map(|(name, definition)| {
            let fields = definition
                .fields
                .iter()
                .map(|(key, masks)| (key.clone(), field(masks)));
            json!([
                name,
                fields.collect::<Map<_, _>>(),
                definition.required,
                definition.open
            ])
        });
        let kinds = self.kinds.iter().map(|(api_version, kinds)| {
            let kinds = kinds
                .iter()
                .map(|(kind, (name, mask))| (kind, (indices[name.as_str()], mask)));
            (api_version, kinds.collect::<BTreeMap<_, _>>())
        });
        let text = json!({
            "versions": MINORS.collect::<Vec<_>>(),
            "enumerations": self.enumerations,
            "definitions": definitions.collect::<Vec<_>>(),
            "kinds": kinds.collect::<BTreeMap<_, _>>(),
            "lifecycle": lifecycle,
        });
        serde_json::to_string(&text).context("cannot write JSON")
    }
}

/// The texts of an enumeration; where it may be left empty, the empty text is what was not written.
fn enumeration(texts: &BTreeSet<String>, is_strict: bool) -> Vec<String> {
    let empty = (!is_strict).then(String::new);
    let texts: BTreeSet<String> = texts.iter().cloned().chain(empty).collect();
    texts.into_iter().collect()
}

fn short(name: &str) -> String {
    let found = PREFIXES
        .iter()
        .find_map(|(long, short)| Some((short, name.strip_prefix(long)?)));
    found.map_or_else(|| name.to_owned(), |(short, rest)| format!("{short}{rest}"))
}

/// A type in letters: `[` and `{` before the type of items and values, `#NAME` for a definition.
fn type_text(property: &Value, texts: Option<usize>) -> String {
    if let Some(reference) = property["$ref"].as_str() {
        let name = short(reference.rsplit('/').next().unwrap_or_default());
        let special = SPECIAL.iter().find(|(special, _)| *special == name);
        return special.map_or_else(|| format!("#{name}"), |(_, letter)| letter.to_string());
    }
    // `["string", "null"]`: null is nothing everywhere.
    let kinds = property["type"].as_array().into_iter().flatten();
    let kind = kinds.filter_map(Value::as_str).find(|kind| *kind != "null");
    let kind = kind.or(property["type"].as_str()).unwrap_or_default();
    match (kind, property["format"].as_str().unwrap_or_default()) {
        ("string", "byte") => "y".to_owned(),
        ("string", _) => texts.map_or_else(|| "s".to_owned(), |at| format!("e{at}")),
        ("integer", "int32") => "i".to_owned(),
        ("integer", _) => "l".to_owned(),
        ("number", _) => "n".to_owned(),
        ("boolean", _) => "b".to_owned(),
        ("array", _) => format!("[{}", type_text(&property["items"], texts)),
        ("object", _) if property["additionalProperties"].is_object() => {
            format!("{{{}", type_text(&property["additionalProperties"], texts))
        }
        ("object", _) => "o".to_owned(),
        _ => "a".to_owned(),
    }
}
