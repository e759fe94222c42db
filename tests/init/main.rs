//! `devk init` on small repositories, one a shape: what it writes, that devk reads it and charts render with it, that a
//! second run changes nothing. helm renders the charts: it has to be on PATH.
//!
//! The repositories are the files in `shapes/`: after each `-- path --` the content of that path.

// Clippy exempts test functions by itself, but not what they call.
#![allow(clippy::unwrap_used, clippy::panic)]

mod archive;
#[cfg(target_os = "linux")]
mod questions;
mod shape;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shape::Shape;

/// The images that are not commented out, and what they replace.
fn pairs(document: &Value) -> BTreeMap<String, Vec<String>> {
    let images = document["choices"]["images"].as_array().unwrap().iter();
    let on = images.filter(|image| image["off"].is_null());
    on.map(|image| {
        let references = image["references"].as_array().unwrap().iter();
        let references = references.map(|text| text.as_str().unwrap().to_owned());
        (
            image["name"].as_str().unwrap().to_owned(),
            references.collect(),
        )
    })
    .collect()
}

fn paired(pairs: &[(&str, &str)]) -> BTreeMap<String, Vec<String>> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, reference)| ((*name).to_owned(), vec![(*reference).to_owned()]))
        .collect()
}

fn names(document: &Value, key: &str) -> Vec<String> {
    let list = document["choices"][key].as_array().unwrap().iter();
    list.map(|item| item["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn an_umbrella_and_its_parts_are_one_release() {
    let shape = Shape::new("umbrella-chart");
    let document = shape.written();
    let expected = [
        ("api", "registry.example/acme/shop-api"),
        ("web", "registry.example/acme/shop-web"),
    ];
    assert_eq!(pairs(&document), paired(&expected));
    assert_eq!(names(&document, "releases"), ["shop"]);
    assert_eq!(names(&document, "forwards"), ["api", "web"]);
    assert_eq!(
        document["choices"]["releases"][0]["values"],
        json!(["deploy/shop/values-dev.yaml"])
    );
    let text = shape.text();
    assert!(text.contains("# installed by README.md:3\n"), "{text}");
    assert!(
        text.contains("# twin: `dockerfile: ./web/Dockerfile.dev`\n"),
        "{text}"
    );
}

#[test]
fn charts_that_need_each_other_are_installed_in_that_order() {
    let shape = Shape::new("three-charts");
    let document = shape.written();
    assert_eq!(names(&document, "releases"), ["stock", "orders", "web"]);
    let expected = [
        ("orders", "acme/orders"),
        ("stock", "acme/stock"),
        ("web", "acme/web"),
    ];
    assert_eq!(pairs(&document), paired(&expected));
}

#[test]
fn definitions_are_installed_before_the_chart_that_asks_for_them() {
    let document = Shape::new("definitions").written();
    assert_eq!(names(&document, "releases"), ["widgets", "app"]);
}

#[test]
fn a_chart_in_a_folder_beside_the_program_takes_the_only_image_and_the_values_beside_it() {
    let shape = Shape::new("chart-beside");
    let document = shape.written();
    assert_eq!(pairs(&document), paired(&[("app", "acme/notes")]));
    let values = &document["choices"]["releases"][0]["values"];
    assert_eq!(
        *values,
        json!(["infra/helm/environments/local/values.yaml"])
    );
}

#[test]
fn dockerfiles_in_a_folder_of_their_own_get_the_context_that_their_copies_prove() {
    let shape = Shape::new("dockerfiles-folder");
    let document = shape.written();
    assert_eq!(
        pairs(&document),
        paired(&[("api", "acme/jobs-api"), ("worker", "acme/jobs-worker")])
    );
    let project = shape.project();
    assert!(
        project
            .images
            .iter()
            .all(|image| image.context == project.root),
        "{:?}",
        project.images
    );
    assert!(
        shape
            .text()
            .contains("`api/server.py` of docker/api.Dockerfile:3 is there")
    );
}

#[test]
fn demanded_secrets_are_generated_equal_ones_once_and_nothing_of_an_env_file_is_written_down() {
    let shape = Shape::new("shared-context");
    let document = shape.written();
    let expected = [
        ("api", "registry.example/team/stack-api"),
        ("worker", "registry.example/team/stack-worker"),
    ];
    assert_eq!(pairs(&document), paired(&expected));
    let project = shape.project();
    let generated: Vec<_> = project.releases[0]
        .generate
        .values()
        .map(|secret| (secret.paths.join(" "), format!("{:?}", secret.generator)))
        .collect();
    let expected = [
        (
            "postgresql.auth.password api.database.password".to_owned(),
            "Hex(32)".to_owned(),
        ),
        ("secrets.encryptionKey".to_owned(), "Hex(64)".to_owned()),
    ];
    assert_eq!(generated, expected);
    let text = shape.text();
    let stand_in =
        "# ONLY YOU KNOW THIS: helm/stack/templates/secrets.yaml:11 demands openai.apiKey";
    assert!(text.contains(stand_in), "{text}");
    let all = document.to_string() + &text;
    assert!(
        !all.contains("hunter2") && !all.contains("npm_sesame"),
        "{text}"
    );
    assert!(
        text.contains("Compose gives the argument NPM_TOKEN"),
        "{text}"
    );
    assert_eq!(
        project.images[1].args,
        [("MODE".to_owned(), "dev".to_owned())].into()
    );
}

#[test]
fn of_two_charts_the_one_counts_that_the_makefile_installs_with_the_values_that_it_names() {
    let shape = Shape::new("prefix-and-tag");
    let document = shape.written();
    let expected = [
        ("back", "registry.example/acme/back"),
        ("front", "registry.example/acme/front"),
    ];
    assert_eq!(pairs(&document), paired(&expected));
    assert_eq!(names(&document, "releases"), ["demo"]);
    let text = shape.text();
    assert!(
        text.contains("values: [./charts/demo/values.local.yaml]\n"),
        "{text}"
    );
    assert!(
        text.contains("# not installed by the repository's own commands: chart `legacy`"),
        "{text}"
    );
    assert!(text.contains("# installed by Makefile:8\n"), "{text}");
}

#[test]
fn addresses_of_the_composes_stack_become_those_of_forwards_and_watch_becomes_sync() {
    let shape = Shape::new("page-with-address");
    let document = shape.written();
    let project = shape.project();
    let frontend = project
        .images
        .iter()
        .find(|image| image.name == "frontend")
        .unwrap();
    assert_eq!(
        frontend.args["NEXT_PUBLIC_API_URL"],
        "${forward.backend.url}/api"
    );
    let written = shape.flowing();
    for line in [
        "secrets: npmrc: {file: ./npmrc} npm-token: {environment: NPM_TOKEN} ssh: [default]",
        "the secret `npmrc` as in Compose (docker-compose.yml:13)",
        "Compose gives the build the SSH key ./keys/deploy (docker-compose.yml:14)",
    ] {
        assert!(written.contains(line), "{line}: {written}");
    }
    assert_eq!(
        project.releases[0].set["backend.corsOrigin"],
        "${forward.frontend.url}"
    );
    let sync = &document["choices"]["images"][0]["sync"];
    assert_eq!(
        *sync,
        json!([{"from": "app", "to": "/srv/app", "exclude": ["__pycache__"]}])
    );
    // The Compose file has the line ends of Windows.
    assert!(!shape.text().contains('\r'));
    assert!(
        shape
            .text()
            .contains("# Compose calls it backend (docker-compose.yml:2)\n")
    );
}

#[test]
fn a_schemas_demands_are_met_and_a_base_image_is_built_for_the_image_that_begins_with_it() {
    let shape = Shape::new("schema-and-base");
    let document = shape.written();
    let project = shape.project();
    assert_eq!(project.releases[0].set, json!({"environment": "dev"}));
    assert_eq!(
        project.releases[0].generate.keys().collect::<Vec<_>>(),
        ["auth.jwtSecret"]
    );
    let api = project
        .images
        .iter()
        .find(|image| image.name == "api")
        .unwrap();
    assert_eq!(
        api.args,
        [("BASE".to_owned(), "${image.base.reference}".to_owned())].into()
    );
    // `ARG BASE_IMAGE` has no value: its name says what belongs there.
    let web = project.images.iter().find(|image| image.name == "web");
    assert_eq!(web.unwrap().args["BASE_IMAGE"], "${image.base.reference}");
    assert_eq!(pairs(&document)["base"], [""; 0]);
}

#[test]
fn a_further_context_is_an_image_and_a_base_without_a_name_is_asked_for() {
    let shape = Shape::new("further-context");
    let document = shape.written();
    let project = shape.project();
    let args = |name: &str| {
        let image = project.images.iter().find(|image| image.name == name);
        image.unwrap().args.clone()
    };
    let shared = "${image.shared.reference}".to_owned();
    assert_eq!(args("api"), [("SHARED".to_owned(), shared)].into());
    assert_eq!(args("web"), [].into());
    let open: Vec<_> = document["open"].as_array().unwrap().iter().collect();
    let asked = "image `web`: the Dockerfile begins with the argument RUNTIME, and nothing gives it a value \
                 (./web/Dockerfile:1); write images: {web: {args: {RUNTIME: IMAGE}}}";
    assert!(open.iter().any(|line| **line == *asked), "{open:?}");
    assert!(shape.flowing().contains("add `args: {RUNTIME: IMAGE}`"));
    assert!(
        !open
            .iter()
            .any(|line| line.as_str().unwrap().contains("further context")),
        "{open:?}"
    );
}

#[test]
fn a_stage_for_development_is_taken_only_with_its_sources_and_on_the_charts_port() {
    let shape = Shape::new("dev-stages");
    shape.written();
    let project = shape.project();
    let target = |name: &str| {
        let image = project.images.iter().find(|image| image.name == name);
        image.unwrap().target.clone()
    };
    assert_eq!(
        (target("api").as_deref(), target("web")),
        (Some("dev"), None)
    );
    let text = shape.flowing();
    assert!(
        text.contains(
            "`target: development`, as Compose has it (compose.yaml:6); the stage copies no sources"
        ),
        "{text}"
    );
    assert!(
        text.contains("web/src/api.ts:1 has the address http://localhost:5000"),
        "{text}"
    );
}

#[test]
fn values_that_wait_for_an_image_get_one_and_an_empty_password_is_generated() {
    let shape = Shape::new("waiting-values");
    let document = shape.written();
    let open = &document["open"];
    let expected = "only you know `stripe.secretKey`: in a Secret of release queue nothing stands for it (chart/templates/secret.yaml:6); give what the program needs under `set:`, from variables of `.env`";
    assert!(
        open.as_array().unwrap().contains(&json!(expected)),
        "{open}"
    );
    let release = &shape.project().releases[0];
    assert_eq!(release.images["api"].repository, "api.image.repository");
    let expected = json!({
        "migrate.image.repository": "migrate",
        "worker.image": "${image.worker.reference}",
    });
    assert_eq!(release.set, expected);
    assert_eq!(
        release.generate.keys().collect::<Vec<_>>(),
        ["database.password"]
    );
}

#[test]
fn what_no_name_pairs_the_pipeline_and_the_port_do() {
    let shape = Shape::new("left-over");
    let document = shape.written();
    let expected = [
        ("server", "ghcr.io/acme/backend"),
        ("ui", "ghcr.io/acme/frontend"),
    ];
    assert_eq!(pairs(&document), paired(&expected));
    let confidence = |at: usize| document["choices"]["images"][at]["confidence"].clone();
    assert_eq!(
        (confidence(0), confidence(1)),
        (json!("certain"), json!("guess"))
    );
    assert_eq!(names(&document, "releases"), ["left"]);
    assert_eq!(document["pulled"], json!(["timberio/vector"]));
    let text = shape.text();
    let evidence =
        "# Deployment/left-fe (chart/templates/all.yaml:29) runs ghcr.io/acme/frontend\n";
    assert!(text.contains(evidence), "{text}");
}

#[test]
fn of_images_without_a_registry_those_of_the_project_are_somebodys_builds() {
    let shape = Shape::new("no-registry");
    let document = shape.written();
    assert_eq!(pairs(&document), paired(&[("stall-web", "stall-web")]));
    let text = shape.text();
    assert!(
        text.contains("# tools/images.sh:3 builds it by that name\n"),
        "{text}"
    );
    assert_eq!(document["pulled"], json!(["memcached", "stall-jobs"]));
    let open = document["open"].as_array().unwrap();
    let said = |name: &str| {
        let words = format!("nothing here builds `{name}`, and no registry is in its name");
        open.iter()
            .filter(|line| line.as_str().unwrap().starts_with(&words))
            .count()
    };
    assert_eq!((said("stall-jobs"), said("memcached")), (1, 0), "{open:?}");
}

#[test]
fn all_images_of_microservices_are_paired_and_one_source_of_truth_is_taken() {
    let shape = Shape::new("microservices");
    let document = shape.written();
    let pairs = pairs(&document);
    assert_eq!(pairs.len(), 10, "{pairs:?}");
    for (name, references) in pairs {
        assert_eq!(references, [format!("us-docker.example/samples/{name}")]);
    }
    assert_eq!(names(&document, "releases"), ["onlineboutique"]);
    assert_eq!(document["pulled"], json!(["redis"]));
    let text = shape.text();
    assert!(
        text.contains("# left out: `kustomize: ./kustomize/overlays/x`"),
        "{text}"
    );
    assert!(text.contains("  # loadgenerator:\n"), "{text}");
}

#[test]
fn the_overlay_for_development_is_taken_before_that_for_production() {
    let shape = Shape::new("kustomize");
    let document = shape.written();
    assert_eq!(pairs(&document), paired(&[("api", "acme/api")]));
    let text = shape.text();
    assert!(
        text.contains("    kustomize: ./deploy/overlays/dev\n"),
        "{text}"
    );
    assert!(
        text.contains("# another overlay: `kustomize: ./deploy/overlays/prod`\n"),
        "{text}"
    );
}

#[test]
fn plain_manifests_are_those_that_the_repository_applies() {
    let shape = Shape::new("plain-manifests");
    let document = shape.written();
    assert_eq!(pairs(&document), paired(&[("api", "acme/api")]));
    assert_eq!(document["pulled"], json!(["redis"]));
    assert!(
        shape.text().contains("    manifests: [\"k8s/*.yaml\"]\n"),
        "{}",
        shape.text()
    );
}

#[test]
fn manifests_beside_other_files_are_named_one_by_one_and_get_forwards_and_those_of_documents_are_left_out()
 {
    let shape = Shape::new("mixed-manifests");
    let document = shape.written();
    assert_eq!(pairs(&document), paired(&[("backend", "acme/api")]));
    let text = shape.text();
    assert!(
        text.contains("    manifests: [deploy/api.yaml, \"deploy/*.yml\"]\n"),
        "{text}"
    );
    assert!(
        text.contains("# left out: manifests in ./docs/tutorial\n"),
        "{text}"
    );
    assert_eq!(names(&document, "forwards"), ["api", "web"]);
}

#[test]
fn an_overlay_that_does_not_render_leaves_its_place_to_the_next_one_with_the_reason() {
    let shape = Shape::new("broken-overlay");
    let document = shape.written();
    assert_eq!(pairs(&document), paired(&[("api", "acme/api")]));
    let text = shape.flowing();
    assert!(text.contains(" kustomize: ./overlays/local "), "{text}");
    assert!(
        text.contains("left out: `kustomize: ./overlays/dev`: overlays/dev/kustomization.yaml: "),
        "{text}"
    );
    assert!(text.contains("credentials.ini"), "{text}");
}

#[test]
fn the_plain_dockerfile_comes_first_a_context_has_what_is_copied_and_what_is_nowhere_is_not_built()
{
    let shape = Shape::new("several-dockerfiles");
    let document = shape.written();
    let expected = [
        ("api", "acme/jobs-api"),
        ("second", "acme/jobs-adapter"),
        ("worker", "acme/jobs-worker"),
    ];
    assert_eq!(pairs(&document), paired(&expected));
    let project = shape.project();
    let worker = project.images.iter().find(|image| image.name == "worker");
    assert_eq!(worker.unwrap().context, project.root);
    let api = project.images.iter().find(|image| image.name == "api");
    assert_eq!(api.unwrap().dockerfile, project.root.join("api/Dockerfile"));
    let text = shape.flowing();
    assert!(
        text.contains("`bin/agent` of agent/Dockerfile:2 is in no folder that could be the context: make it first"),
        "{text}"
    );
    // The Dockerfile that the script names is below the root only, and so is its context.
    assert!(
        text.contains("scripts/v1/build.sh:2 builds it") && !text.contains("./scripts/v1"),
        "{text}"
    );
    assert!(text.contains("access.provider: {}"), "{text}");
    assert_eq!(document["pulled"], json!(["acme/jobs-agent"]));
}

#[test]
fn what_could_not_be_rendered_says_why_and_stays_in_the_file() {
    let shape = Shape::new("several-dockerfiles");
    let (code, document, _) = shape.init_without_helm(&["--dry-run", "--format", "json"]);
    let text = document["text"].as_str().unwrap();
    assert!(
        code == 0 && text.contains("`helm` is not on PATH"),
        "{text}"
    );
}

#[test]
fn of_a_collection_of_charts_none_is_taken_unless_it_is_named() {
    let shape = Shape::new("chart-collection");
    let (code, document, _) = shape.init(&["--format", "json"]);
    assert_eq!((code, &document["result"]), (2, &json!("candidates")));
    assert_eq!(document["charts"].as_array().unwrap().len(), 46);
    assert!(!shape.file().exists());
    let (code, _, said) = shape.init(&[]);
    assert!(
        code == 2 && said.contains("error[init.ambiguous]: there are 46 charts"),
        "{said}"
    );
    let (code, document, _) = shape.init(&["--chart", "charts/exporter-7", "--format", "json"]);
    assert_eq!(
        (code, names(&document, "releases")),
        (0, vec!["exporter-7".to_owned()])
    );
}

#[test]
fn compose_alone_is_told_with_what_was_found() {
    let shape = Shape::new("compose-only");
    let (code, _, said) = shape.init(&["--yes"]);
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("error[init.nothing]") && said.contains("Compose services: db, web"),
        "{said}"
    );
    assert!(
        said.contains("hint: devk init --chart --yes && devk up"),
        "{said}"
    );
    assert!(!shape.file().exists());
}

#[test]
fn a_chart_out_of_compose_files_renders_with_the_images_that_devk_builds() {
    let shape = Shape::new("compose-whole");
    let before = shape.files();
    let (code, printed, said) = shape.init(&["--chart", "--yes", "--dry-run", "--format", "json"]);
    assert_eq!(code, 0, "{said}");
    assert!(before == shape.files(), "a dry run wrote something");
    let (code, document, said) = shape.init(&["--chart", "--yes", "--format", "json"]);
    assert_eq!((code, said.as_str()), (0, ""));
    assert_eq!(document["text"], printed["text"]);
    assert_eq!(document["text"], shape.text());
    let expected = [
        ("shop-api", "compose-whole-shop-api"),
        ("web", "compose-whole-web"),
    ];
    assert_eq!(pairs(&document), paired(&expected));
    assert_eq!(document["open"], json!([]));
    assert_eq!(
        names(&document, "forwards"),
        ["cache", "db", "shop-api", "web"]
    );
    let project = shape.project();
    let release = &project.releases[0];
    assert_eq!(
        release.set,
        json!({
            "migrate.image.repository": "${image.shop-api.reference}",
            "migrate.image.tag": "",
            "shopApi.image.repository": "${image.shop-api.reference}",
            "shopApi.image.tag": "",
        })
    );
    let generated: Vec<_> = release.generate.keys().collect();
    assert_eq!(generated, ["secrets.postgresPassword"]);
    let local = shape.root().join("chart/values-local.yaml");
    let text = std::fs::read_to_string(&local).unwrap();
    assert!(
        text.contains("cache-sesame-88") && text.contains("here-only"),
        "{text}"
    );
    let mode = std::os::unix::fs::PermissionsExt::mode(&local.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let keys: Vec<_> = document["chart"]["notes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|note| note["carried"] == "no")
        .map(|note| {
            format!(
                "{}:{}",
                note["service"].as_str().unwrap(),
                note["key"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(keys, ["shop_api:labels", "shop_api:ulimits", "web:volumes"]);

    let after = shape.files();
    let committed = after
        .iter()
        .filter(|(file, _)| *file != local && !before.iter().any(|(old, _)| old == file));
    for (file, content) in committed {
        let content = String::from_utf8_lossy(content);
        for secret in ["cache-sesame-88", "shop-sesame-77", "here-only"] {
            assert!(
                !content.contains(secret),
                "{secret} is in {}",
                file.display()
            );
        }
    }
    let (code, again, _) = shape.init(&["--chart", "--yes", "--format", "json"]);
    assert_eq!((code, &again["result"]), (0, &json!("unchanged")));
    assert!(after == shape.files(), "the second run changed something");

    std::fs::remove_file(&local).unwrap();
    let (code, again, _) = shape.init(&["--chart", "--format", "json"]);
    assert_eq!((code, &again["result"]), (0, &json!("local-values")));
    assert!(
        after == shape.files(),
        "the values of this machine came back otherwise"
    );
}

#[test]
fn a_chart_is_not_written_where_something_is() {
    let shape = Shape::new("compose-only");
    std::fs::create_dir(shape.root().join("chart")).unwrap();
    std::fs::write(shape.root().join("chart/mine"), "").unwrap();
    let (code, _, said) = shape.init(&["--chart", "--yes"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("error[chart.exists]"), "{said}");
    assert!(!shape.file().exists());
    let shape = Shape::new("umbrella-chart");
    let (code, _, said) = shape.init(&["--chart", "--yes"]);
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("`chart` is no chart of this repository"),
        "{said}"
    );
}

#[test]
fn a_new_chart_passes_helms_own_check() {
    let shape = Shape::new("compose-only");
    for (name, options) in [
        ("bare", &[][..]),
        ("stateful", &["--stateful"]),
        ("stack", &["--from", "compose.yaml"]),
    ] {
        let new = shape.devk(&[&["chart", "new", name], options].concat());
        assert_eq!(new.0, 0, "{new:?}");
        let lint = std::process::Command::new("helm")
            .args(["lint", "--strict"])
            .arg(shape.root().join(name))
            .output()
            .unwrap();
        assert!(lint.status.success(), "{name}: {lint:?}");
    }
}

#[test]
fn without_helm_images_are_paired_by_values_and_the_file_says_so() {
    let shape = Shape::new("dockerfiles-folder");
    let (code, document, _) = shape.init_without_helm(&["--format", "json"]);
    assert_eq!(code, 0);
    assert_eq!(
        pairs(&document),
        paired(&[("api", "acme/jobs-api"), ("worker", "acme/jobs-worker")])
    );
    assert!(shape.text().contains("unchecked"), "{}", shape.text());
    assert!(
        document["open"][0]
            .as_str()
            .unwrap()
            .contains("`helm` is not on PATH"),
        "{document}"
    );
}

#[test]
fn a_repository_of_ten_thousand_files_is_looked_through_in_seconds_at_the_most() {
    let shape = Shape::new("umbrella-chart");
    for folder in 0..100 {
        let dir = shape.root().join(format!("src/pkg{folder}"));
        std::fs::create_dir_all(&dir).unwrap();
        for file in 0..100 {
            std::fs::write(dir.join(format!("f{file}.ts")), "export {}\n").unwrap();
        }
    }
    let begin = Instant::now();
    let (code, document, _) = shape.init(&["--format", "json"]);
    let took = begin.elapsed();
    assert_eq!(code, 0, "{document}");
    // A second on an idle machine; others run beside this test.
    assert!(took < Duration::from_secs(10), "{took:?}");
}
