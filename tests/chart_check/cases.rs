//! For each rule the change that it finds.

use devk::check::RenderingUse;
use devk::config::IgnoreConfig;
use devk::config::Origin;
use jiff::civil::date;

use super::case::Case;

/// A rule, and what to change in the chart `whole`.
type RuleCase = (&'static str, fn(&mut Case));

/// One for each rule.
pub(crate) const CASES: &[RuleCase] = &[
    // The chart's files.
    ("chart.yaml", |case| {
        case.file("values.yaml", "  enabled: true", "  enabled: [true");
    }),
    ("chart.repeated-key", |case| {
        case.file(
            "values.yaml",
            "  enabled: true",
            "  enabled: true\n  enabled: true",
        );
    }),
    ("chart.metadata", |case| {
        case.file("Chart.yaml", "version: 1.2.3\n", "");
    }),
    ("chart.version", |case| {
        case.file("Chart.yaml", "version: 1.2.3", "version: 1.2");
    }),
    ("chart.lock", |case| {
        case.file("Chart.yaml", "maintainers:", DEPENDENCY);
    }),
    ("chart.api-version", |case| {
        case.file("Chart.yaml", "apiVersion: v2", "apiVersion: v1");
    }),
    ("chart.kube-version", |case| {
        case.file("Chart.yaml", "kubeVersion: \">=1.25.0-0\"\n", "");
    }),
    ("chart.dependency-range", |case| {
        let dependency = DEPENDENCY.replace("~1.2.0", "\">=1.2.0\"");
        case.file("Chart.yaml", "maintainers:", &dependency);
        case.new_file(
            "Chart.lock",
            "dependencies:\n- {name: store, version: 1.2.5}\n",
        );
    }),
    ("chart.dependency-http", |case| {
        let dependency = DEPENDENCY.replace("https:", "http:");
        case.file("Chart.yaml", "maintainers:", &dependency);
        case.new_file(
            "Chart.lock",
            "dependencies:\n- {name: store, version: 1.2.5}\n",
        );
    }),
    ("chart.helmignore", |case| {
        case.no_file(".helmignore");
    }),
    ("chart.template-name", |case| {
        case.new_file("templates/MyService.yaml", "");
    }),
    ("chart.define-prefix", |case| {
        case.file(
            "templates/_helpers.tpl",
            "define \"whole.pod\"",
            "define \"pod\"",
        );
    }),
    ("chart.maintainers", |case| {
        case.file("Chart.yaml", "maintainers:\n  - name: devk\n", "");
    }),
    // It renders.
    ("render.default", |case| {
        case.failed(RenderingUse::Judged, false);
    }),
    ("render.values", |case| {
        case.failed(RenderingUse::Working, false);
    }),
    ("render.value-required", |case| {
        case.failed(RenderingUse::Judged, true);
    }),
    // Objects among themselves.
    ("object.repeated", |case| {
        case.added("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: whole-config\n");
    }),
    ("workload.selector", |case| {
        let other = "selector: {matchLabels: {app: worker, tier: x}}\n  template";
        case.added(&WORKER.replace("selector: {matchLabels: {app: worker}}\n  template", other));
    }),
    ("service.selector", |case| {
        case.added("apiVersion: v1\nkind: Service\nmetadata:\n  name: whole-x\nspec: {selector: {app: x}, ports: [{port: 80}]}\n");
    }),
    ("service.port", |case| {
        case.rendered("Service/whole-api", "targetPort: http", "targetPort: web");
    }),
    ("service.undeclared-port", |case| {
        case.rendered("Service/whole-api", "targetPort: http", "targetPort: 9999");
    }),
    ("scaling.target", |case| {
        case.added("apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata:\n  name: whole-x\nspec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: x}, minReplicas: 1, maxReplicas: 2}\n");
    }),
    ("disruption.selector", |case| {
        case.added("apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata:\n  name: whole-x\nspec: {maxUnavailable: 1, selector: {matchLabels: {app: x}}}\n");
    }),
    ("network-policy.selector", |case| {
        case.added("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: whole-x\nspec: {podSelector: {matchLabels: {app: x}}, policyTypes: [Ingress]}\n");
    }),
    ("object.namespace", |case| {
        case.added(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: whole-x\n  namespace: other\n",
        );
    }),
    ("object.name", |case| {
        case.added("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n");
    }),
    ("object.bare-pod", |case| {
        case.added(POD);
    }),
    ("ingress.backend", |case| {
        case.rendered("Ingress/whole", "name: whole-api", "name: whole-web");
    }),
    // References.
    ("reference.missing", |case| {
        case.added(
            &POD_TEMPLATE
                .replace(
                    "containers:",
                    "volumes: [{name: a, configMap: {name: gone}}]\n      containers:",
                )
                .replace(
                    "name: worker, ",
                    "name: worker, volumeMounts: [{name: a, mountPath: /a}], ",
                ),
        );
    }),
    ("reference.key", |case| {
        case.rendered("Deployment/whole-api", "key: greeting", "key: farewell");
    }),
    ("reference.volume", |case| {
        case.rendered("Deployment/whole-api", "- name: scratch\n              mountPath", "- name: scratch\n              mountPath: /b\n            - name: gone\n              mountPath");
    }),
    ("reference.unused-volume", |case| {
        case.rendered(
            "Deployment/whole-api",
            "volumes:",
            "volumes:\n        - name: spare\n          emptyDir: {sizeLimit: 1Mi}",
        );
    }),
    // Values.
    ("values.undefined", |case| {
        case.new_file("templates/more.yaml", "a: {{ .Values.ingress.path }}\n");
    }),
    ("values.unused", |case| {
        case.file(
            "values.yaml",
            "  enabled: true",
            "  enabled: true\n  color: red",
        );
    }),
    ("values.name", |case| {
        case.file(
            "values.yaml",
            "# ingress is",
            "# Color is unusual.\nColor: red\n# ingress is",
        )
        .new_file("templates/more.yaml", "a: {{ .Values.Color }}\n");
    }),
    ("values.comments", |case| {
        case.file("values.yaml", "# greeting is what the API says.\n", "");
    }),
    ("values.schema", |case| {
        case.no_file("values.schema.json");
    }),
    // Schemas of Kubernetes.
    ("schema.unknown-key", |case| {
        case.rendered(
            "Deployment/whole-api",
            "failureThreshold: 6",
            "failureThreshold: 6\n            failureTreshold: 6",
        );
    }),
    ("schema.value", |case| {
        case.rendered(
            "Deployment/whole-api",
            "failureThreshold: 6",
            "failureThreshold: six",
        );
    }),
    ("schema.required", |case| {
        case.rendered("CronJob/whole-clean", "schedule: \"0 3 * * *\"\n", "\n");
    }),
    ("schema.removed", |case| {
        case.rendered(
            "PodDisruptionBudget/whole-store",
            "policy/v1",
            "policy/v1beta1",
        );
    }),
    ("schema.deprecated", |case| {
        case.added("apiVersion: admissionregistration.k8s.io/v1beta1\nkind: MutatingAdmissionPolicyBinding\nmetadata:\n  name: whole-x\nspec: {policyName: whole-x}\n");
    }),
    // The Pod Security Standards.
    ("pod.privileged", |case| {
        case.rendered(
            "Job/whole-migrate",
            "allowPrivilegeEscalation: false",
            "privileged: true\n            allowPrivilegeEscalation: false",
        );
    }),
    ("pod.runtime-socket", |case| {
        case.rendered(
            "Deployment/whole-api",
            "emptyDir:\n            sizeLimit: 64Mi",
            "hostPath: {path: /var/run/docker.sock}",
        );
    }),
    ("pod.host-namespaces", |case| {
        case.rendered(
            "Job/whole-migrate",
            "restartPolicy: Never",
            "restartPolicy: Never\n      hostPID: true",
        );
    }),
    ("pod.host-path", |case| {
        case.rendered(
            "Deployment/whole-api",
            "emptyDir:\n            sizeLimit: 64Mi",
            "hostPath: {path: /data}",
        );
    }),
    ("pod.capabilities", |case| {
        case.rendered(
            "Job/whole-migrate",
            "drop:",
            "add: [SYS_ADMIN]\n              drop:",
        );
    }),
    ("pod.baseline", |case| {
        case.rendered(
            "Deployment/whole-api",
            "containerPort: 8080",
            "containerPort: 8080\n              hostPort: 8080",
        );
    }),
    ("pod.non-root", |case| {
        case.rendered(
            "Job/whole-migrate",
            "runAsNonRoot: true",
            "runAsNonRoot: false",
        );
    }),
    ("pod.escalation", |case| {
        case.rendered(
            "Job/whole-migrate",
            "allowPrivilegeEscalation: false",
            "allowPrivilegeEscalation: true",
        );
    }),
    ("pod.drop-capabilities", |case| {
        case.rendered("Job/whole-migrate", "drop: [ALL]", "drop: [NET_RAW]");
    }),
    ("pod.seccomp", |case| {
        case.rendered(
            "Job/whole-migrate",
            "seccompProfile:\n          type: RuntimeDefault",
            "fsGroup: 10001",
        );
    }),
    ("pod.volume-types", |case| {
        case.rendered(
            "Deployment/whole-api",
            "emptyDir:\n            sizeLimit: 64Mi",
            "nfs: {server: nfs.example, path: /}",
        );
    }),
    ("pod.writable-root", |case| {
        case.rendered(
            "Deployment/whole-api",
            "readOnlyRootFilesystem: true",
            "readOnlyRootFilesystem: false",
        );
    }),
    // Images and secrets.
    ("image.latest", |case| {
        case.rendered(
            "Deployment/whole-api",
            "image: registry.example/shop/job:1.4.2@",
            "image: registry.example/shop/job:latest #",
        );
    }),
    ("image.digest", |case| {
        case.rendered(
            "Deployment/whole-api",
            "image: registry.example/shop/job:1.4.2@",
            "image: registry.example/shop/job:1.4.2 #",
        );
    }),
    ("image.registry", |case| {
        case.config.registries = vec!["registry.example/shop".to_owned()];
        case.rendered(
            "Deployment/whole-api",
            "image: registry.example/shop/job:",
            "image: registry.example/shopping/job:",
        );
    }),
    ("secret.environment", |case| {
        case.rendered("Deployment/whole-api", "- name: STAGE", "- name: API_TOKEN");
    }),
    ("secret.values", |case| {
        case.file(
            "values.yaml",
            "  enabled: true",
            "  enabled: true\n  password: \"fR7#kz9Lq2!x\"",
        )
        .new_file("templates/more.yaml", "a: {{ .Values.ingress.password }}\n");
    }),
    ("secret.default-password", |case| {
        case.file(
            "values.yaml",
            "  enabled: true",
            "  enabled: true\n  password: changeme",
        )
        .new_file("templates/more.yaml", "a: {{ .Values.ingress.password }}\n");
    }),
    ("secret.config-map", |case| {
        case.added("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: whole-x\ndata: {password: hunter2}\n");
    }),
    ("secret.argument", |case| {
        case.rendered("Deployment/whole-api", "--verbose", "--db-password=hunter2");
    }),
    // Accounts.
    ("rbac.wildcard", |case| {
        case.rendered("Role/whole", "verbs: [get]", "verbs: [\"*\"]");
    }),
    ("rbac.cluster-admin", |case| {
        case.added("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata:\n  name: whole-x\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\nsubjects: [{kind: ServiceAccount, name: whole, namespace: chart-check}]\n");
    }),
    ("rbac.escalation", |case| {
        case.rendered(
            "Role/whole",
            "resources: [configmaps]\n    verbs: [get]",
            "resources: [pods/exec]\n    verbs: [create]",
        );
    }),
    ("rbac.secrets", |case| {
        case.added("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: whole-x\nrules: [{apiGroups: [\"\"], resources: [secrets], verbs: [list]}]\n");
    }),
    ("rbac.everybody", |case| {
        case.added("apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata:\n  name: whole-x\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: whole}\nsubjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: \"system:authenticated\"}]\n");
    }),
    ("account.token", |case| {
        case.without("RoleBinding/whole").rendered(
            "Deployment/whole-api",
            "automountServiceAccountToken: false",
            "automountServiceAccountToken: true",
        );
    }),
    ("account.default", |case| {
        case.rendered("Deployment/whole-api", "serviceAccountName: whole\n", "enableServiceLinks: false\n")
            .rendered("Deployment/whole-api", "automountServiceAccountToken: false", "automountServiceAccountToken: true")
            .added("apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata:\n  name: whole-x\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: whole}\nsubjects: [{kind: ServiceAccount, name: default, namespace: chart-check}]\n");
        case.config.enable.retain(|rule| rule != "rbac.everybody");
    }),
    // What comes in.
    ("ingress.tls", |case| {
        case.rendered(
            "Ingress/whole",
            "- hosts: [shop.example]",
            "- hosts: [other.example]",
        );
    }),
    ("ingress.snippet", |case| {
        case.rendered(
            "Ingress/whole",
            "ingress.example/timeout: \"60\"",
            "ingress.example/server-snippet: \"a;\"",
        );
    }),
    ("service.external-ip", |case| {
        case.rendered(
            "Service/whole-api",
            "type: ClusterIP",
            "type: ClusterIP\n  externalIPs: [192.0.2.1]",
        );
    }),
    ("service.node-port", |case| {
        case.rendered("Service/whole-api", "type: ClusterIP", "type: NodePort");
    }),
    ("service.open-load-balancer", |case| {
        case.rendered("Service/whole-api", "type: ClusterIP", "type: LoadBalancer");
    }),
    // Resources.
    ("resources.cpu-request", |case| {
        case.rendered("StatefulSet/whole-store", "cpu: 50m\n", "\n");
    }),
    ("resources.memory-request", |case| {
        case.rendered(
            "StatefulSet/whole-store",
            "requests:\n              cpu: 50m\n              memory: 96Mi",
            "requests:\n              cpu: 50m",
        );
        // A request that is left out is the limit, which goes, too.
        case.rendered("StatefulSet/whole-store", "memory: 256Mi\n", "\n");
        case.config
            .ignore
            .push(ignore("resources.memory-limit", date(2030, 1, 1)));
    }),
    ("resources.memory-limit", |case| {
        case.rendered("StatefulSet/whole-store", "memory: 256Mi\n", "\n");
    }),
    ("resources.limit-below-request", |case| {
        case.rendered("StatefulSet/whole-store", "memory: 256Mi", "memory: 64Mi");
    }),
    ("resources.large-request", |case| {
        case.rendered("StatefulSet/whole-store", "cpu: 50m", "cpu: 12");
    }),
    ("resources.wide-limit", |case| {
        case.rendered("StatefulSet/whole-store", "memory: 256Mi", "memory: 8Gi");
    }),
    ("resources.init-container", |case| {
        let resources = "limits:
              ephemeral-storage: 256Mi
              memory: 256Mi
            requests:
              cpu: 50m
              memory: 96Mi";
        case.rendered("Deployment/whole-api", resources, "claims: []");
    }),
    ("resources.ephemeral-storage", |case| {
        case.rendered(
            "StatefulSet/whole-store",
            "ephemeral-storage: 256Mi\n",
            "\n",
        );
    }),
    ("resources.hook", |case| {
        case.rendered(
            "Job/whole-migrate",
            "requests:\n              cpu: 50m\n              memory: 96Mi",
            "claims: []",
        );
    }),
    // Probes.
    ("probes.readiness", |case| {
        case.rendered(
            "StatefulSet/whole-store",
            "readinessProbe:\n            tcpSocket:\n              port: store\n",
            "\n",
        );
    }),
    ("probes.liveness", |case| {
        case.rendered(
            "StatefulSet/whole-store",
            "livenessProbe:\n            exec:\n              command: [store, alive]\n",
            "\n",
        );
    }),
    ("probes.same", |case| {
        case.rendered(
            "Deployment/whole-api",
            "path: /alive\n              port: http\n            failureThreshold: 6",
            "path: /ready\n              port: http",
        );
    }),
    ("probes.port", |case| {
        case.rendered(
            "Deployment/whole-api",
            "path: /alive\n              port: http",
            "path: /alive\n              port: web",
        );
    }),
    ("probes.startup", |case| {
        case.rendered(
            "Deployment/whole-api",
            "failureThreshold: 6",
            "initialDelaySeconds: 90",
        );
    }),
    ("probes.hasty", |case| {
        case.rendered(
            "Deployment/whole-api",
            "failureThreshold: 6",
            "periodSeconds: 1",
        );
    }),
    // Scaling and storage.
    ("scaling.replicas", |case| {
        case.rendered(
            "Deployment/whole-api",
            "spec:\n  selector",
            "spec:\n  replicas: 2\n  selector",
        );
    }),
    ("scaling.requests", |case| {
        case.rendered(
            "HorizontalPodAutoscaler/whole-api",
            "name: cpu",
            "name: example.com/gpu",
        );
    }),
    ("scaling.range", |case| {
        case.rendered(
            "HorizontalPodAutoscaler/whole-api",
            "maxReplicas: 6",
            "maxReplicas: 2",
        );
    }),
    ("scaling.single-replica", |case| {
        case.rendered("StatefulSet/whole-store", "replicas: 2", "replicas: 1");
    }),
    ("scaling.spread", |case| {
        case.rendered("StatefulSet/whole-store", SPREAD, "tolerations: []");
    }),
    ("storage.shared-claim", |case| {
        let claim =
            "volumes: [{name: a, persistentVolumeClaim: {claimName: whole-x}}]\n      containers:";
        let worker = WORKER.replace("containers:", claim).replace(
            "name: worker, ",
            "name: worker, volumeMounts: [{name: a, mountPath: /a}], ",
        );
        let worker = worker
            .replace("kind: Deployment", "kind: StatefulSet")
            .replace("  selector: {", "  serviceName: whole-api\n  selector: {");
        case.added(&worker).added(CLAIM);
    }),
    ("storage.rolling-claim", |case| {
        let claim =
            "volumes: [{name: a, persistentVolumeClaim: {claimName: whole-x}}]\n      containers:";
        let worker = WORKER.replace("containers:", claim).replace(
            "name: worker, ",
            "name: worker, volumeMounts: [{name: a, mountPath: /a}], ",
        );
        case.added(&worker).added(CLAIM);
        case.config
            .enable
            .retain(|rule| rule != "storage.shared-claim");
    }),
    ("storage.size-limit", |case| {
        case.rendered("Deployment/whole-api", "sizeLimit: 64Mi", "medium: \"\"");
    }),
    ("storage.keep", |case| {
        case.added(&CLAIM.replace("helm.sh/resource-policy: keep", "a: b"));
    }),
    // Operations.
    ("monitoring.none", |case| {
        case.rendered(
            "StatefulSet/whole-store",
            "prometheus.io/scrape: \"true\"",
            "a: b",
        )
        .rendered(
            "Deployment/whole-api",
            "prometheus.io/scrape: \"true\"",
            "a: b",
        );
    }),
    ("monitoring.port", |case| {
        case.rendered(
            "Deployment/whole-api",
            "prometheus.io/port: \"8080\"",
            "prometheus.io/port: \"9090\"",
        );
    }),
    ("monitoring.selector", |case| {
        case.added("apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata:\n  name: whole-x\nspec: {selector: {matchLabels: {app: x}}, endpoints: [{port: http}]}\n");
    }),
    ("monitoring.workload", |case| {
        case.config.monitoring = true;
        case.rendered(
            "StatefulSet/whole-store",
            "prometheus.io/scrape: \"true\"",
            "a: b",
        );
    }),
    ("labels.standard", |case| {
        case.rendered("CronJob/whole-clean", "helm.sh/chart:", "chart:");
    }),
    ("labels.managed-by", |case| {
        case.rendered(
            "CronJob/whole-clean",
            "app.kubernetes.io/managed-by:",
            "managed-by:",
        );
    }),
    ("docs.readme", |case| {
        case.no_file("README.md");
    }),
    ("docs.notes", |case| {
        case.no_file("templates/NOTES.txt");
    }),
    ("docs.description", |case| {
        case.file(
            "Chart.yaml",
            "description: A chart in which no rule finds anything\n",
            "",
        );
    }),
    ("docs.app-version", |case| {
        case.file("Chart.yaml", "appVersion: 1.4.2\n", "");
    }),
    ("data.backup", |case| {
        case.rendered(
            "StatefulSet/whole-store",
            "backup.velero.io/backup-volumes: data",
            "a: b",
        );
    }),
    // Upgrades.
    ("upgrade.checksum", |case| {
        case.rendered("Deployment/whole-api", "checksum/config:", "a:");
    }),
    ("upgrade.selector-label", |case| {
        case.rendered(
            "StatefulSet/whole-store",
            "matchLabels:",
            "matchLabels:\n      version: \"1\"",
        )
        .rendered(
            "StatefulSet/whole-store",
            "template:\n    metadata:\n      labels:",
            "template:\n    metadata:\n      labels:\n        version: \"1\"",
        );
    }),
    ("upgrade.job-name", |case| {
        case.rendered(
            "Job/whole-migrate",
            "helm.sh/hook: post-install,post-upgrade",
            "a: b",
        );
    }),
    ("upgrade.random", |case| {
        case.new_file("templates/more.yaml", "a: {{ randAlphaNum 16 }}\n");
    }),
    ("upgrade.budget", |case| {
        case.without("PodDisruptionBudget/whole-store");
    }),
    ("upgrade.blocking-budget", |case| {
        case.rendered(
            "PodDisruptionBudget/whole-store",
            "maxUnavailable: 1",
            "minAvailable: 2",
        );
    }),
    ("upgrade.grace-period", |case| {
        case.rendered(
            "StatefulSet/whole-store",
            "priorityClassName: shop",
            "priorityClassName: shop\n      terminationGracePeriodSeconds: 0",
        );
    }),
    ("upgrade.recreate", |case| {
        case.rendered(
            "Deployment/whole-api",
            "spec:\n  selector",
            "spec:\n  strategy: {type: Recreate}\n  selector",
        );
    }),
    ("upgrade.hook-deadline", |case| {
        case.rendered(
            "Job/whole-migrate",
            "activeDeadlineSeconds: 300",
            "backoffLimit: 3",
        );
    }),
    ("upgrade.hook-history", |case| {
        case.rendered("Job/whole-migrate", "helm.sh/hook-delete-policy", "a");
    }),
    ("upgrade.cron-overlap", |case| {
        case.rendered(
            "CronJob/whole-clean",
            "concurrencyPolicy: Forbid",
            "concurrencyPolicy: Allow",
        );
    }),
    ("upgrade.priority", |case| {
        case.rendered("Deployment/whole-api", "priorityClassName: shop\n", "\n");
    }),
    ("upgrade.immutable-selector", |case| {
        let of = |selector: &str| {
            format!(
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: whole-api}}\nspec: {{selector: {{matchLabels: {{app: {selector}}}}}}}\n"
            )
        };
        case.installed(&of("a"), &of("b"));
    }),
    ("upgrade.immutable-field", |case| {
        let of = |size: &str| {
            format!(
                "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: whole-store}}\nspec: {{volumeClaimTemplates: [{{metadata: {{name: data}}, spec: {{resources: {{requests: {{storage: {size}}}}}}}}}]}}\n"
            )
        };
        case.installed(&of("1Gi"), &of("2Gi"));
    }),
    ("upgrade.job-template", |case| {
        let of = |image: &str| {
            format!(
                "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: whole-seed-1}}\nspec: {{template: {{spec: {{containers: [{{name: a, image: \"{image}\"}}]}}}}}}\n"
            )
        };
        case.added(&POD_TEMPLATE.replace("whole-worker-1", "whole-seed-1"))
            .installed(&of("a:1"), &of("a:2"));
    }),
    // What is asked for.
    ("constraint.kubernetes", |case| {
        case.config.kubernetes = Some(">=1.24".to_owned());
    }),
    ("constraint.labels", |case| {
        case.config.labels = vec!["app.kubernetes.io/name".to_owned()];
        case.added(&POD_TEMPLATE.replace("app.kubernetes.io/name: whole", "a: b"));
        case.config
            .ignore
            .push(ignore("labels.standard", date(2030, 1, 1)));
    }),
    ("constraint.annotations", |case| {
        case.config.annotations = vec!["logging.example/format".to_owned()];
    }),
    ("constraint.ceiling", |case| {
        case.config.max_memory = Some("128Mi".to_owned());
    }),
    ("constraint.storage-class", |case| {
        case.config.storage_classes = vec!["standard".to_owned()];
        case.rendered(
            "StatefulSet/whole-store",
            "accessModes: [ReadWriteOnce]",
            "storageClassName: fast\n        accessModes: [ReadWriteOnce]",
        );
    }),
    ("constraint.ingress-class", |case| {
        case.config.ingress_classes = vec!["haproxy".to_owned()];
    }),
    ("constraint.network-policy", |case| {
        case.config.network_policy = true;
        case.without("NetworkPolicy/whole-clean");
    }),
    ("constraint.backup", |case| {
        case.config.backup = true;
        case.rendered(
            "StatefulSet/whole-store",
            "backup.velero.io/backup-volumes: data",
            "a: b",
        );
        // The rule that is on by default says the same.
        case.config
            .ignore
            .push(ignore("data.backup", date(2030, 1, 1)));
    }),
    ("constraint.expired-ignore", |case| {
        case.config
            .ignore
            .push(ignore("image.latest", date(2027, 1, 14)));
    }),
];

fn ignore(rule: &str, until: jiff::civil::Date) -> IgnoreConfig {
    IgnoreConfig {
        rule: rule.to_owned(),
        object: None,
        chart: None,
        reason: "known".to_owned(),
        until: Some(until),
        origin: Origin {
            file: "/c/devk.yaml".into(),
            line: 3,
        },
    }
}

const DEPENDENCY: &str = "dependencies:\n  - {name: store, version: ~1.2.0, repository: \"https://charts.example\"}\nmaintainers:";

const CLAIM: &str = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: whole-x\n  annotations:\n    helm.sh/resource-policy: keep\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n";

/// A Deployment that serves nothing, with its disruption budget.
const WORKER: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: whole-worker
  labels:
    app.kubernetes.io/name: whole
    app.kubernetes.io/instance: whole
    app.kubernetes.io/managed-by: Helm
    helm.sh/chart: whole-1.2.3
spec:
  replicas: 2
  selector: {matchLabels: {app: worker}}
  template:
    metadata: {labels: {app: worker}}
    spec:
      automountServiceAccountToken: false
      serviceAccountName: whole
      priorityClassName: shop
      restartPolicy: Always
      securityContext: {runAsNonRoot: true, runAsUser: 10001, seccompProfile: {type: RuntimeDefault}}
      topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: worker}}}]
      containers:
      - {name: worker, image: \"registry.example/shop/job:1@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\", resources: {requests: {cpu: 50m, memory: 96Mi}, limits: {memory: 256Mi, ephemeral-storage: 1Gi}}, securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}}
---
# Source: whole/templates/added.yaml
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: whole-worker
spec: {maxUnavailable: 1, selector: {matchLabels: {app: worker}}}
";

/// A Job.
const POD_TEMPLATE: &str = "\
apiVersion: batch/v1
kind: Job
metadata:
  name: whole-worker-1
  labels:
    app.kubernetes.io/name: whole
    app.kubernetes.io/instance: whole
    app.kubernetes.io/managed-by: Helm
    helm.sh/chart: whole-1.2.3
spec:
  template:
    spec:
      automountServiceAccountToken: false
      serviceAccountName: whole
      priorityClassName: shop
      restartPolicy: Never
      securityContext: {runAsNonRoot: true, runAsUser: 10001, seccompProfile: {type: RuntimeDefault}}
      containers:
      - {name: worker, image: \"registry.example/shop/job:1@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\", resources: {requests: {cpu: 50m, memory: 96Mi}, limits: {memory: 256Mi, ephemeral-storage: 1Gi}}, securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}}
";

/// A bare pod.
const POD: &str = "\
apiVersion: v1
kind: Pod
metadata:
  name: whole-worker
  labels:
    app.kubernetes.io/name: whole
    app.kubernetes.io/instance: whole
    app.kubernetes.io/managed-by: Helm
    helm.sh/chart: whole-1.2.3
spec:
  automountServiceAccountToken: false
  serviceAccountName: whole
  priorityClassName: shop
  restartPolicy: Always
  securityContext: {runAsNonRoot: true, runAsUser: 10001, seccompProfile: {type: RuntimeDefault}}
  containers:
  - {name: worker, image: \"registry.example/shop/job:1@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\", resources: {requests: {cpu: 50m, memory: 96Mi}, limits: {memory: 256Mi, ephemeral-storage: 1Gi}}, securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}}
";

/// What keeps the pods of the store on several nodes.
const SPREAD: &str = "topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              app.kubernetes.io/name: whole
              app.kubernetes.io/instance: whole
              app.kubernetes.io/component: store";
