//! Charts of kinds that are hard to look at, each of which is right: subcharts by alias and condition, texts that are templates
//! themselves, lists, documents of nothing, hooks, definitions, odd YAML, Windows' line ends, thousands of values. No rule may
//! find an error that is none, no place may be one that is not there, and no fix may make anything worse.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use devk::check::{ChartReport, FixFigures, Gate, Severity, sarif};
use devk::config::{CheckConfig, Origin};

use super::case::{all_rules, facts_of, folder, report};
use super::fix::fixed;
use super::places::is_there;

const CHARTS: [&str; 7] = [
    "definitions",
    "dynamic",
    "hooks",
    "lists",
    "nested",
    "notes",
    "schema",
];

fn ugly(chart: &str) -> PathBuf {
    folder("ugly").join(chart)
}

/// Rules of the structural and the functional gate that find something, and those with an error of any gate.
fn errors(report: &ChartReport) -> BTreeSet<&'static str> {
    let dependencies = report.dependencies.iter().flat_map(|of| &of.findings);
    let all = report.findings.iter().chain(dependencies);
    let is_error = |severity| matches!(severity, Severity::Critical | Severity::High);
    let works = |gate| matches!(gate, Gate::Structural | Gate::Functional);
    all.map(|finding| finding.rule)
        .filter(|rule| works(rule.gate) || is_error(rule.severity))
        .map(|rule| rule.id)
        .collect()
}

/// Every place of a report, as SARIF has it.
fn places(report: ChartReport, root: &Path) -> Vec<Origin> {
    let log = sarif(&[report], root);
    let results = log["runs"][0]["results"].as_array().unwrap();
    let lists = |key| {
        results
            .iter()
            .filter_map(move |result| result[key].as_array())
    };
    let all = lists("locations")
        .chain(lists("relatedLocations"))
        .flatten();
    let place = |location: &serde_json::Value| {
        let place = &location["physicalLocation"];
        let uri = place["artifactLocation"]["uri"].as_str().unwrap();
        let path = percent_encoding::percent_decode_str(uri);
        Origin {
            file: root.join(&*path.decode_utf8().unwrap()),
            line: u32::try_from(place["region"]["startLine"].as_u64().unwrap()).unwrap(),
        }
    };
    all.map(place).collect()
}

fn is_right(chart: &Path, expected: &[&str]) {
    let facts = facts_of(chart);
    let name = chart.display();
    let found = report(&facts, &CheckConfig::default());
    let messages: Vec<_> = found.findings.iter().map(|f| &f.message).collect();
    assert!(
        errors(&found).into_iter().eq(expected.iter().copied()),
        "{name}: {messages:#?}"
    );
    let places = places(report(&facts, &all_rules()), chart);
    let gone: Vec<_> = places.iter().filter(|place| !is_there(place)).collect();
    assert!(!places.is_empty() && gone.is_empty(), "{name}: {gone:?}");
}

#[test]
fn nothing_is_found_that_is_none_and_every_place_is_there() {
    for chart in CHARTS {
        // The notes of one fail with its own values, so helm does not install it.
        let expected = if chart == "notes" {
            &["render.default"][..]
        } else {
            &[]
        };
        is_right(&ugly(chart), expected);
    }
}

/// The same charts as an editor on Windows writes them: with a byte order mark and two characters at each line's end, in a
/// folder whose name is no part of an address as it stands.
#[test]
fn line_ends_and_byte_order_marks_of_windows_change_no_finding() {
    for chart in CHARTS {
        let dir = tempfile::tempdir().unwrap();
        let copy = dir.path().join("a b%20ü#1").join(chart);
        for file in walk(&ugly(chart)) {
            let text = std::fs::read_to_string(&file).unwrap();
            let to = copy.join(file.strip_prefix(ugly(chart)).unwrap());
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::write(to, format!("\u{feff}{}", text.replace('\n', "\r\n"))).unwrap();
        }
        let rules = |chart: &Path| {
            let report = report(&facts_of(chart), &CheckConfig::default());
            let rules = report.findings.iter().map(|finding| finding.rule.id);
            rules.collect::<Vec<_>>()
        };
        assert_eq!(rules(&copy), rules(&ugly(chart)), "{chart}");
        let expected = if chart == "notes" {
            &["render.default"][..]
        } else {
            &[]
        };
        is_right(&copy, expected);
    }
}

#[test]
fn thousands_of_values_are_looked_at() {
    let mut values = "services:\n".to_owned();
    for at in 0..600 {
        let on = at % 20 == 0;
        write!(
            values,
            "  of{at}:\n    on: {on}\n    image:\n      repository: registry.example/of{at}\n      tag: \"1.{at}\"\n    port: {}\n    resources:\n      requests: {{cpu: 10m, memory: 32Mi}}\n      limits: {{memory: 64Mi}}\n",
            1000 + at
        )
        .unwrap();
    }
    assert!(values.lines().count() > 5_000);
    let template = r#"{{- range $name, $of := .Values.services }}
{{- if $of.on }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $.Release.Name }}-{{ $name }}
spec:
  selector: {matchLabels: {app: {{ $name }}}}
  template:
    metadata: {labels: {app: {{ $name }}}}
    spec:
      containers:
        - name: main
          image: "{{ $of.image.repository }}:{{ $of.image.tag }}"
          ports: [{name: http, containerPort: {{ $of.port }}}]
          resources: {{- toYaml $of.resources | nindent 12 }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ $.Release.Name }}-{{ $name }}
spec:
  selector: {app: {{ $name }}}
  ports: [{port: 80, targetPort: http}]
{{- end }}
{{- end }}
"#;
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("templates")).unwrap();
    for (file, text) in [
        ("Chart.yaml", "apiVersion: v2\nname: many\nversion: 1.0.0\n"),
        ("values.yaml", &values),
        ("templates/all.yaml", template),
    ] {
        std::fs::write(dir.path().join(file), text).unwrap();
    }
    is_right(dir.path(), &[]);
}

#[test]
fn a_fix_makes_no_ugly_chart_worse() {
    for chart in CHARTS {
        let fix = fixed(
            &ugly(chart),
            &CheckConfig::default(),
            &FixFigures::default(),
        );
        let fixed = &fix.charts[0];
        assert!(fixed.after.score >= fixed.before.score, "{chart}");
        assert_eq!(fixed.after.renderings, fixed.before.renderings, "{chart}");
        let known = errors(&fixed.before);
        assert!(errors(&fixed.after).is_subset(&known), "{chart}");
    }
}

/// Files that are no charts at all: what is wrong is a finding at a line of the user's own file.
#[test]
fn what_is_broken_is_a_finding_and_no_end_of_the_program() {
    let deep = format!("a: {}{}\n", "[".repeat(5_000), "]".repeat(5_000));
    let cases = [
        ("templates/a.yaml", "kind: {{ if }\n", "render.default"),
        (
            "templates/a.yaml",
            "{{ define \"x\" }}{{ include \"x\" . }}{{ end }}{{ include \"x\" . }}",
            "render.default",
        ),
        ("values.yaml", "a: [1\nb: 2\n", "chart.yaml"),
        ("values.yaml", &deep, "chart.yaml"),
        ("values.yaml", "- a\n", "render.default"),
        ("Chart.yaml", "- a\n", "chart.metadata"),
        ("values.schema.json", "{not json", "chart.yaml"),
        (
            "values.schema.json",
            "{\"$ref\": \"#/nowhere\"}",
            "render.default",
        ),
        (
            "templates/a.yaml",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x, labels: 3}\nspec: {selector: [], template: {spec: {containers: {a: b}, volumes: 3, initContainers: [1, null, {name: 7, ports: [x], env: {a: b}}]}}}\n",
            "schema.value",
        ),
    ];
    for (file, text, rule) in cases {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("templates")).unwrap();
        let write = |file: &str, text: &str| std::fs::write(dir.path().join(file), text).unwrap();
        write(
            "Chart.yaml",
            "apiVersion: v2\nname: broken\nversion: 1.0.0\n",
        );
        write("values.yaml", "a: 1\n");
        write(
            "templates/a.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
        );
        write(file, text);
        let found = report(&facts_of(dir.path()), &CheckConfig::default());
        assert!(
            errors(&found).contains(rule),
            "{file}: {:?}",
            errors(&found)
        );
        if errors(&found).contains("render.default") {
            let open = found.gates.iter().filter(|gate| gate.passed);
            let open: Vec<_> = open.map(|gate| gate.gate).collect();
            assert_eq!(found.score, 0, "{file}");
            assert!(open.iter().all(|gate| *gate == Gate::Structural), "{file}");
        }
        let places = places(found, dir.path());
        assert!(places.iter().all(is_there), "{file}: {places:?}");
    }
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for item in std::fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        match path.is_dir() {
            true => found.extend(walk(&path)),
            false => found.push(path),
        }
    }
    found
}

#[test]
fn what_renders_no_yaml_is_found_at_the_templates_line_with_the_text_that_it_renders() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("templates")).unwrap();
    let write = |file: &str, text: &str| std::fs::write(dir.path().join(file), text).unwrap();
    write("Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.0.0\n");
    write("values.yaml", "tag: 'latest: latest'\nlines: 4\n");
    // What is rendered has more lines than the template.
    write(
        "templates/api.yaml",
        "kind: ConfigMap\ndata:\n  {{- range until (int .Values.lines) }}\n  a{{ . }}: b\n  {{- end }}\n  image: acme/api:{{ .Values.tag }}\n",
    );
    let facts = facts_of(dir.path());
    let error = &facts.failures[0].error;
    let template = dir.path().join("templates/api.yaml");
    assert_eq!(
        (error.file.as_ref(), error.line),
        (Some(&template), Some(6)),
        "{error:?}"
    );
    assert_eq!(
        error.evidence[0],
        "line 7 of what it renders: `image: acme/api:latest: latest`"
    );
}
