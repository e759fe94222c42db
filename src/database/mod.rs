//! Databases by name, wherever one is named: variables of the official images, connection URLs,
//! commands, init scripts. Pure; Compose services and rendered charts are read with the same rules.

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Postgres,
    Mysql,
    Mongo,
    Redis,
}

/// Where a named database lives, as far as the text tells.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Server {
    /// The container that names it serves it: `POSTGRES_DB` in a Postgres image.
    Own,
    At {
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
