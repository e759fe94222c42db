//! Values that variables may have brought as text and that Compose wants as numbers and booleans.

use super::units;
use super::yaml::Data;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Integer,
    Number,
    Flag,
}

impl Wanted {
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Flag => "`true` or `false`",
        }
    }
}

/// What the value under these keys must be, if it is a text; list items are `[]`.
pub(super) fn wanted(keys: &[&str]) -> Option<Wanted> {
    match keys {
        ["services", _, below @ ..] => in_service(below),
        [
            "networks",
            _,
            "external" | "internal" | "attachable" | "enable_ipv4" | "enable_ipv6",
        ]
        | ["volumes" | "secrets" | "configs", _, "external"] => Some(Wanted::Flag),
        _ => None,
    }
}

fn in_service(keys: &[&str]) -> Option<Wanted> {
    match keys {
        [
            "cpu_count" | "cpu_period" | "cpu_quota" | "cpu_rt_period" | "cpu_rt_runtime"
            | "cpu_shares" | "oom_score_adj" | "pids_limit" | "scale",
        ]
        | ["deploy", "replicas"]
        | ["deploy", "update_config" | "rollback_config", "parallelism"]
        | ["deploy", "restart_policy", "max_attempts"]
        | ["deploy", "placement", "max_replicas_per_node"]
        | ["healthcheck", "retries"]
        | ["ports", "[]", "target"]
        | ["ulimits", _]
        | ["ulimits", _, "hard" | "soft"] => Some(Wanted::Integer),
        ["cpu_percent" | "cpus"]
        | [
            "deploy",
            "update_config" | "rollback_config",
            "max_failure_ratio",
        ] => Some(Wanted::Number),
        ["init" | "oom_kill_disable" | "privileged" | "read_only" | "stdin_open" | "tty"]
        | ["healthcheck", "disable"]
        | ["volumes", "[]", "read_only"]
        | ["volumes", "[]", "volume", "nocopy"] => Some(Wanted::Flag),
        _ => None,
    }
}

/// The value; None if the text is no such thing.
pub(super) fn cast(text: &str, wanted: Wanted) -> Option<Data> {
    match wanted {
        Wanted::Integer => text.parse::<i64>().ok().map(|int| Data::Int(int.into())),
        Wanted::Number => units::float(text).map(Data::Float),
        Wanted::Flag => flag(text).map(Data::Bool),
    }
}

fn flag(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "y" | "yes" | "on" => Some(true),
        "false" | "n" | "no" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_what_their_key_wants() {
        assert_eq!(cast("+8080", Wanted::Integer), Some(Data::Int(8080)));
        assert_eq!(cast("1.5", Wanted::Number), Some(Data::Float(1.5)));
        assert_eq!(cast("YES", Wanted::Flag), Some(Data::Bool(true)));
        assert_eq!(cast("off", Wanted::Flag), Some(Data::Bool(false)));
    }

    #[test]
    fn other_texts_and_nothing_are_refused() {
        for wanted in [Wanted::Integer, Wanted::Number, Wanted::Flag] {
            assert_eq!(cast("", wanted), None);
            assert_eq!(cast("eighty", wanted), None);
        }
        assert_eq!(cast("0x50", Wanted::Integer), None);
        assert_eq!(cast("1", Wanted::Flag), None);
    }

    #[test]
    fn keys_are_found_at_their_depth_alone() {
        assert_eq!(
            wanted(&["services", "web", "ports", "[]", "target"]),
            Some(Wanted::Integer)
        );
        assert_eq!(
            wanted(&["services", "web", "ulimits", "nofile", "soft"]),
            Some(Wanted::Integer)
        );
        assert_eq!(wanted(&["volumes", "data", "external"]), Some(Wanted::Flag));
        assert_eq!(
            wanted(&["services", "web", "ports", "[]", "published"]),
            None
        );
        assert_eq!(wanted(&["x-web", "privileged"]), None);
    }
}
