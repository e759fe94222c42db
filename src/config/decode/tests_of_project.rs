//! `test` of a checked tree, and the checks of a test that take more than one value.

use std::time::Duration;

use super::{entries, named_once, path, text, texts};
use crate::config::format;
use crate::config::yaml::{ConfigData, ConfigNode};
use crate::config::{Origin, TestCommand, TestPlace, TestRun};
use crate::error::{Code, Error};

/// How long a test may take, if devk.yaml says nothing.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

pub(super) fn tests(root: &ConfigNode, problems: &mut Vec<Error>) -> Vec<TestCommand> {
    let nodes = root.get("test").map_or(&[][..], ConfigNode::items);
    named_once(nodes, "test", problems);
    nodes.iter().map(|node| test(node, problems)).collect()
}

fn test(node: &ConfigNode, problems: &mut Vec<Error>) -> TestCommand {
    problems.extend(unfitting_dir(node));
    let env = entries(node, "env").iter();
    let env = env.filter_map(|entry| Some((entry.key.clone(), entry.value.text()?.to_owned())));
    let timeout = text(node, "timeout").and_then(format::duration);
    let place = match text(node, "service") {
        Some(service) => TestPlace::Pod {
            service: service.to_owned(),
            dir: text(node, "dir").map(str::to_owned),
        },
        None => TestPlace::Machine {
            dir: path(node, "dir"),
        },
    };
    let run = match node.get("run").map(|run| &run.data) {
        Some(ConfigData::List(_)) => TestRun::Words(texts(node, "run").collect()),
        _ => TestRun::Shell(text(node, "run").unwrap_or_default().to_owned()),
    };
    TestCommand {
        name: text(node, "name").unwrap_or_default().to_owned(),
        run,
        place,
        timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
        env: env.collect(),
        origin: Origin::from(&node.place),
    }
}

/// The problem if there is no such folder, here or in any container.
fn unfitting_dir(node: &ConfigNode) -> Option<Error> {
    let dir = node.get("dir").filter(|dir| !dir.is_null())?;
    let named = dir.text().filter(|text| !text.is_empty())?;
    if text(node, "service").is_some() {
        let message = format!("`{named}` is no absolute path in the container");
        let error = dir.place.error(Code::ConfigValue, message);
        return (!named.starts_with('/'))
            .then(|| error.hint("write, for example, `dir: /app`, or leave it out"));
    }
    let message = format!("there is no folder `{named}`");
    let error = dir.place.error(Code::ConfigPath, message);
    (!dir.place.path(named).is_dir())
        .then(|| error.hint(format!("name a folder; {}", format::base(&dir.place))))
}
