//! What the supervisor answers without a reconcile: how the session is, what its containers have, when a save is live.

use std::time::Duration;

use tokio::sync::oneshot;

use super::Supervisor;
use crate::daemon::control::{Reply, Sender};
use crate::daemon::controller::Queued;
use crate::error::{Errors, Result};
use crate::session::settle::{PendingChanges, SettleScope};
use crate::session::status::SessionStatus;
use crate::session::view::Follower;

impl Supervisor {
    pub(super) async fn status(&self, write: &mut Sender) -> Result<()> {
        let view = self.views.borrow().clone();
        let status = Box::new(SessionStatus {
            holders: self.holders(),
            ..view.status()
        });
        write.send(&Reply::Status { status }).await
    }

    pub(super) async fn follow(&self, write: &mut Sender) -> Result<()> {
        let mut follower = Follower::new(self.views.clone());
        loop {
            let status = Box::new(SessionStatus {
                holders: self.holders(),
                ..follower.next().await
            });
            write.send(&Reply::Status { status }).await?;
        }
    }

    pub(super) async fn verify(&self, write: &mut Sender) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        self.enqueue(Queued::Verifier { answer });
        let Ok(verifier) = answered.await else {
            return self.no_answer().await;
        };
        // Hashing takes time, and the loop does not wait for it.
        match verifier.verify().await {
            Ok(mut comparison) => {
                let view = self.views.borrow().clone();
                comparison.uncompared = view.uncompared(|step| self.reporter.failure(step));
                write.send(&Reply::Verified { comparison }).await
            }
            Err(error) => {
                write
                    .send(&Reply::Refused {
                        errors: error.into(),
                    })
                    .await
            }
        }
    }

    pub(super) async fn settle(
        &self,
        scope: &SettleScope,
        patience: Duration,
        write: &mut Sender,
    ) -> Result<()> {
        let settlement = self.settler.settle(scope, patience, self).await;
        write.send(&Reply::Live { settlement }).await
    }
}

impl PendingChanges for Supervisor {
    async fn live(&self) -> Option<Errors> {
        let (answer, answered) = oneshot::channel();
        self.enqueue(Queued::Live { answer });
        match answered.await {
            Ok(refused) => refused,
            // The session ends.
            Err(_) => std::future::pending().await,
        }
    }
}
