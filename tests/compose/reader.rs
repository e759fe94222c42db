//! devk's own answer.

use std::path::Path;

use devk::compose::{self, Options};
use devk::environment::Environment;
use devk::error::{Code, Error};

use crate::answer::{Answer, Port, Service};
use crate::case::Case;
use crate::real;

/// What devk answers, and what it says.
pub(crate) fn ask(case: &Case, parent: &Path) -> (Answer, String) {
    match compose::load(&options(case, parent)) {
        Ok(Some(compose)) => (answer(compose), String::new()),
        Ok(None) => (Answer::Refused, "no Compose file".to_owned()),
        Err(errors) => {
            let said: Vec<_> = errors.0.iter().map(ToString::to_string).collect();
            assert!(!said.is_empty(), "{}: refused without a reason", case.name);
            (Answer::Refused, said.join("\n"))
        }
    }
}

/// What devk reads out of the answer of the real docker compose, as if its own reader knew nothing of the files.
pub(crate) fn ask_by_docker(case: &Case, parent: &Path) -> Answer {
    let unknown = Error::new(Code::ComposeSchema, "unknown to this reader");
    match or_docker(&options(case, parent), Err(unknown.into())) {
        Ok(Some(compose)) => {
            let said = compose.passed_over.first().map(ToString::to_string);
            let said = said.unwrap_or_default();
            assert!(said.contains("those of `docker compose config`"), "{said}");
            answer(compose)
        }
        Ok(None) => panic!("{}: no Compose file", case.name),
        Err(errors) => {
            assert_eq!(errors.0[0].message, "unknown to this reader");
            Answer::Refused
        }
    }
}

/// The stack of a folder as `up` and `ports` have it.
pub(crate) fn read_as_up_does(dir: &Path) -> compose::Stack {
    let options = Options {
        dir: dir.to_owned(),
        environment: std::env::vars().collect(),
        ..Options::default()
    };
    let own = compose::load_tolerantly(&options);
    assert!(own.is_err(), "devk's reader takes it by itself");
    or_docker(&options, own)
}

fn or_docker(options: &Options, own: compose::Stack) -> compose::Stack {
    let environment = Environment::from_iter(options.environment.clone());
    let stack = compose::unless_refused_by_docker(options, &environment, own);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(stack)
}

fn options(case: &Case, parent: &Path) -> Options {
    let mut options = Options {
        dir: case.dir(parent),
        environment: real::environment(case, parent).collect(),
        ..Options::default()
    };
    for pair in case.args.chunks(2) {
        let [option, value] = pair else {
            panic!("{}: {} has no value", case.name, pair[0])
        };
        let value = case.placed(value, parent);
        match option.as_str() {
            "-f" => options.files.push(value.into()),
            "--env-file" => options.env_files.push(value.into()),
            "--profile" => options.profiles.push(value),
            other => panic!("{}: unknown option {other}", case.name),
        }
    }
    options
}

fn answer(compose: compose::Compose) -> Answer {
    for port in compose.services.values().flat_map(|service| &service.ports) {
        let text = String::from_utf8_lossy(&std::fs::read(compose.dir.join(&port.file)).unwrap())
            .into_owned();
        // All that YAML 1.1 takes for the end of a line.
        let breaks = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
        let lines = u32::try_from(text.replace("\r\n", "\n").split(breaks).count()).unwrap();
        assert!((1..=lines).contains(&port.line), "no such line: {port:?}");
    }
    let active = compose
        .services
        .into_iter()
        .filter(|(_, service)| service.active);
    Answer::Project {
        name: compose.name,
        services: active
            .map(|(name, service)| (name, facts(service)))
            .collect(),
    }
}

fn facts(service: compose::Service) -> Service {
    let port = |port: compose::Port| Port {
        host_ip: port.host_ip,
        published: port.published,
        target: port.target,
        protocol: port.protocol,
    };
    let mut ports: Vec<_> = service.ports.into_iter().map(port).collect();
    ports.sort();
    let environment = service
        .environment
        .into_iter()
        .map(|(name, variable)| (name, variable.value))
        .collect();
    Service {
        ports,
        environment,
        image: service.image,
        network_mode: service.network_mode,
    }
}
