//! Whole files of the charts of small projects, against those in `expected/`. `UPDATE=1` writes them anew; the difference
//! is to be read before it is committed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::*;
use crate::compose::{self, Options};
use crate::image::ImageFacts;

/// A project in a folder of its own.
struct Repository {
    dir: tempfile::TempDir,
}

impl Repository {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let file = dir.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        Self { dir }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    fn options(&self, variables: &[(&str, &str)], env_files: Vec<PathBuf>) -> Options {
        let name = ("COMPOSE_PROJECT_NAME", "shop");
        let environment = variables
            .iter()
            .chain([&name])
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Options {
            dir: self.root(),
            env_files,
            environment: environment.collect(),
            ..Options::default()
        }
    }

    fn chart(&self, facts: &FactsOfServices, variables: &[(&str, &str)]) -> ComposeChart {
        let whole = compose::load_whole(&self.options(variables, vec![]))
            .unwrap()
            .unwrap();
        let empty = tempfile::NamedTempFile::new().unwrap();
        let alone = self.options(&[], vec![empty.path().to_owned()]);
        let alone = compose::load_whole(&alone).unwrap();
        from_compose("shop", &self.root(), &whole, alone.as_ref(), facts)
    }
}

/// What is known of an image with these programs.
fn image(user: &str, programs: &[&str]) -> ImageFacts {
    ImageFacts {
        user: user.to_owned(),
        programs: Some(
            programs
                .iter()
                .map(|program| (*program).to_owned())
                .collect(),
        ),
        ..ImageFacts::default()
    }
}

fn facts(all: &[(&str, ImageFacts)]) -> FactsOfServices {
    all.iter()
        .map(|(service, facts)| ((*service).to_owned(), facts.clone()))
        .collect()
}

/// All files of a chart and the report, as one text.
fn archive(root: &Path, chart: &NewChart, notes: &[ComposeKeyNote], local: Option<&str>) -> String {
    let mut text = String::new();
    for (path, content) in &chart.files {
        write!(
            text,
            "-- {} --\n{}",
            path.display(),
            String::from_utf8_lossy(content)
        )
        .unwrap();
    }
    if let Some(local) = local {
        write!(text, "-- {LOCAL_VALUES} --\n{local}").unwrap();
    }
    text += "-- report --\n";
    for note in notes {
        let file = note.file.strip_prefix(root).unwrap_or(&note.file).display();
        let service = note.service.as_deref().unwrap_or("");
        writeln!(
            text,
            "{:?} {service} {} {file}:{} {}",
            note.carried, note.key, note.line, note.why
        )
        .unwrap();
    }
    text
}

fn compare(name: &str, found: &str) {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/new_chart/expected/{name}.txt"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, found).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap();
    for (number, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found, expected, "{name}.txt:{}", number + 1);
    }
    assert_eq!(found.lines().count(), expected.lines().count());
}

#[test]
fn a_database_a_migration_and_an_api_become_a_whole_chart() {
    let compose = "services:
  db:
    image: postgres:17
    environment: {POSTGRES_USER: shop, POSTGRES_PASSWORD: open-sesame, POSTGRES_DB: shop}
    volumes: [\"pgdata:/var/lib/postgresql/data\"]
    healthcheck: {test: [CMD-SHELL, \"pg_isready -U $$POSTGRES_USER\"], interval: 2s, timeout: 3s, retries: 5}
    shm_size: 128m
  migrate:
    build: ./api
    command: python migrate.py
    environment: {DATABASE_URL: \"postgres://shop:open-sesame@db:5432/shop\"}
    depends_on: {db: {condition: service_healthy}}
  api:
    build: ./api
    environment: {DATABASE_URL: \"postgres://shop:open-sesame@db:5432/shop\", LOG_LEVEL: \"${LOG_LEVEL:-info}\"}
    ports: [\"5000:5000\"]
    depends_on: {migrate: {condition: service_completed_successfully}}
    healthcheck: {test: curl -f http://localhost:5000/health, start_period: 1m}
    deploy: {replicas: 2, resources: {limits: {memory: 256M, cpus: '0.5'}, reservations: {memory: 100M}}}
    labels: {team: shop}
  tool: {image: \"busybox:1\", profiles: [debug], stdin_open: true}
volumes: {pgdata: {}}
";
    let repository = Repository::new(&[
        ("compose.yaml", compose),
        (
            "api/Dockerfile",
            "FROM python:3.13-slim\nUSER 1000\nEXPOSE 5000\n",
        ),
    ]);
    let facts = facts(&[
        ("api", image("1000", &["python3", "sh"])),
        ("db", image("", &["bash", "sh"])),
        ("migrate", image("1000", &["python3", "sh"])),
    ]);
    let chart = repository.chart(&facts, &[("LOG_LEVEL", "debug")]);
    let local = chart.local_values(&|_| false);
    compare(
        "shop",
        &archive(
            &repository.root(),
            &chart.chart(),
            &chart.notes,
            local.as_deref(),
        ),
    );
}

#[test]
fn files_secrets_and_shared_volumes_become_objects_of_the_chart() {
    let compose = "services:
  proxy:
    image: nginx:1.27
    user: \"101:101\"
    read_only: true
    tmpfs: [/tmp, \"/run:size=1m\"]
    volumes:
      - ./nginx/site.conf:/etc/nginx/conf.d/default.conf:ro
      - static:/srv/static:ro
      - /var/run/docker.sock:/var/run/docker.sock
    ports: [\"8080:80\"]
    cap_add: [NET_BIND_SERVICE]
    stop_signal: SIGQUIT
    stop_grace_period: 1m30s
    extra_hosts: [\"docs=10.0.0.7\", \"host.docker.internal:host-gateway\"]
    configs: [{source: motd, target: /etc/motd, mode: 0444}]
  app:
    image: acme/app:3
    entrypoint: [\"\"]
    command: serve --token $TOKEN --literal '$$(HOME)'
    env_file: app.env
    volumes: [\"static:/static\", \"./data:/data\", \"/cache\"]
    secrets: [db_password, {source: cert, target: tls.crt, mode: 0400}]
    environment: {DB_PASSWORD_FILE: /run/secrets/db_password}
    init: true
    security_opt: [\"no-new-privileges:true\"]
configs: {motd: {content: \"hello {{ you }}\\n\"}}
secrets: {db_password: {file: ./db_password.txt}, cert: {external: true}}
volumes: {static: {}}
";
    let repository = Repository::new(&[
        ("compose.yaml", compose),
        ("app.env", "MODE=prod\nAPI_TOKEN=tok-en-9876\n"),
        (".env", "TOKEN=from-dot-env-1\n"),
        ("db_password.txt", "s3cr3t-of-file\n"),
        (
            "nginx/site.conf",
            "server { listen 80; root /srv/static; }\n",
        ),
    ]);
    let chart = repository.chart(&FactsOfServices::new(), &[]);
    let local = chart.local_values(&|_| false);
    compare(
        "files",
        &archive(
            &repository.root(),
            &chart.chart(),
            &chart.notes,
            local.as_deref(),
        ),
    );
    let files = chart.chart();
    let all: String = files
        .files
        .iter()
        .map(|(_, content)| String::from_utf8_lossy(content).into_owned())
        .collect();
    for secret in ["tok-en-9876", "from-dot-env-1", "s3cr3t-of-file"] {
        assert!(
            !all.contains(secret),
            "{secret} is in a file that is committed"
        );
        assert!(local.as_deref().unwrap().contains(secret), "{secret}");
    }
}

#[test]
fn what_only_this_machine_has_is_in_no_file_that_is_committed() {
    let compose = "services:
  app:
    image: acme/app:3
    env_file: [conf/dev.env, conf/public.env]
    configs: [motd, {source: key, target: /etc/key.pem}]
    volumes: [\"./one/tls.key:/one/tls.key:ro\", \"./two/tls.key:/two/tls.key:ro\"]
    healthcheck: {test: \"sh -c 'auth open-sesame-1'\"}
    environment: {APP_PASSWORD: open-sesame-1}
configs: {motd: {content: \"hello ${WHO}\"}, key: {file: ./key.pem}}
";
    let key = "-----BEGIN PRIVATE KEY-----\nof-the-config\n";
    let repository = Repository::new(&[
        ("compose.yaml", compose),
        (".env", "WHO=ann-of-this-machine\n"),
        (".gitignore", "tls.key\n"),
        ("conf/.gitignore", "dev.env\n"),
        ("conf/dev.env", "MODE=mode-of-mine\n"),
        ("conf/public.env", "PRICE=$$5 $(x)\n"),
        ("key.pem", key),
        ("one/tls.key", "key-one\n"),
        ("two/tls.key", "key-two\n"),
    ]);
    let chart = repository.chart(&FactsOfServices::new(), &[]);
    let local = chart.local_values(&|_| false).unwrap();
    let files = chart.chart().files;
    let texts = files
        .iter()
        .map(|(_, content)| String::from_utf8_lossy(content));
    let all: String = texts.collect();
    for own in [
        "ann-of-this-machine",
        "mode-of-mine",
        "of-the-config",
        "key-one",
        "key-two",
    ] {
        assert!(!all.contains(own), "{own} is in a file that is committed");
        assert!(local.contains(own), "{own}: {local}");
    }
    assert!(
        files
            .iter()
            .any(|(path, _)| path == Path::new(".gitignore"))
    );
    let file = |name: &str| {
        let (_, content) = files
            .iter()
            .find(|(path, _)| path == Path::new(name))
            .unwrap();
        String::from_utf8_lossy(content).into_owned()
    };
    let (values, pod) = (file("values.yaml"), file("templates/app/deployment.yaml"));
    assert!(values.contains("PRICE: \"$5 $(x)\""), "{values}");
    let told = r#"auth '\"${APP_PASSWORD}\"''"#;
    assert!(values.contains(told), "{values}");
    for key in ["tlsKey\n", "tlsKey2\n", "motd\n", "key\n"] {
        assert!(pod.contains(&format!("key: {key}")), "{key}: {pod}");
    }
}

#[test]
fn names_that_dns_does_not_take_lead_to_services_that_it_does() {
    let compose = "services:
  my_db: {image: \"redis:7\", container_name: Shop.DB, networks: {back: {aliases: [cache]}}}
  web:
    image: acme/web:1
    environment: {CACHE: \"redis://my_db:6379\", NAME: my_db, SERVER_HOST: my_db}
    command: [\"--cache\", \"my_db:6379\"]
    links: [\"my_db:kv\"]
    networks: [front, back]
    depends_on: [my_db]
networks: {front: {}, back: {internal: true}}
";
    let repository = Repository::new(&[("compose.yaml", compose)]);
    let chart = repository.chart(
        &facts(&[
            ("my_db", image("", &["sh"])),
            ("web", image("app", &["sh", "nc"])),
        ]),
        &[],
    );
    compare(
        "names",
        &archive(&repository.root(), &chart.chart(), &chart.notes, None),
    );
    assert_eq!(chart.aliases(), ["shop-db", "cache", "kv"]);
}

#[test]
fn a_new_chart_is_one_for_production() {
    for (name, stateful) in [("skeleton", false), ("skeleton-stateful", true)] {
        let chart = skeleton("hello-world", stateful).unwrap();
        compare(name, &archive(Path::new(""), &chart, &[], None));
    }
}

#[test]
fn a_chart_is_written_over_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("app");
    let chart = skeleton("app", false).unwrap();
    chart.write(&folder).unwrap();
    let written = std::fs::read(folder.join("values.yaml")).unwrap();
    std::fs::write(folder.join("values.yaml"), "mine: 1\n").unwrap();
    let refused = chart.write(&folder).unwrap_err();
    assert_eq!(refused.0[0].code, Code::ChartExists);
    assert_ne!(std::fs::read(folder.join("values.yaml")).unwrap(), written);
}

#[test]
fn a_name_that_no_chart_has_is_refused_with_one_that_it_can_have() {
    let refused = skeleton("My App", false).unwrap_err();
    assert_eq!(refused.hint.as_deref(), Some("devk chart new my-app"));
}

/// Of every key that a service of Compose can have, a chart has it or the report names it.
#[test]
fn no_key_of_a_service_is_lost_in_silence() {
    let compose = "services:
  a:
    image: x
    blkio_config: {weight: 300}
    cap_add: [SYS_TIME]
    cgroup_parent: m
    cpu_shares: 5
    cpuset: '0'
    devices: ['/dev/null']
    dns: [1.1.1.1]
    dns_search: [example.com]
    domainname: example.com
    group_add: [mail]
    ipc: host
    isolation: x
    logging: {driver: none}
    mac_address: '02:42:ac:11:65:43'
    mem_swappiness: 1
    oom_score_adj: 5
    pid: host
    pids_limit: 5
    platform: linux/amd64
    privileged: true
    runtime: runc
    stdin_open: true
    storage_opt: {size: 1G}
    sysctls: {kernel.shmmax: 1}
    ulimits: {nproc: 65535}
    userns_mode: host
";
    let repository = Repository::new(&[("compose.yaml", compose)]);
    let chart = repository.chart(&FactsOfServices::new(), &[]);
    let told: BTreeSet<_> = chart.notes.iter().map(|note| note.key.as_str()).collect();
    let carried = ["image", "cap_add", "dns_search", "stdin_open"];
    let all: BTreeMap<_, _> = compose
        .lines()
        .enumerate()
        .skip(2)
        .filter_map(|(at, line)| {
            let key = line.trim().split(':').next()?;
            Some((key.to_owned(), at + 1))
        })
        .collect();
    for (key, line) in all
        .into_iter()
        .filter(|(key, _)| !carried.contains(&key.as_str()))
    {
        assert!(
            told.contains(key.as_str()),
            "{key} of line {line} is neither in the chart nor in the report: {told:?}"
        );
    }
    assert_eq!(
        chart.model.components[0].security["privileged"],
        json!(true)
    );
}
