//! The charts of a project, each rendered as it is; one that asks what the cluster has waits for the releases before it.

use std::collections::BTreeSet;

use tokio::sync::SetOnce;

use super::Charts;
use crate::bridge::Bridge;
use crate::config::ReleaseConfig;
use crate::error::{Code, Errors, Problems, Result};
use crate::image::ImageRef;
use crate::release::capabilities::{self, Capabilities};
use crate::release::chart::Chart;
use crate::release::render::Rendering;
use crate::release::values::{self, MappedImage, Resolve};
use crate::release::{Prepared, ValuesContext, prepare, render};

/// One rendering of all charts, with what is known so far.
pub(super) struct ChartRendering<'a, 'r> {
    pub(super) charts: &'a Charts<'a>,
    pub(super) bridge: Option<&'r Bridge>,
    pub(super) images: &'r [ImageRef],
    pub(super) resolve: &'r Resolve<'r>,
}

impl ChartRendering<'_, '_> {
    /// All releases as their charts render, all problems together. `by_values`: images that values take beside those
    /// that devk.yaml names, by the name of the release.
    pub(super) async fn all(
        &self,
        by_values: &[(String, MappedImage)],
    ) -> Result<Vec<(Prepared, Rendering)>, Errors> {
        let releases = &self.charts.project.releases;
        let brought: Vec<_> = releases.iter().map(|_| SetOnce::new()).collect();
        let all = releases.iter().enumerate().map(|(at, release)| {
            let (before, own) = (&brought[..at], &brought[at]);
            async move {
                let result = self.one(release, by_values, before).await;
                // Set once, here.
                let _ = own.set(result.as_ref().ok().map(BroughtApis::of));
                result
            }
        });
        let mut rendered = vec![];
        let mut problems = Problems::default();
        for result in futures::future::join_all(all).await {
            rendered.extend(problems.collect(result));
        }
        Errors::unless_empty(problems.0, rendered)
    }

    async fn one(
        &self,
        release: &ReleaseConfig,
        by_values: &[(String, MappedImage)],
        before: &[SetOnce<Option<BroughtApis>>],
    ) -> Result<(Prepared, Rendering), Errors> {
        let mut mapped = values::explicit(self.images, release);
        let own = by_values.iter().filter(|(name, _)| *name == release.name);
        mapped.extend(own.map(|(_, mapped)| mapped.clone()));
        let Charts { helm, paths, .. } = *self.charts;
        let as_it_is = self.prepare(release, &mapped).await?;
        let named = self.named(&as_it_is, &mapped);
        let is_known = !named.is_empty() && render::demands_image(&as_it_is, helm, &paths.cache);
        mapped.extend(named.iter().cloned());
        if is_known && let Ok(rendered) = self.with_images(release, &mapped, before).await {
            return Ok(rendered);
        }
        let refusal = match self.template(&as_it_is, before).await {
            Ok(rendering) => return Ok((as_it_is, rendering)),
            Err(refusal) => refusal,
        };
        // A chart may demand an image in its values.
        if refusal.code != Code::ChartRender || named.is_empty() {
            return Err(refusal.into());
        }
        let Ok(rendered) = self.with_images(release, &mapped, before).await else {
            return Err(refusal.into());
        };
        render::note_demand(&as_it_is, helm, &paths.cache)?;
        Ok(rendered)
    }

    async fn with_images(
        &self,
        release: &ReleaseConfig,
        mapped: &[MappedImage],
        before: &[SetOnce<Option<BroughtApis>>],
    ) -> Result<(Prepared, Rendering), Errors> {
        let prepared = self.prepare(release, mapped).await?;
        let rendering = self.template(&prepared, before).await?;
        Ok((prepared, rendering))
    }

    /// The images for which the values have one block by name, but those that are `mapped` already.
    fn named(&self, prepared: &Prepared, mapped: &[MappedImage]) -> Vec<MappedImage> {
        let only_image = self.images.len() == 1;
        let open = self
            .images
            .iter()
            .filter(|image| !mapped.iter().any(|mapped| mapped.image == **image));
        let block = |image: &ImageRef| match values::named_blocks(
            &image.name,
            &prepared.blocks,
            only_image,
        )[..]
        {
            [block] => Some(block.take(image)),
            _ => None,
        };
        open.filter_map(block).collect()
    }

    async fn prepare(
        &self,
        release: &ReleaseConfig,
        mapped: &[MappedImage],
    ) -> Result<Prepared, Errors> {
        let Charts {
            project,
            helm,
            paths,
            ..
        } = *self.charts;
        let bridge = self.bridge.filter(|bridge| bridge.release == release.name);
        let decided = bridge
            .map(|bridge| bridge.values(&project.id))
            .unwrap_or_default();
        let given = ValuesContext {
            images: mapped,
            resolve: self.resolve,
            decided: &decided,
        };
        let mut secrets = self.charts.secrets.lock().await;
        prepare(project, release, &given, &mut secrets, helm, paths).await
    }

    async fn template(
        &self,
        prepared: &Prepared,
        before: &[SetOnce<Option<BroughtApis>>],
    ) -> Result<Rendering> {
        let Charts { helm, paths, .. } = *self.charts;
        if !prepared.chart.asks_capabilities {
            return render::render(prepared, helm, &Capabilities::default(), &paths.cache).await;
        }
        let capabilities = self.capabilities(&prepared.chart, before).await?;
        let rendered = render::render(prepared, helm, &capabilities, &paths.cache).await;
        rendered.map_err(|refusal| match self.charts.capabilities.without_cluster() {
            Some(how) if refusal.code == Code::ChartRender => refusal.evidence(how),
            _ => refusal,
        })
    }

    /// What a chart finds in the cluster when helm installs it: what the releases before it bring, and what its own
    /// `crds` folders do.
    async fn capabilities(
        &self,
        chart: &Chart,
        before: &[SetOnce<Option<BroughtApis>>],
    ) -> Result<Capabilities> {
        let Charts { helm, paths, .. } = *self.charts;
        let mut found = self.charts.capabilities.get().await?.clone();
        let mut charts = vec![chart.clone()];
        for release in before {
            // One that does not render is reported, and brings nothing.
            let Some(BroughtApis { chart, rendered }) = release.wait().await else {
                continue;
            };
            found.api_versions.extend(rendered.iter().cloned());
            charts.push(chart.clone());
        }
        for chart in charts {
            let brought = capabilities::brought_by(&chart, helm, &paths.cache).await?;
            found.api_versions.extend(brought);
        }
        Ok(found)
    }
}

/// Where to find the API versions that a release brings.
#[derive(Debug)]
struct BroughtApis {
    chart: Chart,
    /// By definitions among its objects.
    rendered: BTreeSet<String>,
}

impl BroughtApis {
    fn of((prepared, rendering): &(Prepared, Rendering)) -> Self {
        Self {
            chart: prepared.chart.clone(),
            rendered: capabilities::defined(&rendering.rendered),
        }
    }
}
