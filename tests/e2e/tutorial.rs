//! docs/tutorial.md as its reader follows it: every file is written, every command runs in its order, and what the page
//! shows is what comes.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use tempfile::TempDir;

use crate::support::machine::{CLUSTER, cluster, machine};
use crate::support::tell;

/// The name that a cluster has for the reader, who has only one.
const USUAL: &str = "devk";
/// The host port of the shop's API, if it is free.
const USUAL_PORT: &str = "15000";

/// One fenced block.
enum Block {
    File {
        name: String,
        text: String,
    },
    /// Each command with the lines that the page shows below it.
    Console(Vec<(String, Vec<String>)>),
}

/// The blocks of the page. A file's name is the last code of the line before it.
fn blocks(page: &str) -> Vec<Block> {
    let mut found = vec![];
    let mut lines = page.lines();
    let mut said = "";
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            said = if line.is_empty() { said } else { line };
            continue;
        };
        let inside: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
        found.push(match language {
            "console" => Block::Console(commands(&inside)),
            _ => Block::File {
                name: said
                    .trim_end_matches("`:")
                    .rsplit('`')
                    .next()
                    .unwrap()
                    .to_owned(),
                text: inside.join("\n") + "\n",
            },
        });
    }
    found
}

fn commands(lines: &[&str]) -> Vec<(String, Vec<String>)> {
    let mut commands: Vec<(String, Vec<String>)> = vec![];
    for line in lines {
        match line.strip_prefix("$ ") {
            Some(command) => commands.push((command.to_owned(), vec![])),
            None => commands.last_mut().unwrap().1.push((*line).to_owned()),
        }
    }
    commands
}

/// Words with one space between them: columns are as wide as their cells.
fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether the line is the shown one, in which `…` stands for anything.
fn is_shown(shown: &str, line: &str) -> bool {
    let (shown, mut rest) = (words(shown), words(line));
    let parts: Vec<_> = shown.split('…').map(str::trim).collect();
    let (first, last) = (parts[0], parts[parts.len() - 1]);
    if parts.len() == 1 {
        return rest == first;
    }
    let is_held = |part: &&str| match rest.find(*part) {
        Some(at) => {
            rest = rest.split_off(at + part.len());
            true
        }
        None => false,
    };
    words(line).starts_with(first) && words(line).ends_with(last) && parts.iter().all(is_held)
}

/// The lines that the page shows and the command did not print in their order. A line `…` alone stands for any lines, and
/// only there others may come between.
fn missing(shown: &[String], printed: &str) -> Vec<String> {
    let mut lines = printed
        .lines()
        .filter(|line| !line.trim().is_empty())
        .peekable();
    let mut may_skip = false;
    let mut missing = vec![];
    for line in shown.iter().filter(|line| !line.trim().is_empty()) {
        if line == "…" {
            may_skip = true;
            continue;
        }
        // The steps of an `up` come as they end, and the page shows some of them.
        let skips = may_skip || line.starts_with('…') || printed.contains(" release.apply/");
        let found = match skips {
            true => lines.any(|printed| is_shown(line, printed)),
            false => lines.next().is_some_and(|printed| is_shown(line, printed)),
        };
        if !found {
            missing.push(line.clone());
        }
        may_skip = false;
    }
    missing
}

/// The reader's folder; whatever devk made for it goes with it.
struct Reader {
    folder: TempDir,
}

impl Reader {
    fn shop(&self) -> std::path::PathBuf {
        self.folder.path().join("shop")
    }

    fn write(&self, name: &str, text: &str) {
        let file = self.shop().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    /// Runs a line in a shell whose devk is the one under test. All that it prints, and whether it ended well.
    fn run(&self, line: &str) -> (String, bool) {
        let devk = Path::new(env!("CARGO_BIN_EXE_devk")).parent().unwrap();
        let path = std::env::var_os("PATH").unwrap();
        let path = std::iter::once(devk.to_owned()).chain(std::env::split_paths(&path));
        let output = Command::new("bash")
            .args(["-c", &format!("exec 2>&1; {line}")])
            .current_dir(self.shop())
            .env_clear()
            .envs(machine().environment())
            .env("PATH", std::env::join_paths(path).unwrap())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (text, output.status.success())
    }

    /// The host port of the shop's API: 15000, unless something else on this machine has it, such as the demo.
    fn port(&self) -> Option<u64> {
        let (ports, _) = self.run("devk ports --format json");
        let ports: serde_json::Value = serde_json::from_str(&ports).ok()?;
        ports["forwards"][0]["local"].as_u64()
    }

    /// A command of the page, for this machine.
    fn with_its_port(&self, command: &str) -> String {
        match self.port() {
            Some(port) if command.contains(USUAL_PORT) => {
                command.replace(USUAL_PORT, &port.to_string())
            }
            _ => command.to_owned(),
        }
    }

    /// The same text on a machine that has no other stack.
    fn usual(&self, printed: &str) -> String {
        let port = self
            .port()
            .map_or(USUAL_PORT.to_owned(), |port| port.to_string());
        let printed = printed
            .replace(&format!("`{CLUSTER}`"), &format!("`{USUAL}`"))
            .replace(&format!("{CLUSTER} ("), &format!("{USUAL} ("))
            .replace(
                &format!("127.0.0.1:{port}"),
                &format!("127.0.0.1:{USUAL_PORT}"),
            );
        // Behind the Service's port stands why the host port is another one.
        let without = |line: &str| match line.split_once("shop-api:5000 ") {
            Some((row, _)) if port != USUAL_PORT => format!("{row}shop-api:5000\n"),
            _ => format!("{line}\n"),
        };
        printed.lines().map(without).collect()
    }

    /// The run's cluster stands for the reader's: the one thing that the page has not.
    fn on_cluster_of_this_run(&self) {
        let file = self.shop().join("devk.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        if !text.contains(CLUSTER) {
            let named = format!("name: shop\ncluster: {{provider: kind, name: {CLUSTER}}}\n");
            std::fs::write(&file, text.replace("name: shop\n\n", &named)).unwrap();
            assert!(std::fs::read_to_string(&file).unwrap().contains(CLUSTER));
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.shop().join("devk.yaml").exists() {
            let _ = self.run("devk down --delete");
        }
    }
}

#[test]
fn the_tutorial_is_what_happens() {
    cluster();
    let since = Instant::now();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tutorial.md");
    let page = std::fs::read_to_string(page).unwrap();
    let reader = Reader {
        folder: machine().new_folder(),
    };
    let (mut files, mut ran) = (0, 0);
    for block in blocks(&page) {
        match block {
            Block::File { name, text } => {
                reader.write(&name, &text);
                files += 1;
            }
            Block::Console(commands) => {
                for (command, shown) in commands {
                    let (printed, is_well) = reader.run(&reader.with_its_port(&command));
                    assert!(is_well, "$ {command}\n{printed}");
                    let printed = reader.usual(&printed);
                    let missing = missing(&shown, &printed);
                    assert!(
                        missing.is_empty(),
                        "$ {command}\nnot printed in this order: {missing:#?}\nbut:\n{printed}"
                    );
                    if command == "devk init" {
                        reader.on_cluster_of_this_run();
                    }
                    ran += 1;
                }
            }
        }
    }
    assert_eq!((files, ran), (4, 17));
    tell("the tutorial", since.elapsed());
}

#[test]
fn what_the_tutorial_shows_is_compared() {
    assert!(
        is_shown("live after … ms", "live  after 12 ms")
            && !is_shown("live after … ms", "live after 12 s")
    );
    assert!(is_shown(
        "… image.build/api …",
        " 0.6s ✓ image.build/api   devk.local/x"
    ));
    assert!(!is_shown("api", "api 2"));
    let shown = ["a".to_owned(), "…".to_owned(), "c".to_owned()];
    assert!(missing(&shown, "a\nb\n\nc\n").is_empty());
    assert_eq!(missing(&shown, "b\na\nc\n"), ["a"]);
    assert_eq!(missing(&shown, "a\nb\n"), ["c"]);
}
