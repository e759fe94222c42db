//! The keys of `ask:`, with whose rights devk changes single objects: in devk.yaml, and in the user's configuration.

use super::super::format::ValueFormat;
use super::super::shape::key;
use super::{Key, Optional, Shape};

pub(super) const ASK: &[Key] = &[
    key(
        "role",
        Optional("as the user's configuration says"),
        Shape::Text(ValueFormat::AskRole),
        "viewer",
        "Lowers the role with which `devk change` works in this project. More than the user's configuration gives it never gets.",
    ),
    key(
        "yes",
        Optional("as the user's configuration says"),
        Shape::Text(ValueFormat::AskYes),
        "reversible",
        "Lowers the risk up to which nobody need be asked. More than the user's configuration leaves unasked it never does.",
    ),
];

/// The whole file of the user.
pub(in super::super) const USER: &[Key] = &[key(
    "ask",
    Optional("`operator` on clusters that devk made, and every change is asked about"),
    Shape::Object(USER_ASK),
    "{role: operator, yes: reversible}",
    "With whose rights `devk change` changes single objects, and what nobody need be asked about; see docs/change.md.",
)];

const USER_ASK: &[Key] = &[
    key(
        "role",
        Optional("`operator`"),
        Shape::Text(ValueFormat::AskRole),
        "admin",
        "The role on clusters that devk made. `viewer` changes nothing; `operator` changes workloads, Services, claims and ConfigMaps; `admin` also Secrets, rights, quotas, and namespaces of its own.",
    ),
    key(
        "yes",
        Optional("every change is asked about"),
        Shape::Text(ValueFormat::AskYes),
        "reversible",
        "Up to which risk nobody need be asked, on clusters that devk made: `--yes`, and `--approve` without `devk approve`. What is destructive is always asked about.",
    ),
    key(
        "contexts",
        Optional("`viewer`: plans are previewed and not carried out"),
        Shape::Table(ValueFormat::Text, &Shape::Text(ValueFormat::AskRole)),
        "{team-dev: operator}",
        "The role on clusters that devk did not make, by context: `viewer` or `operator`.",
    ),
];
