//! Variables that belong together by the beginning of their names: `DB_NAME` beside `DB_HOST`,
//! `POSTGRES_DB` beside `POSTGRES_USER`, `PGDATABASE` beside `PGHOST`, and the same behind any prefix.

use std::collections::BTreeMap;

use super::{ContainerEnv, Kind, Named, Server, is_literal, url};

/// Words of a name that say that it is about a database, beside those of a kind.
const DATABASE_WORDS: [&str; 7] = ["DB", "DATABASE", "SQL", "DATASOURCE", "JDBC", "DBS", "DSN"];

/// Systems whose databases are none of these kinds.
const OTHERS: [&str; 17] = [
    "INFLUX",
    "INFLUXDB",
    "CLICKHOUSE",
    "ELASTIC",
    "ELASTICSEARCH",
    "NEO4J",
    "COUCHDB",
    "MSSQL",
    "SQLSERVER",
    "ORACLE",
    "SQLITE",
    "CASSANDRA",
    "SURREAL",
    "SURREALDB",
    "GEOIP",
    "MAXMIND",
    "ARANGO",
];

/// Values that say which system it is, or switch something, and are no database's name.
const NO_NAMES: [&str; 17] = [
    "true",
    "false",
    "yes",
    "no",
    "on",
    "off",
    "1",
    "0",
    "postgres",
    "postgresql",
    "pgsql",
    "mysql",
    "mariadb",
    "mongodb",
    "mongo",
    "redis",
    "sqlite",
];

const HOSTS: [&str; 6] = ["HOST", "HOSTNAME", "SERVER", "ADDR", "ADDRESS", "ENDPOINT"];
const USERS: [&str; 3] = ["USER", "USERNAME", "USER_NAME"];
/// Which system a group of variables is about: Laravel's `DB_CONNECTION`, Keycloak's `DB_VENDOR`, …
const VENDORS: [&str; 9] = [
    "TYPE",
    "VENDOR",
    "DIALECT",
    "ENGINE",
    "DRIVER",
    "CONNECTION",
    "CLIENT",
    "ADAPTER",
    "PROVIDER",
];

/// Names as variables usually have them: upper case, words parted by one underscore.
type Normal<'a> = BTreeMap<String, (&'a str, &'a str)>;

/// Every database that a variable names by itself, its server and user taken from the variables beside
/// it, and the database that a server's own image makes by default.
pub(super) fn named(served: Option<Kind>, variables: &ContainerEnv) -> Vec<Named> {
    let normal: Normal = variables
        .iter()
        .map(|(key, value)| (normalise(key), (*key, *value)))
        .collect();
    let mut found: Vec<_> = normal
        .iter()
        .filter_map(|(key, (via, value))| one(served, key, via, value, &normal))
        .collect();
    found.extend(by_user(&normal));
    found.extend(redis(&normal));
    found.extend(default(served, &normal, &found));
    found
}

/// The server of a variable of this name, such as `POSTGRES_DATABASES`.
pub(super) fn server_of(kind: Kind, key: &str, variables: &ContainerEnv) -> Server {
    let normal: Normal = variables
        .iter()
        .map(|(key, value)| (normalise(key), (*key, *value)))
        .collect();
    let words: Vec<_> = key.split('_').collect();
    let stem = words[..words.len() - 1].join("_");
    Group {
        stem: stem.trim_end_matches("_MULTIPLE").to_owned(),
        variables: &normal,
    }
    .server(Some(kind))
    .unwrap_or(Server::Unknown)
}

fn normalise(key: &str) -> String {
    let word = |c: char| {
        if c.is_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    let key: String = key.chars().map(word).collect();
    key.split('_')
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("_")
}

/// What the variables of one database have in common: `DB` of `DB_NAME`, `PG` of `PGDATABASE`.
struct Group<'a> {
    stem: String,
    variables: &'a Normal<'a>,
}

fn one(
    served: Option<Kind>,
    key: &str,
    via: &str,
    value: &str,
    variables: &Normal,
) -> Option<Named> {
    let (stem, is_explicit) = stem(key)?;
    let group = Group { stem, variables };
    if group.words().any(|word| OTHERS.contains(&word)) {
        return None;
    }
    let told = group.words().find_map(Kind::in_words);
    let server = group.server(told.filter(|kind| served != Some(*kind)));
    let about_databases =
        is_explicit || told.is_some() || group.words().any(|word| DATABASE_WORDS.contains(&word));
    if !about_databases && server.is_none() {
        return None;
    }
    let kind = told
        .or_else(|| group.vendor())
        .or_else(|| by_server(server.as_ref()))
        .or(served)
        .unwrap_or(Kind::Postgres);
    let name = plausible(value, kind, told.is_some())?.to_owned();
    Some(Named {
        kind,
        name,
        server: server.unwrap_or(Server::Unknown),
        user: group.user(),
        via: via.to_owned(),
    })
}

/// The group's stem, and whether the name says by itself that its value is a database's name.
fn stem(key: &str) -> Option<(String, bool)> {
    if key == "PGDATABASE" {
        return Some(("PG".to_owned(), true));
    }
    let words: Vec<_> = key.split('_').collect();
    let join = |count: usize| words[..words.len() - count].join("_");
    match words[..] {
        [.., "INITDB", "DATABASE"] => Some((join(2), true)),
        [.., "DB" | "DATABASE", "NAME"] => Some((join(1), true)),
        [.., kind, "NAME"] if Kind::in_words(kind).is_some() => Some((join(1), false)),
        [.., "DBNAME"] => Some((join(1), true)),
        [.., "DB" | "DATABASE"] => Some((join(1), false)),
        // A Redis counts its databases.
        [.., "DB" | "DATABASE", "INDEX"] => Some((join(2), false)),
        _ => None,
    }
}

fn plausible(value: &str, kind: Kind, is_told: bool) -> Option<&str> {
    if kind == Kind::Redis {
        return (!value.is_empty() && value.len() < 6 && value.bytes().all(|b| b.is_ascii_digit()))
            .then_some(value);
    }
    let is_name = is_literal(value) && !value.contains(['/', ':', '=']);
    // `POSTGRES_DB=postgres` is a name, `KC_DB=postgres` is not.
    let is_switch = NO_NAMES.contains(&value.to_ascii_lowercase().as_str());
    (is_name && (is_told || !(is_switch || value.contains(' ')))).then_some(value)
}

fn by_server(server: Option<&Server>) -> Option<Kind> {
    let Some(Server::At { host, port }) = server else {
        return None;
    };
    Kind::in_words(host).or_else(|| Kind::at_port((*port)?))
}

impl<'a> Group<'a> {
    fn words(&self) -> impl Iterator<Item = &str> {
        self.stem.split('_')
    }

    /// The beginnings under which the rest of the group may stand, the nearest first.
    fn stems(&self) -> Vec<String> {
        let stem = &self.stem;
        let mut stems = vec![
            stem.clone(),
            format!("{stem}_DB"),
            format!("{stem}_DATABASE"),
        ];
        if let Some((shorter, last)) = stem.rsplit_once('_') {
            // `KC_DB_URL_HOST` beside `KC_DB_USERNAME`; but `APP_HOST` is not where `APP_DB_NAME` lives.
            if last == "URL" || Kind::in_words(shorter).is_some() {
                stems.push(shorter.to_owned());
            }
        }
        stems
    }

    fn value(&self, stems: &[String], endings: &[&str]) -> Option<&'a str> {
        let names = stems
            .iter()
            .flat_map(|stem| endings.iter().map(move |end| (stem, end)));
        let keys = names.flat_map(|(stem, end)| {
            let joined = (stem == "PG").then(|| format!("PG{end}"));
            joined.into_iter().chain([if stem.is_empty() {
                (*end).to_owned()
            } else {
                format!("{stem}_{end}")
            }])
        });
        keys.filter_map(|key| self.variables.get(&key))
            .map(|(_, value)| *value)
            .find(|value| !value.is_empty())
    }

    /// `told`: of this kind for certain, so that the kind's usual variables count too.
    fn server(&self, told: Option<Kind>) -> Option<Server> {
        let mut stems = self.stems();
        // `HOST` alone is where a program itself listens.
        stems.retain(|stem| !stem.is_empty());
        if told == Some(Kind::Postgres) {
            stems.extend(["POSTGRES", "POSTGRESQL", "PG"].map(str::to_owned));
        }
        if told.is_some_and(|kind| kind != Kind::Redis) {
            stems.extend(["DB", "DATABASE"].map(str::to_owned));
        }
        let host = self.value(&stems, &HOSTS)?;
        let port = self
            .value(&stems, &["PORT"])
            .and_then(|port| port.parse().ok());
        url::host_of(host, port)
    }

    fn user(&self) -> Option<String> {
        let mut stems = self.stems();
        stems.retain(|stem| !stem.is_empty());
        self.value(&stems, &USERS)
            .filter(|user| is_literal(user))
            .map(str::to_owned)
    }

    fn vendor(&self) -> Option<Kind> {
        let stems = self.stems();
        let itself = || {
            stems
                .iter()
                .filter_map(|stem| self.variables.get(stem))
                .find_map(|(_, value)| Kind::in_words(value))
        };
        self.value(&stems, &VENDORS)
            .and_then(Kind::in_words)
            .or_else(itself)
    }
}

/// libpq takes the user's name where none is given.
fn by_user(variables: &Normal) -> Option<Named> {
    let host = variables.get("PGHOST")?.1;
    let user = variables.get("PGUSER")?.1;
    let port = variables
        .get("PGPORT")
        .and_then(|(_, port)| port.parse().ok());
    let server = url::host_of(host, port).unwrap_or(Server::Unknown);
    (!variables.contains_key("PGDATABASE") && is_literal(user)).then(|| Named {
        kind: Kind::Postgres,
        name: user.to_owned(),
        server,
        user: Some(user.to_owned()),
        via: "PGUSER".to_owned(),
    })
}

/// Who names a Redis and no index uses index 0.
fn redis(variables: &Normal) -> Vec<Named> {
    let group = |(key, (via, value)): (&String, &(&str, &str))| {
        let (stem, end) = key.rsplit_once('_')?;
        let is_redis =
            HOSTS.contains(&end) && stem.split('_').find_map(Kind::in_words) == Some(Kind::Redis);
        let group = Group {
            stem: stem.to_owned(),
            variables,
        };
        let has_index = ["DB", "DATABASE", "DB_INDEX", "DATABASE_INDEX"]
            .iter()
            .any(|end| variables.contains_key(&format!("{stem}_{end}")));
        // A URL tells its index itself.
        if !is_redis || has_index || value.contains("://") {
            return None;
        }
        let port = group
            .value(&[stem.to_owned()], &["PORT"])
            .and_then(|port| port.parse().ok());
        let server = url::host_of(value, port)?;
        Some(Named {
            kind: Kind::Redis,
            name: "0".to_owned(),
            server,
            user: None,
            via: (*via).to_owned(),
        })
    };
    variables.iter().filter_map(group).collect()
}

/// The official Postgres image makes a database named like its user, who is `postgres` unless told
/// otherwise. A name in a file (`POSTGRES_DB_FILE`) cannot be seen.
fn default(served: Option<Kind>, variables: &Normal, found: &[Named]) -> Option<Named> {
    let named = found.iter().any(|named| named.kind == Kind::Postgres);
    let is_client = variables.contains_key("PGHOST");
    if served != Some(Kind::Postgres)
        || named
        || is_client
        || variables.contains_key("POSTGRES_DB_FILE")
    {
        return None;
    }
    let user = variables
        .get("POSTGRES_USER")
        .map(|(via, user)| (*via, *user))
        .filter(|(_, user)| is_literal(user));
    let (via, name) = user.unwrap_or(("image", "postgres"));
    Some(Named {
        kind: Kind::Postgres,
        name: name.to_owned(),
        server: Server::Own,
        user: Some(name.to_owned()),
        via: via.to_owned(),
    })
}
