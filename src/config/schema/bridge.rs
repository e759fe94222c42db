//! The keys of `bridge:`.

use super::super::format::ValueFormat;
use super::super::shape::{Key, Need, Shape, key};

use Need::Optional;

pub(super) const BRIDGE: &[Key] = &[
    key(
        "postgres",
        Optional("found in the Compose files"),
        Shape::Object(BRIDGE_POSTGRES),
        "{service: postgres, database: shop_k8s}",
        "The Postgres server of the Compose stack.",
    ),
    key(
        "redis",
        Optional(""),
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
        Optional("the only service that serves Postgres"),
        Shape::Text(ValueFormat::Text),
        "postgres",
        "The Compose service that serves Postgres.",
    ),
    key(
        "database",
        Optional("the name of Compose's database with `_k8s`"),
        Shape::Text(ValueFormat::Text),
        "shop_k8s",
        "The cluster's own database on that server, created if the server does not have it.",
    ),
    key(
        "release",
        Optional("the release whose values fit"),
        Shape::Text(ValueFormat::ReleaseName),
        "shop",
        "The release whose own database the server replaces.",
    ),
    key(
        "values",
        Optional("found in values.yaml: `<service>.enabled` and `external<Service>`"),
        Shape::Object(BRIDGE_VALUES),
        "{host: externalPostgresql.host}",
        "The chart's values that turn its own database off and name an external one.",
    ),
];

const BRIDGE_VALUES: &[Key] = &[
    key(
        "enabled",
        Optional("found in the chart's values.yaml"),
        Shape::Text(ValueFormat::ValuePath),
        "postgresql.enabled",
        "The value that turns the chart's own database on. devk sets it to false.",
    ),
    key(
        "url",
        Optional("the only value that is such a URL, where the chart has no `external<Service>`"),
        Shape::Text(ValueFormat::ValuePath),
        "databaseUrl",
        "The value that takes a connection URL, in place of those below.",
    ),
    key(
        "host",
        Optional("found in the chart's values.yaml"),
        Shape::Text(ValueFormat::ValuePath),
        "externalPostgresql.host",
        "The value that takes the host.",
    ),
    key(
        "port",
        Optional("found in the chart's values.yaml"),
        Shape::Text(ValueFormat::ValuePath),
        "externalPostgresql.port",
        "The value that takes the port.",
    ),
    key(
        "database",
        Optional("found in the chart's values.yaml"),
        Shape::Text(ValueFormat::ValuePath),
        "externalPostgresql.database",
        "The value that takes the database's name.",
    ),
    key(
        "username",
        Optional("found in the chart's values.yaml"),
        Shape::Text(ValueFormat::ValuePath),
        "externalPostgresql.username",
        "The value that takes the user's name.",
    ),
    key(
        "password",
        Optional("found in the chart's values.yaml"),
        Shape::Text(ValueFormat::ValuePath),
        "externalPostgresql.password",
        "The value that takes the password.",
    ),
];
