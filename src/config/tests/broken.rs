//! Broken and hostile files: errors, never a panic, and soon.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::merge;
use super::super::{check, decode, schema, yaml};
use super::{Shop, problems};
use crate::error::Error;

const VALID: &str = "\
name: shop
profile: mini
cluster: {provider: kind, name: devk}
images:
  api: &api {context: ./api, args: {URL: \"${forward.api.url}\", V: 1.10}}
  web: {<<: *api, target: \"dev\"}
releases:
  - name: shop
    chart: ./chart
    values: [values-dev.yaml]
    set: {a: {b: [1, 0x1f, ~, |
      text
    ]}}
    generate: {secrets.key: hex64}
    timeout: 3m
forwards: {api: 5000, web: {service: shop-web, port: 4173, local: 20000}}
allow: {nodePort: true}
";

/// The way of a text through the module, without the files.
fn pass(text: &str) -> Vec<Error> {
    let mut problems = Vec::new();
    if let Some(mut tree) = yaml::parse(text, "/shop/devk.yaml".as_ref(), &mut problems) {
        merge::expand(&mut tree, &schema::ROOT);
        let merged = merge::merge(tree.clone(), tree, &schema::ROOT);
        check::check(&merged, &schema::ROOT, "", &mut problems);
        decode::decode(&merged, &mut problems);
    }
    problems
}

/// One change to a text: bytes from `at` cut, and something put in their place.
#[derive(Debug, Clone)]
struct Edit {
    at: prop::sample::Index,
    cut: usize,
    put: String,
}

fn change() -> impl Strategy<Value = Edit> {
    let put = prop_oneof![
        "[-\\[\\]{}:,&*!|>'\"%@`#?~ \n\t]{0,3}",
        any::<char>().prop_map(String::from),
        Just("${forward.".to_owned()),
        Just("<<: *api".to_owned()),
        Just("\u{feff}---\n".to_owned()),
    ];
    (any::<prop::sample::Index>(), 0usize..12, put).prop_map(|(at, cut, put)| Edit { at, cut, put })
}

fn apply(text: &str, change: &Edit) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = change.at.index(chars.len() + 1);
    let end = (at + change.cut).min(chars.len());
    chars[..at]
        .iter()
        .chain(change.put.chars().collect::<Vec<_>>().iter())
        .chain(&chars[end..])
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mutated_file_gives_problems_with_lines_and_no_panic(changes in prop::collection::vec(change(), 1..6)) {
        let text = changes.iter().fold(VALID.to_owned(), |text, change| apply(&text, change));
        let lines = text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count();
        for problem in pass(&text) {
            let line = problem.line.unwrap() as usize;
            prop_assert!((1..=lines + 1).contains(&line), "{problem} of {lines} lines in {text:?}");
        }
    }

    #[test]
    fn arbitrary_text_gives_no_panic(text in "\\PC{0,200}") {
        pass(&text);
    }
}

/// Far beyond what any of these takes, even on a busy machine: only a hang or a blow-up gets there.
const HANG: Duration = Duration::from_secs(60);

fn refused_soon(yaml: &str) -> String {
    let start = Instant::now();
    let found = problems(yaml);
    assert!(start.elapsed() < HANG, "took {:?}", start.elapsed());
    found
}

#[test]
fn deep_nesting_is_refused() {
    insta::assert_snapshot!(refused_soon(&format!("name: {}{}", "[".repeat(200), "]".repeat(200))), @"devk.yaml:1: nested more than 64 levels deep [config.syntax]");
    let blocks: String = (0..200)
        .map(|depth| format!("{}a:\n", " ".repeat(depth)))
        .collect();
    insta::assert_snapshot!(refused_soon(&blocks), @"devk.yaml:65: nested more than 64 levels deep [config.syntax]");
    assert!(refused_soon(&"[".repeat(500_000)).starts_with("devk.yaml:1: "));
    assert!(refused_soon(&"? ".repeat(500_000)).starts_with("devk.yaml:1: "));
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    insta::assert_snapshot!(refused_soon(&bomb), @"devk.yaml:5: more than 100000 values, with all aliases expanded [config.syntax]");
    insta::assert_snapshot!(refused_soon("name: &a [*a]\n"), @"devk.yaml:1: an alias stands inside the value that it names [config.syntax]");
}

#[test]
fn a_huge_file_is_refused() {
    insta::assert_snapshot!(refused_soon(&"# ten megabytes\n".repeat(655_360)), @r"
        devk.yaml:1: the file has 10485760 bytes, and devk reads at most 1048576 [config.syntax]
          move large values to a values file
    ");
}

#[test]
fn a_file_full_of_keys_is_read_soon() {
    let keys: String = (0..40_000).map(|n| format!("k{n}: {n}\n")).collect();
    assert_eq!(
        refused_soon(&keys).matches("[config.unknown-key]").count(),
        40_000
    );
}

#[test]
fn a_device_is_not_read() {
    let shop = Shop::new();
    let source = super::Source {
        file: Some("/dev/zero".into()),
        ..shop.source()
    };
    let errors = super::load_with(&source, &shop.paths(), &super::PROFILES).unwrap_err();
    insta::assert_snapshot!(shop.render(&errors), @r"
        /dev/zero: this is not a file [config.missing]
          name the devk.yaml itself
    ");
}
