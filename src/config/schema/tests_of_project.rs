//! The keys of `test:`.

use super::super::format::ValueFormat;
use super::super::shape::{Key, Need, Shape, key};

use Need::{Here, Optional, Somewhere};

pub(super) const TEST: &[Key] = &[
    key(
        "name",
        Here,
        Shape::Text(ValueFormat::Label),
        "e2e",
        "What the test is called in reports, and the name of its log.",
    ),
    key(
        "run",
        Somewhere,
        Shape::Command,
        "[npm, test]",
        "The command: a list of words, or a text that `sh -c` reads. The test fails if the command ends with anything but 0.",
    ),
    key(
        "service",
        Optional("the command runs on this machine"),
        Shape::Text(ValueFormat::Label),
        "api",
        "A forward, a Service or a workload: the command runs in its newest running pod, in the pod's usual container.",
    ),
    key(
        "dir",
        Optional("the folder of this file; with `service` that of the image"),
        Shape::Text(ValueFormat::Text),
        "./tests",
        "Where the command runs: a folder, relative to the folder of this file; with `service` an absolute path in the container.",
    ),
    key(
        "timeout",
        Optional("`10m`"),
        Shape::Text(ValueFormat::Duration),
        "5m",
        "How long the command may take. After that it is killed with all that it started, and the test has failed.",
    ),
    key(
        "env",
        Optional("no more variables"),
        Shape::Table(ValueFormat::Text, &Shape::Scalar),
        "{LOG_LEVEL: debug}",
        "Environment variables of the command, beside those of `devk env` and, on this machine, those of the shell. With `service` they are added to those of the container, and those of `devk env` are not there.",
    ),
];
