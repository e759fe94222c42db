use super::*;

fn parse(text: &str) -> Dockerfile {
    Dockerfile::parse(text, &BTreeMap::new())
}

fn copies(text: &str) -> Vec<(Vec<String>, Result<String, &'static str>)> {
    let file = parse(text);
    let steps = file
        .stage(None)
        .map(|stage| stage.steps.clone())
        .unwrap_or_default();
    let copy = |step| match step {
        CopyStep::Copy(copy) => Some((copy.sources, copy.to)),
        CopyStep::Run { .. } => None,
    };
    steps.into_iter().filter_map(copy).collect()
}

fn to(path: &str) -> Result<String, &'static str> {
    Ok(path.to_owned())
}

#[test]
fn paths_are_resolved_by_the_working_folder() {
    let text = "FROM x\nWORKDIR /srv\nWORKDIR app/../web\nCOPY a b ./\nADD /c /d//e/\nCOPY [\"with space\", \"to\"]\n";
    assert_eq!(
        copies(text),
        [
            (vec!["a".into(), "b".into()], to("/srv/web")),
            (vec!["c".into()], to("/d/e")),
            (vec!["with space".into()], to("/srv/web/to")),
        ]
    );
}

#[test]
fn a_working_folder_that_only_the_base_image_knows_is_not_guessed() {
    assert_eq!(
        copies("FROM x\nCOPY . .\nCOPY . /app\n"),
        [
            (vec!["".into()], Err(NO_WORKDIR)),
            (vec!["".into()], to("/app"))
        ]
    );
}

#[test]
fn a_stage_continues_its_base_and_others_are_apart() {
    let text = "FROM x AS base\nWORKDIR /a\nCOPY one .\nFROM y AS other\nWORKDIR /b\nCOPY two .\nFROM base AS dev\nCOPY three .\nCMD [\"go\"]";
    assert_eq!(
        copies(text),
        [
            (vec!["one".into()], to("/a")),
            (vec!["three".into()], to("/a"))
        ]
    );
    let file = parse(text);
    assert_eq!(
        file.stage(Some("OTHER")).unwrap().workdir.as_deref(),
        Some("/b")
    );
    assert_eq!(file.stage(Some("1")), file.stage(Some("other")));
    assert_eq!(file.stage(Some("none")), None);
    assert_eq!(file.stage(None).unwrap().command(), ["go"]);
}

#[test]
fn the_stages_behind_one_are_found_through_each_other() {
    let text = "FROM x AS deps\nCOPY a .\nFROM y AS build\nCOPY --from=deps /a /a\nFROM z AS idle\nFROM w\n\
                COPY --from=build /b /b\nCOPY --from=redis:7 /c /c\nRUN --mount=type=bind,from=0,target=/x make\n";
    let file = parse(text);
    let names: Vec<_> = file
        .behind(file.stage(None).unwrap())
        .iter()
        .filter_map(|stage| stage.name.clone())
        .collect();
    assert_eq!(names.len(), 2);
    assert!(
        names.contains(&"deps".to_owned()) && names.contains(&"build".to_owned()),
        "{names:?}"
    );
}

#[test]
fn variables_are_replaced_by_scope() {
    let args = BTreeMap::from([("DIR".to_owned(), "given".to_owned())]);
    let text = "ARG BASE=dev\nARG DIR=default\nFROM x AS dev\nARG DIR\nENV ROOT=/srv/$DIR SUB=\"a b\"\nFROM ${BASE}\n\
                WORKDIR ${ROOT}\nCOPY ${NONE:-src} ${SUB:+sub}/\nCOPY \\$plain $MISSING/x\nENV OLD form here\nCOPY x $OLD\n";
    let file = Dockerfile::parse(text, &args);
    let stage = file.stage(None).unwrap();
    let found = stage.steps.iter().map(|step| match step {
        CopyStep::Copy(copy) => (copy.sources[0].clone(), copy.to.clone().unwrap()),
        CopyStep::Run { .. } => panic!("no RUN"),
    });
    let expected = [
        ("src", "/srv/given/sub"),
        ("$plain", "/x"),
        ("x", "/srv/given/form here"),
    ];
    assert_eq!(
        found.collect::<Vec<_>>(),
        expected.map(|(a, b)| (a.to_owned(), b.to_owned()))
    );
    assert_eq!(stage.variable("SUB"), Some("a b"));
}

/// The variable that is noted as one that only the builder knows, with its line.
fn unset(text: &str) -> Option<(String, u32)> {
    let file = parse(text);
    let unset = file.stage(None)?.unset.clone()?;
    Some((unset.name, unset.line))
}

#[test]
fn a_variable_that_only_the_builder_knows_is_noted_where_it_decides_something() {
    let noted = |name: &str, line| Some((name.to_owned(), line));
    for text in [
        "FROM base-$TARGETARCH",
        "FROM x\nENV A=$HOME/a\nCOPY a $A/",
        "FROM x AS base\nARG TARGETARCH\nCOPY bin-$TARGETARCH /b\nFROM base",
    ] {
        assert!(unset(text).is_some(), "{text}");
    }
    assert_eq!(unset("FROM x\nCOPY --from=build-$A /a /b"), noted("A", 2));
    assert_eq!(
        unset("FROM x\nRUN --mount=source=$A,target=/a make"),
        noted("A", 2)
    );
    for text in [
        "FROM x\nENV PATH=/venv/bin:$PATH\nCOPY --chown=$UID . /w",
        "FROM x\nRUN make $TARGETARCH",
        "FROM x AS a\nCOPY $A /w\nFROM y",
    ] {
        assert_eq!(unset(text), None, "{text}");
    }
}

#[test]
fn what_a_stage_has_its_children_run_is_run_by_them_and_not_by_their_children() {
    let text = "FROM x AS base\nWORKDIR /srv\nONBUILD COPY app app\nONBUILD RUN make\nFROM base AS one\nCOPY a .\nFROM one\n";
    let steps = |stage: usize| parse(text).stages[stage].steps.len();
    assert_eq!((steps(0), steps(1), steps(2)), (0, 3, 3));
    let CopyStep::Copy(first) = &parse(text).stages[1].steps[0] else {
        panic!("the COPY of the trigger")
    };
    assert_eq!((first.to.clone(), first.line), (to("/srv/app"), 3));
}

#[test]
fn continuations_comments_and_here_documents_do_not_confuse() {
    let text = "# syntax=docker/dockerfile:1\nFROM x\nWORKDIR /w\nRUN one && \\\n  # a comment\n\n  two\nRUN <<EOF\nCOPY not a copy\nEOF\n\
                COPY <<-\"END\" /etc/x\n\tCOPY neither .\n\tEND\ncopy --chown=1:2 \\\n  a \\\n  b/\n";
    let file = parse(text);
    let stage = file.stage(None).unwrap();
    assert!(
        matches!(&stage.steps[0], CopyStep::Run { text, line: 4, .. } if text == "one &&   two"),
        "{:?}",
        stage.steps[0]
    );
    let CopyStep::Copy(here) = &stage.steps[2] else {
        panic!("{:?}", stage.steps)
    };
    assert_eq!(here.sources, Vec::<String>::new());
    let CopyStep::Copy(last) = &stage.steps[3] else {
        panic!("{:?}", stage.steps)
    };
    assert_eq!(
        (last.line, last.owner.as_deref(), last.to.clone()),
        (14, Some("1:2"), to("/w/b"))
    );
    assert_eq!(stage.steps.len(), 4);
}

#[test]
fn another_escape_character_is_honoured() {
    let text = "# escape=`\nFROM x\nWORKDIR /w\nCOPY a `\n b/\n";
    assert_eq!(copies(text), [(vec!["a".into()], to("/w/b"))]);
}

#[test]
fn flags_are_kept() {
    let text = "FROM x\nCOPY --link --parents --chmod=0755 --chown=app --exclude=*.md --exclude=docs src /app/\n";
    let file = parse(text);
    let CopyStep::Copy(copy) = &file.stage(None).unwrap().steps[0] else {
        panic!("a COPY")
    };
    assert_eq!(
        (copy.mode, copy.owner.as_deref(), copy.parents),
        (Some(0o755), Some("app"), true)
    );
    assert_eq!(copy.exclude, ["*.md", "docs"]);
}

#[test]
fn folders_are_known_by_slash_dot_working_folder_and_earlier_copies() {
    let text =
        "FROM x\nWORKDIR /w\nCOPY a /w\nCOPY b .\nCOPY c /d/\nCOPY e /d\nCOPY f /g\nCOPY h i /j\n";
    let file = parse(text);
    let known = file
        .stage(None)
        .unwrap()
        .steps
        .iter()
        .map(|step| matches!(step, CopyStep::Copy(c) if c.into_folder));
    assert_eq!(
        known.collect::<Vec<_>>(),
        [true, true, true, true, false, true]
    );
}

#[test]
fn a_bind_mount_of_the_context_is_seen() {
    let text = "FROM x\nARG DIR=web\nRUN --mount=type=bind,source=package.json,target=/p --mount=type=cache,target=/c npm ci\nRUN --mount=target=. make\n\
                RUN --mount=source=./${DIR}/,target=/w --mount=src=.npmrc,target=.npmrc npm ci\n";
    let file = parse(text);
    let mounts = file
        .stage(None)
        .unwrap()
        .steps
        .iter()
        .map(|step| match step {
            CopyStep::Run { mounts, .. } => mounts.clone(),
            CopyStep::Copy(_) => vec![],
        });
    assert_eq!(
        mounts.collect::<Vec<_>>(),
        [vec!["package.json"], vec![""], vec!["web", ".npmrc"]]
    );
}

#[test]
fn the_escape_directive_is_that_of_the_words_too() {
    let text = "# escape=`\nFROM x\nWORKDIR /w\nCOPY a` b c:\\d `\n  `$e /to/\n";
    let file = parse(text);
    let CopyStep::Copy(copy) = &file.stages[0].steps[0] else {
        panic!("{:?}", file.stages)
    };
    assert_eq!(copy.sources, ["a b", "c:\\d", "$e"]);
}

#[test]
fn an_entrypoint_makes_the_bases_cmd_void_and_shell_forms_run_in_a_shell() {
    let text = "FROM x AS a\nCMD [\"old\"]\nFROM a\nENTRYPOINT uvicorn app\n";
    assert_eq!(
        parse(text).stage(None).unwrap().command(),
        ["/bin/sh", "-c", "uvicorn app"]
    );
    assert_eq!(
        parse("FROM x\n").stage(None).unwrap().command(),
        Vec::<String>::new()
    );
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_fail(text in "(FROM|COPY|RUN|ENV|ARG|WORKDIR|ADD|CMD)?[ -~\n\\\\$<{\\[\"']{0,60}") {
        let _ = parse(&format!("FROM x\n{text}")).stage(None).map(Stage::command);
    }
}

#[test]
fn the_images_that_a_build_begins_with_are_those_of_its_stages() {
    let text = "ARG TAG=3.11\nFROM node:20 AS web\nFROM python:${TAG} AS base\nFROM base\nCOPY --from=web /x /x\n\
                FROM ${UNSET}\nFROM scratch AS last\nCOPY --from=base /y /y\n";
    let bases = |target: &str, args: &[(&str, &str)]| -> Vec<String> {
        let args = args
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let dockerfile = Dockerfile::parse(text, &args);
        let found = dockerfile.base_images(Some(target));
        found.into_iter().map(str::to_owned).collect()
    };
    assert_eq!(bases("2", &[]), ["node:20", "python:3.11"]);
    assert_eq!(bases("2", &[("TAG", "3.13")]), ["node:20", "python:3.13"]);
    assert_eq!(bases("3", &[]), [""; 0]);
    assert_eq!(bases("last", &[]), ["python:3.11"]);
}
