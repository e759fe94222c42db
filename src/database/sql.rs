//! `CREATE DATABASE` and `\connect` in SQL, wherever it stands: scripts, commands, ConfigMaps.

use super::{Kind, Named, Server, is_literal};

/// Every database that a statement of this text creates or connects to, on no told server.
pub(super) fn named(text: &str, via: &str) -> Vec<Named> {
    let mut found = vec![];
    let words = text
        .char_indices()
        .filter(|(at, _)| starts_word(text, *at))
        .map(|(at, _)| &text[at..]);
    for rest in words {
        let Some(after) = keywords(rest, &["create", "database"]) else {
            continue;
        };
        let without = keywords(after, &["if", "not", "exists"]);
        let Some((name, quote, rest)) = identifier(without.unwrap_or(after)) else {
            continue;
        };
        // Postgres knows no IF NOT EXISTS here, and no backticks.
        let kind = if without.is_some() || quote == Some('`') {
            Kind::Mysql
        } else {
            Kind::Postgres
        };
        found.push(Named {
            kind,
            name,
            server: Server::Unknown,
            user: owner(rest),
            via: via.to_owned(),
        });
    }
    found.extend(text.lines().filter_map(|line| connect(line, via)));
    found
}

fn starts_word(text: &str, at: usize) -> bool {
    let begins = text[at..].starts_with(['c', 'C']);
    begins && !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// What follows these words, in any case.
fn keywords<'a>(text: &'a str, words: &[&str]) -> Option<&'a str> {
    words.iter().try_fold(text, |text, word| {
        let text = text.trim_start();
        let head = text
            .get(..word.len())
            .filter(|head| head.eq_ignore_ascii_case(word))?;
        let rest = &text[head.len()..];
        rest.starts_with(|c: char| !c.is_alphanumeric() && c != '_')
            .then_some(rest)
    })
}

/// A name, the quote it stood in, and what follows. Postgres folds unquoted names to lower case.
fn identifier(text: &str) -> Option<(String, Option<char>, &str)> {
    let text = text.trim_start();
    // A quote within a shell's or a string's quotes.
    let text = text.strip_prefix('\\').unwrap_or(text);
    let first = text.chars().next()?;
    let (name, quote, rest) = if first == '"' || first == '`' {
        let (name, rest) = text[1..].split_once(first)?;
        (name.trim_end_matches('\\').to_owned(), Some(first), rest)
    } else {
        let is_part = |c: char| c.is_alphanumeric() || "_-$".contains(c);
        let end = text.find(|c: char| !is_part(c)).unwrap_or(text.len());
        (text[..end].to_lowercase(), None, &text[end..])
    };
    is_literal(&name).then_some((name, quote, rest))
}

/// `… OWNER [=] name`, before the statement's end.
fn owner(rest: &str) -> Option<String> {
    let statement = rest.split(';').next()?;
    let rest = keywords(statement, &["with"]).unwrap_or(statement);
    let rest = keywords(rest, &["owner"])?.trim_start();
    identifier(rest.strip_prefix('=').unwrap_or(rest)).map(|(name, _, _)| name)
}

/// psql's `\connect name` and `\c name`.
fn connect(line: &str, via: &str) -> Option<Named> {
    let line = line.trim_start();
    let rest = line
        .strip_prefix("\\connect ")
        .or_else(|| line.strip_prefix("\\c "))?;
    let (name, _, _) =
        identifier(rest).filter(|(name, _, _)| name != "-" && !name.starts_with('-'))?;
    Some(Named {
        kind: Kind::Postgres,
        name,
        server: Server::Unknown,
        user: None,
        via: via.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(Kind, String, Option<String>)> {
        named(text, "X")
            .into_iter()
            .map(|n| (n.kind, n.name, n.user))
            .collect()
    }

    #[test]
    fn created_databases_are_read_with_their_owner() {
        let postgres = |name: &str, user: Option<&str>| {
            (Kind::Postgres, name.to_owned(), user.map(str::to_owned))
        };
        assert_eq!(read("create  DATABASE App;"), [postgres("app", None)]);
        assert_eq!(
            read("CREATE DATABASE \"App-1\" WITH OWNER = bob;"),
            [postgres("App-1", Some("bob"))]
        );
        assert_eq!(
            read("psql -c \"CREATE DATABASE \\\"App\\\" OWNER bob\""),
            [postgres("App", Some("bob"))]
        );
        assert_eq!(
            read("SELECT 'CREATE DATABASE a' WHERE NOT EXISTS (x)\\gexec"),
            [postgres("a", None)]
        );
        assert_eq!(
            read("CREATE DATABASE a;\nCREATE DATABASE b OWNER c;").len(),
            2
        );
        assert_eq!(
            read("\\connect app\n\\c \"Other\"\n\\c -"),
            [postgres("app", None), postgres("Other", None)]
        );
    }

    #[test]
    fn mysql_is_told_by_its_own_words() {
        assert_eq!(
            read("CREATE DATABASE IF NOT EXISTS shop;"),
            [(Kind::Mysql, "shop".to_owned(), None)]
        );
        assert_eq!(
            read("CREATE DATABASE `Shop`;"),
            [(Kind::Mysql, "Shop".to_owned(), None)]
        );
    }

    #[test]
    fn placeholders_and_other_statements_name_nothing() {
        for text in [
            "CREATE DATABASE :name",
            "CREATE DATABASE $DB",
            "CREATE DATABASE",
            "CREATE DATABASE %I",
            "recreate database x",
            "CREATE TABLE x",
            "é CREATE",
        ] {
            assert_eq!(read(text), [], "{text}");
        }
    }
}
