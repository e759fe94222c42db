//! Random projects, devk against docker compose. Not run by itself: it takes minutes and needs a real docker compose.
//! Whatever it finds becomes a case.

use std::fmt::Write;

use crate::agreement::{in_parallel, parent};
use crate::answer::Answer;
use crate::case::{Case, File, topics};
use crate::mutate::{Edit, edited};
use crate::random::Random;
use crate::{reader, real};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

#[test]
#[ignore = "asks the real docker compose thousands of times"]
fn differential() {
    let runs = number("RUNS", 1_000);
    let seed = number("SEED", 1);
    let corpus: Vec<_> = topics()
        .into_iter()
        .flat_map(|topic| topic.cases)
        .filter(is_fit)
        .collect();
    let seeds: Vec<_> = (0..runs)
        .map(|run| seed.wrapping_mul(1_000_003) + run)
        .collect();
    let parent = parent();
    let found = in_parallel(&seeds, |seed| {
        let mut random = Random(*seed);
        let mut case = if random.one_in(2) {
            grown(&mut random)
        } else {
            mutated(&mut random, &corpus)
        };
        case.topic = "random".to_owned();
        case.name = format!("seed {seed}");
        case.lay_out(parent.path());
        let (expected, said) = real::ask(&case, parent.path());
        let (got, why) = reader::ask(&case, parent.path());
        let _ = std::fs::remove_dir_all(case.root(parent.path()));
        let report = || {
            format!(
                "{}{}docker compose says: {said}\ndevk: {}{why}\n",
                shown(&case),
                expected.record(true),
                got.record(true)
            )
        };
        (expected == Answer::Refused, (expected != got).then(report))
    });
    let refused = found.iter().filter(|(refused, _)| *refused).count();
    println!("{runs} random projects, of which docker compose refuses {refused}");
    let found: Vec<_> = found.into_iter().filter_map(|(_, report)| report).collect();
    assert!(
        found.is_empty(),
        "{}\n{} of {runs} differ",
        found.join("\n"),
        found.len()
    );
}

/// To be changed a little: what is refused before says little when it is refused after.
fn is_fit(case: &Case) -> bool {
    case.in_place.is_none() && case.answer != Some(Answer::Refused)
}

/// As it would stand in a topic.
fn shown(case: &Case) -> String {
    let mut text = format!("=== {}\n", case.name);
    case.env
        .iter()
        .for_each(|(name, value)| writeln!(text, "env: {name}={value}").unwrap());
    if !case.args.is_empty() {
        writeln!(text, "args: {}", case.args.join(" ")).unwrap();
    }
    if !case.at.is_empty() {
        writeln!(text, "at: {}", case.at).unwrap();
    }
    for file in &case.files {
        writeln!(text, "--> {}\n{}", file.path, file.text).unwrap();
    }
    text
}

fn mutated(random: &mut Random, corpus: &[Case]) -> Case {
    let case = &corpus[random.below(corpus.len())];
    let edits: Vec<_> = (0..=random.below(2)).map(|_| edit(random)).collect();
    edited(case, &edits, corpus)
}

fn edit(random: &mut Random) -> Edit {
    let bits = random.next();
    let [kind, length, ..] = bits.to_le_bytes();
    let word = u32::try_from(bits >> 32).unwrap();
    Edit {
        kind,
        length: length % 12,
        word,
        at: u32::try_from(random.next() >> 32).unwrap(),
    }
}

/// A project from scratch with everything that Compose has for putting files together. Most are sound: which
/// service may lean on which, and who has a network, a number of replicas or a profile, goes by its name.
fn grown(random: &mut Random) -> Case {
    let mut case = Case::default();
    let mut file = |path: &str, text: String| {
        case.files.push(File {
            path: path.to_owned(),
            text,
        })
    };
    file("compose.yaml", project(random, "compose.yaml"));
    file("base.yaml", services(random, &["base", "b"], "base.yaml"));
    if random.one_in(2) {
        file(
            "compose.override.yaml",
            project(random, "compose.override.yaml"),
        );
    }
    file(
        "sub/inner.yaml",
        services(random, &["inner", "i"], "sub/inner.yaml"),
    );
    for path in [".env", "one.env", "sub/.env", "sub/one.env"] {
        file(path, env(random));
    }
    if random.one_in(3) {
        case.args
            .extend(["--profile", random.pick(&["p", "q", "*"])].map(str::to_owned));
    }
    if random.one_in(4) {
        let name = random.pick(&["PORT", "HOST", "IMAGE", "COMPOSE_PROFILES"]);
        case.env
            .push((name.to_owned(), random.pick(&["", "7", "p"]).to_owned()));
    }
    case
}

const INCLUDES: &[&str] = &[
    "include: [sub/inner.yaml]\n",
    "include:\n  - path: sub/inner.yaml\n    env_file: one.env\n",
    "include: [{path: sub/inner.yaml, project_directory: .}]\n",
    "include: [{path: [sub/inner.yaml, sub/inner.yaml]}]\n",
];
const SHARED: &[&str] = &[
    "x-a: &a {}\n",
    "x-a: &a\n  ports: [\"6000:6000\"]\n  restart: always\n",
    "x-a: &a {environment: {X: 1}, expose: [1]}\n",
];

fn project(random: &mut Random, file: &str) -> String {
    let mut text = String::new();
    if random.one_in(4) {
        text += random.pick(INCLUDES);
    }
    text += random.pick(SHARED);
    text += &services(random, &["web", "db", "job", "x"], file);
    text += "networks: {n: {}}\nvolumes: {data: }\n";
    if random.one_in(8) {
        text += "---\n";
        text += &services(random, &["web", "db"], file).replace("<<: *a", "restart: always");
    }
    text
}

fn services(random: &mut Random, names: &[&str], file: &str) -> String {
    let mut text = "services:\n".to_owned();
    for (at, name) in names.iter().enumerate() {
        writeln!(text, "  {name}:").unwrap();
        if file.starts_with("compose") && random.one_in(4) {
            text += "    <<: *a\n";
        }
        let image = random.pick(&[
            "a",
            "a:${TAG:-1}",
            "${IMAGE:-a}",
            "'$$a'",
            "r.io/a/b@sha256:00",
        ]);
        if !random.one_in(40) {
            writeln!(text, "    image: {image}").unwrap();
        }
        let mut given = vec![];
        for _ in 0..random.below(4) {
            let (key, value) = key(random, &names[..at], name, file);
            if !key.is_empty() && !given.contains(&key) {
                writeln!(text, "    {key}: {value}").unwrap();
                given.push(key);
            }
        }
        if random.one_in(2) {
            text += &ports(random);
        }
    }
    text
}

/// A key and its value; `before` are the services above.
fn key(random: &mut Random, before: &[&str], name: &str, file: &str) -> (&'static str, String) {
    let sound = before
        .iter()
        .copied()
        .filter(|name| ["web", "db", "inner", "base"].contains(name))
        .collect::<Vec<_>>();
    let other = if sound.is_empty() {
        ""
    } else {
        random.pick(&sound)
    };
    let base = if file.starts_with("sub/") {
        "../base.yaml"
    } else {
        "base.yaml"
    };
    match random.below(12) {
        0 if !other.is_empty() => ("depends_on", leaning(random, other)),
        1 if !other.is_empty() => ("links", format!("[{other}]")),
        2 if !before.is_empty() => ("extends", random.pick(before).to_owned()),
        3 if file != "base.yaml" => (
            "extends",
            format!("{{file: {base}, service: {}}}", random.pick(&["base", "b"])),
        ),
        4 if ["job", "x", "i"].contains(&name) => (
            "profiles",
            random.pick(&["[p]", "[q]", "[p, q]", "[]"]).to_owned(),
        ),
        5 if name == "web" => (
            "networks",
            random
                .pick(&["[n]", "{n: {aliases: [w]}}", "[n, default]"])
                .to_owned(),
        ),
        5 if name == "x" => (
            "network_mode",
            random.pick(&["host", "none", "bridge"]).to_owned(),
        ),
        6 if name == "web" => ("scale", random.pick(&["1", "\"2\"", "${N:-3}"]).to_owned()),
        _ => plain(random),
    }
}

fn leaning(random: &mut Random, other: &str) -> String {
    let condition = random.pick(&["service_started", "service_healthy"]);
    let mapping = format!(
        "{{{other}: {{condition: {condition}, required: {}}}}}",
        random.pick(&["true", "false"])
    );
    if random.one_in(2) {
        format!("[{other}]")
    } else {
        mapping
    }
}

fn plain(random: &mut Random) -> (&'static str, String) {
    let choices: &[(&str, &[&str])] = &[
        (
            "environment",
            &[
                "[A=1, B, C=$PORT]",
                "{A: 1.0, B: , C: \"${HOST}\", D: 0x1f, E: yes, F: 1e2}",
                "{A: !reset null, B: on}",
                "!override [Z=1]",
                "[\"A=${A:+x}\", \"D=$$\"]",
                "",
            ],
        ),
        (
            "env_file",
            &[
                "one.env",
                ".env",
                "[{path: none.env, required: false}, .env]",
                "[{path: .env, format: raw}]",
            ],
        ),
        (
            "volumes",
            &["[\"data:/v\", \"./x:/x:ro\"]", "[/y]", "!reset []"],
        ),
        (
            "command",
            &["a b", "[a, \"1\"]", "\"$$HOME\"", "", "echo '${PORT}'"],
        ),
        (
            "healthcheck",
            &[
                "{test: [CMD, x], interval: 1s}",
                "{test: x, timeout: 1m30s}",
                "{disable: true}",
            ],
        ),
        ("deploy", &["{}", "{resources: {limits: {memory: 1g}}}"]),
        (
            "build",
            &[
                ".",
                "{context: ., args: [A]}",
                "{dockerfile_inline: x}",
                "!reset null",
            ],
        ),
        ("labels", &["[a=b]", "{a: 1, b: }"]),
        ("expose", &["[80]", "[\"80\", \"81-82\"]"]),
    ];
    let (key, values) = choices[random.below(choices.len())];
    (key, random.pick(values).to_owned())
}

fn ports(random: &mut Random) -> String {
    let tag = if random.one_in(6) {
        random.pick(&[" !override", " !reset"])
    } else {
        ""
    };
    let mut text = format!("    ports:{tag}\n");
    for _ in 0..=random.below(3) {
        let entry = if random.one_in(30) {
            odd_port(random)
        } else {
            port(random)
        };
        writeln!(text, "      - {entry}").unwrap();
    }
    text
}

/// Sound, and one of few, so that files have some in common.
fn port(random: &mut Random) -> String {
    let sides = random.pick(&[
        "8080:80",
        "80:80",
        "8000-8002:80",
        "8000-8002:8000-8002",
        "8001:8001",
        "${PORT:-81}:80",
        "0:80",
        ":80",
    ]);
    let host = random.pick(&[
        "",
        "",
        "",
        "127.0.0.1:",
        "0.0.0.0:",
        "[::1]:",
        "[::]:",
        "${HOST:-127.0.0.1}:",
    ]);
    let protocol = random.pick(&["", "", "", "/udp", "/tcp", "/sctp", "/TCP"]);
    let alone = random.pick(&[
        "80",
        "443",
        "\"80\"",
        "8000-8002",
        "0120",
        "53/udp",
        "{target: 80}",
    ]);
    let ip = random.pick(&[
        "",
        ", host_ip: 127.0.0.1",
        ", host_ip: 0.0.0.0",
        ", host_ip: \"::\"",
        ", protocol: udp",
        ", mode: host",
    ]);
    let published = random.pick(&[
        "80",
        "\"80\"",
        "8080",
        "8000-8002",
        "\"${PORT:-81}\"",
        "8001",
    ]);
    match random.below(6) {
        0 => alone.to_owned(),
        1 | 2 => format!(
            "{{target: {}, published: {published}{ip}}}",
            random.pick(&["80", "\"80\"", "8001"])
        ),
        _ => format!("\"{host}{sides}{protocol}\""),
    }
}

fn odd_port(random: &mut Random) -> String {
    let published = random.pick(&["${PORT}", "", "70000", "65535", "8002-8000", "x"]);
    let target = random.pick(&[
        "8000-8001",
        "${PORT}",
        "0",
        "80/quic",
        "{target: 80}",
        "080",
    ]);
    let quote = random.pick(&["\"", "'", ""]);
    format!(
        "{quote}{}{published}:{target}{quote}",
        random.pick(&["", "${HOST}:", ":", "::1:", "1.2.3:"])
    )
}

fn env(random: &mut Random) -> String {
    let mut text = String::new();
    for _ in 0..random.below(4) {
        let name = random.pick(&["A", "B", "export C", "D", "COMPOSE_PROFILES"]);
        let value = random.pick(&[
            "1", "\"8080\"", "'8080'", "", "\"a $A\"", "${A:-2}", "8001 # x", "p", "a#b", "$$x",
        ]);
        writeln!(text, "{name}={value}").unwrap();
    }
    if random.one_in(2) {
        writeln!(
            text,
            "PORT={}\nHOST={}",
            random.pick(&["8080", "\"80\"", "81 # x"]),
            random.pick(&["127.0.0.1", "0.0.0.0"])
        )
        .unwrap();
    }
    text
}
