//! The keys of a service.

use super::deploy::{DEPLOYMENT, DEVELOPMENT};
use super::shapes::*;
use crate::compose::shapes::ComposeShape::{self, Either, List, Of, Range, Set, Word};
use crate::compose::shapes::{Rest, Types};

pub(super) const SERVICE: ComposeShape = object(&[
    ("develop", DEVELOPMENT),
    ("deploy", DEPLOYMENT),
    ("annotations", LIST_OR_DICT),
    ("attach", FLAG),
    ("build", Either(&[TEXT, BUILD])),
    ("blkio_config", BLKIO),
    ("cap_add", TEXT_SET),
    ("cap_drop", TEXT_SET),
    ("cgroup", Word(&["host", "private"])),
    ("cgroup_parent", TEXT),
    ("command", COMMAND),
    ("configs", List(&FILE_GRANT)),
    (
        "container_name",
        ComposeShape::Text {
            fits: has_container_name,
            looks: "letters, digits, _, . and -",
        },
    ),
    ("cpu_count", Either(&[TEXT, Range(0, i128::MAX)])),
    ("cpu_percent", Either(&[TEXT, Range(0, 100)])),
    ("cpu_shares", NUMBER),
    ("cpu_quota", NUMBER),
    ("cpu_period", NUMBER),
    ("cpu_rt_period", NUMBER),
    ("cpu_rt_runtime", NUMBER),
    ("cpus", NUMBER),
    ("cpuset", TEXT),
    (
        "credential_spec",
        object(&[("config", TEXT), ("file", TEXT), ("registry", TEXT)]),
    ),
    (
        "depends_on",
        Either(&[TEXT_SET, named(&DEPENDENCY, Rest::Closed)]),
    ),
    ("device_cgroup_rules", TEXT_SET),
    ("devices", List(&DEVICE)),
    ("dns", TEXT_OR_SET),
    ("dns_opt", TEXT_SET),
    ("dns_search", TEXT_OR_SET),
    ("domainname", TEXT),
    ("entrypoint", COMMAND),
    ("env_file", Either(&[TEXT, List(&ENV_FILE)])),
    ("label_file", TEXT_OR_LIST),
    ("environment", LIST_OR_DICT),
    ("expose", Set(&NUMBER)),
    (
        "extends",
        Either(&[
            TEXT,
            closed(&[("service", TEXT), ("file", TEXT)], &["service"]),
        ]),
    ),
    ("provider", PROVIDER),
    ("external_links", TEXT_SET),
    ("extra_hosts", EXTRA_HOSTS),
    ("gpus", Either(&[Word(&["all"]), List(&GPU)])),
    ("group_add", Set(&NUMBER)),
    ("healthcheck", HEALTHCHECK),
    ("hostname", TEXT),
    ("image", TEXT),
    ("init", FLAG),
    ("ipc", TEXT),
    ("isolation", TEXT),
    ("labels", LIST_OR_DICT),
    ("links", TEXT_SET),
    ("logging", LOGGING),
    ("mac_address", TEXT),
    ("mem_limit", NUMBER),
    ("mem_reservation", INTEGER),
    ("mem_swappiness", INTEGER),
    ("memswap_limit", NUMBER),
    ("network_mode", TEXT),
    (
        "models",
        Either(&[TEXT_SET, named(&MODEL_GRANT, Rest::Open)]),
    ),
    (
        "networks",
        Either(&[TEXT_SET, named(&NETWORK_GRANT, Rest::Closed)]),
    ),
    ("oom_kill_disable", FLAG),
    ("oom_score_adj", Either(&[TEXT, Range(-1000, 1000)])),
    ("pid", Of(Types::TEXT.or(Types::NULL))),
    ("pids_limit", NUMBER),
    ("platform", TEXT),
    ("ports", Set(&PORT)),
    ("post_start", List(&HOOK)),
    ("pre_stop", List(&HOOK)),
    ("privileged", FLAG),
    ("profiles", TEXT_SET),
    (
        "pull_policy",
        ComposeShape::Text {
            fits: has_pull_policy,
            looks: "always`, `never`, `build`, `missing`, `every_1d",
        },
    ),
    ("pull_refresh_after", TEXT),
    ("read_only", FLAG),
    ("restart", TEXT),
    ("runtime", TEXT),
    ("scale", INTEGER),
    ("security_opt", TEXT_SET),
    ("shm_size", NUMBER),
    ("secrets", List(&FILE_GRANT)),
    ("sysctls", LIST_OR_DICT),
    ("stdin_open", FLAG),
    ("stop_grace_period", TEXT),
    ("stop_signal", TEXT),
    ("storage_opt", Of(Types::MAP)),
    ("tmpfs", TEXT_OR_SET),
    ("tty", FLAG),
    ("ulimits", ULIMITS),
    ("use_api_socket", BARE_FLAG),
    ("user", TEXT),
    ("uts", TEXT),
    ("userns_mode", TEXT),
    ("volumes", Set(&MOUNT)),
    ("volumes_from", TEXT_SET),
    ("working_dir", TEXT),
]);

const BUILD: ComposeShape = object(&[
    ("context", TEXT),
    ("dockerfile", TEXT),
    ("dockerfile_inline", TEXT),
    ("entitlements", TEXTS),
    ("args", LIST_OR_DICT),
    ("ssh", LIST_OR_DICT),
    ("labels", LIST_OR_DICT),
    ("cache_from", TEXTS),
    ("cache_to", TEXTS),
    ("no_cache", FLAG),
    ("additional_contexts", LIST_OR_DICT),
    ("network", TEXT),
    ("provenance", FLAG),
    ("sbom", FLAG),
    ("pull", FLAG),
    ("target", TEXT),
    ("shm_size", INTEGER),
    ("extra_hosts", EXTRA_HOSTS),
    ("isolation", TEXT),
    ("privileged", FLAG),
    ("secrets", List(&FILE_GRANT)),
    ("tags", TEXTS),
    ("ulimits", ULIMITS),
    ("platforms", TEXTS),
]);

const BLKIO_LIMITS: ComposeShape = List(&closed(&[("path", TEXT), ("rate", INTEGER)], &[]));

const BLKIO: ComposeShape = closed(
    &[
        ("device_read_bps", BLKIO_LIMITS),
        ("device_read_iops", BLKIO_LIMITS),
        ("device_write_bps", BLKIO_LIMITS),
        ("device_write_iops", BLKIO_LIMITS),
        ("weight", INTEGER),
        (
            "weight_device",
            List(&closed(&[("path", TEXT), ("weight", INTEGER)], &[])),
        ),
    ],
    &[],
);

const DEPENDENCY: ComposeShape = object_with(
    &[
        ("restart", FLAG),
        ("required", BARE_FLAG),
        (
            "condition",
            Word(&[
                "service_started",
                "service_healthy",
                "service_completed_successfully",
            ]),
        ),
    ],
    &["condition"],
);

const DEVICE: ComposeShape = Either(&[
    TEXT,
    object_with(
        &[("source", TEXT), ("target", TEXT), ("permissions", TEXT)],
        &["source"],
    ),
]);

const ENV_FILE: ComposeShape = Either(&[
    TEXT,
    closed(
        &[("path", TEXT), ("format", TEXT), ("required", FLAG)],
        &["path"],
    ),
]);

const PROVIDER: ComposeShape = object_with(
    &[
        ("type", TEXT),
        (
            "options",
            ComposeShape::Map {
                names: is_a_line,
                value: &Either(&[SCALAR, List(&SCALAR)]),
                rest: Rest::Open,
            },
        ),
    ],
    &["type"],
);

const GPU: ComposeShape = ComposeShape::Object {
    keys: &[
        ("capabilities", TEXT_SET),
        ("count", INTEGER),
        ("device_ids", TEXT_SET),
        ("driver", TEXT),
        ("options", LIST_OR_DICT),
    ],
    required: &[],
    rest: Rest::Open,
};

const HEALTHCHECK: ComposeShape = object(&[
    ("disable", FLAG),
    ("interval", TEXT),
    ("retries", NUMBER),
    ("test", TEXT_OR_LIST),
    ("timeout", TEXT),
    ("start_period", TEXT),
    ("start_interval", TEXT),
]);

const LOGGING: ComposeShape = object(&[
    ("driver", TEXT),
    (
        "options",
        ComposeShape::Map {
            names: is_a_line,
            value: &Of(Types::TEXT.or(Types::NUMBER).or(Types::NULL)),
            rest: Rest::Open,
        },
    ),
]);

const MODEL_GRANT: ComposeShape =
    Either(&[object(&[("endpoint_var", TEXT), ("model_var", TEXT)]), NULL]);

const NETWORK_GRANT: ComposeShape = Either(&[
    object(&[
        ("aliases", TEXT_SET),
        ("interface_name", TEXT),
        ("ipv4_address", TEXT),
        ("ipv6_address", TEXT),
        ("link_local_ips", TEXT_SET),
        ("mac_address", TEXT),
        ("driver_opts", DRIVER_OPTS),
        ("priority", NUMBER_ONLY),
        ("gw_priority", NUMBER_ONLY),
    ]),
    NULL,
]);

const PORT: ComposeShape = Either(&[
    NUMBER,
    object(&[
        ("name", TEXT),
        ("mode", TEXT),
        ("host_ip", TEXT),
        ("target", INTEGER),
        ("published", INTEGER),
        ("protocol", TEXT),
        ("app_protocol", TEXT),
    ]),
]);

const MOUNT: ComposeShape = Either(&[
    TEXT,
    object_with(
        &[
            (
                "type",
                Word(&["bind", "volume", "tmpfs", "cluster", "npipe", "image"]),
            ),
            ("source", TEXT),
            ("target", TEXT),
            ("read_only", FLAG),
            ("consistency", TEXT),
            (
                "bind",
                object(&[
                    ("propagation", TEXT),
                    ("create_host_path", FLAG),
                    (
                        "recursive",
                        Word(&["enabled", "disabled", "writable", "readonly"]),
                    ),
                    ("selinux", Word(&["z", "Z"])),
                ]),
            ),
            (
                "volume",
                object(&[
                    ("labels", LIST_OR_DICT),
                    ("nocopy", FLAG),
                    ("subpath", TEXT),
                ]),
            ),
            (
                "tmpfs",
                object(&[
                    ("size", Either(&[Range(0, i128::MAX), TEXT])),
                    ("mode", NUMBER),
                ]),
            ),
            ("image", object(&[("subpath", TEXT)])),
        ],
        &["type"],
    ),
]);

const ULIMITS: ComposeShape = ComposeShape::Map {
    names: is_lower,
    value: &Either(&[
        INTEGER,
        object_with(&[("hard", INTEGER), ("soft", INTEGER)], &["soft", "hard"]),
    ]),
    rest: Rest::Open,
};

/// Of a config or a secret, to a service.
const FILE_GRANT: ComposeShape = Either(&[
    TEXT,
    object(&[
        ("source", TEXT),
        ("target", TEXT),
        ("uid", TEXT),
        ("gid", TEXT),
        ("mode", NUMBER),
    ]),
]);

pub(super) const HOOK: ComposeShape = object_with(
    &[
        ("command", COMMAND),
        ("user", TEXT),
        ("privileged", FLAG),
        ("working_dir", TEXT),
        ("environment", LIST_OR_DICT),
    ],
    &["command"],
);
