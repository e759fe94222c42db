//! Leftovers of killed sessions and of deleted folders, all made by devk.

use std::path::{Path, PathBuf};

use super::cluster::ClusterFacts;
use super::stranded::{self, StrandedSession};
use super::{Check, DoctorFacts, Id, Looked, Missing, findings, skipped};
use crate::cluster::namespace::ProjectNamespace;
use crate::cluster::{ManagedCluster, State};
use crate::config::{ClusterConfig, Project};
use crate::daemon::socket;
use crate::docker::Engine;
use crate::error::{Code, Result};
use crate::image;
use crate::owner::Owner;
use crate::paths::{Lock, Paths, is_gone};
use crate::ports::{Leases, Lessee};
use crate::shell::quote;

#[derive(Debug, Clone)]
pub struct Leftovers {
    pub stranded: Vec<StrandedSession>,
    /// Sockets without a listener.
    pub sockets: Vec<PathBuf>,
    /// Leases of folders that are gone. What a session holds is not free.
    pub leases: Result<Vec<Lessee>>,
    /// Clusters of this Engine's that devk keeps notes of and Docker does not have.
    pub clusters: Looked<Vec<String>>,
    /// Those of stranded sessions are told with these.
    pub namespaces: Looked<Vec<LostNamespace>>,
    /// Project whose folder is gone, and its images.
    pub images: Looked<Vec<(String, Vec<String>)>>,
}

/// A namespace that is recorded for a folder that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostNamespace {
    pub name: String,
    /// The folder that is gone.
    pub root: PathBuf,
    /// A folder that has the project now, as after a rename.
    pub now: Option<PathBuf>,
}

/// Looks through devk's state, and at what Docker and the cluster have of it.
pub async fn inspect(
    paths: &Paths,
    engine: Option<&Engine>,
    cluster: Option<&ClusterFacts>,
    project: Option<&Project>,
) -> Leftovers {
    let stranded = stranded::inspect(paths, project).await;
    let is_held = |lessee: &Lessee| stranded.iter().any(|session| session.lessee == *lessee);
    let lessees = Leases::open(&paths.state).lessees();
    let own = project.map(Lessee::from);
    let (mut alive, gone): (Vec<_>, Vec<_>) = lessees
        .iter()
        .flatten()
        .cloned()
        .partition(|lessee: &Lessee| !is_gone(&lessee.root) || is_held(lessee));
    // The project of this folder comes before its clones.
    alive.splice(0..0, own);
    let no_docker = || Missing::Skipped("the Docker Engine does not answer".to_owned());
    let (clusters, images) = match engine {
        Some(engine) => tokio::join!(clusters(engine, paths), images(engine, &gone, &alive)),
        None => (Err(no_docker()), Err(no_docker())),
    };
    let sockets = socket::sockets(paths)
        .into_iter()
        .filter(|socket| is_dead(socket))
        .collect();
    let namespaces = namespaces(cluster, &Owner::of(Path::new(""), paths).await, &alive);
    let namespaces = namespaces.map(|mut lost| {
        lost.retain(|lost| {
            !stranded
                .iter()
                .any(|session| session.lessee.project == lost.name)
        });
        lost
    });
    Leftovers {
        stranded,
        sockets,
        leases: lessees.map(|_| gone),
        clusters,
        namespaces,
        images,
    }
}

/// Nobody listens behind the file.
pub(super) fn is_dead(socket: &Path) -> bool {
    let refused = std::os::unix::net::UnixStream::connect(socket);
    refused.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionRefused)
}

async fn clusters(engine: &Engine, paths: &Paths) -> Looked<Vec<String>> {
    let folders = std::fs::read_dir(paths.state.join("clusters"))
        .into_iter()
        .flatten()
        .flatten();
    let noted =
        folders.filter(|folder| folder.path().join("lock").exists() && !is_busy(&folder.path()));
    let mut gone = vec![];
    for name in noted.filter_map(|folder| folder.file_name().into_string().ok()) {
        // An existing cluster never counts as gone: it may only be out of reach.
        let Some(config) = ClusterConfig::of_folder(&name) else {
            continue;
        };
        match ManagedCluster::of(engine, &config, paths).state().await {
            Ok(State::Absent) => gone.push(name),
            // It is on another Engine, which is not asked.
            Err(e) if e.code != Code::ClusterPin => return Err(e.into()),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(gone)
}

/// Another devk is making this cluster.
fn is_busy(folder: &Path) -> bool {
    !matches!(Lock::try_take(&folder.join("lock")), Ok(Some(_)))
}

/// Those of other users and machines are theirs to look after.
fn namespaces(
    cluster: Option<&ClusterFacts>,
    own: &Owner,
    alive: &[Lessee],
) -> Looked<Vec<LostNamespace>> {
    let Some(cluster) = cluster.filter(|cluster| cluster.version.is_some()) else {
        return Err(Missing::Skipped("no cluster of devk's answers".to_owned()));
    };
    let Some(projects) = &cluster.projects else {
        let why = "the cluster does not list its namespaces";
        return Err(Missing::Skipped(why.to_owned()));
    };
    let gone = |project: &ProjectNamespace| {
        let owner = project.owner.as_ref().filter(|owner| own.has_lost(owner))?;
        let now = alive.iter().find(|alive| alive.project == project.name);
        Some(LostNamespace {
            name: project.name.clone(),
            root: owner.root.clone(),
            now: now.map(|now| now.root.clone()),
        })
    };
    Ok(projects.iter().filter_map(gone).collect())
}

/// Two clones of a project build under one name: its images go with the last of them.
async fn images(
    engine: &Engine,
    gone: &[Lessee],
    alive: &[Lessee],
) -> Looked<Vec<(String, Vec<String>)>> {
    let mut found = vec![];
    for lessee in gone
        .iter()
        .filter(|gone| !alive.iter().any(|alive| alive.project == gone.project))
    {
        let images = image::project_images(&engine.docker, &lessee.project).await?;
        if !images.is_empty() {
            found.push((lessee.project.clone(), images));
        }
    }
    Ok(found)
}

const FIX: &str = "devk doctor --fix";

pub(super) fn checks(facts: &DoctorFacts) -> Vec<Check> {
    let left = &facts.leftovers;
    let mut checks = sockets(&left.sockets);
    checks.extend(leases(&left.leases));
    checks.extend(of(
        Id::LeftoversClusters,
        &left.clusters,
        "notes of clusters that are gone",
        Clone::clone,
    ));
    checks.extend(in_namespaces(&left.namespaces, facts.cluster.as_ref().ok()));
    let image =
        |(project, images): &(String, Vec<String>)| format!("{project}: {}", images.join(" "));
    checks.extend(of(
        Id::LeftoversImages,
        &left.images,
        "images for folders that are gone",
        image,
    ));
    checks
}

/// One finding for all of a kind, which `--fix` removes.
fn of<T>(id: Id, left: &Looked<Vec<T>>, what: &str, text: impl Fn(&T) -> String) -> Vec<Check> {
    let left = match left {
        Ok(left) => left,
        Err(missing) => return skipped(&[id], missing),
    };
    let told = || {
        left.iter()
            .fold(Check::warning(id, what), |check, one| {
                check.evidence(text(one))
            })
            .hint(FIX)
    };
    findings(
        id,
        if left.is_empty() {
            vec![]
        } else {
            vec![told()]
        },
        format!("no {what}"),
    )
}

fn sockets(left: &[PathBuf]) -> Vec<Check> {
    let show = |socket: &PathBuf| socket.display().to_string();
    of(
        Id::LeftoversSessions,
        &Ok(left.to_vec()),
        "sockets of sessions that have ended",
        show,
    )
}

fn leases(left: &Result<Vec<Lessee>>) -> Vec<Check> {
    let left = left.clone();
    match left {
        Ok(left) => {
            let show = |lessee: &Lessee| {
                format!("project `{}`, {}", lessee.project, lessee.root.display())
            };
            of(
                Id::LeftoversLeases,
                &Ok(left),
                "ports given to folders that are gone",
                show,
            )
        }
        Err(error) => vec![Check::failed(Id::LeftoversLeases, &error)],
    }
}

/// Their volumes may hold the only copy of something: they are the user's to remove, and only if no folder has the
/// project any more.
fn in_namespaces(left: &Looked<Vec<LostNamespace>>, cluster: Option<&ClusterFacts>) -> Vec<Check> {
    let id = Id::LeftoversNamespaces;
    let left = match left {
        Ok(left) => left,
        Err(missing) => return skipped(&[id], missing),
    };
    let kubeconfig = cluster
        .map(|cluster| quote(&cluster.kubeconfig))
        .unwrap_or_default();
    let finding = |LostNamespace { name, root, now }: &LostNamespace| {
        let hint = match now {
            Some(now) => format!(
                "devk -C {} up -d    # records the folder that has the project now",
                quote(now)
            ),
            None => format!(
                "kubectl --kubeconfig {kubeconfig} delete namespace {name}    # with its data; if the folder was \
                 renamed, `devk up -d` there keeps it"
            ),
        };
        Check::warning(
            id,
            format!("namespace `{name}` belongs to a folder that is gone"),
        )
        .evidence(root.display().to_string())
        .hint(hint)
    };
    findings(
        id,
        left.iter().map(finding).collect(),
        "every namespace of devk's has its folder",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::fake::{ENGINE, Program};

    #[tokio::test]
    async fn a_cluster_on_another_engine_is_not_gone() {
        let program = Program::new("kind", &[], "exit 1");
        let paths = Paths::all_at(&program.state());
        for (name, engine) in [("here", ENGINE), ("elsewhere", "e0")] {
            let dir = paths.cluster(name);
            std::fs::create_dir_all(&dir).unwrap();
            let pin = json!({"version": 1, "uid": "u1", "endpoint": "", "node": "n", "created": true,
                "network_created": false, "engine": {"id": engine, "host": "unix:///old.sock"}});
            std::fs::write(dir.join("pin.json"), pin.to_string()).unwrap();
            std::fs::write(dir.join("lock"), "").unwrap();
        }
        assert_eq!(
            clusters(&program.engine(vec![]).await, &paths)
                .await
                .unwrap(),
            ["here"]
        );
    }

    #[test]
    fn what_another_user_or_machine_noted_is_not_told_to_be_gone() {
        let note = |machine: &str, root: &str| Owner {
            root: root.into(),
            user: Some(1),
            machine: Some(machine.into()),
        };
        let project = |name: &str, owner| ProjectNamespace {
            name: name.into(),
            asleep: false,
            owner: Some(owner),
        };
        let gone = "/ann/vanished";
        let projects = vec![
            project("own", note("m1", gone)),
            project("other", note("m2", gone)),
            project("there", note("m1", "/")),
        ];
        let cluster = ClusterFacts {
            version: Some("v1".into()),
            projects: Some(projects),
            ..ClusterFacts::default()
        };
        let lost = |now: Option<&str>| LostNamespace {
            name: "own".to_owned(),
            root: gone.into(),
            now: now.map(PathBuf::from),
        };
        let found = namespaces(Some(&cluster), &note("m1", ""), &[]).unwrap();
        assert_eq!(found, [lost(None)]);
        let hint = |found| in_namespaces(&Ok(found), None)[0].hint.clone().unwrap();
        assert!(hint(found).contains("delete namespace own "));
        // After a rename the folder is elsewhere.
        let renamed = Lessee {
            project: "own".into(),
            root: "/ann/renamed".into(),
        };
        let found = namespaces(Some(&cluster), &note("m1", ""), &[renamed]).unwrap();
        assert_eq!(found, [lost(Some("/ann/renamed"))]);
        let hint = hint(found);
        assert!(
            hint.contains("/ann/renamed") && !hint.contains("delete"),
            "{hint}"
        );
    }
}
