use serde_json::{Value, json};

use super::super::manifest::Rendered;
use super::*;

const BUILT: &str = "devk.local/shop/api:0123";

fn rewrite() -> Rewrite {
    Rewrite {
        replacements: vec![Replacement {
            image: "api".into(),
            repository: "docker.io/acme/api".into(),
            tag: None,
            with: BUILT.into(),
        }],
        loaded: ["acme/tool:latest".to_owned(), "acme/tool:dev".to_owned()].into(),
        cluster_ip: true,
    }
}

/// The objects after the changes, and the changes.
fn after(text: &str) -> (Vec<Value>, Vec<ManifestChange>) {
    let (text, changes) = rewrite().apply(text).unwrap();
    let rendered = Rendered::parse(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    let objects = rendered.manifests.into_iter().map(|m| m.object).collect();
    (objects, changes)
}

fn spec(text: &str) -> Value {
    after(text).0.remove(0)["spec"].take()
}

fn pod(container: &str) -> String {
    format!("kind: Pod\nmetadata: {{name: p}}\nspec:\n  containers:\n{container}")
}

#[test]
fn a_reference_is_replaced_in_every_style_and_nothing_else_is() {
    for (image, around) in [
        ("acme/api", ""),
        ("acme/api:1.0 # the API", ""),
        ("'acme/api:1'", ""),
        ("\"acme\\u002Fapi\"", ""),
        ("docker.io/acme/api@sha256:00", ""),
        (">-\n      acme/api:1", "\n"),
        ("!!str acme/api", ""),
    ] {
        let text = pod(&format!(
            "  - name: c\n    image: {image}{around}\n    args: [acme/api, 'on', 0o17, 0644]\n"
        ));
        let (made, _) = rewrite().apply(&text).unwrap();
        assert_eq!(spec(&text)["containers"][0]["image"], BUILT, "{image}");
        assert!(
            made.ends_with("\n    args: [acme/api, 'on', 0o17, 0644]\n"),
            "{made}"
        );
    }
}

#[test]
fn an_image_of_another_name_stays_byte_for_byte() {
    let text =
        pod("  - {name: c, image: 'acme/api-server:1'}\n  - {name: d, image: other/acme/api}\n");
    assert_eq!(rewrite().apply(&text).unwrap(), (text, vec![]));
}

#[test]
fn a_replacement_of_one_tag_leaves_others() {
    let mut rewrite = rewrite();
    rewrite.replacements[0].tag = Some("1".into());
    let text = pod("  - {name: c, image: 'acme/api:1'}\n  - {name: d, image: 'acme/api:2'}\n");
    let (made, changes) = rewrite.apply(&text).unwrap();
    assert!(made.contains(BUILT) && made.contains("acme/api:2"));
    assert_eq!(changes.len(), 1);
}

#[test]
fn hooks_cron_jobs_custom_resources_lists_and_image_volumes_are_rewritten() {
    let text = "---\n# Source: shop/templates/a.yaml\nkind: Job\nmetadata: {name: j, annotations: {helm.sh/hook: pre-install, image: acme/api}}\nspec: {template: {spec: {initContainers: [{name: i, image: acme/api}]}}}\n\
        ---\nkind: CronJob\nmetadata: {name: c}\nspec: {jobTemplate: {spec: {template: {spec: {containers: [{name: x, image: 'acme/api:2'}]}}}}}\n\
        ---\nkind: List\nitems:\n- kind: Runner\n  metadata: {name: r}\n  spec: {image: acme/api}\n\
        ---\nkind: Pod\nmetadata: {name: v}\nspec: {volumes: [{name: v, image: {reference: 'acme/api:1', pullPolicy: Always}}]}\n\
        ---\nkind: ConfigMap\nmetadata: {name: m}\ndata: {image: acme/api}\n";
    let (objects, changes) = after(text);
    let all = json!(objects).to_string();
    assert_eq!(all.matches(BUILT).count(), 4, "{all}");
    assert_eq!(objects[0]["metadata"]["annotations"]["image"], "acme/api");
    assert_eq!(objects[4]["data"]["image"], "acme/api");
    assert_eq!(
        objects[3]["spec"]["volumes"][0]["image"]["pullPolicy"],
        "IfNotPresent"
    );
    let named: Vec<_> = changes
        .iter()
        .map(|change| change.object.as_str())
        .collect();
    assert_eq!(named, ["CronJob/c", "Job/j", "Pod/v", "Pod/v", "Runner/r"]);
}

#[test]
fn the_names_of_templates_stay() {
    let text = "---\n# Source: shop/templates/a.yaml\nkind: Pod\nspec: {containers: [{image: acme/api}]}\n---\n# Source: b.yaml\nkind: A\n";
    let (made, _) = rewrite().apply(text).unwrap();
    assert!(made.starts_with("---\n# Source: shop/templates/a.yaml\nkind: Pod\n"));
    assert!(made.ends_with("---\n# Source: b.yaml\nkind: A\n"));
}

#[test]
fn aliases_and_merged_containers_are_rewritten_where_they_are_written() {
    let text = "kind: Pod\nx: &base {image: acme/api, imagePullPolicy: Always}\ny: &i acme/api\nspec:\n  containers:\n  - {<<: *base, name: a}\n  - {name: b, image: *i}\n";
    let (text, _) = rewrite().apply(text).unwrap();
    let containers = "\n  - {<<: *base, name: a}\n";
    assert!(text.contains(&format!(
        "&base {{image: \"{BUILT}\", imagePullPolicy: IfNotPresent}}"
    )));
    assert!(text.contains(containers) && text.contains(&format!("image: \"{BUILT}\"}}\n")));
}

#[test]
fn an_image_that_devk_brings_is_never_pulled() {
    let policy = |container: &str| spec(&pod(container))["containers"][0]["imagePullPolicy"].take();
    for container in [
        "  - name: c\n    image: acme/api\n    imagePullPolicy: Always\n",
        "  - {name: c, image: 'acme/tool:dev', imagePullPolicy: \"Always\"}\n",
        "  - name: c\n    image: acme/tool:latest\n",
        "  - image: acme/tool:latest\n    name: c\n",
        "  - {image: 'acme/tool:latest'}\n",
        "  -   image: acme/tool:latest\n      name: c\n",
    ] {
        assert_eq!(policy(container), "IfNotPresent", "{container}");
    }
    for (container, stays) in [
        ("  - {name: c, image: acme/api}\n", Value::Null),
        ("  - {name: c, image: 'acme/tool:dev'}\n", Value::Null),
        (
            "  - {name: c, image: 'acme/tool:latest', imagePullPolicy: Never}\n",
            json!("Never"),
        ),
        (
            "  - {name: c, image: redis, imagePullPolicy: Always}\n",
            json!("Always"),
        ),
    ] {
        assert_eq!(policy(container), stays, "{container}");
    }
}

#[test]
fn a_service_takes_no_port_of_the_node() {
    for text in [
        "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n  type: LoadBalancer\n  externalTrafficPolicy: Local\n  loadBalancerSourceRanges:\n  - 10.0.0.0/8\n  ports:\n  - nodePort: 30080\n    port: 80\n  - port: 81\n    nodePort: 30081\n  loadBalancerIP: 1.2.3.4\n",
        "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {type: \"NodePort\", ports: [{nodePort: 30080, port: 80}, {port: 81, nodePort: 30081}], externalTrafficPolicy: Cluster}\n",
        "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n  ports:\n  - port: 80\n  - port: 81\n  type: NodePort\n  loadBalancerSourceRanges:\n  - 10.0.0.0/8\n",
    ] {
        let (objects, changes) = after(text);
        assert_eq!(
            objects[0]["spec"],
            json!({"type": "ClusterIP", "ports": [{"port": 80}, {"port": 81}]}),
        );
        assert_eq!(changes.len(), 1);
    }
}

#[test]
fn what_is_allowed_stays() {
    let text = "apiVersion: v1\nkind: Service\nspec: {type: NodePort, ports: [{port: 80}]}\n";
    let rewrite = Rewrite {
        cluster_ip: false,
        ..rewrite()
    };
    assert_eq!(rewrite.apply(text).unwrap(), (text.to_owned(), vec![]));
    assert!(Rewrite::default().is_empty() && !rewrite.is_empty());
}

#[test]
fn rewriting_twice_changes_nothing_more() {
    let text = "---\napiVersion: v1\nkind: Service\nspec: {type: NodePort, ports: [{port: 80}]}\n---\nkind: Pod\nspec: {containers: [{image: acme/api}, {image: 'acme/tool:latest'}]}\n";
    let (once, _) = rewrite().apply(text).unwrap();
    assert_eq!(rewrite().apply(&once).unwrap(), (once, vec![]));
}

#[test]
fn a_document_that_cannot_be_read_is_an_error() {
    assert!(rewrite().apply("image: [\n").unwrap_err().contains("line"));
}
