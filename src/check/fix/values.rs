//! Fields written into values.yaml, by the values that may govern them. Pure.

use super::remedy::RemedyField;
use crate::release::yaml_edit::set_in_text;

/// The text of values.yaml with these fields set below a value that is named like a part of their paths: `api.resources` for
/// `…/containers/0/resources/limits/memory`. None if the value is named for nothing of them.
pub(super) fn with_fields(
    text: &str,
    governing: &[String],
    fields: &[RemedyField],
) -> Option<String> {
    fields.iter().try_fold(text.to_owned(), |text, field| {
        // What a template computes is no value.
        let path = target(governing, &field.path).filter(|_| field.action.is_none())?;
        set_in_text(&text, &path, &field.value)
    })
}

/// The path of the value that gives a field, if the value `governing` is what its name says.
fn target(governing: &[String], field: &[String]) -> Option<Vec<String>> {
    let last_first = governing.iter().enumerate().rev();
    last_first.into_iter().find_map(|(at, key)| {
        let step = match key.as_str() {
            "podSecurityContext" | "containerSecurityContext" => "securityContext",
            "automount" => "automountServiceAccountToken",
            other => other,
        };
        let found = field.iter().rposition(|known| known == step)?;
        let rest = field[found + 1..].strip_prefix(&governing[at + 1..])?;
        Some(governing.iter().chain(rest).cloned().collect())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn words(path: &str, at: char) -> Vec<String> {
        path.split(at).map(str::to_owned).collect()
    }

    #[test]
    fn a_field_is_set_below_the_value_that_is_named_for_it() {
        let limit = "spec/template/spec/containers/0/resources/limits/memory";
        for (governing, expected) in [
            ("api.resources", Some("api.resources.limits.memory")),
            ("resources.limits.memory", Some("resources.limits.memory")),
            ("resources.requests", None),
            ("image.tag", None),
        ] {
            let found = target(&words(governing, '.'), &words(limit, '/'));
            assert_eq!(
                found.map(|path| path.join(".")).as_deref(),
                expected,
                "{governing}"
            );
        }
        let text = "api:\n  resources: {}  # none\n";
        let field = RemedyField {
            path: words(limit, '/'),
            value: json!("1Gi"),
            action: None,
        };
        let found = with_fields(text, &words("api.resources", '.'), &[field]).unwrap();
        assert_eq!(
            found,
            "api:\n  resources:  # none\n    limits:\n      memory: 1Gi\n"
        );
    }
}
