use proptest::prelude::*;

use super::*;

/// `kind name@server user <- via` of each finding.
fn show(found: Vec<Named>) -> Vec<String> {
    let one = |named: Named| {
        let server = match named.server {
            Server::At { host, port } => {
                format!("{host}:{}", port.map_or("-".into(), |p| p.to_string()))
            }
            other => format!("{other:?}"),
        };
        format!(
            "{:?} {}@{server} {} <- {}",
            named.kind,
            named.name,
            named.user.unwrap_or_default(),
            named.via
        )
    };
    found.into_iter().map(one).collect()
}

fn environment(image: &str, variables: &[(&str, &str)]) -> Vec<String> {
    show(in_environment(
        Some(image).filter(|image| !image.is_empty()),
        &variables.iter().copied().collect(),
    ))
}

#[test]
fn the_official_postgres_image_makes_the_named_database_or_the_users() {
    let own =
        |name: &str, via: &str, user: &str| vec![format!("Postgres {name}@Own {user} <- {via}")];
    assert_eq!(
        environment(
            "postgres:16",
            &[("POSTGRES_DB", "demo"), ("POSTGRES_USER", "bob")]
        ),
        own("demo", "POSTGRES_DB", "bob")
    );
    assert_eq!(
        environment("postgres:16", &[("POSTGRES_USER", "bob")]),
        own("bob", "POSTGRES_USER", "bob")
    );
    assert_eq!(
        environment("postgres:16", &[("POSTGRES_PASSWORD", "x")]),
        own("postgres", "image", "postgres")
    );
    assert_eq!(
        environment("bitnami/postgresql", &[("POSTGRESQL_DATABASE", "demo")]),
        own("demo", "POSTGRESQL_DATABASE", "")
    );
    assert_eq!(
        environment("postgres:16", &[("POSTGRES_DB", "postgres")]),
        own("postgres", "POSTGRES_DB", "")
    );
    assert_eq!(
        environment("postgres:16", &[("POSTGRES_DB_FILE", "/run/secrets/db")]),
        [""; 0]
    );
}

#[test]
fn every_database_of_a_list_is_the_servers_own() {
    assert_eq!(
        environment(
            "postgres",
            &[
                ("POSTGRES_DB", "a"),
                ("POSTGRES_MULTIPLE_DATABASES", "b, c:owner")
            ]
        ),
        [
            "Postgres a@Own  <- POSTGRES_DB",
            "Postgres b@Own  <- POSTGRES_MULTIPLE_DATABASES",
            "Postgres c@Own owner <- POSTGRES_MULTIPLE_DATABASES"
        ]
    );
}

#[test]
fn the_other_official_images_are_read_too() {
    assert_eq!(
        environment("mysql:8", &[("MYSQL_DATABASE", "a"), ("MYSQL_USER", "u")]),
        ["Mysql a@Own u <- MYSQL_DATABASE"]
    );
    assert_eq!(
        environment("mariadb", &[("MARIADB_DATABASE", "a")]),
        ["Mysql a@Own  <- MARIADB_DATABASE"]
    );
    assert_eq!(
        environment("mongo", &[("MONGO_INITDB_DATABASE", "a")]),
        ["Mongo a@Own  <- MONGO_INITDB_DATABASE"]
    );
    assert_eq!(
        environment("mongo", &[("MONGO_INITDB_ROOT_USERNAME", "a")]),
        [""; 0]
    );
    assert_eq!(environment("redis:7", &[]), [""; 0]);
}

#[test]
fn a_client_in_a_server_image_connects_where_it_says() {
    assert_eq!(
        environment(
            "postgres:16",
            &[
                ("PGHOST", "db"),
                ("PGDATABASE", "app"),
                ("PGUSER", "u"),
                ("PGPORT", "5439")
            ]
        ),
        ["Postgres app@db:5439 u <- PGDATABASE"]
    );
    assert_eq!(
        environment("", &[("PGHOST", "db"), ("PGUSER", "u")]),
        ["Postgres u@db:- u <- PGUSER"]
    );
    assert_eq!(
        environment("", &[("PGDATABASE", "app")]),
        ["Postgres app@Unknown  <- PGDATABASE"]
    );
}

#[test]
fn groups_are_read_behind_any_prefix() {
    let cases: [(&[(&str, &str)], &str); 12] = [
        (
            &[
                ("DB_NAME", "a"),
                ("DB_HOST", "db"),
                ("DB_PORT", "5439"),
                ("DB_USER", "u"),
            ],
            "Postgres a@db:5439 u <- DB_NAME",
        ),
        (
            &[
                ("DB_DATABASE", "a"),
                ("DB_CONNECTION", "mysql"),
                ("DB_HOST", "db"),
            ],
            "Mysql a@db:-  <- DB_DATABASE",
        ),
        (
            &[
                ("TYPEORM_DATABASE", "a"),
                ("TYPEORM_HOST", "db"),
                ("TYPEORM_USERNAME", "u"),
            ],
            "Postgres a@db:- u <- TYPEORM_DATABASE",
        ),
        (
            &[
                ("KC_DB", "postgres"),
                ("KC_DB_URL_HOST", "db"),
                ("KC_DB_URL_DATABASE", "kc"),
                ("KC_DB_USERNAME", "u"),
            ],
            "Postgres kc@db:- u <- KC_DB_URL_DATABASE",
        ),
        (
            &[
                ("KEYCLOAK_DATABASE_NAME", "kc"),
                ("KEYCLOAK_DATABASE_HOST", "db"),
            ],
            "Postgres kc@db:-  <- KEYCLOAK_DATABASE_NAME",
        ),
        (
            &[("LITELLM_DATABASE_NAME", "l"), ("LITELLM_DB_HOST", "x")],
            "Postgres l@Unknown  <- LITELLM_DATABASE_NAME",
        ),
        (
            &[("SHOP_POSTGRES_DB", "a"), ("POSTGRES_HOST", "db:5439")],
            "Postgres a@db:5439  <- SHOP_POSTGRES_DB",
        ),
        (
            &[("Database__Name", "a"), ("Database__Host", "mysql-0")],
            "Mysql a@mysql-0:-  <- Database__Name",
        ),
        (
            &[("APP_DB_NAME", "a"), ("APP_HOST", "0.0.0.0")],
            "Postgres a@Unknown  <- APP_DB_NAME",
        ),
        (
            &[("POSTGRES_DB", "a"), ("DB_HOST", "db")],
            "Postgres a@db:-  <- POSTGRES_DB",
        ),
        (
            &[
                ("DB_NAME", "$(X)"),
                ("X", "a"),
                ("DB_HOST", "db"),
                ("DB_PORT", "3306"),
            ],
            "Mysql a@db:3306  <- DB_NAME",
        ),
        (
            &[
                ("REDIS_HOST", "cache"),
                ("REDIS_DB", "4"),
                ("REDIS_PORT", "6380"),
            ],
            "Redis 4@cache:6380  <- REDIS_DB",
        ),
    ];
    for (variables, expected) in cases {
        assert_eq!(environment("", variables), [expected], "{variables:?}");
    }
    assert_eq!(
        environment("", &[("REDIS_HOST", "cache")]),
        ["Redis 0@cache:-  <- REDIS_HOST"]
    );
}

#[test]
fn variables_about_other_things_name_nothing() {
    let variables = [
        ("KC_DB", "postgres"),
        ("USE_DATABASE", "true"),
        ("APP_DB", "app"),
        ("INFLUXDB_DB", "metrics"),
        ("INFLUXDB_HOST", "x"),
        ("SQLITE_DB", "/data/app.db"),
        ("DB_FILE", "x"),
        ("HOST", "db"),
        ("DATABASE", "x"),
        ("POSTGRES_PASSWORD", "secret"),
        ("POSTGRES_HOST_AUTH_METHOD", "trust"),
        ("DB_SCHEMA", "public"),
        ("REDIS_DATABASES", "16"),
        ("NAME", "x"),
        ("", ""),
        ("_", "_"),
    ];
    assert_eq!(environment("shop/api", &variables), [""; 0]);
}

#[test]
fn connection_strings_stand_in_any_variable_with_references_resolved() {
    assert_eq!(
        environment(
            "",
            &[
                ("X", "postgresql+asyncpg://$(U):$(P)@db:5439/$(N)"),
                ("U", "u"),
                ("P", "secret"),
                ("N", "app")
            ]
        ),
        ["Postgres app@db:5439 u <- X"]
    );
    assert_eq!(
        environment(
            "",
            &[(
                "SPRING_DATASOURCE_URL",
                "jdbc:postgresql://db/app?user=u&password=secret"
            )]
        ),
        ["Postgres app@db:- u <- SPRING_DATASOURCE_URL"]
    );
    assert_eq!(
        environment("", &[("DSN", "host=db dbname=app password=secret")]),
        ["Postgres app@db:-  <- DSN"]
    );
}

#[test]
fn an_init_script_in_a_server_image_makes_that_servers_databases() {
    let script = "#!/bin/sh\n# CREATE DATABASE no;\npsql -v ON_ERROR_STOP=1 <<-EOSQL\n  CREATE DATABASE litellm OWNER bob;\nEOSQL\ncreatedb keycloak\n";
    assert_eq!(
        show(in_text(Some("postgres:16"), script, "init.sh")),
        [
            "Postgres litellm@Own bob <- init.sh",
            "Postgres keycloak@Own  <- init.sh"
        ]
    );
    assert_eq!(
        show(in_text(None, "CREATE DATABASE a;", "init.sql")),
        ["Postgres a@Unknown  <- init.sql"]
    );
}

#[test]
fn commands_are_read_as_words_and_as_a_shells_line() {
    let variables = ContainerEnv::from([("DB", "app")]);
    let read = |words: &[&str]| show(in_command(None, words, &variables, "command"));
    assert_eq!(
        read(&["createdb", "-h", "db", "$(DB)"]),
        ["Postgres app@db:-  <- command"]
    );
    assert_eq!(
        read(&["sh", "-c", "psql -h db -d $DB -c 'select 1'"]),
        ["Postgres app@db:-  <- command"]
    );
    assert_eq!(
        read(&["serve", "--database-url=postgres://db/app"]),
        ["Postgres app@db:-  <- command"]
    );
}

#[test]
fn a_command_goes_where_libpqs_variables_lead() {
    let variables = ContainerEnv::from([("PGHOST", "db"), ("PGPORT", "5439")]);
    let read = |words: &[&str]| show(in_command(None, words, &variables, "command"));
    assert_eq!(
        read(&["psql", "-d", "app"]),
        ["Postgres app@db:5439  <- command"]
    );
    assert_eq!(
        read(&["sh", "-c", "createdb app"]),
        ["Postgres app@db:5439  <- command"]
    );
    assert_eq!(
        read(&["psql", "-h", "other", "-d", "app"]),
        ["Postgres app@other:5439  <- command"]
    );
    assert_eq!(read(&["mysql", "app"]), ["Mysql app@Unknown  <- command"]);
}

#[test]
fn a_database_named_twice_in_one_place_is_told_once() {
    assert_eq!(
        show(in_text(None, "postgres://db/a postgres://db/a", "x")).len(),
        1
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_text_makes_it_panic(text in "(?s).{0,200}", image in ".{0,20}") {
        in_text(Some(&image), &text, "x");
        settings(&text);
        in_environment(Some(&image), &ContainerEnv::from([(text.as_str(), image.as_str()), ("A_DB", &text)]));
    }

    #[test]
    fn no_mixture_of_its_own_words_makes_it_panic(
        words in proptest::collection::vec(prop_oneof![
            "postgres|://|@|/|:|\\?|host=|dbname=|;|'|\"|\\$|\\{|\\}|\\(|\\)|%|%2|%é|\\[|\\]|,|é",
            "psql|createdb|-d|--dbname|=|CREATE|DATABASE|IF NOT EXISTS|OWNER| |\\n|\\\\|`|jdbc|tcp|\\\\c |REDIS_DB|_",
        ], 0..30),
    ) {
        let text = words.concat();
        in_text(None, &text, "x");
        let list: Vec<_> = words.iter().map(String::as_str).collect();
        in_command(Some("postgres"), &list, &ContainerEnv::from([("é", text.as_str())]), "x");
        in_environment(None, &ContainerEnv::from([(text.as_str(), text.as_str()), ("POSTGRES_DBS", &text), ("PGHOST", &text), ("PGUSER", "x")]));
        settings(&text);
    }

    #[test]
    fn a_password_is_never_told(password in "[a-zA-Z0-9/@:?#%,;=&<>$!]{0,6}hunter2[a-zA-Z0-9/@:?#%,;=&<>$!]{0,6}") {
        let schemes = ["postgres", "mysql", "mongodb", "redis"];
        let urls = schemes.map(|scheme| format!("{scheme}://bob:{password}@db:5432/app"));
        let others = [
            format!("jdbc:postgresql://db/app?user=bob&password={password}"),
            format!("Host=db;Database=app;Password={password}"),
            format!("host=db dbname=app password={password}"),
            format!("bob:{password}@tcp(db:3306)/app"),
            format!("PGPASSWORD='{password}' psql -h db -d app"),
        ];
        for text in urls.iter().chain(&others) {
            let found = format!("{:?}", in_text(None, text, "x"));
            prop_assert!(!found.contains("hunter2"), "{text}: {found}");
        }
    }
}
