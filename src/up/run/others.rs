//! The other projects on the cluster: those that are down stay so, and `devk up --sleep-others` puts the rest to sleep,
//! so that their memory is there for this project.

use super::{Done, Run};
use crate::cluster::namespace::ProjectNamespace;
use crate::cluster::{Access, namespace, sleep};
use crate::error::Result;
use crate::owner::Owner;
use crate::release::namespaces::OtherNamespaces;
use crate::ui::event::Step;

impl Run<'_> {
    /// The workloads of projects that are down came back with the cluster.
    pub(super) async fn keep_others_asleep(&self, access: &Access) -> Result<()> {
        let others = namespace::projects(&access.client).await?.into_iter();
        for other in others.filter(|other| other.asleep && other.name != self.project.id) {
            put_to_sleep(access, &other.name).await?;
        }
        Ok(())
    }

    /// Scales the workloads of this user's other projects to zero. One that cannot be put to sleep is told, and keeps
    /// nobody else awake.
    pub(super) async fn sleep_others(&self, step: &Step) -> Result<Done> {
        let access = self.access()?;
        let cluster = &self.observed.cluster;
        // No other devk starts or ends a project here meanwhile.
        let _lock = cluster
            .lock(|| step.progress("waiting for another devk that works on this cluster"))
            .await?;
        let projects = namespace::projects(&access.client).await?;
        let others = awake_others(projects, &self.project.id);
        let (own, foreign): (Vec<_>, Vec<_>) = others
            .into_iter()
            .partition(|other| is_own(other, &self.observed.owner, cluster.is_existing()));
        let mut asleep = vec![];
        for ProjectNamespace { name, .. } in own {
            match put_to_sleep(access, &name).await {
                Ok(()) => asleep.push(name),
                Err(error) => step.trouble(error),
            }
        }
        let left = foreign.iter().map(|other| other.name.as_str());
        let left: Vec<_> = left.collect();
        let left = match left[..] {
            [] => String::new(),
            _ => format!("; those of others stay awake: {}", left.join(", ")),
        };
        Ok(match asleep[..] {
            [] => Done::Nothing(format!("no other project of yours is awake here{left}")),
            _ => Done::Worked(format!("{}{left}", asleep.join(", "))),
        })
    }
}

fn awake_others(projects: Vec<ProjectNamespace>, own: &str) -> Vec<ProjectNamespace> {
    let mut projects = projects;
    projects.retain(|other| !other.asleep && other.name != own);
    projects
}

/// A namespace without a record was made by an older devk; on a cluster that others may reach it could be anybody's.
fn is_own(project: &ProjectNamespace, owner: &Owner, is_shared: bool) -> bool {
    match &project.owner {
        Some(other) => owner.is_same_user(other, is_shared),
        None => !is_shared,
    }
}

async fn put_to_sleep(access: &Access, project: &str) -> Result<()> {
    let elsewhere = OtherNamespaces::of_project(&access.client, project).await?;
    sleep::sleep(&access.client, project, None, &elsewhere.used).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(user: u32, machine: Option<&str>) -> Owner {
        Owner {
            root: "/src".into(),
            user: Some(user),
            machine: machine.map(str::to_owned),
        }
    }

    fn project(name: &str, asleep: bool, owner: Option<Owner>) -> ProjectNamespace {
        ProjectNamespace {
            name: name.to_owned(),
            asleep,
            owner,
        }
    }

    #[test]
    fn the_projects_of_this_user_that_are_awake_fall_asleep_and_nobody_elses() {
        let projects = vec![
            project("shop", false, None),
            project("shop-login", false, None),
            project("down", true, None),
        ];
        let others = awake_others(projects, "shop");
        assert_eq!(others, [project("shop-login", false, None)]);

        let own = owner(7, Some("m"));
        let of = |other: Option<Owner>| project("other", false, other);
        for is_shared in [false, true] {
            assert!(is_own(&of(Some(owner(7, Some("m")))), &own, is_shared));
            assert!(!is_own(&of(Some(owner(8, Some("m")))), &own, is_shared));
            assert!(!is_own(&of(Some(owner(7, Some("n")))), &own, is_shared));
        }
        // Nothing proves whose it is where others may reach the cluster.
        let unknown = owner(7, None);
        for other in [of(Some(unknown.clone())), of(None)] {
            assert!(is_own(&other, &unknown, false));
            assert!(!is_own(&other, &unknown, true));
        }
    }
}
