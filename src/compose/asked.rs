//! What `docker compose` makes of files that devk's reader refuses: Docker's word counts for whether a stack may run,
//! and a newer Compose than the one that devk knows may take more. Asked only then, for it takes two runs of a program, 0.1 s each.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::load::{FileSet, Reader};
use super::options::{Setup, setup};
use super::project::Model;
use super::yaml::{self, YamlNode};
use super::{Compose, Options, Stack, read, types};
use crate::environment::Environment;
use crate::error::{Code, Error, Errors, Result, internal};
use crate::place::Place;
use crate::process::Cmd;

/// What devk goes by in a service; the rest may be of a shape that it does not know.
const SERVICE: [&str; 8] = [
    "image",
    "build",
    "network_mode",
    "environment",
    "ports",
    "profiles",
    "entrypoint",
    "command",
];
const BUILD: [&str; 5] = [
    "context",
    "dockerfile",
    "dockerfile_inline",
    "target",
    "additional_contexts",
];
const PORT: [&str; 4] = ["target", "published", "host_ip", "protocol"];

/// The stack as `docker compose config` has it, if devk's reader refused it and Docker does not. It says so among what
/// was passed over.
///
/// # Errors
/// Those with which devk's reader refused it, where there is no docker compose or that refuses it, too.
pub async fn unless_refused_by_docker(
    options: &Options,
    environment: &Environment,
    stack: Stack,
) -> Stack {
    let refused = match stack {
        Err(refused) if refused.0.iter().any(|error| is_of_compose(error.code)) => refused,
        read => return read,
    };
    let Ok(Some(setup)) = setup(options) else {
        return Err(refused);
    };
    let asked = Question {
        options,
        setup: &setup,
        environment,
    };
    match asked.answer().await {
        Ok(compose) => Ok(Some(told(compose, refused))),
        Err(_) => Err(refused),
    }
}

fn is_of_compose(code: Code) -> bool {
    code.as_str().starts_with("compose.")
}

struct Question<'a> {
    options: &'a Options,
    setup: &'a Setup,
    environment: &'a Environment,
}

impl Question<'_> {
    /// Docker decides by the active services; the others are there as well, if it prints them.
    async fn answer(&self) -> Result<Compose, Errors> {
        let profiles: Vec<_> = self.setup.profiles.iter().map(String::as_str).collect();
        let (active, all) = tokio::join!(self.ask(&profiles), self.ask(&["*"]));
        let text = all.or(active.clone())?;
        active?;
        from_docker(&text, self.options, self.setup)
    }

    async fn ask(&self, profiles: &[&str]) -> Result<String> {
        let docker = self.environment.find("docker", "install Docker")?;
        let files = self.setup.files.iter().flat_map(|file| ["--file", file]);
        let env_files = self.options.env_files.iter();
        let env_files = env_files.flat_map(|file| [Path::new("--env-file"), file]);
        let command = Cmd::new(docker)
            .inherit(self.environment)
            // The files may name any variable.
            .envs(&self.options.environment)
            .dir(&self.options.dir)
            .arg("compose")
            .args(files)
            .args(env_files)
            .args(profiles.iter().flat_map(|profile| ["--profile", profile]))
            .args(["config", "--format", "json"]);
        Ok(command.run().await?.stdout)
    }
}

fn from_docker(text: &str, options: &Options, setup: &Setup) -> Result<Compose, Errors> {
    let project: Value = serde_json::from_str(text).map_err(|e| internal(&e))?;
    let name = project["name"].as_str().unwrap_or_default().to_owned();
    let first = setup.files.first().map_or("", String::as_str);
    let file: Arc<Path> = Path::new(first).into();
    // JSON is YAML, and doubled `$` are read as in any Compose file.
    let mut documents = yaml::parse(known(&project).to_string().as_bytes(), &file)?;
    let lines = Lines::of(setup);
    documents
        .iter_mut()
        .for_each(|document| lines.place(&mut document.root));
    let mut environment = setup.environment.clone();
    environment.insert("COMPOSE_PROJECT_NAME".to_owned(), name.clone());
    let mut reader = Reader::new(&options.dir.to_string_lossy(), &environment);
    reader.passed_over = Some(vec![]);
    let batch = FileSet {
        files: &setup.files[..1],
        dir: &setup.dir,
        root: &setup.dir,
        environment: &environment,
        from: None,
        including: &[],
    };
    let root = reader.project(vec![documents], &batch)?;
    types::check(&root)?;
    let model = Model::new(root, &setup.profiles)?;
    let dir = Path::new(&setup.dir);
    let services = read::services(&model, &environment, dir, &mut reader.passed_over)?;
    Ok(Compose {
        name,
        dir: dir.to_owned(),
        files: setup.files.iter().map(Into::into).collect(),
        services,
        passed_over: reader.passed_over.unwrap_or_default(),
    })
}

/// The parts of a project that devk goes by.
fn known(project: &Value) -> Value {
    let services = project["services"].as_object().into_iter().flatten();
    let services = services.map(|(name, service)| {
        let mut service = only(service, &SERVICE);
        if let Some(build) = service.get_mut("build") {
            *build = only(build, &BUILD).into();
        }
        let ports = service.get_mut("ports").and_then(Value::as_array_mut);
        for port in ports.into_iter().flatten() {
            *port = only(port, &PORT).into();
        }
        if let Some(environment) = service.get_mut("environment") {
            *environment = named(environment).into();
        }
        (name.clone(), Value::from(service))
    });
    serde_json::json!({"services": services.collect::<Map<_, _>>()})
}

/// Names of variables are not interpolated; Docker doubles their `$` all the same.
fn named(environment: &Value) -> Map<String, Value> {
    let all = environment.as_object().into_iter().flatten();
    all.map(|(name, value)| (name.replace("$$", "$"), value.clone()))
        .collect()
}

fn only(value: &Value, keys: &[&str]) -> Map<String, Value> {
    let all = value.as_object().into_iter().flatten();
    all.filter(|(key, value)| keys.contains(&key.as_str()) && !value.is_null())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// Docker does not say where a value stands: the line of its service has to do.
struct Lines {
    files: Vec<(Arc<Path>, String)>,
}

impl Lines {
    fn of(setup: &Setup) -> Self {
        let files = setup.files.iter().map(|file| {
            let text = std::fs::read(file).unwrap_or_default();
            let text = String::from_utf8_lossy(&text).into_owned();
            (Path::new(file).into(), text)
        });
        Self {
            files: files.collect(),
        }
    }

    fn place(&self, root: &mut YamlNode) {
        let Some(services) = root.get_mut("services") else {
            return;
        };
        for entry in services.entries_mut() {
            if let Some(place) = self.of_service(&entry.key) {
                entry.place = place.clone();
                put(&mut entry.value, &place);
            }
        }
    }

    fn of_service(&self, name: &str) -> Option<Place> {
        let key = format!("{name}:");
        self.files.iter().find_map(|(file, text)| {
            let line = text
                .lines()
                .position(|line| line.trim_start().starts_with(&key))?;
            let line = u32::try_from(line + 1).ok()?;
            let file = Arc::clone(file);
            Some(Place { file, line })
        })
    }
}

fn put(node: &mut YamlNode, place: &Place) {
    node.place = place.clone();
    node.items_mut()
        .iter_mut()
        .for_each(|item| put(item, place));
    for entry in node.entries_mut() {
        entry.place = place.clone();
        put(&mut entry.value, place);
    }
}

fn told(mut compose: Compose, refused: Errors) -> Compose {
    let message = "devk's reader does not know what these files say; ports and databases are those of `docker compose config`";
    let mut first = Error::new(Code::ComposeSchema, message);
    first.file = compose.files.first().cloned();
    compose.passed_over.push(first);
    compose.passed_over.extend(refused.0);
    compose
}
