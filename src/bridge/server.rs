//! The Postgres server that Compose runs: logging in, looking around, and making a database beside the
//! one that Compose uses.
//!
//! Invariant: nothing here drops, renames or writes to a database that devk did not make. A new database
//! gets its mark (a comment that names the project) under a name of its own and only then its final name,
//! so a crash never leaves one that nobody owns.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

pub use super::mark::Mark;
use super::source::Secret;
use crate::error::{Code, Error, Result, chain};

/// How long the server may take to answer a login. One on this machine needs milliseconds.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long another devk that makes the same database, or a session that keeps a template from being
/// copied, is waited for.
const CREATION_LOCK_TIMEOUT: Duration = Duration::from_secs(30);
const CREATION_LOCK_INTERVAL: Duration = Duration::from_millis(100);

/// Where and as whom to log in.
#[derive(Debug, Clone)]
pub struct Login {
    pub address: SocketAddr,
    pub user: String,
    pub password: Secret,
    /// The database that Compose uses. devk only reads there.
    pub main: String,
}

/// A database of the server and the mark in its comment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CatalogDatabase {
    pub mark: Option<Mark>,
}

/// An extension and the schema it lies in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Extension {
    pub name: String,
    pub schema: String,
}

/// The databases and extensions of the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    pub databases: BTreeMap<String, CatalogDatabase>,
    pub may_create: bool,
    /// Of the main database.
    pub extensions: BTreeSet<Extension>,
}

/// Logs in to one database of the server.
///
/// # Errors
/// [`Code::BridgeUnreachable`], [`Code::BridgeLogin`].
pub async fn connect(login: &Login, database: &str) -> Result<Client> {
    let mut config = config(login, database);
    config
        .host(login.address.ip().to_string())
        .port(login.address.port())
        .connect_timeout(LOGIN_TIMEOUT);
    let connected = tokio::time::timeout(LOGIN_TIMEOUT, config.connect(NoTls)).await;
    let (client, connection) = connected
        .map_err(|_| silent(login))?
        .map_err(|e| refused(login, database, &e))?;
    // The connection task ends with its client.
    tokio::spawn(connection);
    Ok(client)
}

/// Everything but the address.
pub(super) fn config(login: &Login, database: &str) -> tokio_postgres::Config {
    let mut config = tokio_postgres::Config::new();
    config
        .user(&login.user)
        .password(&login.password.0)
        .dbname(database)
        .application_name("devk");
    config
}

fn silent(login: &Login) -> Error {
    let text = format!(
        "Compose's Postgres on {} does not answer within {} s",
        login.address,
        LOGIN_TIMEOUT.as_secs()
    );
    Error::new(Code::BridgeUnreachable, text)
}

/// The error of the server, or of the connection to it.
pub(super) fn refused(login: &Login, database: &str, cause: &tokio_postgres::Error) -> Error {
    let Login { address, user, .. } = login;
    let state = cause.code();
    let starting = state == Some(&SqlState::CANNOT_CONNECT_NOW);
    if starting || cause.as_db_error().is_none() {
        return Error::new(
            Code::BridgeUnreachable,
            format!("Compose's Postgres on {address} does not answer"),
        )
        .evidence(chain(cause));
    }
    let message =
        format!("Compose's Postgres on {address} refuses user `{user}` for database `{database}`");
    let error = Error::new(Code::BridgeLogin, message).evidence(chain(cause));
    if state == Some(&SqlState::INVALID_PASSWORD) {
        return error.hint("the volume was made with another POSTGRES_PASSWORD than Compose has now: set the old one, or `ALTER ROLE` in the container");
    }
    error.hint(
        "the volume was made with other POSTGRES_ variables than Compose has now: set the old ones",
    )
}

/// The catalog of the server, and whether the user may create databases.
///
/// # Errors
/// As [`connect`].
pub async fn read_catalog(login: &Login) -> Result<Catalog> {
    let client = connect(login, &login.main).await?;
    let failed = |e: tokio_postgres::Error| refused(login, &login.main, &e);
    let databases = databases(&client).await.map_err(failed)?;
    let may = "select rolsuper or rolcreatedb from pg_roles where rolname = current_user";
    let may_create = client.query_one(may, &[]).await.map_err(failed)?.get(0);
    let extensions = extensions(&client).await.map_err(failed)?;
    Ok(Catalog {
        databases,
        may_create,
        extensions,
    })
}

async fn databases(
    client: &Client,
) -> Result<BTreeMap<String, CatalogDatabase>, tokio_postgres::Error> {
    let all = "select datname::text, shobj_description(oid, 'pg_database') from pg_database";
    let found = |row: tokio_postgres::Row| {
        let comment: Option<String> = row.get(1);
        (
            row.get(0),
            CatalogDatabase {
                mark: comment.as_deref().and_then(Mark::read),
            },
        )
    };
    Ok(client
        .query(all, &[])
        .await?
        .into_iter()
        .map(found)
        .collect())
}

async fn extensions(client: &Client) -> Result<BTreeSet<Extension>, tokio_postgres::Error> {
    let all = "select extname::text, nspname::text from pg_extension e join pg_namespace n on n.oid = e.extnamespace";
    let rows = client.query(all, &[]).await?;
    Ok(rows
        .into_iter()
        .map(|row| Extension {
            name: row.get(0),
            schema: row.get(1),
        })
        .collect())
}

/// The extensions that a database lacks, by name.
///
/// # Errors
/// As [`connect`].
pub async fn lacks(
    login: &Login,
    database: &str,
    wanted: &BTreeSet<Extension>,
) -> Result<Vec<Extension>> {
    let client = connect(login, database).await?;
    let has = extensions(&client)
        .await
        .map_err(|e| refused(login, database, &e))?;
    Ok(wanted
        .iter()
        .filter(|e| !has.iter().any(|other| other.name == e.name))
        .cloned()
        .collect())
}

/// The result of [`make`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Made {
    /// The database was not there before.
    pub created: bool,
    /// The extensions that could not be had, each with the server's reason.
    pub without: Vec<String>,
}

/// Makes a database, owned by the user of the login, with these extensions. One that this project made
/// before is completed. Several devks may do this at once.
///
/// # Errors
/// [`Code::BridgeInUse`] if somebody else has made it, [`Code::BridgeDatabase`].
pub async fn make(
    login: &Login,
    name: &str,
    mark: &Mark,
    wanted: &BTreeSet<Extension>,
) -> Result<Made> {
    let client = connect(login, &login.main).await?;
    let failed = |e: tokio_postgres::Error| not_made(name, &e);
    take_turn(&client, name).await?;
    let there = databases(&client).await.map_err(failed)?;
    if let Some(found) = there.get(name) {
        check_owner(name, found, mark)?;
        let without = extend(login, name, wanted).await?;
        return Ok(Made {
            created: false,
            without,
        });
    }
    let draft = draft(name);
    if !there.contains_key(&draft) {
        let create = format!(
            "create database {} owner {}",
            quoted(&draft),
            quoted(&login.user)
        );
        until_free(&client, &create).await.map_err(failed)?;
    }
    let without = extend(login, &draft, wanted).await?;
    let comment = format!(
        "comment on database {} is {}",
        quoted(&draft),
        literal(&mark.text())
    );
    client.batch_execute(&comment).await.map_err(failed)?;
    let rename = format!(
        "alter database {} rename to {}",
        quoted(&draft),
        quoted(name)
    );
    until_free(&client, &rename).await.map_err(failed)?;
    Ok(Made {
        created: true,
        without,
    })
}

/// A database of this name is this project's.
///
/// # Errors
/// [`Code::BridgeInUse`] naming the owner.
pub fn check_owner(name: &str, found: &CatalogDatabase, own: &Mark) -> Result<()> {
    let error = |text: String| Error::new(Code::BridgeInUse, text);
    match &found.mark {
        Some(mark) if own.is_own(mark) => Ok(()),
        Some(mark) => {
            let project = &mark.project;
            let place = mark.owner.apart(&own.owner);
            Err(error(format!("database `{name}` belongs to the devk project `{project}` in {place}"))
                .hint("name another one: `bridge: {postgres: {database: …}}`"))
        }
        None => Err(error(format!("database `{name}` exists on Compose's server and was not made by devk")).hint(format!(
            "name another one (`bridge: {{postgres: {{database: …}}}}`), or hand it over: COMMENT ON DATABASE {} IS {}",
            quoted(name),
            literal(&own.text())
        ))),
    }
}

/// The name of a database until the database is complete; no other program would choose that name.
fn draft(name: &str) -> String {
    format!(
        "devk_making_{}",
        &crate::hex::hex(Sha256::digest(name))[..16]
    )
}

/// Waits for another devk that makes the same database. The lock ends with the connection.
async fn take_turn(client: &Client, name: &str) -> Result<()> {
    let digest = Sha256::digest(format!("devk bridge {name}"));
    let key = digest
        .iter()
        .take(8)
        .fold(0i64, |key, byte| key << 8 | i64::from(*byte));
    let deadline = tokio::time::Instant::now() + CREATION_LOCK_TIMEOUT;
    loop {
        let row = client
            .query_one("select pg_try_advisory_lock($1)", &[&key])
            .await
            .map_err(|e| not_made(name, &e))?;
        if row.get(0) {
            return Ok(());
        }
        if tokio::time::Instant::now() > deadline {
            let text = format!(
                "another devk has been making database `{name}` for {} s",
                CREATION_LOCK_TIMEOUT.as_secs()
            );
            return Err(
                Error::new(Code::BridgeDatabase, text).hint("wait for it, then `devk up` again")
            );
        }
        tokio::time::sleep(CREATION_LOCK_INTERVAL).await;
    }
}

/// Runs a statement that needs a database without other sessions, such as one that is copied or renamed;
/// a session that has just been closed stays for a moment.
async fn until_free(client: &Client, statement: &str) -> Result<(), tokio_postgres::Error> {
    let deadline = tokio::time::Instant::now() + CREATION_LOCK_TIMEOUT;
    loop {
        match client.batch_execute(statement).await {
            Err(e)
                if e.code() == Some(&SqlState::OBJECT_IN_USE)
                    && tokio::time::Instant::now() < deadline =>
            {
                tokio::time::sleep(CREATION_LOCK_INTERVAL).await;
            }
            result => return result,
        }
    }
}

/// Creates the extensions that the database lacks, and reports those that cannot be created. Some exist once a server
/// (pg_cron) or for superusers only, and the cluster may do without.
async fn extend(
    login: &Login,
    database: &str,
    wanted: &BTreeSet<Extension>,
) -> Result<Vec<String>> {
    let lacking = lacks(login, database, wanted).await?;
    let client = connect(login, database).await?;
    let mut without = vec![];
    for Extension { name, schema } in lacking {
        let name_quoted = quoted(&name);
        let schema = quoted(&schema);
        let create = format!(
            "create schema if not exists {schema}; create extension if not exists {name_quoted} with schema {schema} cascade"
        );
        if let Err(error) = client.batch_execute(&create).await {
            without.push(format!("`{name}` ({})", chain(&error)));
        }
    }
    Ok(without)
}

fn not_made(name: &str, cause: &tokio_postgres::Error) -> Error {
    Error::new(
        Code::BridgeDatabase,
        format!("database `{name}` cannot be made on Compose's server"),
    )
    .evidence(chain(cause))
    .hint("docker compose logs shows what the server says")
}

/// An identifier (PostgreSQL, Lexical Structure, 4.1.1).
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A string constant in which a backslash is nothing special, as `standard_conforming_strings` has it.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::owner::Owner;

    fn login(address: SocketAddr) -> Login {
        Login {
            address,
            user: "shop".into(),
            password: Secret("hunter2".into()),
            main: "shop".into(),
        }
    }

    #[tokio::test]
    async fn a_server_that_is_down_is_unreachable_and_its_password_stays_unsaid() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let error = read_catalog(&login(closed)).await.unwrap_err();
        assert_eq!(error.code, Code::BridgeUnreachable);
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    #[tokio::test]
    async fn a_port_whose_container_is_gone_is_unreachable_too() {
        // As docker-proxy does while the server starts.
        let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = proxy.local_addr().unwrap();
        tokio::spawn(async move { while proxy.accept().await.is_ok() {} });
        assert_eq!(
            read_catalog(&login(address)).await.unwrap_err().code,
            Code::BridgeUnreachable
        );
    }

    fn mark(root: &Path) -> Mark {
        Mark::of(
            "shop",
            &Owner {
                root: root.to_owned(),
                user: Some(1000),
                machine: Some("m1".into()),
            },
        )
    }

    #[test]
    fn a_mark_survives_being_a_comment_and_other_comments_are_none() {
        let mark = mark(Path::new("/src/it's shop"));
        assert_eq!(Mark::read(&mark.text()), Some(mark));
        assert_eq!(Mark::read("the shop's data"), None);
        let old = Owner {
            root: "/p".into(),
            user: None,
            machine: None,
        };
        assert_eq!(
            Mark::read(r#"devk {"project":"shop","root":"/p"}"#),
            Some(Mark::of("shop", &old))
        );
    }

    #[test]
    fn another_clone_of_the_project_owns_its_database_until_it_is_gone() {
        let there = tempfile::tempdir().unwrap();
        let own = mark(Path::new("/p"));
        let other = mark(there.path());
        assert!(own.is_own(&own) && !own.is_own(&other));
        let found = CatalogDatabase {
            mark: Some(other.clone()),
        };
        assert!(
            check_owner("shop_k8s", &found, &own)
                .unwrap_err()
                .message
                .contains(there.path().to_str().unwrap())
        );
        drop(there);
        assert!(own.is_own(&other));
        let elsewhere = Mark {
            owner: Owner {
                machine: Some("m2".into()),
                ..other.owner
            },
            ..other
        };
        assert!(
            !own.is_own(&elsewhere),
            "of another machine nobody can say that"
        );
    }

    #[test]
    fn a_database_that_devk_did_not_make_is_refused_with_the_way_to_hand_it_over() {
        let own = mark(Path::new("/p"));
        let error = check_owner("shop_k8s", &CatalogDatabase::default(), &own).unwrap_err();
        assert_eq!(error.code, Code::BridgeInUse);
        assert!(
            error
                .hint
                .unwrap()
                .contains(r#"COMMENT ON DATABASE "shop_k8s" IS 'devk {"project":"shop""#)
        );
    }

    #[test]
    fn quotes_in_names_and_texts_stay_inside() {
        assert_eq!(quoted("a\"; drop"), "\"a\"\"; drop\"");
        assert_eq!(literal("it's"), "'it''s'");
    }
}
