//! Where which kind of value stands.

use crate::compose::trail::Rules;

/// What a value is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A text; Compose makes one of a whole number, but not of a fraction or a boolean.
    Text,
    Flag,
    /// A whole number that may stand in quotes.
    Whole,
    /// A whole number.
    Exact,
    /// A number that is not negative.
    Count,
    Number,
    /// A number of processors.
    Share,
    Memory,
    Duration,
    Command,
    Hosts,
    /// Permission bits; as a text they are octal.
    Mode,
    /// `all` or a number of devices.
    Devices,
    /// `NAME=VALUE`, where it is a list.
    Pairs,
    /// A mapping in which Compose takes a name with `x-` for an extension, and then stumbles over it.
    Names,
    /// A mapping of texts, in which Compose stumbles over extensions too.
    Texts,
    /// A text, if the key is there.
    Present,
    /// A text, or null.
    Path,
}

pub(super) const RULES: &Rules<Kind> = &[
    (&["services", "*", "attach"], Kind::Flag),
    (
        &["services", "*", "blkio_config", "*", "*", "rate"],
        Kind::Memory,
    ),
    (
        &[
            "services",
            "*",
            "blkio_config",
            "weight_device",
            "*",
            "weight",
        ],
        Kind::Count,
    ),
    (&["services", "*", "blkio_config", "weight"], Kind::Count),
    (
        &["services", "*", "build", "additional_contexts", "*"],
        Kind::Path,
    ),
    (&["services", "*", "build", "args"], Kind::Pairs),
    (&["services", "*", "build", "extra_hosts"], Kind::Hosts),
    (&["services", "*", "build", "no_cache"], Kind::Flag),
    (&["services", "*", "build", "privileged"], Kind::Flag),
    (&["services", "*", "build", "pull"], Kind::Flag),
    (
        &["services", "*", "build", "secrets", "*", "mode"],
        Kind::Mode,
    ),
    (&["services", "*", "build", "shm_size"], Kind::Memory),
    (
        &["services", "*", "build", "ulimits", "*", "*"],
        Kind::Exact,
    ),
    (&["services", "*", "command"], Kind::Command),
    (&["services", "*", "configs", "*", "mode"], Kind::Mode),
    (&["services", "*", "cpu_percent"], Kind::Number),
    (&["services", "*", "cpus"], Kind::Number),
    (&["services", "*", "depends_on", "*", "restart"], Kind::Flag),
    (
        &[
            "services",
            "*",
            "deploy",
            "placement",
            "max_replicas_per_node",
        ],
        Kind::Count,
    ),
    (
        &["services", "*", "deploy", "resources", "limits", "cpus"],
        Kind::Share,
    ),
    (
        &["services", "*", "deploy", "resources", "limits", "memory"],
        Kind::Memory,
    ),
    (
        &["services", "*", "deploy", "resources", "limits", "pids"],
        Kind::Whole,
    ),
    (
        &[
            "services",
            "*",
            "deploy",
            "resources",
            "reservations",
            "cpus",
        ],
        Kind::Share,
    ),
    (
        &[
            "services",
            "*",
            "deploy",
            "resources",
            "reservations",
            "devices",
            "*",
            "count",
        ],
        Kind::Devices,
    ),
    (
        &[
            "services",
            "*",
            "deploy",
            "resources",
            "reservations",
            "generic_resources",
            "*",
            "*",
            "value",
        ],
        Kind::Whole,
    ),
    (
        &[
            "services",
            "*",
            "deploy",
            "resources",
            "reservations",
            "memory",
        ],
        Kind::Memory,
    ),
    (
        &["services", "*", "deploy", "restart_policy", "delay"],
        Kind::Duration,
    ),
    (
        &["services", "*", "deploy", "restart_policy", "max_attempts"],
        Kind::Count,
    ),
    (
        &["services", "*", "deploy", "restart_policy", "window"],
        Kind::Duration,
    ),
    (
        &["services", "*", "deploy", "rollback_config", "delay"],
        Kind::Duration,
    ),
    (
        &[
            "services",
            "*",
            "deploy",
            "rollback_config",
            "max_failure_ratio",
        ],
        Kind::Number,
    ),
    (
        &["services", "*", "deploy", "rollback_config", "monitor"],
        Kind::Duration,
    ),
    (
        &["services", "*", "deploy", "rollback_config", "parallelism"],
        Kind::Count,
    ),
    (
        &["services", "*", "deploy", "update_config", "delay"],
        Kind::Duration,
    ),
    (
        &[
            "services",
            "*",
            "deploy",
            "update_config",
            "max_failure_ratio",
        ],
        Kind::Number,
    ),
    (
        &["services", "*", "deploy", "update_config", "monitor"],
        Kind::Duration,
    ),
    (
        &["services", "*", "deploy", "update_config", "parallelism"],
        Kind::Count,
    ),
    (
        &["services", "*", "develop", "watch", "*", "exec", "command"],
        Kind::Command,
    ),
    (
        &[
            "services",
            "*",
            "develop",
            "watch",
            "*",
            "exec",
            "environment",
        ],
        Kind::Pairs,
    ),
    (
        &[
            "services",
            "*",
            "develop",
            "watch",
            "*",
            "exec",
            "privileged",
        ],
        Kind::Flag,
    ),
    (&["services", "*", "entrypoint"], Kind::Command),
    (&["services", "*", "env_file", "*", "required"], Kind::Flag),
    (&["services", "*", "environment"], Kind::Pairs),
    (&["services", "*", "extra_hosts"], Kind::Hosts),
    (&["services", "*", "gpus", "*", "count"], Kind::Devices),
    (&["services", "*", "group_add", "*"], Kind::Text),
    (
        &["services", "*", "healthcheck", "interval"],
        Kind::Duration,
    ),
    (&["services", "*", "healthcheck", "retries"], Kind::Count),
    (
        &["services", "*", "healthcheck", "start_interval"],
        Kind::Duration,
    ),
    (
        &["services", "*", "healthcheck", "start_period"],
        Kind::Duration,
    ),
    (&["services", "*", "healthcheck", "timeout"], Kind::Duration),
    (&["services", "*", "mem_limit"], Kind::Memory),
    (&["services", "*", "mem_reservation"], Kind::Memory),
    (&["services", "*", "mem_swappiness"], Kind::Memory),
    (&["services", "*", "memswap_limit"], Kind::Memory),
    (&["services", "*", "models"], Kind::Names),
    (&["services", "*", "networks"], Kind::Names),
    (&["services", "*", "pid"], Kind::Present),
    (&["services", "*", "ports", "*", "published"], Kind::Text),
    (&["services", "*", "ports", "*", "target"], Kind::Count),
    (
        &["services", "*", "post_start", "*", "command"],
        Kind::Command,
    ),
    (
        &["services", "*", "post_start", "*", "environment"],
        Kind::Pairs,
    ),
    (
        &["services", "*", "post_start", "*", "privileged"],
        Kind::Flag,
    ),
    (
        &["services", "*", "pre_stop", "*", "command"],
        Kind::Command,
    ),
    (
        &["services", "*", "pre_stop", "*", "environment"],
        Kind::Pairs,
    ),
    (
        &["services", "*", "pre_stop", "*", "privileged"],
        Kind::Flag,
    ),
    (&["services", "*", "secrets", "*", "mode"], Kind::Mode),
    (&["services", "*", "shm_size"], Kind::Memory),
    (&["services", "*", "stop_grace_period"], Kind::Duration),
    (&["services", "*", "storage_opt"], Kind::Texts),
    (&["services", "*", "ulimits", "*", "*"], Kind::Exact),
    (
        &["services", "*", "volumes", "*", "bind", "create_host_path"],
        Kind::Flag,
    ),
    (
        &["services", "*", "volumes", "*", "tmpfs", "mode"],
        Kind::Count,
    ),
    (
        &["services", "*", "volumes", "*", "tmpfs", "size"],
        Kind::Memory,
    ),
    (&["configs", "*", "driver_opts", "*"], Kind::Text),
    (&["secrets", "*", "driver_opts", "*"], Kind::Text),
];
