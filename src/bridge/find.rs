//! Finds out whether bridge mode is possible, and which database, release and values it uses. The search changes
//! nothing and reports all problems together.

use std::path::Path;

use super::chart::KnownValues;
use super::convention::{self, ValuePaths};
use super::reached::{ReachedServer, command, reached};
use super::server::{self, Login, Mark};
use super::source;
use super::{Bridge, name, overlap};
use crate::compose::{Compose, Service};
use crate::config::{BridgeConfig, BridgePaths, Origin, Project};
use crate::docker::Engine;
use crate::error::{Code, Error, Errors, Problems, Result};
use crate::owner::Owner;

/// The inputs of the search.
#[derive(Debug, Clone, Copy)]
pub struct BridgeInputs<'a> {
    pub project: &'a Project,
    pub owner: &'a Owner,
    /// None: the project has no Compose files.
    pub compose: Option<&'a Compose>,
    pub charts: &'a [KnownValues],
    pub engine: &'a Engine,
    /// The session ends when it has settled.
    pub once: bool,
}

/// Finds everything a bridge takes.
///
/// # Errors
/// Every precondition that does not hold: the codes that begin with `bridge.`.
pub async fn find(given: BridgeInputs<'_>) -> Result<Bridge, Errors> {
    let config = given
        .project
        .bridge
        .clone()
        .unwrap_or_else(|| unsaid(given.project));
    let compose = given
        .compose
        .ok_or_else(|| located(no_compose(given.project), &config))?;
    let mut problems = Problems::default();
    let chart = problems.collect(chart(&config, given.charts).map_err(|e| located(e, &config)));
    let service = source::service(compose, config.service.as_deref());
    let Some(service) = problems.collect(service.map_err(|e| located(e, &config))) else {
        return Err(problems.into());
    };
    let credentials = source::credentials(service);
    let default = || name::default(&credentials.main, given.project.worktree.as_deref());
    let database = config.database.clone().unwrap_or_else(default);
    let usable = name::check(&database)
        .and_then(|()| overlap::unused(&database, &credentials.main, compose));
    problems.collect(usable.map_err(|e| located(e, &config)));
    let server = problems.collect(reached(&given, compose, service, &credentials).await);
    let (Some((release, paths)), Some(server), []) = (chart, server, &problems.0[..]) else {
        return Err(problems.into());
    };
    let mark = Mark::of(&given.project.id, given.owner);
    let made = is_made(&server, &database, &mark)
        .await
        .map_err(|e| located(e, &config))?;
    let ReachedServer {
        login,
        published,
        relay,
        no_relay,
        catalog,
    } = server;
    let drop = drop_command(compose, &given.project.root, service, &login, &database);
    Ok(Bridge {
        service: service.name.clone(),
        release,
        also: Default::default(),
        mapped: Default::default(),
        stays: vec![],
        worktree: given.project.worktree.clone(),
        no_relay,
        made,
        mark,
        catalog,
        paths,
        charts: given.charts.to_vec(),
        drop,
        login,
        published,
        relay,
        database,
    })
}

/// `--bridge` without a `bridge:` block.
fn unsaid(project: &Project) -> BridgeConfig {
    let origin = Origin {
        file: project.file.clone(),
        line: 1,
    };
    BridgeConfig {
        service: None,
        database: None,
        release: None,
        values: BridgePaths::default(),
        origin,
    }
}

/// At `bridge:`, unless the problem has a place of its own.
fn located(error: Error, config: &BridgeConfig) -> Error {
    if error.file.is_some() {
        error
    } else {
        error.at(&config.origin.file, config.origin.line)
    }
}

fn no_compose(project: &Project) -> Error {
    Error::new(
        Code::BridgeServer,
        "there is no Compose project whose Postgres could be used",
    )
    .evidence(format!(
        "looked for compose.yaml and its kin in {} and above it",
        project.root.display()
    ))
    .hint("name its files: `compose: [path/to/compose.yaml]`")
}

/// The release that takes an external Postgres, and how.
fn chart(config: &BridgeConfig, charts: &[KnownValues]) -> Result<(String, ValuePaths)> {
    let named: Vec<_> = match &config.release {
        Some(name) => charts
            .iter()
            .filter(|chart| chart.release == *name)
            .collect(),
        None => charts.iter().collect(),
    };
    let with_block = named
        .iter()
        .copied()
        .filter(|chart| !convention::blocks(&chart.values).is_empty());
    let fit: Vec<_> = if named.len() == 1 {
        named.clone()
    } else {
        with_block.collect()
    };
    match (&fit[..], &config.release) {
        ([chart], _) => Ok((
            chart.release.clone(),
            convention::find(&config.values, &chart.values)?,
        )),
        ([], Some(name)) => {
            let names: Vec<_> = charts
                .iter()
                .map(|chart| format!("`{}`", chart.release))
                .collect();
            Err(
                Error::new(Code::BridgeValues, format!("there is no release `{name}`"))
                    .hint(format!("the releases are {}", names.join(", "))),
            )
        }
        ([], None) => Err(Error::new(
            Code::BridgeValues,
            "no chart has values for an external Postgres",
        )
        .hint("name them: `bridge: {postgres: {release: …, values: {host: …}}}`")),
        (several, _) => {
            let names: Vec<_> = several
                .iter()
                .map(|chart| format!("`{}`", chart.release))
                .collect();
            Err(Error::new(
                Code::BridgeValues,
                format!("{} all take an external Postgres", names.join(" and ")),
            )
            .hint(format!(
                "choose one: `bridge: {{postgres: {{release: {}}}}}`",
                several[0].release
            )))
        }
    }
}

/// Whether the database is there, whole and this project's.
async fn is_made(server: &ReachedServer, database: &str, mark: &Mark) -> Result<bool> {
    match server.catalog.databases.get(database) {
        Some(found) => {
            server::check_owner(database, found, mark)?;
            let lacking =
                server::lacks(&server.login, database, &server.catalog.extensions).await?;
            Ok(lacking.is_empty())
        }
        None if !server.catalog.may_create => {
            let user = &server.login.user;
            Err(Error::new(
                Code::BridgeLogin,
                format!("user `{user}` may not create databases on Compose's server"),
            )
            .hint(format!(
                "as a superuser there: ALTER ROLE {} CREATEDB",
                server::quoted(user)
            )))
        }
        None => Ok(false),
    }
}

fn drop_command(
    compose: &Compose,
    root: &Path,
    service: &Service,
    login: &Login,
    database: &str,
) -> String {
    let sql = format!("DROP DATABASE {}", server::quoted(database));
    let psql = [
        "exec",
        &service.name,
        "psql",
        "-U",
        &login.user,
        "-d",
        &login.main,
        "-c",
        &sql,
    ];
    command(compose, root).args(psql).pasteable()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(release: Option<&str>) -> BridgeConfig {
        BridgeConfig {
            service: None,
            database: None,
            release: release.map(str::to_owned),
            values: BridgePaths::default(),
            origin: Origin {
                file: "devk.yaml".into(),
                line: 4,
            },
        }
    }

    fn with_block(release: &str) -> KnownValues {
        let block = json!({"host": "", "port": 1, "database": "", "username": "", "password": ""});
        KnownValues {
            release: release.to_owned(),
            values: json!({ "externalPostgresql": block }),
        }
    }

    fn without(release: &str) -> KnownValues {
        KnownValues {
            release: release.to_owned(),
            values: json!({}),
        }
    }

    #[test]
    fn the_release_is_the_only_one_that_takes_an_external_postgres() {
        let charts = [without("infra"), with_block("shop")];
        assert_eq!(chart(&config(None), &charts).unwrap().0, "shop");
    }

    #[test]
    fn several_releases_are_named_and_one_that_is_asked_for_is_taken() {
        let charts = [with_block("a"), with_block("b")];
        let error = chart(&config(None), &charts).unwrap_err();
        assert_eq!(error.message, "`a` and `b` all take an external Postgres");
        assert_eq!(chart(&config(Some("b")), &charts).unwrap().0, "b");
        assert_eq!(
            chart(&config(Some("c")), &charts).unwrap_err().message,
            "there is no release `c`"
        );
    }

    #[test]
    fn a_single_chart_without_a_block_says_what_to_write() {
        let error = chart(&config(None), &[without("shop")]).unwrap_err();
        assert!(error.hint.unwrap().contains("host: path.to.host"));
    }
}
