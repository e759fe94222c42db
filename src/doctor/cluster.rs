//! The project's cluster: does it run, is it the pinned one.

use super::{Check, Status};
use crate::cluster::kind::{Kind, State};
use crate::config::Project;
use crate::docker::Engine;
use crate::paths::Paths;

pub async fn checks(engine: &Engine, project: &Project, paths: &Paths) -> Vec<Check> {
    let kind = Kind::of(engine, project, paths);
    let state = match kind.state().await {
        Ok(state) => state,
        Err(error) => return vec![Check::failed("cluster.state", &error)],
    };
    let name = &project.cluster.name;
    let told = Check::new("cluster.state", Status::Ok, format!("kind cluster `{name}` is {}", state.word()));
    match &state {
        State::HalfMade => {
            let check =
                Check::new("cluster.state", Status::Warning, format!("creating kind cluster `{name}` was cut off"));
            vec![check.hint("devk up makes it anew; devk down --delete removes it")]
        }
        State::Running(nodes) => vec![told, pin(name, kind.pinned(nodes).await)],
        State::Absent | State::Stopped(_) => vec![told],
    }
}

fn pin(name: &str, pinned: crate::error::Result<Option<crate::cluster::kind::Access>>) -> Check {
    match pinned {
        Ok(Some(access)) => Check::new("cluster.pin", Status::Ok, format!("pinned: kube-system {}", access.pin.uid)),
        Ok(None) => {
            Check::new("cluster.pin", Status::Warning, format!("cluster `{name}` runs and devk has not pinned it"))
                .hint("devk up adopts it")
        }
        Err(error) => Check::failed("cluster.pin", &error),
    }
}
