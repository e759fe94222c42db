//! The wire formats against scripted servers: what comes of a good reply in every form, and of every kind of bad one.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::backend::{ModelBackend, ModelLimits, WireFormat};
use super::conversation::{Conversation, ModelCall, ModelReply, ToolResult, ToolSpec, Turn};
use super::key::KeySource;
use super::scripted::{Scripted, ScriptedModel};
use super::{ModelChain, ModelNews, ModelSent, PassedOver};
use crate::environment::Environment;

const EVENTS: &str = "text/event-stream; charset=utf-8";
const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";
const KEY: &str = "sk-very-secret-9f8e7d";

fn answer(kind: &'static str, body: impl Into<String>) -> Scripted {
    Scripted::Answer(200, kind, "", body.into())
}

fn events(events: &[Value]) -> String {
    events
        .iter()
        .map(|event| format!("data: {event}\n\n"))
        .collect()
}

fn lines(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn backend(format: WireFormat, server: &ScriptedModel) -> ModelBackend {
    ModelBackend {
        name: format!("{format:?}/{}", server.url),
        format,
        url: server.url.clone(),
        model: "small".to_owned(),
        key: Some(KeySource::Variable("KEY".to_owned())),
        limits: ModelLimits {
            connect: Duration::from_millis(500),
            first_byte: Duration::from_millis(400),
            total: Duration::from_millis(800),
        },
    }
}

/// The second question of a conversation in which a tool was called.
fn conversation() -> Conversation {
    let call = ModelCall {
        name: "look".to_owned(),
        arguments: json!({"question": "pods"}),
    };
    Conversation {
        system: "Rules.".to_owned(),
        turns: vec![
            Turn::User("why".to_owned()),
            Turn::Model(ModelReply {
                text: String::new(),
                calls: vec![call],
            }),
            Turn::Tools(vec![ToolResult {
                name: "look".to_owned(),
                text: "no pods".to_owned(),
                is_error: false,
            }]),
        ],
        tools: vec![ToolSpec {
            name: "look",
            about: "Looks.",
            parameters: json!({"type": "object"}),
            proposes: false,
        }],
    }
}

struct Trial {
    failures: tempfile::TempDir,
    environment: Environment,
    said: String,
}

impl Trial {
    fn new() -> Self {
        let variable = ("KEY".to_owned(), KEY.to_owned());
        Self {
            failures: tempfile::tempdir().unwrap(),
            environment: [variable].into_iter().collect(),
            said: String::new(),
        }
    }

    async fn send(&mut self, backends: Vec<ModelBackend>) -> Result<ModelSent, Vec<PassedOver>> {
        let chain = ModelChain::new(backends, self.failures.path(), &self.environment);
        let said = &mut self.said;
        let mut news = |news: ModelNews<'_>| {
            if let ModelNews::Text(text) = news {
                *said += text;
            }
        };
        chain.send(&conversation(), &mut news).await
    }
}

/// The reply to one answer of a server, or why there is none.
async fn reply(format: WireFormat, scripted: Scripted) -> Result<ModelReply, String> {
    let server = ScriptedModel::start(vec![scripted]);
    let sent = Trial::new().send(vec![backend(format, &server)]).await;
    sent.map(|sent| sent.reply)
        .map_err(|passed| passed[0].why.clone())
}

fn call() -> Value {
    json!({"question": "pods in shop"})
}

/// A text and a call in every form in which the three formats have them.
fn good() -> Vec<(WireFormat, Scripted)> {
    let arguments = call().to_string();
    let (head, tail) = arguments.split_at(7);
    let openai = |delta: Value, reason: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
    let openai_call = json!({"index": 0, "id": "a", "type": "function", "function": {"name": "look", "arguments": head}});
    let streamed = |reason: &str| {
        events(&[
            openai(json!({"role": "assistant", "content": "I "}), Value::Null),
            openai(json!({"content": "look."}), Value::Null),
            openai(json!({"tool_calls": [openai_call]}), Value::Null),
            openai(
                json!({"tool_calls": [{"index": 0, "function": {"arguments": tail}}]}),
                Value::Null,
            ),
            openai(json!({}), json!(reason)),
            json!({"choices": [], "usage": {"total_tokens": 9}}),
        ])
    };
    let whole = json!({"choices": [{"message": {"role": "assistant", "content": "I look.", "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "look", "arguments": arguments}}]}, "finish_reason": "tool_calls"}]});
    let anthropic = events(&[
        json!({"type": "message_start", "message": {"type": "message", "content": []}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "ping"}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "I look."}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "a", "name": "look", "input": {}}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": head}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": tail}}),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}),
        json!({"type": "message_stop"}),
    ]);
    let anthropic_whole = json!({"type": "message", "stop_reason": "tool_use", "content": [
        {"type": "text", "text": "I look."}, {"type": "tool_use", "id": "a", "name": "look", "input": call()}]});
    let ollama = json!({"message": {"role": "assistant", "content": "I look.", "tool_calls": [
        {"id": "a", "function": {"name": "look", "arguments": call()}}]}, "done": true, "done_reason": "stop"});
    let ollama_lines = lines(&[
        json!({"message": {"content": "I "}, "done": false}),
        json!({"message": {"content": "look."}, "done": false}),
        json!({"message": {"content": "", "tool_calls": [{"id": "a", "function": {"name": "look", "arguments": call()}}]}, "done": false}),
        json!({"message": {"content": ""}, "done": true, "done_reason": "stop"}),
    ]);
    let in_text = format!(
        "I look.\n<tool_call>{{\"name\": \"look\", \"arguments\": {arguments}}}</tool_call>"
    );
    let in_text = |format| match format {
        WireFormat::OpenAi => {
            json!({"choices": [{"message": {"content": in_text}, "finish_reason": "stop"}]})
        }
        WireFormat::Anthropic => {
            json!({"type": "message", "stop_reason": "end_turn", "content": [{"type": "text", "text": in_text}]})
        }
        WireFormat::Ollama => json!({"message": {"content": in_text}, "done": true}),
    };
    use WireFormat::{Anthropic, Ollama, OpenAi};
    vec![
        (
            OpenAi,
            answer(EVENTS, streamed("tool_calls") + "data: [DONE]\n\n"),
        ),
        // A finish reason that lies, and a stream without its last mark.
        (
            OpenAi,
            answer(EVENTS, streamed("stop") + "data: [DONE]\n\n"),
        ),
        (OpenAi, answer(EVENTS, streamed("stop"))),
        // An empty reason in every part, and arguments as an object.
        (
            OpenAi,
            answer(
                EVENTS,
                streamed("stop").replace("\"finish_reason\":null", "\"finish_reason\":\"\""),
            ),
        ),
        (
            OpenAi,
            answer(
                JSON,
                whole
                    .to_string()
                    .replace(&Value::from(arguments.as_str()).to_string(), &arguments),
            ),
        ),
        (
            OpenAi,
            Scripted::Stuck(EVENTS, streamed("stop") + "data: [DONE]\n\n"),
        ),
        (OpenAi, answer(JSON, whole.to_string())),
        (OpenAi, answer(JSON, format!("{whole:#}"))),
        (OpenAi, answer(JSON, in_text(OpenAi).to_string())),
        (Anthropic, answer(EVENTS, anthropic)),
        (Anthropic, answer(JSON, anthropic_whole.to_string())),
        (Anthropic, answer(JSON, in_text(Anthropic).to_string())),
        (Ollama, answer(JSON, ollama.to_string())),
        (Ollama, answer(LINES, ollama_lines.clone())),
        (Ollama, answer(JSON, ollama_lines)),
        (Ollama, answer(JSON, in_text(Ollama).to_string())),
    ]
}

#[tokio::test]
async fn every_form_of_the_same_reply_is_the_same_reply() {
    for (at, (format, scripted)) in good().into_iter().enumerate() {
        let reply = reply(format, scripted).await;
        let reply = reply.unwrap_or_else(|why| panic!("{at} {format:?}: {why}"));
        assert_eq!(reply.text, "I look.", "{at} {format:?}");
        let [one] = &reply.calls[..] else {
            panic!("{at} {format:?}: {reply:?}");
        };
        assert_eq!(
            (one.name.as_str(), &one.arguments),
            ("look", &call()),
            "{at} {format:?}"
        );
    }
}

#[tokio::test]
async fn each_format_carries_the_conversation_the_tools_and_the_key_in_its_own_way() {
    let mut seen = vec![];
    for format in [
        WireFormat::OpenAi,
        WireFormat::Anthropic,
        WireFormat::Ollama,
    ] {
        let server = ScriptedModel::start(vec![Scripted::Answer(500, JSON, "", String::new())]);
        let _ = Trial::new().send(vec![backend(format, &server)]).await;
        seen.extend(server.seen());
    }
    let [openai, anthropic, ollama] = &seen[..] else {
        panic!("{seen:?}");
    };
    assert_eq!(openai.path, "/chat/completions");
    assert!(
        openai
            .headers
            .contains(&format!("authorization: bearer {KEY}"))
    );
    let roles = |body: &Value| -> Vec<String> {
        let messages = body["messages"].as_array().unwrap().iter();
        messages
            .map(|message| message["role"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(roles(&openai.body), ["system", "user", "assistant", "tool"]);
    assert_eq!(
        openai.body["messages"][2]["tool_calls"][0]["function"]["arguments"],
        r#"{"question":"pods"}"#
    );
    assert_eq!(openai.body["messages"][3]["tool_call_id"], "call_1_0");
    assert_eq!(openai.body["stream"], true);
    assert_eq!(anthropic.path, "/v1/messages");
    assert!(anthropic.headers.contains(&format!("x-api-key: {KEY}")));
    assert!(anthropic.headers.contains("anthropic-version: 2023-06-01"));
    assert_eq!(roles(&anthropic.body), ["user", "assistant", "user"]);
    assert_eq!(anthropic.body["system"], "Rules.");
    assert_eq!(
        anthropic.body["messages"][1]["content"][0]["input"],
        json!({"question": "pods"})
    );
    assert_eq!(
        anthropic.body["messages"][2]["content"][0]["tool_use_id"],
        "call_1_0"
    );
    assert_eq!(
        anthropic.body["tools"][0]["input_schema"],
        json!({"type": "object"})
    );
    assert_eq!(ollama.path, "/api/chat");
    assert_eq!(ollama.body["stream"], false, "streams of Ollama lose calls");
    assert_eq!(
        ollama.body["messages"][3],
        json!({"role": "tool", "tool_name": "look", "content": "no pods"})
    );
}

#[tokio::test]
async fn a_reply_that_is_none_is_told_with_its_reason() {
    use WireFormat::{Anthropic, Ollama, OpenAi};
    let refused = |status, body: &str| Scripted::Answer(status, JSON, "", body.to_owned());
    let begun = events(&[json!({"choices": [{"delta": {"content": "The pod "}}]})]);
    let call_of = |arguments: &str| {
        events(&[
            json!({"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "look", "arguments": arguments}}]}}]}),
            json!({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}),
        ])
    };
    let many: Vec<_> = (0..40)
        .map(|index| json!({"choices": [{"delta": {"tool_calls": [{"index": index, "id": "a", "function": {"name": "look", "arguments": "{}"}}]}}]}))
        .collect();
    let cases = [
        (
            OpenAi,
            refused(429, r#"{"error": {"message": "slow down"}}"#),
            "429",
        ),
        (OpenAi, refused(500, "<html>"), "500"),
        (
            OpenAi,
            refused(
                401,
                &format!(r#"{{"error": {{"message": "wrong key {KEY}"}}}}"#),
            ),
            "wrong key [key]",
        ),
        (
            Ollama,
            refused(404, r#"{"error": "model `small` not found"}"#),
            "not found",
        ),
        (
            OpenAi,
            Scripted::Answer(
                302,
                JSON,
                "location: http://127.0.0.1:9/\r\n",
                String::new(),
            ),
            "302",
        ),
        (OpenAi, Scripted::Silent, "no answer within 0.4 s"),
        (
            OpenAi,
            Scripted::Stuck(EVENTS, begun.clone()),
            "no whole reply within 0.8 s",
        ),
        (
            OpenAi,
            Scripted::Stuck(EVENTS, String::new()),
            "no answer within 0.4 s",
        ),
        (
            OpenAi,
            Scripted::Stuck(EVENTS, ": a comment is no answer\n\n".to_owned()),
            "no answer within 0.4 s",
        ),
        (
            OpenAi,
            answer(EVENTS, begun.replace("}]}", ",\"finish_reason\":\"\"}]}")),
            "cut",
        ),
        (OpenAi, Scripted::Cut(EVENTS, begun.clone()), "cut"),
        (OpenAi, answer(EVENTS, begun.clone()), "cut"),
        (
            OpenAi,
            answer(EVENTS, begun + "data: {\"choices\": [{\"del"),
            "cut",
        ),
        (OpenAi, answer(JSON, "{\"choices\": [{\"mess"), "cut"),
        (
            OpenAi,
            Scripted::Cut(JSON, "{\"choices\": [".to_owned()),
            "cut",
        ),
        (
            OpenAi,
            answer(EVENTS, call_of("{\"question\": ")),
            "no JSON",
        ),
        (OpenAi, answer(EVENTS, events(&many)), "more than 16 tools"),
        (
            OpenAi,
            answer(
                EVENTS,
                events(&[json!({"error": {"message": "overloaded"}})]),
            ),
            "overloaded",
        ),
        (
            OpenAi,
            answer(
                EVENTS,
                events(&[
                    json!({"choices": [{"delta": {"content": "x"}, "finish_reason": "length"}]}),
                ]),
            ),
            "longer than the backend allows",
        ),
        (
            OpenAi,
            answer(
                EVENTS,
                events(&[json!({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})]),
            ),
            "empty",
        ),
        (
            OpenAi,
            answer("text/html", "<html>It works!</html>"),
            "no JSON",
        ),
        (OpenAi, answer(JSON, ""), "cut"),
        (
            OpenAi,
            Scripted::Endless(
                EVENTS,
                events(&[json!({"choices": [{"delta": {"content": "again ".repeat(2000)}}]})]),
            ),
            "longer than",
        ),
        (
            OpenAi,
            Scripted::Endless(EVENTS, "x".repeat(65536)),
            "at once",
        ),
        (
            Anthropic,
            answer(
                EVENTS,
                events(&[
                    json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
                ]),
            ),
            "Overloaded",
        ),
        (
            Anthropic,
            answer(EVENTS, events(&[json!({"type": "message_start"})])),
            "cut",
        ),
        (
            Anthropic,
            answer(
                EVENTS,
                events(&[
                    json!({"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": "{"}}),
                ]),
            ),
            "without a call",
        ),
        (
            Ollama,
            answer(
                JSON,
                json!({"error": "small does not support tools"}).to_string(),
            ),
            "does not support tools",
        ),
        (
            Ollama,
            answer(
                LINES,
                lines(&[json!({"message": {"content": "The "}, "done": false})]),
            ),
            "cut",
        ),
    ];
    for (at, (format, scripted, expected)) in cases.into_iter().enumerate() {
        let why = reply(format, scripted).await.unwrap_err();
        assert!(why.contains(expected), "{at}: `{why}` has no `{expected}`");
        assert!(!why.contains(KEY), "{at}: {why}");
    }
}

#[tokio::test]
async fn the_next_backend_stands_in_and_who_failed_is_left_out_for_a_while() {
    let good = good().remove(0).1;
    let broken = ScriptedModel::start(vec![Scripted::Answer(500, JSON, "", String::new())]);
    let silent = ScriptedModel::start(vec![Scripted::Silent]);
    let works = ScriptedModel::start(vec![good]);
    let unused = ScriptedModel::start(vec![Scripted::Silent]);
    let servers = [&broken, &silent, &works, &unused];
    let backends: Vec<_> = servers
        .iter()
        .map(|server| backend(WireFormat::OpenAi, server))
        .collect();
    let mut trial = Trial::new();
    let began = Instant::now();
    let sent = trial.send(backends.clone()).await.unwrap();
    assert_eq!(sent.backend, backends[2].name);
    let passed: Vec<_> = sent
        .passed
        .iter()
        .map(|passed| passed.why.as_str())
        .collect();
    assert_eq!(
        passed,
        [
            "it answers 500 Internal Server Error",
            "no answer within 0.4 s"
        ]
    );
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(trial.said, "I look.");
    let sent = trial.send(backends.clone()).await.unwrap();
    assert!(
        sent.passed
            .iter()
            .all(|passed| passed.why.contains("is left out until")),
        "{:?}",
        sent.passed
    );
    let asked: Vec<_> = servers.iter().map(|server| server.seen().len()).collect();
    assert_eq!(asked, [1, 1, 2, 0]);
}

#[tokio::test]
async fn two_calls_of_one_index_are_two_and_what_is_wrong_with_a_request_leaves_nobody_out() {
    let call = |id: &str, question: &str| {
        let arguments = json!({"question": question}).to_string();
        json!({"choices": [{"delta": {"tool_calls": [
            {"index": 0, "id": id, "function": {"name": "look", "arguments": arguments}}]}}]})
    };
    let ends = json!({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]});
    let body = events(&[call("a", "pods"), call("b", "nodes"), ends]);
    let both = reply(WireFormat::OpenAi, answer(EVENTS, body)).await;
    let questions: Vec<_> = both
        .unwrap()
        .calls
        .into_iter()
        .map(|call| call.arguments)
        .collect();
    assert_eq!(
        questions,
        [json!({"question": "pods"}), json!({"question": "nodes"})]
    );

    let wrong = Scripted::Answer(401, JSON, "", String::new());
    let server = ScriptedModel::start(vec![wrong, good().remove(0).1]);
    let backends = vec![backend(WireFormat::OpenAi, &server)];
    let mut trial = Trial::new();
    assert!(trial.send(backends.clone()).await.is_err());
    trial.send(backends).await.unwrap();
}

#[tokio::test]
async fn the_only_backend_is_asked_again_though_it_failed() {
    let down = Scripted::Answer(503, JSON, "retry-after: 600\r\n", String::new());
    let server = ScriptedModel::start(vec![down, good().remove(0).1]);
    let backends = vec![backend(WireFormat::OpenAi, &server)];
    let mut trial = Trial::new();
    assert!(trial.send(backends.clone()).await.is_err());
    trial.send(backends).await.unwrap();
}

#[tokio::test]
async fn nobody_there_and_a_key_that_is_missing_are_told_at_once() {
    let gone = ScriptedModel::start(vec![]);
    let mut without_server = backend(WireFormat::Ollama, &gone);
    without_server.url = "http://127.0.0.1:9".to_owned();
    without_server.key = None;
    let mut without_key = backend(WireFormat::OpenAi, &gone);
    without_key.key = Some(KeySource::Variable("NOT_SET".to_owned()));
    let mut from_file = backend(WireFormat::OpenAi, &gone);
    from_file.key = Some(KeySource::File("/nowhere/key".into()));
    from_file.name = "file".to_owned();
    let mut from_helper = backend(WireFormat::OpenAi, &gone);
    from_helper.key = Some(KeySource::Command(vec!["false".to_owned()]));
    from_helper.name = "helper".to_owned();
    let mut trial = Trial::new();
    trial.environment = [("PATH".to_owned(), std::env::var("PATH").unwrap())]
        .into_iter()
        .collect();
    let passed = trial
        .send(vec![without_server, without_key, from_file, from_helper])
        .await
        .unwrap_err();
    let whys: Vec<_> = passed.iter().map(|passed| passed.why.as_str()).collect();
    assert!(whys[0].contains("onnect"), "{whys:?}");
    assert!(whys[1].contains("`NOT_SET` is not set"), "{whys:?}");
    assert!(whys[2].contains("/nowhere/key"), "{whys:?}");
    assert!(whys[3].contains("prints no key"), "{whys:?}");
    assert!(gone.seen().is_empty());
}

#[tokio::test]
async fn a_key_comes_from_a_file_or_a_helper_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, format!("{KEY}\n")).unwrap();
    let helper = vec!["cat".to_owned(), file.display().to_string()];
    for source in [KeySource::File(file), KeySource::Command(helper)] {
        let server = ScriptedModel::start(vec![good().remove(0).1]);
        let mut backend = backend(WireFormat::OpenAi, &server);
        backend.key = Some(source);
        let mut trial = Trial::new();
        trial.environment = [("PATH".to_owned(), std::env::var("PATH").unwrap())]
            .into_iter()
            .collect();
        trial.send(vec![backend]).await.unwrap();
        assert!(server.seen()[0].headers.contains(KEY));
    }
}
