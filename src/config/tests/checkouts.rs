//! The real stack of a profile in place of its miniature, and what is said of the built-in profiles.

use std::path::Path;

use include_dir::{Dir, DirEntry};

use super::super::profile::{EMBEDDED, names};
use super::super::read::{Source, load_with};
use super::super::{Project, ReleaseSource, profiles};
use super::{Shop, relative};

fn in_folder(shop: &Shop, folder: &str) -> Project {
    let source = Source {
        dir: shop.root().join(folder),
        file: None,
        profile: Some("geniro".into()),
    };
    load_with(&source, &shop.paths(), &EMBEDDED).unwrap()
}

fn chart(project: &Project) -> &Path {
    match &project.releases[..] {
        [release] => match &release.source {
            ReleaseSource::Chart(chart) => chart,
            other => panic!("{other:?}"),
        },
        several => panic!("{several:?}"),
    }
}

/// `src/geniro` with a Compose file beside `src/geniro-dist` with the chart.
fn workspace() -> Shop {
    let shop = Shop::new();
    shop.write("src/geniro-dist/helm/geniro/Chart.yaml", "name: geniro\n");
    shop.write("src/geniro/docker-compose.yml", "services: {}\n");
    shop.write("src/geniro/apps/api/main.ts", "");
    shop
}

#[test]
fn where_the_real_chart_is_the_profile_is_that_chart_beside_its_compose_stack() {
    let shop = workspace();
    for folder in ["src", "src/geniro-dist/helm", "src/geniro/apps/api"] {
        let project = in_folder(&shop, folder);
        let found = (
            relative(&project.root, &shop),
            relative(chart(&project), &shop),
        );
        let expected = (
            "shop/src/geniro-dist".to_owned(),
            "shop/src/geniro-dist/helm/geniro".to_owned(),
        );
        assert_eq!(found, expected, "{folder}");
        assert_eq!((project.id.as_str(), project.images.len()), ("geniro", 0));
        let compose = project.compose.unwrap();
        let compose: Vec<_> = compose.iter().map(|file| relative(file, &shop)).collect();
        assert_eq!(compose, ["shop/src/geniro/docker-compose.yml"]);
        let keys = &project.releases[0].generate;
        assert!(
            format!("{keys:?}").contains("secrets.credentialEncryptionKey"),
            "{keys:?}"
        );
    }
}

#[test]
fn a_checkout_without_a_compose_file_has_no_compose_stack() {
    let shop = Shop::new();
    shop.write("mono/helm/geniro/Chart.yaml", "name: geniro\n");
    let project = in_folder(&shop, "mono");
    assert_eq!(relative(&project.root, &shop), "shop/mono");
    assert_eq!(project.compose, Some(vec![]));
    shop.write("mono/compose.yaml", "services: {}\n");
    shop.write("mono/compose.override.yaml", "services: {}\n");
    let files = in_folder(&shop, "mono").compose.unwrap();
    let names: Vec<_> = files.iter().map(|file| relative(file, &shop)).collect();
    assert_eq!(
        names,
        ["shop/mono/compose.yaml", "shop/mono/compose.override.yaml"]
    );
}

#[test]
fn elsewhere_the_profile_is_the_miniature() {
    let shop = Shop::new();
    let project = in_folder(&shop, "");
    assert_eq!(relative(&project.root, &shop), "data/profiles/geniro");
    assert_eq!(
        relative(chart(&project), &shop),
        "data/profiles/geniro/chart"
    );
    assert_eq!(project.images.len(), 3);
}

#[test]
fn a_devk_yaml_in_the_checkout_overrides_what_was_found() {
    let shop = workspace();
    shop.write(
        "src/geniro-dist/devk.yaml",
        "profile: geniro\nname: mine\nreleases: [{name: geniro, timeout: 3m}]\n",
    );
    let source = Source {
        dir: shop.root().join("src/geniro-dist"),
        ..shop.source()
    };
    let project = load_with(&source, &shop.paths(), &EMBEDDED).unwrap();
    assert_eq!(project.id, "mine");
    assert_eq!(
        relative(chart(&project), &shop),
        "shop/src/geniro-dist/helm/geniro"
    );
    assert_eq!(project.releases[0].timeout.as_secs(), 180);
}

#[test]
fn every_built_in_profile_is_described_and_reads_well() {
    let shop = Shop::new();
    let all = profiles(&shop.root(), &shop.paths());
    let described: Vec<_> = all.iter().map(|profile| profile.name.as_str()).collect();
    assert_eq!(described, ["demo", "geniro", "todo-chatbot"]);
    assert_eq!(names().len(), all.len());
    for profile in all {
        assert!(profile.description.len() > 20, "{profile:?}");
        assert!(!profile.forwards.is_empty() && !profile.images.is_empty() && !profile.written);
        let source = Source {
            profile: Some(profile.name.clone()),
            ..shop.source()
        };
        let project = load_with(&source, &shop.paths(), &EMBEDDED).unwrap();
        let forwards = project.forwards.unwrap();
        let of_project = forwards.iter().map(|f| (&f.name, f.port));
        let of_summary = profile.forwards.iter().map(|f| (&f.name, f.port));
        assert!(of_project.eq(of_summary), "{}", profile.name);
    }
    let checkout = &profiles(&workspace().root().join("src"), &shop.paths())[1].checkout;
    assert!(
        checkout
            .as_ref()
            .is_some_and(|found| found.chart.ends_with("helm/geniro"))
    );
}

/// The program carries them to every machine.
#[test]
fn the_built_in_profiles_are_small() {
    fn bytes(dir: &Dir<'_>) -> usize {
        let sizes = dir.entries().iter().map(|entry| match entry {
            DirEntry::Dir(dir) => bytes(dir),
            DirEntry::File(file) => file.contents().len(),
        });
        sizes.sum()
    }
    let size = bytes(&EMBEDDED);
    assert!((50_000..400_000).contains(&size), "{size} bytes");
}
