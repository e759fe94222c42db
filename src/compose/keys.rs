//! The keys that Compose knows and what their values look like: the facts of the Compose Specification's
//! JSON Schema as Docker Compose 2.40 checks it. One constant a mapping, in the order of the
//! specification.

mod deploy;
mod service;
mod shapes;

use super::shapes::ComposeShape::{self, Either, List, Of};
use super::shapes::{Rest, Types};
use service::SERVICE;
use shapes::*;

pub(super) const ROOT: ComposeShape = object(&[
    ("version", TEXT),
    ("name", TEXT),
    ("include", List(&INCLUDE)),
    ("services", named(&SERVICE, Rest::Closed)),
    ("models", named(&MODEL, Rest::Open)),
    ("networks", named(&NETWORK, Rest::Open)),
    ("volumes", named(&VOLUME, Rest::Closed)),
    ("secrets", named(&SECRET, Rest::Closed)),
    ("configs", named(&CONFIG, Rest::Closed)),
]);

const INCLUDE: ComposeShape = Either(&[
    TEXT,
    closed(
        &[
            ("path", TEXT_OR_SET),
            ("env_file", TEXT_OR_SET),
            ("project_directory", TEXT),
        ],
        &[],
    ),
]);

const EXTERNAL: ComposeShape = Either(&[FLAG, object(&[("name", TEXT)])]);

/// The same, for what is a file.
const EXTERNAL_FILE: ComposeShape = Either(&[
    FLAG,
    ComposeShape::Object {
        keys: &[("name", TEXT)],
        required: &[],
        rest: Rest::Open,
    },
]);

const NETWORK: ComposeShape = Either(&[
    NULL,
    object(&[
        ("name", TEXT),
        ("driver", TEXT),
        ("driver_opts", DRIVER_OPTS),
        ("ipam", IPAM),
        ("external", EXTERNAL),
        ("internal", FLAG),
        ("enable_ipv4", FLAG),
        ("enable_ipv6", FLAG),
        ("attachable", FLAG),
        ("labels", LIST_OR_DICT),
    ]),
]);

const IPAM: ComposeShape = object(&[
    ("driver", TEXT),
    (
        "config",
        List(&object(&[
            ("subnet", TEXT),
            ("ip_range", TEXT),
            ("gateway", TEXT),
            ("aux_addresses", OPTIONS),
        ])),
    ),
    ("options", OPTIONS),
]);

const VOLUME: ComposeShape = Either(&[
    NULL,
    object(&[
        ("name", TEXT),
        ("driver", TEXT),
        ("driver_opts", DRIVER_OPTS),
        ("external", EXTERNAL),
        ("labels", LIST_OR_DICT),
    ]),
]);

const SECRET: ComposeShape = object(&[
    ("name", TEXT),
    ("environment", TEXT),
    ("file", TEXT),
    ("external", EXTERNAL_FILE),
    ("labels", LIST_OR_DICT),
    ("driver", TEXT),
    ("driver_opts", DRIVER_OPTS),
    ("template_driver", TEXT),
]);

const CONFIG: ComposeShape = object(&[
    ("name", TEXT),
    ("content", TEXT),
    ("environment", TEXT),
    ("file", TEXT),
    ("external", EXTERNAL_FILE),
    ("labels", LIST_OR_DICT),
    ("template_driver", TEXT),
]);

const MODEL: ComposeShape = object_with(
    &[
        ("name", TEXT),
        ("model", TEXT),
        ("context_size", Of(Types::INTEGER)),
        ("runtime_flags", TEXTS),
    ],
    &["model"],
);
