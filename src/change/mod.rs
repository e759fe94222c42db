//! Changes of single objects: a typed plan, its preview, the approval of exactly that preview, execution, verification.
//!
//! A plan comes from words, from a model, from a program or from a file. It is data of a closed set of verbs and kinds
//! ([`plan`]), so nothing of it is ever run by a shell; commands of kubectl are printed from it and never read back.

pub mod access;
mod arguments;
mod around;
mod body;
pub mod chart;
mod command_words;
mod diff;
mod door;
mod execute;
pub mod explain;
mod fields;
mod held;
mod history;
pub mod kind;
mod kubectl;
mod look;
mod names;
mod operation;
pub mod plan;
mod pod_end;
pub mod preview;
mod read;
pub mod risk;
mod role;
mod scope;
#[cfg(test)]
mod tests;
mod verify;

pub use access::ChangeAccess;
pub use diff::FieldChange;
pub use door::{ApprovedChange, ChangeConsent, ChangeDoor, RefusedChange};
pub use execute::{ChangeOutcome, ExecutedStep, StepEnd};
pub use read::read_plan;
