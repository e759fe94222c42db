//! The Compose project of a folder: from the options to services and their ports.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::build_access;
use super::load::{FileSet, Reader};
use super::options::{ComposeVariables, setup};
use super::project::Model;
use super::yaml::{Document, YamlData, YamlEntry, YamlNode};
use super::{
    Compose, ComposeDatabase, Options, Port, Service, ServiceBuild, Variable, consistency,
    development, environment, name, types,
};
use crate::config::Origin;
use crate::database::{self, Named};
use crate::error::{Error, Errors, Result};

/// Reads the project; None: no Compose file was named nor found.
///
/// # Errors
/// Whatever `docker compose config` refuses: the first problem, or all problems of a file's shape.
pub fn load(options: &Options) -> Result<Option<Compose>, Errors> {
    Ok(whole(options, Tolerance::None)?.map(|whole| whole.compose))
}

/// Reads the project, and passes over what says nothing of ports: keys that this reader does not know, env and label
/// files that are not there, and required variables that are not set. [`Compose::passed_over`] names them.
///
/// # Errors
/// All else that `docker compose config` refuses.
pub fn load_tolerantly(options: &Options) -> Result<Option<Compose>, Errors> {
    Ok(whole(options, Tolerance::Ports)?.map(|whole| whole.compose))
}

/// What is passed over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tolerance {
    /// Nothing.
    None,
    /// Keys that this reader does not know, files that are not there.
    Texts,
    /// The same, and variables that are not set.
    Ports,
}

/// A project with all that its files say, in the long forms.
#[derive(Debug)]
pub struct WholeCompose {
    pub compose: Compose,
    /// By name.
    pub(crate) services: BTreeMap<String, YamlEntry>,
    /// The sections other than `services`.
    pub(crate) root: YamlNode,
    /// What the files may name: `.env` below the environment of the process.
    pub(crate) variables: BTreeMap<String, String>,
}

/// Reads the project as [`load_tolerantly`] does, and keeps every key of it; required variables have to be set.
///
/// # Errors
/// As [`load_tolerantly`].
pub fn load_whole(options: &Options) -> Result<Option<WholeCompose>, Errors> {
    whole(options, Tolerance::Texts)
}

fn whole(options: &Options, tolerance: Tolerance) -> Result<Option<WholeCompose>, Errors> {
    let Some(mut setup) = setup(options)? else {
        return Ok(None);
    };
    let mut reader = Reader::new(&options.dir.to_string_lossy(), &setup.environment);
    reader.passed_over = (tolerance != Tolerance::None).then(Vec::new);
    reader.unset = (tolerance == Tolerance::Ports).then(Vec::new);
    let files = setup
        .files
        .iter()
        .map(|file| reader.documents(file, None))
        .collect::<Result<Vec<_>>>()?;
    let name = name::project(&setup, &files)?;
    // The files may ask for it as `${COMPOSE_PROJECT_NAME}`.
    setup
        .environment
        .insert("COMPOSE_PROJECT_NAME".to_owned(), name.clone());
    let batch = FileSet {
        files: &setup.files,
        dir: &setup.dir,
        root: &setup.dir,
        environment: &setup.environment,
        from: None,
        including: &[],
    };
    let understood = understood(&mut reader, files, &batch, &setup.profiles);
    let unset = reader.unset.take().unwrap_or_default();
    let (model, services) = understood.map_err(|errors| match unset.is_empty() {
        true => errors,
        // What is wrong may come from what is not set.
        false => Errors(once(unset.clone())),
    })?;
    let passed_over = [reader.passed_over.unwrap_or_default(), unset].concat();
    let compose = Compose {
        name,
        dir: PathBuf::from(setup.dir),
        files: reader.files.into_iter().collect(),
        services,
        passed_over: once(passed_over),
    };
    Ok(Some(WholeCompose {
        compose,
        services: model.services,
        root: model.root,
        variables: setup.environment,
    }))
}

/// The project in its files, and its services.
fn understood(
    reader: &mut Reader,
    files: Vec<Vec<Document>>,
    batch: &FileSet<'_>,
    profiles: &[String],
) -> Result<(Model, BTreeMap<String, Service>), Errors> {
    let root = reader.project(files, batch)?;
    types::check(&root)?;
    let model = Model::new(root, profiles)?;
    consistency::check(&model)?;
    if reader.passed_over.is_none() {
        consistency::check_printable(&model)?;
    }
    let dir = Path::new(batch.dir);
    let services = services(&model, batch.environment, dir, &mut reader.passed_over)?;
    Ok((model, services))
}

/// What a file has is found again with every file that is laid over it.
fn once(errors: Vec<Error>) -> Vec<Error> {
    let mut once: Vec<Error> = vec![];
    for error in errors {
        if !once.contains(&error) {
            once.push(error);
        }
    }
    once
}

pub(super) fn services(
    model: &Model,
    around: &ComposeVariables,
    dir: &Path,
    passed_over: &mut Option<Vec<Error>>,
) -> Result<BTreeMap<String, Service>> {
    let service = |entry: &YamlEntry| {
        let service = service(entry, model, around, dir, passed_over)?;
        Ok((entry.key.clone(), service))
    };
    model.services.values().map(service).collect()
}

fn service(
    entry: &YamlEntry,
    model: &Model,
    around: &ComposeVariables,
    dir: &Path,
    passed_over: &mut Option<Vec<Error>>,
) -> Result<Service> {
    let text = |key: &str| {
        entry
            .value
            .get(key)
            .and_then(YamlNode::text)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let active = model.is_active(&entry.key);
    let environment = match active {
        true => environment::resolved(&entry.value, around, passed_over)?,
        false => environment::own(&entry.value, around),
    };
    Ok(Service {
        name: entry.key.clone(),
        active,
        image: text("image"),
        build: build(entry, model),
        network_mode: text("network_mode"),
        ports: ports(entry, dir),
        databases: databases(entry, &environment),
        development: development::of(entry),
        environment,
        origin: Origin::from(&entry.place),
    })
}

fn build(entry: &YamlEntry, model: &Model) -> Option<ServiceBuild> {
    let build = entry.value.get("build")?;
    let text = |key: &str| build.get(key).and_then(YamlNode::text);
    let context = Path::new(text("context")?);
    // A remote context stays as it is written.
    let context = context.is_absolute().then(|| context.to_owned())?;
    let dockerfile = match build.get("dockerfile_inline") {
        Some(_) => None,
        None => Some(context.join(text("dockerfile").unwrap_or("Dockerfile"))),
    };
    let additional = build.get("additional_contexts");
    let entries = additional.into_iter().flat_map(YamlNode::entries);
    Some(ServiceBuild {
        additional_contexts: entries.map(|entry| entry.key.clone()).collect(),
        dockerfile,
        target: text("target").map(str::to_owned),
        args: arguments(build),
        secrets: build_access::secrets(build, model),
        ssh: build_access::agents(build),
        context,
    })
}

/// The build arguments that have a value: the others come from the shell that builds.
fn arguments(build: &YamlNode) -> BTreeMap<String, Variable> {
    let arguments = build.get("args").map(YamlNode::entries).unwrap_or_default();
    let set = arguments
        .iter()
        .filter(|entry| entry.value.data != YamlData::Null);
    set.map(|entry| {
        let variable = Variable {
            value: entry.value.printed(),
            origin: Origin::from(&entry.place),
        };
        (entry.key.clone(), variable)
    })
    .collect()
}

/// The databases that the environment and the command name; those of a command stand at its line.
fn databases(entry: &YamlEntry, environment: &BTreeMap<String, Variable>) -> Vec<ComposeDatabase> {
    let image = entry.value.get("image").and_then(YamlNode::text);
    let variables = environment
        .iter()
        .map(|(key, variable)| (key.as_str(), variable.value.as_str()))
        .collect();
    let mut named = database::in_environment(image, &variables);
    let words = ["entrypoint", "command"].map(|key| {
        entry
            .value
            .get(key)
            .map(YamlNode::items)
            .unwrap_or_default()
    });
    let words: Vec<_> = words
        .iter()
        .copied()
        .flatten()
        .filter_map(YamlNode::text)
        .collect();
    named.extend(database::in_command(image, &words, &variables, "command"));
    let texts = ["entrypoint", "command"].map(|key| entry.value.get(key).and_then(YamlNode::text));
    named.extend(
        texts
            .iter()
            .flatten()
            .flat_map(|text| database::in_text(image, text, "command")),
    );
    let origin = |via: &str| match environment.get(via) {
        Some(variable) => variable.origin.clone(),
        None => Origin::from(
            entry
                .value
                .get(via)
                .map_or(&entry.place, |node| &node.place),
        ),
    };
    let database = |named: Named| ComposeDatabase {
        service: entry.key.clone(),
        origin: origin(&named.via),
        named,
    };
    named.into_iter().map(database).collect()
}

fn ports(entry: &YamlEntry, dir: &Path) -> Vec<Port> {
    let items = entry
        .value
        .get("ports")
        .map(YamlNode::items)
        .unwrap_or_default();
    items
        .iter()
        .map(|item| port(item, &entry.key, dir))
        .collect()
}

/// `docker compose config` doubles each `$`, so that its output can be read again.
fn port(item: &YamlNode, service: &str, dir: &Path) -> Port {
    let text = |key: &str| {
        item.get(key)
            .map(|value| value.printed().replace('$', "$$"))
            .filter(|text| !text.is_empty())
    };
    let file = item
        .place
        .file
        .strip_prefix(dir)
        .unwrap_or(&item.place.file);
    Port {
        service: service.to_owned(),
        host_ip: text("host_ip"),
        published: text("published"),
        target: item.get("target").map_or(0, target),
        protocol: text("protocol").unwrap_or_default(),
        file: file.to_owned(),
        line: item.place.line,
    }
}

/// Compose keeps the lower 32 bits.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn target(node: &YamlNode) -> u32 {
    match node.data {
        YamlData::Int(number) => number as u32,
        YamlData::Float(number) if number < u64::MAX as f64 => number as u64 as u32,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    /// A project in a folder of its own, `compose.yaml` first.
    fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let file = dir.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        dir
    }

    fn options(dir: &Path, variables: &[(&str, &str)]) -> Options {
        let environment = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Options {
            dir: dir.to_owned(),
            environment,
            ..Options::default()
        }
    }

    fn shown(compose: &Compose) -> Vec<String> {
        let active = compose.services.values().filter(|service| service.active);
        let ports = active.flat_map(|service| &service.ports).map(|port| {
            let published = port.published.as_deref().unwrap_or("*");
            format!(
                "{} {published}:{} {}:{}",
                port.service,
                port.target,
                port.file.display(),
                port.line
            )
        });
        ports.collect()
    }

    /// `SERVICE PUBLISHED:TARGET FILE:LINE` of each port.
    fn ports(files: &[(&str, &str)]) -> Vec<String> {
        let dir = project(files);
        shown(&load(&options(dir.path(), &[])).unwrap().unwrap())
    }

    /// `FILE:LINE code` of the first problem.
    fn refusal(files: &[(&str, &str)]) -> String {
        let dir = project(files);
        let problem = load(&options(dir.path(), &[])).unwrap_err().0.remove(0);
        let file = problem.file.unwrap_or_default();
        let file = file.strip_prefix(dir.path()).unwrap_or(&file);
        format!(
            "{}:{} {}",
            file.display(),
            problem.line.unwrap_or_default(),
            problem.code
        )
    }

    #[test]
    fn a_port_keeps_the_line_that_wrote_it_through_anchors_extends_include_and_overrides() {
        let main = "include: [sub/i.yaml]\nx-p: &p\n  - \"1:1\"\nservices:\n  a: {image: x, ports: *p}\n  \
                    b: {extends: {file: base.yaml, service: c}}\n";
        let files = [
            ("compose.yaml", main),
            (
                "compose.override.yaml",
                "services:\n  a:\n    ports: [\"2:2\"]\n",
            ),
            (
                "base.yaml",
                "services:\n  c:\n    image: x\n    ports: [\"3:3\"]\n",
            ),
            (
                "sub/i.yaml",
                "services:\n  d:\n    image: x\n    ports:\n      - \"4:4\"\n",
            ),
        ];
        let expected = [
            "a 1:1 compose.yaml:3",
            "a 2:2 compose.override.yaml:3",
            "b 3:3 base.yaml:4",
            "d 4:4 sub/i.yaml:5",
        ];
        assert_eq!(ports(&files), expected);
    }

    #[test]
    fn of_two_equal_ports_the_later_takes_the_earlier_ones_place() {
        let main = "services:\n  a:\n    image: x\n    ports:\n      - \"80:80\"\n      - \"81:81\"\n      \
                    - \"0.0.0.0:80:80/tcp\"\n";
        assert_eq!(
            ports(&[("compose.yaml", main)]),
            ["a 80:80 compose.yaml:7", "a 81:81 compose.yaml:6"]
        );
    }

    #[test]
    fn an_override_resets_or_replaces_ports() {
        let main =
            "services:\n  a: {image: x, ports: [\"1:1\"]}\n  b: {image: x, ports: [\"1:1\"]}\n";
        let over = "services:\n  a:\n    ports: !reset []\n  b:\n    ports: !override [\"2:2\"]\n";
        let files = [("compose.yaml", main), ("compose.override.yaml", over)];
        assert_eq!(ports(&files), ["b 2:2 compose.override.yaml:5"]);
    }

    #[test]
    fn an_included_project_has_variables_and_a_folder_of_its_own() {
        let files = [
            ("compose.yaml", "include: [s/i.yaml]\n"),
            (
                "s/i.yaml",
                "services:\n  a: {image: x, ports: [\"$P:1\", \"$Q:2\"], env_file: e}\n",
            ),
            (".env", "P=1\n"),
            ("s/.env", "P=2\nQ=3\n"),
            ("s/e", "A=b\n"),
        ];
        assert_eq!(ports(&files), ["a 1:1 s/i.yaml:2", "a 3:2 s/i.yaml:2"]);
    }

    #[test]
    fn the_working_folders_env_file_beats_the_projects() {
        let dir = project(&[
            (
                "compose.yaml",
                "services:\n  a: {image: x, ports: [\"$P:1\", \"$Q:2\", \"$R:3\"]}\n",
            ),
            (".env", "P=1\nQ=2\nR=3\n"),
            ("sub/.env", "P=4\nQ=5\n"),
        ]);
        let compose = load(&options(&dir.path().join("sub"), &[("P", "7")]))
            .unwrap()
            .unwrap();
        let published: Vec<_> = compose.services["a"]
            .ports
            .iter()
            .filter_map(|port| port.published.clone())
            .collect();
        assert_eq!(published, ["7", "5", "3"]);
        assert_eq!(compose.dir, dir.path());
    }

    #[test]
    fn profiles_decide_which_services_are_active() {
        let main =
            "services:\n  a: {image: x, ports: [1]}\n  b: {image: x, ports: [2], profiles: [p]}\n";
        let dir = project(&[("compose.yaml", main)]);
        let active =
            |variables| shown(&load(&options(dir.path(), variables)).unwrap().unwrap()).len();
        assert_eq!(active(&[]), 1);
        assert_eq!(active(&[("COMPOSE_PROFILES", "q, p")]), 2);
        assert_eq!(
            load(&options(dir.path(), &[]))
                .unwrap()
                .unwrap()
                .services
                .len(),
            2
        );
    }

    #[test]
    fn the_environment_is_env_file_below_environment_with_the_lines_that_set_it() {
        let main = "services:\n  a:\n    image: x\n    env_file: [e, {path: none, required: false}]\n    \
                    environment:\n      B: own\n      C:\n      D:\n";
        let dir = project(&[("compose.yaml", main), ("e", "A=$C\nB=file\n")]);
        let compose = load(&options(dir.path(), &[("C", "shell")]))
            .unwrap()
            .unwrap();
        let shown = compose.services["a"]
            .environment
            .iter()
            .map(|(name, variable)| {
                let file = variable
                    .origin
                    .file
                    .file_name()
                    .unwrap()
                    .to_string_lossy()
                    .into_owned();
                format!("{name}={} {file}:{}", variable.value, variable.origin.line)
            });
        assert_eq!(
            shown.collect::<Vec<_>>(),
            [
                "A=shell e:1",
                "B=own compose.yaml:6",
                "C=shell compose.yaml:7"
            ]
        );
    }

    #[test]
    fn the_name_comes_from_the_environment_the_files_or_the_folder() {
        let dir = project(&[("My Shop/compose.yaml", "services: {a: {image: x}}\n")]);
        let name = |variables| {
            load(&options(&dir.path().join("My Shop"), variables))
                .unwrap()
                .unwrap()
                .name
        };
        assert_eq!(name(&[]), "myshop");
        assert_eq!(name(&[("COMPOSE_PROJECT_NAME", "other")]), "other");
        std::fs::write(
            dir.path().join("My Shop/compose.yaml"),
            "name: $N\nservices: {a: {image: x}}\n",
        )
        .unwrap();
        assert_eq!(name(&[("N", "From File")]), "fromfile");
    }

    #[test]
    fn what_says_nothing_of_ports_is_passed_over_and_named() {
        let dir = project(&[
            (
                "compose.yaml",
                "services:\n  a:\n    image: x\n    ports: ['80:8080']\n    pre_start: [{command: x}]\n    env_file: .env.local\n\
                 \x20   build: {context: ., ssh: {key: ./k}}\n",
            ),
            (".env.local.example", "A=1\n"),
        ]);
        let options = options(dir.path(), &[]);
        assert!(load(&options).is_err());
        let compose = load_tolerantly(&options).unwrap().unwrap();
        assert_eq!(shown(&compose).len(), 1);
        let told: Vec<_> = compose
            .passed_over
            .iter()
            .map(|error| {
                (
                    error.line,
                    error.code,
                    error.hint.clone().unwrap_or_default(),
                )
            })
            .collect();
        let copy = format!(
            "cp {0}.example {0}",
            dir.path().join(".env.local").display()
        );
        assert_eq!(
            told,
            [
                (
                    Some(5),
                    Code::ComposeSchema,
                    "did you mean `restart`?".to_owned()
                ),
                (Some(6), Code::ComposeFile, copy),
            ]
        );
    }

    #[test]
    fn a_required_variable_that_is_not_set_hides_only_itself() {
        let read = |rest: &str, load: fn(&Options) -> Result<Option<Compose>, Errors>| {
            let text = format!(
                "services:\n  a:\n    image: postgres:17\n    ports: ['80:8080']\n{rest}  b:\n    image: 'b:${{TAG:?need a tag}}'\n"
            );
            let dir = project(&[("compose.yaml", &text)]);
            load(&options(dir.path(), &[]))
        };
        let told = |errors: &[Error]| -> Vec<_> {
            let told = errors
                .iter()
                .map(|error| (error.line, error.message.clone()));
            told.collect()
        };
        let unset = |line, name: &str| {
            let message = format!("the variable `{name}` is required and not set");
            (Some(line), message)
        };
        let tag = |line| {
            let (line, message) = unset(line, "TAG");
            (line, format!("{message}: need a tag"))
        };
        let compose = read("", load_tolerantly).unwrap().unwrap();
        assert_eq!(told(&compose.passed_over), [tag(6)]);
        assert_eq!(shown(&compose), ["a 80:8080 compose.yaml:4"]);
        assert_eq!(compose.services["b"].image.as_deref(), Some("b:${TAG}"));
        assert_eq!(told(&read("", load).unwrap_err().0), [tag(6)]);
        let whole = |options: &Options| Ok(load_whole(options)?.map(|whole| whole.compose));
        assert_eq!(told(&read("", whole).unwrap_err().0), [tag(6)]);
        // No name can be read out of it, and a path stays one.
        let rest = "    environment: {POSTGRES_DB: '${DB?}'}\n    volumes: ['${DATA?}:/data', '${DATA?}:/more']\n";
        let compose = read(rest, load_tolerantly).unwrap().unwrap();
        let expected = [unset(5, "DB"), unset(6, "DATA"), tag(8)];
        assert_eq!(told(&compose.passed_over), expected);
        let named = compose.services["a"].databases.iter();
        assert!(
            named
                .clone()
                .all(|database| !database.named.name.contains("DB")),
            "{named:?}"
        );
        // What needs the value says nothing more than that it is not set.
        for (rest, expected) in [
            ("    expose: ['${PORT?}']\n", vec![unset(5, "PORT"), tag(7)]),
            ("    privileged: '${SURE?}'\n", vec![unset(5, "SURE")]),
            ("    profiles: ['${P?}']\n", vec![unset(5, "P")]),
            ("    extends: {service: '${S?}'}\n", vec![unset(5, "S")]),
        ] {
            let found = match read(rest, load_tolerantly) {
                Ok(compose) => compose.unwrap().passed_over,
                Err(errors) => errors.0,
            };
            assert_eq!(told(&found), expected, "{rest}");
        }
        let dir = project(&[(
            "compose.yaml",
            "services:\n  a: {image: a, ports: ['${P?}:80']}\n",
        )]);
        let refused = load_tolerantly(&options(dir.path(), &[])).unwrap_err();
        assert_eq!(told(&refused.0), [unset(2, "P")]);
    }

    #[test]
    fn what_is_passed_over_is_named_once_however_many_files_lie_over_it() {
        let dir = project(&[
            (
                "compose.yaml",
                "services:\n  a: {image: x, made_up: 1, env_file: &e none}\n  b: {image: x, env_file: none}\n",
            ),
            ("compose.override.yaml", "services:\n  a: {image: y}\n"),
        ]);
        let compose = load_tolerantly(&options(dir.path(), &[])).unwrap().unwrap();
        let lines: Vec<_> = compose.passed_over.iter().map(|error| error.line).collect();
        assert_eq!(
            lines,
            [Some(2), Some(2), Some(3)],
            "{:?}",
            compose.passed_over
        );
    }

    #[test]
    fn what_keeps_ports_unknown_is_an_error_all_the_same() {
        for rest in [
            "    ports: ['x:1']\n",
            "    networks: [n]\n",
            "    extends: b\n",
        ] {
            let dir = project(&[(
                "compose.yaml",
                &format!("services:\n  a:\n    image: x\n{rest}"),
            )]);
            assert!(
                load_tolerantly(&options(dir.path(), &[])).is_err(),
                "{rest}"
            );
        }
    }

    #[test]
    fn what_compose_refuses_is_refused_with_its_line() {
        let service = "services:\n  a:\n    image: x\n";
        for (rest, expected) in [
            ("    ports: [\"x:1\"]\n", "compose.yaml:4 compose.port"),
            ("    networks: [n]\n", "compose.yaml:4 compose.reference"),
            ("    depends_on: [b]\n", "compose.yaml:4 compose.reference"),
            ("    depends_on: [a]\n", "compose.yaml:2 compose.cycle"),
            ("    extends: b\n", "compose.yaml:4 compose.extends"),
            ("    extends: a\n", "compose.yaml:4 compose.cycle"),
            ("    env_file: none\n", "compose.yaml:4 compose.file"),
            (
                "    scale: 2\n    container_name: cc\n",
                "compose.yaml:5 compose.conflict",
            ),
            ("    command: \"echo 'a\"\n", "compose.yaml:4 compose.value"),
            ("include: [none.yaml]\n", "compose.yaml:4 compose.file"),
            ("include: [compose.yaml]\n", "compose.yaml:4 compose.cycle"),
        ] {
            assert_eq!(
                refusal(&[("compose.yaml", &format!("{service}{rest}"))]),
                expected,
                "{rest}"
            );
        }
    }

    #[test]
    fn a_service_that_no_profile_activates_is_there_and_cannot_be_needed() {
        let told = |rest: &str| {
            let text =
                format!("services:\n  a:\n    {rest}\n  b: {{build: ./b, profiles: [p, q]}}\n");
            let dir = project(&[("compose.yaml", &text)]);
            let error = load(&options(dir.path(), &[])).unwrap_err().0.remove(0);
            (error.line, error.message, error.hint.unwrap_or_default())
        };
        let context = "build: {context: ., additional_contexts: {base: 'service:b'}}";
        let expected = |needs: &str| {
            let message = format!("service `a` {needs} `b`, which no profile activates");
            (Some(3), message, "activate a profile: p, q".to_owned())
        };
        assert_eq!(told(context), expected("builds on"));
        assert_eq!(told("{image: x, depends_on: [b]}"), expected("depends on"));
        let mode = "{image: x, network_mode: 'service:b'}";
        assert_eq!(told(mode), expected("depends on"));
        let (_, message, _) = told(&context.replace(":b", ":c"));
        assert!(
            message.ends_with("the service `c`, which is not defined"),
            "{message}"
        );
    }

    #[test]
    fn both_sides_of_an_include_may_not_define_one_service_differently() {
        let files = [
            (
                "compose.yaml",
                "include: [i.yaml]\nservices:\n  a: {image: x}\n",
            ),
            ("i.yaml", "services:\n  a: {image: y}\n"),
        ];
        assert_eq!(refusal(&files), "compose.yaml:3 compose.include");
    }

    #[test]
    fn projects_that_grow_without_end_are_refused() {
        let twice = |next: u32| format!("include: [i{next}.yaml, i{next}.yaml]\n");
        let names: Vec<_> = (0..40).map(|at| format!("i{at}.yaml")).collect();
        let texts: Vec<_> = (1..=40).map(twice).collect();
        let mut files: Vec<(&str, &str)> = names
            .iter()
            .zip(&texts)
            .map(|(n, t)| (n.as_str(), t.as_str()))
            .collect();
        files.extend([
            ("compose.yaml", "include: [i0.yaml]\n"),
            ("i40.yaml", "services: {a: {image: x}}\n"),
        ]);
        assert!(refusal(&files).ends_with("compose.file"));
        let all = "services:\n  a: {image: x, ports: [\"1-65535\"]}\n";
        assert_eq!(ports(&[("compose.yaml", all)]).len(), 65_535);
        let twice = format!("{all}  b: {{image: x, ports: [\"1-65535\"]}}\n");
        assert_eq!(
            refusal(&[("compose.yaml", &twice)]),
            "compose.yaml:3 compose.value"
        );
    }

    #[test]
    fn standard_input_is_refused_even_beside_a_file_of_its_name() {
        let dir = project(&[
            ("-", "services:\n  a: {image: x, ports: [\"1:1\"]}\n"),
            ("a.yaml", "include: [\"-\"]\n"),
        ]);
        let read = |files: &[&str], variables| {
            let files = files.iter().map(PathBuf::from).collect();
            load(&Options {
                files,
                ..options(dir.path(), variables)
            })
            .map(|compose| shown(&compose.unwrap()))
        };
        for refused in [
            read(&["-"], &[]),
            read(&["a.yaml", "-"], &[]),
            read(&[], &[("COMPOSE_FILE", "a.yaml:-")]),
        ] {
            let error = refused.unwrap_err().0.remove(0);
            assert_eq!(error.code, Code::ComposeFile);
            assert_eq!(
                error.message,
                "`-` stands for the standard input, which devk does not read"
            );
        }
        assert_eq!(read(&["./-"], &[]).unwrap(), ["a 1:1 -:2"]);
        assert_eq!(read(&["a.yaml"], &[]).unwrap(), ["a 1:1 -:2"]);
    }

    #[test]
    fn without_a_compose_file_there_is_no_project() {
        let dir = project(&[("readme", "")]);
        assert!(load(&options(dir.path(), &[])).unwrap().is_none());
    }
}
