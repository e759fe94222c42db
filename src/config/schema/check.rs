//! The keys of `check:`: what `devk chart check` asks of charts beside its rules.

use super::super::format::ValueFormat;
use super::super::shape::{Key, Need, Shape, key};

use Need::{Here, Optional};

pub(in super::super) const CHECK: &[Key] = &[
    key(
        "kubernetes",
        Optional("the three newest versions that devk knows"),
        Shape::Text(ValueFormat::VersionRange),
        "\">=1.31 <1.35\"",
        "The versions of Kubernetes that charts must fit.",
    ),
    key(
        "registries",
        Optional("any registry"),
        Shape::List(&Shape::Text(ValueFormat::Text)),
        "[registry.example/shop]",
        "Where images may come from: registries, with a part of the path if only that part is meant. Images that devk builds are always allowed.",
    ),
    key(
        "storageClasses",
        Optional("any class"),
        Shape::List(&Shape::Text(ValueFormat::Text)),
        "[standard]",
        "The storage classes that claims may name.",
    ),
    key(
        "ingressClasses",
        Optional("any class"),
        Shape::List(&Shape::Text(ValueFormat::Text)),
        "[traefik]",
        "The ingress classes that Ingresses may name.",
    ),
    key(
        "labels",
        Optional("no label"),
        Shape::List(&Shape::Text(ValueFormat::Text)),
        "[team, app.kubernetes.io/part-of]",
        "Labels that every workload must have; `Deployment/team` is asked of Deployments only.",
    ),
    key(
        "annotations",
        Optional("no annotation"),
        Shape::List(&Shape::Text(ValueFormat::Text)),
        "[logging.example/format]",
        "Annotations that the pods of every workload must have, such as those of monitoring and logging.",
    ),
    key(
        "maxCpu",
        Optional("no ceiling"),
        Shape::Text(ValueFormat::Quantity),
        "\"2\"",
        "The most CPU that a container may request, or have as its limit.",
    ),
    key(
        "maxMemory",
        Optional("no ceiling"),
        Shape::Text(ValueFormat::Quantity),
        "4Gi",
        "The most memory that a container may request, or have as its limit.",
    ),
    key(
        "networkPolicy",
        Optional("`false`"),
        Shape::Flag,
        "true",
        "Every workload must be selected by a NetworkPolicy of its chart.",
    ),
    key(
        "monitoring",
        Optional("`false`"),
        Shape::Flag,
        "true",
        "Every workload with a port must be monitored: by annotations, a ServiceMonitor or a PodMonitor.",
    ),
    key(
        "backup",
        Optional("`false`"),
        Shape::Flag,
        "true",
        "Every claim must be backed up: by annotations, or by objects of the chart that do it.",
    ),
    key(
        "enable",
        Optional("the rules that are on by default"),
        Shape::List(&Shape::Text(ValueFormat::Text)),
        "[image.digest]",
        "Rules to use that are off by default; docs/chart-check.md lists them.",
    ),
    key(
        "ignore",
        Optional("nothing is ignored"),
        Shape::List(&Shape::Object(IGNORE)),
        "[{rule: image.latest, object: Job/seed, reason: pulled once}]",
        "Findings that do not count, each with a reason.",
    ),
];

const IGNORE: &[Key] = &[
    key(
        "rule",
        Here,
        Shape::Text(ValueFormat::Text),
        "image.latest",
        "The rule's id.",
    ),
    key(
        "object",
        Optional("every object"),
        Shape::Text(ValueFormat::Text),
        "Deployment/api",
        "The object, as the finding names it; `*` stands for any text.",
    ),
    key(
        "chart",
        Optional("every chart"),
        Shape::Text(ValueFormat::Text),
        "postgresql",
        "The chart, or the dependency that brings the object.",
    ),
    key(
        "reason",
        Here,
        Shape::Text(ValueFormat::Text),
        "pulled once",
        "Why the finding does not count.",
    ),
    key(
        "until",
        Optional("for ever"),
        Shape::Text(ValueFormat::Date),
        "\"2027-06-30\"",
        "The last day on which it does not count.",
    ),
];
