//! What a command printed becomes the answer of a tool: devk's own document, or its errors with codes and hints.

use serde_json::{Map, Value, json};

use super::arguments::ToolArguments;
use super::jobs::RunEnd;
use crate::error::{Code, Error, Errors};
use crate::log_lines::last_lines;
use crate::ports::{Forward, addresses};

/// What a command says on stderr without `--format json` being of help, such as a wrong option.
const MAX_TEXT_LINES: usize = 30;

/// The answer of a call, before its masks and pages.
#[derive(Debug, PartialEq)]
pub(super) struct ToolAnswer {
    pub document: Value,
    /// The tool could not do what it is for. What it found to be wrong is no error.
    pub is_error: bool,
}

impl ToolAnswer {
    pub(super) fn errors(errors: &Errors) -> Self {
        Self {
            document: json!({"version": 1, "errors": errors.0}),
            is_error: true,
        }
    }

    pub(super) fn error(error: Error) -> Self {
        Self::errors(&error.into())
    }

    fn found(document: Value) -> Self {
        Self {
            document,
            is_error: false,
        }
    }

    /// The answer to a call whose command has ended.
    pub(super) fn of(tool: &str, arguments: &ToolArguments, ended: &RunEnd) -> Self {
        let documents = documents(&ended.stdout);
        let is_said = said(&ended.stderr);
        match (tool, documents.last()) {
            // Whatever the command in the container printed; without an exit code, devk did not reach it.
            ("run", _) if is_said.is_none() => Self::found(ran(ended)),
            ("logs", _) if ended.code == Some(0) => Self::found(logs(&documents, arguments)),
            ("up" | "down" | "restart", Some(last)) if is_result(last) => Self {
                document: with_failures(last.clone(), &documents),
                is_error: ended.code != Some(0),
            },
            ("ports", Some(last)) if ended.code == Some(0) => {
                Self::found(with_addresses(last.clone()))
            }
            ("ask", Some(last)) if is_result(last) && ended.code == Some(0) => {
                Self::found(last.clone())
            }
            // Without an approval: the preview, and how a person gives one.
            ("ask" | "apply_plan", Some(last)) if last["preview"]["hash"].is_string() => Self {
                document: waiting(last, is_said.as_ref()),
                is_error: ended.code != Some(4),
            },
            // What was done of it, also if a step failed.
            ("apply_plan", Some(last)) if is_result(last) => Self {
                document: with_errors(last, is_said.as_ref()),
                is_error: ended.code != Some(0),
            },
            // 1 and 3: something is not as it should be, and that is the answer; 124: not yet.
            ("status" | "verify" | "doctor" | "settle", Some(last)) if is_result(last) => {
                Self::found(last.clone())
            }
            _ => Self::of_failure(tool, ended, is_said),
        }
    }

    fn of_failure(tool: &str, ended: &RunEnd, said: Option<Value>) -> Self {
        if let Some(document) = said {
            return Self {
                document,
                is_error: true,
            };
        }
        let end = match ended.code {
            Some(code) => format!("ended with exit code {code}"),
            None => "was killed".to_owned(),
        };
        let error = Error::new(
            Code::CommandFailed,
            format!("the command of `{tool}` {end}"),
        )
        .evidence(last_lines(&ended.stderr, MAX_TEXT_LINES));
        Self::error(error)
    }

    /// The command goes on, and the call answers before its client gives up.
    pub(super) fn working(tool: &str, doing: &str) -> Self {
        let hint = format!(
            "call `{tool}` with the same arguments: it waits for the same run; or `status`"
        );
        Self::found(json!({"version": 1, "working": true, "doing": doing, "hint": hint}))
    }

    /// The command was ended since it took too long.
    pub(super) fn timed_out(tool: &str, seconds: u64) -> Self {
        match tool {
            "run" => Self::found(
                json!({"version": 1, "exit": null, "stdout": "", "stderr": "", "timed_out": true,
                "hint": format!("ended after {seconds} s; give more with `timeout_s`")}),
            ),
            _ => {
                let error = Error::new(
                    Code::CommandKilled,
                    format!("`{tool}` took more than {seconds} s"),
                );
                Self::error(error.hint("call `status`, or `doctor`"))
            }
        }
    }
}

/// A change that waits for a person: what it would do, by which id it is approved, and what to do then.
fn waiting(preview: &Value, said: Option<&Value>) -> Value {
    let mut document = with_errors(preview, said);
    let id = preview["preview"]["hash"].as_str().unwrap_or_default();
    document["approval"] = Value::from(id);
    document["hint"] = Value::from(format!(
        "a person types `devk approve {id}` in a terminal; then call `apply_plan` with the steps of `plan` and approval: {id}"
    ));
    document
}

fn with_errors(document: &Value, said: Option<&Value>) -> Value {
    let mut document = document.clone();
    if let Some(said) = said {
        document["errors"] = said["errors"].clone();
    }
    document
}

/// The documents on stdout, one a line.
fn documents(stdout: &str) -> Vec<Value> {
    stdout
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn is_result(document: &Value) -> bool {
    document.get("version").is_some() && document.get("step").is_none()
}

/// devk's own errors.
fn said(stderr: &str) -> Option<Value> {
    let mut documents = stderr
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    documents.rfind(|document| document.get("errors").is_some_and(Value::is_array))
}

fn ran(ended: &RunEnd) -> Value {
    json!({"version": 1, "exit": ended.code, "stdout": ended.stdout, "stderr": ended.stderr})
}

/// Log lines by pod and container: a name is told once.
fn logs(documents: &[Value], arguments: &ToolArguments) -> Value {
    let wanted = arguments.text("contains").unwrap_or_default();
    let mut containers: Map<String, Value> = Map::new();
    for document in documents {
        let text = |key: &str| {
            document
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let line = text("line");
        if !line.contains(wanted) {
            continue;
        }
        let name = format!("{}/{}", text("pod"), text("container"));
        let lines = containers.entry(name).or_insert_with(|| json!([]));
        if let Some(lines) = lines.as_array_mut() {
            lines.push(line.into());
        }
    }
    let logs = containers.into_iter();
    let logs: Vec<_> = logs
        .map(|(container, lines)| json!({"container": container, "lines": lines}))
        .collect();
    json!({"version": 1, "logs": logs})
}

/// The document of a run, with the errors of the steps that failed.
fn with_failures(mut result: Value, documents: &[Value]) -> Value {
    let failed = documents
        .iter()
        .filter(|event| event.get("status") == Some(&json!("failed")));
    let failures: Vec<_> = failed
        .map(|event| json!({"step": event.get("step"), "error": event.get("error")}))
        .collect();
    if let (Some(result), false) = (result.as_object_mut(), failures.is_empty()) {
        result.insert("failures".to_owned(), failures.into());
    }
    result
}

/// The table of ports, with the addresses as environment variables.
fn with_addresses(mut table: Value) -> Value {
    let forwards = table.get("forwards").cloned().unwrap_or_default();
    let forwards: Vec<Forward> = serde_json::from_value(forwards).unwrap_or_default();
    let env: Map<_, _> = addresses(&forwards)
        .into_iter()
        .map(|(name, value)| (name, value.into()))
        .collect();
    if let Some(table) = table.as_object_mut() {
        table.insert("env".to_owned(), env.into());
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(tool: &str, arguments: Value, code: i32, stdout: &str, stderr: &str) -> ToolAnswer {
        let tool = super::super::tools::TOOLS
            .iter()
            .find(|known| known.name == tool)
            .unwrap();
        let given = arguments.as_object().unwrap().clone();
        let arguments = super::super::arguments::check(tool.name, tool.arguments, given).unwrap();
        let ended = RunEnd {
            code: Some(code),
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned(),
        };
        ToolAnswer::of(tool.name, &arguments, &ended)
    }

    #[test]
    fn a_change_that_waits_comes_with_its_id_and_one_that_failed_with_what_was_done() {
        let steps = json!({"steps": [{}]});
        let event = r#"{"step":"a","status":"done","detail":"","version":1}"#;
        let preview = r#"{"version":1,"state":"preview","preview":{"hash":"0a1b"}}"#;
        let said = r#"{"version":1,"errors":[{"code":"change.unapproved"}]}"#;
        let waits = answer("apply_plan", steps.clone(), 4, preview, said);
        assert!(!waits.is_error);
        assert_eq!(waits.document["approval"], "0a1b");
        assert!(
            waits.document["hint"]
                .as_str()
                .unwrap()
                .contains("devk approve 0a1b")
        );
        assert_eq!(waits.document["errors"][0]["code"], "change.unapproved");
        let moved = answer("apply_plan", steps.clone(), 2, preview, said);
        assert!(moved.is_error && moved.document["approval"] == "0a1b");
        let failed = r#"{"version":1,"state":"failed","outcome":{"steps":[]}}"#;
        let failed = answer("apply_plan", steps, 1, failed, said);
        assert!(failed.is_error && failed.document["outcome"].is_object());
        assert!(failed.document["errors"].is_array());
        // A model's plan of what nobody named has no preview.
        let question = json!({"question": "do something"});
        let unnamed = answer("ask", question.clone(), 4, event, said);
        assert!(unnamed.is_error && unnamed.document.get("approval").is_none());
        let answered = r#"{"version":1,"question":"q","answer":{}}"#;
        let answered = answer("ask", question, 0, answered, "");
        assert!(!answered.is_error && answered.document["answer"].is_object());
    }

    #[test]
    fn an_error_of_devk_comes_with_its_code_and_hint() {
        let said = r#"{"version":1,"errors":[{"code":"config.missing","message":"m","hint":"h"}]}"#;
        let errors = answer("status", json!({}), 2, "", &format!("a line\n{said}\n"));
        assert!(errors.is_error);
        assert_eq!(errors.document["errors"][0]["code"], "config.missing");
        let plain = answer(
            "verify",
            json!({}),
            2,
            "",
            "error: unrecognized subcommand\n",
        );
        assert_eq!(plain.document["errors"][0]["code"], "command.failed");
        assert_eq!(
            plain.document["errors"][0]["evidence"][0],
            "error: unrecognized subcommand"
        );
    }

    #[test]
    fn what_a_tool_finds_to_be_wrong_is_an_answer() {
        for (tool, code, document) in [
            (
                "settle",
                1,
                r#"{"version":1,"settled":false,"failures":[{"step":"x"}]}"#,
            ),
            (
                "settle",
                124,
                r#"{"version":1,"settled":false,"waiting_for":["api"]}"#,
            ),
            ("verify", 1, r#"{"version":1,"equal":false}"#),
            ("doctor", 3, r#"{"version":1,"checks":[]}"#),
        ] {
            let found = answer(tool, json!({}), code, document, "");
            assert!(!found.is_error, "{tool}");
            assert_eq!(
                found.document,
                serde_json::from_str::<Value>(document).unwrap()
            );
        }
    }

    #[test]
    fn a_step_that_failed_is_told_with_its_error() {
        let stdout = "{\"step\":\"image.build/api\",\"status\":\"failed\",\"error\":{\"code\":\"image.build\"}}\n\
                      {\"version\":1,\"settled\":{\"ready\":false}}\n";
        let failed = answer("up", json!({}), 1, stdout, "");
        assert!(failed.is_error);
        assert_eq!(
            failed.document["failures"][0]["error"]["code"],
            "image.build"
        );
        // It ended on the way.
        let lost = answer(
            "up",
            json!({}),
            1,
            "{\"step\":\"x\",\"status\":\"started\"}\n",
            "",
        );
        assert_eq!(lost.document["errors"][0]["code"], "command.failed");
    }

    #[test]
    fn a_command_in_a_container_may_fail_and_print_what_it_likes() {
        let arguments = json!({"service": "api", "command": ["x"]});
        let ran = answer(
            "run",
            arguments.clone(),
            7,
            "{\"version\":1}\n",
            "{\"no\":1}\n",
        );
        assert_eq!(
            (ran.is_error, ran.document),
            (
                false,
                json!({"version": 1, "exit": 7, "stdout": "{\"version\":1}\n", "stderr": "{\"no\":1}\n"})
            )
        );
        let said = r#"{"version":1,"errors":[{"code":"service.unknown"}]}"#;
        assert!(answer("run", arguments, 2, "", said).is_error);
    }

    #[test]
    fn lines_are_grouped_by_container_and_chosen_by_their_text() {
        let stdout = "{\"version\":1,\"pod\":\"a\",\"container\":\"c\",\"line\":\"one\"}\n\
                      {\"version\":1,\"pod\":\"b\",\"container\":\"c\",\"line\":\"one more\"}\n\
                      {\"version\":1,\"pod\":\"a\",\"container\":\"c\",\"line\":\"two\"}\n";
        let logs = answer("logs", json!({}), 0, stdout, "").document;
        assert_eq!(
            logs["logs"],
            json!([{"container": "a/c", "lines": ["one", "two"]}, {"container": "b/c", "lines": ["one more"]}])
        );
        let chosen = answer("logs", json!({"contains": "two"}), 0, stdout, "").document;
        assert_eq!(
            chosen["logs"],
            json!([{"container": "a/c", "lines": ["two"]}])
        );
    }

    #[test]
    fn addresses_stand_beside_the_ports_and_no_kubeconfig() {
        let stdout = r#"{"version":1,"forwards":[{"name":"api-v2","namespace":"n","service":"s","remote":80,
            "local":15000,"url":"http://127.0.0.1:15000","moved":null}]}"#;
        let ports = answer("ports", json!({}), 0, &stdout.replace('\n', ""), "").document;
        assert_eq!(
            ports["env"],
            json!({"API_V2_HOST": "127.0.0.1", "API_V2_PORT": "15000", "API_V2_URL": "http://127.0.0.1:15000"})
        );
    }
}
