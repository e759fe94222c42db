//! What BuildKit reports while it builds: which instruction runs, what it printed, and which one failed.

use std::collections::{HashMap, VecDeque};

use bollard::moby::buildkit::v1::{StatusResponse, Vertex};

use crate::dockerfile::{Instruction, instructions};

/// A failing instruction is shown with this many of its last lines.
const MAX_EVIDENCE_LINES: usize = 30;

/// The state of one build, fed with BuildKit's status messages.
#[derive(Debug, Default)]
pub(super) struct BuildTrace {
    logs: HashMap<String, Log>,
    /// By digest: `[builder 3/5] RUN npm ci`.
    names: HashMap<String, String>,
    /// The digest of the instruction that ended the build.
    failed: Option<String>,
}

/// The instruction that ended a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failed {
    /// `[builder 3/5] RUN npm ci`.
    pub name: String,
    /// The last lines that it printed.
    pub printed: Vec<String>,
}

impl BuildTrace {
    /// Takes in a message; returns the text to show for the instruction that runs now.
    pub(super) fn absorb(&mut self, status: &StatusResponse) -> Option<String> {
        for log in &status.logs {
            self.logs
                .entry(log.vertex.clone())
                .or_default()
                .push(&String::from_utf8_lossy(&log.msg));
        }
        let names = status.vertexes.iter();
        self.names
            .extend(names.map(|vertex| (vertex.digest.clone(), one_line(&vertex.name))));
        if let Some(vertex) = status.vertexes.iter().find(|vertex| is_cause(vertex)) {
            self.failed.get_or_insert_with(|| vertex.digest.clone());
        }
        let running = |vertex: &&Vertex| vertex.started.is_some() && vertex.completed.is_none();
        status
            .vertexes
            .iter()
            .rfind(running)
            .map(|vertex| one_line(&vertex.name))
    }

    /// The instruction that ended the build, `said` being BuildKit's last words. They may come before the status
    /// message that names the instruction, and the Engine stops reporting with them (seen with 20.10).
    pub(super) fn failed(&self, said: &str) -> Option<Failed> {
        let digest = self.failed.as_ref().or_else(|| {
            let ran = |(_, name): &(&String, &String)| runs(said, name);
            self.names.iter().find(ran).map(|(digest, _)| digest)
        })?;
        Some(Failed {
            name: self.names.get(digest).cloned().unwrap_or_default(),
            printed: self.logs.get(digest).map(Log::lines).unwrap_or_default(),
        })
    }
}

/// Instructions that are stopped because another one failed report an error too.
fn is_cause(vertex: &Vertex) -> bool {
    !vertex.error.is_empty() && !vertex.error.contains("context canceled")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The last lines that one instruction printed; chunks may end inside of a line.
#[derive(Debug, Default)]
struct Log {
    complete: VecDeque<String>,
    open: String,
}

impl Log {
    fn push(&mut self, chunk: &str) {
        self.open.push_str(chunk);
        while let Some(end) = self.open.find('\n') {
            let line: String = self.open.drain(..=end).collect();
            self.complete.push_back(shown(&line));
            if self.complete.len() > MAX_EVIDENCE_LINES {
                self.complete.pop_front();
            }
        }
    }

    fn lines(&self) -> Vec<String> {
        let open = (!self.open.is_empty()).then(|| shown(&self.open));
        self.complete.iter().cloned().chain(open).collect()
    }
}

/// The text that a terminal shows of a line with carriage returns.
fn shown(line: &str) -> String {
    let line = line.trim_end_matches(['\n', '\r']);
    line.rsplit('\r').next().unwrap_or(line).to_owned()
}

/// The line of the Dockerfile that BuildKit's vertex `[stage 3/5] RUN npm ci` belongs to: the first
/// instruction with the same words. None for vertices without an instruction.
pub(super) fn line_of(vertex: &str, dockerfile: &str) -> Option<u32> {
    let name = vertex
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
        .map_or(vertex, |(_, name)| name);
    let wanted = one_line(name);
    let is_it = |i: &Instruction| {
        let text = format!("{} {}", i.keyword, one_line(&i.text));
        same_instruction(text.trim_end(), &wanted)
    };
    let mut instructions = instructions(dockerfile).into_iter();
    instructions.find(is_it).map(|found| found.line)
}

/// The RUN instruction, with its line, whose command `said` shows.
pub(super) fn run_line(said: &str, dockerfile: &str) -> Option<(String, u32)> {
    instructions(dockerfile).into_iter().find_map(|i| {
        let name = format!("{} {}", i.keyword, one_line(&i.text));
        runs(said, &name).then_some((name, i.line))
    })
}

/// Whether BuildKit's words are of the process of this instruction: `executor failed running [/bin/sh -c npm ci]: …`
/// (0.8), or `process "/bin/sh -c npm ci" did not …` with the quotes of Go.
fn runs(said: &str, name: &str) -> bool {
    let Some((_, mut command)) = name.split_once("RUN ") else {
        return false;
    };
    while let Some((_, rest)) = command
        .split_once(' ')
        .filter(|(flag, _)| flag.starts_with("--"))
    {
        command = rest;
    }
    let quoted = command.replace('\\', r"\\").replace('"', r#"\""#);
    let said = one_line(said);
    said.contains(&format!(" {command}]: ")) || said.contains(&format!(" {quoted}\" did not "))
}

/// BuildKit shortens a heredoc to its first line: `RUN <<EOF (set -e...)`.
fn same_instruction(text: &str, wanted: &str) -> bool {
    let wanted = match wanted.split_once(' ') {
        Some((keyword, rest)) => format!("{} {rest}", keyword.to_uppercase()),
        None => wanted.to_uppercase(),
    };
    let heredoc = wanted.split_once(" (").map_or("", |(start, _)| start);
    text == wanted || (heredoc.contains("<<") && text == heredoc)
}

#[cfg(test)]
mod tests {
    use bollard::moby::buildkit::v1::VertexLog;

    use super::*;

    fn vertex(digest: &str, name: &str, error: &str) -> Vertex {
        Vertex {
            digest: digest.to_owned(),
            name: name.to_owned(),
            error: error.to_owned(),
            started: Some(Default::default()),
            ..Default::default()
        }
    }

    fn log(digest: &str, text: &str) -> VertexLog {
        VertexLog {
            vertex: digest.to_owned(),
            msg: text.as_bytes().to_vec(),
            ..Default::default()
        }
    }

    #[test]
    fn the_running_instruction_is_what_is_shown() {
        let mut trace = BuildTrace::default();
        let status = StatusResponse {
            vertexes: vec![vertex("a", "[2/3] RUN  npm   ci", "")],
            ..Default::default()
        };
        assert_eq!(trace.absorb(&status).unwrap(), "[2/3] RUN npm ci");
        assert_eq!(trace.absorb(&StatusResponse::default()), None);
    }

    #[test]
    fn the_failing_instruction_is_the_cause_and_not_what_was_cancelled_with_it() {
        let mut trace = BuildTrace::default();
        let vertexes = vec![
            vertex("a", "[base 1/1] RUN sleep 9", "context canceled"),
            vertex("b", "[2/3] RUN npm ci", "exit code: 1"),
        ];
        let logs = vec![
            log("a", "quiet\n"),
            log("b", "npm E"),
            log("b", "RR!\nlast"),
        ];
        trace.absorb(&StatusResponse {
            vertexes,
            logs,
            ..Default::default()
        });
        let failed = trace.failed("").unwrap();
        assert_eq!(failed.name, "[2/3] RUN npm ci");
        assert_eq!(failed.printed, ["npm ERR!", "last"]);
    }

    #[test]
    fn an_instruction_that_was_not_reported_as_failed_is_found_by_its_command() {
        let mut trace = BuildTrace::default();
        let old = "executor failed running [/bin/sh -c npm  ci \"x\"]: exit code: 137";
        let new =
            r#"process "/bin/sh -c npm ci \"x\"" did not complete successfully: exit code: 137"#;
        assert_eq!(trace.failed(old), None);
        let vertexes = vec![
            vertex("a", "[2/4] RUN npm", ""),
            vertex(
                "b",
                "[3/4] RUN --mount=type=cache,target=/x npm ci \"x\"",
                "",
            ),
        ];
        trace.absorb(&StatusResponse {
            vertexes,
            logs: vec![log("b", "npm ERR!\n")],
            ..Default::default()
        });
        let dockerfile = "FROM a\nRUN npm\nRUN --mount=type=cache,target=/x npm  ci \"x\"\n";
        for said in [old, new] {
            assert_eq!(trace.failed(said).unwrap().printed, ["npm ERR!"]);
            assert_eq!(run_line(said, dockerfile).unwrap().1, 3);
        }
        assert_eq!(trace.failed("exit code: 137"), None);
    }

    #[test]
    fn only_the_last_lines_of_a_long_log_are_kept() {
        let mut all = Log::default();
        (0..1000).for_each(|n| all.push(&format!("line {n}\n")));
        all.push("10%\r50%\r100%\n");
        assert_eq!(all.lines().len(), MAX_EVIDENCE_LINES);
        assert_eq!(all.lines().last().unwrap(), "100%");
    }

    #[test]
    fn a_vertex_is_found_in_the_dockerfile() {
        let dockerfile = "FROM a AS builder\n# why\nRUN apt-get update && \\\n    # inside\n    apt-get install x\n\
                          copy a b\nRUN <<EOF\nset -e\nEOF\n";
        assert_eq!(
            line_of(
                "[builder 2/4] RUN apt-get update &&     apt-get install x",
                dockerfile
            ),
            Some(3)
        );
        assert_eq!(line_of("[builder 3/4] COPY a b", dockerfile), Some(6));
        assert_eq!(
            line_of("[builder 4/4] RUN <<EOF (set -e...)", dockerfile),
            Some(7)
        );
        assert_eq!(
            line_of(
                "[internal] load build definition from Dockerfile",
                dockerfile
            ),
            None
        );
    }

    #[test]
    fn the_line_is_right_with_another_escape_character_and_around_here_documents() {
        let dockerfile = "# escape=`\nFROM a\nRUN one && `\n  two\nCOPY x c:\\\nRUN <<EOF\nRUN npm ci\n  COPY a b\nEOF\n\
                          COPY a b\nRUN npm ci\n";
        let line = |vertex: &str| line_of(vertex, dockerfile);
        assert_eq!(line("[2/6] RUN one &&   two"), Some(3));
        assert_eq!(line("[3/6] COPY x c:\\"), Some(5));
        assert_eq!(line("[4/6] RUN <<EOF (RUN npm ci...)"), Some(6));
        assert_eq!(line("[5/6] COPY a b"), Some(10));
        assert_eq!(line("[6/6] RUN npm ci"), Some(11));
    }
}
