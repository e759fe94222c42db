//! Images that pods are to run and that come from nowhere: told before the release is installed, for pods would wait for
//! them until its time is over.

use std::collections::BTreeSet;

use super::Run;
use crate::error::Error;
use crate::image;
use crate::release::manifest::ImageUse;

impl Run<'_> {
    /// What is wrong with each of them.
    pub(super) async fn nowhere(&self, used: &[ImageUse]) -> Vec<Error> {
        let pulled = &self.observed.facts.pulled;
        let used: BTreeSet<_> = used.iter().map(|used| used.image.as_str()).collect();
        let looks = used
            .into_iter()
            .filter(|reference| pulled.contains(*reference))
            .map(|reference| image::nowhere(&self.observed.engine.docker, reference));
        let looks = futures::future::join_all(looks).await;
        looks.into_iter().flatten().collect()
    }
}
