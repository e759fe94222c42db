//! Connection URLs anywhere in a text.
//!
//! libpq (PostgreSQL manual, "Connection URIs"), JDBC (pgJDBC and Connector/J manuals), SQLAlchemy's
//! `dialect+driver://`, MongoDB's connection strings, and `redis://host:port/index`.

use super::{Kind, Named, Server, is_literal, keyvalue, servers};

/// What ends a URL in a text, beside white space.
const QUOTES: [char; 6] = ['"', '\'', '`', '|', '\\', '^'];

/// Every database that a URL in this text names. A URL of several hosts names one on each.
pub(super) fn named(text: &str, via: &str) -> Vec<Named> {
    let mut found = keyvalue::go_mysql(text, via);
    for (at, _) in text.match_indices(':') {
        let before = &text[..at];
        let start = before
            .rfind(|c: char| !c.is_ascii_alphanumeric() && c != '+')
            .map_or(0, |at| {
                at + before[at..].chars().next().map_or(1, char::len_utf8)
            });
        let Some(kind) = kind(&before[start..]) else {
            continue;
        };
        let is_jdbc = start
            .checked_sub(4)
            .and_then(|at| before.as_bytes().get(at..start))
            .is_some_and(is_dbc);
        let word = &text[at + 1..];
        if !is_jdbc && !word.starts_with("//") {
            continue;
        }
        let word = &word[..word
            .find(|c: char| c.is_whitespace() || QUOTES.contains(&c))
            .unwrap_or(word.len())];
        let (rest, after) = word.split_at(word.find(['#', '?']).unwrap_or(word.len()));
        // A password that should have been encoded: what is in front of it is no address.
        if after.contains('@') && !is_jdbc {
            continue;
        }
        let rest = if after.starts_with('?') {
            word.split('#').next().unwrap_or(word)
        } else {
            rest
        };
        let rest = rest.trim_end_matches([',', ';', '.', ')', ']', '>']);
        match rest.strip_prefix("//") {
            Some(rest) => found.extend(parse(kind, rest, is_jdbc, via).unwrap_or_default()),
            None if is_jdbc => {
                found.extend(parse(kind, &format!("/{rest}"), true, via).unwrap_or_default())
            }
            None => {}
        }
    }
    found
}

/// JDBC's, and R2DBC's, in front of a scheme.
fn is_dbc(bytes: &[u8]) -> bool {
    bytes.eq_ignore_ascii_case(b"dbc:")
}

/// Of a scheme such as `postgresql+asyncpg`.
fn kind(scheme: &str) -> Option<Kind> {
    if scheme.is_empty() || scheme.len() > 32 {
        return None;
    }
    // The driver stands behind the kind; Celery's `db+` stands before it.
    scheme.split('+').find_map(Kind::in_words)
}

fn parse(kind: Kind, rest: &str, is_jdbc: bool, via: &str) -> Option<Vec<Named>> {
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    // The last @: a password may hold one, or a slash, in spite of the rules, and must not be taken
    // for a host or a name.
    let (login, address) = address.rsplit_once('@').unwrap_or(("", address));
    let (hosts, path) = address.split_once('/').unwrap_or((address, ""));
    let query = |key: &str| parameter(query, key);

    let user = Some(decode(login.split(':').next()?)?)
        .filter(|user| !user.is_empty())
        .or_else(|| query("user"));
    let user = user.filter(|user| is_literal(user));
    let port = query("port").and_then(|port| port.parse().ok());
    let hosts = if hosts.is_empty() {
        query("host").unwrap_or_default()
    } else {
        decode(hosts)?
    };
    let hosts = if hosts.is_empty() && is_jdbc {
        "localhost".to_owned()
    } else {
        hosts
    };
    let path = Some(decode(path)?).filter(|path| !path.is_empty());
    let path = path
        .or_else(|| query("dbname"))
        .or_else(|| query("database"))
        .or_else(|| query("db"));
    let name = name(kind, path, user.as_deref())?;

    let here = |server| Named {
        kind,
        name: name.clone(),
        server,
        user: user.clone(),
        via: via.to_owned(),
    };
    let servers = servers(&hosts, port)?;
    // One unknown machine is as good as several.
    Some(servers.into_iter().map(here).collect())
}

/// Without a path: what the usual drivers take.
fn name(kind: Kind, path: Option<String>, user: Option<&str>) -> Option<String> {
    let is_index = |path: &String| path.chars().all(|c| c.is_ascii_digit());
    let name = match (kind, path) {
        (Kind::Redis, path) => path.filter(is_index).unwrap_or_else(|| "0".to_owned()),
        (_, Some(path)) => path.split(';').next()?.to_owned(),
        (Kind::Postgres, None) => user.unwrap_or("postgres").to_owned(),
        (Kind::Mongo, None) => "test".to_owned(),
        // Without a name MySQL uses none.
        (Kind::Mysql, None) => return None,
    };
    (is_literal(&name) && !name.contains(['/', '@', ':'])).then_some(name)
}

fn parameter(query: &str, key: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .find(|(name, _)| *name == key)
        .and_then(|(_, value)| decode(value))
        .filter(|value| !value.is_empty())
}

/// `%2F` → `/`; None if the bytes are no text.
fn decode(text: &str) -> Option<String> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    Some(decoded.ok()?.into_owned())
}

/// The servers that a variable such as `DB_HOST` names, which may be a URL without a database.
pub(super) fn host_of(value: &str, port: Option<u16>) -> Option<Server> {
    let value = value.split_once("://").map_or(value, |(_, rest)| rest);
    let value = value.split(['/', '?']).next()?;
    let first = servers(value, port)?.into_iter().next()?;
    let listens = matches!(&first, Server::At { host, .. } if host == "0.0.0.0" || host == "::");
    (first != Server::Unknown && !listens).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `kind name@host:port user` of each finding.
    fn read(text: &str) -> Vec<String> {
        let show = |named: Named| {
            let server = match named.server {
                Server::At { host, port } => {
                    format!("{host}:{}", port.map_or("-".into(), |p| p.to_string()))
                }
                other => format!("{other:?}"),
            };
            format!(
                "{:?} {}@{server} {}",
                named.kind,
                named.name,
                named.user.unwrap_or_default()
            )
        };
        super::named(text, "X").into_iter().map(show).collect()
    }

    #[test]
    fn every_scheme_is_read() {
        for scheme in [
            "postgres",
            "postgresql",
            "postgresql+asyncpg",
            "POSTGRES+psycopg2",
            "db+postgresql",
            "jdbc:postgresql",
            "pgsql",
            "ecto",
        ] {
            assert_eq!(
                read(&format!("{scheme}://u:p@db:5439/app")),
                ["Postgres app@db:5439 u"],
                "{scheme}"
            );
        }
        assert_eq!(read("mysql+pymysql://u@db/app"), ["Mysql app@db:- u"]);
        assert_eq!(read("jdbc:mariadb://db/app?user=u"), ["Mysql app@db:- u"]);
        assert_eq!(
            read("mongodb+srv://db.example/app?retryWrites=true"),
            ["Mongo app@db.example:- "]
        );
        assert_eq!(
            read("rediss://:secret@cache:6380/3"),
            ["Redis 3@cache:6380 "]
        );
        assert_eq!(read("https://postgres/app http://u:p@redis/1"), [""; 0]);
    }

    #[test]
    fn a_missing_database_is_the_default() {
        assert_eq!(read("postgres://app@db"), ["Postgres app@db:- app"]);
        assert_eq!(read("postgres://db:1"), ["Postgres postgres@db:1 "]);
        assert_eq!(
            read("postgres://db?dbname=x&user=me"),
            ["Postgres x@db:- me"]
        );
        assert_eq!(read("redis://cache"), ["Redis 0@cache:- "]);
        assert_eq!(read("redis://cache?db=2"), ["Redis 2@cache:- "]);
        assert_eq!(
            read("mongodb://db:27017/?authSource=admin"),
            ["Mongo test@db:27017 "]
        );
        assert_eq!(read("mysql://db"), [""; 0]);
    }

    #[test]
    fn hosts_of_all_shapes_are_read() {
        assert_eq!(
            read("postgres://u@[::1]:5439/app"),
            ["Postgres app@::1:5439 u"]
        );
        assert_eq!(
            read("postgres://a:1,b:2/app"),
            ["Postgres app@a:1 ", "Postgres app@b:2 "]
        );
        assert_eq!(
            read("postgresql:///app?host=db&port=7"),
            ["Postgres app@db:7 "]
        );
        assert_eq!(read("postgresql:///app"), ["Postgres app@Unknown "]);
        assert_eq!(
            read("postgresql://%2Fvar%2Frun/app"),
            ["Postgres app@Unknown "]
        );
        assert_eq!(read("jdbc:postgresql:app"), ["Postgres app@localhost:- "]);
        assert_eq!(
            read("postgres://DB.Example/app"),
            ["Postgres app@db.example:- "]
        );
    }

    #[test]
    fn names_and_users_are_percent_decoded() {
        assert_eq!(
            read("postgres://a%40b:p%2Fw@db/my%20app"),
            ["Postgres my app@db:- a@b"]
        );
    }

    #[test]
    fn urls_are_found_within_text() {
        assert_eq!(
            read("url = \"postgres://u@db/app\", # x"),
            ["Postgres app@db:- u"]
        );
        assert_eq!(
            read("é:postgres://db/a;b (redis://c/1), x"),
            ["Postgres a@db:- ", "Redis 1@c:- "]
        );
        assert_eq!(read("wait-for postgres:5432 redis:6379"), [""; 0]);
    }

    #[test]
    fn a_long_text_is_read_once() {
        let text = "redis: postgres://db/app\n".repeat(40_000);
        let since = std::time::Instant::now();
        assert_eq!(named(&text, "X").len(), 40_000);
        assert!(
            since.elapsed() < std::time::Duration::from_secs(5),
            "{:?}",
            since.elapsed()
        );
    }

    #[test]
    fn a_password_never_becomes_a_name() {
        for url in [
            "postgres://u:se/cret@db/app",
            "postgres://u:12/secret@db/app",
            "postgres://u:se@cret@db/app",
            "postgres://u:se?cret@db/app",
            "postgres://u:secret",
            "postgres://u:12?secret@db",
            "mysql://u:se#cret@db/app",
            "redis://:secret@",
            "mongodb://u:se:cret@db",
            "postgres://secret:secret:secret",
        ] {
            let found = named(url, "X");
            assert!(!format!("{found:?}").contains("cret"), "{url}: {found:?}");
        }
        assert_eq!(read("postgres://u:se/cret@db/app"), ["Postgres app@db:- u"]);
    }

    #[test]
    fn a_placeholder_is_no_name() {
        assert_eq!(
            read("postgres://u@db/${NAME} postgres://u@db/<name>"),
            [""; 0]
        );
        assert_eq!(
            read("postgres://$(U):$(P)@$(HOST)/app"),
            ["Postgres app@Unknown "]
        );
    }
}
