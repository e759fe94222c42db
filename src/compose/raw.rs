//! The format `raw` of an env file: what `docker run --env-file` reads. Nothing is quoted, nothing replaced.

use std::collections::BTreeMap;
use std::path::Path;

use super::dotenv::Set;
use super::interpolate::Lookup;
use crate::error::{Code, Result};
use crate::place::Place;

/// Longer lines are refused.
const MAX_LINE_BYTES: usize = 64 << 10;

/// Reads a file's bytes over what earlier files have set. A name without a value asks `lookup`.
///
/// # Errors
/// The first line that Compose refuses.
pub(super) fn parse(
    bytes: &[u8],
    file: &Path,
    lookup: &Lookup<'_>,
    variables: &mut BTreeMap<String, Set>,
) -> Result<()> {
    let mut place = Place {
        file: file.into(),
        line: 0,
    };
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    for line in bytes.split(|byte| *byte == b'\n') {
        place.line += 1;
        let bad = |what: &str| place.error(Code::ComposeSyntax, format!("this line {what}"));
        let text = std::str::from_utf8(line).map_err(|_| bad("is no UTF-8"))?;
        if text.len() >= MAX_LINE_BYTES {
            return Err(bad("is too long"));
        }
        let text = text.strip_suffix('\r').unwrap_or(text).trim_start();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let (name, value) = text
            .split_once('=')
            .map_or((text, None), |(name, value)| (name, Some(value.to_owned())));
        if name.is_empty() || name.contains([' ', '\t']) {
            return Err(bad("has no variable's name before `=`"));
        }
        if let Some(value) = value.or_else(|| lookup(name)) {
            variables.insert(
                name.to_owned(),
                Set {
                    value,
                    place: place.clone(),
                },
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>> {
        let mut variables = BTreeMap::new();
        let lookup = |name: &str| (name == "KNOWN").then(|| "1".to_owned());
        parse(
            text.as_bytes(),
            Path::new("raw.env"),
            &lookup,
            &mut variables,
        )?;
        Ok(variables
            .into_iter()
            .map(|(name, set)| format!("{}: {name}={}", set.place.line, set.value))
            .collect())
    }

    #[test]
    fn takes_values_as_they_are() {
        let text = "# c\n  A=\"$B\" # no comment \r\nKNOWN\nUNKNOWN\nC=\n";
        assert_eq!(
            read(text).unwrap(),
            [r#"2: A="$B" # no comment "#, "5: C=", "3: KNOWN=1"]
        );
    }

    #[test]
    fn refuses_names_with_spaces_and_lines_without_names() {
        assert_eq!(read("A=1\nB C=1").unwrap_err().line, Some(2));
        assert!(read("=1").is_err());
    }
}
