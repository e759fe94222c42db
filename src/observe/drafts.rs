//! What `devk doctor` looks at: the charts as `devk up` would render them, with the bridge of devk.yaml, by the code
//! of `up`. Where the bridge is refused, the charts are seen without it.

use super::bridged;
use super::charts::{Charts, PreparedRelease};
use crate::bridge::{Bridge, Bridging};
use crate::compose::Compose;
use crate::config::Project;
use crate::docker::Engine;
use crate::environment::Environment;
use crate::error::Errors;
use crate::paths::Paths;
use crate::release::helm::Helm;

/// The rendered charts of a project, with stand-ins for ports and image tags, and its bridge.
#[derive(Debug)]
pub struct Drafts {
    /// In the order of devk.yaml. The errors: all that keeps a chart from rendering.
    pub releases: Result<Vec<PreparedRelease>, Errors>,
    /// None: devk.yaml wants none, or what it needs to be looked at is missing. The errors are those of `devk up`.
    pub bridge: Option<Result<Bridge, Errors>>,
}

/// The charts as they render with stand-ins for ports and image tags, unchecked: for looking at what they
/// would install. Needs no cluster, Docker only for a bridge, and writes devk's cache alone. `compose` is None where
/// its files have a problem, `engine` where Docker does not answer: then the bridge is left out.
///
/// # Errors
/// A missing helm, state of devk's own that cannot be read.
pub async fn drafts(
    project: &Project,
    compose: Option<&Option<Compose>>,
    engine: Option<&Engine>,
    paths: &Paths,
    environment: &Environment,
) -> Result<Drafts, Errors> {
    let helm = Helm::find(environment)?;
    let stack = compose.and_then(Option::as_ref);
    let mut charts = Charts::new(project, paths, &helm, stack)?;
    let (Some(engine), Some(_), Some(_)) = (engine, compose, &project.bridge) else {
        let releases = charts.drafts(None).await;
        return Ok(Drafts {
            releases,
            bridge: None,
        });
    };
    let refused = match bridged::bridge(&mut charts, compose, engine, Bridging::default()).await {
        Ok(releases) => {
            return Ok(Drafts {
                releases: Ok(releases),
                bridge: charts.bridge.map(Ok),
            });
        }
        Err(errors) => errors,
    };
    let releases = charts.drafts(None).await;
    // What keeps the charts from rendering without a bridge, too, is no problem of the bridge.
    let others = releases.as_ref().err().map_or(&[][..], |errors| &errors.0);
    let of_bridge = refused.0.into_iter().filter(|e| !others.contains(e));
    let of_bridge = Errors(of_bridge.collect());
    Ok(Drafts {
        bridge: (!of_bridge.0.is_empty()).then_some(Err(of_bridge)),
        releases,
    })
}
