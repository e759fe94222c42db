//! The cluster and the stack that everything is measured on: devk's own, in folders of its own, removed
//! at the end however that comes.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::project::Project;
use crate::command;

pub(super) const CLUSTER: &str = "devk-bench";
pub(super) const NODE: &str = "devk-bench-control-plane";
const MAIN: &str = "bench";

pub(super) struct Stack {
    devk: PathBuf,
    /// The projects and devk's state.
    folder: PathBuf,
}

impl Stack {
    /// Brings the main project up, with devk as it is shipped or the program that `DEVK` names.
    pub(super) fn start() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("devk-bench-{}", std::process::id()));
        let devk = std::env::var_os("DEVK").map_or_else(built, |devk| Ok(devk.into()))?;
        let stack = Self { devk, folder };
        let main = stack.main();
        main.copy()?;
        eprintln!("bench: cluster …");
        main.devk(&["up", "-d"])?;
        stack.relay_serves(true)?;
        Ok(stack)
    }

    /// The project whose server the forwards lead to.
    pub(super) fn main(&self) -> Project<'_> {
        Project::of(self, MAIN)
    }

    /// devk, with folders of its own.
    pub(super) fn command(&self) -> Command {
        with_folders(&self.devk, &self.folder)
    }

    pub(super) fn projects(&self) -> PathBuf {
        self.folder.join("projects")
    }

    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.folder
            .join("state/devk/clusters")
            .join(CLUSTER)
            .join("kubeconfig")
    }

    /// What a project's session writes.
    pub(super) fn log(&self, project: &Project<'_>) -> PathBuf {
        self.folder
            .join("state/devk/projects")
            .join(project.name())
            .join("supervisor.log")
    }

    /// What devk remembers of layers.
    pub(super) fn layers(&self) -> PathBuf {
        self.folder.join("cache/devk/layers.json")
    }

    /// The server through devk's forward.
    pub(super) fn forward(&self) -> Result<SocketAddr> {
        let ports = self.main().json(&["ports"])?;
        let local = ports["forwards"][0]["local"]
            .as_u64()
            .and_then(|port| u16::try_from(port).ok());
        Ok(SocketAddr::new(
            Ipv4Addr::LOCALHOST.into(),
            local.context("no forward")?,
        ))
    }

    /// Waits until devk says that its relay serves, or does not.
    pub(super) fn relay_serves(&self, wanted: bool) -> Result<()> {
        self.wait("the relay", || {
            Ok(self.main().json(&["status"])?["session"]["relay"]["serves"] == wanted)
        })
    }

    pub(super) fn wait(&self, what: &str, until: impl Fn() -> Result<bool>) -> Result<()> {
        let since = Instant::now();
        while !until()? {
            if since.elapsed() > Duration::from_secs(300) {
                bail!(
                    "waited 300 s for {what}:\n{}",
                    self.main().devk(&["status"])?
                );
            }
            sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    pub(super) fn kubectl(&self, args: &[&str]) -> Command {
        self.main().kubectl(args)
    }

    /// The server's pod on the pods' network.
    pub(super) fn pod(&self) -> Result<SocketAddr> {
        let addresses = [
            "get",
            "pods",
            "-l",
            "app=server",
            "-o",
            "jsonpath={.items[0].status.podIP}",
        ];
        let address: IpAddr = command::output(&mut self.kubectl(&addresses))?
            .trim()
            .parse()?;
        Ok(SocketAddr::new(address, 8080))
    }

    /// A route to a pod for as long as the answer lives: what any forward is measured against.
    pub(super) fn direct(&self) -> Result<Route> {
        let node = [
            "inspect",
            NODE,
            "--format",
            "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
        ];
        let node = command::output(Command::new("docker").args(node))?;
        let pod = self.pod()?;
        let route = Route {
            pod,
            node: node.trim().to_owned(),
        };
        command::run(&mut route.change("add"))?;
        Ok(route)
    }

    /// `kubectl port-forward` for as long as the answer lives.
    pub(super) fn kubectl_forward(&self) -> Result<KubectlForward> {
        let log = self.folder.join("port-forward");
        let mut command = self.kubectl(&[
            "port-forward",
            "service/bench-server",
            ":8080",
            "--address",
            "127.0.0.1",
        ]);
        let child = command
            .stdout(fs::File::create(&log)?)
            .stderr(Stdio::null())
            .stdin(Stdio::null())
            .spawn()?;
        let mut forward = KubectlForward {
            child,
            address: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0),
        };
        self.wait("kubectl port-forward", || {
            Ok(fs::read_to_string(&log)?.contains("->"))
        })?;
        let said = fs::read_to_string(&log)?;
        let port = said
            .split("127.0.0.1:")
            .nth(1)
            .and_then(|rest| rest.split_whitespace().next());
        forward
            .address
            .set_port(port.context("kubectl named no port")?.parse()?);
        Ok(forward)
    }

    /// Leaves the relay its network for as long as the answer lives, as in a cluster that devk did not make.
    pub(super) fn without_folder(&self) -> Result<Unshared> {
        command::run(Command::new("docker").args([
            "exec", NODE, "mount", "-t", "tmpfs", "-o", "ro", "tmpfs", "/devk",
        ]))?;
        let unshared = Unshared;
        self.another_relay(true)?;
        Ok(unshared)
    }

    /// Keeps the relay out, as a firewall between host and node would, for as long as the answer lives.
    pub(super) fn without_network(&self) -> Result<Firewall> {
        let firewall = Firewall;
        command::run(&mut Firewall::rule("-I"))?;
        self.another_relay(false)?;
        Ok(firewall)
    }

    /// Connections that stand know nothing of what changed: the relay of the moment has to go.
    fn another_relay(&self, serves: bool) -> Result<()> {
        const UNTIL_IT_IS_TRIED: Duration = Duration::from_secs(3);
        command::run(Command::new("docker").args([
            "exec",
            NODE,
            "pkill",
            "-x",
            "-f",
            "/proc/self/fd/3 relay",
        ]))?;
        sleep(UNTIL_IT_IS_TRIED);
        self.relay_serves(serves)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        for project in fs::read_dir(self.projects())
            .into_iter()
            .flatten()
            .flatten()
        {
            if let Err(error) = Project::of(self, &project.file_name().to_string_lossy())
                .devk(&["down", "--delete"])
            {
                eprintln!("bench: the stack could not be removed: {error:#}");
            }
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// devk, with state, cache and data in a folder of its own.
pub(super) fn with_folders(devk: &Path, folder: &Path) -> Command {
    let mut command = Command::new(devk);
    for (variable, name) in [
        ("XDG_STATE_HOME", "state"),
        ("XDG_CACHE_HOME", "cache"),
        ("XDG_DATA_HOME", "data"),
    ] {
        command.env(variable, folder.join(name));
    }
    command
}

pub(super) fn built() -> Result<PathBuf> {
    eprintln!("bench: cargo build --release …");
    executable(&command::output(Command::new("cargo").args([
        "build",
        "--release",
        "--message-format=json",
    ]))?)
}

/// The path of devk among cargo's messages.
fn executable(messages: &str) -> Result<PathBuf> {
    let lines = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut named = lines.filter(|line| line["target"]["name"] == "devk");
    let path = named.find_map(|line| Some(Path::new(line["executable"].as_str()?).to_owned()));
    path.context("cargo named no executable")
}

pub(super) struct Route {
    pub(super) pod: SocketAddr,
    node: String,
}

impl Route {
    fn change(&self, verb: &str) -> Command {
        let mut command = command::as_root("ip");
        command.args(["route", verb, &self.pod.ip().to_string(), "via", &self.node]);
        command
    }
}

impl Drop for Route {
    fn drop(&mut self) {
        let _ = command::run(&mut self.change("del"));
    }
}

pub(super) struct KubectlForward {
    child: Child,
    pub(super) address: SocketAddr,
}

impl Drop for KubectlForward {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) struct Unshared;

impl Drop for Unshared {
    fn drop(&mut self) {
        let _ = command::run(Command::new("docker").args(["exec", NODE, "umount", "/devk"]));
    }
}

pub(super) struct Firewall;

impl Firewall {
    /// Everything new from outside but the API server.
    fn rule(verb: &str) -> Command {
        let mut command = Command::new("docker");
        command.args([
            "exec", NODE, "iptables", verb, "INPUT", "-i", "eth0", "-p", "tcp", "!", "--dport",
            "6443",
        ]);
        command.args(["-m", "conntrack", "--ctstate", "NEW", "-j", "REJECT"]);
        command
    }
}

impl Drop for Firewall {
    fn drop(&mut self) {
        let _ = command::run(&mut Self::rule("-D"));
    }
}
