//! The demo's Compose stack, beside which devk runs.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use super::machine::run;
use super::project::Project;

pub(crate) const WEB: u16 = 4173;
pub(crate) const API: u16 = 5000;
pub(crate) const POSTGRES: u16 = 5439;
pub(crate) const REDIS: u16 = 6379;

/// The stack of a project's own compose.yaml; removed when dropped.
pub(crate) struct Compose {
    name: &'static str,
    file: PathBuf,
}

impl Compose {
    const NAME: &str = "devk-e2e-compose";

    /// Starts these services, or all of them, and waits until they are healthy.
    pub(crate) fn up(project: &Project, services: &[&str]) -> Self {
        for port in [WEB, API, POSTGRES, REDIS] {
            let free = TcpListener::bind(("0.0.0.0", port));
            assert!(
                free.is_ok(),
                "port {port}, which the demo's Compose stack publishes, is held: {free:?}"
            );
        }
        Self::beside(Self::NAME, project, services)
    }

    /// The same by another name, of a project whose ports are others than the demo's.
    pub(crate) fn beside(name: &'static str, project: &Project, services: &[&str]) -> Self {
        let compose = Self {
            name,
            file: project.path("compose.yaml"),
        };
        compose.run(&[&["up", "--detach", "--build", "--wait"], services].concat());
        compose
    }

    pub(crate) fn run(&self, args: &[&str]) -> String {
        run(self.command().args(args))
    }

    fn command(&self) -> Command {
        let mut command = Command::new("docker");
        command
            .args(["compose", "--project-name", self.name, "--file"])
            .arg(&self.file);
        command
    }

    /// `psql` inside the database's container.
    pub(crate) fn psql(&self, database: &str, sql: &str) -> String {
        self.run(&[
            "exec", "-T", "postgres", "psql", "-U", "demo", "-d", database, "-tAc", sql,
        ])
    }

    /// A database as a text that is the same as long as it is.
    pub(crate) fn dump(&self, database: &str) -> String {
        self.run(&[
            "exec",
            "-T",
            "postgres",
            "pg_dump",
            "-U",
            "demo",
            "--restrict-key=devk",
            database,
        ])
    }

    /// The names of all databases and what is said of them.
    pub(crate) fn databases(&self) -> String {
        self.psql(
            "demo",
            "select datname, shobj_description(oid, 'pg_database') from pg_database order by 1",
        )
    }
}

impl Drop for Compose {
    fn drop(&mut self) {
        let _ = self
            .command()
            .args(["down", "--volumes", "--rmi", "local"])
            .output();
    }
}
