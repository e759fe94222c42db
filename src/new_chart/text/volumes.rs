//! The volumes of a pod, and where its containers have them.

use super::lines::{ChartLines, literal};
use super::pod::{PodText, object_name};
use crate::new_chart::model::{Component, ComponentMount, MountSource, WaitUntil};

/// The volume that has the token with which a pod asks for a Job.
pub(super) const JOB_READER: &str = "job-reader";

impl PodText<'_> {
    pub(super) fn mounts(
        &self,
        out: &mut ChartLines,
        at: usize,
        component: &Component,
        prefix: &str,
    ) {
        if component.mounts.is_empty() {
            return;
        }
        out.line(at, "volumeMounts:");
        for mount in &component.mounts {
            out.line(at + 2, format!("- name: {prefix}{}", mount.name));
            out.line(at + 4, format!("mountPath: {}", literal(&mount.path)));
            if let Some(sub) = &mount.sub_path {
                out.line(at + 4, format!("subPath: {}", literal(sub)));
            }
            if mount.read_only {
                out.line(at + 4, "readOnly: true");
            }
        }
    }

    pub(super) fn volumes(&self, out: &mut ChartLines, at: usize) {
        let mut inner = ChartLines::default();
        self.volumes_of(&mut inner, at + 2, self.component, "");
        let mut asks = false;
        for wait in &self.component.waits {
            match wait.until {
                WaitUntil::Completed => asks = true,
                WaitUntil::RunHere => {
                    if let Some(other) = self
                        .model
                        .components
                        .iter()
                        .find(|other| other.key == wait.key)
                    {
                        self.volumes_of(&mut inner, at + 2, other, &prefix(other));
                    }
                }
                _ => {}
            }
        }
        if asks {
            inner.lines(at + 2, &JOB_READER_VOLUME.replace("NAME", JOB_READER));
        }
        if !inner.0.is_empty() {
            out.line(at, "volumes:");
            out.0.push_str(&inner.0);
        }
    }

    fn volumes_of(&self, out: &mut ChartLines, at: usize, component: &Component, prefix: &str) {
        for mount in &component.mounts {
            if !matches!(mount.source, MountSource::OwnClaim { .. }) {
                out.line(at, format!("- name: {prefix}{}", mount.name));
                self.volume(out, at + 2, component, mount);
            }
        }
    }

    fn volume(
        &self,
        out: &mut ChartLines,
        at: usize,
        component: &Component,
        mount: &ComponentMount,
    ) {
        match &mount.source {
            MountSource::OwnClaim { .. } => {}
            MountSource::SharedClaim { key } => {
                let name = self
                    .model
                    .claims
                    .iter()
                    .find(|claim| claim.key == *key)
                    .map_or(key, |claim| &claim.name);
                out.line(at, "persistentVolumeClaim:");
                out.line(
                    at + 2,
                    format!(
                        "claimName: {{{{ include \"{}.fullname\" . }}}}-{name}",
                        self.chart()
                    ),
                );
            }
            MountSource::Scratch { memory: false, .. } => out.line(at, "emptyDir: {}"),
            MountSource::Scratch { size, .. } => {
                out.line(at, "emptyDir:");
                out.line(at + 2, "medium: Memory");
                if let Some(size) = size {
                    out.line(at + 2, format!("sizeLimit: {size}"));
                }
            }
            MountSource::Config { items, mode } => {
                out.line(at, "configMap:");
                out.line(
                    at + 2,
                    format!("name: {}-files", object_name(self.model, component)),
                );
                if let Some(mode) = mode {
                    out.line(at + 2, format!("defaultMode: 0{mode:o}"));
                }
                out.line(at + 2, "items:");
                for item in items {
                    out.line(at + 4, format!("- key: {}", literal(&item.key)));
                    out.line(at + 6, format!("path: {}", literal(&item.path)));
                }
            }
            MountSource::Secret { key, file, mode } => {
                out.line(at, "secret:");
                out.line(
                    at + 2,
                    format!(
                        "secretName: {{{{ include \"{}.secretName\" . }}}}",
                        self.chart()
                    ),
                );
                if let Some(mode) = mode {
                    out.line(at + 2, format!("defaultMode: 0{mode:o}"));
                }
                out.line(at + 2, "items:");
                out.line(at + 4, format!("- key: {key}"));
                out.line(at + 6, format!("path: {}", literal(file)));
            }
        }
    }
}

/// A short-lived token of the pod's account, for the container that asks for a Job and for no other.
const JOB_READER_VOLUME: &str = "- name: NAME
  projected:
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: 3600
      - configMap:
          name: kube-root-ca.crt
          items:
            - key: ca.crt
              path: ca.crt";

/// What stands before the names of another component's volumes.
pub(super) fn prefix(other: &Component) -> String {
    format!("{}-", other.name)
}
