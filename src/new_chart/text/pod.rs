//! The pod template of a component.

use super::lines::{ChartLines, literal};
use crate::new_chart::model::{ChartModel, Component, ComponentKind, MountSource};

/// What a pod's text is made of.
pub(super) struct PodText<'a> {
    pub(super) model: &'a ChartModel,
    pub(super) component: &'a Component,
}

impl PodText<'_> {
    pub(super) fn chart(&self) -> &str {
        &self.model.name
    }

    /// A value of the component.
    pub(super) fn value(&self, path: &str) -> String {
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
        if self.component.kind == ComponentKind::Job {
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
        self.scraped(out, at);
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

    /// What a Prometheus looks for that finds pods by annotations.
    fn scraped(&self, out: &mut ChartLines, at: usize) {
        let metrics = self.value("metrics");
        let is_on = match self.model.for_production {
            true => format!("and {metrics}.enabled (not {metrics}.serviceMonitor.enabled)"),
            false if self.component.may_have_metrics() => format!("{metrics}.enabled"),
            false => return,
        };
        let ports = self.value("service.ports");
        for line in [
            format!("{{{{- if {is_on} }}}}"),
            "prometheus.io/scrape: \"true\"".to_owned(),
            format!("prometheus.io/path: {{{{ {metrics}.path | quote }}}}"),
            format!(
                "prometheus.io/port: {{{{ with first {ports} }}}}{{{{ .targetPort | default .port | quote }}}}{{{{ end }}}}"
            ),
            "{{- end }}".to_owned(),
        ] {
            out.line(at, line);
        }
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
        if self.component.kind != ComponentKind::Job {
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

    pub(super) fn resources(&self, out: &mut ChartLines, at: usize, path: &str) {
        out.line(at, "resources:");
        out.line(
            at + 2,
            format!("{{{{- toYaml {path} | nindent {} }}}}", at + 2),
        );
    }

    /// Image, command and variables of a component.
    pub(super) fn program(&self, out: &mut ChartLines, at: usize, component: &Component) {
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
}

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
