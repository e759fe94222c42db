//! What a release wants and nothing has: objects, changed definitions, images that come from nowhere. Told before the
//! release is installed, for pods would wait for it until its time is over.

use std::collections::BTreeSet;

use super::Run;
use crate::cluster::Access;
use crate::error::Error;
use crate::image;
use crate::observe::{self, PreparedRelease};
use crate::release::manifest::ImageUse;
use crate::release::requirements;
use crate::ui::event::Step;

impl Run<'_> {
    pub(super) async fn tell_missing(
        &self,
        access: &Access,
        release: &PreparedRelease,
        step: &Step,
    ) {
        let PreparedRelease {
            prepared, rendered, ..
        } = release;
        let others = observe::other_renderings(&self.observed.releases, &prepared.name);
        let images = rendered.images();
        let (missing, stores, changed, nowhere) = tokio::join!(
            requirements::missing_objects(&access.client, prepared, rendered, &others),
            requirements::missing_stores(&access.client, prepared, rendered, &others),
            requirements::changed_definitions(&access.client, prepared),
            self.nowhere(&images)
        );
        let all = missing
            .into_iter()
            .chain(stores)
            .chain(changed)
            .chain(nowhere);
        all.for_each(|error| step.trouble(error));
    }

    /// The images that pods are to run and that come from nowhere.
    async fn nowhere(&self, used: &[ImageUse]) -> Vec<Error> {
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
