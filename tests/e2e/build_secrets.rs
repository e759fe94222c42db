//! Secrets and an SSH agent in builds: the build has them, and nothing keeps them.

use std::path::Path;
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::support::machine::{cluster, images_of, machine, run};
use crate::support::project::Project;
use crate::support::run::Ran;
use crate::support::wire::get;

const FILE_SECRET: &str = "//registry.example/:_authToken=of-the-file-4711";
const VARIABLE_SECRET: &str = "of-the-variable-0815";
const KEY: &str = "the key of this test";

/// Asks the agent for its keys, and to forget them all: a build may do the first only.
const CONVERSATION: &str = r#"
import os, socket, struct
agent = socket.socket(socket.AF_UNIX)
agent.connect(os.environ["SSH_AUTH_SOCK"])
def ask(kind):
    agent.sendall(struct.pack(">IB", 1, kind))
    size, = struct.unpack(">I", agent.recv(4, socket.MSG_WAITALL))
    return agent.recv(size, socket.MSG_WAITALL)
print(ask(19)[0])
keys = ask(11)
print(keys[0], keys)
"#;

const DOCKERFILE: &str = "FROM python:3.11-slim AS asked
COPY ask.py /
RUN --mount=type=ssh,required=true python3 /ask.py > /agent
FROM busybox:1
COPY www /www
COPY --from=asked /agent /www/agent
RUN --mount=type=secret,id=npmrc,required=true --mount=type=secret,id=token,required=true \
    sha256sum /run/secrets/npmrc /run/secrets/token > /www/sums
CMD [\"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/www\"]
";

/// An agent of the test's own, with one key.
struct Agent(u32);

impl Agent {
    fn start(socket: &Path) -> Self {
        let told = run(Command::new("ssh-agent").arg("-s").arg("-a").arg(socket));
        let pid = told.split_once("SSH_AGENT_PID=").unwrap().1;
        let agent = Self(pid.split(';').next().unwrap().parse().unwrap());
        let key = socket.with_extension("key");
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", KEY, "-f"]);
        run(keygen.arg(&key));
        run(Command::new("ssh-add")
            .arg("-q")
            .arg(&key)
            .env("SSH_AUTH_SOCK", socket));
        agent
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        crate::support::run::kill(self.0, rustix::process::Signal::TERM);
    }
}

fn keeps_no_secret(what: &str, bytes: &[u8]) {
    for secret in [FILE_SECRET, VARIABLE_SECRET] {
        let found = memchr::memmem::find(bytes, secret.as_bytes());
        assert_eq!(found, None, "{what} has `{secret}`");
    }
}

fn tells_no_secret(ran: &Ran) {
    keeps_no_secret("stdout", ran.stdout.as_bytes());
    keeps_no_secret("stderr", ran.stderr.as_bytes());
}

/// Looks into every file below a folder.
fn folder_keeps_no_secret(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            folder_keeps_no_secret(&entry.path());
        } else if kind.is_file() {
            let bytes = std::fs::read(entry.path()).unwrap_or_default();
            keeps_no_secret(&entry.path().display().to_string(), &bytes);
        }
    }
}

fn sum(secret: &str) -> String {
    let digest = Sha256::digest(secret);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_build_has_its_secrets_and_its_agent_and_neither_the_image_nor_devk_keeps_them() {
    cluster();
    let mut project = Project::pair("build-secrets");
    let elsewhere = machine().new_folder();
    let file = elsewhere.path().join("npmrc");
    let socket = elsewhere.path().join("agent");
    project.write("left/ask.py", CONVERSATION);
    project.write("left/Dockerfile", DOCKERFILE);
    project.edit(
        "devk.yaml",
        "  left: {context: ./left}\n",
        &format!(
            "  left:\n    context: ./left\n    secrets:\n      npmrc: {{file: {}}}\n      token: {{environment: BUILD_TOKEN}}\n    ssh: [default]\n",
            file.display()
        ),
    );

    // All that is missing is told together, before anything is built.
    project.set("SSH_AUTH_SOCK", &socket);
    let up = project.devk(&["up", "--once"]).exits(2);
    let told: serde_json::Value =
        serde_json::from_str(up.stderr.trim().lines().last().unwrap()).unwrap();
    let told = told["errors"].as_array().unwrap();
    assert_eq!(told.len(), 3, "{up:?}");
    for (error, (line, evidence)) in told.iter().zip([
        ("npmrc:", file.to_str().unwrap()),
        ("token:", "BUILD_TOKEN"),
        ("ssh:", socket.to_str().unwrap()),
    ]) {
        assert_eq!(error["code"], "image.secret", "{error}");
        assert_eq!(error["line"], project.line_of(line), "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains(evidence) && error["hint"].is_string(),
            "{error}"
        );
    }
    assert!(
        up.events()
            .iter()
            .all(|event| event["step"] != "image.build/right"),
        "{up:?}"
    );

    // A build that prints its secret, and one whose secret nobody gives.
    std::fs::write(&file, FILE_SECRET).unwrap();
    project.set("BUILD_TOKEN", VARIABLE_SECRET);
    let _agent = Agent::start(&socket);
    project.write(
        "left/Dockerfile",
        "FROM busybox:1\nRUN --mount=type=secret,id=token cat /run/secrets/token && exit 1\n",
    );
    let right = std::fs::read_to_string(project.path("right/Dockerfile")).unwrap();
    project.write(
        "right/Dockerfile",
        &format!("{right}RUN --mount=type=secret,id=netrc,required=true cat /run/secrets/netrc\n"),
    );
    let up = project.devk(&["up", "--once"]).exits(1);
    tells_no_secret(&up);
    let printed = up.end_of("image.build/left")["error"]["evidence"].to_string();
    assert!(printed.contains("***"), "{up:?}");
    let hint = up.end_of("image.build/right")["error"]["hint"].to_string();
    assert!(
        hint.contains("images: {right: {secrets: {netrc: {file: ~/.netrc}}}}"),
        "{up:?}"
    );

    // Both have what they need.
    project.write("left/Dockerfile", DOCKERFILE);
    project.write("right/Dockerfile", &right);
    let plan = project.devk(&["up", "--dry-run"]).well();
    tells_no_secret(&plan);
    let up = project.devk(&["up", "-d"]).well();
    assert_eq!(up.verdict("image.build/left"), "done", "{up:?}");
    tells_no_secret(&up);
    let page = |path: &str| get(project.port("left"), path).unwrap().body;
    let sums = page("/sums");
    assert!(
        sums.contains(&sum(FILE_SECRET)) && sums.contains(&sum(VARIABLE_SECRET)),
        "{sums}"
    );
    // SSH_AGENT_FAILURE, then SSH_AGENT_IDENTITIES_ANSWER with the key that is still there.
    let agent = page("/agent");
    assert!(
        agent.starts_with("5\n12 ") && agent.contains(KEY),
        "{agent}"
    );
    for image in images_of(&project.name) {
        let saved = Command::new("docker")
            .args(["save", &image])
            .output()
            .unwrap();
        assert!(saved.status.success() && saved.stdout.len() > 10_000);
        keeps_no_secret(&image, &saved.stdout);
        let history = Command::new("docker")
            .args(["history", "--no-trunc", &image])
            .output()
            .unwrap();
        keeps_no_secret(&image, &history.stdout);
    }
    folder_keeps_no_secret(&machine().state());
    folder_keeps_no_secret(project.path("").as_path());

    // A secret is no part of what the image is called.
    std::fs::write(&file, "another one").unwrap();
    let again = project.devk(&["up", "-d"]).well();
    assert_eq!(again.verdict("image.build/left"), "skipped", "{again:?}");
}
