use super::*;

fn read(name: &str, text: &str) -> Result<Vec<ManifestDocument>, Vec<String>> {
    let file = ManifestFile {
        path: PathBuf::from("k8s").join(name),
        content: text.as_bytes().to_vec(),
    };
    let mut problems = vec![];
    let found = documents(&file, &mut problems);
    match problems.is_empty() {
        true => Ok(found),
        false => Err(problems.iter().map(ToString::to_string).collect()),
    }
}

fn names(found: &[ManifestDocument]) -> Vec<String> {
    let objects = found.iter().flat_map(|document| &document.objects);
    objects
        .map(|object| format!("{}:{}", object.named(), object.line))
        .collect()
}

fn config_map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n")
}

#[test]
fn documents_are_cut_at_every_form_of_the_separator_and_empty_ones_are_dropped() {
    let text = format!(
        "\u{feff}%YAML 1.2\n---\n# only a comment\n--- # of b\n{}...\n---\r\n\n{}---\n",
        config_map("a"),
        config_map("b").replace('\n', "\r\n"),
    );
    let found = read("all.yaml", &text).unwrap();
    assert_eq!(names(&found), ["ConfigMap `a`:5", "ConfigMap `b`:11"]);
    assert!(
        found[1].text.contains("kind: ConfigMap\r\n"),
        "not written anew"
    );
}

#[test]
fn the_items_of_a_list_are_documents_of_their_own_with_their_text_and_lines() {
    let text = "\
apiVersion: v1
items:
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: one}
  data:
    text: |+
      kept

  # of two
- {apiVersion: v1, kind: Secret, metadata: {name: two}}
-
  metadata: {name: three}
  kind: Service
  apiVersion: v1
kind: List
metadata: {}
";
    let found = read("list.yaml", text).unwrap();
    assert_eq!(
        names(&found),
        ["ConfigMap `one`:3", "Secret `two`:11", "Service `three`:13"]
    );
    let one = yaml::parse(&found[0].text).unwrap();
    assert_eq!(one["data"]["text"], "kept\n\n");
}

#[test]
fn a_list_whose_items_share_an_anchor_stays_whole_unless_it_brings_a_definition() {
    let list = |kind: &str, version: &str| {
        format!(
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: {version}\n  kind: {kind}\n  metadata: {{name: a, \
             labels: &x {{a: b}}}}\n- apiVersion: v1\n  kind: Secret\n  metadata: {{name: b, labels: *x}}\n"
        )
    };
    let found = read("list.yaml", &list("ConfigMap", "v1")).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(names(&found), ["ConfigMap `a`:4", "Secret `b`:7"]);
    let told = read(
        "list.yaml",
        &list("CustomResourceDefinition", "apiextensions.k8s.io/v1"),
    );
    assert_eq!(
        told.unwrap_err(),
        [
            "k8s/list.yaml:4: CustomResourceDefinition `a` shares a YAML anchor with other items of its List"
        ]
    );
}

#[test]
fn json_is_written_as_every_parser_of_yaml_reads_it() {
    let json = "\n{\n\t\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\",\n\t\"metadata\": {\"name\": \"a\"},\n\t\
                \"data\": {\"b\": \"\\ud83d\\ude00 \\u2028 \\/\"}}\n";
    let found = read("a.json", json).unwrap();
    assert_eq!(names(&found), ["ConfigMap `a`:2"]);
    assert!(
        !found[0].text.contains(['\t', '\u{2028}']),
        "{}",
        found[0].text
    );
    let value: Value = serde_json::from_str(&found[0].text).unwrap();
    assert_eq!(value["data"]["b"], "😀 \u{2028} /");
}

#[test]
fn what_is_no_manifest_is_told_with_what_it_seems_to_be() {
    let told = |name: &str, text: &str| read(name, text).unwrap_err().remove(0);
    assert_eq!(
        told("compose.yaml", "\nservices: {api: {image: a}}\n"),
        "k8s/compose.yaml:2: this is a Compose file, and no manifest"
    );
    assert_eq!(
        told("kustomization.yaml", "resources: [a.yaml]\n"),
        "k8s/kustomization.yaml:1: this is a kustomization, and no manifest"
    );
    assert_eq!(
        told("Chart.yaml", "apiVersion: v2\nname: a\n"),
        "k8s/Chart.yaml:1: this is the file of a chart, and no manifest"
    );
    assert_eq!(
        told("values.yaml", "# values\nreplicas: 2\n"),
        "k8s/values.yaml:2: this is no manifest: a Kubernetes object has `apiVersion` and `kind`"
    );
    assert!(
        told("README.md", "# Title\n\nSome text.\n").contains("README.md:3: this is no manifest")
    );
}

#[test]
fn an_object_without_a_fixed_name_is_told() {
    let text = "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: seed-}\n---\nkind: Pod\napiVersion: v1\n";
    assert_eq!(
        read("job.yaml", text).unwrap_err(),
        [
            "k8s/job.yaml:1: the Job with `generateName: seed-` has another name at every install: no upgrade would find it",
            "k8s/job.yaml:5: the Pod has no `metadata.name`"
        ]
    );
}

#[test]
fn invalid_yaml_is_told_with_its_line_in_the_file_and_the_others_with_it() {
    let text = format!(
        "{}---\na: 1\nb: [\n---\n{{{{ if .Values.a }}}}\n",
        config_map("a")
    );
    let told = read("broken.yaml", &text).unwrap_err();
    assert_eq!(told.len(), 2);
    assert!(
        told[0].starts_with("k8s/broken.yaml:6: the manifest is not valid YAML"),
        "{told:?}"
    );
    assert!(told[1].starts_with("k8s/broken.yaml:8: "), "{told:?}");
    let bytes = ManifestFile {
        path: "a.yaml".into(),
        content: vec![0xff, 0xfe],
    };
    let mut problems = vec![];
    assert!(documents(&bytes, &mut problems).is_empty());
    assert_eq!(problems[0].message, "the manifest is not UTF-8 text");
}
