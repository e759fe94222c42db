//! The pod template of a component.

use super::lines::{ChartLines, literal};
use crate::new_chart::model::{
    ChartModel, Component, ComponentMount, MountSource, Wait, WaitUntil, WorkloadKind,
};

/// The volume that has the token with which a pod asks for a Job.
const JOB_READER: &str = "job-reader";

/// What fills a new volume; the argument is its place in the image.
const FILL: &str = r#"if [ -d "$1" ] && [ -z "$(ls -A /fill)" ]; then cp -a "$1/." /fill/; fi"#;

/// What a pod's text is made of.
pub(super) struct PodText<'a> {
    pub(super) model: &'a ChartModel,
    pub(super) component: &'a Component,
}

impl PodText<'_> {
    fn chart(&self) -> &str {
        &self.model.name
    }

    /// A value of the component.
    fn value(&self, path: &str) -> String {
        format!(".Values.{}.{path}", self.component.key)
    }

    /// `metadata` and `spec` of the template.
    pub(super) fn put(&self, out: &mut ChartLines, indent: usize) {
        self.metadata(out, indent);
        out.line(indent, "spec:");
        let at = indent + 2;
        out.line(
            at,
            format!(
                "serviceAccountName: {{{{ include \"{}.serviceAccountName\" . }}}}",
                self.chart()
            ),
        );
        out.line(at, "automountServiceAccountToken: false");
        // Variables such as DB_PORT, which Kubernetes makes of Services, are settings of many programs.
        out.line(at, "enableServiceLinks: false");
        out.line(
            at,
            format!(
                "terminationGracePeriodSeconds: {{{{ {} }}}}",
                self.value("terminationGracePeriodSeconds")
            ),
        );
        if self.component.kind == WorkloadKind::Job {
            out.line(at, "restartPolicy: Never");
        }
        self.fixed(out, at);
        out.line(at, "securityContext:");
        out.line(
            at + 2,
            format!(
                "{{{{- toYaml {} | nindent {} }}}}",
                self.value("podSecurityContext"),
                at + 2
            ),
        );
        with(out, at, ".Values.imagePullSecrets", "imagePullSecrets");
        self.init_containers(out, at);
        out.line(at, "containers:");
        self.container(out, at + 2);
        self.volumes(out, at);
        for key in ["nodeSelector", "affinity", "tolerations"] {
            with(out, at, &self.value(key), key);
        }
    }

    fn metadata(&self, out: &mut ChartLines, indent: usize) {
        let chart = self.chart();
        out.line(indent, "metadata:");
        out.line(indent + 2, "annotations:");
        let at = indent + 4;
        for (name, file) in self.checksums() {
            out.line(at, format!("checksum/{name}: {{{{ include (print $.Template.BasePath \"/{file}\") . | sha256sum }}}}"));
        }
        if self.model.for_production {
            let metrics = self.value("metrics");
            out.line(
                at,
                format!(
                    "{{{{- if and {metrics}.enabled (not {metrics}.serviceMonitor.enabled) }}}}"
                ),
            );
            out.line(at, "prometheus.io/scrape: \"true\"");
            out.line(
                at,
                format!("prometheus.io/path: {{{{ {metrics}.path | quote }}}}"),
            );
            out.line(
                at,
                format!(
                    "prometheus.io/port: {{{{ (index {} 0).port | quote }}}}",
                    self.value("service.ports")
                ),
            );
            out.line(at, "{{- end }}");
        }
        out.line(
            at,
            format!("{{{{- with {} }}}}", self.value("podAnnotations")),
        );
        out.line(at, format!("{{{{- toYaml . | nindent {at} }}}}"));
        out.line(at, "{{- end }}");
        out.line(indent + 2, "labels:");
        out.line(
            at,
            format!("{{{{- include \"{chart}.labels\" . | nindent {at} }}}}"),
        );
        out.line(
            at,
            format!("app.kubernetes.io/component: {}", self.component.name),
        );
        for network in &self.component.networks {
            out.line(
                at,
                format!("network.compose/{}: \"true\"", network_label(network)),
            );
        }
        out.line(at, format!("{{{{- with {} }}}}", self.value("podLabels")));
        out.line(at, format!("{{{{- toYaml . | nindent {at} }}}}"));
        out.line(at, "{{- end }}");
    }

    /// Files of the chart whose change needs new pods.
    fn checksums(&self) -> Vec<(&'static str, String)> {
        let mut found = vec![];
        if has_config(self.component) {
            let folder = if self.model.for_production {
                String::new()
            } else {
                format!("{}/", self.component.name)
            };
            found.push(("config", format!("{folder}configmap.yaml")));
        }
        if uses_secrets(self.component) {
            found.push(("secret", "secret.yaml".to_owned()));
        }
        found
    }

    /// What Compose sets and values do not change.
    fn fixed(&self, out: &mut ChartLines, at: usize) {
        if let Some(hostname) = &self.component.hostname {
            out.line(at, format!("hostname: {}", literal(hostname)));
        }
        if self.component.share_processes {
            // The pod's first process reaps what the program leaves.
            out.line(at, "shareProcessNamespace: true");
        }
        if !self.component.host_aliases.is_empty() {
            out.line(at, "hostAliases:");
            for (address, names) in &self.component.host_aliases {
                out.line(at + 2, format!("- ip: {}", literal(address)));
                out.line(at + 4, "hostnames:");
                names
                    .iter()
                    .for_each(|name| out.line(at + 6, format!("- {}", literal(name))));
            }
        }
        if let Some(dns) = &self.component.dns {
            out.value(at, "dnsConfig", dns);
        }
    }

    fn container(&self, out: &mut ChartLines, indent: usize) {
        out.line(indent, format!("- name: {}", self.component.name));
        let at = indent + 2;
        self.program(out, at, self.component);
        if self.component.kind != WorkloadKind::Job {
            let ports = self.value("service.ports");
            out.line(at, format!("{{{{- with {ports} }}}}"));
            out.line(at, "ports:");
            out.line(at + 2, "{{- range . }}");
            out.line(at + 2, "- name: {{ .name }}");
            out.line(at + 4, "containerPort: {{ .targetPort | default .port }}");
            out.line(at + 4, "protocol: {{ .protocol | default \"TCP\" }}");
            out.line(at + 2, "{{- end }}");
            out.line(at, "{{- end }}");
            for key in ["startupProbe", "readinessProbe", "livenessProbe"] {
                with(out, at, &self.value(key), key);
            }
        }
        if let Some(lifecycle) = &self.component.lifecycle {
            out.value(at, "lifecycle", lifecycle);
        }
        self.resources(out, at, &self.value("resources"));
        self.mounts(out, at, self.component, "");
    }

    fn resources(&self, out: &mut ChartLines, at: usize, path: &str) {
        out.line(at, "resources:");
        out.line(
            at + 2,
            format!("{{{{- toYaml {path} | nindent {} }}}}", at + 2),
        );
    }

    /// Image, command and variables of a component.
    fn program(&self, out: &mut ChartLines, at: usize, component: &Component) {
        let chart = self.chart();
        let value = |path: &str| format!(".Values.{}.{path}", component.key);
        out.line(
            at,
            format!(
                "image: {{{{ include \"{chart}.image\" {} | quote }}}}",
                value("image")
            ),
        );
        out.line(
            at,
            format!("imagePullPolicy: {{{{ {} }}}}", value("image.pullPolicy")),
        );
        with(out, at, &value("command"), "command");
        with(out, at, &value("args"), "args");
        if let Some(folder) = &component.working_dir {
            out.line(at, format!("workingDir: {}", literal(folder)));
        }
        for (is_set, key) in [(component.stdin, "stdin"), (component.tty, "tty")] {
            if is_set {
                out.line(at, format!("{key}: true"));
            }
        }
        out.line(at, "securityContext:");
        out.line(
            at + 2,
            format!(
                "{{{{- toYaml {} | nindent {} }}}}",
                value("securityContext"),
                at + 2
            ),
        );
        if !component.env_file.is_empty() {
            out.line(at, "envFrom:");
            out.line(at + 2, "- configMapRef:");
            out.line(
                at + 6,
                format!("name: {}-env", object_name(self.model, component)),
            );
        }
        let secret = match self.model.secrets.is_empty() {
            true => "\"\"".to_owned(),
            false => format!("(include \"{chart}.secretName\" .)"),
        };
        out.line(at, format!("{{{{- with include \"{chart}.env\" (dict \"component\" .Values.{} \"secret\" {secret}) | trim }}}}", component.key));
        out.line(at, "env:");
        out.line(at + 2, format!("{{{{- . | nindent {} }}}}", at + 2));
        out.line(at, "{{- end }}");
    }

    fn init_containers(&self, out: &mut ChartLines, at: usize) {
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

    fn mounts(&self, out: &mut ChartLines, at: usize, component: &Component, prefix: &str) {
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

    fn volumes(&self, out: &mut ChartLines, at: usize) {
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

/// A map or list of values, where there is one.
pub(super) fn with(out: &mut ChartLines, at: usize, path: &str, key: &str) {
    out.line(at, format!("{{{{- with {path} }}}}"));
    out.line(at, format!("{key}:"));
    out.line(at + 2, format!("{{{{- toYaml . | nindent {} }}}}", at + 2));
    out.line(at, "{{- end }}");
}

/// The name of a component's objects.
pub(super) fn object_name(model: &ChartModel, component: &Component) -> String {
    let release = format!("{{{{ include \"{}.fullname\" . }}}}", model.name);
    match model.for_production {
        true => release,
        false => format!("{release}-{}", component.name),
    }
}

/// The helper that has the name of a Job.
pub(super) fn job_name(model: &ChartModel, component: &str) -> String {
    format!(
        "{{{{ include \"{}.job.{component}.name\" . }}}}",
        model.name
    )
}

fn prefix(other: &Component) -> String {
    format!("{}-", other.name)
}

pub(super) fn has_config(component: &Component) -> bool {
    !component.env_file.is_empty() || component.config_items().next().is_some()
}

pub(super) fn uses_secrets(component: &Component) -> bool {
    let mut mounts = component.mounts.iter();
    !component.secret_env.is_empty()
        || mounts.any(|mount| matches!(mount.source, MountSource::Secret { .. }))
}

/// A network's name as the name of a label.
pub(super) fn network_label(network: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '-'
        }
    };
    let name: String = network.chars().map(plain).take(60).collect();
    name.trim_matches(['.', '_', '-']).to_owned()
}
