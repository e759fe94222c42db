//! Changes that sync cannot serve, gathered in bursts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep, timeout};

use crate::config::{ImageConfig, git_folder};
use crate::image::Instructions;
use crate::sync::engine::Rebuild;

/// A burst is over when no change has come for this time. Only builds wait for the end of a burst, never a sync.
const QUIET_DELAY: Duration = Duration::from_millis(50);
/// So long a burst may last: a program that always writes must not keep others' changes from being brought live.
const MAX_BURST: Duration = Duration::from_secs(2);
/// How long a lock of git counts: a git that was killed leaves its lock behind.
const MAX_GIT_LOCK_AGE: Duration = Duration::from_secs(10);

/// The channel for changes.
#[derive(Debug, Clone)]
pub struct Teller {
    pub rebuilds: UnboundedSender<Rebuild>,
    pub inputs: UnboundedSender<PathBuf>,
}

/// The receiving end of the channel.
#[derive(Debug)]
pub struct Changes {
    rebuilds: UnboundedReceiver<Rebuild>,
    inputs: UnboundedReceiver<PathBuf>,
}

pub fn channel() -> (Teller, Changes) {
    let ((rebuilds, told), (inputs, read)) = (unbounded_channel(), unbounded_channel());
    (
        Teller { rebuilds, inputs },
        Changes {
            rebuilds: told,
            inputs: read,
        },
    )
}

/// One change, in words for the user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// What a change concerns: an image by its name in devk.yaml, or the plan.
    pub what: String,
    pub why: String,
    /// The file that the plan is made from; None for a change of an image's build context.
    pub input: Option<PathBuf>,
}

impl Changes {
    /// Waits for the next change; pends for ever once all senders are gone.
    pub async fn next(&mut self) -> Change {
        tokio::select! {
            Some(rebuild) = self.rebuilds.recv() => rebuild.into(),
            Some(path) = self.inputs.recv() => {
                let why = format!("`{}` changed", path.display());
                Change { what: "plan".to_owned(), why, input: Some(path) }
            }
            else => std::future::pending().await,
        }
    }

    /// Adds the changes that were told, without waiting for more.
    pub fn take_told(&mut self, seen: &mut BTreeSet<Change>) {
        while let Some(change) = self.next().now_or_never() {
            seen.insert(change);
        }
    }

    /// Adds changes until the burst is over. One run of git is one burst, however long it takes.
    pub async fn burst(&mut self, seen: &mut BTreeSet<Change>, root: &Path) {
        let git = git_folder(root);
        let since = Instant::now();
        loop {
            while since.elapsed() < MAX_BURST
                && let Ok(change) = timeout(QUIET_DELAY, self.next()).await
            {
                seen.insert(change);
            }
            let at_work = git
                .as_deref()
                .is_some_and(|git| git.join("index.lock").exists());
            if !at_work || since.elapsed() > MAX_GIT_LOCK_AGE {
                return;
            }
            sleep(QUIET_DELAY).await;
        }
    }
}

/// Whether one of the changes may change the image.
pub fn concern(changes: &BTreeSet<Change>, image: &ImageConfig) -> bool {
    changes.iter().any(|change| change.concerns(image))
}

impl Change {
    fn concerns(&self, image: &ImageConfig) -> bool {
        let Some(input) = &self.input else {
            return self.what == image.name;
        };
        // A save changes the file that a symbolic link points to.
        let is_input = |file: &PathBuf| {
            file == input || file.canonicalize().is_ok_and(|linked| linked == *input)
        };
        Instructions::of(image).outside.iter().any(is_input)
    }
}

/// The images and the plan that changes concern, by name.
pub fn names(seen: &BTreeSet<Change>) -> String {
    let names: BTreeSet<_> = seen.iter().map(|change| change.what.as_str()).collect();
    names.into_iter().collect::<Vec<_>>().join("+")
}

/// The reason for the reconcile; of many reasons the first.
pub fn reasons(seen: &BTreeSet<Change>) -> String {
    let first = seen
        .first()
        .map(|change| change.why.clone())
        .unwrap_or_default();
    match seen.len() {
        0 | 1 => first,
        more => format!("{first}, and {} more", more - 1),
    }
}

impl From<Rebuild> for Change {
    fn from(Rebuild { image, path, why }: Rebuild) -> Self {
        let why = path.map_or(why.clone(), |path| {
            format!("`{}` changed: {why}", path.display())
        });
        Self {
            what: image,
            why,
            input: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::context::tests::{image, write};

    fn rebuild(image: &str) -> Rebuild {
        Rebuild {
            image: image.to_owned(),
            path: Some("Dockerfile".into()),
            why: "says how".to_owned(),
        }
    }

    #[test]
    fn a_dockerfile_outside_of_the_context_concerns_its_image_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            &[("shared.Dockerfile", "FROM x"), ("api/a", "")],
        );
        let inside = image(&dir.path().join("api"));
        let outside = ImageConfig {
            name: "web".to_owned(),
            dockerfile: dir.path().join("web.Dockerfile"),
            ..inside.clone()
        };
        // Which of the two is changed, an editor decides.
        let file = dir.path().join("shared.Dockerfile");
        std::os::unix::fs::symlink(&file, &outside.dockerfile).unwrap();
        for input in [&file, &outside.dockerfile] {
            let changes = BTreeSet::from([Change {
                what: "plan".to_owned(),
                why: String::new(),
                input: Some(input.canonicalize().unwrap()),
            }]);
            assert!(concern(&changes, &outside) && !concern(&changes, &inside));
        }
        let changes = BTreeSet::from([rebuild("api").into()]);
        assert!(concern(&changes, &inside) && !concern(&changes, &outside));
    }

    #[tokio::test]
    async fn what_comes_together_is_one_burst() {
        let (teller, mut changes) = channel();
        for image in ["api", "web", "api"] {
            teller.rebuilds.send(rebuild(image)).unwrap();
        }
        teller.inputs.send("/p/devk.yaml".into()).unwrap();
        let mut seen = BTreeSet::from([changes.next().await]);
        changes.burst(&mut seen, Path::new("/nowhere")).await;
        let whats: Vec<_> = seen.iter().map(|change| change.what.as_str()).collect();
        assert_eq!(whats, ["api", "plan", "web"]);
    }

    #[tokio::test]
    async fn a_burst_lasts_as_long_as_git_is_at_work() {
        let dir = tempfile::tempdir().unwrap();
        let lock = dir.path().join(".git/index.lock");
        std::fs::create_dir(dir.path().join(".git")).unwrap();
        std::fs::write(&lock, "").unwrap();
        let (teller, mut changes) = channel();
        let git = async {
            sleep(QUIET_DELAY * 4).await;
            teller.rebuilds.send(rebuild("late")).unwrap();
            sleep(QUIET_DELAY * 2).await;
            std::fs::remove_file(&lock).unwrap();
        };
        let mut seen = BTreeSet::new();
        tokio::join!(git, changes.burst(&mut seen, dir.path()));
        assert_eq!(seen.len(), 1);
    }

    #[tokio::test]
    async fn a_program_that_always_writes_does_not_keep_a_burst_open() {
        let (teller, mut changes) = channel();
        let writing = async {
            loop {
                teller.rebuilds.send(rebuild("api")).unwrap();
                sleep(QUIET_DELAY / 2).await;
            }
        };
        let mut seen = BTreeSet::new();
        tokio::select! {
            () = writing => {}
            () = changes.burst(&mut seen, Path::new("/nowhere")) => {}
        }
        assert_eq!(seen.len(), 1);
    }

    #[test]
    fn many_changes_are_told_in_one_line() {
        let change = |what: &str, why: &str| Change {
            what: what.to_owned(),
            why: why.to_owned(),
            input: None,
        };
        let seen = BTreeSet::from([change("web", "c"), change("api", "b"), change("api", "a")]);
        assert_eq!(
            (names(&seen).as_str(), reasons(&seen).as_str()),
            ("api+web", "a, and 2 more")
        );
    }
}
