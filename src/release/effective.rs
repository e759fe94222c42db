//! The values that a release renders with.

use serde_json::Value;

use super::{Prepared, yaml};
use crate::error::{Code, Error, Result};
use crate::paths::refused;

/// The chart's values with the user's and devk's own over them. Generated secrets are among them: it is for
/// looking things up, not for showing.
///
/// # Errors
/// [`Code::StateIo`] or [`Code::ConfigSyntax`] if one of devk's copies is not what `prepare` wrote.
pub fn effective_values(prepared: &Prepared) -> Result<Value> {
    let files = prepared.values.iter().map(|file| {
        let text = std::fs::read_to_string(file).map_err(|e| refused("read", file, &e))?;
        yaml::parse(&text)
            .map_err(|(message, line)| Error::new(Code::ConfigSyntax, message).at(file, line))
    });
    Ok(over(
        &prepared.chart.defaults,
        files.collect::<Result<Vec<_>>>()?,
    ))
}

/// A chart's values with others over them, the last above all. What is no mapping adds nothing.
pub(super) fn over(defaults: &Value, above: impl IntoIterator<Item = Value>) -> Value {
    let mut values = defaults.clone();
    above
        .into_iter()
        .filter(Value::is_object)
        .for_each(|above| yaml::merge(&mut values, above));
    values
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::prepare::fixture;
    use super::*;

    #[test]
    fn later_files_win_over_earlier_ones_and_the_charts_own() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            std::fs::write(dir.path().join(name), text).unwrap();
            dir.path().join(name)
        };
        let mut prepared = fixture::prepared(dir.path());
        prepared.chart.defaults = json!({"a": 1, "b": {"c": 2}});
        prepared.values = vec![
            file("1", "b: {c: 3, d: 4}"),
            file("2", "b: {d: 5}"),
            file("empty", ""),
        ];
        assert_eq!(
            effective_values(&prepared).unwrap(),
            json!({"a": 1, "b": {"c": 3, "d": 5}})
        );
    }

    #[test]
    fn values_that_cannot_be_read_are_no_empty_values() {
        let dir = tempfile::tempdir().unwrap();
        let mut prepared = fixture::prepared(dir.path());
        prepared.values = vec![dir.path().join("gone")];
        assert_eq!(effective_values(&prepared).unwrap_err().code, Code::StateIo);
    }
}
