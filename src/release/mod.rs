//! Releases: private chart copy → values → render → checks → `helm upgrade` → readiness.
//!
//! Invariants: the user's chart and values files are never written; while nothing has
//! changed, rendering starts no helm process; secrets reach helm in files that only the user
//! can read, never as arguments; one GET tells whether a release is what devk would install.

pub mod assignment;
pub mod capabilities;
pub mod chart;
pub mod check;
pub mod crash;
pub mod cron_jobs;
pub mod databases;
pub mod drift;
mod effective;
pub mod external_services;
mod files;
mod hasher;
pub mod helm;
pub mod install;
pub mod installed;
pub mod labels;
mod layout;
pub mod lined;
pub mod manifest;
pub mod namespaces;
pub mod pods;
pub mod post_renderer;
pub mod prepare;
pub mod project_pods;
pub mod readiness;
pub mod record;
pub mod render;
pub mod requirements;
pub mod rewrite;
pub mod secrets;
mod spanned;
mod stray_helm;
pub mod template;
mod unparsed;
pub mod user_template;
pub mod value_path;
pub mod values;
pub mod variant;
mod whole_numbers;
mod workload;
mod wrapper;
pub(crate) mod written;
pub(crate) mod yaml;
pub mod yaml_edit;

pub use effective::effective_values;
pub use files::link_targets;
pub use prepare::{Prepared, ValuesContext, known_values, prepare};
pub use wrapper::KustomizationInputs;
