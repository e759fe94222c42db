//! Connection strings of `key=value` pairs: libpq's (`host=db dbname=app`), ADO.NET's and PDO's
//! (`Host=db;Database=app`), and the Go driver's for MySQL (`user:pass@tcp(db:3306)/app`).

use super::{Kind, Named, Server, is_literal, server};

const HOST: [&str; 5] = ["host", "hostaddr", "server", "data source", "address"];
const NAME: [&str; 3] = ["dbname", "database", "initial catalog"];
const USER: [&str; 5] = ["user", "username", "user id", "uid", "user name"];

/// Every connection string of a text; each is looked for within one line.
pub(super) fn named(text: &str, via: &str) -> Vec<Named> {
    // Only where such a string can be, which most values are not.
    let candidates = text.lines().filter(|line| {
        let line = line.to_ascii_lowercase();
        NAME.iter().any(|key| line.contains(key))
    });
    candidates.filter_map(|line| one(line, via)).collect()
}

fn one(line: &str, via: &str) -> Option<Named> {
    let pairs = if line.contains(';') {
        semicolons(line)
    } else {
        spaces(line)
    };
    let value = |keys: &[&str]| {
        let found = pairs
            .iter()
            .find(|(key, value)| keys.contains(&key.as_str()) && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    };
    // `database=` alone is any program's option; libpq's word is not.
    let name = value(&NAME[..1]).or_else(|| value(&HOST).and(value(&NAME)))?;
    let port = value(&["port"]).and_then(|port| port.parse().ok());
    let server = value(&HOST).map_or(Some(Server::Unknown), |host| {
        // SQL Server's `tcp:host,port`.
        server(host.trim_start_matches("tcp:").split(',').next()?, port)
    })?;
    let port = if let Server::At { port, .. } = &server {
        *port
    } else {
        port
    };
    let kind = Kind::in_words(line)
        .or_else(|| Kind::at_port(port?))
        .unwrap_or(Kind::Postgres);
    let user = value(&USER)
        .filter(|user| is_literal(user))
        .map(str::to_owned);
    is_literal(name).then(|| Named {
        kind,
        name: name.to_owned(),
        server,
        user,
        via: via.to_owned(),
    })
}

fn semicolons(line: &str) -> Vec<(String, String)> {
    let pairs = line.split(';').filter_map(|pair| pair.split_once('='));
    // `pgsql:host=db` and `"Host=db` begin with something else.
    let key = |key: &str| {
        key.trim()
            .rsplit([':', '"', '\'', '='])
            .next()
            .unwrap_or_default()
            .trim()
            .to_lowercase()
    };
    pairs
        .map(|(k, value)| (key(k), value.trim().trim_matches(['"', '\'']).to_owned()))
        .collect()
}

/// Values may stand in single quotes, with spaces in them.
fn spaces(line: &str) -> Vec<(String, String)> {
    let mut pairs = vec![];
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('=') {
        let key = before
            .trim_end()
            .rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .next()
            .unwrap_or_default();
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('\'') {
            Some(quoted) => quoted.split_once('\'').unwrap_or((quoted, "")),
            None => after.split_at(
                after
                    .find(|c: char| c.is_whitespace() || "\"'".contains(c))
                    .unwrap_or(after.len()),
            ),
        };
        pairs.push((key.to_lowercase(), value.to_owned()));
        rest = next;
    }
    pairs
}

/// `user:password@tcp(host:port)/name?…` of the Go driver for MySQL.
pub(super) fn go_mysql(text: &str, via: &str) -> Vec<Named> {
    let read = |(at, _): (usize, &str)| {
        let (host, rest) = text[at..].strip_prefix("@tcp(")?.split_once(")/")?;
        let end = rest
            .find(|c: char| c.is_whitespace() || "?\"'`,;".contains(c))
            .unwrap_or(rest.len());
        let name = Some(&rest[..end]).filter(|name| is_literal(name))?;
        let login = text[..at]
            .rsplit(|c: char| c.is_whitespace() || "\"'`".contains(c))
            .next()?;
        // `DSN=user:password`; a password may hold anything.
        let user = login
            .split_once(':')
            .and_then(|(user, _)| user.rsplit('=').next())
            .filter(|user| is_literal(user));
        let server = server(host, None)?;
        let user = user.map(str::to_owned);
        Some(Named {
            kind: Kind::Mysql,
            name: name.to_owned(),
            server,
            user,
            via: via.to_owned(),
        })
    };
    text.match_indices("@tcp(").filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(Kind, String, Server, Option<String>)> {
        let found = named(text, "X")
            .into_iter()
            .chain(go_mysql(text, "X"))
            .next()?;
        Some((found.kind, found.name, found.server, found.user))
    }

    fn expected(
        kind: Kind,
        name: &str,
        at: Option<(&str, Option<u16>)>,
        user: Option<&str>,
    ) -> Option<(Kind, String, Server, Option<String>)> {
        let server = at.map_or(Server::Unknown, |(host, port)| Server::At {
            host: host.to_owned(),
            port,
        });
        Some((kind, name.to_owned(), server, user.map(str::to_owned)))
    }

    #[test]
    fn libpq_strings_are_read_with_quotes() {
        assert_eq!(
            read("host=DB port=5439 dbname=app user=me password=x"),
            expected(Kind::Postgres, "app", Some(("db", Some(5439))), Some("me"))
        );
        assert_eq!(
            read("dbname='my app' user = me"),
            expected(Kind::Postgres, "my app", None, Some("me"))
        );
        assert_eq!(
            read("psql \"host=db dbname=app\" -c x"),
            expected(Kind::Postgres, "app", Some(("db", None)), None)
        );
    }

    #[test]
    fn strings_with_semicolons_are_read() {
        assert_eq!(
            read("Host=db;Port=5439;Database=app;Username=me;Password=x"),
            expected(Kind::Postgres, "app", Some(("db", Some(5439))), Some("me"))
        );
        assert_eq!(
            read("Server=db;Port=3306;Database=app;User Id=me;Pwd=x;"),
            expected(Kind::Mysql, "app", Some(("db", Some(3306))), Some("me"))
        );
        assert_eq!(
            read("mysql:host=db;dbname=app"),
            expected(Kind::Mysql, "app", Some(("db", None)), None)
        );
    }

    #[test]
    fn the_go_drivers_strings_are_read() {
        assert_eq!(
            read("me:se@cret@tcp(db:3306)/app?parseTime=true"),
            expected(Kind::Mysql, "app", Some(("db", Some(3306))), Some("me"))
        );
    }

    #[test]
    fn other_pairs_are_left_alone() {
        for text in [
            "database=app",
            "FOO=bar",
            "dbname=",
            "dbname=${X}",
            "host=db",
            "=",
            "dbname='",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
