//! Where a change is recorded: what is about to be done before it is, and how it ended afterwards.

use super::execute::ChangeOutcome;
use super::preview::ChangePreview;
use crate::error::Result;

/// Records changes.
///
/// Contract: a change whose intent could not be recorded is not begun. Who takes an `outcome` had the intent before.
pub trait ChangeRecorder {
    /// What is about to be done, and how it was approved. When this returns it is recorded.
    ///
    /// # Errors
    /// If it cannot be recorded.
    fn intent(&mut self, preview: &ChangePreview, approval: &str) -> Result<()>;

    /// How it ended.
    ///
    /// # Errors
    /// If it cannot be recorded.
    fn outcome(&mut self, outcome: &ChangeOutcome) -> Result<()>;
}
