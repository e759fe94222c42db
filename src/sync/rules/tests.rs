use super::*;
use crate::image::context::tests::{image, write};

const UVICORN: &str = "CMD [\"uvicorn\", \"app:app\", \"--reload\"]\n";

const NOT_TAKEN: &str = "no COPY of the Dockerfile takes it, as far as devk can tell";

struct Case {
    dir: tempfile::TempDir,
    image: ImageConfig,
}

impl Case {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), files);
        let image = ImageConfig {
            sync: Sync::Auto,
            ..image(dir.path())
        };
        Self { dir, image }
    }

    /// A Dockerfile that ends with uvicorn, over a context with the folders `app` and `src`.
    fn dockerfile(text: &str) -> Self {
        Self::new(&[
            ("Dockerfile", &format!("{text}\n{UVICORN}")),
            ("app/x", ""),
            ("src/x", ""),
            ("one.py", ""),
        ])
    }

    fn rules(&self) -> Rules {
        Rules::read(&self.image, &BTreeMap::new(), &Usage::default()).unwrap()
    }

    /// Where a path goes, in full; or why not.
    fn of(&self, path: &str) -> Result<String, String> {
        let rules = self.rules();
        match rules.verdict(Path::new(path)) {
            Verdict::Sync(to) => Ok(Path::new(&rules.roots()[to.root])
                .join(to.path)
                .display()
                .to_string()),
            Verdict::Rebuild(why) => Err(why),
            Verdict::Ignore(why) => Err(format!("ignored: {why}")),
        }
    }

    fn rebuilds(&self, path: &str) -> bool {
        self.of(path).is_err_and(|why| !why.starts_with("ignored"))
    }
}

fn to(path: &str) -> Result<String, String> {
    Ok(path.to_owned())
}

#[test]
fn what_is_copied_after_the_last_run_is_synced_and_what_a_run_consumes_is_not() {
    let case = Case::dockerfile(
        "FROM x\nWORKDIR /srv\nCOPY requirements.txt ./\nRUN pip install -r requirements.txt\nCOPY app app",
    );
    assert_eq!(case.of("app/main.py"), to("/srv/app/main.py"));
    assert_eq!(case.of("app/deep/x.html"), to("/srv/app/deep/x.html"));
    assert_eq!(
        case.of("requirements.txt").unwrap_err(),
        "the RUN in line 4 of the Dockerfile may build with it"
    );
    assert_eq!(
        case.of("Dockerfile").unwrap_err(),
        "`Dockerfile` says how the image is built"
    );
    assert_eq!(case.of("notes.md").unwrap_err(), NOT_TAKEN);
}

#[test]
fn a_lock_file_that_is_copied_twice_is_rebuilt() {
    let case = Case::dockerfile("FROM x\nWORKDIR /w\nCOPY package*.json ./\nRUN npm ci\nCOPY . .");
    assert!(case.rebuilds("package.json") && case.rebuilds("package-lock.json"));
    assert_eq!(case.of("src/a.js"), to("/w/src/a.js"));
}

#[test]
fn a_run_after_the_copy_means_a_rebuild_unless_it_reads_no_content() {
    let case = Case::dockerfile("FROM x\nWORKDIR /w\nCOPY . .\nRUN npm run build");
    assert!(case.rebuilds("src/a.js"));
    let case = Case::dockerfile(
        "FROM x\nWORKDIR /w\nCOPY . .\nRUN useradd app && chown -R app /w; mkdir /data",
    );
    assert_eq!(case.of("src/a.js"), to("/w/src/a.js"));
    let case = Case::dockerfile("FROM x\nWORKDIR /w\nCOPY . .\nRUN mkdir $(cat src/name)");
    assert!(case.rebuilds("src/a.js"));
}

#[test]
fn what_another_stage_builds_with_is_rebuilt_even_if_it_is_copied_too() {
    let case = Case::dockerfile(
        "FROM x AS build\nWORKDIR /b\nCOPY src src\nRUN make\nFROM x\nWORKDIR /w\nCOPY --from=build /b/out out\nCOPY src app ./",
    );
    assert!(case.of("src/a").unwrap_err().contains("another stage"));
    assert_eq!(case.of("app/b"), to("/w/b"));
}

#[test]
fn what_another_stage_mounts_is_rebuilt_even_if_it_is_copied_too() {
    let case = Case::dockerfile(
        "FROM x AS deps\nRUN --mount=type=bind,source=package.json,target=package.json \\\n  \
         --mount=source=.npmrc,target=.npmrc npm ci\nFROM x\nWORKDIR /w\nCOPY --from=deps /m /m\nCOPY . .",
    );
    assert_eq!(
        case.of("package.json").unwrap_err(),
        "the RUN in line 2 of the Dockerfile mounts it"
    );
    assert!(case.rebuilds(".npmrc"));
    assert_eq!(case.of("src/a.js"), to("/w/src/a.js"));
}

#[test]
fn a_stage_that_takes_no_part_has_no_say() {
    let case = Case::dockerfile("FROM x AS test\nCOPY app /t\nRUN make\nFROM x\nCOPY app /w/");
    assert_eq!(case.of("app/b"), to("/w/b"));
}

#[test]
fn the_target_stage_counts() {
    let mut case = Case::dockerfile(&format!(
        "FROM x AS dev\nCOPY app /dev/\n{UVICORN}FROM x AS prod\nCOPY app /prod/\nRUN build"
    ));
    assert!(case.rebuilds("app/b"));
    case.image.target = Some("dev".to_owned());
    assert_eq!(case.of("app/b"), to("/dev/b"));
}

#[test]
fn files_and_folders_land_where_docker_puts_them() {
    let copies = [
        ("COPY one.py /w/", "one.py", "/w/one.py"),
        ("COPY one.py /w/renamed.py", "one.py", "/w/renamed.py"),
        ("COPY app /w", "app/a/b", "/w/a/b"),
        ("COPY app src /w/", "src/a", "/w/a"),
        ("COPY *.py /w/", "one.py", "/w/one.py"),
        ("COPY app/* /w/", "app/sub/y", "/w/y"),
        ("COPY app/*.py /w/", "app/main.py", "/w/main.py"),
        ("COPY --parents app/x /w/", "app/x", "/w/app/x"),
        ("COPY ./app/../one.py /w/", "one.py", "/w/one.py"),
        ("COPY . /w", "app/a", "/w/app/a"),
        ("COPY one.py /", "one.py", "/one.py"),
    ];
    for (copy, path, expected) in copies {
        assert_eq!(
            Case::dockerfile(&format!("FROM x\n{copy}")).of(path),
            to(expected),
            "{copy}"
        );
    }
}

#[test]
fn what_docker_decides_by_what_it_finds_is_rebuilt() {
    assert!(Case::dockerfile("FROM x\nCOPY *.py /w").rebuilds("one.py"));
    assert!(
        Case::dockerfile("FROM x\nCOPY app .")
            .of("app/x")
            .unwrap_err()
            .contains("WORKDIR")
    );
    assert!(Case::dockerfile("FROM x\nADD app.tar.gz /w/").rebuilds("app.tar.gz"));
    assert!(
        Case::dockerfile("FROM x\nRUN --mount=type=bind,source=app,target=/x y\nCOPY . /w")
            .rebuilds("app/x")
    );
}

#[test]
fn the_last_copy_to_a_place_says_whose_the_file_is() {
    let case = Case::dockerfile("FROM x\nCOPY . /w\nCOPY --chown=app --chmod=755 app /w/app");
    assert_eq!(case.of("app/x"), to("/w/app/x"));
    let Verdict::Sync(found) = case.rules().verdict(Path::new("app/x")) else {
        panic!("synced")
    };
    assert_eq!(
        (found.owner.as_deref(), found.mode),
        (Some("app"), Some(0o755))
    );
    let case = Case::dockerfile("FROM x\nWORKDIR /w\nCOPY one.py ./\nCOPY app/x app/\nCOPY . .");
    assert_eq!(
        (case.of("one.py"), case.of("app/x")),
        (to("/w/one.py"), to("/w/app/x"))
    );
}

#[test]
fn what_a_copy_excludes_is_told_by_its_way_from_the_source() {
    let case = Case::dockerfile("FROM x\nCOPY --exclude=*.md --exclude=src/b src /w");
    assert_eq!(case.of("src/a.md").unwrap_err(), NOT_TAKEN);
    assert_eq!(
        (case.of("src/b"), case.of("src/deep/a.md")),
        (to("/w/b"), to("/w/deep/a.md"))
    );
    let case = Case::dockerfile("FROM x\nCOPY --exclude=*.py one.py src /w/");
    assert!(case.of("one.py").unwrap_err().contains("`--exclude`"));
}

#[test]
fn what_docker_writes_to_two_places_is_rebuilt() {
    let case = Case::dockerfile("FROM x\nCOPY . /w\nCOPY app /srv/public");
    assert_eq!(
        case.of("app/x").unwrap_err(),
        "the Dockerfile copies it to both `/w/app/x` and `/srv/public/x`"
    );
    assert_eq!(case.of("src/x"), to("/w/src/x"));
    let case = Case::dockerfile("FROM x\nCOPY . app one.py /w/");
    assert!(case.rebuilds("app/x"));
    assert_eq!(case.of("one.py"), to("/w/one.py"));
}

#[test]
fn what_another_file_is_laid_over_is_rebuilt() {
    let case =
        Case::dockerfile("FROM x\nWORKDIR /w\nCOPY app ./\nCOPY src/x *.py ./\nCOPY src ./deep/");
    assert_eq!(
        case.of("app/x").unwrap_err(),
        "the Dockerfile copies `src/x` to `/w/x`, too"
    );
    assert_eq!(
        case.of("app/one.py").unwrap_err(),
        "the Dockerfile copies `one.py` to `/w/one.py`, too"
    );
    assert_eq!(
        (case.of("one.py"), case.of("app/deep/y")),
        (to("/w/one.py"), to("/w/deep/y"))
    );
    write(case.dir.path(), &[("app/one.py", ""), ("src/y", "")]);
    assert!(case.rebuilds("one.py") && case.rebuilds("app/deep/y"));
    write(case.dir.path(), &[(".dockerignore", "src/y")]);
    assert_eq!(case.of("app/deep/y"), to("/w/deep/y"));
    let case = Case::dockerfile(
        "FROM x AS build\nCOPY src /w\nFROM x\nCOPY --from=build /o /o\nCOPY app /w",
    );
    assert_eq!(case.of("app/x"), to("/w/x"));
}

#[test]
fn excluded_ignored_and_temporary_files_are_left_alone() {
    let case = Case::dockerfile("FROM x\nCOPY --exclude=*.md . /w");
    write(
        case.dir.path(),
        &[(".dockerignore", "node_modules\n*.log\n!keep.log\n")],
    );
    assert_eq!(case.of("readme.md").unwrap_err(), NOT_TAKEN);
    for path in [
        "node_modules/a",
        "a.log",
        ".git/index",
        "sub/.git/HEAD",
        "app/.x.swp",
        "4913",
        "x~",
        ".#x",
        "#x#",
    ] {
        assert!(case.of(path).unwrap_err().starts_with("ignored"), "{path}");
    }
    assert_eq!(case.of("keep.log"), to("/w/keep.log"));
    assert!(case.rebuilds(".dockerignore"));
}

#[test]
fn an_ignore_file_says_how_the_image_is_built_before_there_is_one() {
    let case = Case::dockerfile("FROM x\nCOPY . /w");
    assert!(case.rebuilds(".dockerignore") && case.rebuilds("Dockerfile.dockerignore"));
    write(case.dir.path(), &[("Dockerfile.dockerignore", "")]);
    assert_eq!(case.of(".dockerignore"), to("/w/.dockerignore"));
}

#[test]
fn folders_that_mean_nothing_are_not_entered() {
    let case = Case::dockerfile("FROM x\nCOPY . /w");
    write(
        case.dir.path(),
        &[(".dockerignore", "node_modules\ndocs\n!docs/kept\n")],
    );
    let rules = case.rules();
    let entered = |path: &str| rules.scope().enters(Path::new(path));
    assert!(!entered("node_modules") && !entered(".git") && !entered("app/.git"));
    assert!(entered("docs") && entered("app"));
}

#[test]
fn a_reloader_is_expected_by_the_command_of_the_image_or_the_chart() {
    let case = Case::new(&[
        (
            "Dockerfile",
            "FROM x\nCOPY app /w/\nCMD [\"python\", \"x.py\"]\n",
        ),
        ("app/x", ""),
    ]);
    assert!(!case.rules().expects_reloader());
    let builds = case.rules().builds().unwrap();
    assert!(builds.contains("no known reloader"), "{builds}");
    let usage = Usage {
        command: vec!["nodemon".to_owned(), "x.js".to_owned()],
        ..Usage::default()
    };
    let rules = Rules::read(&case.image, &BTreeMap::new(), &usage).unwrap();
    assert_eq!(rules.builds(), None);
    assert!(matches!(
        rules.verdict(Path::new("app/x")),
        Verdict::Sync(_)
    ));
}

#[test]
fn a_script_of_package_json_is_followed() {
    let files = [
        (
            "Dockerfile",
            "FROM x\nWORKDIR /w\nCOPY package.json .\nRUN npm i\nCOPY . .\nCMD npm run dev\n",
        ),
        ("package.json", r#"{"scripts": {"dev": "vite --host"}}"#),
    ];
    assert_eq!(Case::new(&files).of("src/a.js"), to("/w/src/a.js"));
}

#[test]
fn build_arguments_are_known() {
    let case = Case::dockerfile("FROM x\nARG DIR=one\nCOPY app /$DIR/");
    let args = BTreeMap::from([("DIR".to_owned(), "two".to_owned())]);
    assert_eq!(
        Rules::read(&case.image, &args, &Usage::default())
            .unwrap()
            .roots(),
        ["/two"]
    );
}

#[test]
fn written_rules_are_asked_in_their_order() {
    let mut case = Case::dockerfile("FROM x\nCOPY . /w\nRUN make");
    let rule = |from: &str, to: &str, run: &[&str], exclude: &[&str]| SyncRule {
        from: from.into(),
        to: to.to_owned(),
        run: run.iter().map(|word| (*word).to_owned()).collect(),
        exclude: exclude.iter().map(|word| (*word).to_owned()).collect(),
        origin: case.image.origin.clone(),
    };
    let file = rule("one.py", "/opt/renamed.py", &[], &[]);
    let rules = vec![
        rule("app/static", "/static", &[], &["*.map"]),
        rule("app", "/w/app", &["kill", "-HUP", "1"], &[]),
        file,
    ];
    case.image.sync = Sync::Rules(rules);
    assert_eq!(case.of("app/static/a.css"), to("/static/a.css"));
    assert_eq!(case.of("app/main.py"), to("/w/app/main.py"));
    assert_eq!(case.of("one.py"), to("/opt/renamed.py"));
    assert!(
        case.of("app/static/a.map")
            .unwrap_err()
            .starts_with("ignored")
    );
    assert!(case.rebuilds("src/other"));
    let rules = case.rules();
    assert_eq!(
        (rules.run(0), rules.run(1)),
        (&[][..], &["kill", "-HUP", "1"].map(str::to_owned)[..])
    );
}

#[test]
fn an_image_with_no_rules_is_rebuilt() {
    let mut case = Case::dockerfile("FROM x\nCOPY app /w/");
    case.image.sync = Sync::Rules(vec![]);
    assert!(case.rebuilds("app/x"));
}

#[test]
fn a_name_that_is_no_text_keeps_its_bytes() {
    use std::os::unix::ffi::OsStrExt;
    let case = Case::dockerfile("FROM x\nCOPY app /w/");
    let path = Path::new("app").join(std::ffi::OsStr::from_bytes(b"\xff.py"));
    let Verdict::Sync(found) = case.rules().verdict(&path) else {
        panic!("synced")
    };
    assert_eq!(found.path.as_os_str().as_bytes(), b"\xff.py");
}

#[test]
fn an_archive_that_an_add_names_is_unpacked_by_a_build_whatever_it_is_called() {
    let case = Case::dockerfile("FROM x\nWORKDIR /w\nADD src/* one.py ./\nCOPY app app");
    assert_eq!(case.of("src/x"), to("/w/x"));
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(1);
    archive.append_data(&mut header, "x", &b"x"[..]).unwrap();
    let archive = archive.into_inner().unwrap();
    for path in ["src/new", "one.py", "app/new"] {
        std::fs::write(case.dir.path().join(path), &archive).unwrap();
    }
    for path in ["src/new", "one.py"] {
        assert_eq!(
            case.of(path).unwrap_err(),
            "the ADD of the Dockerfile unpacks it"
        );
    }
    assert_eq!(case.of("app/new"), to("/w/app/new"));
}

#[test]
fn what_a_user_gets_into_a_home_is_built() {
    let case = Case::dockerfile(
        "FROM x\nWORKDIR /w\nCOPY src /etc/skel/\nCOPY app app\nRUN useradd -m dev && chown -R dev /w",
    );
    assert!(case.rebuilds("src/x"));
    assert_eq!(case.of("app/x"), to("/w/app/x"));
    let case = Case::dockerfile("FROM x\nCOPY app /app\nRUN useradd -m -k /app dev");
    assert!(case.rebuilds("app/x"));
}

#[test]
fn a_path_that_a_copy_names_is_one_that_a_build_needs() {
    let case = Case::dockerfile("FROM x\nWORKDIR /w\nCOPY one.py src/* ./\nCOPY app app");
    let rules = case.rules();
    let named = ["one.py", "src/x", "app", "app/x"].map(|path| rules.names(Path::new(path)));
    assert_eq!(named, [true, false, true, false]);
}
