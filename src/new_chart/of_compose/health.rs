//! Probes out of a healthcheck: that of Compose, else that of the image.
//!
//! Compose's healthcheck says when a service is ready, and ends nothing. So it becomes the readiness probe, and the
//! startup probe, which gives the start more time than Compose does. The liveness probe, which restarts a container, only
//! asks whether a port that the healthcheck proves is still open.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::keys::{ServiceKeys, is_true, texts};
use super::secrets::SecretUse;
use crate::compose::{YamlNode, seconds, words};
use crate::image::{ImageFacts, ImageHealthcheck};
use crate::new_chart::model::{Carried, Probes};

/// Docker's defaults, in seconds.
const INTERVAL: f64 = 30.0;
const TIMEOUT: f64 = 30.0;
const START_INTERVAL: f64 = 5.0;
const RETRIES: u64 = 3;

/// So often a startup probe may fail at least: a node with other work starts programs slowly.
const MIN_START_FAILURES: u64 = 60;

/// Programs that ask a server on its usual port.
const CLIENTS: [(&str, u16); 8] = [
    ("pg_isready", 5432),
    ("redis-cli", 6379),
    ("valkey-cli", 6379),
    ("mysqladmin", 3306),
    ("mariadb-admin", 3306),
    ("mongosh", 27017),
    ("mongo", 27017),
    ("rabbitmq-diagnostics", 5672),
];

/// A healthcheck, its times in seconds.
#[derive(Debug, Clone, PartialEq)]
struct Check {
    test: Test,
    interval: f64,
    timeout: f64,
    start_period: f64,
    start_interval: f64,
    retries: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Words(Vec<String>),
    Shell(String),
}

/// The probes of a service. `open` are the TCP ports that others reach it on.
pub(super) fn probes(
    keys: &ServiceKeys<'_>,
    facts: Option<&ImageFacts>,
    open: &BTreeSet<u16>,
    secrets: &SecretUse<'_>,
) -> Probes {
    let own = keys.take("healthcheck");
    let inherited = facts.and_then(|facts| facts.healthcheck.as_ref());
    let Some(check) = check(own, inherited) else {
        return Probes::default();
    };
    let (ask, port) = asked(&check.test, open, secrets);
    let period = check.interval.min(check.start_interval).ceil().max(1.0);
    let patience = (check.start_period + check.interval * check.retries as f64) / period;
    if let Some(own) = own.filter(|own| own.get("test").is_some())
        && ask.get("exec").is_none()
    {
        keys.note(
            "healthcheck.test",
            &own.place,
            Carried::Changed,
            "the kubelet asks the port itself, without a program of the image",
        );
    }
    let probe = |period: f64, failures: u64| {
        let mut probe = ask.clone();
        probe["periodSeconds"] = json!(whole(period));
        probe["timeoutSeconds"] = json!(whole(check.timeout));
        probe["failureThreshold"] = json!(failures);
        probe
    };
    Probes {
        startup: Some(probe(period, whole(patience).max(MIN_START_FAILURES))),
        readiness: Some(probe(check.interval, check.retries.max(1))),
        liveness: port.map(|port| {
            json!({
                "tcpSocket": {"port": port},
                "periodSeconds": 20,
                "timeoutSeconds": 5,
                "failureThreshold": 6,
            })
        }),
    }
}

/// The port of this machine that a healthcheck asks, whoever reaches it.
pub(super) fn asked_port(keys: &ServiceKeys<'_>) -> Option<u16> {
    let check = check(keys.take("healthcheck"), None)?;
    Some(url(&check.test)?.0)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(seconds: f64) -> u64 {
    (seconds.ceil() as u64).max(1)
}

fn check(own: Option<&YamlNode>, image: Option<&ImageHealthcheck>) -> Option<Check> {
    if own.and_then(|own| own.get("disable")).is_some_and(is_true) {
        return None;
    }
    let written = own.and_then(|own| own.get("test"));
    let words = match written {
        Some(node) if node.text().is_some() => {
            vec!["CMD-SHELL".to_owned(), texts(node).concat()]
        }
        Some(node) => texts(node),
        None => image?.test.clone(),
    };
    let test = match words.split_first()? {
        (kind, rest) if kind == "CMD" && !rest.is_empty() => Test::Words(rest.to_vec()),
        (kind, rest) if kind == "CMD-SHELL" && !rest.is_empty() => Test::Shell(rest.join(" ")),
        _ => return None,
    };
    let time = |key: &str, of_image: Option<i64>, default: f64| {
        let own = own
            .and_then(|own| own.get(key))
            .and_then(|node| seconds(&node.printed()));
        let of_image = of_image.map(|nanoseconds| nanoseconds as f64 / 1e9);
        own.or(of_image)
            .filter(|time| *time > 0.0)
            .unwrap_or(default)
    };
    let own_retries = own.and_then(|own| own.get("retries"));
    let retries = own_retries.and_then(|node| node.printed().parse::<u64>().ok());
    let of_image = image
        .and_then(|image| image.retries)
        .and_then(|retries| u64::try_from(retries).ok());
    Some(Check {
        test,
        interval: time("interval", image.and_then(|image| image.interval), INTERVAL),
        timeout: time("timeout", image.and_then(|image| image.timeout), TIMEOUT),
        start_period: time(
            "start_period",
            image.and_then(|image| image.start_period),
            0.0,
        ),
        start_interval: time(
            "start_interval",
            image.and_then(|image| image.start_interval),
            START_INTERVAL,
        ),
        retries: retries
            .or(of_image)
            .filter(|retries| *retries > 0)
            .unwrap_or(RETRIES),
    })
}

/// What the kubelet does for a test, and a port that the test proves to be open.
fn asked(test: &Test, open: &BTreeSet<u16>, secrets: &SecretUse<'_>) -> (Value, Option<u16>) {
    if let Some((port, path)) = url(test).filter(|(port, _)| open.contains(port)) {
        // Programs that check the host name know the one that the test has.
        let host = if port == 80 {
            "localhost".to_owned()
        } else {
            format!("localhost:{port}")
        };
        let get =
            json!({"path": path, "port": port, "httpHeaders": [{"name": "Host", "value": host}]});
        return (json!({"httpGet": get}), Some(port));
    }
    if let Some(port) = knocked(test).filter(|port| open.contains(port)) {
        return (json!({"tcpSocket": {"port": port}}), Some(port));
    }
    let command = match test {
        Test::Shell(line) => shell(&secrets.in_shell(line)),
        Test::Words(words) if words.iter().any(|word| secrets.is_in(word)) => {
            let words: Vec<_> = words.iter().map(|word| secrets.quoted(word)).collect();
            shell(&format!("exec {}", words.join(" ")))
        }
        Test::Words(words) => words.clone(),
    };
    let text = match test {
        Test::Shell(line) => line.clone(),
        Test::Words(words) => words.join(" "),
    };
    let client = CLIENTS.iter().find(|(client, _)| text.contains(client));
    let port = client
        .map(|(_, port)| *port)
        .filter(|port| open.contains(port));
    (json!({"exec": {"command": command}}), port)
}

fn shell(line: &str) -> Vec<String> {
    vec!["/bin/sh".to_owned(), "-c".to_owned(), line.to_owned()]
}

/// The words of a test that does one thing and nothing else.
fn simple(test: &Test) -> Option<Vec<String>> {
    match test {
        Test::Words(words) => Some(words.clone()),
        Test::Shell(line) => {
            let mut line = line.trim();
            for end in [
                "|| exit 1",
                "||exit 1",
                "|| false",
                "2>&1",
                ">/dev/null",
                "> /dev/null",
            ] {
                line = line.strip_suffix(end).unwrap_or(line).trim_end();
            }
            let has_operator = line.contains([';', '&', '|', '<', '>', '`', '$']);
            (!has_operator).then(|| words(line)).flatten()
        }
    }
}

/// The port and path that curl or wget ask for, where the answer decides as it does for the kubelet.
fn url(test: &Test) -> Option<(u16, String)> {
    let words = simple(test)?;
    let (program, rest) = words.split_first()?;
    let program = program.rsplit('/').next()?;
    let mut url = None;
    let mut fails = program == "wget";
    let mut rest = rest.iter();
    while let Some(word) = rest.next() {
        match (program, word.as_str()) {
            (_, word) if word.starts_with("http://") && url.is_none() => {
                url = Some(word.to_owned())
            }
            (
                "curl",
                "--fail" | "-f" | "-sf" | "-fs" | "-fsS" | "-sSf" | "-Sfs" | "-fSs" | "-sfS",
            ) => fails = true,
            ("curl", "-s" | "-S" | "-sS" | "--silent" | "--show-error") => {}
            ("curl", "-o" | "--output" | "-m" | "--max-time" | "--connect-timeout") => {
                rest.next()?;
            }
            (
                "wget",
                "-q" | "--quiet" | "--spider" | "-qO-" | "-nv" | "--no-verbose" | "-t1"
                | "--tries=1" | "-O-",
            ) => {}
            ("wget", "-O" | "-t" | "-T" | "-qO" | "--tries" | "--timeout") => {
                rest.next()?;
            }
            ("wget", word) if word.starts_with("--timeout=") || word.starts_with("--tries=") => {}
            _ => return None,
        }
    }
    if !fails || !["curl", "wget"].contains(&program) {
        return None;
    }
    let url = url?;
    let rest = url.strip_prefix("http://")?;
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (authority, 80),
    };
    let is_local = ["localhost", "127.0.0.1", "0.0.0.0"].contains(&host);
    is_local.then(|| (port, path.to_owned()))
}

/// The port of `nc -z localhost PORT`.
fn knocked(test: &Test) -> Option<u16> {
    let words = simple(test)?;
    match &words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [
            "nc" | "ncat",
            "-z" | "-zv" | "-vz",
            "localhost" | "127.0.0.1",
            port,
        ] => port.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test_of(line: &str) -> Test {
        Test::Shell(line.to_owned())
    }

    #[test]
    fn a_test_that_only_asks_for_a_page_is_one_that_the_kubelet_can_do() {
        for line in [
            "curl -f http://localhost:5000/health",
            "curl -fsS -o /dev/null http://127.0.0.1:5000/health || exit 1",
            "wget -q --spider http://localhost:5000/health > /dev/null 2>&1 || exit 1",
        ] {
            assert_eq!(
                url(&test_of(line)),
                Some((5000, "/health".to_owned())),
                "{line}"
            );
        }
    }

    #[test]
    fn a_test_that_does_more_or_takes_every_answer_stays_a_command() {
        for line in [
            "curl http://localhost:5000/",
            "curl -f http://other:5000/",
            "curl -f http://localhost:5000/ | grep ok",
            "curl -f -X POST http://localhost:5000/",
            "curl -fk https://localhost/",
            "[ -f /ready ]",
        ] {
            assert_eq!(url(&test_of(line)), None, "{line}");
        }
    }

    #[test]
    fn a_port_is_only_asked_where_others_reach_it() {
        let open = BTreeSet::from([80]);
        let none = SecretUse::none();
        let (ask, port) = asked(&test_of("curl -f http://localhost:9000/"), &open, &none);
        assert_eq!(
            ask,
            json!({"exec": {"command": ["/bin/sh", "-c", "curl -f http://localhost:9000/"]}})
        );
        assert_eq!(port, None);
        let (ask, port) = asked(&test_of("nc -z localhost 80"), &open, &none);
        assert_eq!((ask, port), (json!({"tcpSocket": {"port": 80}}), Some(80)));
    }

    #[test]
    fn the_images_own_healthcheck_stands_where_compose_has_none_of_its_own() {
        let image = ImageHealthcheck {
            test: vec!["CMD".to_owned(), "ok".to_owned()],
            interval: Some(2_500_000_000),
            ..ImageHealthcheck::default()
        };
        let found = check(None, Some(&image)).unwrap();
        assert_eq!(
            (found.interval, found.timeout, found.retries),
            (2.5, 30.0, 3)
        );
        assert_eq!(found.test, Test::Words(vec!["ok".to_owned()]));
        assert_eq!(check(None, None), None);
    }
}
