//! A project of one test: a copy of a fixture under a name of its own.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::copy::copy;
use super::machine::{CLUSTER, machine};
use super::run::{Ran, Running};
use super::terminal::OnTerminal;

/// A project; removed with all that devk made for it when it is dropped.
pub(crate) struct Project {
    pub(crate) name: String,
    /// The devk that it is worked on with.
    pub(crate) program: PathBuf,
    /// The words of a program that starts it; none for itself.
    pub(crate) started_by: Vec<String>,
    dir: tempfile::TempDir,
    environment: Vec<(String, OsString)>,
    /// devk.yaml as it was, so that the project can be removed whatever the test wrote into it.
    pristine: String,
    is_left: bool,
}

impl Project {
    /// Two small images, `left` and `right`, in a chart with a Deployment and a Service for each.
    pub(crate) fn pair(name: &str) -> Self {
        Self::pair_on(CLUSTER, name)
    }

    pub(crate) fn pair_on(cluster: &str, name: &str) -> Self {
        Self::new("tests/e2e/fixtures/pair", name, cluster)
    }

    /// The built-in demo.
    pub(crate) fn demo_on(cluster: &str, name: &str) -> Self {
        Self::new("profiles/demo", name, cluster)
    }

    /// A copy of a folder of this repository, called `name`.
    pub(crate) fn new(template: &str, name: &str, cluster: &str) -> Self {
        let template = Path::new(env!("CARGO_MANIFEST_DIR")).join(template);
        let dir = machine().new_folder();
        copy(&template, dir.path());
        let file = dir.path().join("devk.yaml");
        let rename = |line: &str| match line.split_once(':') {
            Some(("name", _)) => format!("name: {name}\n"),
            Some(("cluster", _)) => format!("cluster: {{provider: kind, name: {cluster}}}\n"),
            _ => format!("{line}\n"),
        };
        let pristine: String = std::fs::read_to_string(&file)
            .unwrap()
            .lines()
            .map(rename)
            .collect();
        std::fs::write(&file, &pristine).unwrap();
        let program = env!("CARGO_BIN_EXE_devk").into();
        let environment = machine().environment();
        Self {
            name: name.to_owned(),
            program,
            started_by: vec![],
            dir,
            environment,
            pristine,
            is_left: false,
        }
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        std::fs::write(self.path(file), text).unwrap();
    }

    /// Replaces a text that stands in a file exactly once.
    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path(file)).unwrap();
        assert_eq!(
            text.matches(from).count(),
            1,
            "`{from}` stands once in {file}:\n{text}"
        );
        self.write(file, &text.replace(from, to));
    }

    /// The line of devk.yaml, from 1, on which a text stands.
    pub(crate) fn line_of(&self, text: &str) -> usize {
        let file = std::fs::read_to_string(self.path("devk.yaml")).unwrap();
        file.lines().position(|line| line.contains(text)).unwrap() + 1
    }

    /// Sets a variable for every devk of this project.
    pub(crate) fn set(&mut self, variable: &str, value: impl AsRef<OsStr>) {
        self.environment.retain(|(name, _)| name != variable);
        self.environment
            .push((variable.to_owned(), value.as_ref().to_owned()));
    }

    /// Writes `ask` of the user's own configuration, which is looked for in `config` once XDG_CONFIG_HOME says so.
    pub(crate) fn user_asks(&self, ask: &str) {
        std::fs::create_dir_all(self.path("config/devk")).unwrap();
        self.write("config/devk/config.yaml", &format!("ask: {ask}\n"));
    }

    /// Lets it stand when the test ends: the end of the run removes it.
    pub(crate) fn leave(mut self) {
        self.is_left = true;
    }

    /// Puts a folder in front of PATH.
    pub(crate) fn prefer(&mut self, folder: &Path) {
        let path = std::env::var_os("PATH").unwrap();
        let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
        self.set("PATH", std::env::join_paths(folders).unwrap());
    }

    /// Runs a line as somebody does who pastes it into a shell in the project's folder.
    pub(crate) fn paste(&self, line: &str) {
        let devk = Path::new(env!("CARGO_BIN_EXE_devk")).parent().unwrap();
        let path = std::env::var_os("PATH").unwrap();
        let path = std::iter::once(devk.to_owned()).chain(std::env::split_paths(&path));
        let mut shell = Command::new("sh");
        shell
            .args(["-c", line])
            .current_dir(self.dir.path())
            .env_clear()
            .envs(self.environment.iter().map(|(k, v)| (k, v)))
            .env("PATH", std::env::join_paths(path).unwrap());
        let done = shell.output().unwrap();
        assert!(done.status.success(), "{line}: {done:?}");
    }

    /// What kubectl prints about the project's namespace on the tests' cluster.
    pub(crate) fn kubectl(&self, words: &[&str]) -> String {
        machine().kubectl(CLUSTER, &[&["-n", &self.name], words].concat())
    }

    /// What kubectl prints in the project's namespace; None if it fails.
    pub(crate) fn tried(&self, words: &[&str]) -> Option<String> {
        let mut kubectl = Command::new("kubectl");
        kubectl
            .arg("--kubeconfig")
            .arg(machine().kubeconfig(CLUSTER));
        kubectl.args(["-n", &self.name]).args(words);
        let output = kubectl.output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then_some(printed)
    }

    /// Runs `devk ARGS --format json` in the project's folder to its end.
    pub(crate) fn devk(&self, args: &[&str]) -> Ran {
        self.start(args).ended()
    }

    /// Starts `devk ARGS --format json` in the project's folder.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        // What follows `--` is not for devk.
        let end = args.iter().position(|arg| *arg == "--");
        let (own, others) = args.split_at(end.unwrap_or(args.len()));
        let mut command = self.bare();
        Running::start(command.args(own).args(["--format", "json"]).args(others))
    }

    /// Runs devk on a terminal, answers its question, and gives what was shown until its end, which is a good one.
    pub(crate) fn answered(&self, args: &[&str], question: &str, keys: &str) -> String {
        let mut command = self.bare();
        let mut terminal = OnTerminal::start(command.args(args));
        // What is typed before the question is no answer to it.
        terminal.wait_for(question);
        terminal.type_keys(keys);
        let (screen, code) = terminal.ended();
        assert_eq!(code, Some(0), "{args:?}: {screen}");
        screen
    }

    /// devk in the project's folder, without arguments.
    pub(crate) fn bare(&self) -> Command {
        let mut command = self.command();
        command
            .current_dir(self.dir.path())
            .env_clear()
            .envs(self.environment.iter().map(|(k, v)| (k, v)));
        command
    }

    fn command(&self) -> Command {
        let Some((first, others)) = self.started_by.split_first() else {
            return Command::new(&self.program);
        };
        let mut command = Command::new(first);
        command.args(others).arg(&self.program);
        command
    }

    /// The forwards as `devk ports` tells them.
    pub(crate) fn forwards(&self) -> Vec<Value> {
        self.devk(&["ports"]).well().document()["forwards"]
            .as_array()
            .unwrap()
            .clone()
    }

    /// The host port of a forward.
    pub(crate) fn port(&self, forward: &str) -> u16 {
        port_of(&self.forwards(), forward)
    }

    /// The session as `devk status` tells it; null if none runs.
    pub(crate) fn session(&self) -> Value {
        self.devk(&["status"]).well().document()["session"].clone()
    }
}

/// The host port of a forward in a list of them.
pub(crate) fn port_of(forwards: &[Value], name: &str) -> u16 {
    let found = forwards.iter().find(|forward| forward["name"] == name);
    let local =
        found.unwrap_or_else(|| panic!("no forward `{name}` in {forwards:?}"))["local"].as_u64();
    u16::try_from(local.unwrap()).unwrap()
}

impl Drop for Project {
    fn drop(&mut self) {
        if self.is_left {
            self.dir.disable_cleanup(true);
            return;
        }
        self.write("devk.yaml", &self.pristine);
        self.environment = machine().environment();
        (self.program, self.started_by) = (env!("CARGO_BIN_EXE_devk").into(), vec![]);
        let ran = self.devk(&["down", "--delete"]);
        // A second panic would end the whole program, and the first one says more.
        if ran.code != Some(0) {
            eprintln!("`{}` could not be removed: {ran:?}", self.name);
        }
    }
}
