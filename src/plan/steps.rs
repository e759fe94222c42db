//! Every step there is.

/// Every step there is, `(id, what it does)`, in the order of a run: those of `up`, what a session tells
/// later, and those of `down`. A test makes docs/errors.md from it.
pub const STEPS: &[(&str, &str)] = &[
    (
        "compose.files",
        "read the Compose files; reported only if something in them was passed over",
    ),
    (
        "cluster.create",
        "create, start or adopt the cluster, pin it, and make the project's namespace",
    ),
    (
        "machine.memory",
        "look whether the machine has the memory for one more stack; reported only if it has not, and `up` goes on",
    ),
    (
        "session.end/NAME",
        "end the session of another project that is to sleep, for `devk up --sleep-others`",
    ),
    (
        "others.sleep",
        "scale the workloads of every other project of this user on the cluster to zero, for `devk up --sleep-others`",
    ),
    ("image.build/NAME", "build an image of devk.yaml"),
    (
        "image.load/NAME",
        "bring an image to every node and verify it there; an image that devk did not build is named by its reference",
    ),
    (
        "bridge.database/NAME",
        "make the separate database on Compose's server, with owner and extensions",
    ),
    (
        "bridge.service/NAME",
        "make Compose's server, or the relay to that server, the backend of devk's Service",
    ),
    (
        "bridge.probe/NAME",
        "connect to the database from every node as a pod would: address, port, login, database",
    ),
    (
        "bridge.left/NAME",
        "the chart's own database where devk knows no value that turns it off: it stays and is reported",
    ),
    (
        "bridge.record",
        "read which database is used back from devk's state; reported only if it fails",
    ),
    (
        "release.apply/NAME",
        "install or upgrade a release with helm",
    ),
    (
        "release.left/NAME",
        "a release that devk installed and devk.yaml does not name any more: it stays and is reported",
    ),
    (
        "release.ready/NAME",
        "wait until the release's workloads are ready, and explain those that are not",
    ),
    (
        "forward.open/NAME",
        "wait until the Service of a forward has a Ready pod, unless nothing asks for a pod there; the port is held from the start",
    ),
    (
        "forward.connect/NAME",
        "one connection through a forward; reported only if it fails",
    ),
    (
        "watch/NAME",
        "watch the build context of an image, or `inputs`: devk.yaml, charts, values and Compose files; reported only if it fails",
    ),
    (
        "sync.covered/NAME",
        "a saved file is not written into a container, because the pod mounts something over its path",
    ),
    (
        "change/NAME",
        "bring a change live that sync cannot serve: the image NAME is built again, or for `plan` a new plan is made; several names are joined by `+`",
    ),
    (
        "workloads.restart/NAME",
        "give the workloads of a service new pods, and wait until they are ready",
    ),
    (
        "change.do/NAME",
        "a step of `devk change`, on the object of this kind and name (`change.do/deployment/web`)",
    ),
    (
        "change.verify/NAME",
        "wait until the object is what the change leads to: rolled out, ready, gone",
    ),
    (
        "session.events",
        "report the steps to a client; printed only by a client that read too slowly and missed some of the steps",
    ),
    (
        "bridge.remove/NAME",
        "take devk's Service and relay away, once nothing uses them; the database stays",
    ),
    ("cluster.stop", "stop the node containers; the data stays"),
    (
        "workloads.sleep",
        "scale the project's workloads to zero, on a cluster that is not its own",
    ),
    ("cluster.delete", "remove the cluster with its volumes"),
    (
        "release.uninstall/NAME",
        "uninstall a release with its hooks",
    ),
    (
        "namespace.delete",
        "remove the project's namespace with all it holds",
    ),
    (
        "image.remove",
        "remove the images that devk built for the project from Docker, and from the nodes of a cluster that stays",
    ),
];
