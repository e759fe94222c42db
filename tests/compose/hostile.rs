//! Projects made to wear a reader out. Each is read in a process of its own, which tells its time and its memory.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use devk::compose::{self, Options};

use crate::agreement::parent;
use crate::child::output;

/// Memory of the process at its highest.
const MEGABYTES: u64 = 100;
/// Of processor time, for the machine may have other things to do. A release build keeps to a second; without
/// optimisation the same work takes ten times as long.
const TIME: Duration = if cfg!(debug_assertions) {
    Duration::from_secs(10)
} else {
    Duration::from_secs(1)
};
/// After which a process hangs.
const HANGS: Duration = Duration::from_secs(120);

/// Set for the process that reads.
const FOLDER: &str = "DEVK_HOSTILE";

/// The other process: reads the folder it is given, and prints the milliseconds of processor
/// time and the kilobytes.
#[test]
fn reading_process() {
    let Some(dir) = std::env::var_os(FOLDER) else {
        return;
    };
    let began = processor_time();
    let outcome = match compose::load(&Options {
        dir: dir.into(),
        ..Options::default()
    }) {
        Ok(read) => format!(
            "{} services",
            read.map_or(0, |compose| compose.services.len())
        ),
        Err(errors) => errors
            .0
            .first()
            .map(ToString::to_string)
            .unwrap_or_default()
            .chars()
            .take(200)
            .collect(),
    };
    let took = (processor_time() - began).as_millis();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let highest = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    println!(
        "\nread {took} {} {outcome}",
        highest.trim().trim_end_matches(" kB")
    );
}

/// Of all threads of this process: the kernel counts it in hundredths of a second.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let spent: u64 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<u64>().unwrap())
        .sum();
    Duration::from_millis(spent * 10)
}

fn is_read_quickly(name: &str, files: &[(&str, String)]) -> String {
    let parent = parent();
    for (path, text) in files {
        let path = parent.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let (took, kilobytes, outcome) = measured(parent.path());
    println!("{name}: {took:?}, {} MB, {outcome}", kilobytes / 1024);
    assert!(took < TIME, "{name} took {took:?}: {outcome}");
    assert!(
        kilobytes / 1024 < MEGABYTES,
        "{name} took {} MB: {outcome}",
        kilobytes / 1024
    );
    outcome
}

fn measured(dir: &Path) -> (Duration, u64, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "hostile::reading_process",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(FOLDER, dir);
    let output = output(&mut command, HANGS);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = said.lines().find_map(|line| line.strip_prefix("read "));
    let line = line.unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)));
    let mut words = line.splitn(3, ' ');
    let mut number = || words.next().unwrap().parse::<u64>().unwrap();
    let took = Duration::from_millis(number());
    let kilobytes = number();
    (took, kilobytes, words.next().unwrap_or_default().to_owned())
}

fn refused(name: &str, files: &[(&str, String)]) {
    let outcome = is_read_quickly(name, files);
    assert!(
        !outcome.ends_with(" services"),
        "{name} was read: {outcome}"
    );
}

fn compose(text: impl Into<String>) -> [(&'static str, String); 1] {
    [("compose.yaml", text.into())]
}

#[test]
fn aliases_of_aliases() {
    let mut text = "x-0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(text, "x-{level}: &a{level} [{aliases}]").unwrap();
    }
    refused(
        "aliases of lists",
        &compose(format!("{text}services: {{a: {{image: a}}}}\n")),
    );
    let mut text = "x-0: &a0 {k: v}\n".to_owned();
    for level in 1..24 {
        writeln!(
            text,
            "x-{level}: &a{level} {{l: *a{0}, r: *a{0}}}",
            level - 1
        )
        .unwrap();
    }
    refused(
        "aliases of mappings",
        &compose(format!("{text}services: {{a: {{image: a}}}}\n")),
    );
    let mut text = "x-0: &a0 {k: v}\n".to_owned();
    for level in 1..24 {
        writeln!(
            text,
            "x-{level}: &a{level} {{<<: [*a{0}, *a{0}, *a{0}, *a{0}], k{level}: v}}",
            level - 1
        )
        .unwrap();
    }
    is_read_quickly(
        "merge keys of merge keys",
        &compose(format!("{text}services: {{a: {{image: a}}}}\n")),
    );
}

#[test]
fn anchors_within_themselves() {
    refused(
        "a merge key within its anchor",
        &compose("services:\n  a: &a\n    image: a\n    <<: *a\n"),
    );
    refused(
        "an alias within its anchor",
        &compose("services:\n  a: &a {image: a, labels: *a}\n"),
    );
    refused(
        "an alias within its list",
        &compose("x-a: &a [*a]\nservices: {a: {image: a}}\n"),
    );
    refused(
        "two anchors within each other",
        &compose("x-a: &a {b: &b {a: *a, <<: *b}}\nservices: {a: {image: a}}\n"),
    );
}

#[test]
fn ten_megabytes() {
    let mut text = "services:\n".to_owned();
    while text.len() < 10_000_000 {
        writeln!(
            text,
            "  s{}: {{image: a, ports: [\"80:80\", {{target: 443, published: 8443}}]}}",
            text.len()
        )
        .unwrap();
    }
    is_read_quickly("10 MB of services", &compose(text));
    is_read_quickly(
        "10 MB of a scalar",
        &compose(format!("x: \"{}\"\n", "x".repeat(10_000_000))),
    );
    is_read_quickly(
        "10 MB of comments",
        &compose("# nothing\n".repeat(1_000_000)),
    );
    is_read_quickly("10 MB of brackets", &compose("[".repeat(10_000_000)));
    is_read_quickly(
        "10 MB of a list",
        &compose(format!("x-a: [{}]\n", "a, ".repeat(3_000_000))),
    );
    is_read_quickly(
        "10 MB of documents",
        &compose("---\n{}\n".repeat(1_500_000)),
    );
    is_read_quickly("10 MB of zero bytes", &compose("\0".repeat(10_000_000)));
}

#[test]
fn deep_nesting() {
    let deep = 10_000;
    refused(
        "lists",
        &compose(format!("x-a: {}{}\n", "[".repeat(deep), "]".repeat(deep))),
    );
    refused(
        "mappings",
        &compose(format!(
            "x-a: {}{}\n",
            "{a: ".repeat(deep),
            "}".repeat(deep)
        )),
    );
    refused(
        "block lists",
        &compose(format!("x-a:\n  {}a\n", "- ".repeat(deep))),
    );
    let mut text = String::new();
    for level in 0..deep.min(3_000) {
        writeln!(text, "{}a:", " ".repeat(level)).unwrap();
    }
    refused("block mappings", &compose(text));
    refused("question marks", &compose("? ".repeat(deep)));
}

#[test]
fn interpolation_without_end() {
    let deep = 10_000;
    let image = |value: String| {
        compose(format!(
            "services: {{a: {{image: a, command: \"{value}\"}}}}\n"
        ))
    };
    is_read_quickly(
        "defaults in defaults",
        &image(format!("{}x{}", "${A:-".repeat(deep), "}".repeat(deep))),
    );
    is_read_quickly("defaults that stay open", &image("${A:-".repeat(deep)));
    is_read_quickly("many variables", &image("${A:-b}".repeat(100_000)));
    is_read_quickly("many dollars", &image("$$".repeat(1_000_000)));
    is_read_quickly(
        "many braces",
        &image(format!("${{A:-{}", "{".repeat(100_000))),
    );
    is_read_quickly(
        "many operators",
        &image(format!("${{A{}}}", ":-".repeat(100_000))),
    );
    let mut env = "V0=xxxxxxxxxx\n".to_owned();
    for level in 1..40 {
        writeln!(
            env,
            "V{level}={}",
            format!("${{V{}}}", level - 1).repeat(10)
        )
        .unwrap();
    }
    is_read_quickly(
        "variables of variables",
        &[image("${V39}".to_owned())[0].clone(), (".env", env)],
    );
}

#[test]
fn cycles_of_files() {
    refused(
        "an include of itself",
        &compose("include: [compose.yaml]\nservices: {a: {image: a}}\n"),
    );
    refused(
        "an include of itself by another path",
        &compose("include: [./x/../compose.yaml]\nservices: {a: {image: a}}\n"),
    );
    let one = ("compose.yaml", "include: [b/compose.yaml]\n".to_owned());
    refused(
        "two that include each other",
        &[
            one,
            ("b/compose.yaml", "include: [../compose.yaml]\n".to_owned()),
        ],
    );
    let both = "include: [compose.yaml, ./compose.yaml, b.yaml]\n".to_owned();
    refused(
        "many ways in circles",
        &[("compose.yaml", both.clone()), ("b.yaml", both)],
    );
    refused(
        "extends in a circle",
        &compose("services: {a: {extends: b}, b: {extends: c}, c: {extends: a}}\n"),
    );
    let one = (
        "compose.yaml",
        "services: {a: {extends: {file: b.yaml, service: a}}}\n".to_owned(),
    );
    refused(
        "extends in a circle of files",
        &[
            one,
            (
                "b.yaml",
                "services: {a: {extends: {file: ./compose.yaml, service: a}}}\n".to_owned(),
            ),
        ],
    );
}

#[test]
fn files_of_files() {
    let mut files = vec![];
    for level in 0..16 {
        let text = format!(
            "include: [f{0}.yaml, f{0}.yaml]\nservices: {{s{level}: {{image: a}}}}\n",
            level + 1
        );
        files.push((format!("f{level}.yaml"), text));
    }
    files.push((
        "f16.yaml".to_owned(),
        "services: {last: {image: a}}\n".to_owned(),
    ));
    files.push(("compose.yaml".to_owned(), "include: [f0.yaml]\n".to_owned()));
    let files: Vec<_> = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.clone()))
        .collect();
    is_read_quickly("each file included twice by the one before", &files);
}

#[test]
fn long_chains() {
    let mut text = "services:\n  s0: {image: a, ports: [\"1\"]}\n".to_owned();
    for at in 1..2_000 {
        writeln!(text, "  s{at}: {{extends: s{}}}", at - 1).unwrap();
    }
    is_read_quickly("a chain of extends", &compose(text));
    let mut text = "services:\n  s0: {image: a}\n".to_owned();
    for at in 1..10_000 {
        writeln!(text, "  s{at}: {{image: a, depends_on: [s{}]}}", at - 1).unwrap();
    }
    is_read_quickly("a chain of dependencies", &compose(text));
    let mut text = "services:\n".to_owned();
    for at in 0..60 {
        let on: Vec<_> = (0..at).map(|other| format!("s{other}")).collect();
        writeln!(
            text,
            "  s{at}: {{image: a, depends_on: [{}]}}",
            on.join(", ")
        )
        .unwrap();
    }
    is_read_quickly("a lattice of dependencies", &compose(text));
}

#[test]
fn many_of_a_kind() {
    let mut text = "services:\n".to_owned();
    for at in 0..100_000 {
        writeln!(
            text,
            "  s{at}: {{image: a, ports: [\"{}:80\"]}}",
            at % 65_535 + 1
        )
        .unwrap();
    }
    is_read_quickly("100,000 services", &compose(text));
    is_read_quickly(
        "a range of all ports",
        &compose("services: {a: {image: a, ports: [\"1-65535:1-65535\"]}}\n"),
    );
    let ranges = vec!["\"1-65535:1-65535\""; 200].join(", ");
    is_read_quickly(
        "all ports many times",
        &compose(format!(
            "services: {{a: {{image: a, ports: [{ranges}]}}}}\n"
        )),
    );
    let mut text = "x-p: &p [\"1-65535:1-65535/udp\"]\nservices:\n".to_owned();
    for at in 0..500 {
        writeln!(text, "  s{at}: {{image: a, ports: *p}}").unwrap();
    }
    is_read_quickly("all ports in many services", &compose(text));
    let ports: Vec<_> = (1..50_000)
        .map(|port| format!("\"{port}:{port}\""))
        .collect();
    is_read_quickly(
        "50,000 ports",
        &compose(format!(
            "services: {{a: {{image: a, ports: [{}]}}}}\n",
            ports.join(", ")
        )),
    );
}
