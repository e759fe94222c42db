//! Every program that is built from source, with its version.

use super::go::Program;

pub(super) const KIND: Program = Program {
    name: "kind",
    version: "v0.33.0",
    packages: &["sigs.k8s.io/kind"],
    stamps: &[],
    main: None,
};

pub(super) const KUBERNETES: Program = Program {
    name: "kubernetes",
    version: "v1.36.3",
    packages: &["k8s.io/kubernetes"],
    stamps: &[
        ("k8s.io/component-base/version.gitVersion", "v1.36.3"),
        ("k8s.io/component-base/version.gitMajor", "1"),
        ("k8s.io/component-base/version.gitMinor", "36"),
    ],
    main: Some(include_str!("../../lab/go/kubernetes/main.go")),
};

pub(super) const HELM: Program = Program {
    name: "helm",
    version: "v4.3.1",
    packages: &["helm.sh/helm/v4/cmd/helm"],
    stamps: &[("helm.sh/helm/v4/internal/version.version", "v4.3.1")],
    main: None,
};

/// The v2 line, whose client still speaks to the Engine that Debian ships.
pub(super) const COMPOSE: Program = Program {
    name: "docker-compose",
    version: "v2.40.3",
    packages: &["github.com/docker/compose/v2/cmd"],
    stamps: &[("github.com/docker/compose/v2/internal.Version", "v2.40.3")],
    main: None,
};

pub(super) const CONTAINERD: Program = Program {
    name: "containerd",
    version: "v2.4.2",
    packages: &[
        "github.com/containerd/containerd/v2/cmd/containerd",
        "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
        "github.com/containerd/containerd/v2/cmd/ctr",
    ],
    stamps: &[(
        "github.com/containerd/containerd/v2/version.Version",
        "v2.4.2",
    )],
    main: None,
};

pub(super) const CNI: Program = Program {
    name: "cni-plugins",
    version: "v1.9.1",
    packages: &[
        "github.com/containernetworking/plugins/plugins/ipam/host-local",
        "github.com/containernetworking/plugins/plugins/main/bridge",
        "github.com/containernetworking/plugins/plugins/main/loopback",
        "github.com/containernetworking/plugins/plugins/main/ptp",
        "github.com/containernetworking/plugins/plugins/meta/portmap",
    ],
    stamps: &[],
    main: None,
};

pub(super) const ETCD: Program = Program {
    name: "etcd",
    version: "v3.6.16",
    packages: &["go.etcd.io/etcd/server/v3"],
    stamps: &[],
    main: None,
};

pub(super) const COREDNS: Program = Program {
    name: "coredns",
    version: "v1.14.2",
    packages: &["github.com/coredns/coredns"],
    stamps: &[],
    main: Some(include_str!("../../lab/go/coredns/main.go")),
};

pub(super) const LOCAL_PATH: Program = Program {
    name: "local-path-provisioner",
    version: "v0.0.30",
    packages: &["github.com/rancher/local-path-provisioner"],
    stamps: &[("main.VERSION", "v0.0.30")],
    main: None,
};

pub(super) const PAUSE: Program = Program {
    name: "pause",
    version: "v1",
    packages: &[],
    stamps: &[],
    main: Some(include_str!("../../lab/go/pause/main.go")),
};

/// The last whose requests are encoded as those of the Engines up to 26 are. With a younger one such an Engine, sent the
/// context as a tar, takes the frontend's request for it to be a second one: `context not found`.
pub(super) const DOCKERFILE_FRONTEND: Program = Program {
    name: "dockerfile-frontend",
    version: "v0.16.0",
    packages: &["github.com/moby/buildkit/frontend/dockerfile/cmd/dockerfile-frontend"],
    stamps: &[],
    main: None,
};
