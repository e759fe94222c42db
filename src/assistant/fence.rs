//! Marks around what comes from the cluster: a log, an annotation or an event may hold sentences that ask a model for
//! something, and such sentences are data.

use crate::hex;

/// A pair of marks that no text of the cluster knows.
#[derive(Debug, Clone)]
pub(super) struct Fence(String);

impl Fence {
    /// New marks, by chance.
    pub(super) fn new() -> Result<Self, String> {
        let chance = hex::random::<8>().map_err(|e| format!("no random numbers: {e}"))?;
        Ok(Self(format!("data-{chance}")))
    }

    pub(super) fn name(&self) -> &str {
        &self.0
    }

    pub(super) fn around(&self, text: &str) -> String {
        let Self(name) = self;
        format!("<{name}>\n{text}\n</{name}>")
    }
}
