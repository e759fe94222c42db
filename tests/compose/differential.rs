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
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[test]
#[ignore = "asks the real docker compose thousands of times"]
fn differential() {
    let (runs, seed) = (number("RUNS", 1_000), number("SEED", 1));
    let corpus: Vec<_> =
        topics().into_iter().flat_map(|topic| topic.cases).filter(|case| case.in_place.is_none()).collect();
    let seeds: Vec<_> = (0..runs).map(|run| seed.wrapping_mul(1_000_003) + run).collect();
    let parent = parent();
    let found = in_parallel(&seeds, |seed| {
        let mut random = Random(*seed);
        let mut case = if random.one_in(2) { grown(&mut random) } else { mutated(&mut random, &corpus) };
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
    assert!(found.is_empty(), "{}\n{} of {runs} differ", found.join("\n"), found.len());
}

/// As it would stand in a topic.
fn shown(case: &Case) -> String {
    let mut text = format!("=== {}\n", case.name);
    case.env.iter().for_each(|(name, value)| writeln!(text, "env: {name}={value}").unwrap());
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
    let edits: Vec<_> = (0..=random.below(3)).map(|_| edit(random)).collect();
    edited(case, &edits, corpus)
}

fn edit(random: &mut Random) -> Edit {
    let bits = random.next();
    let [kind, length, ..] = bits.to_le_bytes();
    let word = u32::try_from(bits >> 32).unwrap();
    Edit { kind, length: length % 12, word, at: u32::try_from(random.next() >> 32).unwrap() }
}

/// A project from scratch: mostly right, with everything that Compose has for putting files together.
fn grown(random: &mut Random) -> Case {
    let mut case = Case::default();
    let mut file = |path: &str, text: String| case.files.push(File { path: path.to_owned(), text });
    file("compose.yaml", project(random, "compose.yaml"));
    file("base.yaml", services(random, &["base", "b"], "base.yaml"));
    if random.one_in(2) {
        file("compose.override.yaml", project(random, "compose.override.yaml"));
    }
    file("sub/inner.yaml", services(random, &["inner", "i"], "sub/inner.yaml"));
    file(".env", env(random));
    file("sub/.env", env(random));
    file("one.env", env(random));
    if random.one_in(3) {
        case.args.extend(["--profile", random.pick(&["p", "q", "*"])].map(str::to_owned));
    }
    if random.one_in(4) {
        case.env.push((
            random.pick(&["PORT", "HOST", "IMAGE", "COMPOSE_PROFILES"]).to_owned(),
            random.pick(&["", "7", "p"]).to_owned(),
        ));
    }
    case
}

fn project(random: &mut Random, file: &str) -> String {
    let mut text = String::new();
    if random.one_in(4) {
        text += random.pick(&[
            "include: [sub/inner.yaml]\n",
            "include:\n  - path: sub/inner.yaml\n    env_file: one.env\n",
            "include: [{path: sub/inner.yaml, project_directory: .}]\n",
        ]);
    }
    if random.one_in(4) {
        text += random.pick(&[
            "x-a: &a\n  ports: [\"6000:6000\"]\n  restart: always\n",
            "x-a: &a {environment: {X: 1}, expose: [1]}\n",
        ]);
    } else {
        text += "x-a: &a {}\n";
    }
    text += &services(random, &["web", "db", "job", "x"], file);
    if random.one_in(2) {
        text += "networks: {n: {}}\nvolumes: {v: }\n";
    }
    if random.one_in(8) {
        text += "---\n";
        text += &services(random, &["web", "db"], file);
    }
    text
}

fn services(random: &mut Random, names: &[&str], file: &str) -> String {
    let mut text = "services:\n".to_owned();
    for name in names {
        writeln!(text, "  {name}:").unwrap();
        if file == "compose.yaml" && random.one_in(4) {
            text += "    <<: *a\n";
        }
        if !random.one_in(12) {
            writeln!(
                text,
                "    image: {}",
                random.pick(&["a", "a:${TAG:-1}", "${IMAGE-a}", "'$$a'", "r.io/a/b@sha256:00"])
            )
            .unwrap();
        }
        for _ in 0..random.below(3) {
            let key = key(random, names, file);
            let name = key.trim_start().split(':').next().unwrap().to_owned();
            if !random.one_in(40)
                && text
                    .rsplit("\n  ")
                    .take_while(|line| line.starts_with("  "))
                    .any(|line| line.trim_start().starts_with(&format!("{name}:")))
            {
                continue;
            }
            text += &key;
        }
        if random.one_in(2) {
            text += &ports(random);
        }
    }
    text
}

fn key(random: &mut Random, names: &[&str], file: &str) -> String {
    let other = random.pick(names);
    let base = if file.starts_with("sub/") { "../base.yaml" } else { "base.yaml" };
    match random.below(16) {
        0 => format!("    depends_on: [{other}]\n"),
        1 => format!(
            "    depends_on: {{{other}: {{condition: service_started, required: {}}}}}\n",
            random.pick(&["true", "false"])
        ),
        2 => format!("    extends: {other}\n"),
        3 if file != "base.yaml" => {
            format!("    extends: {{file: {base}, service: {}}}\n", random.pick(&["base", "b"]))
        }
        4 => format!("    profiles: [{}]\n", random.pick(&["p", "q", "p, q", ""])),
        5 => format!(
            "    environment: {}\n",
            random.pick(&[
                "[A=1, B, C=$PORT]",
                "{A: 1.0, B: , C: \"${HOST}\", D: 0x1f, E: yes, F: 1e2}",
                "{A: !reset null, B: on}",
                "!override [Z=1]"
            ])
        ),
        6 => format!(
            "    env_file: {}\n",
            random.pick(&[
                "one.env",
                ".env",
                "[{path: none.env, required: false}, .env]",
                "[{path: .env, format: raw}]"
            ])
        ),
        7 => format!("    network_mode: {}\n", random.pick(&["host", "none", "\"service:db\"", "bridge"])),
        8 => "    networks: [n]\n".to_owned(),
        9 => "    volumes: [\"v:/v\", \"./x:/x:ro\"]\n".to_owned(),
        10 => format!("    scale: {}\n", random.pick(&["1", "\"2\"", "${N:-3}"])),
        11 => format!("    command: {}\n", random.pick(&["a b", "[a, \"1\"]", "\"$$HOME\"", "", "echo '${PORT}'"])),
        12 => format!(
            "    healthcheck: {{test: {}, interval: {}}}\n",
            random.pick(&["[CMD, x]", "x", "[NONE]"]),
            random.pick(&["1s", "1m30s", "2h"])
        ),
        13 => format!("    links: [{other}]\n"),
        14 => format!("    deploy: {{replicas: {}}}\n", random.pick(&["1", "2", "0"])),
        _ => format!(
            "    build: {}\n",
            random.pick(&[".", "{context: ., args: [A]}", "{dockerfile_inline: x}", "!reset null"])
        ),
    }
}

fn ports(random: &mut Random) -> String {
    let tag = if random.one_in(6) { random.pick(&[" !override", " !reset"]) } else { "" };
    let mut text = format!("    ports:{tag}\n");
    for _ in 0..=random.below(3) {
        writeln!(text, "      - {}", port(random)).unwrap();
    }
    text
}

fn port(random: &mut Random) -> String {
    let published =
        random.pick(&["80", "8080", "8000-8002", "${PORT}", "${PORT:-81}", "0", "", "8001", "65535", "70000"]);
    let target = random.pick(&["80", "80", "8000-8002", "8001", "${PORT:-81}", "80", "0", "443"]);
    let host = random.pick(&[
        "",
        "",
        "127.0.0.1:",
        "0.0.0.0:",
        "[::1]:",
        "[::]:",
        "::1:",
        "${HOST}:",
        "${HOST:-127.0.0.1}:",
        ":",
    ]);
    let protocol = random.pick(&["", "", "", "/udp", "/tcp", "/sctp", "/TCP"]);
    let quote = random.pick(&["\"", "'", ""]);
    match random.below(8) {
        0 => format!("{quote}{target}{protocol}{quote}"),
        1 => {
            let ip = random.pick(&[
                "",
                ", host_ip: 127.0.0.1",
                ", host_ip: 0.0.0.0",
                ", host_ip: \"::\"",
                ", protocol: udp",
                ", mode: host",
                ", name: n",
            ]);
            let published = random.pick(&["80", "\"80\"", "8000-8002", "\"${PORT:-81}\"", "8001"]);
            format!("{{target: {}, published: {published}{ip}}}", random.pick(&["80", "\"80\"", "8001", "${PORT:-81}"]))
        }
        2 => random.pick(&["{target: 80}", "80", "443", "0120", "22:22", "!reset \"80:80\""]).to_owned(),
        _ => format!("{quote}{host}{published}:{target}{protocol}{quote}"),
    }
}

fn env(random: &mut Random) -> String {
    let mut text = String::new();
    for _ in 0..random.below(4) {
        let name = random.pick(&["PORT", "HOST", "IMAGE", "A", "B", "export C", "TAG", "COMPOSE_PROFILES"]);
        let value = random.pick(&[
            "1",
            "8080",
            "\"8080\"",
            "'8080'",
            "127.0.0.1",
            "",
            "\"a $A\"",
            "${A:-2}",
            "8001 # x",
            "p",
            "a#b",
        ]);
        writeln!(text, "{name}={value}").unwrap();
    }
    text
}
