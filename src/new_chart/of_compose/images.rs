//! What is known of the images of a project: of those that Docker has by looking, of those that the repository builds by
//! their Dockerfiles and the base images.

use std::collections::BTreeMap;

use bollard::Docker;

use crate::compose::{Compose, Service, ServiceBuild, seconds};
use crate::dockerfile::{Instruction, instructions};
use crate::image::{self, ImageFacts, ImageHealthcheck, exposed_ports};

/// A second, in the unit of Docker's times.
const NANOSECONDS: f64 = 1e9;

/// By service. A service whose image nobody knows has no entry.
pub type FactsOfServices = BTreeMap<String, ImageFacts>;

/// Looks at the images of all services. Without Docker only Dockerfiles are read.
pub async fn look_at_images(
    docker: Option<&Docker>,
    project_id: &str,
    compose: &Compose,
) -> FactsOfServices {
    let mut looking = Looking {
        docker,
        project_id,
        seen: BTreeMap::new(),
    };
    let mut found = FactsOfServices::new();
    for service in compose.services.values() {
        if let Some(facts) = looking.of_service(service).await {
            found.insert(service.name.clone(), facts);
        }
    }
    found
}

struct Looking<'a> {
    docker: Option<&'a Docker>,
    project_id: &'a str,
    seen: BTreeMap<String, Option<ImageFacts>>,
}

impl Looking<'_> {
    async fn of_service(&mut self, service: &Service) -> Option<ImageFacts> {
        match &service.build {
            Some(build) => {
                let built = Built::of(build)?;
                let base = self.of_image(&built.base).await;
                Some(built.over(base.unwrap_or_default()))
            }
            None => self.of_image(service.image.as_deref()?).await,
        }
    }

    /// None: Docker does not have it, or cannot be asked.
    async fn of_image(&mut self, reference: &str) -> Option<ImageFacts> {
        if let Some(known) = self.seen.get(reference) {
            return known.clone();
        }
        let found = match self.docker {
            Some(docker) => image::facts(docker, self.project_id, reference)
                .await
                .ok()
                .flatten(),
            None => None,
        };
        self.seen.insert(reference.to_owned(), found.clone());
        found
    }
}

/// What a Dockerfile says of the image that it builds.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Built {
    base: String,
    user: Option<String>,
    exposed: Vec<(u16, String)>,
    healthcheck: Option<ImageHealthcheck>,
}

impl Built {
    fn of(build: &ServiceBuild) -> Option<Self> {
        let text = std::fs::read_to_string(build.dockerfile.as_ref()?).ok()?;
        let given = |name: &str| build.args.get(name).map(|argument| argument.value.clone());
        stages(&instructions(&text), build.target.as_deref(), &given)
    }

    fn over(self, base: ImageFacts) -> ImageFacts {
        let mut exposed = base.exposed;
        exposed.extend(self.exposed);
        ImageFacts {
            user: self.user.unwrap_or(base.user),
            exposed,
            healthcheck: self.healthcheck.or(base.healthcheck),
            // A Dockerfile adds programs, and hardly removes any.
            programs: base.programs,
        }
    }
}

/// The stage that is built, with what it has from the stages that it begins with.
fn stages(
    all: &[Instruction],
    target: Option<&str>,
    given: &dyn Fn(&str) -> Option<String>,
) -> Option<Built> {
    let mut arguments: BTreeMap<String, String> = BTreeMap::new();
    let mut stages: Vec<(Option<String>, Built)> = vec![];
    for instruction in all {
        match (instruction.keyword.as_str(), stages.last_mut()) {
            ("FROM", _) => stages.push(begin(&stages, &resolved(&instruction.text, &arguments))),
            ("ARG", _) => {
                let (name, default) = match instruction.text.split_once('=') {
                    Some((name, default)) => (name, Some(default)),
                    None => (instruction.text.as_str(), None),
                };
                let default = default.map(|default| default.trim_matches(['"', '\'']).to_owned());
                // Without a default it takes up the argument before the first FROM.
                let known = || arguments.get(name).cloned();
                let value = given(name).or(default).or_else(known).unwrap_or_default();
                arguments.insert(name.to_owned(), value);
            }
            ("USER", Some((_, stage))) => {
                stage.user = Some(resolved(&instruction.text, &arguments))
            }
            ("EXPOSE", Some((_, stage))) => {
                let text = resolved(&instruction.text, &arguments);
                stage
                    .exposed
                    .extend(text.split_whitespace().flat_map(exposed_ports));
            }
            ("HEALTHCHECK", Some((_, stage))) => stage.healthcheck = healthcheck(&instruction.text),
            _ => {}
        }
    }
    let chosen = match target {
        Some(target) => stages.into_iter().find(|(name, _)| {
            name.as_deref()
                .is_some_and(|name| name.eq_ignore_ascii_case(target))
        }),
        None => stages.pop(),
    };
    chosen.map(|(_, stage)| stage)
}

/// `FROM [--platform=…] BASE [AS NAME]`.
fn begin(stages: &[(Option<String>, Built)], text: &str) -> (Option<String>, Built) {
    let mut words = text
        .split_whitespace()
        .filter(|word| !word.starts_with("--"));
    let base = words.next().unwrap_or_default();
    let name = words.nth(1).map(str::to_owned);
    let of_name = |name: &Option<String>| {
        name.as_deref()
            .is_some_and(|name| name.eq_ignore_ascii_case(base))
    };
    let stage = stages.iter().find(|(name, _)| of_name(name));
    let begun = match stage {
        Some((_, stage)) => stage.clone(),
        None => Built {
            base: base.to_owned(),
            ..Built::default()
        },
    };
    (name, begun)
}

/// `$NAME` and `${NAME}` in place; what is not known stays as it is.
fn resolved(text: &str, arguments: &BTreeMap<String, String>) -> String {
    let mut text = text.to_owned();
    for (name, value) in arguments.iter().rev() {
        text = text.replace(&format!("${{{name}}}"), value);
        text = text.replace(&format!("${name}"), value);
    }
    text
}

/// `HEALTHCHECK [--interval=…] CMD …`.
fn healthcheck(text: &str) -> Option<ImageHealthcheck> {
    let mut found = ImageHealthcheck::default();
    let mut rest = text.trim();
    while let Some(option) = rest.strip_prefix("--") {
        let (option, after) = option.split_once(char::is_whitespace)?;
        rest = after.trim_start();
        let (name, value) = option.split_once('=')?;
        let time = seconds(value).map(in_nanoseconds);
        match name {
            "interval" => found.interval = time,
            "timeout" => found.timeout = time,
            "start-period" => found.start_period = time,
            "start-interval" => found.start_interval = time,
            "retries" => found.retries = value.parse().ok(),
            _ => {}
        }
    }
    let (kind, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    if kind.eq_ignore_ascii_case("NONE") {
        found.test = vec!["NONE".to_owned()];
        return Some(found);
    }
    let command = command.trim();
    let list: Option<Vec<String>> = serde_json::from_str(command).ok();
    found.test = match list {
        Some(list) => [vec!["CMD".to_owned()], list].concat(),
        None => vec!["CMD-SHELL".to_owned(), command.to_owned()],
    };
    (kind.eq_ignore_ascii_case("CMD") && !command.is_empty()).then_some(found)
}

#[allow(clippy::cast_possible_truncation)]
fn in_nanoseconds(seconds: f64) -> i64 {
    (seconds * NANOSECONDS) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dockerfile_says_the_base_the_user_the_ports_and_the_healthcheck() {
        let text = "ARG V=20\nFROM node:${V} AS base\nARG V\nEXPOSE $V 3000-3001 53/udp\nFROM base AS dev\nUSER 1000:1000\n\
                    HEALTHCHECK --interval=5s --retries=2 CMD [\"node\", \"ok.js\"]\nFROM scratch\nUSER app\n";
        let all = instructions(text);
        let dev = stages(&all, Some("DEV"), &|_| Some("22".to_owned())).unwrap();
        assert_eq!(dev.base, "node:22");
        assert_eq!(dev.user.as_deref(), Some("1000:1000"));
        assert_eq!(
            dev.exposed,
            [
                (22, "tcp".to_owned()),
                (3000, "tcp".to_owned()),
                (3001, "tcp".to_owned()),
                (53, "udp".to_owned())
            ]
        );
        let check = dev.healthcheck.unwrap();
        assert_eq!(check.test, ["CMD", "node", "ok.js"]);
        assert_eq!(
            (check.interval, check.retries),
            (Some(5_000_000_000), Some(2))
        );
        let last = stages(&all, None, &|_| None).unwrap();
        assert_eq!(
            (last.base.as_str(), last.user.as_deref()),
            ("scratch", Some("app"))
        );
    }

    #[test]
    fn a_healthcheck_of_a_line_is_one_for_the_shell_and_none_is_none() {
        let test = |text: &str| {
            healthcheck(text)
                .map(|check| check.test)
                .unwrap_or_default()
        };
        assert_eq!(
            test("CMD curl -f http://localhost/ || exit 1"),
            ["CMD-SHELL", "curl -f http://localhost/ || exit 1"]
        );
        assert_eq!(test("NONE"), ["NONE"]);
        assert_eq!(test("CMD"), [""; 0]);
    }
}
