//! What the Go types of the API say that the OpenAPI does not: which texts an enumeration has, and which fields are
//! required. The files are formatted by gofmt, so lines are enough.

use std::collections::{BTreeMap, BTreeSet};

/// The types of a package.
#[derive(Debug, Default)]
pub(super) struct GoTypes {
    /// Texts that a type may be, for types marked as enumerations.
    pub(super) enumerations: BTreeMap<String, BTreeSet<String>>,
    structs: BTreeMap<String, Vec<GoField>>,
}

#[derive(Debug, Clone)]
pub(super) struct GoField {
    /// The key in JSON; empty for a struct whose fields count as those of the outer one.
    key: String,
    /// The innermost type: of `map[A]*B` it is `B`.
    pub(super) kind: String,
    pub(super) is_pointer: bool,
    /// The type is of another package.
    pub(super) is_foreign: bool,
    pub(super) is_optional: bool,
    /// `+k8s:required`.
    pub(super) is_required: bool,
}

impl GoTypes {
    /// `closed` are types that are enumerations without being marked.
    pub(super) fn parse(text: &str, closed: &[&str]) -> Self {
        let mut types = Self::default();
        let mut marked: BTreeSet<&str> = closed.iter().copied().collect();
        let mut constants: Vec<(&str, &str)> = vec![];
        let mut comment: Vec<&str> = vec![];
        let mut open: Option<&str> = None;
        for line in text.lines() {
            if let Some(said) = line.trim_start().strip_prefix("//") {
                comment.push(said.trim());
                continue;
            }
            if let Some(name) = struct_name(line) {
                open = Some(name);
                types.structs.insert(name.to_owned(), vec![]);
            } else if line == "}" {
                open = None;
            } else if let Some(fields) = open.and_then(|name| types.structs.get_mut(name)) {
                fields.extend(field(line, &comment));
            } else if let Some(name) = text_type(line).filter(|_| comment.contains(&"+enum")) {
                marked.insert(name);
            }
            constants.extend(constant(line));
            comment.clear();
        }
        for (kind, value) in constants
            .into_iter()
            .filter(|(kind, _)| marked.contains(kind))
        {
            let values = types.enumerations.entry(kind.to_owned()).or_default();
            values.insert(value.to_owned());
        }
        // A list that is not whole would refuse what the API server takes.
        for kind in text.lines().filter_map(foreign_constant) {
            types.enumerations.remove(kind);
        }
        types
    }

    /// A field by the struct's name and the key in JSON, also one of a struct that counts as part of it.
    pub(super) fn field(&self, name: &str, key: &str) -> Option<&GoField> {
        let fields = self.structs.get(name)?;
        let own = fields.iter().find(|field| field.key == key);
        own.or_else(|| {
            let inline = fields.iter().filter(|field| field.key.is_empty());
            inline
                .filter(|field| field.kind != name)
                .find_map(|field| self.field(&field.kind, key))
        })
    }
}

/// `type NAME struct {`.
fn struct_name(line: &str) -> Option<&str> {
    line.strip_prefix("type ")?.strip_suffix(" struct {")
}

/// `type NAME string`.
fn text_type(line: &str) -> Option<&str> {
    line.strip_prefix("type ")?.strip_suffix(" string")
}

/// `NAME TYPE = "VALUE"` or `NAME = TYPE("VALUE")`, alone or in a block.
fn constant(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start();
    let (names, value) = line
        .strip_prefix("const ")
        .unwrap_or(line)
        .split_once('=')?;
    let (converted, value) = value.trim_start().split_once('"')?;
    let (value, _) = value.split_once('"')?;
    let mut words = names.split_whitespace().skip(1);
    match (words.next(), words.next(), converted.strip_suffix('(')) {
        (Some(kind), None, None) if converted.is_empty() => Some((kind, value)),
        (None, _, Some(kind)) if !kind.is_empty() => Some((kind, value)),
        _ => None,
    }
}

/// The type of `NAME = TYPE(package.OTHER)`, whose text stands elsewhere.
fn foreign_constant(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let (name, value) = line
        .strip_prefix("const ")
        .unwrap_or(line)
        .split_once(" = ")?;
    let (kind, of) = value.strip_suffix(')')?.split_once('(')?;
    let is_word =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_');
    let (package, other) = of.split_once('.')?;
    [name, kind, package, other]
        .into_iter()
        .all(is_word)
        .then_some(kind)
}

/// ``NAME TYPE `json:"KEY,…"` ``.
fn field(line: &str, comment: &[&str]) -> Option<GoField> {
    let (_, tag) = line.split_once("json:\"")?;
    let (tag, _) = tag.split_once('"')?;
    let (key, options) = tag.split_once(',').unwrap_or((tag, ""));
    let mut words = line.split_whitespace();
    let first = words.next()?;
    let kind = words
        .next()
        .filter(|word| !word.starts_with('`'))
        .unwrap_or(first);
    let inner = kind.rsplit([']', '*', '.']).next().unwrap_or(kind);
    let says = |mark: &str| comment.contains(&mark);
    let is_inline = options.contains("inline");
    (is_inline || key != "-").then(|| GoField {
        key: key.to_owned(),
        kind: inner.to_owned(),
        is_pointer: kind.starts_with('*'),
        is_foreign: kind.contains('.'),
        is_optional: options.contains("omit") || says("+optional"),
        is_required: says("+k8s:required")
            && !comment.iter().any(|line| line.starts_with("+default")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
// Phase is a phase.
// +enum
type Phase string

const (
	// Old is old.
	Old Phase = "Old"
	New = Phase("New") // today
	Other Unmarked = "Other"
)

// +enum
type Family string

const (
	FamilyName = Family("FQDN")
	FamilyFour = Family(v1.IPv4Protocol)
)

type Outer struct {
	Inner `json:",inline" protobuf:"bytes,1,opt,name=inner"`
	// +optional
	Phases []Phase `json:"phases,omitempty"`
	// +k8s:required
	Name *string `json:"name"`
}

type Inner struct {
	Phase *core.Phase `json:"phase"`
}
"#;

    #[test]
    fn enumerations_have_the_constants_of_their_type() {
        let types = GoTypes::parse(TEXT, &[]);
        let texts: Vec<_> = types.enumerations["Phase"]
            .iter()
            .map(String::as_str)
            .collect();
        assert_eq!(texts, ["New", "Old"]);
        assert!(!types.enumerations.contains_key("Unmarked"));
        assert!(
            !types.enumerations.contains_key("Family"),
            "a list that is not whole"
        );
        assert!(
            GoTypes::parse(TEXT, &["Unmarked"])
                .enumerations
                .contains_key("Unmarked")
        );
    }

    #[test]
    fn fields_are_found_through_inlined_structs() {
        let types = GoTypes::parse(TEXT, &[]);
        let phase = types.field("Outer", "phase").unwrap();
        assert_eq!(
            (phase.kind.as_str(), phase.is_pointer, phase.is_optional),
            ("Phase", true, false)
        );
        let phases = types.field("Outer", "phases").unwrap();
        assert_eq!(
            (phases.kind.as_str(), phases.is_pointer, phases.is_optional),
            ("Phase", false, true)
        );
        assert!(types.field("Outer", "name").unwrap().is_required);
        assert!(types.field("Outer", "none").is_none());
    }
}
