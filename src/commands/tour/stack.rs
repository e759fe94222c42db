//! The running demo as the tour looks at it: its session, its answers, its database.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::answers::DemoAnswers;
use super::demo::DATABASE;
use super::stage::TourNote;
use super::typed;
use crate::commands::service::selector;
use crate::commands::settle::settlement;
use crate::commands::{Context, no_session, pinned};
use crate::config::Project;
use crate::daemon::client;
use crate::error::{Code, Error, Errors, Result};
use crate::release::project_pods::ProjectPods;
use crate::session::settle::{SettleScope, Settlement};
use crate::session::status::SessionStatus;

/// How long the demo may take to be what was saved.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(90);
/// How long an API that is Ready may take to answer.
pub(super) const API_TIMEOUT: Duration = Duration::from_secs(60);
/// How often the tour looks for what people do.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// The demo that runs, or does not.
pub(super) struct TourStack<'a> {
    pub(super) context: &'a Context,
    pub(super) project: &'a Project,
    pub(super) answers: DemoAnswers,
}

impl TourStack<'_> {
    /// None if no session runs.
    pub(super) async fn status(&self) -> Result<Option<SessionStatus>> {
        client::status(&self.context.paths, &self.project.id).await
    }

    /// A command for this project, as the user types it.
    pub(super) fn typed(&self, command: &str) -> String {
        typed(self.context, command)
    }

    pub(super) async fn settle(&self, images: &[&str]) -> Result<Settlement, Errors> {
        let scope = SettleScope {
            images: images.iter().map(|image| (*image).to_owned()).collect(),
            ..SettleScope::default()
        };
        settlement(self.context, self.project, scope, SETTLE_TIMEOUT).await
    }

    /// The URL of a forward of the session.
    pub(super) async fn address(&self, name: &str) -> Result<String, Errors> {
        let status = self.status().await?.ok_or_else(|| self.no_session())?;
        let found = status
            .forwards
            .iter()
            .find(|held| held.forward.name == name);
        let closed = || {
            let message = format!("the forward `{name}` is not open");
            Error::new(Code::ForwardTarget, message).hint(self.typed("ports"))
        };
        Ok(found.ok_or_else(closed)?.forward.url.clone())
    }

    /// The containers of the database: others after a stop, whether its pod was kept or not.
    pub(super) async fn database(&self) -> Result<Vec<String>> {
        let client = pinned(self.context, self.project).await?.client;
        let selected = selector(&client, self.project, DATABASE).await?;
        let of_project = ProjectPods::of(&client, &self.project.id).await?;
        let pods = of_project.list(&client, Some(&selected)).await?;
        let containers = pods
            .into_iter()
            .filter_map(|pod| pod.status?.container_statuses);
        Ok(containers
            .flatten()
            .filter_map(|container| container.container_id)
            .collect())
    }

    pub(super) async fn notes(&self, api: &str) -> Result<Vec<TourNote>> {
        let notes = async {
            loop {
                match self.answers.notes(api).await {
                    Some(notes) => return notes,
                    None => sleep(LOOK_INTERVAL).await,
                }
            }
        };
        timeout(API_TIMEOUT, notes)
            .await
            .map_err(|_| self.silent(api))
    }

    pub(super) fn no_session(&self) -> Error {
        no_session(&self.project.name).hint(self.typed("up -d"))
    }

    pub(super) fn silent(&self, address: &str) -> Error {
        let message = format!("{address} does not answer");
        Error::new(Code::ForwardNoPod, message).hint(self.typed("status"))
    }

    pub(super) fn not_settled(&self, settlement: Settlement) -> Errors {
        let failures = settlement.failures.into_iter().map(|failure| failure.error);
        let failures: Vec<_> = failures.collect();
        if !failures.is_empty() {
            return Errors(failures);
        }
        let message = format!("`{}` is not up yet", self.project.name);
        let error = Error::new(Code::NotLive, message).evidence(settlement.waiting_for.join("\n"));
        error.hint(self.typed("up -d")).into()
    }

    pub(super) fn lost(&self, note: &TourNote) -> Error {
        let message = format!(
            "note {} from before `devk down` is not there: {}",
            note.id, note.text
        );
        Error::new(Code::TourNote, message)
            .evidence("`devk down --delete` removes the data, `devk down` keeps it")
            .hint(self.typed("tour --restart"))
    }
}
