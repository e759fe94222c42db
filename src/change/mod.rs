//! Changes of single objects: a typed plan, its preview, the approval of exactly that preview, execution, verification.
//!
//! A plan comes from words, from a model, from a program or from a file. It is data of a closed set of verbs and kinds
//! ([`plan`]), so nothing of it is ever run by a shell; commands of kubectl are printed from it and never read back.

pub mod arguments;
mod body;
mod fields;
pub mod kind;
pub mod plan;
mod read;

pub use read::read_plan;
