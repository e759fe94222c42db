//! `depends_on` as what a pod waits for before it starts.
//!
//! A Service accepts connections when a pod behind it is ready, and a pod is ready when its healthcheck says so: to wait
//! for a healthy service is to connect to it. Where Compose only waits for the start of a service, the pod waits a while
//! for it to accept, and then starts all the same. The end of a one-shot service is that of its Job, which the API server
//! knows; an image that cannot ask it runs the other service's program itself, before its own.

use std::collections::BTreeMap;

use super::images::FactsOfServices;
use super::keys::{ServiceKeys, is_true};
use crate::compose::{WholeCompose, YamlNode};
use crate::image::ImageFacts;
use crate::new_chart::model::{Carried, Component, ComponentKind, Wait, WaitUntil};

/// So long a pod waits for a service that Compose only starts, in seconds.
const STARTED: u32 = 30;

/// Programs that can ask the API server.
const ASKING: [&str; 3] = ["curl", "python3", "node"];

/// Programs that can open a connection.
const CONNECTING: [&str; 8] = [
    "bash", "curl", "nc", "node", "perl", "php", "python3", "ruby",
];

/// A service's dependencies: the other service, and the condition.
pub(super) fn dependencies(node: &YamlNode) -> Vec<(String, String)> {
    let entries = node.entries().iter();
    let condition = |node: &YamlNode| {
        node.get("condition")
            .map_or("service_started".to_owned(), YamlNode::printed)
    };
    entries
        .map(|entry| (entry.key.clone(), condition(&entry.value)))
        .collect()
}

/// Services that others wait for the end of.
pub(super) fn one_shots(whole: &WholeCompose) -> Vec<String> {
    let mut found = vec![];
    for entry in whole.services.values() {
        let depends = entry
            .value
            .get("depends_on")
            .map(dependencies)
            .unwrap_or_default();
        let ended = depends
            .into_iter()
            .filter(|(_, condition)| condition == "service_completed_successfully");
        found.extend(ended.map(|(service, _)| service));
        let deploy = entry.value.get("deploy");
        let mode = deploy
            .and_then(|deploy| deploy.get("mode"))
            .map(YamlNode::printed);
        if mode.is_some_and(|mode| mode.ends_with("-job")) {
            found.push(entry.key.clone());
        }
    }
    found
}

/// The waits of a component. `components` are all, by service, without their waits.
pub(super) fn waits(
    keys: &ServiceKeys<'_>,
    components: &BTreeMap<String, Component>,
    facts: &FactsOfServices,
) -> Vec<Wait> {
    let Some(node) = keys.take("depends_on") else {
        return vec![];
    };
    let mut found = vec![];
    for (service, condition) in dependencies(node) {
        let entry = node.get(&service);
        if entry
            .and_then(|entry| entry.get("restart"))
            .is_some_and(is_true)
        {
            let key = format!("depends_on.{service}.restart");
            keys.note_key(
                "depends_on",
                Carried::No,
                format!("`{key}`: a pod is not started anew with another one"),
            );
        }
        let Some(other) = components.get(&service) else {
            continue;
        };
        let programs = Programs {
            facts,
            components,
            own: keys.name,
            other: &service,
        };
        let until = until(other, &condition, &programs);
        let Some(until) = until else { continue };
        let able = match until {
            WaitUntil::Completed => programs.with(&ASKING),
            WaitUntil::RunHere => Some(service.clone()),
            _ => programs.with(&CONNECTING),
        };
        let Some(image_of) = able.and_then(|service| components.get(&service)) else {
            keys.note_key(
                "depends_on",
                Carried::No,
                format!("no image of the stack has a program that could wait for {service}"),
            );
            continue;
        };
        if until == WaitUntil::RunHere {
            let why = format!(
                "no image of the stack is known to have curl, python3 or node, which could ask for the end of the Job: {service} runs in each pod before it"
            );
            keys.note_key("depends_on", Carried::Changed, why);
        }
        found.push(Wait {
            on: other.name.clone(),
            key: other.key.clone(),
            until,
            image_of: image_of.key.clone(),
        });
    }
    found
}

fn until(other: &Component, condition: &str, programs: &Programs<'_>) -> Option<WaitUntil> {
    let service = other.services.first()?.clone();
    if other.kind == ComponentKind::Job {
        return match condition {
            "service_completed_successfully" if programs.known(&ASKING).is_some() => {
                Some(WaitUntil::Completed)
            }
            "service_completed_successfully" => Some(WaitUntil::RunHere),
            // It may have ended before anybody looks.
            _ => None,
        };
    }
    let port = other
        .ports
        .iter()
        .find(|port| port.protocol == "TCP")
        .map(|port| port.number);
    match (port, condition) {
        (Some(port), "service_healthy") => Some(WaitUntil::Accepts {
            service,
            port,
            at_most: None,
        }),
        (Some(port), _) => Some(WaitUntil::Accepts {
            service,
            port,
            at_most: Some(STARTED),
        }),
        (None, "service_healthy") => Some(WaitUntil::Resolves { service }),
        (None, _) => None,
    }
}

/// Which image of the stack can wait.
struct Programs<'a> {
    facts: &'a FactsOfServices,
    components: &'a BTreeMap<String, Component>,
    own: &'a str,
    other: &'a str,
}

impl Programs<'_> {
    /// Own image first, then that which is waited for, then any other.
    fn order(&self) -> Vec<&str> {
        let rest = self.components.keys().map(String::as_str);
        let rest = rest.filter(|service| ![self.own, self.other].contains(service));
        [self.own, self.other].into_iter().chain(rest).collect()
    }

    /// An image that is known to have the shell and one of these.
    fn known(&self, programs: &[&str]) -> Option<String> {
        let has = |facts: &ImageFacts| {
            facts.has("sh") == Some(true)
                && programs
                    .iter()
                    .any(|program| facts.has(program) == Some(true))
        };
        let mut all = self.order().into_iter();
        let found = all.find(|service| self.facts.get(*service).is_some_and(has));
        found.map(str::to_owned)
    }

    /// The same; else the own image, if nobody could look at it: its shell finds out.
    fn with(&self, programs: &[&str]) -> Option<String> {
        let unknown = |service: &&str| {
            self.facts
                .get(*service)
                .is_none_or(|facts| facts.programs.is_none())
        };
        self.known(programs)
            .or_else(|| self.order().into_iter().find(unknown).map(str::to_owned))
    }
}
