//! References to variables in a value: `$(NAME)` as Kubernetes has them, `$NAME`, `${NAME}` and
//! `${NAME:-default}` as the shell has them.

use super::ContainerEnv;

/// Puts in the variables that are known; a reference to any other stays as it is. Only one round: what
/// is put in is not looked at again, so nothing refers to itself for ever.
pub fn expand(text: &str, variables: &ContainerEnv) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        match reference(after) {
            Some((name, default, used)) => {
                match variables
                    .get(name)
                    .copied()
                    .filter(|value| !value.is_empty())
                    .or(default)
                {
                    Some(value) => out.push_str(value),
                    None => out.push_str(&rest[before.len()..=before.len() + used]),
                }
                rest = &after[used..];
            }
            None => {
                out.push('$');
                rest = after;
            }
        }
    }
    out + rest
}

/// The name after a `$`, its default, and how many bytes the reference takes.
fn reference(after: &str) -> Option<(&str, Option<&str>, usize)> {
    let end = match after.chars().next()? {
        '(' => ')',
        '{' => '}',
        c if c.is_ascii_alphabetic() || c == '_' => {
            let end = after
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(after.len());
            return Some((&after[..end], None, end));
        }
        _ => return None,
    };
    let inner = &after[1..after.find(end)?];
    let name_end = inner
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(inner.len());
    let (name, operator) = inner.split_at(name_end);
    let default = operator
        .strip_prefix(":-")
        .or_else(|| operator.strip_prefix('-'));
    (!name.is_empty() && (operator.is_empty() || default.is_some())).then_some((
        name,
        default,
        inner.len() + 2,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_of_kubernetes_and_of_the_shell_are_resolved() {
        let variables = ContainerEnv::from([("DB", "app"), ("HOST", "db")]);
        assert_eq!(
            expand("postgres://$(HOST)/${DB}", &variables),
            "postgres://db/app"
        );
        assert_eq!(expand("-d $DB -h ${NONE:-x}", &variables), "-d app -h x");
    }

    #[test]
    fn what_is_not_known_stays() {
        let variables = ContainerEnv::from([("A", "$A")]);
        for text in [
            "$",
            "$$",
            "${",
            "$(B)",
            "${B:?no}",
            "a$é",
            "$(date +%s)",
            "${B",
            "$9",
        ] {
            assert_eq!(expand(text, &variables), text);
        }
        assert_eq!(expand("$A$(A)", &variables), "$A$A");
    }
}
