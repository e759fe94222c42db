use std::path::PathBuf;

use super::super::prepare::fixture;
use super::super::values::ImageBlock;
use super::*;
use crate::config::{Origin, Sync};

fn config(name: &str, replaces: &[&str]) -> ImageConfig {
    ImageConfig {
        name: name.into(),
        context: PathBuf::new(),
        dockerfile: PathBuf::new(),
        target: None,
        platform: None,
        args: BTreeMap::new(),
        replaces: replaces.iter().map(ToString::to_string).collect(),
        secrets: vec![],
        ssh: vec![],
        sync: Sync::Auto,
        origin: Origin {
            file: "devk.yaml".into(),
            line: 3,
        },
    }
}

fn image(name: &str) -> ImageRef {
    ImageRef {
        name: name.into(),
        repository: format!("devk.local/shop/{name}"),
        tag: "0123".into(),
    }
}

fn block(path: &str, repository: &str) -> ImageBlock {
    ImageBlock {
        path: path.into(),
        repository: Some(repository.to_owned()).filter(|text| !text.is_empty()),
    }
}

/// A project `shop` with one release of the same name.
#[derive(Default)]
struct World {
    images: Vec<ImageConfig>,
    compose: BTreeMap<String, Vec<String>>,
    blocks: Vec<ImageBlock>,
}

impl World {
    fn of(names: &[&str]) -> Self {
        Self {
            images: names.iter().map(|name| config(name, &[])).collect(),
            ..Self::default()
        }
    }

    fn with_blocks(names: &[&str], blocks: &[ImageBlock]) -> Self {
        Self {
            blocks: blocks.to_vec(),
            ..Self::of(names)
        }
    }

    fn assign(&self, references: &[&str]) -> Result<Assignment, Errors> {
        let pods = references.iter().enumerate().map(|(at, reference)| {
            format!("---\n# Source: shop/templates/{at}.yaml\nkind: Pod\nmetadata: {{name: p{at}}}\nspec: {{containers: [{{name: c, image: '{reference}'}}]}}\n")
        });
        let rendered = Rendered::parse(&pods.collect::<String>()).unwrap();
        let root = PathBuf::from("/p");
        let mut project = fixture::project(&root, vec![fixture::release()]);
        project.images.clone_from(&self.images);
        let mut prepared = fixture::prepared(&root);
        prepared.blocks.clone_from(&self.blocks);
        let images: Vec<_> = self
            .images
            .iter()
            .map(|config| image(&config.name))
            .collect();
        assign(AssignmentInputs {
            project: &project,
            images: &images,
            compose: &self.compose,
            releases: &[(&prepared, &rendered)],
        })
    }

    /// `api ← docker.io/acme/api LastPart`, or the problems with their hints.
    fn shown(&self, references: &[&str]) -> Vec<String> {
        match self.assign(references) {
            Ok(found) => {
                let replaced = found.replacements.into_iter().map(|(made, why)| {
                    let tag = made.tag.map_or_else(String::new, |tag| format!(":{tag}"));
                    format!("{} ← {}{tag} {why:?}", made.image, made.repository)
                });
                let by_values = found.by_values.into_iter();
                replaced
                    .chain(by_values.map(|(_, mapped)| {
                        format!("{} → {}", mapped.image.name, mapped.paths.repository)
                    }))
                    .collect()
            }
            Err(errors) => errors
                .0
                .into_iter()
                .flat_map(|e| {
                    let message = e.to_string();
                    std::iter::once(message).chain(e.evidence).chain(e.hint)
                })
                .collect(),
        }
    }
}

#[test]
fn the_last_part_of_a_repository_names_the_image() {
    for reference in [
        "api",
        "acme/api:1",
        "registry.example:5000/team/api@sha256:00",
        "acme/Api".to_lowercase().as_str(),
    ] {
        let found = World::of(&["api", "web"]).shown(&[reference, "acme/web:1", "redis:7"]);
        assert!(
            found[0].starts_with("api ← ") && found[0].ends_with("api LastPart"),
            "{found:?}"
        );
        assert_eq!(found.len(), 2);
    }
}

#[test]
fn one_prefix_and_one_tag_for_many_images() {
    let names = ["cart", "todo-api", "ad_service"];
    let found = World::of(&names).shown(&[
        "gcr.io/demo/cart:v1",
        "gcr.io/demo/todoapi:v1",
        "gcr.io/demo/ad-service:v1",
    ]);
    assert_eq!(
        found,
        [
            "cart ← gcr.io/demo/cart LastPart",
            "todo-api ← gcr.io/demo/todoapi LastPart",
            "ad_service ← gcr.io/demo/ad-service LastPart"
        ]
    );
}

#[test]
fn the_project_or_the_organisation_may_stand_in_front() {
    let found = |reference: &str| World::of(&["api", "web"]).shown(&[reference, "web"])[0].clone();
    assert_eq!(
        found("acme/shop-api"),
        "api ← docker.io/acme/shop-api LastPart"
    );
    assert_eq!(
        found("acme/acme-api"),
        "api ← docker.io/acme/acme-api LastPart"
    );
    assert!(found("acme/redis-api").starts_with("devk.yaml:3: image `api` replaces no reference"));
    assert_eq!(
        World::of(&["shop-api"]).shown(&["acme/api"]),
        ["shop-api ← docker.io/acme/api LastPart"]
    );
}

#[test]
fn the_best_fit_wins_and_takes_the_repository() {
    let found = World::of(&["api", "shop-api"]).shown(&["acme/shop-api", "acme/api"]);
    assert_eq!(
        found,
        [
            "api ← docker.io/acme/api LastPart",
            "shop-api ← docker.io/acme/shop-api LastPart"
        ]
    );
}

#[test]
fn what_fits_twice_names_both_and_the_line_to_write() {
    assert_eq!(
        World::of(&["api"]).shown(&["acme/api:1", "other/api:2", "other/api:2"]),
        [
            "devk.yaml:3: image `api` could replace several references of the charts",
            "`acme/api:1` in Pod/p0 (shop/templates/0.yaml)",
            "`other/api:2` in Pod/p1 (shop/templates/1.yaml), and in 1 more",
            "say which one: images: {api: {replaces: [acme/api]}}"
        ]
    );
    let twins = World::of(&["todo-api", "todo_api"]).shown(&["acme/todo-api"]);
    assert!(twins[0].contains("`todo-api` is not the only one that could replace `acme/todo-api`"));
}

#[test]
fn what_devk_yaml_says_comes_first_and_a_mistake_is_named() {
    let world = |replaces: &[&str]| World {
        images: vec![config("api", replaces), config("web", &[])],
        ..World::default()
    };
    assert_eq!(
        world(&["acme/backend", "acme/web:1"]).shown(&["acme/backend:1", "acme/web:1", "x/web"]),
        [
            "api ← docker.io/acme/backend Replaces",
            "api ← docker.io/acme/web:1 Replaces",
            "web ← docker.io/x/web LastPart"
        ]
    );
    assert_eq!(
        world(&["acme/backnd"]).shown(&["acme/backend:1", "web"]),
        [
            "devk.yaml:3: image `api` replaces `acme/backnd`, which no chart renders",
            "did you mean `acme/backend`?"
        ]
    );
}

#[test]
fn the_name_that_compose_builds_counts_before_the_last_part() {
    let mut world = World::of(&["api"]);
    world.compose = [("api".to_owned(), vec!["acme/backend:dev".to_owned()])].into();
    assert_eq!(
        world.shown(&["acme/backend:1", "acme/api:1"]),
        ["api ← docker.io/acme/backend Compose"]
    );
    assert_eq!(
        world.shown(&["acme/api:1"]),
        ["api ← docker.io/acme/api LastPart"],
        "the charts do not use Compose's name"
    );
}

#[test]
fn the_only_image_may_be_called_like_the_chart() {
    assert_eq!(
        World::of(&["app"]).shown(&["acme/shop:1", "redis"]),
        ["app ← docker.io/acme/shop OnlyImage"]
    );
    assert_eq!(
        World::of(&["app", "web"])
            .shown(&["acme/shop:1", "web"])
            .len(),
        4,
        "with two images nobody knows"
    );
}

#[test]
fn a_block_of_the_values_tells_the_repository() {
    let blocks = [block("image", "nginx"), block("db.image", "postgres")];
    assert_eq!(
        World::with_blocks(&["app"], &blocks).shown(&["nginx:1.16", "postgres:17"]),
        ["app ← docker.io/library/nginx Values"]
    );
}

#[test]
fn a_repository_that_two_blocks_share_or_none_has_goes_in_by_values() {
    let shared = [
        block("api.image", "acme/all"),
        block("worker.image", "acme/all"),
    ];
    assert_eq!(
        World::with_blocks(&["api", "worker"], &shared).shown(&["acme/all:1"]),
        [
            "api → api.image.repository",
            "worker → worker.image.repository"
        ]
    );
    let empty = [block("api.image", "")];
    assert_eq!(
        World::with_blocks(&["api"], &empty).shown(&[]),
        ["api → api.image.repository"]
    );
    let two = [block("api.image", "a"), block("api.migration.image", "b")];
    assert_eq!(
        World::with_blocks(&["api"], &two).shown(&["a", "b"]),
        [
            "devk.yaml:3: image `api` could be meant for several values of the charts",
            "`api.image` of release `shop`",
            "`api.migration.image` of release `shop`",
            "name the values in release `shop`: images: {api: {repository: api.image.repository, tag: api.image.tag}}"
        ]
    );
}

#[test]
fn an_image_that_the_values_name_already_is_left_alone() {
    assert_eq!(
        World::of(&["api"]).shown(&["devk.local/shop/api:0123", "acme/api"]),
        [""; 0]
    );
}

#[test]
fn an_image_that_fits_nowhere_is_shown_beside_what_is_rendered() {
    assert_eq!(
        World::of(&["api", "web"]).shown(&["acme/web", "acme/backend:2"]),
        [
            "devk.yaml:3: image `api` replaces no reference of the charts",
            "`acme/backend:2` in Pod/p1 (shop/templates/1.yaml)",
            "`acme/web` in Pod/p0 (shop/templates/0.yaml)",
            "say which reference it replaces, images: {api: {replaces: [acme/backend]}}; or give its reference to a value, set: {PATH: \"${image.api.reference}\"}"
        ]
    );
}

#[test]
fn a_word_of_a_reference_names_the_image_where_nothing_else_comes_into_question() {
    let found = |names: &[&str], references: &[&str]| World::of(names).shown(references);
    let chosen = ["api ← docker.io/library/shop-api-service Word"];
    assert_eq!(found(&["api"], &["shop-api-service:1", "redis:7"]), chosen);
    // A better fit leaves the word alone.
    assert_eq!(
        found(&["api"], &["shop-api-service:1", "acme/api:1"]),
        ["api ← docker.io/acme/api LastPart"]
    );
    assert_eq!(
        found(&["api", "web"], &["acme/api-service", "acme/shop-web-app"]),
        [
            "api ← docker.io/acme/api-service Word",
            "web ← docker.io/acme/shop-web-app Word"
        ]
    );
    let blocks = [block("api.image", "acme/backend")];
    assert_eq!(
        World::with_blocks(&["api"], &blocks).shown(&["acme/backend", "other/shop-api-app"]),
        ["api ← docker.io/acme/backend Values"]
    );
}

#[test]
fn a_word_that_fits_twice_names_all_candidates_and_the_line_to_write() {
    let found = World::of(&["api"]).shown(&["shop-api-app:1", "acme/shop-api-service"]);
    assert_eq!(
        found,
        [
            "devk.yaml:3: image `api` could replace several references of the charts",
            "`acme/shop-api-service` in Pod/p1 (shop/templates/1.yaml)",
            "`shop-api-app:1` in Pod/p0 (shop/templates/0.yaml)",
            "say which one: images: {api: {replaces: [acme/shop-api-service]}}"
        ]
    );
    // Another word may make it somebody else's.
    for other in ["acme/api-worker", "oauth2-api/oauth2-api", "acme/redis-api"] {
        let found = World::of(&["api", "worker"]).shown(&["acme/worker", other]);
        assert!(
            found[0].ends_with("image `api` replaces no reference of the charts"),
            "{found:?}"
        );
    }
}

#[test]
fn the_lines_to_write_have_the_references_that_are_rendered() {
    let found = World::of(&["backend"]).shown(&["redis:7", "acme/server:1"]);
    let hint = found.last().unwrap();
    assert!(
        hint.starts_with(
            "say which reference it replaces, images: {backend: {replaces: [acme/server]}} or images: {backend: {replaces: [redis]}}; or"
        ),
        "{hint}"
    );
}
