//! The keys of devk.yaml: the one table that the check, the merge with a profile and the JSON Schema
//! are made from.

use super::format::Format;
use super::shape::key;
pub(super) use super::shape::{Key, Need, Shape};

use Need::{Here, Optional, Somewhere};

/// The whole file.
pub(super) const ROOT: Shape = Shape::Object(&[
    key(
        "name",
        Optional,
        Shape::Text(Format::Label),
        "shop",
        "The project's name; the folder's name if absent.",
    ),
    key(
        "profile",
        Optional,
        Shape::Text(Format::Text),
        "demo",
        "A built-in profile to start from. Every field of this file overrides it.",
    ),
    key(
        "cluster",
        Optional,
        Shape::Object(CLUSTER),
        "{provider: kind, name: devk}",
        "The local cluster.",
    ),
    key(
        "compose",
        Optional,
        Shape::List(&Shape::Text(Format::ComposeFile)),
        "[compose.yaml]",
        "The Compose files of the stack beside it, read as one project; found by Compose's own rules if absent, none if empty.",
    ),
    key(
        "images",
        Optional,
        Shape::Table(Format::Label, &Shape::Object(IMAGE)),
        "{api: {context: ./api}}",
        "Images to build, by name.",
    ),
    key(
        "releases",
        Somewhere,
        Shape::Named(RELEASE),
        "[{name: shop, chart: ./chart}]",
        "Helm releases, installed in this order.",
    ),
    key(
        "forwards",
        Optional,
        Shape::Table(Format::Label, &FORWARD),
        "{api: 5000}",
        "Service ports to open on this machine, by name; every Service port if absent.",
    ),
    key(
        "allow",
        Optional,
        Shape::Object(ALLOW),
        "{nodePort: true}",
        "What devk refuses unless it is allowed here.",
    ),
    key(
        "bridge",
        Optional,
        Shape::Object(BRIDGE),
        "{postgres: {}}",
        "Servers of the Compose stack that the cluster uses instead of the chart's own, each with data of its own.",
    ),
]);

const BRIDGE: &[Key] = &[
    key(
        "postgres",
        Optional,
        Shape::Object(BRIDGE_POSTGRES),
        "{service: postgres, database: shop_k8s}",
        "The Postgres server; what is absent is found.",
    ),
    key(
        "redis",
        Optional,
        Shape::Refused {
            why: "Redis has no separate names for separate data: its keys would mix with Compose's",
            instead: "the cluster keeps a Redis of its own; remove the key",
        },
        "",
        "Not possible: the cluster keeps a Redis of its own.",
    ),
];

const BRIDGE_POSTGRES: &[Key] = &[
    key(
        "service",
        Optional,
        Shape::Text(Format::Text),
        "postgres",
        "The Compose service that serves it.",
    ),
    key(
        "database",
        Optional,
        Shape::Text(Format::Text),
        "shop_k8s",
        "The cluster's own database on that server, made if it is missing; `<Compose's>_k8s` if absent.",
    ),
    key(
        "release",
        Optional,
        Shape::Text(Format::ReleaseName),
        "shop",
        "The release whose database it replaces.",
    ),
    key(
        "values",
        Optional,
        Shape::Object(BRIDGE_VALUES),
        "{host: externalPostgresql.host}",
        "Where the chart's values take it; found in values.yaml by `<service>.enabled` and `external<Service>` if absent.",
    ),
];

const BRIDGE_VALUES: &[Key] = &[
    key(
        "enabled",
        Optional,
        Shape::Text(Format::ValuePath),
        "postgresql.enabled",
        "The value that turns the chart's own database on; set to false.",
    ),
    key(
        "host",
        Optional,
        Shape::Text(Format::ValuePath),
        "externalPostgresql.host",
        "The value that takes the host.",
    ),
    key(
        "port",
        Optional,
        Shape::Text(Format::ValuePath),
        "externalPostgresql.port",
        "The value that takes the port.",
    ),
    key(
        "database",
        Optional,
        Shape::Text(Format::ValuePath),
        "externalPostgresql.database",
        "The value that takes the database's name.",
    ),
    key(
        "username",
        Optional,
        Shape::Text(Format::ValuePath),
        "externalPostgresql.username",
        "The value that takes the user's name.",
    ),
    key(
        "password",
        Optional,
        Shape::Text(Format::ValuePath),
        "externalPostgresql.password",
        "The value that takes the password.",
    ),
];

const CLUSTER: &[Key] = &[
    key(
        "provider",
        Optional,
        Shape::Text(Format::Provider),
        "kind",
        "What runs the cluster; kind if absent.",
    ),
    key(
        "name",
        Optional,
        Shape::Text(Format::Label),
        "devk",
        "The cluster's name; devk if absent. Projects may share a cluster.",
    ),
    key(
        "context",
        Optional,
        Shape::Text(Format::Text),
        "staging",
        "Of an existing cluster: its context in your kubeconfig, which is read and never written.",
    ),
    key(
        "image",
        Optional,
        Shape::Text(Format::Text),
        "kindest/node:v1.33.1",
        "The node image; the provider's choice if absent.",
    ),
];

const IMAGE: &[Key] = &[
    key(
        "context",
        Somewhere,
        Shape::Text(Format::Context),
        "./api",
        "The build context, a folder, from this file's folder.",
    ),
    key(
        "dockerfile",
        Optional,
        Shape::Text(Format::Text),
        "./api/Dockerfile",
        "The Dockerfile, from this file's folder; `<context>/Dockerfile` if absent.",
    ),
    key(
        "target",
        Optional,
        Shape::Text(Format::Text),
        "dev",
        "The stage to build; the last one if absent.",
    ),
    key(
        "args",
        Optional,
        Shape::Table(Format::Text, &Shape::Scalar),
        "{PUBLIC_API: \"${forward.api.url}\"}",
        "Build arguments. `${forward.NAME.url}` is known before the build.",
    ),
    key(
        "sync",
        Optional,
        Shape::Word("auto", &Shape::List(&Shape::Object(SYNC))),
        "auto",
        "Which files are put into running containers when they are saved: `auto`, also if absent, finds it out \
         from the Dockerfile. Other changes rebuild the image.",
    ),
];

const SYNC: &[Key] = &[
    key(
        "from",
        Here,
        Shape::Text(Format::Below),
        "app",
        "A file or folder of the build context; `.` for all of it.",
    ),
    key(
        "to",
        Here,
        Shape::Text(Format::Inside),
        "/srv/app",
        "The same folder in the container, an absolute path.",
    ),
    key(
        "run",
        Optional,
        Shape::List(&Shape::Scalar),
        "[kill, -HUP, \"1\"]",
        "A command for the container, run after each sync by this rule.",
    ),
    key(
        "exclude",
        Optional,
        Shape::List(&Shape::Text(Format::Text)),
        "[\"**/*.md\"]",
        "What not to sync, as in .dockerignore, from the folder in `from`.",
    ),
];

const RELEASE: &[Key] = &[
    key(
        "name",
        Here,
        Shape::Text(Format::ReleaseName),
        "shop",
        "The Helm release's name.",
    ),
    key(
        "chart",
        Somewhere,
        Shape::Text(Format::Chart),
        "./chart",
        "The folder that holds Chart.yaml, from this file's folder.",
    ),
    key(
        "values",
        Optional,
        Shape::List(&Shape::Text(Format::ValuesFile)),
        "[values-dev.yaml]",
        "Values files; later ones win.",
    ),
    key(
        "set",
        Optional,
        Shape::Values,
        "{replicas: 1}",
        "Inline values, above all files.",
    ),
    key(
        "images",
        Optional,
        Shape::Table(Format::Label, &Shape::Object(IMAGE_PATHS)),
        "{api: {repository: image.repository, tag: image.tag}}",
        "Where the chart's values take a built image; found in values.yaml if absent.",
    ),
    key(
        "generate",
        Optional,
        Shape::Table(Format::ValuePath, &Shape::Text(Format::Generator)),
        "{secrets.key: hex64}",
        "Secrets by value path, made once and kept: hexN, base64N or uuid.",
    ),
    key(
        "timeout",
        Optional,
        Shape::Text(Format::Duration),
        "3m",
        "How long the release may take to become ready; 180s if absent.",
    ),
];

const IMAGE_PATHS: &[Key] = &[
    key(
        "repository",
        Somewhere,
        Shape::Text(Format::ValuePath),
        "image.repository",
        "The value that takes the image's name.",
    ),
    key(
        "tag",
        Somewhere,
        Shape::Text(Format::ValuePath),
        "image.tag",
        "The value that takes the image's tag.",
    ),
];

const FORWARD: Shape = Shape::Short(
    "port",
    &[
        key(
            "service",
            Optional,
            Shape::Text(Format::Label),
            "shop-api",
            "The Service; if absent, the one of the forward's name or whose name ends in `-NAME`.",
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
            Optional,
            Shape::Port,
            "15000",
            "The port on this machine; the Service's port + 10000 if absent and free.",
        ),
    ],
);

const ALLOW: &[Key] = &[
    key(
        "nodePort",
        Optional,
        Shape::Flag,
        "true",
        "Services of type NodePort or LoadBalancer may be rendered.",
    ),
    key(
        "remote",
        Optional,
        Shape::Flag,
        "true",
        "An existing cluster may be on another machine.",
    ),
];
