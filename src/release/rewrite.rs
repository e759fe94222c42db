//! What devk changes in the text that a chart renders to, before helm installs the text: the references of the images
//! that devk builds, and what a local cluster cannot take.
//!
//! Invariant: single values are replaced in place, and every other byte stays as helm wrote it. The same code changes
//! what devk reads (`src/release/render.rs`) and what helm installs (`src/release/post_renderer.rs`).

mod edits;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use self::edits::Edits;
use super::manifest::{ImageUse, Rendered, documents, may_name_images};
use super::spanned::{self, SpannedNode};
use crate::image::ReferenceParts;

/// Fields of a Service that the API server refuses for type ClusterIP (Kubernetes, `ValidateService`).
const BALANCER_FIELDS: &[&str] = &[
    "allocateLoadBalancerNodePorts",
    "externalTrafficPolicy",
    "healthCheckNodePort",
    "loadBalancerClass",
    "loadBalancerIP",
    "loadBalancerSourceRanges",
];

/// The changes to make.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rewrite {
    pub replacements: Vec<Replacement>,
    /// References, as the chart writes them, of images that Docker has and devk loads: the kubelet must not pull them.
    pub loaded: BTreeSet<String>,
    /// Services of type NodePort and LoadBalancer become ClusterIP.
    pub cluster_ip: bool,
}

/// An image that devk builds, and the references that it replaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replacement {
    /// The image's name in devk.yaml.
    pub image: String,
    /// The repository in full, as containerd names it.
    pub repository: String,
    /// None: any tag and any digest.
    pub tag: Option<String>,
    /// The reference of the built image.
    pub with: String,
}

/// One change that was made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ManifestChange {
    /// `Deployment/api`.
    pub object: String,
    pub what: Changed,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Changed {
    /// A reference became that of a built image.
    Image { image: String, reference: String },
    /// `imagePullPolicy` became IfNotPresent.
    PullPolicy { reference: String },
    /// A Service became one of type ClusterIP.
    ServiceType { was: String },
}

impl Rewrite {
    /// The changes that concern the images of one release, so that no other image's build rolls the release out.
    #[must_use]
    pub fn only_for(&self, rendered: &Rendered) -> Self {
        let images = rendered.images();
        let references: Vec<_> = images
            .iter()
            .filter_map(|used| ReferenceParts::parse(&used.image))
            .collect();
        let replacements = self.replacements.iter();
        let is_used = |replacement: &&Replacement| {
            let mut references = references.iter();
            references.any(|reference| replacement.replaces(reference))
        };
        let loaded = self.loaded.iter();
        Self {
            replacements: replacements.filter(is_used).cloned().collect(),
            loaded: loaded
                .filter(|reference| images.iter().any(|used| used.image == **reference))
                .cloned()
                .collect(),
            cluster_ip: self.cluster_ip,
        }
    }

    /// The hooks with an image that is replaced.
    pub fn hooks(&self, rendered: &Rendered) -> Vec<String> {
        let replaced = |used: &ImageUse| {
            let reference = ReferenceParts::parse(&used.image);
            used.is_of_hook && reference.is_some_and(|found| self.replacement(&found).is_some())
        };
        let images = rendered.images().into_iter().filter(replaced);
        images.map(|used| used.object).collect()
    }

    /// True if no text is changed, whatever a chart renders to.
    pub fn is_empty(&self) -> bool {
        self.replacements.is_empty() && self.loaded.is_empty() && !self.cluster_ip
    }

    /// The text with all changes made, and what was changed. The text may hold several documents.
    ///
    /// # Errors
    /// What the YAML parser says of the first document that it cannot read.
    pub fn apply(&self, text: &str) -> Result<(String, Vec<ManifestChange>), String> {
        let mut changes = Vec::new();
        let mut rewritten = String::with_capacity(text.len());
        let mut done = 0;
        for range in documents(text) {
            let document = &text[range.clone()];
            if self.may_change(document) {
                rewritten.push_str(&text[done..range.start]);
                rewritten.push_str(&self.document(document, &mut changes)?);
                done = range.end;
            }
        }
        rewritten.push_str(&text[done..]);
        changes.sort();
        changes.dedup();
        Ok((rewritten, changes))
    }

    /// Spares the parser most documents. A scalar may be written with escapes, so only keys are looked for.
    fn may_change(&self, document: &str) -> bool {
        let has_images = !self.replacements.is_empty() || !self.loaded.is_empty();
        (has_images && document.contains("image"))
            || (self.cluster_ip
                && (document.contains("NodePort") || document.contains("LoadBalancer")))
    }

    fn document(&self, text: &str, changes: &mut Vec<ManifestChange>) -> Result<String, String> {
        let Some(root) = spanned::parse(text)? else {
            return Ok(text.to_owned());
        };
        let mut edits = Edits::of(text);
        for object in objects(&root) {
            let mut rewriting = Rewriting {
                rewrite: self,
                object: name(object),
                edits: &mut edits,
                changes,
            };
            rewriting.object(object);
        }
        Ok(edits.made())
    }

    fn replacement(&self, reference: &ReferenceParts) -> Option<&Replacement> {
        let mut replacements = self.replacements.iter();
        replacements.find(|replacement| replacement.replaces(reference))
    }
}

impl Replacement {
    fn replaces(&self, reference: &ReferenceParts) -> bool {
        let is_tag = |tag: &String| reference.tag.as_ref() == Some(tag);
        self.repository == reference.repository && self.tag.as_ref().is_none_or(is_tag)
    }
}

/// The objects of a document: the items of a List, else the document itself.
fn objects(root: &SpannedNode) -> Vec<&SpannedNode> {
    match (root.text_at(&["kind"]), root.get("items")) {
        (Some("List"), Some(items)) => items.items().iter().flat_map(objects).collect(),
        _ => vec![root],
    }
}

fn name(object: &SpannedNode) -> String {
    format!(
        "{}/{}",
        object.text_at(&["kind"]).unwrap_or_default(),
        object.text_at(&["metadata", "name"]).unwrap_or_default()
    )
}

/// One object at work.
struct Rewriting<'a, 't> {
    rewrite: &'a Rewrite,
    object: String,
    edits: &'a mut Edits<'t>,
    changes: &'a mut Vec<ManifestChange>,
}

impl Rewriting<'_, '_> {
    fn object(&mut self, object: &SpannedNode) {
        match object.text_at(&["kind"]) {
            Some(kind) if !may_name_images(kind) => {}
            Some("Service") if object.text_at(&["apiVersion"]) == Some("v1") => {
                self.service(object);
            }
            _ => self.images(object),
        }
    }

    /// Every `image:` that is a reference: of containers, of hooks, of custom resources, of image volumes.
    fn images(&mut self, node: &SpannedNode) {
        for entry in node.entries() {
            match entry.key.as_str() {
                "metadata" => {}
                "image" => self.image(node, &entry.value),
                _ => self.images(&entry.value),
            }
        }
        node.items().iter().for_each(|item| self.images(item));
    }

    fn image(&mut self, owner: &SpannedNode, value: &SpannedNode) {
        let (written, policy) = match value.text() {
            Some(text) => (Some((text, value)), "imagePullPolicy"),
            // An image volume (Kubernetes, `ImageVolumeSource`).
            None => {
                let reference = value.get("reference");
                (
                    reference.and_then(|node| Some((node.text()?, node))),
                    "pullPolicy",
                )
            }
        };
        let owner = if value.text().is_some() { owner } else { value };
        match written {
            Some((text, node)) => self.reference(owner, policy, text, node),
            None => self.images(value),
        }
    }

    fn reference(&mut self, owner: &SpannedNode, policy: &str, text: &str, node: &SpannedNode) {
        let Some(reference) = ReferenceParts::parse(text) else {
            return;
        };
        if let Some(replacement) = self.rewrite.replacement(&reference) {
            self.edits.replace(node, &replacement.with);
            self.changed(Changed::Image {
                image: replacement.image.clone(),
                reference: text.to_owned(),
            });
        } else if !self.rewrite.loaded.contains(text) {
            return;
        }
        match owner.get(policy) {
            Some(value) if value.text() == Some("Always") => {
                self.edits.replace(value, "IfNotPresent");
            }
            // A replaced reference has a tag of devk's, so nothing is pulled by default.
            None if reference.is_latest() && self.rewrite.loaded.contains(text) => {
                self.edits.insert(owner, policy, "IfNotPresent");
            }
            _ => return,
        }
        self.changed(Changed::PullPolicy {
            reference: text.to_owned(),
        });
    }

    fn service(&mut self, object: &SpannedNode) {
        let Some(spec) = object.get("spec").filter(|_| self.rewrite.cluster_ip) else {
            return;
        };
        let Some(kind) = spec.get("type") else { return };
        let Some(was @ ("NodePort" | "LoadBalancer")) = kind.text() else {
            return;
        };
        self.edits.replace(kind, "ClusterIP");
        for field in BALANCER_FIELDS {
            self.edits.remove(spec, field);
        }
        for port in spec.get("ports").into_iter().flat_map(SpannedNode::items) {
            self.edits.remove(port, "nodePort");
        }
        self.changed(Changed::ServiceType {
            was: was.to_owned(),
        });
    }

    fn changed(&mut self, what: Changed) {
        self.changes.push(ManifestChange {
            object: self.object.clone(),
            what,
        });
    }
}

#[cfg(test)]
mod tests;
