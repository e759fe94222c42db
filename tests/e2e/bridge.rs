//! Bridge mode on the demo: the cluster's API writes to Compose's server, into a database of its own, and
//! whatever would touch Compose's is refused.

use std::process::Command;
use std::time::Duration;

use devk::bridge::server::{self, Login, Mark};
use devk::bridge::source::Secret;
use devk::error::Code;
use devk::owner::Owner;
use serde_json::{Value, json};

use crate::doctor;
use crate::support::compose::{API, Compose, POSTGRES};
use crate::support::machine::{CLUSTER, cluster, images_of, machine};
use crate::support::project::{Project, port_of};
use crate::support::run::Ran;
use crate::support::wire::{get, post};
use crate::support::{eventually, tell};

const SOON: Duration = Duration::from_secs(60);
/// Found nowhere but where it belongs.
const PASSWORD: &str = "hunter2-of-compose";

/// The demo with a password that can be searched for.
fn demo(name: &str) -> Project {
    let demo = Project::demo_on(CLUSTER, name);
    demo.edit(
        "compose.yaml",
        "POSTGRES_PASSWORD: demo",
        &format!("POSTGRES_PASSWORD: {PASSWORD}"),
    );
    demo.edit(
        "compose.yaml",
        "PGPASSWORD: demo",
        &format!("PGPASSWORD: {PASSWORD}"),
    );
    demo
}

fn local(up: &Ran, forward: &str) -> u16 {
    port_of(up.settled()["forwards"].as_array().unwrap(), forward)
}

fn write(port: u16, text: &str) {
    let answer = post(port, "/notes", &json!({ "text": text }))
        .unwrap_or_else(|e| panic!("port {port}: {e}"));
    answer.well();
}

fn notes(port: u16) -> String {
    get(port, "/notes")
        .unwrap_or_else(|e| panic!("port {port}: {e}"))
        .well()
}

fn answers(port: u16) -> bool {
    get(port, "/notes").is_ok_and(|answer| answer.status == 200)
}

fn database_of(port: u16) -> Value {
    get(port, "/")
        .unwrap_or_else(|e| panic!("port {port}: {e}"))
        .json()["database"]
        .clone()
}

/// Stops Compose's server and starts it again, then replaces its container, which gets another address.
fn recovers(compose: &Compose, api: u16) {
    compose.run(&["stop", "postgres"]);
    eventually("the API answers without its database", SOON, || {
        !answers(api)
    });
    compose.run(&["start", "postgres"]);
    eventually("the API does not recover", SOON, || answers(api));
    compose.run(&[
        "up",
        "--detach",
        "--wait",
        "--force-recreate",
        "--no-deps",
        "postgres",
    ]);
    eventually(
        "the API does not recover from a new container",
        SOON,
        || answers(api),
    );
}

fn says_nothing_secret(demo: &Project, ran: &Ran) {
    let log = machine()
        .state()
        .join("projects")
        .join(&demo.name)
        .join("supervisor.log");
    let log = std::fs::read_to_string(log).unwrap_or_default();
    for (what, text) in [
        ("stdout", &ran.stdout),
        ("stderr", &ran.stderr),
        ("the log", &log),
    ] {
        assert!(
            !text.contains(PASSWORD),
            "the password stands in {what}: {text}"
        );
    }
}

#[test]
fn the_clusters_api_uses_composes_server_and_leaves_its_database_as_it_was() {
    cluster();
    let demo = demo("bridged");
    let compose = Compose::up(&demo, &[]);
    write(API, "only in Compose");
    let before = compose.dump("demo");

    let up = demo.devk(&["up", "-d", "--bridge"]).well();
    tell(
        "devk up -d --bridge of the demo on a running cluster",
        up.took,
    );
    let api = local(&up, "api");
    write(api, "only in the cluster");
    assert_eq!(
        (database_of(api), database_of(API)),
        (json!("demo_k8s"), json!("demo")),
        "both answer at once"
    );
    assert!(notes(api).contains("only in the cluster") && !notes(api).contains("only in Compose"));
    assert!(
        compose
            .psql("demo_k8s", "select text from notes")
            .contains("only in the cluster")
    );
    assert_eq!(
        compose.dump("demo"),
        before,
        "Compose's own database is unchanged, byte for byte"
    );

    let probe = up.end_of("bridge.probe/postgres")["detail"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        probe.contains(&format!(":{POSTGRES} → user `demo` → database `demo_k8s`")),
        "{probe}"
    );
    what_the_bridge_takes_is_said(&demo, &up);
    says_nothing_secret(&demo, &up);
    let checks = doctor::checks(&demo, 0);
    assert_eq!(
        doctor::problems(&checks),
        [] as [Value; 0],
        "both stacks run, and nothing is wrong"
    );

    recovers(&compose, api);
    let again = demo.devk(&["up", "-d", "--bridge"]).well();
    tell("devk up -d --bridge with nothing to do", again.took);
    assert_eq!(again.verdict("release.apply/demo"), "skipped");
    assert_eq!(again.verdict("bridge.service/postgres"), "skipped");

    the_way_back(&demo, &compose);
    it_stays_when_the_stack_goes(&demo, &compose);
    assert_eq!(compose.dump("demo"), before);
}

fn what_the_bridge_takes_is_said(demo: &Project, up: &Ran) {
    let forward = up.end_of("forward.open/postgres");
    assert_eq!(forward["status"], "skipped");
    assert!(
        forward["detail"]
            .as_str()
            .unwrap()
            .ends_with(&format!("Compose's is on 127.0.0.1:{POSTGRES}"))
    );
    let ports = demo.devk(&["ports"]).well().document();
    assert_eq!(ports["skipped"][0]["service"], "demo-postgresql", "{ports}");
    let bridge = demo.devk(&["status"]).well().document()["bridge"].clone();
    assert_eq!(
        (&bridge["service"], &bridge["database"]),
        (&json!("postgres"), &json!("demo_k8s"))
    );
    assert_eq!(bridge["relay"], false);
}

fn bridge_objects(namespace: &str) -> String {
    let list = [
        "-n",
        namespace,
        "get",
        "service,endpointslice",
        "-l",
        "devk.dev/bridge",
        "-o",
        "name",
    ];
    machine().kubectl(CLUSTER, &list)
}

fn the_way_back(demo: &Project, compose: &Compose) {
    assert_eq!(bridge_objects("bridged").lines().count(), 2);
    let back = demo.devk(&["up", "-d"]).well();
    tell("devk up -d, back to the chart's own database", back.took);
    let said = back.end_of("bridge.remove/postgres")["detail"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        said.contains("database `demo_k8s` stays") && said.contains("DROP DATABASE \"demo_k8s\""),
        "{said}"
    );
    let api = local(&back, "api");
    eventually("the API does not answer", SOON, || answers(api));
    assert!(!notes(api).contains("only in the cluster"));
    assert_eq!(bridge_objects("bridged"), "");
    assert!(
        local(&back, "postgres") > 0,
        "the chart's own database is forwarded again"
    );
    assert!(demo.devk(&["status"]).well().document()["bridge"].is_null());
    assert!(compose.databases().contains("demo_k8s"));
}

/// As `bridge:` in devk.yaml has it, and `--no-bridge` overrides.
fn it_stays_when_the_stack_goes(demo: &Project, compose: &Compose) {
    demo.edit("devk.yaml", "forwards:", "bridge: {}\nforwards:");
    let plan = demo
        .devk(&["up", "--dry-run", "--no-bridge"])
        .well()
        .document();
    assert!(!plan.to_string().contains("bridge."), "{plan}");
    let up = demo.devk(&["up", "-d"]).well();
    assert!(
        notes(local(&up, "api")).contains("only in the cluster"),
        "what was written before is there"
    );
    for args in [&["down"][..], &["down", "--delete"]] {
        let down = demo.devk(args).well().document();
        assert_eq!(down["bridge"]["database"], "demo_k8s", "{down}");
    }
    assert!(
        compose
            .psql("demo_k8s", "select text from notes")
            .contains("only in the cluster")
    );
}

/// A login from a container, as a text.
fn login_from(network: &str, address: &str) -> Result<String, String> {
    let (host, port) = address.rsplit_once(':').unwrap();
    let password = format!("PGPASSWORD={PASSWORD}");
    let client = [
        "run",
        "--rm",
        "--network",
        network,
        "-e",
        &password,
        "--entrypoint",
        "psql",
        "postgres:17",
    ];
    let query = [
        "-h",
        host,
        "-p",
        port,
        "-U",
        "demo",
        "-d",
        "demo",
        "-tAc",
        "select 'in'",
    ];
    let output = Command::new("docker")
        .args(client)
        .args(query)
        .output()
        .unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

#[test]
fn a_port_on_loopback_is_relayed_to_the_clusters_nodes_and_to_nobody_else() {
    cluster();
    let demo = demo("bridge-relayed");
    demo.edit("compose.yaml", "\"5439:5432\"", "\"127.0.0.1:5439:5432\"");
    let compose = Compose::up(&demo, &[]);
    let before = compose.dump("demo");
    let refused = demo.devk(&["up", "--once", "--bridge"]).exits(2);
    assert_eq!(refused.error()["code"], "bridge.once");
    assert!(!compose.databases().contains("demo_k8s"));

    let up = demo.devk(&["up", "-d", "--bridge"]).well();
    let api = local(&up, "api");
    let bridge = up.settled()["bridge"].clone();
    assert_eq!(bridge["relay"], true, "{bridge}");
    write(api, "through the relay");
    assert!(
        compose
            .psql("demo_k8s", "select text from notes")
            .contains("through the relay")
    );
    assert_eq!(
        (database_of(api), database_of(API)),
        (json!("demo_k8s"), json!("demo")),
        "both answer at once"
    );
    assert_eq!(
        compose.dump("demo"),
        before,
        "Compose's own database is unchanged, byte for byte"
    );
    says_nothing_secret(&demo, &up);

    let address = bridge["address"].as_str().unwrap();
    for network in ["kind", "bridge", "host"] {
        let refused = login_from(network, address).unwrap_err();
        assert!(
            refused.contains("reset") || refused.contains("closed the connection"),
            "{network}: {refused}"
        );
    }
    recovers(&compose, api);

    // Compose may publish its port on every address while the relay is there, and then needs none.
    demo.edit("compose.yaml", "\"127.0.0.1:5439:5432\"", "\"5439:5432\"");
    compose.run(&["up", "--detach", "--wait", "--no-deps", "postgres"]);
    eventually("the API does not recover", SOON, || answers(api));
    let direct = demo.devk(&["up", "-d", "--bridge"]).well();
    assert_eq!(direct.settled()["bridge"]["relay"], false);
    assert_eq!(
        direct.verdict("release.apply/demo"),
        "skipped",
        "another address needs no upgrade"
    );
    eventually("the API does not find the other address", SOON, || {
        answers(api)
    });
    let gone = login_from("host", address).unwrap_err();
    assert!(gone.contains("refused"), "the relay has ended: {gone}");
    assert_eq!(
        compose.dump("demo"),
        before,
        "after all of it Compose's own database is what it was"
    );
}

/// Where devk itself logs in.
fn login() -> Login {
    let user = "demo".to_owned();
    let main = "demo".to_owned();
    Login {
        address: ([127, 0, 0, 1], POSTGRES).into(),
        user,
        password: Secret(PASSWORD.to_owned()),
        main,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_made_once_and_whole_whoever_asks_and_whoever_is_cut_off() {
    let demo = demo("made");
    let compose = Compose::up(&demo, &["postgres"]);
    compose.psql(
        "demo",
        "create schema store; create extension hstore schema store; create extension pg_trgm",
    );
    let owner = |root: &str| Owner {
        root: root.into(),
        user: None,
        machine: None,
    };
    let login = login();
    let mark = Mark::of("made", &owner("/p"));
    let wanted = server::read_catalog(&login).await.unwrap().extensions;
    assert_eq!(wanted.len(), 3, "plpgsql is one, too: {wanted:?}");
    for cut in [1, 10, 30, 60, 90, 120, 200] {
        let making = server::make(&login, "cut_off", &mark, &wanted);
        let _ = tokio::time::timeout(Duration::from_millis(cut), making).await;
    }
    server::make(&login, "cut_off", &mark, &wanted)
        .await
        .unwrap();

    let makers = (0..8).map(|_| server::make(&login, "raced", &mark, &wanted));
    let made = futures::future::try_join_all(makers).await.unwrap();
    assert_eq!(made.iter().filter(|made| made.created).count(), 1);
    assert!(made.iter().all(|made| made.without.is_empty()), "{made:?}");

    let there = compose.databases();
    let marked = |name: &str| there.contains(&format!("{name}|{}", mark.text()));
    assert!(
        marked("cut_off") && marked("raced") && !there.contains("devk_making"),
        "{there}"
    );
    let extensions = "select extname, nspname from pg_extension e join pg_namespace n on n.oid = extnamespace order by 1";
    for name in ["cut_off", "raced"] {
        assert_eq!(
            compose.psql(name, extensions),
            compose.psql("demo", extensions)
        );
        let owner =
            "select pg_get_userbyid(datdba) from pg_database where datname = current_database()";
        assert_eq!(compose.psql(name, owner).trim(), "demo");
    }
    let other = server::make(&login, "raced", &Mark::of("other", &owner("/")), &wanted)
        .await
        .unwrap_err();
    assert_eq!(other.code, Code::BridgeInUse);
}

/// The error of an `up` with these lines in devk.yaml; it has created nothing.
fn refusal(demo: &Project, compose: &Compose, bridge: &str) -> Value {
    let devk_yaml = std::fs::read_to_string(demo.path("devk.yaml")).unwrap();
    demo.edit(
        "devk.yaml",
        "forwards:",
        &format!("bridge: {bridge}\nforwards:"),
    );
    let before = server_has(compose);
    let error = refused(demo, &["up", "-d"]);
    assert_eq!(server_has(compose), before, "{error}");
    demo.write("devk.yaml", &devk_yaml);
    error
}

/// Databases, roles, and all of Compose's own data.
fn server_has(compose: &Compose) -> [String; 3] {
    let roles = compose.psql(
        "demo",
        "select rolname, rolcreatedb, rolsuper from pg_roles order by 1",
    );
    [compose.databases(), roles, compose.dump("demo")]
}

/// The only error, which says what is wrong and what to do; the cluster, Docker and devk's state have
/// nothing of the project.
fn refused(demo: &Project, args: &[&str]) -> Value {
    let refused = demo.devk(args).exits(2);
    let error = refused.error();
    assert!(!machine().has_namespace(&demo.name), "{refused:?}");
    assert!(images_of(&demo.name).is_empty(), "{refused:?}");
    let made = ["a lease", "/bridge.json", "/helm-"];
    let left = machine().state_of(&demo.name);
    assert!(
        !left
            .iter()
            .any(|file| made.iter().any(|made| file.contains(made))),
        "{left:?}"
    );
    assert!(machine().supervisors(&demo.name).is_empty(), "nobody waits");
    assert!(!refused.stderr.contains(PASSWORD), "{refused:?}");
    for said in ["message", "hint"] {
        assert!(
            error[said].as_str().is_some_and(|text| text.len() > 10),
            "no {said}: {error}"
        );
    }
    error
}

#[test]
fn what_would_be_shared_with_compose_is_refused_and_nothing_is_created() {
    cluster();
    let demo = demo("refused");
    let compose = Compose::up(&demo, &["postgres"]);
    let code = |bridge: &str| refusal(&demo, &compose, bridge)["code"].clone();
    let named = |name: &str| format!("{{postgres: {{database: '{name}'}}}}");

    assert_eq!(code(&named("demo")), "bridge.in-use", "the same name");
    assert_eq!(code(&named(&"a".repeat(64))), "bridge.name");
    for name in ["a\"b", "a''b", "demo; drop database demo"] {
        assert_eq!(code(&named(name)), "bridge.name", "{name}");
    }
    assert_eq!(code("{redis: {}}"), "config.value");
    assert_eq!(code("{postgres: {service: nowhere}}"), "bridge.server");
    assert_eq!(code("{postgres: {service: redis}}"), "bridge.server");
    assert_eq!(
        code("{postgres: {values: {enabled: nowhere.enabled}}}"),
        "bridge.values"
    );

    a_name_in_a_url(&demo, &compose);
    a_second_database_of_the_chart(&demo, &compose);
    databases_of_others(&demo, &compose);
    credentials_that_do_not_fit(&demo, &compose);
    a_server_that_is_down(&demo, &compose);
}

/// Adds a service to Compose's files for the time of `work`. It is never started.
fn with_service(demo: &Project, service: &str, work: impl FnOnce()) {
    let file = std::fs::read_to_string(demo.path("compose.yaml")).unwrap();
    demo.edit(
        "compose.yaml",
        "\nservices:\n",
        &format!("\nservices:\n  {service}\n"),
    );
    work();
    demo.write("compose.yaml", &file);
}

fn a_name_in_a_url(demo: &Project, compose: &Compose) {
    let url = "worker: {image: busybox, environment: {JOBS: 'postgres://demo:x@postgres:5432/demo_k8s?sslmode=disable'}}";
    with_service(demo, url, || {
        let error = refusal(demo, compose, "{}");
        assert_eq!(error["code"], "bridge.in-use");
        assert_eq!(
            error["message"],
            "database `demo_k8s` is used by Compose service `worker`"
        );
    });
}

fn a_second_database_of_the_chart(demo: &Project, compose: &Compose) {
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: litellm}\ndata:\n  DATABASE_URL: \
        postgres://demo@{{ .Values.externalPostgresql.host }}:{{ .Values.externalPostgresql.port }}/{{ .Values.litellm }}\n";
    demo.write("chart/templates/litellm.yaml", template);
    let values = std::fs::read_to_string(demo.path("values-dev.yaml")).unwrap();
    demo.write("values-dev.yaml", &format!("{values}\nlitellm: litellm\n"));
    let service = "litellm: {image: busybox, environment: {DATABASE_URL: 'postgres://demo:x@postgres/litellm'}}";
    with_service(demo, service, || {
        let before = server_has(compose);
        let plan = demo
            .devk(&["up", "--dry-run", "--bridge"])
            .well()
            .document();
        assert_eq!(
            mapped(&plan),
            json!(["database `litellm_k8s` in place of `litellm`"])
        );
        assert_eq!(server_has(compose), before);
    });
    std::fs::remove_file(demo.path("chart/templates/litellm.yaml")).unwrap();
}

/// The databases that pods get by another name, as the plan says.
fn mapped(plan: &Value) -> Value {
    let mut steps = plan["steps"].as_array().unwrap().iter();
    let service = steps.find(|step| step["id"] == "bridge.service/postgres");
    service.unwrap()["changes"].clone()
}

#[test]
fn a_chart_that_fixes_composes_names_gets_databases_of_its_own_and_no_other() {
    cluster();
    let project = Project::new("tests/e2e/fixtures/fixed", "fixed", CLUSTER);
    let compose = Compose::up(&project, &[]);
    let names = ["demo", "litellm", "keycloak", "jobs"];
    for name in names {
        let write = "create table notes (text text); insert into notes values ('compose')";
        compose.psql(name, write);
    }
    let dumps = || names.map(|name| compose.dump(name));
    let before = dumps();

    let plan = project
        .devk(&["up", "--dry-run", "--bridge"])
        .well()
        .document();
    let expected = [
        "database `demo_k8s` in place of `demo`",
        "database `keycloak_k8s` in place of `keycloak`",
        "database `litellm_k8s` in place of `litellm`",
    ];
    assert_eq!(mapped(&plan), json!(expected));
    project.devk(&["up", "-d", "--bridge"]).well();
    assert_eq!(
        dumps(),
        before,
        "Compose's databases are unchanged, byte for byte"
    );
    compose.psql("demo", "insert into notes values ('compose again')");
    for name in ["demo_k8s", "litellm_k8s", "keycloak_k8s", "events"] {
        assert_eq!(
            compose.psql(name, "select text from notes").trim(),
            "cluster"
        );
    }
    let logs = ["-n", "fixed", "logs", "deployment/writer"];
    let logs = machine().kubectl(CLUSTER, &logs);
    for refused in [
        "devk's bridge does not lead to database \"jobs\"",
        "devk's bridge takes no replication connections",
    ] {
        assert!(logs.contains(refused), "{logs}");
    }
}

#[test]
fn a_chart_that_takes_a_connection_url_gets_one_with_the_password_encoded() {
    cluster();
    let project = Project::new("tests/e2e/fixtures/fixed", "by-url", CLUSTER);
    let values = "api:\n  databaseUrl: postgres://demo:dev@postgresql:5432/demo?sslmode=disable\n";
    project.write("chart/values.yaml", values);
    let query = "select current_database() || ' for ' || current_user";
    project.write(
        "chart/templates/writer.yaml",
        &format!(
            r#"
apiVersion: batch/v1
kind: Job
metadata: {{name: login}}
spec:
  template:
    spec:
      restartPolicy: OnFailure
      containers:
        - name: login
          image: postgres:17
          env: [{{name: DATABASE_URL, value: {{{{ .Values.api.databaseUrl | quote }}}}}}]
          command: [psql, $(DATABASE_URL), -Atc, "{query}"]
"#
        ),
    );
    let compose = Compose::up(&project, &[]);
    let before = compose.dump("demo");
    project.devk(&["up", "-d", "--bridge"]).well();
    let logs = machine().kubectl(CLUSTER, &["-n", "by-url", "logs", "job/login"]);
    assert_eq!(logs.trim(), "demo_k8s for demo");
    assert_eq!(compose.dump("demo"), before);
}

fn databases_of_others(demo: &Project, compose: &Compose) {
    compose.psql("demo", "create database demo_k8s");
    let error = refusal(demo, compose, "{}");
    assert_eq!(error["code"], "bridge.in-use");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .ends_with("was not made by devk"),
        "{error}"
    );
    let other = r#"comment on database demo_k8s is 'devk {"project":"other","root":"/"}'"#;
    compose.psql("demo", other);
    let error = refusal(demo, compose, "{}");
    assert_eq!(
        error["message"],
        "database `demo_k8s` belongs to the devk project `other` in `/`"
    );
    compose.psql("demo", "drop database demo_k8s");
}

fn credentials_that_do_not_fit(demo: &Project, compose: &Compose) {
    let file = std::fs::read_to_string(demo.path("compose.yaml")).unwrap();
    let password = format!("POSTGRES_PASSWORD: {PASSWORD}");
    demo.edit("compose.yaml", &password, "POSTGRES_PASSWORD: wrong");
    assert_eq!(refusal(demo, compose, "{}")["code"], "bridge.login");
    demo.write("compose.yaml", &file);
    compose.psql(
        "demo",
        &format!("create role reader login password '{PASSWORD}'"),
    );
    demo.edit(
        "compose.yaml",
        "POSTGRES_USER: demo",
        "POSTGRES_USER: reader",
    );
    let error = refusal(demo, compose, "{}");
    assert_eq!(
        error["message"],
        "user `reader` may not create databases on Compose's server"
    );
    demo.write("compose.yaml", &file);
}

fn a_server_that_is_down(demo: &Project, compose: &Compose) {
    let before = server_has(compose);
    compose.run(&["stop", "postgres"]);
    let error = refused(demo, &["up", "-d", "--bridge"]);
    assert_eq!(error["code"], "bridge.unreachable");
    assert_eq!(error["hint"], "docker compose up -d postgres");
    compose.run(&["up", "--detach", "--wait", "postgres"]);
    assert_eq!(server_has(compose), before, "nothing was made");
}
