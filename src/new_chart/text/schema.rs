//! values.schema.json: what each value may be.

use serde_json::{Map, Value, json};

use crate::new_chart::model::{ChartModel, Component, ComponentKind};

pub(super) fn text(model: &ChartModel) -> String {
    let mut properties = Map::new();
    for (key, schema) in [
        ("nameOverride", json!({"type": "string"})),
        ("fullnameOverride", json!({"type": "string"})),
        ("commonLabels", texts()),
        (
            "imagePullSecrets",
            json!({"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}}),
        ),
        (
            "serviceAccount",
            object(
                &json!({"create": {"type": "boolean"}, "name": {"type": "string"}, "annotations": texts()}),
            ),
        ),
        (
            "networkPolicy",
            object(&json!({"enabled": {"type": "boolean"}})),
        ),
        ("global", json!({"type": "object"})),
    ] {
        properties.insert(key.to_owned(), schema);
    }
    if !model.secrets.is_empty() {
        let keys: Map<String, Value> = model
            .secrets
            .iter()
            .map(|secret| (secret.key.clone(), json!({"type": "string"})))
            .collect();
        properties.insert("existingSecret".to_owned(), json!({"type": "string"}));
        properties.insert("secrets".to_owned(), object(&keys.into()));
    }
    if !model.claims.is_empty() {
        let claims: Map<String, Value> = model
            .claims
            .iter()
            .map(|claim| (claim.key.clone(), claim_schema()))
            .collect();
        properties.insert("volumes".to_owned(), object(&claims.into()));
    }
    if model
        .components
        .iter()
        .any(|component| !component.waits.is_empty())
    {
        properties.insert("waitResources".to_owned(), resources());
    }
    for component in &model.components {
        properties.insert(component.key.clone(), one(model, component));
    }
    let schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": format!("Values of the chart {}", model.name),
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}

fn object(properties: &Value) -> Value {
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

fn texts() -> Value {
    json!({"type": "object", "additionalProperties": {"type": "string"}})
}

fn scalars() -> Value {
    json!({"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}})
}

fn quantity() -> Value {
    json!({"type": ["string", "number"], "pattern": "^[0-9.]+([EPTGMk]i?|Ki|m)?$"})
}

fn resources() -> Value {
    let amounts = json!({"type": "object", "additionalProperties": quantity()});
    object(&json!({"requests": amounts, "limits": amounts, "claims": {"type": "array"}}))
}

fn claim_schema() -> Value {
    object(&json!({
        "size": quantity(),
        "accessMode": {"enum": ["ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany", "ReadOnlyMany"]},
        "storageClassName": {"type": "string"},
    }))
}

fn port() -> Value {
    json!({"type": "integer", "minimum": 1, "maximum": 65535})
}

fn one(model: &ChartModel, component: &Component) -> Value {
    let words = json!({"type": "array", "items": {"type": "string"}});
    let any = json!({"type": "object"});
    let mut properties = Map::new();
    let mut add = |key: &str, schema: Value| {
        properties.insert(key.to_owned(), schema);
    };
    add(
        "image",
        object(&json!({
            "repository": {"type": "string", "minLength": 1},
            "tag": {"type": ["string", "number"]},
            "digest": {"type": "string"},
            "pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
        })),
    );
    add("command", words.clone());
    add("args", words);
    add("env", scalars());
    add("resources", resources());
    for key in ["podSecurityContext", "securityContext", "affinity"] {
        add(key, any.clone());
    }
    for key in ["podAnnotations", "podLabels", "nodeSelector"] {
        add(key, texts());
    }
    add(
        "tolerations",
        json!({"type": "array", "items": {"type": "object"}}),
    );
    add(
        "terminationGracePeriodSeconds",
        json!({"type": "integer", "minimum": 0}),
    );
    if !component.env_file.is_empty() {
        add("envFile", scalars());
    }
    if !component.secret_env.is_empty() {
        add("secretEnv", texts());
    }
    if component.claims().next().is_some() {
        let claims: Map<String, Value> = component
            .claims()
            .map(|(mount, _)| (mount.name.clone(), claim_schema()))
            .collect();
        add("persistence", object(&claims.into()));
    }
    if !model.for_production {
        add("enabled", json!({"type": "boolean"}));
    }
    if component.kind == ComponentKind::Job {
        add("backoffLimit", json!({"type": "integer", "minimum": 0}));
        return object(&properties.into());
    }
    add("replicas", json!({"type": "integer", "minimum": 0}));
    let ports = object(&json!({
        "name": {"type": "string", "maxLength": 15, "pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"},
        "port": port(),
        "targetPort": port(),
        "protocol": {"enum": ["TCP", "UDP", "SCTP"]},
    }));
    add(
        "service",
        object(&json!({"ports": {"type": "array", "items": ports}})),
    );
    for key in ["startupProbe", "readinessProbe", "livenessProbe"] {
        add(key, any.clone());
    }
    if model.for_production {
        for_production(&mut properties, component);
    } else if component.may_have_metrics() {
        let metrics = json!({"enabled": {"type": "boolean"}, "path": {"type": "string"}});
        properties.insert("metrics".to_owned(), object(&metrics));
    }
    object(&properties.into())
}

fn for_production(properties: &mut Map<String, Value>, component: &Component) {
    if component.kind == ComponentKind::Deployment {
        properties.insert(
            "autoscaling".to_owned(),
            object(&json!({
                "enabled": {"type": "boolean"},
                "minReplicas": {"type": "integer", "minimum": 1},
                "maxReplicas": {"type": "integer", "minimum": 1},
                "targetCPUUtilizationPercentage": {"type": "integer", "minimum": 1},
            })),
        );
    }
    properties.insert(
        "podDisruptionBudget".to_owned(),
        object(&json!({
            "enabled": {"type": "boolean"},
            "maxUnavailable": {"type": ["integer", "string"]},
        })),
    );
    properties.insert(
        "networkPolicyFrom".to_owned(),
        json!({"type": "array", "items": {"type": "object"}}),
    );
    properties.insert("metrics".to_owned(), object(&json!({
        "enabled": {"type": "boolean"},
        "path": {"type": "string"},
        "port": {"type": "string"},
        "serviceMonitor": object(&json!({"enabled": {"type": "boolean"}, "interval": {"type": "string"}, "labels": texts()})),
    })));
}
