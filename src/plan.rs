//! The plan: what has to be done, why, and in which order. Pure: same inputs, same plan.

use serde::Serialize;

use crate::ports::Forward;

/// What the cluster is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterFact {
    Absent,
    HalfMade,
    Stopped,
    /// There, and not yet pinned.
    Foreign,
    /// Its nodes run, and its API server does not answer yet.
    Silent,
    Ready,
}

/// One image that a chart uses.
#[derive(Debug, Clone)]
pub struct ImageFact {
    /// The name in devk.yaml; None for an image of somebody else's that Docker happens to have.
    pub built_as: Option<String>,
    pub reference: String,
    pub in_docker: bool,
    /// Every node has it. False if the nodes cannot be asked.
    pub on_nodes: bool,
}

/// One release.
#[derive(Debug, Clone)]
pub struct ReleaseFact {
    pub name: String,
    /// References of the images its manifests use.
    pub uses: Vec<String>,
    /// The cluster holds exactly this release. False if the cluster cannot be asked.
    pub installed: bool,
}

/// A forward and the release that renders its Service.
#[derive(Debug, Clone)]
pub struct ForwardFact {
    pub forward: Forward,
    /// The name of the Service's port; empty where the Service gives none.
    pub port_name: String,
    pub release: String,
}

impl ForwardFact {
    /// Both have one name, stand on the same host port and lead to the same Service port.
    pub fn leads_as(&self, other: &Self) -> bool {
        let lead = |fact: &Self| {
            let forward = fact.forward.clone();
            (forward.name, forward.local, forward.namespace, forward.service, forward.remote, fact.port_name.clone())
        };
        lead(self) == lead(other)
    }
}

/// Everything the plan depends on.
#[derive(Debug, Clone)]
pub struct Facts {
    pub cluster_name: String,
    pub cluster: ClusterFact,
    pub images: Vec<ImageFact>,
    /// In the order of devk.yaml.
    pub releases: Vec<ReleaseFact>,
    pub forwards: Vec<ForwardFact>,
}

/// What a step does; the names are keys into the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Cluster,
    Build { image: String },
    Load { reference: String },
    Apply { release: String },
    Ready { release: String },
    Open { forward: String },
}

/// One step (the contract of `devk up --dry-run --format json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedStep {
    pub id: String,
    /// Ids of the steps that must have ended well.
    pub needs: Vec<String>,
    pub why: String,
    pub skip: bool,
    #[serde(skip)]
    pub action: Action,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    pub version: u32,
    /// Every step stands behind those it needs.
    pub steps: Vec<PlannedStep>,
}

const CLUSTER: &str = "cluster.create";

/// Every step there is, `(id, what it does)`, in the order of a run: those of `up`, what a session tells
/// later, and those of `down`. A test makes docs/errors.md from it.
pub const STEPS: &[(&str, &str)] = &[
    ("cluster.create", "create, start or adopt the cluster, and pin it"),
    ("image.build/NAME", "build an image of devk.yaml"),
    (
        "image.load/NAME",
        "bring an image to every node and verify it there; an image that devk did not build is named by its reference",
    ),
    ("release.apply/NAME", "install or upgrade a release with helm"),
    ("release.ready/NAME", "wait until the release's workloads are ready, and explain those that are not"),
    ("forward.open/NAME", "wait until a Ready pod stands behind a forward; its port is held from the start"),
    ("forward.connect/NAME", "one connection through a forward; told only if it fails"),
    ("cluster.stop", "stop the node containers; the data stays"),
    ("workloads.sleep", "scale the project's workloads to zero, on a cluster that is not its own"),
    ("cluster.delete", "remove the cluster with its volumes"),
    ("release.uninstall/NAME", "uninstall a release with its hooks"),
    ("namespace.delete", "remove the project's namespace with all it holds"),
    ("image.remove", "remove the images that devk built for the project from Docker"),
];

impl Plan {
    pub fn of(facts: &Facts) -> Self {
        let mut steps = vec![cluster(facts)];
        steps.extend(facts.images.iter().filter_map(build));
        steps.extend(facts.images.iter().map(load));
        steps.extend(facts.releases.iter().enumerate().map(|(at, release)| apply(facts, at, release)));
        steps.extend(facts.releases.iter().map(ready));
        steps.extend(facts.forwards.iter().map(open));
        Self { version: 1, steps }
    }
}

fn cluster(facts: &Facts) -> PlannedStep {
    let name = &facts.cluster_name;
    let why = match facts.cluster {
        ClusterFact::Absent => format!("there is no cluster `{name}`"),
        ClusterFact::HalfMade => format!("creating cluster `{name}` was cut off"),
        ClusterFact::Stopped => format!("cluster `{name}` is stopped"),
        ClusterFact::Foreign => format!("cluster `{name}` is there and not pinned yet"),
        ClusterFact::Silent => format!("cluster `{name}` does not answer yet"),
        ClusterFact::Ready => format!("cluster `{name}` runs"),
    };
    step(CLUSTER.to_owned(), vec![], why, facts.cluster == ClusterFact::Ready, Action::Cluster)
}

fn build(image: &ImageFact) -> Option<PlannedStep> {
    let name = image.built_as.clone()?;
    let (why, skip) = match (image.in_docker, image.on_nodes) {
        (true, _) => ("built from the same content before", true),
        (false, true) => ("every node has it", true),
        (false, false) => ("its content is new", false),
    };
    Some(step(build_id(&name), vec![], why.to_owned(), skip, Action::Build { image: name }))
}

fn load(image: &ImageFact) -> PlannedStep {
    let mut needs = vec![CLUSTER.to_owned()];
    needs.extend(image.built_as.as_deref().map(build_id));
    let why = if image.on_nodes { "every node has it" } else { "a node lacks it" };
    let action = Action::Load { reference: image.reference.clone() };
    step(load_id(image), needs, why.to_owned(), image.on_nodes, action)
}

fn apply(facts: &Facts, at: usize, release: &ReleaseFact) -> PlannedStep {
    let mut needs = vec![CLUSTER.to_owned()];
    // Releases stand in the order in which they need each other.
    needs.extend(at.checked_sub(1).map(|before| apply_id(&facts.releases[before].name)));
    needs.extend(facts.images.iter().filter(|i| release.uses.contains(&i.reference)).map(load_id));
    let why = if release.installed { "chart, values and images are unchanged" } else { "its inputs are new" };
    let action = Action::Apply { release: release.name.clone() };
    step(apply_id(&release.name), needs, why.to_owned(), release.installed, action)
}

fn ready(release: &ReleaseFact) -> PlannedStep {
    let id = format!("release.ready/{}", release.name);
    let action = Action::Ready { release: release.name.clone() };
    step(id, vec![apply_id(&release.name)], "its workloads are watched until they are ready".to_owned(), false, action)
}

fn open(fact: &ForwardFact) -> PlannedStep {
    let forward = &fact.forward;
    let why =
        forward.moved.clone().unwrap_or_else(|| format!("{}:{} on {}", forward.service, forward.remote, forward.local));
    let action = Action::Open { forward: forward.name.clone() };
    step(format!("forward.open/{}", forward.name), vec![apply_id(&fact.release)], why, false, action)
}

fn build_id(image: &str) -> String {
    format!("image.build/{image}")
}

fn load_id(image: &ImageFact) -> String {
    format!("image.load/{}", image.built_as.as_ref().unwrap_or(&image.reference))
}

fn apply_id(release: &str) -> String {
    format!("release.apply/{release}")
}

fn step(id: String, needs: Vec<String>, why: String, skip: bool, action: Action) -> PlannedStep {
    PlannedStep { id, needs, why, skip, action }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        let image = |name: &str| ImageFact {
            built_as: Some(name.to_owned()),
            reference: format!("devk.local/shop/{name}:1"),
            in_docker: false,
            on_nodes: false,
        };
        let redis = ImageFact { built_as: None, reference: "redis:7".into(), in_docker: true, on_nodes: false };
        let release = |name: &str, uses: &[&str]| ReleaseFact {
            name: name.to_owned(),
            uses: uses.iter().map(ToString::to_string).collect(),
            installed: false,
        };
        Facts {
            cluster_name: "devk".into(),
            cluster: ClusterFact::Absent,
            images: vec![image("api"), image("web"), redis],
            releases: vec![release("infra", &["redis:7"]), release("shop", &["devk.local/shop/api:1"])],
            forwards: vec![],
        }
    }

    fn needs(plan: &Plan, id: &str) -> Vec<String> {
        plan.steps.iter().find(|s| s.id == id).map(|s| s.needs.clone()).unwrap_or_default()
    }

    #[test]
    fn images_build_while_the_cluster_boots() {
        assert_eq!(needs(&Plan::of(&facts()), "image.build/api"), Vec::<String>::new());
    }

    #[test]
    fn a_release_waits_for_its_own_images_and_the_release_before_it() {
        let plan = Plan::of(&facts());
        assert_eq!(needs(&plan, "release.apply/infra"), ["cluster.create", "image.load/redis:7"]);
        assert_eq!(needs(&plan, "release.apply/shop"), ["cluster.create", "release.apply/infra", "image.load/api"]);
    }

    #[test]
    fn every_need_is_a_step_that_stands_before() {
        let plan = Plan::of(&facts());
        for (at, step) in plan.steps.iter().enumerate() {
            for need in &step.needs {
                assert!(plan.steps[..at].iter().any(|s| &s.id == need), "{} needs {need}", step.id);
            }
        }
    }

    #[test]
    fn every_step_of_a_plan_is_documented() {
        let kind = |id: &str| id.split_once('/').map_or(id.to_owned(), |(kind, _)| format!("{kind}/NAME"));
        for step in Plan::of(&facts()).steps {
            assert!(STEPS.iter().any(|(id, _)| *id == kind(&step.id)), "{} is not in STEPS", step.id);
        }
    }

    #[test]
    fn an_image_that_every_node_has_is_not_built_only_because_docker_forgot_it() {
        let mut facts = facts();
        facts.images[0].on_nodes = true;
        let skipped: Vec<_> = Plan::of(&facts).steps.into_iter().filter(|s| s.skip).map(|s| s.id).collect();
        assert_eq!(skipped, ["image.build/api", "image.load/api"]);
    }

    #[test]
    fn an_unchanged_project_has_nothing_to_do_but_to_look() {
        let mut facts = facts();
        facts.cluster = ClusterFact::Ready;
        facts.images.iter_mut().for_each(|i| (i.in_docker, i.on_nodes) = (true, true));
        facts.releases.iter_mut().for_each(|r| r.installed = true);
        let busy: Vec<_> = Plan::of(&facts).steps.into_iter().filter(|s| !s.skip).map(|s| s.id).collect();
        assert_eq!(busy, ["release.ready/infra", "release.ready/shop"]);
    }
}
