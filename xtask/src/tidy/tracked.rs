//! Texts that must not be in the repository, and scripts that must at least parse.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Finding, Source, finding};

/// Hosts of package registries: where packages come from is the machine's affair, set in each client's own
/// configuration. Written in halves, so that this file passes.
const HOSTS: [&str; 8] = [
    concat!("registry.", "npmjs.org"),
    concat!("py", "pi.org"),
    concat!("files.python", "hosted.org"),
    concat!("proxy.", "golang.org"),
    concat!("sum.", "golang.org"),
    concat!("static.", "crates.io"),
    concat!("index.", "crates.io"),
    concat!("deb.", "debian.org"),
];

/// Where the clients' own registries may stand in the environment.
const HOST_VARIABLES: [&str; 6] = [
    "GOPROXY",
    "npm_config_registry",
    "NPM_CONFIG_REGISTRY",
    "PIP_INDEX_URL",
    "UV_INDEX_URL",
    "UV_DEFAULT_INDEX",
];

/// Beginnings of absolute paths on somebody's machine.
const FOLDERS: [&str; 4] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("/wo", "rk/"),
];

/// The user of examples.
const NOBODY: &str = "ann";

pub(super) fn check(sources: &[Source], root: &Path) -> Result<Vec<Finding>> {
    let configured = HOST_VARIABLES
        .iter()
        .filter_map(|name| std::env::var(name).ok());
    let hosts: Vec<_> = HOSTS
        .iter()
        .map(ToString::to_string)
        .chain(configured.flat_map(|list| hosts_of(&list)))
        .collect();
    let mut findings: Vec<_> = sources
        .iter()
        .flat_map(|source| texts(source, &hosts, root))
        .collect();
    for source in sources {
        findings.extend(syntax(source, root)?);
    }
    Ok(findings)
}

/// The hosts of a list of URLs, separated by commas or bars as in GOPROXY.
fn hosts_of(list: &str) -> Vec<String> {
    let urls = list
        .split([',', '|'])
        .filter_map(|url| url.split_once("://"));
    let hosts = urls.map(|(_, rest)| rest.split('/').next().unwrap_or_default());
    let bare = hosts.map(|host| {
        host.rsplit('@')
            .next()
            .unwrap_or_default()
            .split(':')
            .next()
            .unwrap_or_default()
    });
    bare.filter(|host| host.contains('.'))
        .map(str::to_owned)
        .collect()
}

fn texts(source: &Source, hosts: &[String], root: &Path) -> Vec<Finding> {
    // A Dockerfile's paths are the image's.
    let in_image = source.path.ends_with("Dockerfile");
    let root = root.display().to_string();
    let wrong = |line: &str| {
        if let Some(host) = hosts.iter().find(|host| line.contains(host.as_str())) {
            return Some(format!("names the package registry `{host}`"));
        }
        let path = if line.contains(&root) {
            Some(root.as_str())
        } else {
            folder(line).filter(|_| !in_image)
        };
        path.map(|path| format!("names a path of one machine, `{path}…`"))
    };
    let found = source
        .text
        .lines()
        .enumerate()
        .filter_map(|(at, line)| Some((at, wrong(line)?)));
    found
        .map(|(at, what)| finding(&source.path, at + 1, what))
        .collect()
}

/// The folder of [`FOLDERS`] in which an absolute path of this line begins.
fn folder(line: &str) -> Option<&'static str> {
    let begins_path =
        |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "_.-}$*".contains(c));
    FOLDERS.into_iter().find(|folder| {
        let mut places = line.match_indices(folder);
        places.any(|(at, _)| begins_path(at) && !line[at + folder.len()..].starts_with(NOBODY))
    })
}

/// Shell scripts, told by their first line or their name.
fn syntax(source: &Source, root: &Path) -> Result<Option<Finding>> {
    let first = source.text.lines().next().unwrap_or_default();
    let shell = match first.strip_prefix("#!") {
        Some(program) if program.ends_with("bash") => "bash",
        Some(program) if program.ends_with("/sh") => "sh",
        _ if source.path.ends_with(".sh") => "bash",
        _ => return Ok(None),
    };
    let output = Command::new(shell)
        .arg("-n")
        .arg(&source.path)
        .current_dir(root)
        .output();
    let output = output.with_context(|| format!("cannot run {shell}"))?;
    let problem = String::from_utf8_lossy(&output.stderr)
        .trim()
        .replace('\n', "; ");
    Ok((!output.status.success()).then(|| finding(&source.path, 1, problem)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_and_a_machines_path_are_found() {
        let text = format!("ok\nurl = https://{}/x\ncd {}me/x\n", HOSTS[1], FOLDERS[1]);
        let source = Source {
            path: "a".to_owned(),
            text,
        };
        let hosts = [HOSTS[1].to_owned()];
        let lines: Vec<_> = texts(&source, &hosts, Path::new("/r"))
            .iter()
            .map(|f| f.line)
            .collect();
        assert_eq!(lines, [2, 3]);
    }

    #[test]
    fn examples_and_parts_of_longer_paths_are_fine() {
        let home = FOLDERS[0];
        let root = FOLDERS[1];
        assert_eq!(folder(&format!("unix://{home}ann/.docker")), None);
        assert_eq!(folder(&format!("$dir{root}x and srv{home}x")), None);
        assert_eq!(folder(&format!("\"{home}bob/x\"")), Some(home));
    }

    #[test]
    fn the_hosts_of_the_environment_are_read_without_user_and_port() {
        assert_eq!(
            hosts_of("https://u:p@go.example.org:8080/x,direct|http://b.example"),
            ["go.example.org", "b.example"]
        );
        assert_eq!(hosts_of("http://localhost:1"), [""; 0]);
    }
}
