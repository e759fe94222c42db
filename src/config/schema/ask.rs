//! The keys of `ask:`, with whose rights devk changes single objects.

use super::super::format::ValueFormat;
use super::super::shape::key;
use super::{Key, Optional, Shape};

pub(super) const ASK: &[Key] = &[
    key(
        "role",
        Optional("`operator` on a cluster that devk made"),
        Shape::Text(ValueFormat::AskRole),
        "viewer",
        "With whose rights `devk change` works in the project's namespace. `viewer` changes nothing; `operator` changes workloads, Services, claims and ConfigMaps; `admin` also Secrets, rights, quotas, and namespaces of its own. On a cluster that devk did not make, every role is `viewer`.",
    ),
    key(
        "yes",
        Optional("every change is asked about"),
        Shape::Text(ValueFormat::AskYes),
        "reversible",
        "Up to which risk `devk change --yes` asks nobody: `reversible` or `disruptive`. What is destructive is always asked about.",
    ),
];
