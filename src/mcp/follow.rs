//! Waiting for a run: until it ends, the client cancels, or the call has to answer; meanwhile the client hears what the
//! run does, if it asked for that.

use std::sync::Arc;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::RequestContext;
use tokio::time::Instant;

use super::jobs::{Job, RunEnd, RunProgress};
use super::mask::Mask;
use super::tools::Limit;
use crate::error::Result;

/// How often the client hears of a run at most.
const LEAST_PAUSE: Duration = Duration::from_millis(200);
/// How often it hears of a run that says nothing.
const MOST_PAUSE: Duration = Duration::from_secs(5);
/// A longer message is cut.
const MAX_MESSAGE_CHARS: usize = 300;

/// How waiting for a run ended.
#[derive(Debug)]
pub(super) enum Followed {
    Ended(Arc<Result<RunEnd>>),
    /// The run goes on; what it does.
    Working(String),
    /// The run was ended after so many seconds.
    TimedOut(u64),
    Cancelled,
}

/// Tells the client what a run does.
struct Progress<'a> {
    context: &'a RequestContext<RoleServer>,
    mask: &'a Mask,
    token: Option<ProgressToken>,
    /// How often it was told.
    told: u64,
    last: Instant,
    last_steps: u64,
    began: Instant,
}

/// Waits for a run.
pub(super) async fn follow(
    job: &Job,
    limit: Limit,
    context: &RequestContext<RoleServer>,
    mask: &Mask,
) -> Followed {
    let mut seen = job.seen.clone();
    let mut progress = Progress::new(context, mask);
    let (Limit::Ends(patience) | Limit::Leaves(patience)) = limit else {
        return until(job, &mut seen, &mut progress, std::future::pending()).await;
    };
    let out_of_time = tokio::time::sleep(patience);
    match until(job, &mut seen, &mut progress, out_of_time).await {
        Followed::Working(doing) => match limit {
            Limit::Ends(_) => {
                job.give_up();
                Followed::TimedOut(patience.as_secs())
            }
            _ => {
                job.leave();
                Followed::Working(mask.text(&doing))
            }
        },
        followed => followed,
    }
}

async fn until(
    job: &Job,
    seen: &mut tokio::sync::watch::Receiver<RunProgress>,
    progress: &mut Progress<'_>,
    out_of_time: impl Future<Output = ()>,
) -> Followed {
    let mut out_of_time = std::pin::pin!(out_of_time);
    loop {
        let now = seen.borrow_and_update().clone();
        if let Some(ended) = now.ended {
            job.read();
            return Followed::Ended(ended);
        }
        progress.tell(&now).await;
        tokio::select! {
            changed = seen.changed() => if changed.is_err() && seen.borrow().ended.is_none() {
                return Followed::Cancelled;
            },
            () = progress.pause() => {}
            () = progress.context.ct.cancelled() => {
                job.give_up();
                return Followed::Cancelled;
            }
            () = &mut out_of_time => return Followed::Working(now.message),
        }
    }
}

impl<'a> Progress<'a> {
    fn new(context: &'a RequestContext<RoleServer>, mask: &'a Mask) -> Self {
        Self {
            context,
            mask,
            token: context.meta.get_progress_token(),
            told: 0,
            last: Instant::now(),
            last_steps: 0,
            began: Instant::now(),
        }
    }

    /// Until there may be something to tell.
    async fn pause(&self) {
        match self.token {
            Some(_) => tokio::time::sleep(LEAST_PAUSE).await,
            None => std::future::pending().await,
        }
    }

    async fn tell(&mut self, seen: &RunProgress) {
        let Some(token) = self.token.clone() else {
            return;
        };
        let since = self.last.elapsed();
        let is_news = seen.steps > self.last_steps && (since >= LEAST_PAUSE || self.told == 0);
        if !is_news && since < MOST_PAUSE {
            return;
        }
        self.told += 1;
        self.last = Instant::now();
        self.last_steps = seen.steps;
        let message = match seen.message.as_str() {
            "" => format!("at work for {} s", self.began.elapsed().as_secs()),
            message => self
                .mask
                .text(message)
                .chars()
                .take(MAX_MESSAGE_CHARS)
                .collect(),
        };
        #[allow(clippy::cast_precision_loss)]
        let told = ProgressNotificationParam::new(token, self.told as f64).with_message(message);
        // A client that is gone closes the stream soon.
        let _ = self.context.peer.notify_progress(told).await;
    }
}
