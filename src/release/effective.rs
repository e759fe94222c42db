//! The values that a prepared release renders with.

use serde_json::Value;

use super::{Prepared, yaml};

/// The chart's values with the user's and devk's own over them. Generated secrets are among them: it is for
/// looking things up, not for showing.
pub fn effective_values(prepared: &Prepared) -> Value {
    let mut values = prepared.chart.defaults.clone();
    for file in &prepared.values {
        // helm has read the same files: one that cannot be read now changes nothing that was rendered.
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if let Ok(above @ Value::Object(_)) = yaml::parse(&text) {
            yaml::merge(&mut values, above);
        }
    }
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
        prepared.values = vec![file("1", "b: {c: 3, d: 4}"), file("2", "b: {d: 5}"), dir.path().join("gone")];
        assert_eq!(effective_values(&prepared), json!({"a": 1, "b": {"c": 3, "d": 5}}));
    }
}
