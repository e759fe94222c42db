//! Databases by name, wherever one is named: variables of the official images, connection URLs,
//! commands, init scripts. Pure; Compose services and rendered charts are read with the same rules.
//!
//! Where a text leaves room, the reading errs towards naming a database: a name too many is a question
//! to the user, a name too few is data written to the wrong place. Passwords are never kept.

use std::collections::BTreeMap;

use serde::Serialize;

mod command;
mod expand;
mod group;
mod image;
mod keyvalue;
mod list;
mod settings;
mod sql;
mod url;

pub use expand::expand;
pub use image::serves;
pub use settings::settings;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Postgres,
    Mysql,
    Mongo,
    Redis,
}

/// Words by which a kind is told in names of variables, URL schemes, drivers, hosts and images.
const WORDS: [(&str, Kind); 23] = [
    ("postgres", Kind::Postgres),
    ("postgresql", Kind::Postgres),
    ("postgis", Kind::Postgres),
    ("psql", Kind::Postgres),
    ("pgsql", Kind::Postgres),
    ("pg", Kind::Postgres),
    ("pgvector", Kind::Postgres),
    ("timescaledb", Kind::Postgres),
    ("asyncpg", Kind::Postgres),
    ("psycopg2", Kind::Postgres),
    ("pgx", Kind::Postgres),
    ("npgsql", Kind::Postgres),
    ("ecto", Kind::Postgres),
    ("mysql", Kind::Mysql),
    ("mysql2", Kind::Mysql),
    ("mysqli", Kind::Mysql),
    ("mariadb", Kind::Mysql),
    ("percona", Kind::Mysql),
    ("mongo", Kind::Mongo),
    ("mongodb", Kind::Mongo),
    ("redis", Kind::Redis),
    ("rediss", Kind::Redis),
    ("valkey", Kind::Redis),
];

impl Kind {
    /// The port on which such a server listens unless told otherwise.
    pub fn port(self) -> u16 {
        match self {
            Self::Postgres => 5432,
            Self::Mysql => 3306,
            Self::Mongo => 27017,
            Self::Redis => 6379,
        }
    }

    /// The kind whose usual port this is.
    pub(crate) fn at_port(port: u16) -> Option<Self> {
        [Self::Postgres, Self::Mysql, Self::Mongo, Self::Redis]
            .into_iter()
            .find(|kind| kind.port() == port)
    }

    /// Told by a whole word of a text: `KC_POSTGRES`, `django.db.backends.mysql`, `postgresql+asyncpg`.
    fn in_words(text: &str) -> Option<Self> {
        let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
        words.find_map(|word| {
            WORDS
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(word))
                .map(|(_, kind)| *kind)
        })
    }
}

/// Names by which a container or pod reaches the machine that it runs on. All of them count, whatever runs the
/// containers here: one too few, and a chart that writes to Compose's database goes unnoticed.
pub(crate) const MACHINE: [&str; 8] = [
    "host.docker.internal",
    "gateway.docker.internal",
    "docker.for.mac.host.internal",
    "host.minikube.internal",
    "host.k3d.internal",
    "host.containers.internal",
    "host.lima.internal",
    "host.rancher-desktop.internal",
];

/// Where a named database lives, as far as the text says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Server {
    /// The container that names it serves it: `POSTGRES_DB` in a Postgres image.
    Own,
    At {
        /// In lower case; IPv6 without brackets.
        host: String,
        /// None: the kind's own.
        port: Option<u16>,
    },
    /// A name without an address, such as `PGDATABASE` beside no `PGHOST`.
    Unknown,
}

/// A database that a text names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Named {
    pub kind: Kind,
    /// The database's name; for Redis its index.
    pub name: String,
    pub server: Server,
    /// Who logs in, if the text tells. Never a password.
    pub user: Option<String>,
    /// What named it: `POSTGRES_DB`, `DATABASE_URL`, `command`.
    pub via: String,
}

/// A container's environment, values after interpolation.
pub type ContainerEnv<'a> = BTreeMap<&'a str, &'a str>;

/// The databases that a container's environment names; `via` is the variable. `image` tells whether the
/// container is itself a database server, whose own database may come without any variable (`via` is then
/// `image`). Values may refer to other variables as `$(NAME)` or `${NAME}`.
pub fn in_environment(image: Option<&str>, variables: &ContainerEnv) -> Vec<Named> {
    let expanded: BTreeMap<&str, String> = variables
        .iter()
        .map(|(key, value)| (*key, expand(value, variables)))
        .collect();
    let variables: ContainerEnv = expanded
        .iter()
        .map(|(key, value)| (*key, value.as_str()))
        .collect();
    let served = image.and_then(image::serves);
    let mut found = group::named(served, &variables);
    for (key, value) in &variables {
        found.extend(list::named(served, key, value, &variables));
        found.extend(connections(value, key));
    }
    owned(served, found)
}

/// The databases that a command line, an init script (SQL or shell), a connection string or a
/// configuration file names. `image` as in [`in_environment`]; `via` is taken over.
pub fn in_text(image: Option<&str>, text: &str, via: &str) -> Vec<Named> {
    // What is commented out names nothing.
    let is_comment = |line: &&str| {
        ["#", "-- ", "//"]
            .iter()
            .any(|mark| line.trim_start().starts_with(mark))
    };
    let kept: Vec<_> = text.lines().filter(|line| !is_comment(line)).collect();
    let text = kept.join("\n");
    let mut found = connections(&text, via);
    found.extend(sql::named(&text, via));
    found.extend(command::in_script(&text, via));
    owned(image.and_then(image::serves), found)
}

/// The databases that a command with its arguments names, as an `exec` would get it. References to
/// `variables` are resolved as the shell or Kubernetes would.
pub fn in_command(
    image: Option<&str>,
    words: &[&str],
    variables: &ContainerEnv,
    via: &str,
) -> Vec<Named> {
    let words: Vec<_> = words.iter().map(|word| expand(word, variables)).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let mut found = command::in_words(&words, via);
    for word in words {
        found.extend(in_text(None, word, via));
    }
    found
        .iter_mut()
        .for_each(|named| by_libpq(named, variables));
    owned(image.and_then(image::serves), found)
}

/// Where libpq goes if a command does not say (PostgreSQL manual, "Environment Variables").
fn by_libpq(named: &mut Named, variables: &ContainerEnv) {
    let port = variables.get("PGPORT").and_then(|port| port.parse().ok());
    match &mut named.server {
        _ if named.kind != Kind::Postgres => {}
        Server::At {
            port: unsaid @ None,
            ..
        } => *unsaid = port,
        server @ Server::Unknown => {
            let host = variables
                .get("PGHOST")
                .and_then(|host| url::host_of(host, port));
            *server = host.unwrap_or(Server::Unknown);
        }
        Server::At { .. } | Server::Own => {}
    }
}

fn connections(text: &str, via: &str) -> Vec<Named> {
    let mut found = url::named(text, via);
    found.extend(keyvalue::named(text, via));
    found
}

/// What a database server's own container names without an address is its own. Each finding once.
fn owned(served: Option<Kind>, found: Vec<Named>) -> Vec<Named> {
    let mut once = Vec::new();
    for mut named in found {
        if named.server == Server::Unknown && served == Some(named.kind) {
            named.server = Server::Own;
        }
        if !once.contains(&named) {
            once.push(named);
        }
    }
    once
}

/// No placeholder that somebody else fills in.
fn is_literal(text: &str) -> bool {
    !text.is_empty() && !text.contains(['$', '{', '}', '<', '>', '\n', '\0'])
}

/// `host`, `host:port`, `[v6]:port`, several with commas. An empty host or a socket's folder is the own
/// machine, which is no address: [`Server::Unknown`]. None if it is no list of hosts.
fn servers(text: &str, default_port: Option<u16>) -> Option<Vec<Server>> {
    text.split(',')
        .map(|one| server(one.trim(), default_port))
        .collect()
}

fn server(text: &str, default_port: Option<u16>) -> Option<Server> {
    let (host, port) = match text.strip_prefix('[') {
        Some(v6) => {
            let (host, rest) = v6.split_once(']')?;
            (
                host,
                rest.strip_prefix(':').or(rest.is_empty().then_some(""))?,
            )
        }
        None if text.parse::<std::net::Ipv6Addr>().is_ok() => (text, ""),
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let port = if port.is_empty() {
        default_port
    } else {
        Some(port.parse().ok()?)
    };
    if host.is_empty() || host.starts_with('/') || host.starts_with('@') || !is_literal(host) {
        return Some(Server::Unknown);
    }
    let plain = host
        .chars()
        .all(|c| c.is_alphanumeric() || "-_.:%".contains(c));
    plain.then(|| Server::At {
        host: host.to_lowercase(),
        port,
    })
}

#[cfg(test)]
mod tests;
