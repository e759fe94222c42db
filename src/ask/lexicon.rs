//! What the phrases of questions mean: one table, from which docs/ask.md is checked.
//!
//! A phrase is a pattern of [`super::pattern`]. Of all that fit, the one that takes the most words counts, so a phrase may
//! begin as another one does. A word that no phrase takes is a name.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::facts::FACTS;
use super::kind::{AskedKind, KINDS};
use super::pattern::{Slot, longest, parts};
use super::question::{AskedState, Fact, LackingSpec, Measured};
use super::tokens::QuestionWord;

/// What a phrase says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Meaning {
    /// Nothing that changes the answer.
    Filler,
    /// Nothing by itself: a question of names and such words alone asks for nothing that devk knows.
    Weak,
    /// As weak, but between a kind and a name: the one refers to the other.
    Refers,
    Asks(Verb),
    Kinds(&'static [AskedKind]),
    Fact(Fact),
    Is(AskedState),
    With(Detail),
    /// `is`, `are`, `does`: at the start of a question it is answered with yes or no.
    YesNo,
    /// `any`, `there`: one is enough.
    Any,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Count,
    Describe,
    Logs,
    Events,
    Warnings,
    Usage(Measured),
    Why,
    /// Whether all is well.
    Fine,
    /// Whether something is wrong.
    Problems,
    Changed,
    Talks,
    /// What something talks to.
    Uses,
    Cluster,
    Help,
}

/// What a value in a phrase is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    OlderThan,
    YoungerThan,
    /// From a moment on.
    Since,
    /// From a moment on; behind a day, when it is over.
    After,
    MadeAfter,
    /// A time: a day is all of it, and no more.
    At,
    /// A span before now.
    Last,
    /// The same, of the making of objects.
    MadeSince,
    MadeAt,
    MadeLast,
    InNamespace,
    /// A namespace, or the name of an object.
    In,
    Here,
    Everywhere,
    OnNode,
    Image,
    Label,
    WithLabel,
    WithoutLabel,
    RestartsOver,
    RestartsFrom,
    MemoryOver,
    CpuOver,
    ReplicasOver,
    Lines,
    First,
    Oldest,
    Newest,
    OldestOf,
    NewestOf,
    Container,
    Previous,
    Errors,
}

use Detail::*;
use Meaning::{Any, Asks, Filler, Is, Kinds, Refers, Weak, With, YesNo};
use Verb::*;

/// Every phrase but those of the kinds and facts.
#[rustfmt::skip]
pub(super) const PHRASES: &[(&str, Meaning)] = &[
    // what changes no answer
    ("a|an|the|of|for|me|us|my|our|please|pls|plz|all|that|which|what|its|it|their|them|this|these|those", Filler),
    ("show|list|get|give|tell|display|print|find|see|fetch|view|look|looking|return|check|and|also|hi|hello|hey|devk", Filler),
    ("i|we|you|can|could|would|like|to|know|now|currently|right|so|far|with|on|at", Filler),
    ("was|were|be|been|being|am|will|about|from|one|ones|only|just|exactly|really|actually|still", Filler),
    ("as|well|either|thing|things|object|objects|resource|resources|set|into|inside|having", Filler),
    ("at the moment", Filler), ("right now", Filler), ("lead|leads|leading|point|points|route|routes|routing|belong|belongs to", Weak), ("belong|belongs", Weak), ("name|names", Filler), ("called|named", Filler),
    ("kubernetes|k8s|kubectl", Filler), ("us about", Filler), ("in", Filler), ("created|started|deployed|made|start", Filler), ("long|much", Filler), ("take|takes|serve|serves|may|go|goes|want|wants|they|who|whose|whom", Weak),
    ("use|uses|using|used|consume|consumes|need|needs|read|reads|require|requires|call|calls|access|accesses|contact|contacts|query|queries", Refers), ("needed|read|called|required|accessed by", Refers), ("everything", Filler), ("app|application", Filler),
    ("exist|exists", Filler), ("currently running", Is(AskedState::Running)),
    ("is|are", YesNo), ("is|are there", Any), ("any|some|anything|something|anyone|somebody", Any), ("there", Any),
    ("do|does|has|have|did|can", YesNo), ("do|does we|i|you have", Any),
    // what is asked
    ("how many", Asks(Count)), ("count [of]", Asks(Count)), ("number of", Asks(Count)), ("total [number] [of]", Asks(Count)),
    ("how many of", Asks(Count)),
    ("describe", Asks(Describe)), ("details|detail [of|about|on|for]", Asks(Describe)), ("tell me about", Asks(Describe)),
    ("tell me more about", Asks(Describe)), ("info|information [of|about|on|for]", Asks(Describe)), ("summary|overview [of]", Asks(Describe)),
    ("everything about", Asks(Describe)), ("show me everything about", Asks(Describe)), ("how is|are", Asks(Describe)),
    ("log|logs [of|for|from]", Asks(Logs)), ("log|logs output|lines", Asks(Logs)), ("output of", Asks(Logs)),
    ("tail [of]", Asks(Logs)), ("logged|printed|logging|said|say", Asks(Logs)), ("log line|lines", Asks(Logs)),
    ("stdout [of]|console output [of]", Asks(Logs)),
    ("event|events", Asks(Events)), ("latest|recent|newest|last event|events", Asks(Events)), ("latest|recent|newest|last log|logs [of|for|from]", Asks(Logs)), ("latest|recent|last warning|warnings", Asks(Warnings)), ("what happened [to|with|in]", Asks(Events)), ("what is happening [to|with|in]", Asks(Events)),
    ("what happens [to|with|in]", Asks(Events)), ("warning|warnings", Asks(Warnings)), ("warning event|events", Asks(Warnings)),
    ("top", Asks(Usage(Measured::Memory))), ("usage", Asks(Usage(Measured::Memory))), ("resource usage|consumption|use", Asks(Usage(Measured::Memory))),
    ("memory|ram usage|consumption|use", Asks(Usage(Measured::Memory))), ("cpu usage|consumption|use|load", Asks(Usage(Measured::Cpu))),
    ("how much memory|ram", Asks(Usage(Measured::Memory))), ("how much cpu", Asks(Usage(Measured::Cpu))), ("how much cpu|memory and memory|cpu [do|does|is|are]", Asks(Usage(Measured::Memory))),
    ("how much memory|ram do|does|is|are", Asks(Usage(Measured::Memory))), ("how much cpu do|does|is|are", Asks(Usage(Measured::Cpu))),
    ("use|uses|using|used|need|needs|consume|consumes|consuming [the] most memory|ram", Asks(Usage(Measured::Memory))),
    ("use|uses|using|used|need|needs|consume|consumes|consuming [the] most cpu", Asks(Usage(Measured::Cpu))),
    ("eats|eating|hungriest|biggest|largest [for|in] memory", Asks(Usage(Measured::Memory))),
    ("memory hogs", Asks(Usage(Measured::Memory))), ("most memory", Asks(Usage(Measured::Memory))), ("most cpu", Asks(Usage(Measured::Cpu))),
    ("by memory [usage]", Asks(Usage(Measured::Memory))), ("by cpu [usage]", Asks(Usage(Measured::Cpu))),
    ("sorted|ordered by memory [usage]", Asks(Usage(Measured::Memory))), ("sorted|ordered by cpu [usage]", Asks(Usage(Measured::Cpu))),
    ("memory and cpu [usage|use]", Asks(Usage(Measured::Memory))), ("cpu and memory [usage|use]", Asks(Usage(Measured::Memory))),
    ("why [is|are|does|do|did|has|have|was|were|can|will]", Asks(Why)), ("how come", Asks(Why)),
    ("what is wrong [with]", Asks(Why)), ("what is the problem|issue|matter|cause|reason [with|of|for]", Asks(Why)),
    ("is anything|something|there wrong|broken|failing [with]", Asks(Problems)), ("what is broken|failing|unhealthy", Asks(Why)),
    ("is there anything wrong|broken [with]", Asks(Problems)), ("is everything ok|okay|fine|healthy|ready|running|up|alright|well", Asks(Fine)),
    ("is all ok|okay|fine|healthy|well", Asks(Fine)), ("any problem|problems|issue|issues|trouble|errors [with]", Asks(Problems)),
    ("is|are there [any|a] problem|problems|issue|issues|errors [with]", Asks(Problems)), ("problem|problems|issue|issues|trouble [with|of]", Asks(Why)),
    ("diagnose|troubleshoot|debug|investigate|analyze|analyse", Asks(Why)), ("what keeps|prevents|stops|blocks", Asks(Why)),
    ("what causes", Asks(Why)), ("what is keeping|preventing|stopping|blocking|causing", Asks(Why)), ("from being scheduled", Is(AskedState::Unschedulable)), ("from starting|running|working", Is(AskedState::NotRunning)), ("from being|becoming|getting ready|started", Is(AskedState::NotReady)), ("cause|reason [of|for]", Asks(Why)), ("what went wrong [with]", Asks(Why)),
    ("what needs attention", Asks(Why)), ("working [properly|correctly|fine|well]", Asks(Fine)), ("ok|okay|alright|fine", Asks(Fine)), ("doing [ok|okay|well|fine]", Asks(Fine)), ("what should i fix [first]", Asks(Why)), ("health [check] [of]", Asks(Why)), ("wrong [with]", Asks(Why)),
    ("what [has|have|is|was|were] changed|new|updated|different", Asks(Changed)), ("changes|changed", Asks(Changed)), ("what is new", Asks(Changed)),
    ("what was|were deployed|created|updated|added", Asks(Changed)), ("recent|latest changes|deployments|deploys|rollouts", Asks(Changed)),
    ("anything|something new|changed", Asks(Changed)),
    ("who|what|which [else] talks|connects|talk|connect to|with", Asks(Talks)), ("who|what|which calls|accesses|reaches|needs", Asks(Talks)),
    ("who|what|which depends|depend|relies|rely on|upon", Asks(Talks)), ("who|what is talking|connecting to", Asks(Talks)),
    ("clients|consumers|callers|users|dependents of", Asks(Talks)), ("talk|talks|connect|connects|connecting|talking to|with", Asks(Talks)),
    ("depend|depends|rely|relies on|upon", Asks(Talks)), ("dependencies|dependency|upstreams of", Asks(Uses)), ("refer|refers to", Asks(Talks)), ("talk|talks|connect|connects", Asks(Talks)),
    ("cluster info|information|version|name|status", Asks(Cluster)), ("which|what cluster [is|am|are] [this|i|we] [on|in]", Asks(Cluster)),
    ("kubernetes|k8s|cluster|server version", Asks(Cluster)), ("version of kubernetes|k8s|[the] cluster", Asks(Cluster)),
    ("what version of kubernetes|k8s", Asks(Cluster)), ("which|what context|namespace [is|am|are] [this|i|we] [using|on|in]", Asks(Cluster)),
    ("where am i", Asks(Cluster)), ("status of the cluster", Asks(Cluster)), ("current|my namespace|context|cluster", Asks(Cluster)),
    ("help", Asks(Help)), ("what can i|you ask|answer|do", Asks(Help)), ("what do you understand|know", Asks(Help)), ("examples", Asks(Help)),
    // where and which
    ("in|from namespace|ns {word}", With(InNamespace)), ("namespace|ns {word}", With(InNamespace)), ("in|from [the] {word} namespace", With(InNamespace)),
    ("-n {word}", With(InNamespace)), ("in|within [the] {place}", With(In)), ("in total|detail|full|short|general|all", Filler), ("of namespace {word}", With(InNamespace)),
    ("in|of|from [the|this|my|our] project|stack|app|application", With(Here)), ("here", With(Here)), ("in this|my|our|the namespace", With(Here)),
    ("in here", With(Here)),
    ("everywhere|cluster-wide|clusterwide", With(Everywhere)), ("in|across|from|over|of all|every|any [the|of] [the] namespace|namespaces", With(Everywhere)),
    ("in|across|on|of [the|this|my|our] [whole|entire] cluster", With(Everywhere)), ("across namespaces", With(Everywhere)), ("[the|this|my|our] cluster", With(Everywhere)), ("-a|--all-namespaces", With(Everywhere)),
    ("all over the cluster", With(Everywhere)),
    ("older than {span}", With(OlderThan)), ("for [more|longer] than {span}", With(OlderThan)), ("more than {span} old|ago", With(OlderThan)),
    ("running [for] longer|more than {span}", With(OlderThan)), ("created|started|made [more] than {span} ago", With(OlderThan)),
    ("over {span} old", With(OlderThan)), ("at least {span} old", With(OlderThan)),
    ("younger|newer than {span}", With(YoungerThan)), ("less than {span} old|ago", With(YoungerThan)),
    ("from|of|in|within|during|for|over [the] last|past {span}", With(Last)), ("created|started|made [in|within|during] [the] last|past {span}", With(MadeLast)), ("last|past {span}", With(Last)), ("the last|past {span}", With(Last)),
    ("since {time}", With(Since)), ("after {time}", With(After)), ("since|after {span}", With(Last)), ("created|started|made since {time}", With(MadeSince)), ("created|started|made after {time}", With(MadeAfter)),
    ("created|started|made [on] {time}", With(MadeAt)), ("from|of|on {time}", With(At)), ("{time}", With(At)),
    ("on|of|to [the] node|host {word}", With(OnNode)), ("scheduled|running|placed on [the] [node] {word}", With(OnNode)),
    ("using|use|uses|with|running|run|runs|based|that [on] [the] image {word}", With(Image)), ("from image {word}", With(Image)), ("using|use|uses|with|running|run|runs {image}", With(Image)),
    ("with|having|has|have [the|a] label|labels {label}", With(Label)), ("with|having|has|have [the|a] label {word}", With(WithLabel)), ("labelled|labeled [as|with] {label}", With(Label)), ("label|labels {label}", With(Label)), ("where|with {label}", With(Label)), ("{label}", With(Label)),
    ("-l {label}", With(Label)), ("selector {label}", With(Label)),
    ("without [the] label {word}", With(WithoutLabel)), ("missing [the] label {word}", With(WithoutLabel)),
    ("more than {number} restarts|restart", With(RestartsOver)), ("with more than {number} restarts", With(RestartsOver)), ("restarted more than {number} times", With(RestartsOver)),
    ("over {number} restarts", With(RestartsOver)), ("at least {number} restarts", With(RestartsFrom)), ("restarted at least {number} times", With(RestartsFrom)), ("{number} or more restarts", With(RestartsFrom)), ("restarts above|over {number}", With(RestartsOver)),
    ("more than|over|above {quantity} [of] memory|ram", With(MemoryOver)), ("memory [usage] over|above {quantity}", With(MemoryOver)), ("memory [usage] more than {quantity}", With(MemoryOver)),
    ("using|use more than {quantity} [of] memory|ram", With(MemoryOver)), ("using|use over|above {quantity} [of] memory|ram", With(MemoryOver)),
    ("more than|over|above {quantity} [of] cpu|cores", With(CpuOver)), ("cpu [usage] over|above {quantity}", With(CpuOver)), ("using|use more than {quantity} cpu", With(CpuOver)),
    ("more than {number} replicas|replica", With(ReplicasOver)), ("with more than {number} replicas|replica", With(ReplicasOver)),
    ("last {number} lines|line [of]", With(Lines)), ("{number} lines|line", With(Lines)), ("last {number} log lines", With(Lines)), ("tail {number}", With(Lines)),
    ("top|first|last {number}", With(First)), ("oldest", With(Oldest)), ("newest|youngest|latest", With(Newest)), ("most recent", With(Newest)), ("[most] recently created|started|made", With(Newest)), ("{number} newest|latest|youngest", With(NewestOf)), ("{number} most recent", With(NewestOf)), ("{number} oldest", With(OldestOf)), ("last line [of]", With(Errors)),
    ("container {word}", With(Container)), ("from|of|in [the] container {word}", With(Container)), ("-c {word}", With(Container)), ("of [the] {word} container", With(Container)),
    ("previous|last run|container|instance [of]", With(Previous)), ("previous|earlier [run]", With(Previous)), ("before the|its [last] restart|crash", With(Previous)), ("before it crashed|restarted|died", With(Previous)),
    ("--previous|-p", With(Previous)),
    ("error|errors [of|from]", With(Errors)), ("error|errors line|lines|messages|message", With(Errors)), ("error|errors only", With(Errors)),
    // states
    ("ready|healthy|available", Is(AskedState::Ready)), ("is|are [it] up|alive|ok|okay|fine", Is(AskedState::Ready)), ("up|alive", Is(AskedState::Ready)), ("look|looked|show|set up", Filler), ("fully available|ready", Is(AskedState::Ready)), ("up and running", Is(AskedState::Ready)), ("healthy", Is(AskedState::Ready)),
    ("not [yet] [fully] ready|available|up", Is(AskedState::NotReady)), ("unready|unavailable|down|degraded", Is(AskedState::NotReady)), ("is|are not [yet] [fully] ready|available|up", Is(AskedState::NotReady)), ("are|is down", Is(AskedState::NotReady)),
    ("never ready|become|becomes ready", Is(AskedState::NotReady)), ("not become|becoming|get|getting|come ready|up", Is(AskedState::NotReady)),
    ("running", Is(AskedState::Running)), ("run|runs", Weak), ("not running|run|start|started|starting", Is(AskedState::NotRunning)), ("is|are not running|started|starting", Is(AskedState::NotRunning)), ("stopped", Is(AskedState::NotRunning)),
    ("pending|waiting|stuck", Is(AskedState::Pending)), ("stuck in|at pending", Is(AskedState::Pending)), ("in pending [state]", Is(AskedState::Pending)), ("in [the] running state", Is(AskedState::Running)), ("still pending|waiting", Is(AskedState::Pending)),
    ("failed|errored", Is(AskedState::Failed)), ("in [an] error [state]", Is(AskedState::Failed)), ("not in [the] running state", Is(AskedState::NotRunning)), ("have|has failed", Is(AskedState::Failed)), ("fail|fails", Is(AskedState::Failed)),
    ("completed|complete|succeeded|finished|successful|done|ended", Is(AskedState::Succeeded)), ("succeed", Is(AskedState::Succeeded)), ("have|has completed|finished|succeeded|ended", Is(AskedState::Succeeded)),
    ("crashing|crashed|crash|crashes|crashlooping|crash-looping|crashloopbackoff|crashloop|dying|dies|die", Is(AskedState::Crashing)), ("crash looping|loop|loops", Is(AskedState::Crashing)),
    ("in [a] crashloopbackoff|crashloop", Is(AskedState::Crashing)), ("in [a] crash loop", Is(AskedState::Crashing)), ("keep|keeps crashing|dying", Is(AskedState::Crashing)), ("with crashloopbackoff", Is(AskedState::Crashing)),
    ("restarted|restarting", Is(AskedState::Restarted)), ("keep|keeps restarting", Is(AskedState::Restarted)), ("with restarts", Is(AskedState::Restarted)), ("have|has restarted", Is(AskedState::Restarted)), ("restart", Is(AskedState::Restarted)),
    ("oom|oomkilled|oom-killed", Is(AskedState::OutOfMemory)), ("oom killed", Is(AskedState::OutOfMemory)), ("[run|ran|runs|running] out of memory", Is(AskedState::OutOfMemory)), ("killed [for|by|because] [of] memory|oom", Is(AskedState::OutOfMemory)), ("killed", Is(AskedState::OutOfMemory)),
    ("imagepullbackoff|errimagepull", Is(AskedState::NoImage)), ("[with|having|have] image pull error|errors|problems|failures", Is(AskedState::NoImage)), ("can not pull [the|its|their] [image|images]", Is(AskedState::NoImage)), ("failing|unable to pull [the|its|their] [image|images]", Is(AskedState::NoImage)),
    ("with image problems|errors", Is(AskedState::NoImage)), ("without [an|its|their] image", Is(AskedState::NoImage)), ("in imagepullbackoff|errimagepull", Is(AskedState::NoImage)), ("not pull|pulling [the|its] [image|images]", Is(AskedState::NoImage)),
    ("terminating", Is(AskedState::Terminating)), ("[being] deleted", Is(AskedState::Terminating)),
    ("suspended|paused", Is(AskedState::Suspended)), ("active", Is(AskedState::Active)), ("not suspended", Is(AskedState::Active)),
    ("unschedulable|unscheduled|cordoned", Is(AskedState::Unschedulable)), ("not [be] scheduled|schedulable", Is(AskedState::Unschedulable)), ("can not be scheduled", Is(AskedState::Unschedulable)),
    ("evicted", Is(AskedState::Evicted)), ("bound", Is(AskedState::Bound)), ("unbound", Is(AskedState::Unbound)), ("not bound", Is(AskedState::Unbound)),
    ("scaled [down] to zero|0", Is(AskedState::ScaledToZero)), ("with|has|have no|zero|0 replicas", Is(AskedState::ScaledToZero)), ("scaled down", Is(AskedState::ScaledToZero)), ("at zero replicas", Is(AskedState::ScaledToZero)), ("asleep|sleeping", Is(AskedState::ScaledToZero)),
    ("without|no|missing [any] endpoint|endpoints|backend|backends|pods|pod", Is(AskedState::WithoutEndpoints)), ("with|has|have no [ready] endpoint|endpoints|backend|backends|pods", Is(AskedState::WithoutEndpoints)),
    ("without [any] ready pods|endpoints|pod", Is(AskedState::WithoutEndpoints)), ("select|selects|match|matches|selecting nothing|no", Is(AskedState::WithoutEndpoints)), ("not have [any] endpoint|endpoints|pods|backends", Is(AskedState::WithoutEndpoints)), ("with nothing behind [them|it]", Is(AskedState::WithoutEndpoints)),
    ("with|use|uses|using|on|run|runs|running [the] latest [tag|image|images]", Is(AskedState::LatestTag)), ("with [the] [image] tag latest", Is(AskedState::LatestTag)),
    ("with|has|have high|much|heavy memory|ram [usage]", Is(AskedState::HighMemory)), ("high memory|ram [usage]", Is(AskedState::HighMemory)), ("near|close|at [to] its|their [memory] limit|limits", Is(AskedState::HighMemory)), ("use|uses|using much|lots|a [lot] [of] memory|ram", Is(AskedState::HighMemory)), ("memory hungry", Is(AskedState::HighMemory)),
    ("with|has|have high|much|heavy cpu [usage]", Is(AskedState::HighCpu)), ("high cpu [usage]", Is(AskedState::HighCpu)), ("use|uses|using much|lots|a [lot] [of] cpu", Is(AskedState::HighCpu)),
    ("of type loadbalancer", Is(AskedState::LoadBalancer)), ("loadbalancer|loadbalancers", Is(AskedState::LoadBalancer)), ("load balancer|balancers", Is(AskedState::LoadBalancer)),
    ("of type nodeport", Is(AskedState::NodePort)), ("nodeport|nodeports", Is(AskedState::NodePort)), ("of type clusterip", Is(AskedState::ClusterIp)), ("clusterip", Is(AskedState::ClusterIp)), ("headless", Is(AskedState::Headless)),
    ("unused|unreferenced|orphaned|unmounted", Is(AskedState::Unused)), ("not used|mounted|referenced [by] [anything|any|anyone] [pod|pods]", Is(AskedState::Unused)), ("is|are not used|mounted", Is(AskedState::Unused)), ("[does|do] nobody|nothing|no [one|pod|workload] use|uses|used|using", Is(AskedState::Unused)),
    ("default", Is(AskedState::Default)),
    ("unhealthy|broken|failing|misbehaving|sick", Is(AskedState::Trouble)), ("with problems|issues|errors|trouble", Is(AskedState::Trouble)), ("in trouble", Is(AskedState::Trouble)), ("not healthy|working|work|ok|okay|fine|right", Is(AskedState::Trouble)), ("is|are not healthy|working|ok|okay|fine", Is(AskedState::Trouble)), ("has|have|having [a] problem|problems|issue|issues", Is(AskedState::Trouble)),
    ("unreachable", Is(AskedState::Unreachable)), ("not reachable|reached|reach|respond|responding|answer|answering|serve|serving|accessible", Is(AskedState::Unreachable)), ("is|are not reachable|responding|answering|serving|accessible", Is(AskedState::Unreachable)), ("can not be reached|accessed", Is(AskedState::Unreachable)), ("not be reached|accessed", Is(AskedState::Unreachable)), ("can not reach|connect|access|open [to]", Is(AskedState::Unreachable)), ("can not connect to", Is(AskedState::Unreachable)), ("[can] not i|we|you|they|it reach|connect|access|open [to]", Is(AskedState::Unreachable)),
    // groups of kinds
    ("workload|workloads|apps|applications", Kinds(super::kind::WORKLOADS)),
    ("webhook|webhooks", Kinds(&[AskedKind::ValidatingWebhook, AskedKind::MutatingWebhook])),
    ("admission webhook|webhooks", Kinds(&[AskedKind::ValidatingWebhook, AskedKind::MutatingWebhook])),
];

/// How people say that something is missing.
const WITHOUT: &[&str] = &[
    "without|no|missing|lacking [any|a|an]",
    "with|has|have|having|set|sets|specify|specifies no",
    "not have|has|set|define|specify [any|a|an]",
];

/// What may be missing.
const PARTS: &[(&str, LackingSpec)] = &[
    ("[resource] limit|limits", LackingSpec::Limits),
    ("memory|ram limit|limits", LackingSpec::MemoryLimit),
    (
        "limit|limits on|for|of memory|ram",
        LackingSpec::MemoryLimit,
    ),
    ("cpu limit|limits", LackingSpec::CpuLimit),
    ("limit|limits on|for|of cpu", LackingSpec::CpuLimit),
    ("[resource] request|requests", LackingSpec::Requests),
    ("memory|ram request|requests", LackingSpec::MemoryRequest),
    (
        "request|requests for|of memory|ram",
        LackingSpec::MemoryRequest,
    ),
    ("cpu request|requests", LackingSpec::CpuRequest),
    ("request|requests for|of cpu", LackingSpec::CpuRequest),
    (
        "[resource] limits and|or requests",
        LackingSpec::LimitsAndRequests,
    ),
    (
        "[resource] requests and|or limits",
        LackingSpec::LimitsAndRequests,
    ),
    ("[health] probe|probes|check|checks", LackingSpec::Probes),
    ("healthcheck|healthchecks", LackingSpec::Probes),
    (
        "readiness and|or liveness probes|checks",
        LackingSpec::Probes,
    ),
    (
        "liveness and|or readiness probes|checks",
        LackingSpec::Probes,
    ),
    (
        "readiness probe|probes|check|checks",
        LackingSpec::ReadinessProbe,
    ),
    (
        "liveness probe|probes|check|checks",
        LackingSpec::LivenessProbe,
    ),
    (
        "startup probe|probes|check|checks",
        LackingSpec::StartupProbe,
    ),
];

/// Every way to say that a part is missing.
static LACKS: LazyLock<Vec<(String, Meaning)>> = LazyLock::new(|| {
    let of_part = |(part, lacking): &(&str, LackingSpec)| {
        let meaning = Is(AskedState::Lacks(*lacking));
        WITHOUT
            .iter()
            .map(|without| (format!("{without} {part}"), meaning))
            .collect::<Vec<_>>()
    };
    PARTS.iter().flat_map(of_part).collect()
});

/// Every phrase with what it says, those of the kinds last.
pub(super) fn phrases() -> impl Iterator<Item = (&'static str, Meaning)> {
    let facts = FACTS.iter().flat_map(|row| {
        let phrases = row.words.iter();
        phrases.map(|phrase| (*phrase, Meaning::Fact(row.fact)))
    });
    let kinds = KINDS.iter().flat_map(|row| {
        let phrases = row.words.iter();
        phrases.map(|phrase| (*phrase, Kinds(row.as_kinds())))
    });
    let lacks = LACKS
        .iter()
        .map(|(phrase, meaning)| (phrase.as_str(), *meaning));
    PHRASES
        .iter()
        .copied()
        .chain(lacks)
        .chain(facts)
        .chain(kinds)
}

/// The phrases, split once.
static SPLIT: LazyLock<Vec<(Vec<&str>, Meaning)>> = LazyLock::new(|| {
    phrases()
        .map(|(pattern, meaning)| (parts(pattern), meaning))
        .collect()
});

/// Words that are phrases by themselves. `in logs` is no place; a namespace of such a name is called `in namespace logs`.
static ALONE: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| {
    let alone = phrases().filter_map(|(pattern, _)| {
        let mut parts = pattern.split(' ').filter(|part| !part.starts_with('['));
        let only = parts.next().filter(|part| !part.starts_with('{'));
        only.filter(|_| parts.next().is_none())
    });
    let words = alone.flat_map(|pattern| pattern.split('|'));
    // The namespace that every cluster has.
    words.filter(|word| *word != "default").collect()
});

/// Whether a word says something by itself.
pub(super) fn is_phrase(word: &str) -> bool {
    ALONE.contains(word)
}

/// The phrase at the start of the tokens that takes the most of them.
pub(super) fn meaning(tokens: &[QuestionWord]) -> Option<(usize, Meaning, Vec<Slot>)> {
    let mut best: Option<(usize, Meaning, Vec<Slot>)> = None;
    for (parts, meaning) in SPLIT.iter() {
        let Some((count, slots)) = longest(parts, tokens) else {
            continue;
        };
        // Of two phrases of one length the one with fewer values says more; else the first of the table counts.
        let is_better = best.as_ref().is_none_or(|(most, _, others)| {
            count > *most || (count == *most && slots.len() < others.len())
        });
        if count > 0 && is_better {
            best = Some((count, *meaning, slots));
        }
    }
    best
}
