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
    failed: Option<Failed>,
}

/// The instruction that ended a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failed {
    /// `[builder 3/5] RUN npm ci`.
    pub name: String,
    /// BuildKit's own words.
    pub error: String,
    digest: String,
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
        if let Some(vertex) = status.vertexes.iter().find(|vertex| is_cause(vertex)) {
            self.failed.get_or_insert_with(|| Failed {
                name: one_line(&vertex.name),
                error: vertex.error.clone(),
                digest: vertex.digest.clone(),
            });
        }
        let running = |vertex: &&Vertex| vertex.started.is_some() && vertex.completed.is_none();
        status
            .vertexes
            .iter()
            .rfind(running)
            .map(|vertex| one_line(&vertex.name))
    }

    pub(super) fn failed(&self) -> Option<&Failed> {
        self.failed.as_ref()
    }

    /// The last lines that the failing instruction printed.
    pub(super) fn last_lines(&self) -> Vec<String> {
        let log = self
            .failed
            .as_ref()
            .and_then(|failed| self.logs.get(&failed.digest));
        log.map(Log::lines).unwrap_or_default()
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
        assert_eq!(trace.failed().unwrap().name, "[2/3] RUN npm ci");
        assert_eq!(trace.last_lines(), ["npm ERR!", "last"]);
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
