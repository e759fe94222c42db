//! What the audit log has of calls beside what their commands record themselves: that an agent asked for what a person
//! did not agree to.

use super::arguments::ToolArguments;
use super::mask::Mask;
use super::tools::ToolCall;
use crate::audit::{
    AuditIntent, AuditKind, AuditLog, AuditOrigin, AuditOutcome, AuditProject, AuditText,
};
use crate::config::{self, Source};
use crate::error::{Errors, Exit};
use crate::paths::Paths;

/// A call that was not begun.
#[derive(Debug)]
pub(super) struct RefusedCall<'a> {
    pub call: &'a ToolCall,
    pub origin: AuditOrigin,
    pub source: &'a Source,
}

impl RefusedCall<'_> {
    /// Records it, and gives back why it was not begun. Where the log cannot be written, the errors say that too.
    pub(super) fn record(self, paths: &Paths, mask: &Mask, errors: Errors) -> Errors {
        let masked = |text: &str| mask.text(text);
        let project = config::load_running(self.source, paths).ok();
        let words = self.call.words();
        let words = words.iter().map(|word| AuditText::masked(word, masked));
        let intent = AuditIntent {
            kind: AuditKind::McpAsk,
            origin: self.origin,
            project: project.map(|running| AuditProject {
                name: running.project.name,
                id: running.project.id,
                folder: running.project.root,
            }),
            cluster: None,
            folder: self.source.dir.clone(),
            arguments: words.collect(),
            plan: None,
        };
        let ended: Result<Exit, Errors> = Err(errors.clone());
        let outcome = AuditOutcome::of(&ended, masked);
        let recorded = AuditLog::of(paths)
            .intent(intent)
            .and_then(|act| act.outcome(outcome));
        let unrecorded = recorded.err().into_iter();
        Errors(errors.0.into_iter().chain(unrecorded).collect())
    }
}

/// By what a person agreed to a call.
pub(super) fn given(arguments: &ToolArguments) -> AuditText {
    match arguments.text("approval") {
        // An id of devk's own: there was such an approval.
        Some(id) => AuditText::masked(id, str::to_owned),
        None => AuditText::fixed("answered"),
    }
}
