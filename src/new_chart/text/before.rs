//! What a pod does before its program starts: it fills new volumes, and waits.

use super::lines::{ChartLines, literal};
use super::pod::{PodText, job_name};
use super::volumes::{JOB_READER, prefix};
use crate::new_chart::model::{ComponentMount, Wait, WaitUntil};

/// What fills a new volume; the argument is its place in the image.
const FILL: &str = r#"if [ -d "$1" ] && [ -z "$(ls -A /fill)" ]; then cp -a "$1/." /fill/; fi"#;

impl PodText<'_> {
    pub(super) fn init_containers(&self, out: &mut ChartLines, at: usize) {
        let waits = &self.component.waits;
        let fills = || self.component.mounts.iter().filter(|mount| mount.is_filled);
        let on: Vec<_> = waits
            .iter()
            .map(|wait| format!(".Values.{}.enabled", wait.key))
            .collect();
        let is_sometimes = fills().next().is_none();
        if is_sometimes && waits.is_empty() {
            return;
        }
        if is_sometimes {
            out.line(at, format!("{{{{- if or {} }}}}", on.join(" ")));
        }
        out.line(at, "initContainers:");
        fills().for_each(|mount| self.fill(out, at + 2, mount));
        for wait in waits {
            out.line(
                at + 2,
                format!("{{{{- if .Values.{}.enabled }}}}", wait.key),
            );
            self.wait(out, at + 2, wait);
            out.line(at + 2, "{{- end }}");
        }
        if is_sometimes {
            out.line(at, "{{- end }}");
        }
    }

    /// Copies what the image has at a volume's place into the volume while that is empty.
    fn fill(&self, out: &mut ChartLines, indent: usize, mount: &ComponentMount) {
        let at = indent + 2;
        let image = self.value("image");
        out.line(indent, format!("- name: fill-{}", mount.name));
        out.line(
            at,
            format!(
                "image: {{{{ include \"{}.image\" {image} | quote }}}}",
                self.chart()
            ),
        );
        out.line(at, format!("imagePullPolicy: {{{{ {image}.pullPolicy }}}}"));
        out.line(at, "command:");
        for word in ["sh", "-c", FILL, "fill", &mount.path] {
            out.line(at + 2, format!("- {}", literal(word)));
        }
        out.line(at, "securityContext:");
        out.line(
            at + 2,
            format!(
                "{{{{- toYaml {} | nindent {} }}}}",
                self.value("securityContext"),
                at + 2
            ),
        );
        self.resources(out, at, &self.value("resources"));
        out.line(at, "volumeMounts:");
        out.line(at + 2, format!("- name: {}", mount.name));
        out.line(at + 4, "mountPath: /fill");
        if let Some(sub) = &mount.sub_path {
            out.line(at + 4, format!("subPath: {}", literal(sub)));
        }
    }

    fn wait(&self, out: &mut ChartLines, indent: usize, wait: &Wait) {
        let at = indent + 2;
        if wait.until == WaitUntil::RunHere {
            let Some(other) = self
                .model
                .components
                .iter()
                .find(|other| other.key == wait.key)
            else {
                return;
            };
            out.line(indent, format!("- name: run-{}", wait.on));
            self.program(out, at, other);
            self.resources(out, at, &format!(".Values.{}.resources", other.key));
            self.mounts(out, at, other, &prefix(other));
            return;
        }
        let (script, arguments) = match &wait.until {
            WaitUntil::Accepts {
                service,
                port,
                at_most,
            } => (
                "waitForPort",
                vec![
                    service.clone(),
                    format!("\"{port}\""),
                    format!("\"{}\"", at_most.unwrap_or(0)),
                ],
            ),
            WaitUntil::Resolves { service } => ("waitForName", vec![service.clone()]),
            _ => (
                "waitForJob",
                vec![
                    job_name(self.model, &wait.on),
                    "{{ .Release.Namespace }}".to_owned(),
                ],
            ),
        };
        out.line(indent, format!("- name: wait-for-{}", wait.on));
        out.line(
            at,
            format!(
                "image: {{{{ include \"{}.image\" .Values.{}.image | quote }}}}",
                self.chart(),
                wait.image_of
            ),
        );
        out.line(
            at,
            format!(
                "imagePullPolicy: {{{{ .Values.{}.image.pullPolicy }}}}",
                wait.image_of
            ),
        );
        out.line(at, "command:");
        out.line(at + 2, "- sh");
        out.line(at + 2, "- -c");
        out.line(at + 2, "- |");
        out.line(
            at + 4,
            format!(
                "{{{{- include \"{}.{script}\" . | nindent {} }}}}",
                self.chart(),
                at + 4
            ),
        );
        out.line(at + 2, "- wait");
        arguments
            .iter()
            .for_each(|argument| out.line(at + 2, format!("- {argument}")));
        out.line(at, "securityContext:");
        out.line(
            at + 2,
            format!(
                "{{{{- toYaml .Values.{}.securityContext | nindent {} }}}}",
                wait.image_of,
                at + 2
            ),
        );
        self.resources(out, at, ".Values.waitResources");
        if wait.until == WaitUntil::Completed {
            out.line(at, "volumeMounts:");
            out.line(at + 2, format!("- name: {JOB_READER}"));
            out.line(at + 4, format!("mountPath: /var/run/secrets/{JOB_READER}"));
            out.line(at + 4, "readOnly: true");
        }
    }
}
