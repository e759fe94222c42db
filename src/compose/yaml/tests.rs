//! What Compose's YAML library reads and refuses; each case was tried there.

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Result<Vec<Document>> {
    parse(text.as_bytes(), Path::new("/shop/compose.yaml"))
}

/// The one document, in a form that reads like JSON.
fn shown(text: &str) -> String {
    match read(text).as_deref() {
        Ok([document]) => show(&document.root),
        other => panic!("{text:?}: {other:?}"),
    }
}

fn show(node: &YamlNode) -> String {
    match &node.data {
        YamlData::Null => "null".to_owned(),
        YamlData::Bool(flag) => flag.to_string(),
        YamlData::Int(int) => int.to_string(),
        YamlData::Float(float) => format!("{float:?}"),
        YamlData::Time(text) => format!("time({text})"),
        YamlData::Text(text) => format!("{text:?}"),
        YamlData::List(items) => format!(
            "[{}]",
            items.iter().map(show).collect::<Vec<_>>().join(", ")
        ),
        YamlData::Map(entries) => {
            let show = |entry: &YamlEntry| format!("{}: {}", entry.key, show(&entry.value));
            format!(
                "{{{}}}",
                entries.iter().map(show).collect::<Vec<_>>().join(", ")
            )
        }
    }
}

fn assert_shown(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(shown(text), *expected, "{text:?}");
    }
}

fn problem(text: &str) -> Error {
    read(text).expect_err(text)
}

fn resets(text: &str) -> Vec<String> {
    let documents = read(text).unwrap();
    documents
        .iter()
        .flat_map(|document| &document.resets)
        .map(|reset| reset.0.join("."))
        .collect()
}

#[test]
fn unquoted_scalars_have_the_types_of_yaml_1_2_and_some_of_1_1() {
    assert_shown(&[
        (
            "[0120, 0o17, 0x1F, 0b11, 1_000, +12, -0b1, 08]",
            "[80, 15, 31, 3, 1000, 12, -1, 8.0]",
        ),
        (
            "[18446744073709551615, 18446744073709551616]",
            "[18446744073709551615, 1.8446744073709552e19]",
        ),
        (
            "[1.5, 1e3, .5, 1., -.inf, .nan, 1e400]",
            "[1.5, 1000.0, 0.5, 1.0, -inf, NaN, \"1e400\"]",
        ),
        (
            "[true, True, false, yes, on, y]",
            "[true, true, false, \"yes\", \"on\", \"y\"]",
        ),
        ("[null, ~, Null, nUll, ]", "[null, null, null, \"nUll\"]"),
        (
            "[22:22, 1:30, 1.2.3, 0o8, _1, 0x]",
            r#"["22:22", "1:30", "1.2.3", "0o8", "_1", "0x"]"#,
        ),
    ]);
}

#[test]
fn dates_are_no_texts() {
    assert_shown(&[
        (
            "[2026-01-02, 2026-1-2T3:4:5Z]",
            "[time(2026-01-02), time(2026-1-2T3:4:5Z)]",
        ),
        (
            "[2026-01-02 03:04:05.6, 2026-1-2t3:4:5+01:00]",
            "[time(2026-01-02 03:04:05.6), time(2026-1-2t3:4:5+01:00)]",
        ),
        (
            "[2026-13-01, 2026-02-29, 2024-02-29, 26-1-1]",
            r#"["2026-13-01", "2026-02-29", time(2024-02-29), "26-1-1"]"#,
        ),
        (
            "[2026-1-2 3:4:5Z, 2026-1-2T3:4:5, 2026-1-2x]",
            r#"["2026-1-2 3:4:5Z", "2026-1-2T3:4:5", "2026-1-2x"]"#,
        ),
    ]);
}

#[test]
fn quotes_and_tags_decide_the_type() {
    assert_shown(&[
        (
            r#"["12", 'true', !!str 12, !!int "12", !!float 1]"#,
            r#"["12", "true", "12", 12, 1.0]"#,
        ),
        (
            "[! 12, !foo 12, !!binary aGk=, !!timestamp \"2026-01-02\"]",
            r#"[12, "12", "hi", time(2026-01-02)]"#,
        ),
        (
            "{a: !override 8080, b: !override }",
            r#"{a: "8080", b: ""}"#,
        ),
    ]);
    for text in [
        "a: !!int abc",
        "a: !!bool yes",
        "a: !!binary ***",
        "a: !e!x 1",
    ] {
        problem(text);
    }
}

#[test]
fn scalars_of_several_lines_are_folded() {
    assert_shown(&[
        ("a: one\n  two\n\n  three", r#"{a: "one two\nthree"}"#),
        (
            "a: \"one\ntwo \\\n  three\\n\"",
            r#"{a: "one two three\n"}"#,
        ),
        ("a: 'it''s\n\n  fine'", r#"{a: "it's\nfine"}"#),
        ("a: |\n  x\n   y\n\n", r#"{a: "x\n y\n"}"#),
        ("a: |-\n  x\n\nb: |+\n  y\n\n", r#"{a: "x", b: "y\n\n"}"#),
        ("a: >\n  x\n  y\n\n  z\n", r#"{a: "x y\nz\n"}"#),
        ("a: |2\n   x\n  y", r#"{a: " x\ny"}"#),
    ]);
}

#[test]
fn what_yaml_1_2_takes_otherwise_is_read_as_compose_does() {
    assert_shown(&[
        ("{a:b}", "{a:b: null}"),
        ("{\"a\":1}", "{a: 1}"),
        ("- [a: b, c]", r#"[[{a: "b"}, "c"]]"#),
        (
            "a:\n- b\n-\n- c: d\n  e: f",
            r#"{a: ["b", null, {c: "d", e: "f"}]}"#,
        ),
        ("? a\n: b", r#"{a: "b"}"#),
        ("# c\n\t# d\na:\tb # e", r#"{a: "b"}"#),
        ("\u{FEFF}a: b", r#"{a: "b"}"#),
        ("a: b\r\nc: d\r", r#"{a: "b", c: "d"}"#),
        ("a: [\nb\n]", r#"{a: ["b"]}"#),
        ("a: x#y", r#"{a: "x#y"}"#),
    ]);
    assert_eq!(
        show(&parse(b"\xFF\xFEa\0:\0 \0b\0", Path::new("/f")).unwrap()[0].root),
        r#"{a: "b"}"#
    );
}

#[test]
fn broken_texts_are_refused_at_their_line() {
    for (text, line) in [
        ("a: b\n\tc: d", 2),
        ("a: b\nc", 2),
        ("a: \"b\nc: d", 1),
        ("a: [b\nc: d", 2),
        ("a: b\n c: d", 2),
        ("a: *nothing", 1),
        ("a: @b", 1),
        ("a: b\n---\n- c\nd: e", 4),
        ("a: \"\\/\"", 1),
        ("%YAML 1.2\n---\na: b", 1),
        ("a: b\n\x07", 2),
        ("a: |\n\tb", 2),
        ("a: b: c", 1),
        ("- a\n b: c", 2),
        ("[a, b", 1),
    ] {
        assert_eq!(
            problem(text).line,
            Some(line),
            "{text:?}: {}",
            problem(text)
        );
    }
    assert!(parse(b"a: \xC3\x28", Path::new("/f")).is_err());
}

#[test]
fn keys_are_unique_texts() {
    let error = problem("a: 1\nb: 2\n'a': 3");
    assert_eq!(
        (error.line, error.message.as_str()),
        (
            Some(3),
            "the key `a` stands here a second time; the first is in line 1"
        )
    );
    for text in [
        "1: a",
        "true: a",
        "~: a",
        "[a]: b",
        "{a: b}: c",
        "2026-01-02: a",
    ] {
        problem(text);
    }
    assert_shown(&[("!!str 1: a", r#"{1: "a"}"#), ("<<: {1: a}", r#"{1: "a"}"#)]);
}

#[test]
fn a_key_ends_on_its_line_within_1024_characters() {
    assert_eq!(
        shown(&format!("{}: b", "a".repeat(1024))).len(),
        1024 + "{: \"b\"}".len()
    );
    problem(&format!("{}: b", "a".repeat(1025)));
}

#[test]
fn aliases_stand_for_what_they_name_in_later_documents_too() {
    assert_shown(&[
        ("a: &x [1]\nb: *x", "{a: [1], b: [1]}"),
        ("a: &x 1\nb: &x 2\nc: *x", "{a: 1, b: 2, c: 2}"),
        ("&k a: 1\nb: *k", r#"{a: 1, b: "a"}"#),
    ]);
    let documents = read("a: &x 1\n---\nb: *x").unwrap();
    assert_eq!(
        documents
            .iter()
            .map(|document| show(&document.root))
            .collect::<Vec<_>>(),
        ["{a: 1}", "{b: 1}"]
    );
}

#[test]
fn merge_keys_bring_what_is_not_there_yet() {
    assert_shown(&[
        (
            "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}",
            "{a: {x: 1, y: 2}, b: {y: 3, x: 1}}",
        ),
        ("a: {<<: [{x: 1}, {x: 2, y: 3}]}", "{a: {x: 1, y: 3}}"),
        ("a: {<<: {<<: {x: 1}, y: 2}}", "{a: {y: 2, x: 1}}"),
        ("a: {'<<': 1}", "{a: {<<: 1}}"),
    ]);
    for text in [
        "a: {<<: 1}",
        "a: {<<: [1]}",
        "a: {<<: }",
        "a:\n  <<: {x: 1}\n  <<: {y: 1}",
    ] {
        problem(text);
    }
}

#[test]
fn every_value_knows_its_line() {
    let root = read("a:\n  - b\n  -\n    c: |\n      d\n  - &e\n    f: g\n")
        .unwrap()
        .remove(0)
        .root;
    let items = root.get("a").unwrap().items();
    assert_eq!(
        items.iter().map(|item| item.place.line).collect::<Vec<_>>(),
        [2, 4, 6]
    );
    let entry = &items[1].entries()[0];
    assert_eq!(
        (entry.place.line, entry.value.place.line, entry.value.text()),
        (4, 4, Some("d\n"))
    );
}

#[test]
fn documents_are_told_apart_and_comments_are_none() {
    assert_eq!(read("# only this\n").unwrap(), []);
    assert_eq!(read("a: 1\n---\nb: 2\n...\n---\n").unwrap().len(), 3);
    assert_eq!(shown("---\n"), "null");
}

#[test]
fn reset_takes_a_value_away_and_override_keeps_it() {
    let text = "services:\n  web:\n    ports: !reset []\n    image: !override x\n    list: [a, !reset b]\n";
    assert_eq!(
        shown(text),
        r#"{services: {web: {image: "x", list: ["a"]}}}"#
    );
    assert_eq!(
        resets(text),
        [
            "services.web.ports",
            "services.web.image",
            "services.web.list.1"
        ]
    );
    problem("!reset a: b\n---\n!reset {a: b}");
}

#[test]
fn resets_are_found_through_aliases_and_merge_keys_once() {
    assert_eq!(resets("a: {<<: {b: !reset 1}}"), ["a.b"]);
    assert_eq!(resets("x: &x !reset 1\na: *x"), ["x", "a"]);
    // The first visit removes the value, so nothing is left to reset where it is merged.
    assert_eq!(resets("x: &x {b: !reset 1}\na: {<<: *x}"), ["x.b"]);
    assert_eq!(
        resets("x: &x {b: !override 1}\na: {<<: *x}"),
        ["x.b", "a.b"]
    );
    assert_eq!(
        shown("x: {b: 1}\na: {<<: {b: 1}, b: !reset 2}"),
        "{x: {b: 1}, a: {b: 1}}"
    );
}

#[test]
fn aliases_that_lead_back_are_refused_and_also_what_compose_takes_for_that() {
    for text in ["a: &a [*a]", "a: &a {b: *a}", "a: &a {b: {c: *a}}"] {
        assert!(
            problem(text).message.contains("leads back"),
            "{text}: {}",
            problem(text)
        );
    }
    // Compose itself ends with an exhausted stack.
    problem("a: &a {<<: *a}");
    problem("x: &x {a: 1}\nb:\n  <<: *x\n  c: *x");
    shown("x: &x {a: 1}\nb:\n  d: *x\n  c: *x");
}

#[test]
fn hostile_texts_end_soon_with_an_error() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..20 {
        let item = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", [item.as_str(); 10].join(", "));
    }
    let merges = format!(
        "a: &a {{{}}}\nb: !override\n  <<: [{}]",
        pairs(1000),
        vec!["*a"; 1000].join(",")
    );
    for text in [
        bomb,
        merges,
        "[".repeat(10 << 20),
        "- ".repeat(5 << 20),
        format!("a: [{}]", "b,".repeat(1 << 20)),
    ] {
        let begun = std::time::Instant::now();
        problem(&text);
        assert!(
            begun.elapsed().as_secs() < 20,
            "{:?} in a debug build",
            begun.elapsed()
        );
    }
}

fn pairs(count: usize) -> String {
    (0..count).map(|index| format!("k{index}: 1, ")).collect()
}

#[test]
fn nesting_to_the_limit_is_read_on_the_stack_of_any_thread() {
    let text = "[".repeat(MAX_DEPTH - 1) + &"]".repeat(MAX_DEPTH - 1);
    let run = std::thread::Builder::new()
        .stack_size(1 << 20)
        .spawn(move || read(&text).is_ok())
        .unwrap();
    assert!(run.join().unwrap());
}

/// Texts of what means something in YAML.
fn yaml_like() -> impl Strategy<Value = String> {
    const PARTS: &str = "a·b: ·- ·? ·: ·:·\n·\n  ·\n    ·\t· ·[·]·{·}·,·&a ·*a·<<: ·!reset ·!override ·!!int ·!<·%TAG ! x\n·\
        ---\n·...\n·\"·'·\\·|\n·>-\n·#·\r\n·\u{85}·\u{FEFF}·é·0·~";
    let parts: Vec<&str> = PARTS.split('·').collect();
    prop::collection::vec(prop::sample::select(parts), 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes, Path::new("/f"));
    }

    #[test]
    fn any_yaml_is_read_or_refused_with_a_line(text in yaml_like()) {
        if let Err(error) = read(&text) {
            prop_assert!(error.line.is_some_and(|line| line as usize <= text.len() + 1));
        }
    }

    #[test]
    fn a_text_in_double_quotes_is_that_text(text in "[ -~äé\n]*") {
        let quoted = serde_json::to_string(&text).unwrap();
        let documents = read(&quoted).unwrap();
        prop_assert_eq!(documents[0].root.text(), Some(text.as_str()));
    }
}
