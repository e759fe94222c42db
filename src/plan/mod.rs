//! The plan: what has to be done, why, and in which order. Pure: same inputs, same plan.

mod bridge;
mod facts;
mod images;
mod sources;
mod steps;

use serde::Serialize;

pub use facts::{
    BridgeFact, ClusterFact, Facts, ForwardFact, ImageFact, LeftOut, ReleaseFact, Skipped,
};
pub use images::is_built;
pub use sources::{ImageSource, PlannedImage};
pub use steps::STEPS;

use images::{builds, load};

/// How the ids of steps begin that install a release.
pub const APPLY: &str = "release.apply/";
/// How the ids of steps begin that wait until a release is ready.
pub const READY: &str = "release.ready/";

/// What a step does; the names are keys into the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing: the step says what is.
    Told,
    Cluster,
    Build {
        image: String,
    },
    Load {
        reference: String,
    },
    Apply {
        release: String,
    },
    Ready {
        release: String,
    },
    Open {
        forward: String,
    },
    BridgeDatabase,
    BridgeService,
    BridgeProbe,
    BridgeRemove,
    SleepOthers,
}

/// One step (the contract of `devk up --dry-run --format json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedStep {
    pub id: String,
    /// Ids of the steps that must have ended well.
    pub needs: Vec<String>,
    pub why: String,
    /// What devk changes in a chart before the chart is installed, or between its pods and Compose's server.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// Images that come from a registry meanwhile: Docker lacks what a build begins with, or nobody here has what pods
    /// run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pulls: Vec<String>,
    pub skip: bool,
    #[serde(skip)]
    pub action: Action,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    pub version: u32,
    /// Every step follows the steps that it needs.
    pub steps: Vec<PlannedStep>,
    /// Every image that pods of the releases run, by reference.
    pub images: Vec<PlannedImage>,
}

const CLUSTER: &str = "cluster.create";
const SLEEP_OTHERS: &str = "others.sleep";

impl Plan {
    pub fn of(facts: &Facts) -> Self {
        let mut steps: Vec<_> = compose(facts).into_iter().collect();
        steps.push(cluster(facts));
        steps.extend(sleep_others(facts));
        steps.extend(builds(&facts.images));
        let loaded = facts.images.iter().filter(|image| !image.is_base);
        steps.extend(loaded.map(load));
        steps.extend(bridge::steps(&facts.bridge));
        steps.extend(
            facts
                .releases
                .iter()
                .enumerate()
                .map(|(at, release)| apply(facts, at, release)),
        );
        steps.extend(facts.releases.iter().map(ready));
        steps.extend(facts.forwards.iter().map(open));
        steps.extend(facts.left_out.iter().map(left_out));
        steps.extend(facts.orphaned_releases.iter().map(orphaned_release));
        steps.extend(bridge::removal(facts));
        Self {
            version: 1,
            steps,
            images: sources::sources(facts),
        }
    }
}

/// Compose's files are read before; what was passed over in them is told.
fn compose(facts: &Facts) -> Option<PlannedStep> {
    let told = || {
        let why = format!("passed over: {}", facts.compose.join("; "));
        step("compose.files".to_owned(), vec![], why, true, Action::Told)
    };
    (!facts.compose.is_empty()).then(told)
}

fn cluster(facts: &Facts) -> PlannedStep {
    let name = &facts.cluster_name;
    let why = match facts.cluster {
        ClusterFact::Absent => format!("there is no cluster `{name}`"),
        ClusterFact::HalfMade => format!("creating cluster `{name}` was cut off"),
        ClusterFact::Stopped => format!("cluster `{name}` is stopped"),
        ClusterFact::Foreign => format!("cluster `{name}` is there and not pinned yet"),
        ClusterFact::Silent => format!("cluster `{name}` does not answer yet"),
        ClusterFact::Unclaimed => {
            format!("cluster `{name}` runs, and nothing of this folder's project runs there")
        }
        ClusterFact::Ready => format!("cluster `{name}` runs"),
    };
    step(
        CLUSTER.to_owned(),
        vec![],
        why,
        facts.cluster == ClusterFact::Ready,
        Action::Cluster,
    )
}

/// The others give their memory back before this project's pods want it.
fn sleep_others(facts: &Facts) -> Option<PlannedStep> {
    let why = format!(
        "`--sleep-others`: this project is to be the only one awake on cluster `{}`",
        facts.cluster_name
    );
    let needs = vec![CLUSTER.to_owned()];
    let sleep = || {
        step(
            SLEEP_OTHERS.to_owned(),
            needs,
            why,
            false,
            Action::SleepOthers,
        )
    };
    facts.sleep_others.then(sleep)
}

fn apply(facts: &Facts, at: usize, release: &ReleaseFact) -> PlannedStep {
    let mut needs = vec![CLUSTER.to_owned()];
    needs.extend(facts.sleep_others.then(|| SLEEP_OTHERS.to_owned()));
    // Releases are listed in the order in which they need each other.
    needs.extend(
        at.checked_sub(1)
            .map(|before| apply_id(&facts.releases[before].name)),
    );
    needs.extend(
        facts
            .images
            .iter()
            .filter(|i| release.uses.contains(&i.reference))
            .map(load_id),
    );
    if matches!(&facts.bridge, BridgeFact::Wanted { release: user, .. } if *user == release.name) {
        needs.push(bridge::PROBE.to_owned());
    }
    let action = Action::Apply {
        release: release.name.clone(),
    };
    let pulls = release
        .uses
        .iter()
        .filter(|used| facts.pulled.contains(*used));
    let step = step(
        apply_id(&release.name),
        needs,
        apply_why(release),
        release.installed,
        action,
    );
    PlannedStep {
        changes: release.changes.clone(),
        pulls: pulls.cloned().collect(),
        ..step
    }
}

fn apply_why(release: &ReleaseFact) -> String {
    const UNCHANGED: &str = "chart, values and images are unchanged";
    match (release.installed, &release.drift[..]) {
        (true, []) => UNCHANGED.to_owned(),
        (true, left) => format!(
            "{UNCHANGED}; changed by hand, where the chart says nothing: {}",
            some(left)
        ),
        (false, []) => "its inputs are new".to_owned(),
        (false, changed) => format!("changed by hand: {}", some(changed)),
    }
}

/// The first three of them.
fn some(texts: &[String]) -> String {
    let first: Vec<_> = texts.iter().take(3).map(String::as_str).collect();
    let more = if texts.len() > 3 {
        format!(", and {} more", texts.len() - 3)
    } else {
        String::new()
    };
    first.join("; ") + &more
}

fn orphaned_release(LeftOut { name, why }: &LeftOut) -> PlannedStep {
    step(
        format!("release.left/{name}"),
        vec![],
        why.clone(),
        true,
        Action::Apply {
            release: name.clone(),
        },
    )
}

fn ready(release: &ReleaseFact) -> PlannedStep {
    let id = ready_id(&release.name);
    let action = Action::Ready {
        release: release.name.clone(),
    };
    step(
        id,
        vec![apply_id(&release.name)],
        "its workloads are watched until they are ready".to_owned(),
        false,
        action,
    )
}

fn open(fact: &ForwardFact) -> PlannedStep {
    let forward = &fact.forward;
    let moved = forward.moved.iter().map(|why| format!(" ({why})"));
    let why = format!(
        "{}:{} on {}{}",
        forward.service,
        forward.remote,
        forward.local,
        moved.collect::<String>()
    );
    let action = Action::Open {
        forward: forward.name.clone(),
    };
    step(
        format!("forward.open/{}", forward.name),
        vec![apply_id(&fact.release)],
        why,
        false,
        action,
    )
}

fn left_out(LeftOut { name, why }: &LeftOut) -> PlannedStep {
    step(
        format!("forward.open/{name}"),
        vec![],
        why.clone(),
        true,
        Action::Open {
            forward: name.clone(),
        },
    )
}

/// The step that waits until a release is ready.
pub fn ready_id(release: &str) -> String {
    format!("{READY}{release}")
}

fn build_id(image: &str) -> String {
    format!("image.build/{image}")
}

fn load_id(image: &ImageFact) -> String {
    format!(
        "image.load/{}",
        image.built_as.as_ref().unwrap_or(&image.reference)
    )
}

fn apply_id(release: &str) -> String {
    format!("{APPLY}{release}")
}

fn step(id: String, needs: Vec<String>, why: String, skip: bool, action: Action) -> PlannedStep {
    PlannedStep {
        id,
        needs,
        why,
        changes: vec![],
        pulls: vec![],
        skip,
        action,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn facts() -> Facts {
        let image = |name: &str| ImageFact {
            bases: BTreeSet::new(),
            pulls: BTreeSet::new(),
            is_base: false,
            built_as: Some(name.to_owned()),
            reference: format!("devk.local/shop/{name}:1"),
            in_docker: false,
            on_nodes: false,
            is_outdated: false,
        };
        let redis = ImageFact {
            bases: BTreeSet::new(),
            pulls: BTreeSet::new(),
            is_base: false,
            built_as: None,
            reference: "redis:7".into(),
            in_docker: true,
            on_nodes: false,
            is_outdated: false,
        };
        let release = |name: &str, uses: &[&str]| ReleaseFact {
            name: name.to_owned(),
            uses: uses.iter().map(ToString::to_string).collect(),
            changes: vec![],
            installed: false,
            drift: vec![],
        };
        Facts {
            compose: vec![],
            pulled: BTreeSet::new(),
            cluster_name: "devk".into(),
            cluster: ClusterFact::Absent,
            images: vec![image("api"), image("web"), redis],
            releases: vec![
                release("infra", &["redis:7"]),
                release("shop", &["devk.local/shop/api:1"]),
            ],
            orphaned_releases: vec![],
            forwards: vec![],
            left_out: vec![],
            sleep_others: false,
            bridge: BridgeFact::None,
        }
    }

    fn bridged() -> Facts {
        let bridge = BridgeFact::Wanted {
            release: "shop".into(),
            database: "shop_k8s".into(),
            mapped: [("litellm".to_owned(), "litellm_k8s".to_owned())].into(),
            stays: vec!["`StatefulSet/db` stays".into()],
            made: false,
        };
        Facts {
            bridge,
            left_out: vec![LeftOut {
                name: "db".into(),
                why: "it is Compose's".into(),
            }],
            ..facts()
        }
    }

    fn needs(plan: &Plan, id: &str) -> Vec<String> {
        plan.steps
            .iter()
            .find(|s| s.id == id)
            .map(|s| s.needs.clone())
            .unwrap_or_default()
    }

    #[test]
    fn what_was_changed_by_hand_is_named() {
        let why = |installed, drift: &[&str]| {
            let drift = drift.iter().map(ToString::to_string).collect();
            apply_why(&ReleaseFact {
                name: "shop".into(),
                uses: vec![],
                changes: vec![],
                installed,
                drift,
            })
        };
        assert_eq!(
            why(false, &["a", "b", "c", "d"]),
            "changed by hand: a; b; c, and 1 more"
        );
        assert!(why(true, &["a"]).ends_with("where the chart says nothing: a"));
    }

    #[test]
    fn images_build_while_the_cluster_boots() {
        assert_eq!(
            needs(&Plan::of(&facts()), "image.build/api"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_release_waits_for_its_own_images_and_the_release_before_it() {
        let plan = Plan::of(&facts());
        assert_eq!(
            needs(&plan, "release.apply/infra"),
            ["cluster.create", "image.load/redis:7"]
        );
        assert_eq!(
            needs(&plan, "release.apply/shop"),
            ["cluster.create", "release.apply/infra", "image.load/api"]
        );
    }

    #[test]
    fn every_need_is_a_step_that_stands_before() {
        for facts in [
            facts(),
            bridged(),
            Facts {
                bridge: BridgeFact::Leaving,
                ..facts()
            },
        ] {
            let plan = Plan::of(&facts);
            for (at, step) in plan.steps.iter().enumerate() {
                for need in &step.needs {
                    assert!(
                        plan.steps[..at].iter().any(|s| &s.id == need),
                        "{} needs {need}",
                        step.id
                    );
                }
            }
        }
    }

    #[test]
    fn a_release_waits_for_the_bridge_that_it_uses_and_no_other_does() {
        let plan = Plan::of(&bridged());
        assert!(needs(&plan, "release.apply/shop").contains(&bridge::PROBE.to_owned()));
        assert!(!needs(&plan, "release.apply/infra").contains(&bridge::PROBE.to_owned()));
        assert_eq!(
            needs(&plan, bridge::PROBE),
            [CLUSTER, bridge::DATABASE, bridge::SERVICE]
        );
        assert_eq!(
            needs(&plan, bridge::DATABASE),
            Vec::<String>::new(),
            "it is made while the cluster boots"
        );
    }

    #[test]
    fn a_database_of_the_charts_own_that_stays_is_told() {
        let left = |facts: &Facts| {
            let steps = Plan::of(facts).steps.into_iter();
            let mut left = steps.filter(|step| step.id == bridge::LEFT);
            left.next().map(|step| (step.why, step.skip))
        };
        let told = ("`StatefulSet/db` stays".to_owned(), true);
        assert_eq!(left(&bridged()), Some(told));
        assert_eq!(left(&facts()), None);
    }

    #[test]
    fn a_bridge_goes_when_no_release_needs_it_any_more() {
        let plan = Plan::of(&Facts {
            bridge: BridgeFact::Leaving,
            ..facts()
        });
        assert_eq!(
            needs(&plan, bridge::REMOVE),
            ["release.ready/infra", "release.ready/shop"]
        );
    }

    #[test]
    fn every_step_of_a_plan_is_documented() {
        let kind = |id: &str| {
            id.split_once('/')
                .map_or(id.to_owned(), |(kind, _)| format!("{kind}/NAME"))
        };
        let leaving = Facts {
            bridge: BridgeFact::Leaving,
            ..facts()
        };
        for step in [facts(), bridged(), leaving]
            .iter()
            .flat_map(|facts| Plan::of(facts).steps)
        {
            assert!(
                STEPS.iter().any(|(id, _)| *id == kind(&step.id)),
                "{} is not in STEPS",
                step.id
            );
        }
    }

    #[test]
    fn an_image_that_every_node_has_is_not_built_only_because_docker_forgot_it() {
        let mut facts = facts();
        facts.images[0].on_nodes = true;
        let skipped: Vec<_> = Plan::of(&facts)
            .steps
            .into_iter()
            .filter(|s| s.skip)
            .map(|s| s.id)
            .collect();
        assert_eq!(skipped, ["image.build/api", "image.load/api"]);
    }

    #[test]
    fn an_image_that_was_built_anew_under_its_name_is_loaded_again_and_the_plan_says_why() {
        let mut facts = facts();
        let redis = facts.images.iter_mut().find(|i| i.reference == "redis:7");
        redis.unwrap().is_outdated = true;
        let steps = Plan::of(&facts).steps;
        let load = steps.iter().find(|step| step.id == "image.load/redis:7");
        let load = load.unwrap();
        assert!(!load.skip);
        assert_eq!(
            load.why,
            "a node has other content under this name than Docker"
        );
    }

    #[test]
    fn every_image_that_pods_run_is_listed_with_where_it_comes_from() {
        let mut facts = facts();
        facts.releases[1].uses = [
            "devk.local/shop/api:1",
            "redis:7",
            "team/worker:latest",
            "on/nodes:1",
        ]
        .map(str::to_owned)
        .into();
        facts.pulled = ["team/worker:latest".to_owned()].into();
        let plan = Plan::of(&facts);
        let found: Vec<_> = plan
            .images
            .iter()
            .map(|image| {
                (
                    image.reference.as_str(),
                    image.from,
                    image.image.as_deref(),
                    image.releases.len(),
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                ("devk.local/shop/api:1", ImageSource::Build, Some("api"), 1),
                ("on/nodes:1", ImageSource::Nodes, None, 1),
                ("redis:7", ImageSource::Docker, None, 2),
                ("team/worker:latest", ImageSource::Registry, None, 1),
            ]
        );
    }

    #[test]
    fn what_a_build_pulls_is_named_before_it_begins() {
        let mut facts = facts();
        facts.images[0].pulls = ["node:20".to_owned()].into();
        let plan = Plan::of(&facts);
        let build = plan.steps.iter().find(|step| step.id == "image.build/api");
        assert_eq!(build.unwrap().pulls, ["node:20"]);
        facts.pulled = ["redis:7".to_owned()].into();
        let plan = Plan::of(&facts);
        let pulls: Vec<_> = plan.steps.iter().flat_map(|step| &step.pulls).collect();
        assert_eq!(pulls, ["node:20", "redis:7"]);
    }

    /// `app` is built from `base`, which no chart uses.
    fn with_base() -> Facts {
        let mut facts = facts();
        let app = facts.images[0].clone();
        facts.images = vec![
            ImageFact {
                bases: ["base".to_owned()].into(),
                ..app.clone()
            },
            ImageFact {
                built_as: Some("base".into()),
                reference: "devk.local/shop/base:1".into(),
                is_base: true,
                ..app
            },
        ];
        facts
    }

    #[test]
    fn a_base_image_is_built_before_what_is_built_from_it_and_stays_in_docker() {
        let plan = Plan::of(&with_base());
        let ids: Vec<_> = plan.steps.iter().map(|step| step.id.as_str()).collect();
        assert_eq!(
            ids[..4],
            [
                CLUSTER,
                "image.build/base",
                "image.build/api",
                "image.load/api"
            ]
        );
        assert_eq!(needs(&plan, "image.build/api"), ["image.build/base"]);
        assert!(!ids.contains(&"image.load/base"));
    }

    #[test]
    fn a_base_image_is_built_only_if_something_is_built_from_it() {
        let skipped = |change: fn(&mut [ImageFact])| {
            let mut facts = with_base();
            change(&mut facts.images);
            let steps = Plan::of(&facts).steps.into_iter();
            let builds = steps.filter(|step| step.id.starts_with("image.build/"));
            builds.map(|step| step.skip).collect::<Vec<_>>()
        };
        assert_eq!(skipped(|images| images[0].in_docker = true), [true, true]);
        assert_eq!(skipped(|images| images[0].on_nodes = true), [true, true]);
        assert_eq!(skipped(|images| images[1].in_docker = true), [true, false]);
        assert_eq!(skipped(|images| images[1].on_nodes = true), [false, false]);
    }

    #[test]
    fn an_image_that_is_pinned_by_its_digest_is_left_to_the_node() {
        let mut facts = facts();
        let reference = "redis:7@sha256:0123".to_owned();
        facts.images.push(ImageFact {
            bases: BTreeSet::new(),
            pulls: BTreeSet::new(),
            is_base: false,
            built_as: None,
            reference,
            in_docker: true,
            on_nodes: false,
            is_outdated: false,
        });
        let plan = Plan::of(&facts);
        let load = plan
            .steps
            .iter()
            .find(|step| step.id == "image.load/redis:7@sha256:0123")
            .unwrap();
        assert_eq!(
            (load.skip, load.why.as_str()),
            (true, "it is pinned by its digest: the node pulls it")
        );
    }

    #[test]
    fn a_project_moves_into_a_cluster_that_runs_before_its_images_come() {
        let plan = Plan::of(&Facts {
            cluster: ClusterFact::Unclaimed,
            ..facts()
        });
        assert_eq!(
            (plan.steps[0].id.as_str(), plan.steps[0].skip),
            (CLUSTER, false)
        );
        assert!(
            plan.steps[0].needs.is_empty()
                && needs(&plan, "image.load/api").contains(&CLUSTER.to_owned())
        );
    }

    #[test]
    fn an_unchanged_project_has_nothing_to_do_but_to_look() {
        let mut facts = facts();
        facts.cluster = ClusterFact::Ready;
        facts
            .images
            .iter_mut()
            .for_each(|i| (i.in_docker, i.on_nodes) = (true, true));
        facts.releases.iter_mut().for_each(|r| r.installed = true);
        let busy: Vec<_> = Plan::of(&facts)
            .steps
            .into_iter()
            .filter(|s| !s.skip)
            .map(|s| s.id)
            .collect();
        assert_eq!(busy, ["release.ready/infra", "release.ready/shop"]);
    }
}
