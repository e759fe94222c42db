//! `devk doctor` and `devk up --dry-run` say the same about `bridge:`: planted configurations, each looked at by both,
//! beside one Compose server. No cluster is needed, and none is touched.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Mutex;

use serde_json::Value;

use crate::support::compose::Compose;
use crate::support::copy::copy;
use crate::support::machine::CLUSTER;
use crate::support::project::Project;
use crate::support::tell;

const FIXTURE: &str = "tests/e2e/fixtures/fixed";
/// Projects that are looked at side by side.
const WORKERS: usize = 4;
/// A port on which nothing of Compose's runs; a program of the test listens there.
const HELD: &str = "5441";

/// A configuration, and the codes with which both refuse it.
struct Planted {
    what: &'static str,
    codes: &'static [&'static str],
    plant: fn(&Project),
}

const fn planted(
    what: &'static str,
    codes: &'static [&'static str],
    plant: fn(&Project),
) -> Planted {
    Planted { what, codes, plant }
}

fn bridge(project: &Project, text: &str) {
    project.edit("devk.yaml", "bridge: {}", &format!("bridge: {text}"));
}

fn postgres(project: &Project, text: &str) {
    bridge(project, &format!("{{postgres: {{{text}}}}}"));
}

fn publish(project: &Project, ports: &str) {
    project.edit("compose.yaml", "ports: [\"5439:5432\"]", ports);
}

fn service(project: &Project, text: &str) {
    let services = format!("services:\n  {text}\n");
    project.edit("compose.yaml", "services:\n", &services);
}

/// Another way to give the password than the one in the fixture.
fn password(project: &Project, text: &str) {
    project.edit("compose.yaml", ", POSTGRES_PASSWORD: \"d@mo/?%\"", text);
}

fn values(project: &Project, text: &str) {
    project.write("chart/values.yaml", text);
}

fn template(project: &Project, text: &str) {
    project.write("chart/templates/writer.yaml", text);
}

const BY_URL: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: page}\ndata: {DATABASE_URL: {{ .Values.databaseUrl | quote }}}\n";
const BY_HOST_NAME: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: page}\ndata: {DATABASE_URL: 'postgres://demo@host.docker.internal:5439/demo'}\n";
const BLOCK: &str = "{host: '', port: 5432, username: '', password: ''}";

const PLANTED: &[Planted] = &[
    // What can be had.
    planted("as it is", &[], |_| {}),
    planted("no bridge at all", &[], |project| {
        project.edit("devk.yaml", "bridge: {}\n", "");
    }),
    planted("published on 0.0.0.0", &[], |project| {
        publish(project, "ports: [\"0.0.0.0:5439:5432\"]");
    }),
    planted("published on loopback, by the relay", &[], |project| {
        publish(project, "ports: [\"127.0.0.1:5439:5432\"]");
    }),
    planted("a port from a variable", &[], |project| {
        publish(project, "ports: [\"${PG_PORT:-1}:5432\"]");
        project.write(".env", "PG_PORT=5439\n");
    }),
    planted("a job with the server's image", &[], |project| {
        service(
            project,
            "backup: {image: 'postgres:17', command: [pg_dump]}",
        );
    }),
    planted("a second server that a profile keeps out", &[], |project| {
        service(
            project,
            "second: {image: 'postgres:17', profiles: [x], ports: ['5438:5432']}",
        );
    }),
    planted("an image of its own", &[], |project| {
        project.edit("compose.yaml", "image: postgres:17", "image: acme/store:3");
    }),
    planted("the password in env_file", &[], |project| {
        project.write("server.env", "POSTGRES_PASSWORD='d@mo/?%'\n");
        password(project, "}\n    env_file: server.env\n    labels: {x: y");
    }),
    planted("the password in a file", &[], |project| {
        password(project, ", POSTGRES_PASSWORD_FILE: /tmp/password");
    }),
    planted("a chart that knows a URL only", &[], |project| {
        values(project, "databaseUrl: postgres://a:b@c/demo\n");
        template(project, BY_URL);
    }),
    planted("everything named", &[], |project| {
        postgres(
            project,
            "service: postgres, database: own, release: writer, values: {host: externalPostgresql.host}",
        );
    }),
    planted("a URL that devk.yaml names", &[], |project| {
        values(project, "databaseUrl: ''\n");
        template(project, BY_URL);
        postgres(project, "values: {url: databaseUrl}");
    }),
    // Compose.
    planted("no Compose files", &["bridge.server"], |project| {
        std::fs::remove_file(project.path("compose.yaml")).unwrap();
    }),
    planted("no server", &["bridge.server"], |project| {
        project.write("compose.yaml", "services: {web: {image: 'busybox:1'}}\n");
    }),
    planted("two servers", &["bridge.server"], |project| {
        service(
            project,
            "second: {image: 'postgres:17', ports: ['5438:5432']}",
        );
    }),
    planted("not published", &["bridge.port"], |project| {
        publish(project, "expose: [\"5432\"]");
    }),
    planted("published at random", &["bridge.port"], |project| {
        publish(project, "ports: [\"5432\"]");
    }),
    planted("published on a range", &["bridge.port"], |project| {
        publish(project, "ports: [\"5439-5442:5432\"]");
    }),
    planted(
        "a service that is not there",
        &["bridge.server"],
        |project| {
            postgres(project, "service: postgrs");
        },
    ),
    planted(
        "a service that is no server",
        &["bridge.server"],
        |project| {
            postgres(project, "service: litellm");
        },
    ),
    planted("a key that is too new", &["compose.schema"], |project| {
        service(project, "web: {image: 'busybox:1', made_up: true}");
    }),
    planted("a file that is no YAML", &["compose.syntax"], |project| {
        project.write("compose.yaml", "services: {postgres: [\n");
    }),
    // The server.
    planted("down", &["bridge.unreachable"], |project| {
        publish(project, "ports: [\"5440:5432\"]");
    }),
    planted(
        "another program on the port",
        &["bridge.unreachable"],
        |project| {
            publish(project, &format!("ports: [\"{HELD}:5432\"]"));
        },
    ),
    planted(
        "another project's server",
        &["bridge.unreachable"],
        |project| {
            project.edit("compose.yaml", "name: devk-e2e-compose", "name: another");
        },
    ),
    planted(
        "another service's container",
        &["bridge.unreachable"],
        |project| {
            project.edit("compose.yaml", "  postgres:\n", "  store:\n");
        },
    ),
    planted("another password", &["bridge.login"], |project| {
        password(project, ", POSTGRES_PASSWORD: other");
    }),
    planted("no password", &["bridge.login"], |project| {
        password(project, "");
    }),
    planted(
        "a password file that is not there",
        &["bridge.unreachable"],
        |project| {
            password(project, ", POSTGRES_PASSWORD_FILE: /run/secrets/none");
        },
    ),
    planted(
        "a user who makes no databases",
        &["bridge.login"],
        |project| {
            project.edit(
                "compose.yaml",
                "POSTGRES_USER: demo",
                "POSTGRES_USER: reader",
            );
        },
    ),
    planted(
        "a database that the server lacks",
        &["bridge.login"],
        |project| {
            project.edit("compose.yaml", "POSTGRES_DB: demo", "POSTGRES_DB: gone");
        },
    ),
    // The name.
    planted("Compose's own database", &["bridge.in-use"], |project| {
        postgres(project, "database: demo");
    }),
    planted(
        "a database of another service's",
        &["bridge.in-use"],
        |project| {
            postgres(project, "database: litellm");
        },
    ),
    planted(
        "two services with the separate name",
        &["bridge.in-use"],
        |project| {
            let url = "environment: {URL: 'postgres://demo@postgres/demo_k8s'}";
            service(
                project,
                &format!(
                    "one: {{image: 'busybox:1', {url}}}\n  two: {{image: 'busybox:1', {url}}}"
                ),
            );
        },
    ),
    planted("somebody's database", &["bridge.in-use"], |project| {
        postgres(project, "database: somebodys");
    }),
    planted(
        "another project's database",
        &["bridge.in-use"],
        |project| {
            postgres(project, "database: anothers");
        },
    ),
    planted("a name with a quote", &["bridge.name"], |project| {
        postgres(project, "database: 'a\"b'");
    }),
    planted(
        "a long name, and no such service",
        &["bridge.server"],
        |project| {
            postgres(
                project,
                &format!("service: none, database: {}", "a".repeat(64)),
            );
        },
    ),
    planted("a server's own name", &["bridge.name"], |project| {
        postgres(project, "database: postgres");
    }),
    // The chart.
    planted("a path that leads nowhere", &["bridge.values"], |project| {
        postgres(project, "values: {host: external.db.host}");
    }),
    planted("a typo in a path", &["bridge.values"], |project| {
        postgres(project, "values: {host: externalPostgrsql.host}");
    }),
    planted("a URL and a host", &["bridge.values"], |project| {
        postgres(project, "values: {url: a, host: externalPostgresql.host}");
    }),
    planted("no place for a database", &["bridge.values"], |project| {
        values(project, "replicas: 1\n");
        template(project, "");
    }),
    planted("a block that lacks a part", &["bridge.values"], |project| {
        values(project, "externalPostgresql: {host: ''}\n");
        template(project, "");
    }),
    planted("two blocks", &["bridge.values"], |project| {
        values(
            project,
            &format!("externalPostgresql: {BLOCK}\nexternalDatabase: {BLOCK}\n"),
        );
    }),
    planted("two URLs", &["bridge.values"], |project| {
        values(
            project,
            "databaseUrl: postgres://a@b/c\nother: postgres://a@b/d\n",
        );
        template(project, BY_URL);
    }),
    planted("no such release", &["bridge.values"], |project| {
        postgres(project, "release: reader");
    }),
    planted("two releases that fit", &["bridge.values"], |project| {
        let second = "releases:\n  - {name: second, chart: ./chart}\n";
        project.edit("devk.yaml", "releases:\n", second);
    }),
    planted(
        "an address that passes the relay by",
        &["bridge.shared"],
        |project| {
            template(project, BY_HOST_NAME);
        },
    ),
    planted(
        "a chart that the bridge breaks",
        &["chart.render"],
        |project| {
            template(
                project,
                "{{ if not .Values.postgresql.enabled }}{{ fail \"no\" }}{{ end }}",
            );
        },
    ),
    planted(
        "server, name and chart at once",
        &["bridge.in-use", "bridge.login", "bridge.values"],
        |project| {
            password(project, ", POSTGRES_PASSWORD: other");
            postgres(project, "database: demo, release: reader");
        },
    ),
    // devk.yaml.
    planted("a value of the wrong type", &["config.syntax"], |project| {
        postgres(project, "database: [demo]");
    }),
    planted("a typo in a key", &["config.unknown-key"], |project| {
        postgres(project, "databse: demo");
    }),
    planted("Redis", &["config.value"], |project| {
        bridge(project, "{redis: {}}");
    }),
];

/// What one of both says: code, message, hint.
type Said = BTreeSet<[String; 3]>;

fn said<'a>(found: impl Iterator<Item = &'a Value>, message: &str) -> Said {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    found
        .map(|one| [&one["code"], &one[message], &one["hint"]].map(text))
        .collect()
}

/// What `devk up --dry-run` refuses with.
fn by_up(project: &Project) -> Said {
    let ran = project.devk(&["up", "--dry-run"]);
    if ran.code == Some(0) {
        return Said::new();
    }
    let document: Value =
        serde_json::from_str(ran.stderr.trim()).unwrap_or_else(|e| panic!("{e}; {ran:?}"));
    said(document["errors"].as_array().unwrap().iter(), "message")
}

/// The errors that doctor finds in what a bridge is made from.
fn by_doctor(project: &Project) -> Said {
    let ran = project.devk(&["doctor"]);
    let document = ran.document();
    let found = document["checks"].as_array().unwrap().iter();
    let families = ["bridge.", "project.", "compose."];
    let errors = found.filter(|check| {
        let id = check["id"].as_str().unwrap();
        check["status"] == "error" && families.iter().any(|family| id.starts_with(family))
    });
    said(errors, "summary")
}

/// The folder as the fixture has it, with a bridge and with the name of the Compose stack that runs.
fn fresh(project: &Project, devk_yaml: &str) {
    let root = project.path("");
    std::fs::remove_dir_all(root.join("chart")).unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(FIXTURE), &root);
    let _ = std::fs::remove_file(root.join(".env"));
    project.write("devk.yaml", &format!("bridge: {{}}\n{devk_yaml}"));
    let compose = std::fs::read_to_string(root.join("compose.yaml")).unwrap();
    project.write(
        "compose.yaml",
        &format!("name: devk-e2e-compose\n{compose}"),
    );
}

/// What is wrong with the answers to one configuration.
fn disagreement(project: &Project, planted: &Planted) -> Option<String> {
    (planted.plant)(project);
    let (up, doctor) = (by_up(project), by_doctor(project));
    let codes: BTreeSet<_> = up.iter().map(|[code, ..]| code.as_str()).collect();
    let expected: BTreeSet<_> = planted.codes.iter().copied().collect();
    let is_told = up.iter().all(|[code, message, hint]| {
        let is_of_bridge = code.starts_with("bridge.");
        !message.is_empty() && (!is_of_bridge || hint.len() > 10)
    });
    (up != doctor || codes != expected || !is_told)
        .then(|| format!("{}: up says {up:#?}, doctor {doctor:#?}", planted.what))
}

#[test]
fn doctor_and_a_dry_run_say_the_same_about_every_bridge() {
    assert!(PLANTED.len() >= 40, "{}", PLANTED.len());
    let server = Project::new(FIXTURE, "agreed", CLUSTER);
    let compose = Compose::up(&server, &[]);
    for sql in [
        "create role reader login password 'd@mo/?%'",
        "create database somebodys",
        "create database anothers",
        r#"comment on database anothers is 'devk {"project":"other","root":"/"}'"#,
        "create extension pg_trgm",
    ] {
        compose.psql("demo", sql);
    }
    let file = "printf %s 'd@mo/?%' > /tmp/password";
    compose.run(&["exec", "-T", "postgres", "sh", "-c", file]);
    let _held = TcpListener::bind(format!("127.0.0.1:{HELD}")).unwrap();

    let since = std::time::Instant::now();
    let open = Mutex::new(PLANTED.iter());
    let wrong = Mutex::new(vec![]);
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (open, wrong) = (&open, &wrong);
            scope.spawn(move || {
                let project = Project::new(FIXTURE, &format!("agree-{worker}"), CLUSTER);
                let devk_yaml = std::fs::read_to_string(project.path("devk.yaml")).unwrap();
                loop {
                    let Some(planted) = open.lock().unwrap().next() else {
                        break;
                    };
                    fresh(&project, &devk_yaml);
                    wrong
                        .lock()
                        .unwrap()
                        .extend(disagreement(&project, planted));
                }
            });
        }
    });
    tell("doctor and dry run of all planted bridges", since.elapsed());
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let there = compose.databases();
    assert!(
        !there.contains("_k8s") && !there.contains("own"),
        "looking makes nothing: {there}"
    );
}
