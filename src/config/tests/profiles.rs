//! Starting from a profile, running one, and keeping it up to date.

use std::path::Path;

use include_dir::{Dir, DirEntry, File};
use serde_json::json;

use super::super::profile::materialise;
use super::super::read::{Source, load_with};
use super::{PROFILES, Shop, chart_of, relative};

#[test]
fn a_profile_alone_is_its_own_project_from_anywhere() {
    let shop = Shop::with("this is: [not even YAML");
    shop.write(".git", "gitdir: /src/shop/.git/worktrees/login\n");
    let source = Source {
        profile: Some("mini".into()),
        ..shop.source()
    };
    let project = load_with(&source, &shop.paths(), &PROFILES).unwrap();
    assert_eq!(
        (project.id.as_str(), project.worktree.as_deref()),
        ("mini", None)
    );
    assert_eq!(relative(&project.root, &shop), "data/profiles/mini");
    assert_eq!(
        relative(chart_of(&project.releases[0]), &shop),
        "data/profiles/mini/chart"
    );
}

#[test]
fn an_unknown_profile_of_the_command_line_is_named() {
    let shop = Shop::new();
    let source = Source {
        profile: Some("notes".into()),
        ..shop.source()
    };
    let errors = load_with(&source, &shop.paths(), &PROFILES).unwrap_err();
    insta::assert_snapshot!(shop.render(&errors), @r"
        there is no profile `notes` [config.profile]
          the known profiles are `mini`
    ");
}

#[test]
fn a_file_overrides_its_profile_field_by_field() {
    let shop = Shop::with(
        "\
profile: mini
images:
  api: {args: {B: three}}
  own: {context: ./api}
releases:
  - name: own
    chart: ./chart
  - name: base
    set: {pool: {size: 5}, gone: null}
    timeout: 9m
forwards:
  web: {local: 20000}
  api: 6000
",
    );
    let project = shop.load().unwrap();
    assert_eq!(project.name, "shop");
    assert_eq!(project.root, shop.root());

    let [api, own] = &project.images[..] else {
        panic!("{:?}", project.images)
    };
    assert_eq!(json!(api.args), json!({"A": "one", "B": "three"}));
    assert_eq!(
        (relative(&api.context, &shop), relative(&own.context, &shop)),
        ("data/profiles/mini/api".into(), "shop/api".into())
    );

    let names: Vec<_> = project
        .releases
        .iter()
        .map(|release| release.name.as_str())
        .collect();
    assert_eq!(names, ["base", "extra", "own"]);
    assert_eq!(
        project.releases[0].set,
        json!({"replicas": 1, "pool": {"size": 5}, "gone": null})
    );
    assert_eq!(project.releases[0].timeout.as_secs(), 540);
    assert_eq!(
        relative(chart_of(&project.releases[0]), &shop),
        "data/profiles/mini/chart"
    );
    assert_eq!(
        relative(chart_of(&project.releases[2]), &shop),
        "shop/chart"
    );

    let forwards: Vec<_> = project
        .forwards
        .unwrap()
        .into_iter()
        .map(|f| (f.name, f.service, f.port, f.local))
        .collect();
    assert_eq!(
        forwards,
        [
            ("api".into(), None, 6000, None),
            ("web".into(), Some("mini-web".into()), 4173, Some(20000))
        ]
    );
}

#[test]
fn origins_name_the_file_a_value_was_written_in() {
    let shop = Shop::with("profile: mini\nforwards: {web: {local: 20000}}\n");
    let forwards = shop.load().unwrap().forwards.unwrap();
    let origins = forwards
        .iter()
        .map(|f| format!("{}:{}", relative(&f.origin.file, &shop), f.origin.line));
    assert_eq!(
        origins.collect::<Vec<_>>(),
        ["data/profiles/mini/devk.yaml:11", "shop/devk.yaml:2"]
    );
}

#[test]
fn a_key_with_nothing_behind_it_takes_the_profiles_away() {
    let shop = Shop::with("profile: mini\nforwards:\nimages: {api: }\n");
    let project = shop.load().unwrap();
    assert!(project.forwards.is_none() && project.images.is_empty());
}

#[test]
fn problems_of_an_edited_profile_name_its_file() {
    let shop = Shop::with("profile: mini\nimags: {}\n");
    let dir = materialise(&PROFILES, "mini", &shop.paths().data).unwrap();
    std::fs::write(
        dir.join("devk.yaml"),
        "releases: [{name: base, chart: ./chart, tiemout: 3m}]\n",
    )
    .unwrap();
    insta::assert_snapshot!(shop.problems(), @r"
        /data/profiles/mini/devk.yaml:1: unknown key `tiemout` in `releases[0]` [config.unknown-key]
          did you mean `timeout`?
        devk.yaml:2: unknown key `imags` [config.unknown-key]
          did you mean `images`?
    ");
}

#[test]
fn without_its_profile_a_file_is_blamed_for_its_own_problems_only() {
    let own = "images: {api: {args: {B: \"${forward.web.url}\"}}}\nreleases: [{name: base, images: {api: {}}, sett: {}}]\n";
    insta::assert_snapshot!(Shop::with(&format!("profile: minni\n{own}")).problems(), @r"
        devk.yaml:1: there is no profile `minni` [config.profile]
          did you mean `mini`?
        devk.yaml:3: unknown key `sett` in `releases[0]` [config.unknown-key]
          did you mean `set`?
    ");
    insta::assert_snapshot!(Shop::with(&format!("profile: [mini]\n{own}")).problems(), @r"
        devk.yaml:1: `profile` must be a text, found a list [config.syntax]
          write, for example, `profile: demo`
        devk.yaml:3: unknown key `sett` in `releases[0]` [config.unknown-key]
          did you mean `set`?
    ");
    let shop = Shop::with(&format!("profile: mini\n{own}"));
    let dir = materialise(&PROFILES, "mini", &shop.paths().data).unwrap();
    std::fs::write(dir.join("devk.yaml"), "a: [\n").unwrap();
    insta::assert_snapshot!(shop.problems(), @r"
        /data/profiles/mini/devk.yaml:1: not valid YAML: unclosed bracket '[' [config.syntax]
          look around this line for an open bracket or quote, a tab, or a wrong indentation
        devk.yaml:3: unknown key `sett` in `releases[0]` [config.unknown-key]
          did you mean `set`?
    ");
}

#[test]
fn a_profile_cannot_start_from_another_one() {
    let shop = Shop::with("profile: mini\n");
    let dir = materialise(&PROFILES, "mini", &shop.paths().data).unwrap();
    std::fs::write(
        dir.join("devk.yaml"),
        "profile: mini\nreleases: [{name: base, chart: ./chart}]\n",
    )
    .unwrap();
    insta::assert_snapshot!(shop.problems(), @r"
        /data/profiles/mini/devk.yaml:1: a profile cannot start from another one [config.value]
          remove the `profile` key
    ");
    let source = Source {
        profile: Some("mini".into()),
        ..shop.source()
    };
    insta::assert_snapshot!(shop.render(&load_with(&source, &shop.paths(), &PROFILES).unwrap_err()), @r"
        /data/profiles/mini/devk.yaml:1: a profile cannot start from another one [config.value]
          remove the `profile` key
    ");
}

fn version(files: &'static [DirEntry<'static>]) -> Dir<'static> {
    // `Dir::new` is const and borrows; a test may leak its few bytes.
    let mini = Box::leak(Box::new([DirEntry::Dir(Dir::new("mini", files))]));
    Dir::new("", mini)
}

const V1: &[DirEntry<'static>] = &[
    DirEntry::File(File::new("mini/devk.yaml", b"v1")),
    DirEntry::File(File::new("mini/a", b"a1")),
    DirEntry::File(File::new("mini/b", b"b1")),
    DirEntry::File(File::new("mini/gone", b"gone1")),
    DirEntry::File(File::new("mini/gone-edited", b"gone1")),
];

const V2: &[DirEntry<'static>] = &[
    DirEntry::File(File::new("mini/devk.yaml", b"v2")),
    DirEntry::File(File::new("mini/a", b"a2")),
    DirEntry::File(File::new("mini/b", b"b2")),
    DirEntry::File(File::new("mini/new", b"new2")),
];

fn content(dir: &Path) -> Vec<String> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|file| !file.ends_with(".devk-profile.json"))
        .map(|file| {
            format!(
                "{}={}",
                file.file_name().unwrap().display(),
                std::fs::read_to_string(&file).unwrap()
            )
        })
        .collect();
    files.sort();
    files
}

#[test]
fn a_new_version_updates_what_nobody_edited() {
    let data = tempfile::tempdir().unwrap();
    let dir = materialise(&version(V1), "mini", data.path()).unwrap();
    std::fs::write(dir.join("b"), "mine").unwrap();
    std::fs::write(dir.join("gone-edited"), "mine").unwrap();
    std::fs::write(dir.join("own"), "mine").unwrap();
    materialise(&version(V2), "mini", data.path()).unwrap();
    assert_eq!(
        content(&dir),
        [
            "a=a2",
            "b=mine",
            "devk.yaml=v2",
            "gone-edited=mine",
            "new=new2",
            "own=mine"
        ]
    );
}

#[test]
fn an_edited_file_stays_through_every_later_version() {
    let data = tempfile::tempdir().unwrap();
    let dir = materialise(&version(V1), "mini", data.path()).unwrap();
    std::fs::write(dir.join("b"), "mine").unwrap();
    for files in [V2, V1, V2] {
        materialise(&version(files), "mini", data.path()).unwrap();
        assert_eq!(std::fs::read_to_string(dir.join("b")).unwrap(), "mine");
    }
}

#[test]
fn a_deleted_file_comes_back() {
    let data = tempfile::tempdir().unwrap();
    let dir = materialise(&version(V1), "mini", data.path()).unwrap();
    std::fs::remove_file(dir.join("a")).unwrap();
    materialise(&version(V1), "mini", data.path()).unwrap();
    assert_eq!(std::fs::read_to_string(dir.join("a")).unwrap(), "a1");
}

#[test]
fn a_second_run_writes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let dir = materialise(&version(V1), "mini", data.path()).unwrap();
    let times = || {
        let files =
            ["a", ".devk-profile.json"].map(|name| std::fs::metadata(dir.join(name)).unwrap());
        files.map(|metadata| std::os::unix::fs::MetadataExt::ino(&metadata))
    };
    let before = times();
    materialise(&version(V1), "mini", data.path()).unwrap();
    assert_eq!(times(), before);
}

/// A crash between two writes leaves some files new, some old, and the stamp of "during".
#[test]
fn a_crash_in_mid_update_makes_no_file_look_edited() {
    let data = tempfile::tempdir().unwrap();
    let dir = materialise(&version(V1), "mini", data.path()).unwrap();
    // A folder where a file belongs stops the update after `a` and before `new`.
    std::fs::create_dir_all(dir.join("new/x")).unwrap();
    assert!(materialise(&version(V2), "mini", data.path()).is_err());
    std::fs::remove_dir_all(dir.join("new")).unwrap();
    materialise(&version(V1), "mini", data.path()).unwrap();
    materialise(&version(V2), "mini", data.path()).unwrap();
    assert_eq!(content(&dir), ["a=a2", "b=b2", "devk.yaml=v2", "new=new2"]);
}

#[test]
fn scripts_are_executable_and_leftovers_stay_out() {
    use std::os::unix::fs::PermissionsExt;
    let data = tempfile::tempdir().unwrap();
    let dir = materialise(&PROFILES, "mini", data.path()).unwrap();
    let mode = |name| {
        std::fs::metadata(dir.join(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!((mode("seed.sh"), mode("devk.yaml")), (0o755, 0o644));
    assert!(!dir.join("node_modules").exists());
}

/// Whatever profiles this binary brings are right: they load without a problem.
#[test]
fn every_embedded_profile_loads() {
    for name in super::super::profile_names() {
        let shop = Shop::new();
        let source = Source {
            profile: Some(name.clone()),
            ..shop.source()
        };
        let project = super::super::load(&source, &shop.paths())
            .unwrap_or_else(|errors| panic!("{}", shop.render(&errors)));
        assert_eq!(project.id, name);
    }
}
