//! `${VARIABLE}` in values, and the types that values take on afterwards.

use super::cast;
use super::yaml::{YamlData, YamlNode};
use crate::error::{Code, Error, Result};
use crate::place::Place;

/// A variable's value; None: it is not set.
pub(super) type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// References within references, deeper than this, are refused.
const MAX_DEPTH: usize = 50;

/// A text, or all texts of a document, may grow to so many bytes; a few variables that contain each other
/// could fill the memory.
const MAX_BYTES: usize = 32 << 20;

/// Why a text's variables cannot be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// No name after `${`, an unknown operator, or no `}` on the line. The name, if there is one: what follows
    /// may be half a password.
    Malformed(String),
    /// `${NAME:?message}`: the message as it is written, which may refer to variables too.
    Required {
        name: String,
        message: String,
    },
    TooDeep,
    TooLong,
}

impl Problem {
    /// As an error at the value.
    pub(super) fn at(self, place: &Place) -> Error {
        let error = |message: String| place.error(Code::ComposeVariable, message);
        match self {
            Self::Malformed(name) => error(format!(
                "`${{{name}` does not begin a variable that Compose can read"
            ))
            .hint("write `$$` for a `$` that is meant literally, and `${NAME}` for a variable"),
            Self::Required { name, message } if message.is_empty() => {
                error(format!("the variable `{name}` is required and not set")).hint(set(&name))
            }
            Self::Required { name, message } => error(format!(
                "the variable `{name}` is required and not set: {message}"
            ))
            .hint(set(&name)),
            Self::TooDeep => error(format!(
                "variables stand within variables more than {MAX_DEPTH} levels deep"
            )),
            Self::TooLong => error(format!(
                "more than {} MiB after variables are replaced",
                MAX_BYTES >> 20
            )),
        }
    }
}

fn set(name: &str) -> String {
    format!("set it in .env or in the shell: export {name}=…")
}

/// Keys whose values decide which ports there are, and of which services.
const DECIDE_PORTS: [&str; 5] = ["ports", "profiles", "include", "extends", "network_mode"];

/// Replaces the variables in every text of a document; keys stay as they are. Then the values of certain
/// keys become numbers and booleans, if they are texts: `privileged: "yes"` is true.
///
/// # Errors
/// The first value that Compose refuses: bad syntax, a required variable, a number that is none. With a list of what is
/// `unset`, a required variable is an error only in what says something of ports: elsewhere it goes on the list, and
/// the reference stays in the text.
pub(super) fn document(
    root: &mut YamlNode,
    lookup: &Lookup<'_>,
    unset: Option<&mut Vec<Error>>,
) -> Result<()> {
    let mut walk = Walk {
        lookup,
        length: 0,
        unset,
    };
    walk.node(root, None)
}

/// Where a value stands: its key, or `[]` for a list's item, and what is above.
struct At<'a> {
    key: &'a str,
    above: Option<&'a At<'a>>,
}

impl<'a> At<'a> {
    fn keys(&self) -> Vec<&'a str> {
        let above = std::iter::successors(self.above, |at| at.above);
        let mut keys: Vec<_> = std::iter::once(self.key)
            .chain(above.map(|at| at.key))
            .collect();
        keys.reverse();
        keys
    }
}

struct Walk<'a> {
    lookup: &'a Lookup<'a>,
    length: usize,
    unset: Option<&'a mut Vec<Error>>,
}

impl Walk<'_> {
    fn node(&mut self, node: &mut YamlNode, at: Option<&At<'_>>) -> Result<()> {
        match &mut node.data {
            YamlData::Text(text) => {
                if let Some(data) = self.text(text, at, &node.place)? {
                    node.data = data;
                }
                Ok(())
            }
            YamlData::List(items) => items.iter_mut().try_for_each(|item| {
                self.node(
                    item,
                    Some(&At {
                        key: "[]",
                        above: at,
                    }),
                )
            }),
            YamlData::Map(entries) => entries.iter_mut().try_for_each(|entry| {
                let at = At {
                    key: &entry.key,
                    above: at,
                };
                self.node(&mut entry.value, Some(&at))
            }),
            _ => Ok(()),
        }
    }

    /// What the text becomes, if it is no longer the same.
    fn text(&mut self, text: &str, at: Option<&At<'_>>, place: &Place) -> Result<Option<YamlData>> {
        let keys = at.map(At::keys).unwrap_or_default();
        let new = text
            .contains('$')
            .then(|| self.replaced(text, &keys, place))
            .transpose()?;
        let value = new.as_deref().unwrap_or(text);
        self.length += value.len();
        if self.length > MAX_BYTES {
            return Err(Problem::TooLong.at(place));
        }
        match cast::wanted(&keys) {
            Some(wanted) => match cast::cast(value, wanted) {
                Some(data) => Ok(Some(data)),
                // What a variable holds may be secret.
                None => Err(place.error(
                    Code::ComposeVariable,
                    format!("`{text}` is not {}", wanted.describe()),
                )),
            },
            None => Ok(new.map(YamlData::Text)),
        }
    }
}

impl Walk<'_> {
    /// The text with its variables replaced. What is required and not set stays a reference, if it may be passed over:
    /// whoever looks for a name in the text sees that there is none. In a path it is a folder, so that the path does
    /// not become the name of a volume.
    fn replaced(&mut self, text: &str, keys: &[&str], place: &Place) -> Result<String> {
        let decides =
            cast::wanted(keys).is_some() || keys.iter().any(|key| DECIDE_PORTS.contains(key));
        let root = if keys.contains(&"volumes") { "/" } else { "" };
        let mut passed_over: Vec<String> = vec![];
        loop {
            let lookup = |name: &str| match passed_over.iter().any(|unset| unset == name) {
                true => Some(format!("{root}${{{name}}}")),
                false => (self.lookup)(name),
            };
            let problem = match self::text(text, &lookup) {
                Ok(text) => return Ok(text),
                Err(problem) => problem,
            };
            match (&problem, self.unset.as_deref_mut().filter(|_| !decides)) {
                (Problem::Required { name, .. }, Some(unset)) => {
                    passed_over.push(name.clone());
                    unset.push(problem.at(place));
                }
                _ => return Err(problem.at(place)),
            }
        }
    }
}

/// Replaces the variables in a text.
///
/// # Errors
/// The first reference that cannot be replaced, even in a default that is not used.
pub(super) fn text(template: &str, lookup: &Lookup<'_>) -> Result<String, Problem> {
    substitute(template, lookup, 0)
}

fn substitute(template: &str, lookup: &Lookup<'_>, depth: usize) -> Result<String, Problem> {
    if depth > MAX_DEPTH {
        return Err(Problem::TooDeep);
    }
    let mut result = String::new();
    // A reference ends on its line.
    for line in template.split_inclusive('\n') {
        let last_brace = line.rfind('}');
        let mut rest = line;
        while let Some(dollar) = rest.find('$') {
            result.push_str(&rest[..dollar]);
            rest = &rest[dollar..];
            let last_brace = last_brace.and_then(|last| last.checked_sub(line.len() - rest.len()));
            let (value, length) = reference(rest, last_brace, lookup, depth)?;
            result.push_str(&value);
            rest = &rest[length..];
            if result.len() > MAX_BYTES {
                return Err(Problem::TooLong);
            }
        }
        result.push_str(rest);
    }
    Ok(result)
}

/// The value of the reference at the beginning of `text`, which is a `$`, and the bytes it takes up.
/// `last_brace`: where the line's last `}` stands.
fn reference(
    text: &str,
    last_brace: Option<usize>,
    lookup: &Lookup<'_>,
    depth: usize,
) -> Result<(String, usize), Problem> {
    if text.starts_with("$$") {
        return Ok(("$".to_owned(), 2));
    }
    let Some(braced) = text.strip_prefix("${") else {
        let name = name(&text[1..]);
        // A `$` before anything else is only a `$`.
        let value = if name.is_empty() {
            "$".to_owned()
        } else {
            lookup(name).unwrap_or_default()
        };
        return Ok((value, 1 + name.len()));
    };
    let name = name(braced);
    let malformed = || Problem::Malformed(name.to_owned());
    let after = &braced[name.len()..];
    if name.is_empty() {
        return Err(malformed());
    }
    if after.starts_with('}') {
        return Ok((lookup(name).unwrap_or_default(), "${}".len() + name.len()));
    }
    let (operator, when_empty) = operator(after).ok_or_else(malformed)?;
    let begin = text.len() - after.len() + operator.len_utf8() + usize::from(when_empty);
    let last = last_brace
        .filter(|last| *last >= begin)
        .ok_or_else(malformed)?;
    let end = matching_brace(&text[..=last]).unwrap_or(last);
    let argument = &text[begin..end];
    let value = operate(name, operator, when_empty, argument, lookup, depth)?;
    Ok((value, end + 1))
}

/// `-`, `?` or `+`, and whether a `:` makes it apply to empty variables as well.
fn operator(text: &str) -> Option<(char, bool)> {
    let (rest, when_empty) = text
        .strip_prefix(':')
        .map_or((text, false), |rest| (rest, true));
    rest.chars()
        .next()
        .filter(|char| matches!(char, '-' | '?' | '+'))
        .map(|char| (char, when_empty))
}

fn operate(
    name: &str,
    operator: char,
    when_empty: bool,
    argument: &str,
    lookup: &Lookup<'_>,
    depth: usize,
) -> Result<String, Problem> {
    // Needed or not: what is wrong in it counts.
    let replaced = substitute(argument, lookup, depth + 1)?;
    let value = lookup(name);
    let counts = value
        .as_ref()
        .is_some_and(|value| !when_empty || !value.is_empty());
    match (operator, counts) {
        ('+', true) | ('-', false) => Ok(replaced),
        ('?', false) => Err(Problem::Required {
            name: name.to_owned(),
            message: argument.to_owned(),
        }),
        _ => Ok(value.unwrap_or_default()),
    }
}

/// The name that the text begins with.
fn name(text: &str) -> &str {
    let end = text
        .find(|char: char| !char.is_ascii_alphanumeric() && char != '_')
        .unwrap_or(text.len());
    if text.starts_with(|char: char| char.is_ascii_digit()) {
        ""
    } else {
        &text[..end]
    }
}

/// Where the first brace is closed. As Compose counts: what follows a `{` is never a brace itself.
fn matching_brace(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'}' if open == 1 => return Some(at),
            b'}' => open = open.saturating_sub(1),
            b'{' => {
                open += 1;
                bytes.next();
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn replaced(template: &str) -> Result<String, Problem> {
        text(template, &|name| match name {
            "SET" => Some("set".to_owned()),
            "EMPTY" => Some(String::new()),
            "Mixed_1" => Some("mixed".to_owned()),
            _ => None,
        })
    }

    fn assert_replaced(cases: &[(&str, &str)]) {
        for (template, expected) in cases {
            assert_eq!(replaced(template).as_deref(), Ok(*expected), "{template}");
        }
    }

    #[test]
    fn names_stand_with_and_without_braces() {
        assert_replaced(&[
            ("$SET-$SET/x", "set-set/x"),
            ("a${SET}b", "asetb"),
            ("$Mixed_1.${Mixed_1}", "mixed.mixed"),
            ("[$UNSET][${UNSET}][$EMPTY]", "[][][]"),
        ]);
    }

    #[test]
    fn a_dollar_that_begins_no_name_stays_one() {
        assert_replaced(&[
            ("$", "$"),
            ("5$ $5 $. $é", "5$ $5 $. $é"),
            ("$$SET $$$SET $${SET}", "$SET $set ${SET}"),
        ]);
    }

    #[test]
    fn defaults_apply_to_what_is_not_set_and_with_a_colon_to_what_is_empty() {
        assert_replaced(&[
            (
                "${UNSET-d} ${UNSET:-d} ${EMPTY-d} ${EMPTY:-d} ${SET-d} ${SET:-d}",
                "d d  d set set",
            ),
            (
                "[${UNSET+a}][${UNSET:+a}][${EMPTY+a}][${EMPTY:+a}][${SET+a}][${SET:+a}]",
                "[][][a][][a][a]",
            ),
            ("${SET?no}${EMPTY?no}${SET:?no}", "setset"),
            ("${UNSET:-a:-b?c+d}", "a:-b?c+d"),
        ]);
    }

    #[test]
    fn a_default_may_hold_references_and_braces() {
        assert_replaced(&[
            ("${UNSET:-${UNSET:-${SET}}}", "set"),
            ("${UNSET:-$SET} and ${UNSET:-${SET}-x}", "set and set-x"),
            ("${UNSET:-{}}", "{}"),
            ("${UNSET:-{\"a\":1}} ${SET}", "{\"a\":1} set"),
            ("${UNSET:-{x}}", "{x}"),
            ("${SET:+--flag=${SET}}", "--flag=set"),
        ]);
    }

    #[test]
    fn a_required_variable_fails_with_its_message() {
        let required = |name: &str, message: &str| {
            Err(Problem::Required {
                name: name.into(),
                message: message.into(),
            })
        };
        assert_eq!(replaced("${UNSET?}"), required("UNSET", ""));
        assert_eq!(replaced("${UNSET?say why}"), required("UNSET", "say why"));
        assert_eq!(replaced("${EMPTY:?say why}"), required("EMPTY", "say why"));
        assert_eq!(
            replaced("${SET:-${UNSET:?unused}}"),
            required("UNSET", "unused")
        );
    }

    #[test]
    fn braces_with_anything_else_in_them_are_refused() {
        for template in [
            "${",
            "${}",
            "${1}",
            "${ SET}",
            "${SET",
            "${SET!x}",
            "${SET:x}",
            "${SET:-a",
            "${SET:-a\nb}",
            "${.x}",
        ] {
            assert!(
                matches!(replaced(template), Err(Problem::Malformed(_))),
                "{template}"
            );
        }
    }

    #[test]
    fn variables_that_grow_without_end_are_refused() {
        let nested = "${A:-".repeat(100) + &"}".repeat(100);
        assert_eq!(replaced(&nested), Err(Problem::TooDeep));
        let huge = "x".repeat(1 << 20);
        assert_eq!(
            text(&"$A".repeat(64), &|_| Some(huge.clone())),
            Err(Problem::TooLong)
        );
    }

    fn place() -> Place {
        Place {
            file: std::path::Path::new("/shop/compose.yaml").into(),
            line: 3,
        }
    }

    fn document_of(text: &str) -> Result<YamlNode> {
        let mut root = crate::compose::yaml::parse(text.as_bytes(), "/shop/compose.yaml".as_ref())?
            .remove(0)
            .root;
        document(
            &mut root,
            &|name| (name == "SET").then(|| "8080".to_owned()),
            None,
        )?;
        Ok(root)
    }

    #[test]
    fn values_are_replaced_and_keys_are_not() {
        let root = document_of("$SET: [$SET, {a: '${SET}'}]\nb: 1").unwrap();
        let list = root.get("$SET").unwrap().items();
        assert_eq!(
            (list[0].text(), list[1].get("a").and_then(YamlNode::text)),
            (Some("8080"), Some("8080"))
        );
        assert_eq!(
            root.get("b").map(|node| &node.data),
            Some(&YamlData::Int(1))
        );
    }

    #[test]
    fn ports_become_numbers_and_flags_become_booleans() {
        let root = document_of(
            "services: {web: {ports: [{target: $SET}], privileged: 'yes', image: $SET}}",
        )
        .unwrap();
        let web = root
            .get("services")
            .and_then(|services| services.get("web"))
            .unwrap();
        let target = web
            .get("ports")
            .and_then(|ports| ports.items()[0].get("target"))
            .unwrap();
        assert_eq!(target.data, YamlData::Int(8080));
        assert_eq!(
            web.get("privileged").map(|node| &node.data),
            Some(&YamlData::Bool(true))
        );
        assert_eq!(
            web.get("image").map(|node| &node.data),
            Some(&YamlData::Text("8080".to_owned()))
        );
    }

    #[test]
    fn errors_name_the_line_and_no_values() {
        let error = document_of("services:\n  web:\n    scale: a$SET\n").expect_err("no number");
        assert_eq!(
            (error.line, error.message.as_str()),
            (Some(3), "`a$SET` is not a whole number")
        );
        let error = Problem::Required {
            name: "A".into(),
            message: "ask $B".into(),
        }
        .at(&place());
        assert_eq!(
            error.message,
            "the variable `A` is required and not set: ask $B"
        );
        let error = Problem::Malformed("pass".to_owned()).at(&place());
        assert_eq!(
            error.message,
            "`${pass` does not begin a variable that Compose can read"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_replaced_or_refused(text in r"([$\{\}:?+\-\n]|\$\{[A-Z]:?[-?+]|[A-Zaé_1 ]){0,40}") {
            let _ = replaced(&text);
        }

        #[test]
        fn doubled_dollars_are_text(text in "[ -~é\n]*") {
            prop_assert_eq!(replaced(&text.replace('$', "$$")), Ok(text));
        }
    }
}
