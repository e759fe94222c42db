//! Names of separate databases: which ones are possible, and the one devk chooses. Pure.

use sha2::{Digest, Sha256};

use crate::error::{Code, Error, Result};

/// Postgres cuts longer names (NAMEDATALEN - 1), in bytes.
const MAX_NAME_BYTES: usize = 63;

/// Every server has these, for its own use.
const RESERVED: &[&str] = &["postgres", "template0", "template1"];

/// The default name of a separate database: beside `shop` it is `shop_k8s`, and in a linked git
/// worktree `shop_login_k8s`. Always valid.
pub fn default(main: &str, worktree: Option<&str>) -> String {
    let whole = match worktree {
        Some(worktree) => format!("{main}_{worktree}_k8s"),
        None => format!("{main}_k8s"),
    };
    let mut name: String = whole
        .chars()
        .map(|c| if is_allowed(c) { c } else { '_' })
        .collect();
    if !name.starts_with(is_first) {
        name.insert(0, '_');
    }
    if name.len() > MAX_NAME_BYTES {
        let hash = crate::hex::hex(Sha256::digest(&whole));
        name = format!("{}_{}", &name[..MAX_NAME_BYTES - 9], &hash[..8]);
    }
    name
}

/// Whether a name survives charts, YAML, connection URLs and SQL without a quote.
///
/// # Errors
/// [`Code::BridgeName`] with the rule that it breaks.
pub fn check(name: &str) -> Result<()> {
    let broken = if name.is_empty() || name.len() > MAX_NAME_BYTES {
        format!(
            "it has {} bytes, and Postgres takes 1 to {MAX_NAME_BYTES}",
            name.len()
        )
    } else if let Some(c) = name.chars().find(|c| !is_allowed(*c)) {
        format!("it contains {c:?}")
    } else if !name.starts_with(is_first) {
        "it does not start with a letter or `_`".to_owned()
    } else if is_reserved(name) {
        "every server has a database of that name for its own use".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::new(
        Code::BridgeName,
        format!("the database cannot be called `{name}`: {broken}"),
    )
    .hint("use ASCII letters, digits, `_` and `-`, starting with a letter, such as `shop_k8s`"))
}

/// Every server has a database of that name for its own use.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

fn is_first(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_says_which_database_and_which_worktree_it_stands_beside() {
        assert_eq!(default("shop", None), "shop_k8s");
        assert_eq!(
            default("shop", Some("fix/login page")),
            "shop_fix_login_page_k8s"
        );
        assert_eq!(default("7up", None), "_7up_k8s");
    }

    #[test]
    fn every_default_is_valid_and_long_ones_stay_different() {
        let one = "ä".repeat(60);
        let two = format!("{}b", "ä".repeat(60));
        let names = [
            default(&one, None),
            default(&two, None),
            default("", Some("")),
            default("\"; drop", None),
        ];
        names.iter().for_each(|name| check(name).unwrap());
        assert_ne!(names[0], names[1]);
        assert_eq!(names[0].len(), MAX_NAME_BYTES);
    }

    #[test]
    fn what_postgres_or_a_url_would_change_is_refused() {
        check(&"a".repeat(63)).unwrap();
        for name in [
            "",
            "a b",
            "a\"b",
            "a'b",
            "größe",
            "a/b",
            "-a",
            "1",
            "template1",
            "postgres",
            &"a".repeat(64),
        ] {
            assert_eq!(check(name).unwrap_err().code, Code::BridgeName, "{name}");
        }
    }
}
