//! The keys of devk.yaml: the one table that the check, the merge with a profile, the JSON Schema and
//! docs/configuration.md are made from.

mod allow;
mod ask;
mod bridge;
mod check;
mod secrets;
mod tests_of_project;

use self::allow::ALLOW;
use self::ask::ASK;
pub(super) use self::ask::USER;
use self::bridge::BRIDGE;
pub(super) use self::check::CHECK;
use self::secrets::SECRET;
use self::tests_of_project::TEST;
use super::format::ValueFormat;
use super::shape::key;
pub(super) use super::shape::{Key, Need, Shape};

use Need::{Here, OneOf, Optional, Somewhere};

/// The whole file.
pub(super) const ROOT: Shape = Shape::Object(&[
    key(
        "name",
        Optional("the folder's name"),
        Shape::Text(ValueFormat::Label),
        "shop",
        "The project's name. The project's namespace has the same name; in a linked git worktree both are `NAME-WORKTREE`.",
    ),
    key(
        "profile",
        Optional("no profile"),
        Shape::Text(ValueFormat::Text),
        "demo",
        "A built-in profile to start from. Every field of this file overrides the profile's.",
    ),
    key(
        "cluster",
        Optional("the kind cluster `devk`"),
        Shape::Object(CLUSTER),
        "{provider: kind, name: devk}",
        "The cluster that the stack runs on.",
    ),
    key(
        "compose",
        Optional("found by Compose's own rules"),
        Shape::List(&Shape::Text(ValueFormat::ComposeFile)),
        "[compose.yaml]",
        "The Compose files of the stack beside the cluster, read as one Compose project. `[]` says that there is no Compose stack.",
    ),
    key(
        "images",
        Optional("devk builds no image"),
        Shape::Table(ValueFormat::Label, &Shape::Object(IMAGE)),
        "{api: {context: ./api}}",
        "Images to build, by name.",
    ),
    key(
        "releases",
        Somewhere,
        Shape::Named(RELEASE),
        "[{name: shop, chart: ./chart}]",
        "Helm releases, installed in this order. A release is one of `chart`, `manifests` and `kustomize`.",
    ),
    key(
        "forwards",
        Optional("every Service port"),
        Shape::Table(ValueFormat::Label, &FORWARD),
        "{api: 5000}",
        "Service ports to open on this machine, by name. A forward's name is what `${forward.NAME.url}` and `devk env` use.",
    ),
    key(
        "allow",
        Optional("nothing more is allowed"),
        Shape::Object(ALLOW),
        "{nodePort: true}",
        "What devk changes or refuses unless it is allowed here.",
    ),
    key(
        "bridge",
        Optional("the chart's own servers"),
        Shape::Object(BRIDGE),
        "{postgres: {}}",
        "Servers of the Compose stack that the cluster uses instead of the chart's own, each with separate data. `{}` turns bridge mode on, and devk finds the rest.",
    ),
    key(
        "check",
        Optional("the rules alone"),
        Shape::Object(CHECK),
        "{maxMemory: 2Gi}",
        "What `devk chart check` asks of charts beside its rules; see docs/chart-check.md. The file `.devk/constraints.yaml` of a team may have the same keys.",
    ),
    key(
        "ask",
        Optional("as the user's configuration says"),
        Shape::Object(ASK),
        "{role: viewer}",
        "With whose rights single objects are changed, and what nobody need be asked about, where this project is to have less than the user gives; see docs/change.md.",
    ),
    key(
        "test",
        Optional("`devk ci` has nothing to run"),
        Shape::Named(TEST),
        "[{name: e2e, run: [npm, test]}]",
        "The commands that `devk ci` runs against the stack, one after another.",
    ),
]);

const CLUSTER: &[Key] = &[
    key(
        "provider",
        Optional("`kind`"),
        Shape::Text(ValueFormat::Provider),
        "kind",
        "What runs the cluster. `auto`: the provider that devk already uses under that name, else the first of kind, minikube and k3d that is installed. `existing`: a cluster that you have.",
    ),
    key(
        "prefer",
        Optional("kind, then minikube, then k3d"),
        Shape::Text(ValueFormat::InstalledProvider),
        "minikube",
        "With `provider: auto`: the provider to take first where it is installed, unless devk already uses one under that name.",
    ),
    key(
        "name",
        Optional("`devk`"),
        Shape::Text(ValueFormat::Label),
        "devk",
        "The cluster's name. Projects with the same cluster name share the cluster.",
    ),
    key(
        "context",
        Optional("needed with `provider: existing`"),
        Shape::Text(ValueFormat::Text),
        "staging",
        "Of an existing cluster, and required there: its context in your kubeconfig, which devk reads and never writes.",
    ),
    key(
        "image",
        Optional(
            "kind: the newest kindest/node image that Docker has, else kind's default; others: the provider's default",
        ),
        Shape::Text(ValueFormat::Text),
        "kindest/node:v1.33.1",
        "The node image of a new cluster.",
    ),
];

const IMAGE: &[Key] = &[
    key(
        "context",
        Somewhere,
        Shape::Text(ValueFormat::Context),
        "./api",
        "The build context: a folder, relative to the folder of this file.",
    ),
    key(
        "dockerfile",
        Optional("`<context>/Dockerfile`"),
        Shape::Text(ValueFormat::Text),
        "./api/Dockerfile",
        "The Dockerfile, relative to the folder of this file (in Compose: relative to the context).",
    ),
    key(
        "target",
        Optional("the last stage"),
        Shape::Text(ValueFormat::Text),
        "dev",
        "The stage to build.",
    ),
    key(
        "platform",
        Optional("that of the Docker Engine"),
        Shape::Text(ValueFormat::Text),
        "linux/amd64",
        "The platform to build for, which the nodes must be able to run.",
    ),
    key(
        "args",
        Optional("no arguments"),
        Shape::Table(ValueFormat::Text, &Shape::Scalar),
        "{PUBLIC_API: \"${forward.api.url}\"}",
        "Build arguments. `${forward.NAME.url}` is known before the build.",
    ),
    key(
        "secrets",
        Optional("no secrets"),
        Shape::Table(ValueFormat::SecretId, &Shape::Object(SECRET)),
        "{npmrc: {file: ~/.npmrc}}",
        "Secrets of the build by their id, for `RUN --mount=type=secret,id=npmrc`, see docs/charts.md. They are read when the image is built and are part of neither the image nor its identity: a changed secret builds nothing anew.",
    ),
    key(
        "ssh",
        Optional("no SSH agent"),
        Shape::List(&Shape::Text(ValueFormat::SshAgent)),
        "[default]",
        "SSH agents for `RUN --mount=type=ssh`: `default` is the one of SSH_AUTH_SOCK, `ID=SOCKET` another. A build may list the agent's keys and sign with them, and nothing else.",
    ),
    key(
        "additional_contexts",
        Optional(""),
        Shape::Refused {
            why: "a build of devk has one context",
            instead: "make an image of the other folder (`FROM scratch`, `COPY . /`), give its reference to the build, \
                      args: {SHARED: \"${image.shared.reference}\"}, and name it there: ARG SHARED, FROM ${SHARED} AS shared",
        },
        "",
        "Not possible: a build has one context. An image of the other folder serves, see docs/charts.md.",
    ),
    key(
        "replaces",
        Optional("found in the charts, see docs/charts.md"),
        Shape::List(&Shape::Text(ValueFormat::Text)),
        "[registry.example/shop/api]",
        "The references in the charts that the image replaces: repositories, with a tag if only that tag is meant.",
    ),
    key(
        "sync",
        Optional("`auto`"),
        Shape::Word("auto", &Shape::List(&Shape::Object(SYNC))),
        "auto",
        "Which files devk copies into running containers when they are saved. `auto` finds the files by reading the Dockerfile. A change of any other file of the context rebuilds the image.",
    ),
];

const SYNC: &[Key] = &[
    key(
        "from",
        Here,
        Shape::Text(ValueFormat::Below),
        "app",
        "A file or folder of the build context; `.` is the whole context.",
    ),
    key(
        "to",
        Here,
        Shape::Text(ValueFormat::Inside),
        "/srv/app",
        "The path in the container that corresponds to `from`.",
    ),
    key(
        "run",
        Optional("no command"),
        Shape::List(&Shape::Scalar),
        "[kill, -HUP, \"1\"]",
        "A command that devk runs in the container after each sync by this rule.",
    ),
    key(
        "exclude",
        Optional("nothing is excluded"),
        Shape::List(&Shape::Text(ValueFormat::Text)),
        "[\"**/*.md\"]",
        "Patterns of files that are not synced, as in .dockerignore, relative to `from`.",
    ),
];

/// What a release is made of.
const SOURCES: &[&str] = &["chart", "manifests", "kustomize"];

const RELEASE: &[Key] = &[
    key(
        "name",
        Here,
        Shape::Text(ValueFormat::ReleaseName),
        "shop",
        "The Helm release's name.",
    ),
    key(
        "chart",
        OneOf(SOURCES, "`manifests` or `kustomize` is there"),
        Shape::Text(ValueFormat::Chart),
        "./chart",
        "The folder that holds Chart.yaml, relative to the folder of this file.",
    ),
    key(
        "manifests",
        OneOf(SOURCES, "`chart` or `kustomize` is there"),
        Shape::List(&Shape::Text(ValueFormat::Manifests)),
        "[k8s/*.yaml]",
        "Files of Kubernetes objects, patterns of files (`*`, `**`), or folders with their .yaml, .yml and .json files; see docs/manifests.md.",
    ),
    key(
        "kustomize",
        OneOf(SOURCES, "`chart` or `manifests` is there"),
        Shape::Text(ValueFormat::Kustomization),
        "overlays/dev",
        "The folder that holds kustomization.yaml, which `kubectl kustomize` renders; see docs/manifests.md.",
    ),
    key(
        "values",
        Optional("only the chart's values.yaml"),
        Shape::List(&Shape::Text(ValueFormat::ValuesFile)),
        "[values-dev.yaml]",
        "Values files of a chart. A later file overrides an earlier one.",
    ),
    key(
        "set",
        Optional("no inline values"),
        Shape::Values,
        "{replicas: 1}",
        "Inline values of a chart, which override all files. The keys are dotted paths (`api.image.tag`); a list is set only as a whole, not by `a[0]`.",
    ),
    key(
        "images",
        Optional("devk replaces the references in the rendered chart"),
        Shape::Table(ValueFormat::Label, &Shape::Object(IMAGE_PATHS)),
        "{api: {repository: image.repository, tag: image.tag}}",
        "The values of the chart that take the reference of a built image, by the image's name.",
    ),
    key(
        "generate",
        Optional("no secrets"),
        Shape::Table(ValueFormat::ValuePath, &GENERATED),
        "{secrets.key: hex64}",
        "Secrets, generated once and kept until `devk down --delete`: by value path, or by a name with the `paths` that all take the same secret.",
    ),
    key(
        "timeout",
        Optional("`180s`"),
        Shape::Text(ValueFormat::Duration),
        "3m",
        "How long the release may take to become ready. A container that a `startupProbe` gives more time to start has that time.",
    ),
    key(
        "replaceJobs",
        Optional("`false`"),
        Shape::Flag,
        "true",
        "Kubernetes cannot change the pods of a Job. Where an upgrade is refused for that, devk removes the refused Job, if it is this release's and no hook, and upgrades again: the Job runs again. A Job in which only images that devk built have changed is replaced in any case.",
    ),
];

const GENERATED: Shape = Shape::Short(
    "length",
    &[
        key(
            "length",
            Somewhere,
            Shape::Text(ValueFormat::Generator),
            "hex64",
            "How the secret is made.",
        ),
        key(
            "paths",
            Optional("the key of the secret itself"),
            Shape::List(&Shape::Text(ValueFormat::ValuePath)),
            "[auth.password, api.database.password]",
            "The values of the chart that take the secret.",
        ),
    ],
);

const IMAGE_PATHS: &[Key] = &[
    key(
        "repository",
        Somewhere,
        Shape::Text(ValueFormat::ValuePath),
        "image.repository",
        "The value that takes the image's name.",
    ),
    key(
        "tag",
        Somewhere,
        Shape::Text(ValueFormat::ValuePath),
        "image.tag",
        "The value that takes the image's tag.",
    ),
];

const FORWARD: Shape = Shape::Short(
    "port",
    &[
        key(
            "service",
            Optional("the Service with the forward's name, or whose name ends in `-NAME`"),
            Shape::Text(ValueFormat::Label),
            "shop-api",
            "The Kubernetes Service.",
        ),
        key(
            "port",
            Somewhere,
            Shape::Port,
            "5000",
            "The Service's port.",
        ),
        key(
            "local",
            Optional("the Service's port + 10000, or the next choice if that port is taken"),
            Shape::Port,
            "15000",
            "The port on this machine. A port that something else holds is an error.",
        ),
    ],
);
