//! Bridge mode: the chart's own Postgres is turned off, and the cluster uses the server that Compose runs,
//! with a separate database on it.
//!
//! ```text
//! pod → Service devk-bridge-postgres (port 5439) → gateway of the node's network : 5439 → Compose's container
//!                                                  or devk's relay there → 127.0.0.1 : 5439
//! ```
//!
//! Invariants: nothing that Compose uses is written to; every precondition is looked at before anything
//! is touched; no database is ever dropped.

pub mod chart;
pub mod convention;
mod database_container;
pub mod find;
pub mod gateway;
pub mod mark;
pub mod name;
pub mod overlap;
mod own;
pub mod probe;
mod reached;
pub mod record;
pub mod relay;
pub mod server;
pub mod service;
pub mod source;
pub mod startup;
mod url;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::compose::Compose;
use crate::config::{ForwardConfig, Project};
use crate::error::{Error, Errors};
use crate::plan::{LeftOut, Skipped};
use crate::ports::Forward;
use crate::release::databases::databases;
use crate::release::manifest::Rendered;
use chart::KnownValues;
use convention::{ConnectionPaths, ValuePaths};
use server::{Catalog, Login, Mark};
use source::{Published, Reach};
use startup::DatabaseMap;
use url::ConnectionParameters;

pub use find::find;

/// Postgres' own port.
const POSTGRES_PORT: u16 = 5432;

/// The bridge options of an `up`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// As devk.yaml has it.
    #[default]
    Configured,
    /// `--bridge`.
    On,
    /// `--no-bridge`.
    Off,
}

impl Switch {
    /// Whether a project is to be bridged.
    pub fn is_on(self, project: &Project) -> bool {
        match self {
            Self::Configured => project.bridge.is_some(),
            Self::On => true,
            Self::Off => false,
        }
    }
}

/// The bridge options of an `up`, and whether its session stays.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bridging {
    pub switch: Switch,
    pub once: bool,
}

/// A bridge whose preconditions hold.
#[derive(Debug, Clone)]
pub struct Bridge {
    /// The Compose service.
    pub service: String,
    /// The release whose database it replaces.
    pub release: String,
    /// The separate database.
    pub database: String,
    /// Others that the chart wants on the same server, each as separate as the first.
    pub also: BTreeSet<String>,
    /// Databases of Compose's or of somebody else's that the chart names, and the separate ones that it gets instead:
    /// devk's relay changes the name.
    pub mapped: BTreeMap<String, String>,
    /// What the chart still runs of its own, in words.
    pub stays: Vec<String>,
    /// The linked git worktree of the project.
    worktree: Option<String>,
    /// Why devk's relay cannot be between the pods and the server.
    no_relay: Option<Error>,
    pub login: Login,
    pub published: Published,
    /// Pods need devk's relay.
    pub relay: bool,
    /// `postgres` has every database that is wanted, whole.
    pub made: bool,
    pub mark: Mark,
    /// What the server has. The separate database gets the extensions of Compose's.
    pub catalog: Catalog,
    paths: ValuePaths,
    /// The values that the charts get without the bridge.
    charts: Vec<KnownValues>,
    /// How the database is dropped by hand.
    pub(crate) drop: String,
}

impl Bridge {
    /// The values that devk sets in the chart, by value path.
    pub fn values(&self, namespace: &str) -> Vec<(String, Value)> {
        let ValuePaths {
            enabled,
            connection,
        } = self.paths.clone();
        let host = service::host(namespace);
        let mut told: Vec<(String, Value)> = match connection {
            ConnectionPaths::Url { path, like } => {
                let connection = ConnectionParameters {
                    host: &host,
                    port: self.published.port,
                    database: &self.database,
                    user: &self.login.user,
                    password: &self.login.password.0,
                };
                vec![(path, connection.url(like.as_deref()).into())]
            }
            ConnectionPaths::Fields(fields) => {
                let database = fields.database.into_iter();
                let database = database.map(|path| (path, self.database.clone().into()));
                let others = [
                    (fields.host, host.into()),
                    (fields.port, self.published.port.into()),
                    (fields.username, self.login.user.clone().into()),
                    (fields.password, self.login.password.0.clone().into()),
                ];
                others.into_iter().chain(database).collect()
            }
        };
        told.extend(enabled.map(|enabled| (enabled, Value::Bool(false))));
        told
    }

    /// Where the server is for programs on this machine.
    pub fn local(&self) -> String {
        self.login.address.to_string()
    }

    /// The forward of the chart's own database, as `${forward.…}` has it when Compose's is used instead.
    pub fn stands_for(&self, forward: &ForwardConfig) -> Option<Forward> {
        (forward.port == POSTGRES_PORT).then(|| Forward {
            name: forward.name.clone(),
            namespace: String::new(),
            service: self.service.clone(),
            remote: forward.port,
            local: self.published.port,
            url: format!("postgres://{}", self.local()),
            moved: None,
        })
    }

    /// Why a forward of the chart's own database is not opened.
    pub fn left_out(&self, forward: &ForwardConfig) -> LeftOut {
        let service = forward.service.as_ref().unwrap_or(&forward.name);
        let instead = match forward.port {
            POSTGRES_PORT => format!("; Compose's is on {}", self.local()),
            _ => String::new(),
        };
        LeftOut {
            name: forward.name.clone(),
            why: format!(
                "the chart's own `{service}` is off while Compose's database is used{instead}"
            ),
        }
    }

    /// The same as a row of the ports that are not forwarded.
    pub fn skipped(&self, forward: &ForwardConfig, namespace: &str) -> Skipped {
        let service = forward
            .service
            .clone()
            .unwrap_or_else(|| forward.name.clone());
        let reason = self.left_out(forward).why;
        Skipped {
            namespace: namespace.to_owned(),
            service,
            port: Some(forward.port),
            reason,
        }
    }

    /// What the rendered charts name on the server is added to the databases that are made; in place of a database of
    /// Compose's they get a separate one, through devk's relay.
    ///
    /// # Errors
    /// As [`overlap::others`]; where there can be no relay, also for each database that would be shared.
    pub fn share_nothing<'a>(
        &mut self,
        compose: &Compose,
        namespace: &str,
        rendered: impl Iterator<Item = &'a Rendered>,
    ) -> Result<(), Errors> {
        let databases: Vec<_> = rendered
            .flat_map(|rendered| databases(rendered, namespace))
            .collect();
        let others = overlap::others(self, compose, namespace, &databases)?;
        self.also = others.apart;
        self.mapped = others.mapped;
        self.relay |= !self.mapped.is_empty();
        let mut names = self.also.iter().chain(self.mapped.values());
        self.made &= names.all(|name| self.catalog.databases.contains_key(name));
        Ok(())
    }

    /// Keeps what the release still runs of its own although it is rendered with the bridge.
    pub fn look_at(&mut self, rendered: &Rendered) {
        let known = self.charts.iter();
        let values = known
            .filter(|chart| chart.release == self.release)
            .map(|chart| &chart.values);
        let stays = values.flat_map(|values| own::stays(&self.paths, values, rendered));
        self.stays = stays.collect();
    }

    /// Which database a pod gets from the relay, by the name that it asks for. Every server has `postgres`, and charts
    /// log in there to look whether it runs: they get the separate database.
    pub fn map(&self) -> DatabaseMap {
        let same = self
            .databases()
            .map(|name| (name.to_owned(), name.to_owned()));
        let main = [self.login.main.as_str(), "postgres"]
            .map(|name| (name.to_owned(), self.database.clone()));
        let mapped = self
            .mapped
            .iter()
            .map(|(asked, real)| (asked.clone(), real.clone()));
        main.into_iter().chain(same).chain(mapped).collect()
    }

    /// The separate databases.
    pub fn databases(&self) -> impl Iterator<Item = &str> {
        let others = self.also.iter().chain(self.mapped.values());
        let names: BTreeSet<&str> = others.map(String::as_str).collect();
        let others = names.into_iter().filter(|name| *name != self.database);
        std::iter::once(self.database.as_str()).chain(others)
    }

    /// The machine's own address that pods are led to; None: the gateway.
    pub(crate) fn own_address(&self) -> Option<std::net::IpAddr> {
        match self.published.reach {
            Reach::At(address) if !self.relay => Some(address),
            Reach::At(_) | Reach::Everywhere | Reach::Loopback => None,
        }
    }
}
