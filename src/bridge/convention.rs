//! Where a chart's values take an external database: `<service>.enabled` beside an `external<Service>`
//! block, as in `postgresql.enabled` and `externalPostgresql.host`. Pure.

use serde_json::Value;

use super::url;
use crate::config::BridgePaths;
use crate::error::{Code, Error, suggest};
use crate::release::values::{get_path, split};

/// What charts call a Postgres of their own, and the rest of `external…`; `externalDatabase` is how charts
/// that allow only one kind of database say it.
const SERVICES: &[&str] = &["postgresql", "postgres", "pg", "database", "db"];

/// Those of them that can be nothing but a Postgres.
const SERVERS: &[&str] = &["postgresql", "postgres", "pg"];

/// What charts call each value of the block; the first that is there is taken.
const HOST: &[&str] = &["host", "hostname", "address"];
const PORT: &[&str] = &["port"];
const DATABASE: &[&str] = &["database", "name", "databaseName", "dbName", "db"];
const USERNAME: &[&str] = &["username", "user"];
const PASSWORD: &[&str] = &["password"];

/// Value paths of a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValuePaths {
    /// None: the chart has no database of its own to turn off.
    pub enabled: Option<String>,
    pub connection: ConnectionPaths,
}

/// How a chart is told where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionPaths {
    /// One value that is a connection URL.
    Url {
        path: String,
        /// What the chart has there, for scheme and parameters.
        like: Option<String>,
    },
    Fields(FieldPaths),
}

/// A value for each part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPaths {
    pub host: String,
    pub port: String,
    /// None: the chart fixes the name, and devk's relay changes it.
    pub database: Option<String>,
    pub username: String,
    pub password: String,
}

/// The `external…` blocks at the top of a chart's values that may take a Postgres server.
pub fn blocks(values: &Value) -> Vec<&str> {
    let keys = values.as_object().into_iter().flatten();
    keys.filter(|(key, block)| block.is_object() && service_of(key).is_some())
        .map(|(key, _)| key.as_str())
        .collect()
}

/// The paths that `given` leaves open are found in the chart's values.
///
/// # Errors
/// [`Code::BridgeValues`] if a path is neither given nor found, leads nowhere, or several blocks could be meant.
pub fn find(given: &BridgePaths, values: &Value) -> Result<ValuePaths, Error> {
    let unknown: Vec<_> = paths_of(given)
        .flatten()
        .filter(|path| !has_place(values, path))
        .collect();
    if let [first, ..] = unknown[..] {
        return Err(nowhere(first, values));
    }
    if let Some(path) = url_path(given, values)? {
        let like = get_path(values, &path).and_then(Value::as_str);
        let like = like.map(str::to_owned);
        return Ok(ValuePaths {
            enabled: given
                .enabled
                .clone()
                .or_else(|| enabled_beside(&path, values)),
            connection: ConnectionPaths::Url { path, like },
        });
    }
    let block = match blocks(values)[..] {
        _ if is_whole(given) => None,
        [] => None,
        [block] => Some(block),
        ref several => {
            return Err(ambiguous(several).hint(format!(
                "bridge: {{postgres: {{values: {{host: {}.host, port: …}}}}}}",
                several[0]
            )));
        }
    };
    let field = |given: &Option<String>, names: &[&str]| {
        let found = || {
            let fields = values.get(block?)?;
            let name = names.iter().find(|name| fields.get(**name).is_some())?;
            Some(format!("{}.{name}", block?))
        };
        given.clone().or_else(found)
    };
    let mut missing = vec![];
    let mut path = |given: &Option<String>, what: &str, names: &[&str]| {
        field(given, names).unwrap_or_else(|| {
            missing.push(what.to_owned());
            String::new()
        })
    };
    let fields = FieldPaths {
        host: path(&given.host, "host", HOST),
        port: path(&given.port, "port", PORT),
        database: field(&given.database, DATABASE),
        username: path(&given.username, "username", USERNAME),
        password: path(&given.password, "password", PASSWORD),
    };
    if missing.is_empty() {
        Ok(ValuePaths {
            enabled: given.enabled.clone().or_else(|| enabled(block?, values)),
            connection: ConnectionPaths::Fields(fields),
        })
    } else {
        Err(incomplete(block, &missing))
    }
}

/// The value that takes a connection URL: the one that devk.yaml names, or, in a chart without a block for an external
/// database, the only one that is such a URL.
fn url_path(given: &BridgePaths, values: &Value) -> Result<Option<String>, Error> {
    let by_field = fields_of(given).into_iter().any(Option::is_some);
    if by_field && given.url.is_some() {
        let message = "a connection URL says host, port, database, username and password by itself";
        return Err(Error::new(Code::BridgeValues, message)
            .hint("name either `url` or the others in `bridge: {postgres: {values: …}}`"));
    }
    if given.url.is_some() || by_field || !blocks(values).is_empty() {
        return Ok(given.url.clone());
    }
    match &url::paths(values)[..] {
        [] => Ok(None),
        [path] => Ok(Some(path.clone())),
        several => Err(ambiguous(several).hint(format!(
            "choose one: `bridge: {{postgres: {{values: {{url: {}}}}}}}`",
            several[0]
        ))),
    }
}

/// The values that together stand for a URL.
fn fields_of(given: &BridgePaths) -> [&Option<String>; 5] {
    let BridgePaths {
        enabled: _,
        url: _,
        host,
        port,
        database,
        username,
        password,
    } = given;
    [host, port, database, username, password]
}

fn paths_of(given: &BridgePaths) -> impl Iterator<Item = &Option<String>> {
    [&given.enabled, &given.url]
        .into_iter()
        .chain(fields_of(given))
}

/// The mapping that a value path ends in is among the values. The value itself need not be: charts look for
/// some that their values.yaml does not show.
pub(super) fn has_place(values: &Value, path: &str) -> bool {
    let mut keys = split(path);
    keys.pop();
    keys.iter()
        .try_fold(values, |value, key| value.get(key))
        .is_some_and(|value| value.is_object() || value.is_null())
}

fn nowhere(path: &str, values: &Value) -> Error {
    let keys: Vec<_> = values
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.as_str())
        .collect();
    let error = Error::new(
        Code::BridgeValues,
        format!("the chart's values have no place for `{path}`"),
    )
    .evidence(format!("their keys are {}", keys.join(", ")));
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    match suggest(first, keys.iter().copied()) {
        Some(near) if near != first => error.hint(format!("did you mean `{near}.{rest}`?")),
        _ => error.hint("helm show values CHART"),
    }
}

fn is_whole(given: &BridgePaths) -> bool {
    fields_of(given).into_iter().all(Option::is_some)
}

/// `postgresql` of `externalPostgresql`.
fn service_of(key: &str) -> Option<&'static str> {
    let service = key.strip_prefix("external")?.to_ascii_lowercase();
    SERVICES.iter().find(|known| **known == service).copied()
}

/// The `<service>.enabled` that belongs to a block: of the block's own name, else that of any Postgres.
fn enabled(block: &str, values: &Value) -> Option<String> {
    let own = service_of(block)?;
    let mut names = std::iter::once(own).chain(SERVICES.iter().copied());
    let name = names.find_map(|name| switched(name, values));
    name.map(|name| format!("{name}.enabled"))
}

/// The `<service>.enabled` of a chart that takes a URL: nothing belongs to the URL by its name, so only the switch of
/// what must be a Postgres counts, and only if no other could be meant. A block with the URL in it is that of the
/// connection.
fn enabled_beside(url: &str, values: &Value) -> Option<String> {
    let block = split(url).into_iter().next();
    let found = SERVERS.iter().filter_map(|name| switched(name, values));
    let found: Vec<_> = found.filter(|key| Some(*key) != block.as_ref()).collect();
    let on = found.iter().copied();
    let on = on.filter(|key| values[key.as_str()]["enabled"] == true);
    match (&found[..], &on.collect::<Vec<_>>()[..]) {
        ([key], _) | (_, [key]) => Some(format!("{key}.enabled")),
        _ => None,
    }
}

/// The block of this name that has a switch, as the chart spells it.
fn switched<'a>(name: &str, values: &'a Value) -> Option<&'a String> {
    let mut keys = values.as_object()?.keys();
    let key = keys.find(|key| key.eq_ignore_ascii_case(name))?;
    let switch = values[key].get("enabled");
    switch.is_some_and(Value::is_boolean).then_some(key)
}

fn ambiguous(places: &[impl std::fmt::Display]) -> Error {
    let names: Vec<_> = places.iter().map(|place| format!("`{place}`")).collect();
    let message = format!("the database could be meant for {}", names.join(" or "));
    Error::new(Code::BridgeValues, message)
}

fn incomplete(block: Option<&str>, missing: &[String]) -> Error {
    let names: Vec<_> = missing.iter().map(|name| format!("`{name}`")).collect();
    let message = match block {
        Some(block) => format!("`{block}` of the chart's values takes no {}", names.join(", ")),
        None => "the chart's values have no block for an external database, such as `externalPostgresql`".to_owned(),
    };
    let paths: Vec<_> = missing
        .iter()
        .map(|name| format!("{name}: path.to.{name}"))
        .collect();
    Error::new(Code::BridgeValues, message).hint(format!(
        "name the values that take them: `bridge: {{postgres: {{values: {{{}}}}}}}`, or the one that takes a URL: `url: path.to.url`",
        paths.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(found: ValuePaths) -> FieldPaths {
        match found.connection {
            ConnectionPaths::Fields(fields) => fields,
            url => panic!("{url:?}"),
        }
    }

    #[test]
    fn the_only_url_of_a_chart_without_a_block_is_the_database() {
        let url = |path: &str, like: Option<&str>| ConnectionPaths::Url {
            path: path.to_owned(),
            like: like.map(str::to_owned),
        };
        let found =
            |given: &BridgePaths, values: Value| find(given, &values).map(|found| found.connection);
        let none = BridgePaths::default();
        let values = json!({"databaseUrl": "postgres://a@b/c"});
        assert_eq!(
            found(&none, values),
            Ok(url("databaseUrl", Some("postgres://a@b/c")))
        );
        let two = json!({"a": {"url": "postgres://x"}, "b": "postgresql://y"});
        let error = found(&none, two.clone()).unwrap_err();
        assert!(error.hint.unwrap().contains("url: a.url"));
        let given = BridgePaths {
            url: Some("b".into()),
            ..BridgePaths::default()
        };
        assert_eq!(found(&given, two), Ok(url("b", Some("postgresql://y"))));
        let twice = BridgePaths {
            host: Some("a.host".into()),
            ..given
        };
        assert!(found(&twice, json!({"a": {}, "b": ""})).is_err());
        // A block says more than a URL somewhere.
        let both = json!({"externalPostgresql": block(), "url": "postgres://x"});
        assert!(matches!(found(&none, both), Ok(ConnectionPaths::Fields(_))));
    }

    #[test]
    fn a_chart_with_a_url_turns_off_the_only_postgres_that_can_be_meant() {
        let enabled = |mut values: Value| {
            values["databaseUrl"] = "postgres://a@b/c".into();
            let found = find(&BridgePaths::default(), &values);
            found.map(|found| found.enabled)
        };
        let found = |path: &str| Ok(Some(path.to_owned()));
        let on = json!({"enabled": true});
        let off = json!({"enabled": false});
        assert_eq!(
            enabled(json!({"postgresql": on})),
            found("postgresql.enabled")
        );
        assert_eq!(
            enabled(json!({"PostgreSQL": off})),
            found("PostgreSQL.enabled")
        );
        assert_eq!(
            enabled(json!({"pg": off, "postgres": on})),
            found("postgres.enabled")
        );
        assert_eq!(enabled(json!({"pg": on, "postgres": on})), Ok(None));
        // That may be the use of any database.
        assert_eq!(enabled(json!({"database": on, "db": on})), Ok(None));
        assert_eq!(enabled(json!({"postgresql": {"enabled": "yes"}})), Ok(None));
        let inside = json!({"postgresql": {"enabled": true, "url": "postgres://a@b/c"}});
        let inside = find(&BridgePaths::default(), &inside).unwrap();
        assert_eq!(inside.enabled, None);
        let given = BridgePaths {
            enabled: Some("db.enabled".into()),
            ..BridgePaths::default()
        };
        let both = json!({"url": "postgres://a@b/c", "db": on, "postgresql": on});
        assert_eq!(
            find(&given, &both).unwrap().enabled.as_deref(),
            Some("db.enabled")
        );
    }

    fn block() -> Value {
        json!({"host": "", "port": 5432, "database": "shop", "username": "shop", "password": ""})
    }

    #[test]
    fn a_block_and_its_switch_are_found_by_their_names() {
        let found = find(
            &BridgePaths::default(),
            &json!({"postgresql": {"enabled": true}, "externalPostgresql": block()}),
        );
        let at = |key: &str| format!("externalPostgresql.{key}");
        let expected = ValuePaths {
            enabled: Some("postgresql.enabled".into()),
            connection: ConnectionPaths::Fields(FieldPaths {
                host: at("host"),
                port: at("port"),
                database: Some(at("database")),
                username: at("username"),
                password: at("password"),
            }),
        };
        assert_eq!(found, Ok(expected));
    }

    #[test]
    fn an_external_database_belongs_to_the_postgres_that_the_chart_can_turn_off() {
        let block = json!({"host": "", "port": 5432, "name": "shop", "user": "shop", "password": "", "existingSecret": ""});
        let values = json!({"postgresql": {"enabled": true}, "externalDatabase": block});
        let found = find(&BridgePaths::default(), &values).unwrap();
        assert_eq!(found.enabled.as_deref(), Some("postgresql.enabled"));
        let found = fields(found);
        assert_eq!(
            (found.database.as_deref(), found.username.as_str()),
            (Some("externalDatabase.name"), "externalDatabase.user")
        );
    }

    #[test]
    fn a_switch_that_is_spelled_otherwise_keeps_its_spelling() {
        let values = json!({"postgreSQL": {"enabled": false}, "externalPostgreSQL": block()});
        assert_eq!(
            find(&BridgePaths::default(), &values)
                .unwrap()
                .enabled
                .as_deref(),
            Some("postgreSQL.enabled")
        );
    }

    #[test]
    fn a_path_that_devk_yaml_names_wins_over_the_convention() {
        let given = BridgePaths {
            host: Some("db.address".into()),
            ..BridgePaths::default()
        };
        let found = find(&given, &json!({"externalPostgresql": block(), "db": {}})).unwrap();
        assert_eq!(found.enabled, None);
        assert_eq!(fields(found).host, "db.address");
    }

    #[test]
    fn a_path_that_leads_nowhere_is_refused() {
        let values = json!({"postgresql": {"enabled": true}, "externalPostgresql": block()});
        let given = |path: &str| BridgePaths {
            enabled: Some(path.into()),
            ..BridgePaths::default()
        };
        let error = find(&given("postgrsql.enabled"), &values).unwrap_err();
        assert_eq!(
            (error.code, error.message.as_str()),
            (
                Code::BridgeValues,
                "the chart's values have no place for `postgrsql.enabled`"
            )
        );
        assert_eq!(
            error.hint.as_deref(),
            Some("did you mean `postgresql.enabled`?")
        );
        assert!(find(&given("postgresql.enabled.deep"), &values).is_err());
        find(&given("postgresql.unsaid"), &values).unwrap();
        find(&given("unsaid"), &values).unwrap();
    }

    #[test]
    fn what_is_missing_is_named_with_the_key_to_write() {
        let error = find(
            &BridgePaths::default(),
            &json!({"externalPostgresql": {"host": ""}}),
        )
        .unwrap_err();
        assert_eq!(error.code, Code::BridgeValues);
        assert!(
            error
                .message
                .ends_with("takes no `port`, `username`, `password`"),
            "{}",
            error.message
        );
        assert!(error.hint.unwrap().contains("port: path.to.port"));
    }

    #[test]
    fn a_chart_without_a_value_for_the_name_is_taken_as_it_is() {
        let values =
            json!({"externalPostgresql": {"host": "", "port": 1, "username": "", "password": ""}});
        let found = find(&BridgePaths::default(), &values).unwrap();
        assert_eq!(fields(found).database, None);
    }

    #[test]
    fn several_blocks_are_named_unless_devk_yaml_says_it_all() {
        let values = json!({"externalPostgresql": block(), "externalDatabase": block()});
        let error = find(&BridgePaths::default(), &values).unwrap_err();
        assert_eq!(
            error.message,
            "the database could be meant for `externalPostgresql` or `externalDatabase`"
        );
        let path = |name: &str| Some(name.to_owned());
        let given = BridgePaths {
            enabled: None,
            url: None,
            host: path("a"),
            port: path("b"),
            database: path("c"),
            username: path("d"),
            password: path("e"),
        };
        assert_eq!(find(&given, &values).unwrap().enabled, None);
    }

    #[test]
    fn other_external_servers_are_no_postgres() {
        assert_eq!(
            blocks(
                &json!({"externalRedis": {}, "externalTrafficPolicy": "x", "externalPostgresql": ""})
            ),
            [""; 0]
        );
    }
}
