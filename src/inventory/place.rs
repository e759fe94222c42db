//! On which cluster a project of the record of ports is.

use crate::cluster;
use crate::config::{self, ClusterConfig, FILE, Project, RunningProject, Source};
use crate::environment::Environment;
use crate::error::Result;
use crate::paths::Paths;
use crate::ports::{Leased, Leases, Lessee};

/// A project that has ports on this machine.
#[derive(Debug, Clone)]
pub struct PlacedProject {
    pub lessee: Lessee,
    pub ports: Vec<Leased>,
    /// As its devk.yaml says; None if that is gone, cannot be read, or names another project by now.
    pub project: Option<Project>,
}

/// Every project that has ports, in the order of their ids and folders.
///
/// # Errors
/// [`crate::error::Code::StateIo`].
pub fn placed(paths: &Paths, environment: &Environment) -> Result<Vec<PlacedProject>> {
    let mut leases = Leases::open(&paths.state).all()?;
    leases.sort_by(|(a, _), (b, _)| a.cmp(b));
    let place = |(lessee, ports): (Lessee, _)| PlacedProject {
        project: configured(&lessee, paths, environment),
        lessee,
        ports,
    };
    Ok(leases.into_iter().map(place).collect())
}

impl PlacedProject {
    /// The cluster that devk.yaml names.
    pub fn cluster(&self) -> Option<&ClusterConfig> {
        self.project.as_ref().map(|project| &project.cluster)
    }
}

/// What is wrong in devk.yaml is told by the commands that need it.
fn configured(lessee: &Lessee, paths: &Paths, environment: &Environment) -> Option<Project> {
    // A profile of the data folder is a project of its own, whatever name its file has.
    let profile = lessee
        .root
        .strip_prefix(paths.data.join("profiles"))
        .ok()
        .and_then(|name| name.to_str())
        .filter(|name| config::profile_names().iter().any(|known| known == name));
    let source = Source {
        dir: lessee.root.clone(),
        file: profile.is_none().then(|| lessee.root.join(FILE)),
        profile: profile.map(str::to_owned),
    };
    let RunningProject { mut project, .. } = config::load_running(&source, paths).ok()?;
    if Lessee::from(&project) != *lessee {
        return None;
    }
    cluster::resolve_provider(&mut project.cluster, paths, environment);
    Some(project)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Provider;

    #[test]
    fn a_project_is_on_the_cluster_that_its_file_names_and_nowhere_by_a_file_of_another_name() {
        let dir = tempfile::tempdir().unwrap();
        let below = |name: &str| dir.path().join(name);
        let paths = Paths::below(dir.path());
        let root = below("shop");
        std::fs::create_dir(&root).unwrap();
        std::fs::create_dir(below("empty")).unwrap();
        let text = "name: shop\ncluster: {name: mine}\nreleases: [{name: shop, chart: ./gone}]\n";
        std::fs::write(root.join(FILE), text).unwrap();
        let leases = Leases::open(&paths.state);
        for (project, root) in [
            ("shop", root.clone()),
            ("renamed", root),
            ("other", below("empty")),
        ] {
            let project = project.to_owned();
            leases.save(&Lessee { project, root }, &[]).unwrap();
        }
        let placed = placed(&paths, &Environment::default()).unwrap();
        let found: Vec<_> = placed
            .iter()
            .map(|one| {
                let cluster = one.cluster().map(|c| (c.provider, c.name.as_str()));
                (one.lessee.project.as_str(), cluster)
            })
            .collect();
        assert_eq!(
            found,
            [
                ("other", None),
                ("renamed", None),
                ("shop", Some((Provider::Kind, "mine")))
            ]
        );
    }
}
