//! The keys of `ask:`, with whose rights devk changes single objects: in devk.yaml, and in the user's configuration.

use super::super::format::ValueFormat;
use super::super::shape::key;
use super::{Here, Key, Optional, Shape};

pub(super) const ASK: &[Key] = &[
    key(
        "role",
        Optional("as the user's configuration says"),
        Shape::Text(ValueFormat::AskRole),
        "viewer",
        "Lowers the role with which `devk change` works in this project. More than the user's configuration gives it never gets.",
    ),
    key(
        "yes",
        Optional("as the user's configuration says"),
        Shape::Text(ValueFormat::AskYes),
        "reversible",
        "Lowers the risk up to which nobody need be asked. More than the user's configuration leaves unasked it never does.",
    ),
];

/// The whole file of the user.
pub(in super::super) const USER: &[Key] = &[
    key(
        "ask",
        Optional(
            "`operator` on clusters that devk made, every change is asked about, and no model is used",
        ),
        Shape::Object(USER_ASK),
        "{role: operator, yes: reversible}",
        "With whose rights `devk change` changes single objects, and what nobody need be asked about (docs/change.md); which models `devk ask` may use (docs/ask.md).",
    ),
    key(
        "models",
        Optional("`ollama/NAME`, `openai/NAME` and `anthropic/NAME` alone"),
        Shape::Named(MODEL),
        "[{name: local, format: ollama, model: 'qwen3:8b'}]",
        "Models with names, addresses and keys of their own.",
    ),
];

const MODEL: &[Key] = &[
    key(
        "name",
        Here,
        Shape::Text(ValueFormat::Label),
        "local",
        "What `--model` and `ask.models` call it.",
    ),
    key(
        "format",
        Here,
        Shape::Text(ValueFormat::ModelFormat),
        "openai",
        "How its server is spoken to: chat completions of OpenAI, messages of Anthropic, or chats of Ollama.",
    ),
    key(
        "model",
        Here,
        Shape::Text(ValueFormat::Text),
        "qwen3:8b",
        "What the server calls the model.",
    ),
    key(
        "url",
        Optional(
            "the address of the format's variable, or the usual one; with a key of its own the usual one",
        ),
        Shape::Text(ValueFormat::Text),
        "https://llm.example.com/v1",
        "The address of the server; with a key it is https, or this machine.",
    ),
    key(
        "keyVariable",
        Optional("the variable of the format, if it is set"),
        Shape::Text(ValueFormat::Text),
        "WORK_LLM_KEY",
        "The environment variable that holds the key.",
    ),
    key(
        "keyFile",
        Optional("no file"),
        Shape::Text(ValueFormat::Text),
        "/run/secrets/llm",
        "The file that holds the key: an absolute path.",
    ),
    key(
        "keyCommand",
        Optional("no command"),
        Shape::List(&Shape::Scalar),
        "[pass, show, llm]",
        "The program that prints the key, and its arguments.",
    ),
    key(
        "firstByte",
        Optional("`20s`"),
        Shape::Text(ValueFormat::Duration),
        "10s",
        "How long a streamed reply may take to begin.",
    ),
    key(
        "total",
        Optional("`90s`; of `ollama` `180s`"),
        Shape::Text(ValueFormat::Duration),
        "60s",
        "How long a whole reply may take.",
    ),
];

const USER_ASK: &[Key] = &[
    key(
        "role",
        Optional("`operator`"),
        Shape::Text(ValueFormat::AskRole),
        "admin",
        "The role on clusters that devk made. `viewer` changes nothing; `operator` changes workloads, Services, claims and ConfigMaps; `admin` also Secrets, rights, quotas, and namespaces of its own.",
    ),
    key(
        "yes",
        Optional("every change is asked about"),
        Shape::Text(ValueFormat::AskYes),
        "reversible",
        "Up to which risk nobody need be asked, on clusters that devk made: `--yes`, and `--approve` without `devk approve`. What is destructive is always asked about.",
    ),
    key(
        "contexts",
        Optional("`viewer`: plans are previewed and not carried out"),
        Shape::Table(ValueFormat::Text, &Shape::Text(ValueFormat::AskRole)),
        "{team-dev: operator}",
        "The role on clusters that devk did not make, by context: `viewer` or `operator`.",
    ),
    key(
        "models",
        Optional("no model, unless `--model` or `DEVK_ASK_MODEL` names one"),
        Shape::List(&Shape::Text(ValueFormat::Text)),
        "[local, openai/gpt-5]",
        "The models for what `devk ask` does not understand, in the order in which they are asked.",
    ),
    key(
        "hideNames",
        Optional("`false`"),
        Shape::Flag,
        "true",
        "Models are given other names for the objects of the cluster, as with `--hide-names`.",
    ),
    key(
        "mode",
        Optional("`standard`"),
        Shape::Text(ValueFormat::AskMode),
        "beginner",
        "How much an answer of `devk ask` says: `beginner` what its terms mean, too; `expert` the answer and the command of kubectl.",
    ),
];
