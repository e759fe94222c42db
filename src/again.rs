//! Work that starts again: when a value that it depends on changes, and after failed attempts, with growing pauses.

use std::time::Duration;

use kube::runtime::utils::Backoff;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Runs `work` with the current value. With every change of the value the running work is dropped and started again,
/// until `cancel` or until the sender is gone. Work that ends by itself is started again, too.
pub(crate) fn restart_on_change<T, F>(
    mut values: watch::Receiver<T>,
    cancel: CancellationToken,
    work: impl Fn(T) -> F + Send + 'static,
) where
    T: Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(cancel.run_until_cancelled_owned(async move {
        loop {
            let value = values.borrow_and_update().clone();
            let changed = tokio::select! {
                changed = values.changed() => changed,
                () = work(value) => continue,
            };
            if changed.is_err() {
                return;
            }
        }
    }));
}

/// Pauses between attempts: each is twice as long as the one before, up to the longest, and there is no last one.
#[derive(Debug, Clone)]
pub(crate) struct Pauses {
    first: Duration,
    longest: Duration,
    now: Duration,
}

/// Between the attempts of a watch whose server is away: a developer waits for the cluster to come back,
/// kube's 30 s are too long.
pub(crate) const API_SERVER_PAUSES: Pauses =
    Pauses::new(Duration::from_millis(200), Duration::from_secs(3));

impl Pauses {
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            now: first,
        }
    }

    /// The pause that is due now.
    pub(crate) const fn now(&self) -> Duration {
        self.now
    }

    /// The next pause is longer.
    pub(crate) fn grow(&mut self) {
        self.now = (self.now * 2).min(self.longest);
    }

    /// The next pause is the first one.
    pub(crate) fn reset(&mut self) {
        self.now = self.first;
    }

    /// Waits for the pause that is due now; the next one is longer.
    pub(crate) async fn rest(&mut self) {
        tokio::time::sleep(self.now).await;
        self.grow();
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let now = self.now;
        self.grow();
        Some(now)
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        Self::reset(self);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    /// Work that tells its value and then never ends, but for 0; and the values that it was done with.
    fn start(
        value: u32,
    ) -> (
        watch::Sender<u32>,
        CancellationToken,
        mpsc::UnboundedReceiver<u32>,
    ) {
        let (sender, values) = watch::channel(value);
        let (tell, told) = mpsc::unbounded_channel();
        let cancel = CancellationToken::new();
        restart_on_change(values, cancel.clone(), move |value| {
            let tell = tell.clone();
            async move {
                let _ = tell.send(value);
                if value > 0 {
                    std::future::pending::<()>().await;
                }
                tokio::task::yield_now().await;
            }
        });
        (sender, cancel, told)
    }

    #[tokio::test]
    async fn work_is_done_anew_with_every_change_and_when_it_ended() {
        let (sender, _cancel, mut told) = start(1);
        assert_eq!(told.recv().await, Some(1));
        sender.send_replace(2);
        assert_eq!(told.recv().await, Some(2));
        sender.send_replace(0);
        for _ in 0..3 {
            assert_eq!(told.recv().await, Some(0));
        }
    }

    #[tokio::test]
    async fn work_ends_when_it_is_cancelled_and_when_nobody_can_change_the_value() {
        let (sender, cancel, mut told) = start(1);
        assert_eq!(told.recv().await, Some(1));
        cancel.cancel();
        assert_eq!(told.recv().await, None);
        drop(sender);
        let (sender, _cancel, mut told) = start(1);
        assert_eq!(told.recv().await, Some(1));
        drop(sender);
        assert_eq!(told.recv().await, None);
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew() {
        let ms = Duration::from_millis;
        let mut pauses = Pauses::new(ms(200), ms(1000));
        let four: Vec<_> = pauses.by_ref().take(4).collect();
        assert_eq!(four, [ms(200), ms(400), ms(800), ms(1000)]);
        pauses.reset();
        assert_eq!((pauses.now(), pauses.next()), (ms(200), Some(ms(200))));
    }
}
