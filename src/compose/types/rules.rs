//! The kind of value that each path of a Compose file has.

use crate::compose::trail::TrailRules;

/// What a value is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueKind {
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

pub(super) const RULES: &TrailRules<ValueKind> = &[
    (&["services", "*", "attach"], ValueKind::Flag),
    (
        &["services", "*", "blkio_config", "*", "*", "rate"],
        ValueKind::Memory,
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
        ValueKind::Count,
    ),
    (
        &["services", "*", "blkio_config", "weight"],
        ValueKind::Count,
    ),
    (
        &["services", "*", "build", "additional_contexts", "*"],
        ValueKind::Path,
    ),
    (&["services", "*", "build", "args"], ValueKind::Pairs),
    (&["services", "*", "build", "extra_hosts"], ValueKind::Hosts),
    (&["services", "*", "build", "no_cache"], ValueKind::Flag),
    (&["services", "*", "build", "privileged"], ValueKind::Flag),
    (&["services", "*", "build", "pull"], ValueKind::Flag),
    (
        &["services", "*", "build", "secrets", "*", "mode"],
        ValueKind::Mode,
    ),
    (&["services", "*", "build", "shm_size"], ValueKind::Memory),
    (
        &["services", "*", "build", "ulimits", "*", "*"],
        ValueKind::Exact,
    ),
    (&["services", "*", "command"], ValueKind::Command),
    (&["services", "*", "configs", "*", "mode"], ValueKind::Mode),
    (&["services", "*", "cpu_percent"], ValueKind::Number),
    (&["services", "*", "cpus"], ValueKind::Number),
    (
        &["services", "*", "depends_on", "*", "restart"],
        ValueKind::Flag,
    ),
    (
        &[
            "services",
            "*",
            "deploy",
            "placement",
            "max_replicas_per_node",
        ],
        ValueKind::Count,
    ),
    (
        &["services", "*", "deploy", "resources", "limits", "cpus"],
        ValueKind::Share,
    ),
    (
        &["services", "*", "deploy", "resources", "limits", "memory"],
        ValueKind::Memory,
    ),
    (
        &["services", "*", "deploy", "resources", "limits", "pids"],
        ValueKind::Whole,
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
        ValueKind::Share,
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
        ValueKind::Devices,
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
        ValueKind::Whole,
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
        ValueKind::Memory,
    ),
    (
        &["services", "*", "deploy", "restart_policy", "delay"],
        ValueKind::Duration,
    ),
    (
        &["services", "*", "deploy", "restart_policy", "max_attempts"],
        ValueKind::Count,
    ),
    (
        &["services", "*", "deploy", "restart_policy", "window"],
        ValueKind::Duration,
    ),
    (
        &["services", "*", "deploy", "rollback_config", "delay"],
        ValueKind::Duration,
    ),
    (
        &[
            "services",
            "*",
            "deploy",
            "rollback_config",
            "max_failure_ratio",
        ],
        ValueKind::Number,
    ),
    (
        &["services", "*", "deploy", "rollback_config", "monitor"],
        ValueKind::Duration,
    ),
    (
        &["services", "*", "deploy", "rollback_config", "parallelism"],
        ValueKind::Count,
    ),
    (
        &["services", "*", "deploy", "update_config", "delay"],
        ValueKind::Duration,
    ),
    (
        &[
            "services",
            "*",
            "deploy",
            "update_config",
            "max_failure_ratio",
        ],
        ValueKind::Number,
    ),
    (
        &["services", "*", "deploy", "update_config", "monitor"],
        ValueKind::Duration,
    ),
    (
        &["services", "*", "deploy", "update_config", "parallelism"],
        ValueKind::Count,
    ),
    (
        &["services", "*", "develop", "watch", "*", "exec", "command"],
        ValueKind::Command,
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
        ValueKind::Pairs,
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
        ValueKind::Flag,
    ),
    (&["services", "*", "entrypoint"], ValueKind::Command),
    (
        &["services", "*", "env_file", "*", "required"],
        ValueKind::Flag,
    ),
    (&["services", "*", "environment"], ValueKind::Pairs),
    (&["services", "*", "extra_hosts"], ValueKind::Hosts),
    (&["services", "*", "gpus", "*", "count"], ValueKind::Devices),
    (&["services", "*", "group_add", "*"], ValueKind::Text),
    (
        &["services", "*", "healthcheck", "interval"],
        ValueKind::Duration,
    ),
    (
        &["services", "*", "healthcheck", "retries"],
        ValueKind::Count,
    ),
    (
        &["services", "*", "healthcheck", "start_interval"],
        ValueKind::Duration,
    ),
    (
        &["services", "*", "healthcheck", "start_period"],
        ValueKind::Duration,
    ),
    (
        &["services", "*", "healthcheck", "timeout"],
        ValueKind::Duration,
    ),
    (&["services", "*", "mem_limit"], ValueKind::Memory),
    (&["services", "*", "mem_reservation"], ValueKind::Memory),
    (&["services", "*", "mem_swappiness"], ValueKind::Memory),
    (&["services", "*", "memswap_limit"], ValueKind::Memory),
    (&["services", "*", "models"], ValueKind::Names),
    (&["services", "*", "networks"], ValueKind::Names),
    (&["services", "*", "pid"], ValueKind::Present),
    (
        &["services", "*", "ports", "*", "published"],
        ValueKind::Text,
    ),
    (&["services", "*", "ports", "*", "target"], ValueKind::Count),
    (
        &["services", "*", "post_start", "*", "command"],
        ValueKind::Command,
    ),
    (
        &["services", "*", "post_start", "*", "environment"],
        ValueKind::Pairs,
    ),
    (
        &["services", "*", "post_start", "*", "privileged"],
        ValueKind::Flag,
    ),
    (
        &["services", "*", "pre_stop", "*", "command"],
        ValueKind::Command,
    ),
    (
        &["services", "*", "pre_stop", "*", "environment"],
        ValueKind::Pairs,
    ),
    (
        &["services", "*", "pre_stop", "*", "privileged"],
        ValueKind::Flag,
    ),
    (&["services", "*", "secrets", "*", "mode"], ValueKind::Mode),
    (&["services", "*", "shm_size"], ValueKind::Memory),
    (&["services", "*", "stop_grace_period"], ValueKind::Duration),
    (&["services", "*", "storage_opt"], ValueKind::Texts),
    (&["services", "*", "ulimits", "*", "*"], ValueKind::Exact),
    (
        &["services", "*", "volumes", "*", "bind", "create_host_path"],
        ValueKind::Flag,
    ),
    (
        &["services", "*", "volumes", "*", "tmpfs", "mode"],
        ValueKind::Count,
    ),
    (
        &["services", "*", "volumes", "*", "tmpfs", "size"],
        ValueKind::Memory,
    ),
    (&["configs", "*", "driver_opts", "*"], ValueKind::Text),
    (&["secrets", "*", "driver_opts", "*"], ValueKind::Text),
];
