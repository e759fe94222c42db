//! What no text of a run may show. Secrets come while it runs: `up` generates some, and a test may write an env file. So
//! what is known is gathered again after each of them.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::commands::Context;
use crate::config::Project;
use crate::environment::Environment;
use crate::mcp::mask::Mask;

#[derive(Debug)]
pub(super) struct CiMask<'a> {
    context: &'a Context,
    root: &'a Path,
    environment: &'a Environment,
    now: Mutex<Mask>,
}

impl<'a> CiMask<'a> {
    pub(super) fn of(
        context: &'a Context,
        project: &'a Project,
        environment: &'a Environment,
    ) -> Self {
        let mask = Self {
            context,
            root: &project.root,
            environment,
            now: Mutex::default(),
        };
        mask.renew();
        mask
    }

    /// Gathers what is to be masked from now on, too: the end of the stack removes the secrets that it had.
    pub(super) fn renew(&self) {
        let folders = [self.root, &self.context.source.dir];
        let found = Mask::gather(&folders, &self.context.paths, self.environment);
        let mut now = self.now();
        *now = found.with_known(std::mem::take(&mut now));
    }

    /// The text without what must not be shown.
    pub(super) fn text(&self, text: &str) -> String {
        self.now().text(text)
    }

    fn now(&self) -> MutexGuard<'_, Mask> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, read_text};
    use crate::paths::Paths;
    use crate::ui::Format;

    #[test]
    fn a_secret_that_is_generated_meanwhile_is_masked_from_then_on() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("Chart.yaml"), "name: a\n").unwrap();
        let text = "name: shop\nreleases: [{name: a, chart: .}]\n";
        let project = read_text(text, &dir.path().join("devk.yaml")).unwrap();
        let context = Context {
            source: Source {
                dir: dir.path().to_owned(),
                file: None,
                profile: None,
            },
            paths: Paths::below(dir.path()),
            format: Format::Json,
            changes: crate::commands::recorded::RecordedChanges::default(),
        };
        let environment = Environment::default();
        let mask = CiMask::of(&context, &project, &environment);
        assert_eq!(mask.text("it is hunter-22"), "it is hunter-22");
        std::fs::write(dir.path().join(".env"), "TOKEN=hunter-22\n").unwrap();
        mask.renew();
        assert_eq!(mask.text("it is hunter-22"), "it is [masked]");
        // As the end of the stack removes what it had.
        std::fs::remove_file(dir.path().join(".env")).unwrap();
        mask.renew();
        assert_eq!(mask.text("it is hunter-22"), "it is [masked]");
    }
}
