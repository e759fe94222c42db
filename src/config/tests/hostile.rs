//! Files that are written to harm: paths that lead out, names that are commands.

use super::{Shop, problems};
use crate::error::Code;

/// What a shell, a terminal or a file system would make something else of.
fn hostile() -> Vec<String> {
    let long = "x".repeat(10_000);
    let texts = [
        "a b",
        "a\nb",
        "a\r\nb",
        "a\tb",
        "a\0b",
        "a\x1b[2Jb",
        "it's",
        "say \"it\"",
        "$(id)",
        "`id`",
        "a;id",
        "a|id",
        "a&id",
        "a>b",
        "a*b",
        "a\\b",
        "${HOME}",
        "%s",
        "../a",
        "a/../b",
        "/etc",
        "-rf",
        ".",
        "..",
        "~",
        "ä",
        "a\u{202e}b",
        &long,
    ];
    texts.map(str::to_owned).to_vec()
}

fn quoted(text: &str) -> String {
    // JSON's strings are YAML's.
    serde_json::to_string(text).unwrap()
}

#[test]
fn a_name_that_means_something_to_a_shell_or_a_file_system_is_refused_at_its_line() {
    const NAMED: [&str; 10] = [
        "name: NAME",
        "profile: NAME",
        "cluster: {name: NAME}",
        "cluster: {provider: NAME}",
        "images: {NAME: {context: ./api}}",
        "releases: [{name: NAME, chart: ./chart}]",
        "releases: [{name: a, chart: ./chart, timeout: NAME}]",
        "releases: [{name: a, chart: ./chart, generate: {a: NAME}}]",
        "forwards: {NAME: 80}",
        "forwards: {a: {service: NAME, port: 80}}",
    ];
    for text in hostile() {
        for yaml in NAMED {
            let yaml = format!("# one\n{}\n", yaml.replace("NAME", &quoted(&text)));
            let yaml = if yaml.contains("releases") {
                yaml
            } else {
                yaml + "releases: [{name: a, chart: ./chart}]\n"
            };
            let errors = Shop::with(&yaml).load().expect_err(&yaml);
            assert!(
                errors.0.iter().any(|error| error.line == Some(2)),
                "{yaml}: {errors:?}"
            );
        }
    }
}

#[test]
fn files_are_named_by_their_path_and_by_nothing_that_a_shell_makes_of_it() {
    for text in hostile() {
        for yaml in ["chart: NAME}]", "chart: ./chart, values: [NAME]}]"] {
            let yaml = format!(
                "releases: [{{name: a, {}\n",
                yaml.replace("NAME", &quoted(&format!("./no/{text}")))
            );
            let errors = Shop::with(&yaml).load().expect_err(&yaml);
            let known = [Code::ConfigPath, Code::ChartMissing];
            assert!(
                errors.0.iter().all(|error| known.contains(&error.code)),
                "{yaml}: {errors:?}"
            );
        }
    }
}

#[test]
fn a_sync_rule_stays_in_the_context_and_names_one_place_in_the_container() {
    let rule = |from: &str, to: &str| {
        let from = quoted(from);
        let to = quoted(to);
        format!(
            "images: {{api: {{context: ./api, sync: [{{from: {from}, to: {to}}}]}}}}\nreleases: [{{name: a, chart: ./chart}}]\n"
        )
    };
    for from in ["..", "../web", "app/../../web", "/etc", "/", "./.."] {
        let found = problems(&rule(from, "/srv"));
        assert!(
            found.contains("is not a path in the build context [config.value]"),
            "{from}: {found}"
        );
    }
    for to in [
        "srv",
        "../etc",
        "./srv",
        "/srv/../etc",
        "/..",
        "/srv\n/etc",
        "~",
        "C:\\srv",
    ] {
        let found = problems(&rule(".", to));
        assert!(
            found.contains("is not an absolute path in the container [config.value]"),
            "{to}: {found}"
        );
    }
    Shop::with(&rule("app", "/srv/it's $(id)")).load().unwrap();
}

#[test]
fn ten_thousand_forwards_are_read() {
    let forwards: String = (0..10_000)
        .map(|n| format!("  f{n}: {{service: s{n}, port: 80}}\n"))
        .collect();
    let shop = Shop::with(&format!(
        "releases: [{{name: a, chart: ./chart}}]\nforwards:\n{forwards}"
    ));
    assert_eq!(shop.load().unwrap().forwards.unwrap().len(), 10_000);
}
