//! The rules, one file a subject.

pub(super) mod backends;
pub(super) mod constraints;
pub(super) mod files;
pub(super) mod images;
pub(super) mod ingress;
pub(super) mod installed;
pub(super) mod monitoring;
pub(super) mod objects;
pub(super) mod pod_security;
pub(super) mod probes;
pub(super) mod rbac;
pub(super) mod references;
pub(super) mod rendering;
pub(super) mod resources;
pub(super) mod scaling;
pub(super) mod schema;
pub(super) mod secrets;
pub(super) mod storage;
pub(super) mod upgrades;
pub(super) mod upkeep;
pub(super) mod values;
