//! The one error type: what failed, the evidence, and the next command to type.
//!
//! Every error carries a stable [`Code`]; the table of codes is the source of `docs/errors.md` (a test compares the two).

mod exit;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use exit::Exit;

macro_rules! codes {
    ($($variant:ident => $text:literal, $exit:ident, $meaning:literal;)+) => {
        /// A stable error code. Agents and scripts match on the text, people read the message.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Code { $(#[doc = $meaning] #[serde(rename = $text)] $variant,)+ }

        impl Code {
            /// Every code, in the order of docs/errors.md.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable text, `subject.problem`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The exit code a command ends with when this is its worst error.
            pub const fn exit(self) -> Exit {
                match self { $(Self::$variant => Exit::$exit,)+ }
            }

            /// One line for docs/errors.md.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }
        }
    };
}

codes! {
    // configuration
    ConfigMissing => "config.missing", Usage, "there is no devk.yaml in this folder or above it";
    ConfigSyntax => "config.syntax", Usage, "a file is not valid YAML, or a value has the wrong type";
    ConfigUnknownKey => "config.unknown-key", Usage, "devk.yaml has a key that devk does not know";
    ConfigMissingKey => "config.missing-key", Usage, "devk.yaml lacks a key that devk needs";
    ConfigValue => "config.value", Usage, "a value in devk.yaml is out of range or contradicts another";
    ConfigProfile => "config.profile", Usage, "the profile is not one of the built-in ones";
    ConfigPath => "config.path", Usage, "a file or folder that devk.yaml names does not exist";
    ConfigVariable => "config.variable", Usage, "a `${…}` reference names nothing that devk knows";
    InitAmbiguous => "init.ambiguous", Usage, "the repository has several charts, and nothing says which of them make up the stack";
    InitNothing => "init.nothing", Usage, "the repository has neither a chart nor Kubernetes manifests";
    ChartUncommitted => "chart.uncommitted", Usage, "`--fix` would change files whose text of now is in no commit";
    ChartChanged => "chart.changed", Failed, "a file was changed while devk made a change of it";
    ChartExists => "chart.exists", Usage, "there is something where devk would write a chart";
    Usage => "usage", Usage, "an option does not fit the command";
    // Compose
    ComposeMissing => "compose.missing", Usage, "there is no Compose file in this folder or above it";
    ComposeFile => "compose.file", Usage, "a Compose file, or a file that one names, cannot be read";
    ComposeName => "compose.name", Usage, "the Compose project has no valid name";
    ComposeValue => "compose.value", Usage, "a value in a Compose file has the wrong form";
    ComposePort => "compose.port", Usage, "a port in a Compose file cannot be read";
    ComposeMerge => "compose.merge", Usage, "two Compose files cannot be merged";
    ComposeExtends => "compose.extends", Usage, "`extends` names a service that does not exist";
    ComposeInclude => "compose.include", Usage, "`include` cannot be read, or defines a name that is defined already";
    ComposeCycle => "compose.cycle", Usage, "Compose files or services lead back to themselves";
    ComposeReference => "compose.reference", Usage, "a Compose service refers to something that is not defined or not active";
    ComposeConflict => "compose.conflict", Usage, "two settings of a Compose service contradict each other";
    ComposeSyntax => "compose.syntax", Usage, "a Compose file or an env file is not valid YAML or `KEY=value` text";
    ComposeVariable => "compose.variable", Usage, "a `${…}` in a Compose file is malformed, required and not set, or no number where one is needed";
    ComposeSchema => "compose.schema", Usage, "a Compose file has a key or value that Compose does not accept";
    // the machine
    LimitMemory => "limit.memory", Usage, "the machine has less free memory than one more stack needs";
    LimitFiles => "limit.files", Usage, "the shell lets devk open too few files";
    // tools
    DockerUnavailable => "docker.unavailable", Usage, "the Docker Engine does not answer";
    DockerRequest => "docker.request", Failed, "the Docker Engine refused a request or broke off";
    ToolMissing => "tool.missing", Usage, "a program that devk runs is not on PATH";
    CommandNotRun => "command.not-run", Failed, "a program that devk runs could not be started, or devk could not wait for its end";
    CommandFailed => "command.failed", Failed, "a program that devk ran ended with an error";
    CommandKilled => "command.killed", Failed, "a program that devk ran was killed";
    // ports
    PortHeld => "port.held", Usage, "an explicit local port is held by something else";
    PortNone => "port.none", Usage, "no free local port is left for a forward";
    ForwardTarget => "forward.target", Usage, "a forward names a Service or port that the charts do not render";
    ForwardNoPod => "forward.no-pod", Failed, "a connection found no Ready pod behind its forward";
    ForwardBroken => "forward.broken", Failed, "a forwarded connection failed on its way to the pod";
    // images
    ImageContext => "image.context", Usage, "the build context or Dockerfile cannot be read";
    ImageBuild => "image.build", Failed, "an image did not build";
    ImageSecret => "image.secret", Usage, "a secret or an SSH agent that an image's build needs is not there";
    ImageChanged => "image.changed", Failed, "the build context changed between hashing and sending";
    ImageLoad => "image.load", Failed, "an image did not reach a node, or arrived changed";
    ImageNowhere => "image.nowhere", Failed, "an image that pods are to run is not built by devk, and neither Docker, nor every node, nor a registry has it";
    ImageRegistry => "image.registry", Usage, "an image cannot be brought to the nodes of the cluster: they are out of Docker's reach, or run no containerd";
    ImageUnused => "image.unused", Usage, "an image that devk builds appears in no rendered manifest";
    // charts and releases
    ChartMissing => "chart.missing", Usage, "the chart folder has no Chart.yaml";
    ChartDependency => "chart.dependency", Usage, "`helm dependency build` failed";
    ChartRender => "chart.render", Usage, "the chart does not render";
    ChartKind => "chart.kind", Failed, "the chart renders an object of a kind that the cluster does not know";
    ManifestInvalid => "manifest.invalid", Usage, "a file that `manifests` names is no manifest, or holds an object that helm cannot keep, or one twice";
    KustomizeBuild => "kustomize.build", Usage, "a kustomization does not render";
    ReleaseApply => "release.apply", Failed, "`helm upgrade --install` failed";
    ReleaseConflict => "release.conflict", Usage, "an object of the release belongs to another release, or to none";
    ReleaseBusy => "release.busy", Failed, "another helm operation holds the release";
    ReleaseNotReady => "release.not-ready", Failed, "a workload did not become ready";
    // cluster
    ClusterCreate => "cluster.create", Failed, "the cluster could not be created or started";
    ClusterPin => "cluster.pin", Usage, "the cluster is not the one that devk pinned";
    ClusterUnreachable => "cluster.unreachable", Failed, "the cluster's API server does not answer";
    ClusterContext => "cluster.context", Usage, "your kubeconfig has no such context, or the context has no usable cluster";
    ClusterRemote => "cluster.remote", Usage, "an existing cluster is on another machine, and devk.yaml does not allow that";
    NamespaceForeign => "cluster.namespace", Usage, "the project's namespace exists and was not made by devk";
    NamespaceHeld => "cluster.namespace-held", Failed, "the project's namespace is being removed, and an object with a finalizer holds it";
    // bridge
    BridgeServer => "bridge.server", Usage, "no service of Compose, or more than one, serves Postgres";
    BridgePort => "bridge.port", Usage, "Compose publishes no fixed port of its Postgres";
    BridgeUnreachable => "bridge.unreachable", Usage, "Compose's Postgres does not answer";
    BridgeLogin => "bridge.login", Usage, "Compose's Postgres refuses the login, or the user may not create databases";
    BridgeName => "bridge.name", Usage, "charts, URLs or Postgres cannot take the name of the separate database unchanged";
    BridgeInUse => "bridge.in-use", Usage, "Compose or another project uses the name of the separate database";
    BridgeShared => "bridge.shared", Usage, "a chart would share another database with Compose";
    BridgeValues => "bridge.values", Usage, "the chart's values for an external database are not found";
    BridgeOnce => "bridge.once", Usage, "the relay would end with `up --once`";
    BridgeDatabase => "bridge.database", Failed, "the separate database could not be made";
    BridgeGateway => "bridge.gateway", Failed, "devk cannot find the address by which pods reach this machine";
    BridgeRelay => "bridge.relay", Failed, "the relay cannot listen at the gateway address";
    BridgeService => "bridge.service", Failed, "the Service that devk would create exists and is not devk's";
    BridgeProbe => "bridge.probe", Failed, "pods would not reach the database";
    // sync
    SyncUnchecked => "sync.unchecked", Failed, "devk could not yet compare an image with its sync rules";
    SyncWatch => "sync.watch", Failed, "a build context cannot be watched";
    // session
    NotLive => "session.not-live", Failed, "a change was not brought live; the pods that ran before keep running";
    ProgramEnded => "session.program-ended", Failed, "a program ended with a save, or its pod does not run";
    SessionLost => "session.lost", Failed, "the supervisor ended without an answer";
    SessionMissed => "session.missed", Failed, "a client read too slowly and missed steps";
    SessionOutdated => "session.outdated", Usage, "the session runs another build of devk than the client";
    SessionProject => "session.project", Usage, "devk.yaml names another project than the running session, or the session is that of another folder";
    SessionNone => "session.none", Usage, "no session of this project is running";
    ServiceUnknown => "service.unknown", Usage, "the project has no service of that name, or several that end in it";
    TourProject => "tour.project", Usage, "the tour is for the demo, and the project lacks the demo's files or forwards";
    TourNote => "tour.note", Failed, "a note that the user of the tour wrote before `devk down` is not there after `devk up`";
    LogsNone => "logs.none", Failed, "there is no log of a run before";
    // changes
    ChangeInvalid => "change.invalid", Usage, "the plan of a change is not in the form of docs/change.md, or has a verb, kind or field that no such plan has";
    ChangeForbidden => "change.forbidden", Usage, "the plan of a change leaves the project's namespaces, or the role lacks a right for it";
    ChangeRefused => "change.refused", Usage, "the API server would refuse a step of a change, or the step changes nothing";
    ChangeUnapproved => "change.unapproved", Waits, "nobody approved the preview of a change, so nothing was done";
    ChangeMoved => "change.moved", Usage, "what a change was approved for is not there any more: the plan, an object or the cluster is another one";
    ChangeFailed => "change.failed", Failed, "a step of a change failed; the steps after it were not begun";
    ChangeUnverified => "change.unverified", Failed, "a change was made, and the cluster did not become what it was to lead to";
    // agents
    ApprovalNeeded => "approval.needed", Usage, "an agent asks for what a person has to approve first";
    ApprovalDeclined => "approval.declined", Usage, "a person did not agree to what an agent asked for";
    ApprovalUnknown => "approval.unknown", Usage, "there is no such approval: it is over, was used, or is for another call or project";
    AgentsFile => "agents.file", Usage, "AGENTS.md cannot be changed: it is no text, or the marks around devk's lines are damaged";
    ClientConfig => "client.config", Usage, "the configuration file of an MCP client cannot be changed";
    AskUnclear => "ask.unclear", Usage, "`devk ask` did not understand a question, or what it asks for does not fit together";
    AskName => "ask.name", Usage, "a question names an object that is not there, or several";
    AskUnread => "ask.unread", Usage, "what a question is about could not be read";
    AskChange => "ask.change", Usage, "the words ask for a change of which `devk ask` makes no plan";
    AskModel => "ask.model", Failed, "`devk ask` did not understand a question, and no model made an answer or a plan of it";
    ModelUnknown => "model.unknown", Usage, "no model has the name that was given";
    ModelUrl => "model.url", Usage, "the address of a model is none, or would send a key unencrypted to another machine";
    ModelKey => "model.key", Usage, "the key of a model cannot be read from where it is said to be";
    AuditUnwritable => "audit.unwritable", Usage, "the audit log cannot be written; what an agent asks for, and a plan that changes objects, is not begun without it";
    AuditUnreadable => "audit.unreadable", Failed, "a file of the audit log cannot be read";
    AuditBroken => "audit.broken", Found, "a record of the audit log was changed after it was written, or is missing";
    AuditUnknown => "audit.unknown", Usage, "the audit log has no act of this id, or several that begin with it";
    DownUnconfirmed => "down.unconfirmed", Usage, "nobody confirmed that all projects are to be removed";
    StateIo => "state.io", Failed, "devk's own state could not be read or written";
    StateForeign => "state.foreign", Usage, "a folder that must be private belongs to another user, or is open to others";
    OutputClosed => "output.closed", Ok, "the reader of the output has closed it; devk prints no error, and no result changes";
    OutputIo => "output.io", Failed, "the output could not be written";
    Internal => "internal", Failed, "a mistake in devk itself";
    Interrupted => "interrupted", Interrupted, "stopped by Ctrl-C before settling";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What failed (`message`, a lowercase fragment with backticked names), what shows it
/// (`evidence`), and what to type next (`hint`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    pub code: Code,
    pub message: String,
    #[serde(default)]
    pub evidence: Vec<String>,
    pub hint: Option<String>,
    pub file: Option<PathBuf>,
    /// 1-based.
    pub line: Option<u32>,
}

/// The result of anything that stops at its first problem.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            evidence: Vec::new(),
            hint: None,
            file: None,
            line: None,
        }
    }

    /// The next command to type, or the change to make.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds evidence, one line of text per line of output.
    #[must_use]
    pub fn evidence(mut self, text: impl AsRef<str>) -> Self {
        self.evidence
            .extend(text.as_ref().lines().map(str::to_owned));
        self
    }

    /// File and line of the cause in the user's files.
    #[must_use]
    pub fn at(mut self, file: impl AsRef<Path>, line: impl Into<Option<u32>>) -> Self {
        self.file = Some(file.as_ref().to_owned());
        self.line = line.into();
        self
    }

    /// Place, message and hint, for a row of a table.
    pub fn on_one_line(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{self} ({hint})"),
            None => self.to_string(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "{}:{line}: ", file.display())?,
            (Some(file), None) => write!(f, "{}: ", file.display())?,
            _ => {}
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// An error and its causes on one line: the outermost text alone is often only "client error". Many errors
/// repeat their cause in their own text; it is said once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes =
        std::iter::successors(error.source(), |cause| cause.source()).map(ToString::to_string);
    causes.fold(error.to_string(), |text, cause| {
        if text.contains(&cause) {
            text
        } else {
            format!("{text}: {cause}")
        }
    })
}

/// A `kubectl` or `helm` command for the cluster that devk pinned. Without it a command that is pasted from a hint
/// would go to whatever the user's current context is.
pub fn on_cluster(command: impl fmt::Display) -> String {
    format!("{command} --kubeconfig \"$(devk kubeconfig)\"")
}

/// A mistake of devk's own, such as a panic in a task.
pub fn internal(cause: &dyn fmt::Display) -> Error {
    Error::new(
        Code::Internal,
        format!("this is a mistake in devk: {cause}"),
    )
}

/// Problems that are reported together. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errors(pub Vec<Error>);

impl Errors {
    /// `Ok(value)` if no problem was found, else all of them.
    pub fn unless_empty<T>(problems: Vec<Error>, value: T) -> Result<T, Self> {
        if problems.is_empty() {
            Ok(value)
        } else {
            Err(Self(problems))
        }
    }

    /// True if every error says only that nobody reads the output.
    pub(crate) fn is_unread(&self) -> bool {
        self.0.iter().all(|e| e.code == Code::OutputClosed)
    }

    /// The exit code of the first problem.
    pub fn exit(&self) -> Exit {
        self.0.first().map_or(Exit::Failed, |e| e.code.exit())
    }
}

/// Problems as they are found, to be reported together.
#[derive(Debug, Default)]
pub(crate) struct Problems(pub(crate) Vec<Error>);

impl Problems {
    /// The value of a result; the problems of a failed one are collected.
    pub(crate) fn collect<T, E: Into<Errors>>(&mut self, result: Result<T, E>) -> Option<T> {
        result
            .map_err(|problems| self.0.extend(problems.into().0))
            .ok()
    }
}

impl From<Problems> for Errors {
    fn from(problems: Problems) -> Self {
        Self(problems.0)
    }
}

impl From<Error> for Errors {
    fn from(error: Error) -> Self {
        Self(vec![error])
    }
}

/// The nearest known name within two edits (one for short names), for "did you mean".
pub fn suggest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let reach = if name.chars().count() <= 4 { 1 } else { 2 };
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= reach)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_the_nearest_name_and_nothing_far_away() {
        let known = ["images", "releases", "forwards"];
        assert_eq!(suggest("image", known), Some("images"));
        assert_eq!(suggest("relaeses", known), Some("releases"));
        assert_eq!(suggest("volumes", known), None);
    }

    #[test]
    fn codes_are_unique() {
        let mut seen = std::collections::BTreeSet::new();
        assert!(Code::ALL.iter().all(|code| seen.insert(code.as_str())));
    }
}
