//! What a release is made of: a chart, manifests or a kustomization.

use serde_json::json;

use super::super::{ReleaseSource, json_schema};
use super::{PROFILES, Shop, problems};
use crate::config::read::{Source, load_with};

fn shop(releases: &str) -> Shop {
    let shop = Shop::with(&format!("name: shop\nreleases:\n{releases}"));
    shop.write("k8s/api.yaml", "");
    shop.write("overlays/dev/kustomization.yml", "");
    shop
}

#[test]
fn a_release_is_a_chart_or_manifests_or_a_kustomization() {
    let shop = shop(
        "  - {name: a, manifests: [k8s/*.yaml, k8s]}\n  - {name: b, kustomize: overlays/dev}\n  - {name: c, chart: chart}\n",
    );
    let releases = shop.load().unwrap().releases;
    let ReleaseSource::Manifests(patterns) = &releases[0].source else {
        panic!("{releases:?}");
    };
    let texts: Vec<_> = patterns.iter().map(|pattern| &*pattern.text).collect();
    assert_eq!(texts, ["k8s/*.yaml", "k8s"]);
    assert_eq!(
        patterns[0].files().unwrap(),
        [shop.root().join("k8s/api.yaml")]
    );
    let ReleaseSource::Kustomize(folder) = &releases[1].source else {
        panic!("{releases:?}");
    };
    assert_eq!(*folder, shop.root().join("overlays/dev"));
    assert!(matches!(releases[2].source, ReleaseSource::Chart(_)));
}

#[test]
fn a_release_of_none_or_of_two_kinds_is_told() {
    let shop = shop("  - {name: a}\n  - {name: b, chart: chart, manifests: [k8s]}\n");
    insta::assert_snapshot!(shop.problems(), @r"
        devk.yaml:3: `releases[0]` has none of `chart`, `manifests`, `kustomize` [config.missing-key]
          add `chart: ./chart` or `manifests: [k8s/*.yaml]` or `kustomize: overlays/dev`
        devk.yaml:4: `releases[1]` has `chart` and `manifests`, and can have one of them [config.value]
          keep one of them, or write two entries with names of their own
    ");
}

#[test]
fn what_only_a_chart_can_take_is_told_with_what_to_write() {
    let shop = shop(
        "  - name: a\n    manifests: [k8s]\n    values: [values-dev.yaml]\n    set: {a: 1}\n    generate: {key: hex64}\n  \
         - {name: b, kustomize: overlays/dev, set: {a: 1}, timeout: 3m}\n",
    );
    insta::assert_snapshot!(shop.problems(), @r"
        devk.yaml:5: `values` is for charts: `manifests` takes no Helm values [config.value]
          write it into the manifest, or make an overlay and name that: `kustomize: overlays/dev`
        devk.yaml:6: `set` is for charts: `manifests` takes no Helm values [config.value]
          write it into the manifest, or make an overlay and name that: `kustomize: overlays/dev`
        devk.yaml:7: `generate` is for charts: `manifests` takes no Helm values [config.value]
          write a Secret as a manifest, or make it by `secretGenerator` of a kustomization
        devk.yaml:8: `set` is for charts: `kustomize` takes no Helm values [config.value]
          write it as a patch in the kustomization
    ");
}

#[test]
fn files_and_folders_that_are_not_there_are_told() {
    let shop = shop(
        "  - {name: a, manifests: [k8s/*.json, nowhere, \"k8s/[\"]}\n  - {name: b, kustomize: k8s}\n  \
         - {name: c, kustomize: 'https://example.invalid/base'}\n",
    );
    insta::assert_snapshot!(shop.problems(), @r#"
        devk.yaml:3: no file matches `k8s/*.json` [config.path]
          name files of Kubernetes objects, a folder of them or a pattern such as `k8s/*.yaml`; paths start at `SHOP`
        devk.yaml:3: there is no file or folder `nowhere` [config.path]
          name files of Kubernetes objects, a folder of them or a pattern such as `k8s/*.yaml`; paths start at `SHOP`
        devk.yaml:3: `k8s/[` is no pattern: invalid range pattern [config.value]
          write, for example, `k8s/*.yaml` or `k8s/**/*.yaml`
        devk.yaml:4: the folder `k8s` has no kustomization.yaml [config.path]
          name the folder that holds kustomization.yaml; paths start at `SHOP`
        devk.yaml:5: there is no folder `https://example.invalid/base` [config.path]
          make a folder with a kustomization.yaml that says `resources: ["https://example.invalid/base"]`, and name that folder
    "#);
    insta::assert_snapshot!(problems("releases: [{name: a, manifest: [k8s], chart: chart}]\n"), @r"
        devk.yaml:1: unknown key `manifest` in `releases[0]` [config.unknown-key]
          did you mean `manifests`?
    ");
}

#[test]
fn manifests_in_the_file_replace_the_chart_of_the_profile_and_what_goes_with_it() {
    let shop = shop("");
    shop.write(
        "devk.yaml",
        "name: shop\nprofile: mini\nreleases: [{name: base, manifests: [k8s]}]\n",
    );
    let source = Source {
        profile: None,
        ..shop.source()
    };
    let project = load_with(&source, &shop.paths(), &PROFILES).unwrap();
    let release = project
        .releases
        .iter()
        .find(|release| release.name == "base");
    let release = release.unwrap();
    assert!(
        matches!(release.source, ReleaseSource::Manifests(_)),
        "{release:?}"
    );
    assert_eq!((&release.values[..], &release.set), (&[][..], &json!({})));
}

#[test]
fn the_schema_lets_an_editor_see_two_sources_and_asks_for_none() {
    let schema = &json_schema()["properties"]["releases"]["items"];
    assert_eq!(schema["required"], json!(["name"]));
    let pairs = schema["not"]["anyOf"].as_array().unwrap();
    assert_eq!(pairs.len(), 3);
    assert_eq!(pairs[0], json!({"required": ["chart", "manifests"]}));
}
