//! Values that variables may have brought as text and that Compose wants as numbers and booleans.

use super::yaml::Data;
use crate::error::{Code, Result};
use crate::place::Place;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Integer,
    Number,
    Flag,
}

/// What the value under these keys must be, if it is a text; list items are `[]`.
pub(super) fn wanted(keys: &[&str]) -> Option<Wanted> {
    match keys {
        ["services", _, below @ ..] => in_service(below),
        ["networks", _, "external" | "internal" | "attachable" | "enable_ipv4" | "enable_ipv6"]
        | ["volumes" | "secrets" | "configs", _, "external"] => Some(Wanted::Flag),
        _ => None,
    }
}

fn in_service(keys: &[&str]) -> Option<Wanted> {
    match keys {
        [
            "cpu_count" | "cpu_period" | "cpu_quota" | "cpu_rt_period" | "cpu_rt_runtime" | "cpu_shares"
            | "oom_score_adj" | "pids_limit" | "scale",
        ]
        | ["deploy", "replicas"]
        | ["deploy", "update_config" | "rollback_config", "parallelism"]
        | ["deploy", "restart_policy", "max_attempts"]
        | ["deploy", "placement", "max_replicas_per_node"]
        | ["healthcheck", "retries"]
        | ["ports", "[]", "target"]
        | ["ulimits", _]
        | ["ulimits", _, "hard" | "soft"] => Some(Wanted::Integer),
        ["cpu_percent" | "cpus"] | ["deploy", "update_config" | "rollback_config", "max_failure_ratio"] => {
            Some(Wanted::Number)
        }
        ["init" | "oom_kill_disable" | "privileged" | "read_only" | "stdin_open" | "tty"]
        | ["healthcheck", "disable"]
        | ["volumes", "[]", "read_only"]
        | ["volumes", "[]", "volume", "nocopy"] => Some(Wanted::Flag),
        _ => None,
    }
}

/// # Errors
/// If the text is no such value.
pub(super) fn cast(text: &str, wanted: Wanted, place: &Place) -> Result<Data> {
    let (data, what) = match wanted {
        Wanted::Integer => (text.parse::<i64>().ok().map(|int| Data::Int(int.into())), "a whole number"),
        Wanted::Number => (number(text).map(Data::Float), "a number"),
        Wanted::Flag => (flag(text).map(Data::Bool), "`true` or `false`"),
    };
    data.ok_or_else(|| place.error(Code::ComposeVariable, format!("`{text}` is not {what}, which this key needs")))
}

fn number(text: &str) -> Option<f64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if digits {
        return text.parse().ok().filter(|number: &f64| number.is_finite());
    }
    let word = text.to_ascii_lowercase();
    let word = word.strip_prefix(['+', '-']).unwrap_or(&word);
    (matches!(word, "inf" | "infinity") || text.eq_ignore_ascii_case("nan")).then(|| text.parse().ok())?
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

    fn value(text: &str, wanted: Wanted) -> Option<Data> {
        let place = Place { file: std::path::Path::new("/shop/compose.yaml").into(), line: 1 };
        cast(text, wanted, &place).ok()
    }

    #[test]
    fn texts_become_what_their_key_wants() {
        assert_eq!(value("+8080", Wanted::Integer), Some(Data::Int(8080)));
        assert_eq!(value("1.5", Wanted::Number), Some(Data::Float(1.5)));
        assert_eq!(value("YES", Wanted::Flag), Some(Data::Bool(true)));
        assert_eq!(value("off", Wanted::Flag), Some(Data::Bool(false)));
    }

    #[test]
    fn other_texts_and_nothing_are_refused() {
        for wanted in [Wanted::Integer, Wanted::Number, Wanted::Flag] {
            assert_eq!(value("", wanted), None);
            assert_eq!(value("eighty", wanted), None);
        }
        assert_eq!(value("0x50", Wanted::Integer), None);
        assert_eq!(value("1", Wanted::Flag), None);
    }

    #[test]
    fn keys_are_found_at_their_depth_alone() {
        assert_eq!(wanted(&["services", "web", "ports", "[]", "target"]), Some(Wanted::Integer));
        assert_eq!(wanted(&["services", "web", "ulimits", "nofile", "soft"]), Some(Wanted::Integer));
        assert_eq!(wanted(&["volumes", "data", "external"]), Some(Wanted::Flag));
        assert_eq!(wanted(&["services", "web", "ports", "[]", "published"]), None);
        assert_eq!(wanted(&["x-web", "privileged"]), None);
    }
}
