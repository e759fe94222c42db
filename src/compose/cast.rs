//! Values that variables may have brought as text and that Compose wants as numbers and booleans.

use super::units;
use super::yaml::YamlData;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CastTarget {
    Integer,
    Number,
    Flag,
}

impl CastTarget {
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Flag => "`true` or `false`",
        }
    }
}

/// What the value under these keys must be, if it is a text; list items are `[]`.
pub(super) fn wanted(keys: &[&str]) -> Option<CastTarget> {
    match keys {
        ["services", _, below @ ..] => in_service(below),
        [
            "networks",
            _,
            "external" | "internal" | "attachable" | "enable_ipv4" | "enable_ipv6",
        ]
        | ["volumes" | "secrets" | "configs", _, "external"] => Some(CastTarget::Flag),
        _ => None,
    }
}

fn in_service(keys: &[&str]) -> Option<CastTarget> {
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
        | ["ulimits", _, "hard" | "soft"] => Some(CastTarget::Integer),
        ["cpu_percent" | "cpus"]
        | [
            "deploy",
            "update_config" | "rollback_config",
            "max_failure_ratio",
        ] => Some(CastTarget::Number),
        ["init" | "oom_kill_disable" | "privileged" | "read_only" | "stdin_open" | "tty"]
        | ["healthcheck", "disable"]
        | ["volumes", "[]", "read_only"]
        | ["volumes", "[]", "volume", "nocopy"] => Some(CastTarget::Flag),
        _ => None,
    }
}

/// The value; None if the text is no such thing.
pub(super) fn cast(text: &str, wanted: CastTarget) -> Option<YamlData> {
    match wanted {
        CastTarget::Integer => text
            .parse::<i64>()
            .ok()
            .map(|int| YamlData::Int(int.into())),
        CastTarget::Number => units::float(text).map(YamlData::Float),
        CastTarget::Flag => flag(text).map(YamlData::Bool),
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
        assert_eq!(
            cast("+8080", CastTarget::Integer),
            Some(YamlData::Int(8080))
        );
        assert_eq!(cast("1.5", CastTarget::Number), Some(YamlData::Float(1.5)));
        assert_eq!(cast("YES", CastTarget::Flag), Some(YamlData::Bool(true)));
        assert_eq!(cast("off", CastTarget::Flag), Some(YamlData::Bool(false)));
    }

    #[test]
    fn other_texts_and_nothing_are_refused() {
        for wanted in [CastTarget::Integer, CastTarget::Number, CastTarget::Flag] {
            assert_eq!(cast("", wanted), None);
            assert_eq!(cast("eighty", wanted), None);
        }
        assert_eq!(cast("0x50", CastTarget::Integer), None);
        assert_eq!(cast("1", CastTarget::Flag), None);
    }

    #[test]
    fn keys_are_found_at_their_depth_alone() {
        assert_eq!(
            wanted(&["services", "web", "ports", "[]", "target"]),
            Some(CastTarget::Integer)
        );
        assert_eq!(
            wanted(&["services", "web", "ulimits", "nofile", "soft"]),
            Some(CastTarget::Integer)
        );
        assert_eq!(
            wanted(&["volumes", "data", "external"]),
            Some(CastTarget::Flag)
        );
        assert_eq!(
            wanted(&["services", "web", "ports", "[]", "published"]),
            None
        );
        assert_eq!(wanted(&["x-web", "privileged"]), None);
    }
}
