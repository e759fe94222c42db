//! `cargo xtask agents [MINUTES]`: three coding agents at once, each with `devk mcp` in a worktree of its own. They save,
//! break and mend the demo, and ask `settle` after each save: the next request must have what it says is live, what
//! broke must be told, and nobody may see what belongs to another. Beside each `settle` that waits for something to be
//! live, another client asks the service itself, for when the first new answer came.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::argument;
use super::figures::percentile;
use super::trees::Trees;
use super::wire::body;

const MINUTES: u64 = 10;
const AGENTS: usize = 3;
/// How long a save may take that goes through a build and a rollout, with others at the same time.
const PATIENCE: Duration = Duration::from_secs(240);
/// Between two questions of the client that waits for the first new answer.
const PERIOD: Duration = Duration::from_millis(5);

const API: Place = Place {
    file: "api/app/main.py",
    from: "VERSION = \"1.0.0\"",
};
const WEB: Place = Place {
    file: "web/src/server.js",
    from: "\"not found\\n\"",
};
const PAGE_START: Place = Place {
    file: "web/src/server.js",
    from: "const port =",
};
const CHART: Place = Place {
    file: "chart/templates/api.yaml",
    from: "{{ .Values.api.stackName | quote }}",
};
const DOCKERFILE: Place = Place {
    file: "web/Dockerfile",
    from: "EXPOSE 4173",
};

/// Text that a file of the demo has once, and agents replace.
struct Place {
    file: &'static str,
    from: &'static str,
}

pub(crate) fn main(args: &[String]) -> Result<()> {
    let minutes = argument(args, MINUTES, "minutes", "agents [MINUTES]")?;
    let trees = Trees::make(AGENTS)?;
    for number in 0..AGENTS {
        let took = trees.up(number, &[])?;
        eprintln!("agents: {} is up after {took:.1?}", trees.name(number));
    }
    let until = Instant::now() + Duration::from_secs(minutes * 60);
    let counts = thread::scope(|scope| {
        let threads: Vec<_> = (0..AGENTS)
            .map(|number| {
                scope.spawn({
                    let trees = &trees;
                    move || Agent::start(trees, number)?.work(number, until)
                })
            })
            .collect();
        let counts = threads.into_iter().map(|thread| match thread.join() {
            Ok(count) => count,
            Err(_panic) => bail!("an agent panicked"),
        });
        counts.collect::<Result<Vec<_>>>()
    })?;
    tell(&counts)
}

/// Milliseconds since the saves of one kind.
#[derive(Default)]
struct Took {
    settled: Vec<f64>,
    /// Until the service itself gave the first new answer; of saves that break something there is none.
    answered: Vec<f64>,
}

/// What came of an agent's saves, by their kind.
#[derive(Default)]
struct Count {
    took: BTreeMap<&'static str, Took>,
    wrong: Vec<String>,
}

fn tell(counts: &[Count]) -> Result<()> {
    let mut all = BTreeMap::<_, Took>::new();
    for (kind, took) in counts.iter().flat_map(|count| &count.took) {
        let of_kind = all.entry(*kind).or_default();
        of_kind.settled.extend(&took.settled);
        of_kind.answered.extend(&took.answered);
    }
    println!("| Save | times | settled after, p50 | p95 | first new answer after, p50 | p95 |");
    println!("|---|---:|---:|---:|---:|---:|");
    for (kind, Took { settled, answered }) in &all {
        let [half, most] = shares(settled);
        let [first, last] = shares(answered);
        let times = settled.len();
        println!("| {kind} | {times} | {half} | {most} | {first} | {last} |");
    }
    let wrong: Vec<_> = counts.iter().flat_map(|count| &count.wrong).collect();
    wrong.iter().for_each(|wrong| println!("WRONG {wrong}"));
    let saves: usize = all.values().map(|took| took.settled.len()).sum();
    println!("\n{AGENTS} agents, {saves} saves, {} wrong", wrong.len());
    ensure!(saves > 0 && wrong.is_empty(), "an agent was misled");
    Ok(())
}

/// The median and the 95th percentile.
fn shares(figures: &[f64]) -> [String; 2] {
    [50, 95].map(|share| match figures {
        [] => String::new(),
        figures => format!("{:.0} ms", percentile(figures, share)),
    })
}

/// Milliseconds until the service answers with the token; none if it never does before `settle` has ended.
fn first_answer(
    port: u16,
    path: &str,
    token: &str,
    since: Instant,
    ended: &AtomicBool,
) -> Option<f64> {
    loop {
        let was_ended = ended.load(Ordering::SeqCst);
        if body(port, path).is_ok_and(|answer| answer.contains(token)) {
            return Some(since.elapsed().as_secs_f64() * 1e3);
        }
        if was_ended {
            return None;
        }
        thread::sleep(PERIOD);
    }
}

/// A client of `devk mcp`, and the files that it edits.
struct Agent {
    name: String,
    others: Vec<String>,
    root: PathBuf,
    server: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    asked: u64,
    /// The host ports of the API and of the page.
    api: u16,
    web: u16,
    count: Count,
}

impl Agent {
    fn start(trees: &Trees, number: usize) -> Result<Self> {
        let root = trees.root(number);
        let mut command = trees.command(&root, &["mcp"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut server = command.spawn()?;
        let stdin = server.stdin.take().context("no standard input")?;
        let stdout = server.stdout.take().context("no standard output")?;
        let others = (0..AGENTS).filter(|other| *other != number);
        let mut agent = Self {
            name: trees.name(number),
            others: others.map(|other| mark(&trees.name(other))).collect(),
            root,
            server,
            stdin,
            stdout: BufReader::new(stdout),
            asked: 0,
            api: 0,
            web: 0,
            count: Count::default(),
        };
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "agent", "version": "1"}});
        agent.ask("initialize", &params)?;
        let ports = agent.call("ports", &json!({}))?;
        let port = |name: &str| -> Result<u16> {
            let url = ports["env"][name]
                .as_str()
                .with_context(|| ports.to_string())?;
            let port = url.rsplit(':').next().context("no port")?;
            Ok(port.parse()?)
        };
        (agent.api, agent.web) = (port("API_URL")?, port("WEB_URL")?);
        Ok(agent)
    }

    /// Every agent goes through the kinds of saves in an order of its own.
    fn work(mut self, number: usize, until: Instant) -> Result<Count> {
        const KINDS: [fn(&mut Agent, &str) -> Result<()>; 6] = [
            Agent::syncs_the_api,
            Agent::syncs_the_page,
            Agent::breaks_the_api,
            Agent::breaks_the_page,
            Agent::changes_the_chart,
            Agent::changes_a_dockerfile,
        ];
        let step = 2 * number + 1;
        for save in 0.. {
            if Instant::now() >= until {
                break;
            }
            let token = format!("{}{save}", mark(&self.name));
            // Builds and rollouts take most of the time: one in eight saves is one.
            let kind = match save % 16 {
                7 => 4,
                15 => 5,
                at => at * step % 4,
            };
            KINDS[kind](&mut self, &token).with_context(|| token.clone())?;
        }
        self.server.kill()?;
        self.server.wait()?;
        Ok(self.count)
    }

    fn syncs_the_api(&mut self, token: &str) -> Result<()> {
        self.save(&API, &format!("VERSION = \"{token}\""))?;
        self.is_answered("API saved", (self.api, "/"), token)?;
        self.api_says("version", token)
    }

    fn syncs_the_page(&mut self, token: &str) -> Result<()> {
        self.save(&WEB, &format!("\"{token}\""))?;
        self.is_answered("page saved", (self.web, "/missing"), token)?;
        self.page_says(token)
    }

    fn breaks_the_api(&mut self, token: &str) -> Result<()> {
        self.save(&API, &format!("raise SystemExit(\"{token}\")"))?;
        self.is_broken("API broken", token)?;
        self.syncs_the_api(token)
    }

    fn breaks_the_page(&mut self, token: &str) -> Result<()> {
        let throws = format!("throw new Error(\"{token}\");\nconst port =");
        self.save(&PAGE_START, &throws)?;
        self.is_broken("page broken", token)?;
        self.syncs_the_page(token)
    }

    fn changes_the_chart(&mut self, token: &str) -> Result<()> {
        self.save(&CHART, "{{ .Values.api.stackName | nonsense }}")?;
        self.is_broken("chart broken", "nonsense")?;
        self.save(&CHART, token)?;
        self.is_answered("chart changed", (self.api, "/"), token)?;
        self.api_says("stack", token)
    }

    fn changes_a_dockerfile(&mut self, token: &str) -> Result<()> {
        self.save(&DOCKERFILE, &format!("EXPOSE 4173\nENV TOKEN={token}"))?;
        self.is_live("Dockerfile changed", token)?;
        let ran = self.call(
            "run",
            &json!({"service": "web", "command": ["printenv", "TOKEN"]}),
        )?;
        self.judge(
            ran["stdout"] == format!("{token}\n"),
            token,
            &ran.to_string(),
        );
        Ok(())
    }

    /// Replaces the text in the demo's own file, so that a save undoes the one before it.
    fn save(&self, place: &Place, to: &str) -> Result<()> {
        let whole = fs::read_to_string(format!("profiles/demo/{}", place.file))?;
        ensure!(
            whole.contains(place.from),
            "`{}` is not in {}",
            place.from,
            place.file
        );
        fs::write(
            self.root.join(place.file),
            whole.replacen(place.from, to, 1),
        )?;
        Ok(())
    }

    /// What is live is asked for by another client at the same time.
    fn is_answered(
        &mut self,
        kind: &'static str,
        (port, path): (u16, &str),
        token: &str,
    ) -> Result<()> {
        let (since, ended) = (Instant::now(), AtomicBool::new(false));
        let answered = thread::scope(|scope| {
            let client = scope.spawn(|| first_answer(port, path, token, since, &ended));
            let live = self.is_live(kind, token);
            ended.store(true, Ordering::SeqCst);
            live.map(|()| client.join().ok().flatten())
        })?;
        let took = self.count.took.entry(kind).or_default();
        took.answered.extend(answered);
        Ok(())
    }

    fn is_live(&mut self, kind: &'static str, token: &str) -> Result<()> {
        let settled = self.settle(kind)?;
        self.judge(settled["settled"] == true, token, &settled.to_string());
        Ok(())
    }

    /// The failure is told with the program's own words.
    fn is_broken(&mut self, kind: &'static str, words: &str) -> Result<()> {
        let settled = self.settle(kind)?;
        let failures = settled["failures"].to_string();
        self.judge(
            settled["settled"] == false && failures.contains(words),
            words,
            &settled.to_string(),
        );
        Ok(())
    }

    fn settle(&mut self, kind: &'static str) -> Result<Value> {
        let since = Instant::now();
        loop {
            let settled = self.call("settle", &json!({}))?;
            let waits = settled["waiting_for"]
                .as_array()
                .is_some_and(|waits| !waits.is_empty());
            if !waits {
                let took = since.elapsed().as_secs_f64() * 1e3;
                self.count.took.entry(kind).or_default().settled.push(took);
                return Ok(settled);
            }
            ensure!(since.elapsed() < PATIENCE, "not settled: {settled}");
        }
    }

    fn api_says(&mut self, key: &str, token: &str) -> Result<()> {
        let answer = body(self.api, "/")?;
        let document: Value = serde_json::from_str(&answer).with_context(|| answer.clone())?;
        self.judge(document[key] == token, token, &answer);
        Ok(())
    }

    fn page_says(&mut self, token: &str) -> Result<()> {
        let answer = body(self.web, "/missing")?;
        self.judge(answer == token, token, &answer);
        Ok(())
    }

    fn judge(&mut self, is_right: bool, wanted: &str, got: &str) {
        if !is_right || self.others.iter().any(|other| got.contains(other)) {
            let wrong = format!("{}: wanted `{wanted}`, got {got}", self.name);
            eprintln!("WRONG {wrong}");
            self.count.wrong.push(wrong);
        }
    }

    fn call(&mut self, tool: &str, arguments: &Value) -> Result<Value> {
        let result = self.ask("tools/call", &json!({"name": tool, "arguments": arguments}))?;
        let text = result["content"][0]["text"]
            .as_str()
            .with_context(|| result.to_string())?;
        ensure!(result["isError"] != true, "{tool}: {text}");
        Ok(serde_json::from_str(text)?)
    }

    fn ask(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.asked += 1;
        let message =
            json!({"jsonrpc": "2.0", "id": self.asked, "method": method, "params": params});
        self.stdin.write_all(format!("{message}\n").as_bytes())?;
        loop {
            let mut line = String::new();
            ensure!(self.stdout.read_line(&mut line)? > 0, "the server ended");
            let message: Value = serde_json::from_str(&line)?;
            if message["id"] == self.asked {
                ensure!(message["error"].is_null(), "{method}: {message}");
                return Ok(message["result"].clone());
            }
        }
    }
}

/// What every token of an agent begins with, and no other one's.
fn mark(name: &str) -> String {
    format!("of-{name}-number-")
}
