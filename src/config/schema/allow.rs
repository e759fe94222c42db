//! The keys of `allow:`: what devk changes or refuses unless it is allowed.

use super::super::shape::key;
use super::{Key, Optional, Shape};

pub(super) const ALLOW: &[Key] = &[
    key(
        "nodePort",
        Optional("`false`"),
        Shape::Flag,
        "true",
        "Services of type NodePort and LoadBalancer stay so. Otherwise devk installs them as ClusterIP and forwards them: such a port of the node is one that nobody planned.",
    ),
    key(
        "alwaysPull",
        Optional("`false`"),
        Shape::Flag,
        "true",
        "The kubelet pulls images that Docker has whenever the chart says so: with `imagePullPolicy: Always`, or without a policy and a tag or with the tag `latest`. Otherwise devk loads those images and installs the policy IfNotPresent.",
    ),
    key(
        "remote",
        Optional("`false`"),
        Shape::Flag,
        "true",
        "An existing cluster may be on another machine.",
    ),
];
