//! The keys of `deploy` and `develop`.

use super::service::HOOK;
use super::shapes::*;
use crate::compose::shapes::ComposeShape::{self, Either, List, Word};

pub(super) const DEVELOPMENT: ComposeShape = Either(&[NULL, object(&[("watch", List(&WATCH))])]);

const WATCH: ComposeShape = object_with(
    &[
        ("ignore", TEXT_OR_SET),
        ("include", TEXT_OR_SET),
        ("path", TEXT),
        (
            "action",
            Word(&["rebuild", "sync", "restart", "sync+restart", "sync+exec"]),
        ),
        ("target", TEXT),
        ("exec", HOOK),
        ("initial_sync", BARE_FLAG),
    ],
    &["path", "action"],
);

const ROLLOUT: ComposeShape = object(&[
    ("parallelism", INTEGER),
    ("delay", TEXT),
    ("failure_action", TEXT),
    ("monitor", TEXT),
    ("max_failure_ratio", NUMBER),
    ("order", Word(&["start-first", "stop-first"])),
]);

pub(super) const DEPLOYMENT: ComposeShape = Either(&[
    NULL,
    object(&[
        ("mode", TEXT),
        ("endpoint_mode", TEXT),
        ("replicas", INTEGER),
        ("labels", LIST_OR_DICT),
        ("rollback_config", ROLLOUT),
        ("update_config", ROLLOUT),
        ("resources", RESOURCES),
        (
            "restart_policy",
            object(&[
                ("condition", TEXT),
                ("delay", TEXT),
                ("max_attempts", INTEGER),
                ("window", TEXT),
            ]),
        ),
        (
            "placement",
            object(&[
                ("constraints", TEXTS),
                ("preferences", List(&object(&[("spread", TEXT)]))),
                ("max_replicas_per_node", INTEGER),
            ]),
        ),
    ]),
]);

const RESOURCES: ComposeShape = object(&[
    (
        "limits",
        object(&[("cpus", NUMBER), ("memory", TEXT), ("pids", INTEGER)]),
    ),
    (
        "reservations",
        object(&[
            ("cpus", NUMBER),
            ("memory", TEXT),
            (
                "generic_resources",
                List(&object(&[(
                    "discrete_resource_spec",
                    object(&[("kind", TEXT), ("value", NUMBER)]),
                )])),
            ),
            ("devices", List(&RESERVED_DEVICE)),
        ]),
    ),
]);

const RESERVED_DEVICE: ComposeShape = object_with(
    &[
        ("capabilities", TEXT_SET),
        ("count", INTEGER),
        ("device_ids", TEXT_SET),
        ("driver", TEXT),
        ("options", LIST_OR_DICT),
    ],
    &["capabilities"],
);
