//! The tools: what a client reads of them, and which devk command each of them runs. The order is fixed, since clients
//! keep the list in caches of prompts; the list stays below 8 KB, since a model reads it in every conversation.

use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{Tool, ToolAnnotations};
use serde_json::{Value, json};

use super::arguments::{Argument, ArgumentKind, ToolArguments, schema};
use super::jobs::JobCommand;
use super::outputs::{restart_output, run_output, settle_output, verify_output};
use crate::change::plan::PLAN_VERSION;

/// What a client gives a call at least before it takes the call for lost is 60 s: a call answers before.
const PATIENCE: Duration = Duration::from_secs(50);
/// As [`PATIENCE`], for a call whose own command watches the time.
const SETTLE_SECONDS: u64 = 45;
/// So long a command that watches the time itself may take beyond it.
const GRACE: Duration = Duration::from_secs(8);

/// One tool.
#[derive(Debug)]
pub(super) struct Definition {
    pub name: &'static str,
    title: &'static str,
    about: &'static str,
    pub arguments: &'static [Argument],
    effect: Effect,
    /// The JSON Schema of its structured answer.
    output: Option<fn() -> Value>,
}

/// What a call does to the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// Nothing.
    Looks,
    /// Nothing; but what is looked at may leave this machine, and is recorded.
    Asks,
    /// Nothing is lost by it, and doing it twice is doing it once.
    Brings,
    /// Something may be lost by it, and doing it twice is doing it once.
    Ends,
    /// Whatever its arguments say.
    Anything,
}

/// The devk command of a call, and how long the call waits for it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ToolCall {
    pub command: JobCommand,
    pub limit: Limit,
}

/// What happens when a command takes long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// The client waits, or cancels.
    None,
    /// The command is ended.
    Ends(Duration),
    /// The call answers that the work goes on; the same call joins it.
    Leaves(Duration),
}

const fn argument(name: &'static str, kind: ArgumentKind, about: &'static str) -> Argument {
    Argument {
        name,
        kind,
        required: false,
        about,
    }
}

const fn required(name: &'static str, kind: ArgumentKind, about: &'static str) -> Argument {
    Argument {
        name,
        kind,
        required: true,
        about,
    }
}

const SERVICE: &str = "Forward, Service or workload; `api` also finds `shop-api`";
const WAIT: Argument = argument(
    "timeout_s",
    ArgumentKind::Number {
        least: 1,
        most: 3600,
    },
    "Answer after so many seconds (50); the work goes on, and the same call joins it",
);

const APPROVAL: Argument = argument(
    "approval",
    ArgumentKind::Name,
    "The id that a person has approved",
);

/// The tools, in the order in which a client sees them.
pub(super) const TOOLS: [Definition; 12] = [
    Definition {
        name: "status",
        title: "Status of the stack",
        about: "Cluster, releases, pods, forwards with URLs, sync and session. Works before `up`.",
        arguments: &[argument(
            "cursor",
            ArgumentKind::Name,
            "Instead: the rest of a long answer of any tool",
        )],
        effect: Effect::Looks,
        output: None,
    },
    Definition {
        name: "settle",
        title: "Wait until the edit is live",
        about: "Call after saving files. Returns when every container has what is on disk now and runs (settled: true), \
                or says why not: failures with evidence and log lines, or what it still waits for.",
        arguments: &[
            argument("services", ArgumentKind::Names, "Only these; all without"),
            argument(
                "timeout_s",
                ArgumentKind::Number {
                    least: 1,
                    most: 600,
                },
                "45 without",
            ),
        ],
        effect: Effect::Looks,
        output: Some(settle_output),
    },
    Definition {
        name: "logs",
        title: "Logs of containers",
        about: "Log lines of all pods, or of one service.",
        arguments: &[
            argument("service", ArgumentKind::Name, SERVICE),
            argument("container", ArgumentKind::Name, ""),
            argument(
                "tail",
                ArgumentKind::Number {
                    least: 1,
                    most: 5000,
                },
                "Lines of each container, 100 without",
            ),
            argument("since", ArgumentKind::Time, "30s, 5m, 1h30m"),
            argument(
                "previous",
                ArgumentKind::Flag,
                "Of the run before the last restart",
            ),
            argument("contains", ArgumentKind::Text, "Only lines with this text"),
        ],
        effect: Effect::Looks,
        output: None,
    },
    Definition {
        name: "up",
        title: "Start the stack",
        about: "Starts or repairs all: cluster, images, charts, forwards; then saved files go live by themselves. \
                Safe to repeat. A first `up` takes minutes.",
        arguments: &[WAIT],
        effect: Effect::Brings,
        output: None,
    },
    Definition {
        name: "down",
        title: "Stop the stack",
        about: "Stops the stack and keeps its data. With delete, releases, volumes and images are removed for good: \
                a person is asked first.",
        arguments: &[argument("delete", ArgumentKind::Flag, ""), APPROVAL, WAIT],
        effect: Effect::Ends,
        output: None,
    },
    Definition {
        name: "verify",
        title: "Compare containers with the files on disk",
        about: "Compares each synced file with the working tree by hash.",
        arguments: &[],
        effect: Effect::Looks,
        output: Some(verify_output),
    },
    Definition {
        name: "ports",
        title: "Addresses of services",
        about: "URL and local port of each service, why, and the same as environment variables (NAME_URL, NAME_PORT). \
                Works before `up`.",
        arguments: &[],
        effect: Effect::Looks,
        output: None,
    },
    Definition {
        name: "doctor",
        title: "Find what is wrong",
        about: "Checks this machine and the project, with evidence and the command that helps. Call it if `up` fails.",
        arguments: &[],
        effect: Effect::Looks,
        output: None,
    },
    Definition {
        name: "restart",
        title: "Restart services",
        about: "Gives the workloads of services new pods and waits until they are ready.",
        arguments: &[required("services", ArgumentKind::Names, SERVICE), WAIT],
        effect: Effect::Ends,
        output: Some(restart_output),
    },
    Definition {
        name: "run",
        title: "Run a command in a container",
        about: "Runs a program in the newest pod of a service, without a shell or terminal; for a shell line: \
                [\"sh\", \"-c\", \"…\"].",
        arguments: &[
            required("service", ArgumentKind::Name, SERVICE),
            required("command", ArgumentKind::Words, "Program and arguments"),
            argument("container", ArgumentKind::Name, ""),
            argument(
                "timeout_s",
                ArgumentKind::Number {
                    least: 1,
                    most: 3600,
                },
                "Ended after so many seconds, 50 without",
            ),
        ],
        effect: Effect::Anything,
        output: Some(run_output),
    },
    Definition {
        name: "ask",
        title: "Ask about what runs",
        about: "Answers plain English from the live cluster, with evidence: `what is wrong`, `why is api not ready`, \
                `events of web`, `image of deploy/api`, `who talks to redis`, `what changed since 10:00`. For a change \
                (`scale web to 3`) it returns the preview and the plan, and changes nothing.",
        arguments: &[required("question", ArgumentKind::Text, ""), WAIT],
        effect: Effect::Asks,
        output: None,
    },
    Definition {
        name: "apply_plan",
        title: "Change objects by a plan",
        about: "Steps {verb, object: {kind, namespace, name}, …}: scale {replicas}, restart, roll-back, set-image {image}, \
                set-env {set, unset}, set-resources {requests, limits}, patch {patch}, label {set}, create {body}, delete, \
                expose {port}. Without approval it returns the preview and asks for one: a person types `devk approve ID`. \
                The same call with that id carries it out once.",
        arguments: &[required("steps", ArgumentKind::Steps, ""), APPROVAL, WAIT],
        effect: Effect::Ends,
        output: None,
    },
];

impl Definition {
    /// What a client reads of it.
    pub(super) fn tool(&self) -> Tool {
        let tool = Tool::new(self.name, self.about, Arc::new(schema(self.arguments)))
            .with_title(self.title)
            .with_annotations(self.effect.annotations());
        match self.output.map(|output| output()) {
            Some(Value::Object(schema)) => tool.with_raw_output_schema(Arc::new(schema)),
            _ => tool,
        }
    }

    pub(super) fn is_structured(&self) -> bool {
        self.output.is_some()
    }

    /// Calls with the same arguments share one run of the command.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self.name, "up" | "down" | "restart" | "ask" | "apply_plan")
    }

    /// Its command is one that the audit log has.
    pub(super) fn changes_something(&self) -> bool {
        self.effect != Effect::Looks
    }

    /// The command that does the work.
    pub(super) fn call(&self, arguments: &ToolArguments) -> ToolCall {
        let seconds = arguments.number("timeout_s").map(Duration::from_secs);
        let patience = seconds.unwrap_or(PATIENCE);
        let mut input = None;
        let (args, limit) = match self.name {
            "settle" => settle(arguments),
            "logs" => (logs(arguments), Limit::None),
            "up" => (words(&["up", "--detach"]), Limit::Leaves(patience)),
            "down" if arguments.flag("delete") == Some(true) => {
                (words(&["down", "--delete"]), Limit::Leaves(patience))
            }
            "down" => (words(&["down"]), Limit::Leaves(patience)),
            "restart" => {
                let mut args = words(&["restart", "--"]);
                args.extend(words(&arguments.texts("services")));
                (args, Limit::Leaves(patience))
            }
            "run" => (run(arguments), Limit::Ends(patience)),
            "ask" => {
                let question = arguments.text("question").unwrap_or_default();
                (words(&["ask", "--", question]), Limit::Leaves(patience))
            }
            "apply_plan" => {
                let plan = json!({"version": PLAN_VERSION, "steps": arguments.list("steps")});
                input = Some(plan.to_string());
                let approval = arguments.text("approval");
                let approval = approval.map(|id| format!("--approve={id}"));
                let args = words(&["change"]).into_iter().chain(approval);
                (args.chain(words(&["-"])).collect(), Limit::Leaves(patience))
            }
            name => (words(&[name]), Limit::None),
        };
        // Before the words that may look like options.
        let mut args = args;
        args.splice(1..1, words(&["--format", "json"]));
        ToolCall {
            command: JobCommand { args, input },
            limit,
        }
    }
}

impl ToolCall {
    /// The words of the command that say what it does.
    pub(super) fn words(&self) -> Vec<String> {
        let words = self.command.args.iter();
        words
            .filter(|word| !["--format", "json"].contains(&word.as_str()))
            .cloned()
            .collect()
    }
}

impl Effect {
    fn annotations(self) -> ToolAnnotations {
        let looks = matches!(self, Self::Looks | Self::Asks);
        let annotations = ToolAnnotations::new()
            .read_only(looks)
            .destructive(matches!(self, Self::Ends | Self::Anything))
            .idempotent(self != Self::Anything);
        annotations.open_world(matches!(self, Self::Anything | Self::Asks))
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn settle(arguments: &ToolArguments) -> (Vec<String>, Limit) {
    let seconds = arguments.number("timeout_s").unwrap_or(SETTLE_SECONDS);
    let mut args = words(&["settle", "--timeout", &format!("{seconds}s"), "--"]);
    args.extend(words(&arguments.texts("services")));
    (args, Limit::Ends(Duration::from_secs(seconds) + GRACE))
}

fn logs(arguments: &ToolArguments) -> Vec<String> {
    let mut args = words(&["logs"]);
    args.extend(
        arguments
            .number("tail")
            .map(|lines| format!("--tail={lines}")),
    );
    args.extend(
        arguments
            .text("since")
            .map(|time| format!("--since={time}")),
    );
    args.extend(
        arguments
            .text("container")
            .map(|name| format!("--container={name}")),
    );
    if arguments.flag("previous") == Some(true) {
        args.push("--previous".to_owned());
    }
    args.push("--".to_owned());
    args.extend(arguments.text("service").map(str::to_owned));
    args
}

fn run(arguments: &ToolArguments) -> Vec<String> {
    let mut args = words(&["sh"]);
    args.extend(
        arguments
            .text("container")
            .map(|name| format!("--container={name}")),
    );
    args.extend(arguments.text("service").map(str::to_owned));
    args.push("--".to_owned());
    args.extend(words(&arguments.texts("command")));
    args
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::arguments::check;

    fn call(name: &str, given: Value) -> ToolCall {
        let tool = TOOLS.iter().find(|tool| tool.name == name).unwrap();
        let given = given.as_object().unwrap().clone();
        tool.call(&check(name, tool.arguments, given).unwrap())
    }

    #[test]
    fn every_call_is_a_command_of_devk_whose_words_stay_what_they_are() {
        let args = |name, given| call(name, given).command.args.join(" ");
        assert_eq!(args("status", json!({})), "status --format json");
        assert_eq!(args("up", json!({})), "up --format json --detach");
        assert_eq!(args("down", json!({"delete": false})), "down --format json");
        assert_eq!(
            args("down", json!({"delete": true, "approval": "x"})),
            "down --format json --delete"
        );
        assert_eq!(
            args(
                "logs",
                json!({"service": "api", "tail": 5, "previous": true, "since": "5m", "contains": "x"})
            ),
            "logs --format json --tail=5 --since=5m --previous -- api"
        );
        assert_eq!(
            args(
                "run",
                json!({"service": "api", "command": ["ls", "--format", "table"]})
            ),
            "sh --format json api -- ls --format table"
        );
        assert_eq!(
            args("settle", json!({"services": ["api", "web"]})),
            "settle --format json --timeout 45s -- api web"
        );
        assert_eq!(
            args("restart", json!({"services": ["api"]})),
            "restart --format json -- api"
        );
        assert_eq!(
            args("ask", json!({"question": "--yes scale web to 3"})),
            "ask --format json -- --yes scale web to 3"
        );
        let plan = call(
            "apply_plan",
            json!({"steps": [{"verb": "restart"}], "approval": "0a1b"}),
        );
        assert_eq!(
            plan.command.args.join(" "),
            "change --format json --approve=0a1b -"
        );
        assert_eq!(
            plan.command.input.as_deref(),
            Some(r#"{"version":1,"steps":[{"verb":"restart"}]}"#)
        );
    }

    #[test]
    fn a_call_answers_before_its_client_gives_it_up() {
        let minute = Duration::from_secs(60);
        for (name, given) in [
            ("settle", json!({})),
            ("up", json!({})),
            ("down", json!({})),
            ("restart", json!({"services": ["a"]})),
            ("ask", json!({"question": "pods"})),
            ("apply_plan", json!({"steps": [{}]})),
            ("run", json!({"service": "a", "command": ["b"]})),
        ] {
            match call(name, given).limit {
                Limit::Ends(time) | Limit::Leaves(time) => assert!(time < minute, "{name}"),
                Limit::None => panic!("{name} has no limit"),
            }
        }
    }

    #[test]
    fn the_list_is_small_and_every_tool_says_what_it_does_to_the_stack() {
        let tools: Vec<_> = TOOLS.iter().map(Definition::tool).collect();
        let list = serde_json::to_string(&json!({"tools": tools})).unwrap();
        assert!(list.len() <= 8 * 1024, "{} bytes", list.len());
        assert!(tools.len() <= 12);
        for tool in &tools {
            let hints = tool.annotations.as_ref().unwrap();
            assert!(hints.read_only_hint.is_some() && hints.idempotent_hint.is_some());
            assert!(hints.destructive_hint.is_some() && tool.title.is_some());
            assert_eq!(tool.input_schema["additionalProperties"], false);
        }
    }
}
