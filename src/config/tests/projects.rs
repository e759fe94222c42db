//! What a right file becomes.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::super::read::{Source, load_with};
use super::super::{
    AskConfig, AskRole, AskYes, BuildSecretSource, ClusterConfig, Generator, ImagePaths, Provider,
    json_schema,
};
use super::{PROFILES, Shop, chart_of, relative};

const FULL: &str = "\
name: shop
cluster: {provider: auto, name: big, image: kindest/node:v1.33.1}
compose: [compose.yaml, deploy/compose.dev.yaml]
images:
  web:
    context: ./web
    dockerfile: ./web/Dockerfile.dev
    target: dev
    platform: linux/arm64
    secrets: {npmrc: {file: ~/.npmrc}, key: {file: ../key}, token: {environment: NPM_TOKEN}}
    ssh: [default, git=/run/agent]
    args: {VERSION: 1.10, DEBUG: true, API: \"${forward.api.url}\", EMPTY: \"\"}
  api: {context: api}
releases:
  - name: shop
    chart: ./chart
    values: [values-dev.yaml]
    set: {replicas: 2, ratio: 0.5, text: '5', off: null, list: [a, true]}
    images: {api: {repository: api.image.repository, tag: api.image.tag}}
    generate: {secrets.key: hex64, secrets.iv: base6416, secrets.id: uuid, db: {length: hex32, paths: [auth.password, api.password]}}
    timeout: 3m
  - {name: late, chart: chart}
forwards:
  web: {service: shop-web, port: 4173, local: 20000}
  api: 5000
allow: {nodePort: true}
bridge:
  postgres: {service: db, database: shop_k8s, release: shop, values: {enabled: pg.enabled, host: pg.host}}
";

fn full() -> Shop {
    let shop = Shop::with(FULL);
    shop.write("compose.yaml", "");
    shop.write("deploy/compose.dev.yaml", "");
    shop
}

#[test]
fn every_key_arrives() {
    let shop = full();
    let project = shop.load().unwrap();
    assert_eq!(
        (project.name.as_str(), project.id.as_str(), project.worktree),
        ("shop", "shop", None)
    );
    assert_eq!(
        (&project.root, &project.file),
        (&shop.root(), &shop.root().join("devk.yaml"))
    );
    assert_eq!(
        (project.cluster.provider, project.cluster.name.as_str()),
        (Provider::Kind, "big")
    );
    assert_eq!(
        project.cluster.image.as_deref(),
        Some("kindest/node:v1.33.1")
    );
    assert!(project.allow.node_port);
    assert_eq!(
        project.compose,
        Some(vec![
            shop.root().join("compose.yaml"),
            shop.root().join("deploy/compose.dev.yaml")
        ])
    );

    let bridge = project.bridge.unwrap();
    let named = [
        &bridge.service,
        &bridge.database,
        &bridge.release,
        &bridge.values.enabled,
        &bridge.values.host,
    ];
    assert_eq!(
        named.map(|text| text.as_deref().unwrap()),
        ["db", "shop_k8s", "shop", "pg.enabled", "pg.host"]
    );
    assert_eq!((bridge.values.port, bridge.origin.line), (None, 28));

    let [web, api] = &project.images[..] else {
        panic!("{:?}", project.images)
    };
    assert_eq!(
        (web.name.as_str(), web.target.as_deref(), web.origin.line),
        ("web", Some("dev"), 5)
    );
    assert_eq!(
        (web.platform.as_deref(), &api.platform),
        (Some("linux/arm64"), &None)
    );
    assert_eq!(
        (
            relative(&web.context, &shop),
            relative(&web.dockerfile, &shop)
        ),
        ("shop/web".into(), "shop/web/Dockerfile.dev".into())
    );
    assert_eq!(relative(&api.dockerfile, &shop), "shop/api/Dockerfile");

    let sources = web.secrets.iter();
    let sources = sources.map(|secret| (secret.id.as_str(), secret.source.clone()));
    let file = |path: &Path| BuildSecretSource::File(path.to_owned());
    assert_eq!(
        sources.collect::<Vec<_>>(),
        [
            ("npmrc", file(Path::new("~/.npmrc"))),
            ("key", file(&shop.root().join("../key"))),
            ("token", BuildSecretSource::Variable("NPM_TOKEN".to_owned())),
        ]
    );
    let agents = web.ssh.iter();
    assert_eq!(
        agents
            .map(|agent| (agent.id.as_str(), agent.socket.as_deref()))
            .collect::<Vec<_>>(),
        [("default", None), ("git", Some(Path::new("/run/agent")))]
    );

    let [release, late] = &project.releases[..] else {
        panic!("{:?}", project.releases)
    };
    assert_eq!(relative(chart_of(release), &shop), "shop/chart");
    assert_eq!(release.values, [shop.root().join("values-dev.yaml")]);
    assert_eq!(
        release.set,
        json!({"replicas": 2, "ratio": 0.5, "text": "5", "off": null, "list": ["a", true]})
    );
    assert_eq!(
        release.images["api"],
        ImagePaths {
            repository: "api.image.repository".into(),
            tag: "api.image.tag".into()
        }
    );
    assert_eq!(
        release.generate["db"].paths,
        ["auth.password", "api.password"]
    );
    assert_eq!(release.generate["secrets.key"].paths, ["secrets.key"]);
    let generators: Vec<_> = release
        .generate
        .values()
        .map(|secret| secret.generator)
        .collect();
    assert_eq!(
        generators,
        [
            Generator::Hex(32),
            Generator::Uuid,
            Generator::Base64(16),
            Generator::Hex(64)
        ]
    );
    assert_eq!(
        (release.timeout, late.timeout),
        (Duration::from_secs(180), Duration::from_secs(180))
    );
    assert_eq!((release.origin.line, late.origin.line), (15, 22));

    let forwards: Vec<_> = project
        .forwards
        .unwrap()
        .into_iter()
        .map(|f| (f.name, f.service, f.port, f.local))
        .collect();
    assert_eq!(
        forwards,
        [
            ("web".into(), Some("shop-web".into()), 4173, Some(20000)),
            ("api".into(), None, 5000, None)
        ]
    );
}

#[test]
fn build_arguments_keep_the_text_that_was_written() {
    let project = full().load().unwrap();
    let args: Vec<_> = project.images[0]
        .args
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    assert_eq!(
        args,
        [
            "API=${forward.api.url}",
            "DEBUG=true",
            "EMPTY=",
            "VERSION=1.10"
        ]
    );
}

#[test]
fn the_least_file_has_defaults_for_the_rest() {
    let project = Shop::with("releases: [{name: app, chart: chart}]")
        .load()
        .unwrap();
    assert_eq!(
        (project.name.as_str(), project.cluster.name.as_str()),
        ("shop", "devk")
    );
    assert_eq!(
        (project.cluster.provider, project.cluster.image),
        (Provider::Kind, None)
    );
    assert!(project.forwards.is_none() && project.images.is_empty() && !project.allow.node_port);
    assert_eq!(project.compose, None);
    assert_eq!(
        (project.releases[0].timeout, &project.releases[0].set),
        (Duration::from_secs(180), &json!({}))
    );
}

#[test]
fn keys_with_nothing_behind_them_are_as_good_as_absent() {
    let project = Shop::with(
        "cluster:\nimages:\nforwards:\nreleases: [{name: app, chart: chart, set: , values: }]",
    )
    .load()
    .unwrap();
    assert!(project.forwards.is_none() && project.images.is_empty());
}

#[test]
fn an_empty_list_of_compose_files_is_another_thing_than_none() {
    let with = |compose: &str| {
        Shop::with(&format!("{compose}releases: [{{name: app, chart: chart}}]"))
            .load()
            .unwrap()
    };
    assert_eq!(
        (with("compose: []\n").compose, with("compose:\n").compose),
        (Some(vec![]), None)
    );
}

#[test]
fn anchors_and_merge_keys_are_followed() {
    let shop = Shop::with(
        "\
images:
  api: &api {context: ./api, target: dev}
  other: {<<: *api, target: prod}
releases: [{name: app, chart: chart}]
",
    );
    let images = shop.load().unwrap().images;
    assert_eq!(images[1].context, images[0].context);
    assert_eq!(images[1].target.as_deref(), Some("prod"));
}

#[test]
fn devk_yaml_is_found_from_a_folder_below() {
    let shop = Shop::with("releases: [{name: app, chart: chart}]");
    let source = Source {
        dir: shop.root().join("chart"),
        ..shop.source()
    };
    assert_eq!(
        load_with(&source, &shop.paths(), &PROFILES).unwrap().root,
        shop.root()
    );
}

#[test]
fn another_file_makes_its_folder_the_root() {
    let shop = Shop::new();
    shop.write(
        "deploy/local.yaml",
        "releases: [{name: app, chart: ../chart}]",
    );
    let source = Source {
        file: Some("deploy/local.yaml".into()),
        ..shop.source()
    };
    let project = load_with(&source, &shop.paths(), &PROFILES).unwrap();
    assert_eq!(
        (project.root, project.name.as_str()),
        (shop.root().join("deploy"), "deploy")
    );
}

#[test]
fn a_linked_worktree_is_part_of_the_id() {
    let shop = Shop::with("name: shop\nreleases: [{name: app, chart: chart}]");
    shop.write(".git", "gitdir: /src/shop/.git/worktrees/Fix_Login\n");
    let project = shop.load().unwrap();
    assert_eq!(
        (project.id.as_str(), project.worktree.as_deref()),
        ("shop-fix-login", Some("Fix_Login"))
    );
    assert_eq!(project.name, "shop");
}

#[test]
fn an_empty_bridge_is_one_and_an_absent_one_is_none() {
    let bridge = |lines: &str| {
        let shop = Shop::with(&format!(
            "{lines}\nreleases: [{{name: shop, chart: ./chart}}]\n"
        ));
        shop.load().unwrap().bridge
    };
    assert_eq!(bridge("bridge: {}").unwrap().service, None);
    assert_eq!(
        bridge("bridge: {postgres: }").unwrap().values,
        Default::default()
    );
    assert_eq!((bridge("bridge:"), bridge("")), (None, None));
}

#[test]
fn the_role_and_the_risk_of_changes_are_words_that_are_known() {
    let ask = |lines: &str| {
        let shop = Shop::with(&format!(
            "{lines}\nreleases: [{{name: shop, chart: ./chart}}]\n"
        ));
        shop.load().map(|project| project.ask)
    };
    let given = ask("ask: {role: viewer, yes: reversible}").unwrap();
    assert_eq!(given.role, Some(AskRole::Viewer));
    assert_eq!(given.yes, Some(AskYes::Reversible));
    assert_eq!(ask("").unwrap(), AskConfig::default());
    let errors = ask("ask: {role: operater, yes: destructive}")
        .unwrap_err()
        .0;
    assert_eq!(errors[0].hint.as_deref(), Some("did you mean `operator`?"));
    assert!(
        errors[1]
            .message
            .contains("`destructive` is no risk that could be left unasked")
    );
}

#[test]
fn the_schema_knows_every_key_of_the_full_file() {
    let schema = json_schema();
    let properties: Vec<_> = schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        properties,
        [
            "name", "profile", "cluster", "compose", "images", "releases", "forwards", "allow",
            "bridge", "check", "ask", "test"
        ]
    );
    assert_eq!(
        schema["properties"]["bridge"]["properties"]["redis"],
        json!(false)
    );
    assert_eq!(
        schema["properties"]["releases"]["items"]["required"],
        json!(["name"])
    );
    assert_eq!(
        schema["properties"]["releases"]["items"]["additionalProperties"],
        json!(false)
    );
    assert_eq!(
        schema["properties"]["forwards"]["additionalProperties"]["anyOf"][0]["type"],
        "integer"
    );
    assert_eq!(
        schema["properties"]["cluster"]["properties"]["provider"]["pattern"],
        "^(kind|minikube|k3d|existing|auto)$"
    );
}

#[test]
fn every_cluster_has_a_state_folder_of_its_own() {
    let shop = |cluster: &str| {
        let text = format!(
            "cluster: {cluster}\nallow: {{remote: true}}\nreleases: [{{name: shop, chart: ./chart}}]\n"
        );
        Shop::with(&text).load().unwrap().cluster
    };
    let folders = [
        "{}",
        "{provider: minikube}",
        "{provider: k3d, name: big}",
        "{provider: existing, context: mine}",
    ]
    .map(|cluster| shop(cluster).folder());
    assert_eq!(
        folders,
        ["devk", "minikube.devk", "k3d.big", "existing.mine"]
    );
    let odd = ["arn:aws:eks:eu/Prod", "arn:aws:eks:eu/prod"].map(|context| {
        let cluster = shop(&format!("{{provider: existing, context: \"{context}\"}}"));
        assert_eq!((cluster.name.as_str(), cluster.remote), (context, true));
        cluster.folder()
    });
    assert!(
        odd[0].starts_with("existing.arn-aws-eks-eu-prod.") && odd[0] != odd[1],
        "{odd:?}"
    );
    assert_eq!(
        ClusterConfig::of_folder("minikube.devk").unwrap().folder(),
        "minikube.devk"
    );
    assert!(ClusterConfig::of_folder("existing.mine").is_none());
}
