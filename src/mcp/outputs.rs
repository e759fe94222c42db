//! The JSON Schemas of structured answers.

use serde_json::{Value, json};

pub(super) fn settle_output() -> Value {
    let texts = json!({"type": "array", "items": {"type": "string"}});
    json!({"type": "object", "required": ["settled"], "properties": {
        "settled": {"type": "boolean"},
        "ms": {"type": "integer"},
        "services": {"type": "array", "items": {"type": "object", "properties": {
            "name": {"type": "string"},
            "how": {"enum": ["synced", "rebuilt", "rolled_out", "unchanged"]},
            "pods": texts,
        }}},
        "waiting_for": texts,
        "failures": {"type": "array", "items": {"type": "object", "properties": {
            "step": {"type": "string"}, "code": {"type": "string"}, "message": {"type": "string"}, "log": texts,
        }}},
    }})
}

pub(super) fn verify_output() -> Value {
    json!({"type": "object", "required": ["equal"], "properties": {
        "equal": {"type": "boolean"},
        "containers": {"type": "integer"},
        "files": {"type": "integer"},
        "differences": {"type": "array", "items": {"type": "object"}},
        "uncompared": {"type": "array"},
    }})
}

pub(super) fn restart_output() -> Value {
    json!({"type": "object", "properties": {
        "restarted": {"type": "array", "items": {"type": "string"}},
        "working": {"type": "boolean"},
    }})
}

pub(super) fn run_output() -> Value {
    json!({"type": "object", "required": ["exit"], "properties": {
        "exit": {"type": ["integer", "null"]},
        "stdout": {"type": "string"},
        "stderr": {"type": "string"},
        "timed_out": {"type": "boolean"},
    }})
}
