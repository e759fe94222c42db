//! Images into the nodes that lack them, or that have something else under their names.

use std::collections::BTreeSet;

use super::{Done, Run};
use crate::error::{Code, Error, Result};
use crate::image::{self, OnNode};
use crate::release::manifest::ImageUse;
use crate::ui::event::Step;

/// The kinds whose pods `devk restart` makes anew.
const RESTARTED: [&str; 3] = ["Deployment", "StatefulSet", "DaemonSet"];

impl Run<'_> {
    pub(super) async fn load(&self, reference: &str, step: &Step) -> Result<Done> {
        let access = self.access()?;
        let docker = &self.observed.engine.docker;
        let loader = self.session.loader(docker, &self.paths.cache).await?;
        let image = image::inspect(docker, reference).await?;
        let loads = access.nodes.iter().map(|node| async {
            let listed = image::on_node(docker, &node.name).await?;
            let image = image.as_ref();
            let found = image::compared(docker, &node.name, &listed, reference, image).await?;
            if found == OnNode::Same {
                return Ok(None);
            }
            let loaded = loader.load(&node.name, reference, step).await?;
            Ok::<_, Error>(Some((loaded, found)))
        });
        let loaded: Vec<_> = futures::future::try_join_all(loads)
            .await?
            .into_iter()
            .flatten()
            .collect();
        if loaded.iter().any(|(_, found)| *found == OnNode::Other) {
            let releases = self.observed.releases.iter();
            let uses = releases.flat_map(|release| release.rendered.images());
            step.trouble(keeps_before(reference, uses));
        }
        Ok(match loaded.iter().max_by_key(|(loaded, _)| loaded.took) {
            None => Done::Nothing("every node has it".to_owned()),
            Some((slowest, _)) => {
                Done::Worked(format!("verified on {} node(s); {slowest}", loaded.len()))
            }
        })
    }
}

/// To Kubernetes nothing has changed: the templates of the pods name the same image.
fn keeps_before(reference: &str, uses: impl Iterator<Item = ImageUse>) -> Error {
    let used = uses.filter(|used| used.image == reference && !used.is_of_hook);
    let objects: BTreeSet<_> = used.map(|used| used.object).collect();
    let names = objects.iter().filter_map(|object| {
        let (kind, name) = object.split_once('/')?;
        RESTARTED.contains(&kind).then_some(name)
    });
    let names: Vec<_> = names.collect();
    let error = Error::new(
        Code::NotLive,
        format!(
            "`{reference}` has other content under the same name now; pods that run keep what they have"
        ),
    );
    match names.is_empty() {
        true => error,
        false => error.hint(format!("devk restart {}", names.join(" "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::manifest::Rendered;

    #[test]
    fn what_keeps_the_earlier_content_of_a_name_is_named_with_the_command_that_ends_that() {
        let text = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {template: {spec: {containers: [{name: web, image: 'web:dev'}, {name: side, image: 'web:dev'}]}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec: {template: {spec: {containers: [{name: db, image: 'db:1'}]}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec: {template: {spec: {containers: [{name: agent, image: 'web:dev'}]}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec: {template: {spec: {containers: [{name: once, image: 'web:dev'}]}}}
";
        let uses = Rendered::parse(text).unwrap().images();
        let error = keeps_before("web:dev", uses.clone().into_iter());
        assert_eq!(error.hint.as_deref(), Some("devk restart agent web"));
        let used_nowhere = keeps_before("other:1", uses.into_iter());
        assert_eq!(used_nowhere.hint, None);
    }
}
