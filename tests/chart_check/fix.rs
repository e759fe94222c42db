//! `devk chart check --fix`: for each rule that it remedies the text before and after, what it leaves alone, and that no chart
//! comes out worse than it went in.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use devk::check::{ChartFix, ChartFixer, CheckedChart, FixFigures, FrozenFiles, Judgement, rules};
use devk::config::CheckConfig;

use super::case::{Case, TODAY, all_rules, facts, folder, with_gatherer};
use super::cases::CASES;

/// What `--fix` makes of a chart.
pub(crate) fn fixed(chart: &Path, config: &CheckConfig, figures: &FixFigures) -> ChartFix {
    with_gatherer(async |gatherer| {
        let fixer = ChartFixer {
            gatherer,
            charts: &[CheckedChart::Folder(chart.to_owned())],
            others: &[],
            judgement: Judgement::new(config, TODAY),
            figures,
            only: None,
            frozen: &FrozenFiles::new(),
        };
        fixer.run().await.unwrap()
    })
}

/// A chart with one template.
fn chart(values: &str, template: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("templates")).unwrap();
    let write = |file: &str, text: &str| std::fs::write(dir.path().join(file), text).unwrap();
    write(
        "Chart.yaml",
        "apiVersion: v2\nname: shop\nversion: 1.2.0+3\n",
    );
    write("values.yaml", values);
    write("templates/api.yaml", template);
    dir
}

fn only(rules: &[&str]) -> CheckConfig {
    CheckConfig {
        enable: rules.iter().map(|rule| (*rule).to_owned()).collect(),
        ..CheckConfig::default()
    }
}

const VALUES: &str = "# How many.\nreplicas: 2\nimage: registry.example/shop/api:1.2\nresources: {}\n  # limits:\n  #   memory: 1Gi\n";

/// Nothing but what the cases change is wrong with it.
const API: &str = "\
# The API.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}-api
  labels:
    app.kubernetes.io/name: shop
    app.kubernetes.io/instance: {{ .Release.Name }}
    helm.sh/chart: shop
    app.kubernetes.io/managed-by: Helm
spec:
  replicas: {{ .Values.replicas }}
  strategy:
    type: RollingUpdate  # one by one
  selector:
    matchLabels:
      app: api
  template:
    metadata:
      labels:
        app: api
      annotations:
        prometheus.io/scrape: \"true\"
    spec:
      automountServiceAccountToken: false
      serviceAccountName: {{ .Release.Name }}
      terminationGracePeriodSeconds: 20
      securityContext:
        runAsUser: 1000
        runAsNonRoot: true
        seccompProfile:
          type: RuntimeDefault
      containers:
        - name: api
          image: {{ .Values.image }}
          ports:
            - name: http
              containerPort: 8080
          securityContext:
            allowPrivilegeEscalation: false
            capabilities:
              drop: [ALL]
          resources:
            requests:
              cpu: 100m
              memory: 300Mi
            limits:
              memory: 1Gi
          readinessProbe:
            httpGet: {path: /ready, port: http}
          livenessProbe:
            httpGet:
              path: /ready
              port: http
            failureThreshold: 9
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .Release.Name }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ .Release.Name }}-api
spec:
  selector:
    app: api
  ports:
    - port: 80
      targetPort: http
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .Release.Name }}-api
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      app: api
";

const JOBS: &str = "\
---
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {{ .Release.Name }}-clean
  labels: {app.kubernetes.io/name: shop, app.kubernetes.io/instance: shop, helm.sh/chart: shop}
spec:
  schedule: \"0 3 * * *\"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
          containers:
            - name: clean
              image: registry.example/shop/api:1.2
              securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
              resources: {requests: {cpu: 1m, memory: 1Mi}, limits: {memory: 2Mi}}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-migrate
  annotations:
    helm.sh/hook: pre-upgrade
spec:
  template:
    spec:
      restartPolicy: Never
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      initContainers:
        - name: wait
          image: registry.example/shop/api:1.2
          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
          resources: {requests: {cpu: 1m, memory: 1Mi}}
      containers:
        - name: migrate
          image: registry.example/shop/api:1.2
          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
";

// Parts of [`API`], and what stands in their place.
const USER: &str = "        runAsUser: 1000\n        runAsNonRoot: true\n";
const CAPABILITIES: &str = "            capabilities:\n              drop: [ALL]\n";
const RESOURCES: &str = "          resources:\n            requests:\n              cpu: 100m\n              memory: 300Mi\n            limits:\n              memory: 1Gi\n";
const SHARED: &str = "          resources: {{- toYaml .Values.resources | nindent 12 }}\n";
const LIMIT: &str = "            limits:\n              memory: 1Gi\n";
const READINESS: &str =
    "          readinessProbe:\n            httpGet: {path: /ready, port: http}\n";
const LIVENESS: &str = "          livenessProbe:\n            httpGet:\n              path: /ready\n              port: http\n            failureThreshold: 9\n";

/// A rule that is remedied: in the template, what is taken out of it or changed in it.
struct Remedied {
    rule: &'static str,
    /// What the chart has instead of what [`API`] has.
    changes: &'static [(&'static str, &'static str)],
    /// Behind [`API`].
    more: &'static str,
}

const fn remedied(
    rule: &'static str,
    changes: &'static [(&'static str, &'static str)],
) -> Remedied {
    Remedied {
        rule,
        changes,
        more: "",
    }
}

const CLAIM: &str = "---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: {{ .Release.Name }}-data\nspec:\n  accessModes: [ReadWriteOnce]\n  resources: {requests: {storage: 1Gi}}\n";

const REMEDIED: &[Remedied] = &[
    remedied(
        "resources.cpu-request",
        &[("              cpu: 100m\n", "")],
    ),
    remedied("resources.memory-limit", &[(LIMIT, "")]),
    remedied("resources.memory-request", &[(RESOURCES, SHARED)]),
    remedied(
        "pod.escalation",
        &[("            allowPrivilegeEscalation: false\n", "")],
    ),
    remedied("pod.non-root", &[("        runAsNonRoot: true\n", "")]),
    remedied("pod.drop-capabilities", &[(CAPABILITIES, "")]),
    remedied(
        "pod.seccomp",
        &[(
            "        seccompProfile:\n          type: RuntimeDefault\n",
            "",
        )],
    ),
    remedied("probes.readiness", &[(READINESS, "")]),
    remedied("probes.liveness", &[(LIVENESS, "")]),
    remedied("probes.same", &[("            failureThreshold: 9\n", "")]),
    remedied(
        "probes.hasty",
        &[(
            "            failureThreshold: 9\n",
            "            periodSeconds: 1\n            failureThreshold: 9\n",
        )],
    ),
    remedied(
        "account.token",
        &[("      automountServiceAccountToken: false\n", "")],
    ),
    remedied(
        "labels.standard",
        &[(
            "    app.kubernetes.io/instance: {{ .Release.Name }}\n    helm.sh/chart: shop\n",
            "",
        )],
    ),
    remedied(
        "labels.managed-by",
        &[("    app.kubernetes.io/managed-by: Helm\n", "")],
    ),
    remedied(
        "upgrade.recreate",
        &[("type: RollingUpdate  #", "type: Recreate  #")],
    ),
    remedied(
        "upgrade.grace-period",
        &[(
            "terminationGracePeriodSeconds: 20",
            "terminationGracePeriodSeconds: 0",
        )],
    ),
    remedied(
        "upgrade.budget",
        &[(
            "---\napiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata:\n  name: {{ .Release.Name }}-api\nspec:\n  maxUnavailable: 1\n  selector:\n    matchLabels:\n      app: api\n",
            "",
        )],
    ),
    Remedied {
        rule: "storage.rolling-claim",
        changes: &[
            ("replicas: {{ .Values.replicas }}", "replicas: 1"),
            ("  strategy:\n    type: RollingUpdate  # one by one\n", ""),
            (
                "      containers:\n",
                "      volumes:\n        - name: data\n          persistentVolumeClaim:\n            claimName: {{ .Release.Name }}-data\n      containers:\n",
            ),
            (
                "          resources:\n",
                "          volumeMounts:\n            - name: data\n              mountPath: /data\n          resources:\n",
            ),
        ],
        more: CLAIM,
    },
    Remedied {
        rule: "upgrade.cron-overlap",
        changes: &[],
        more: JOBS,
    },
    Remedied {
        rule: "upgrade.hook-history",
        changes: &[],
        more: JOBS,
    },
    Remedied {
        rule: "resources.hook",
        changes: &[],
        more: JOBS,
    },
    Remedied {
        rule: "resources.init-container",
        changes: &[(
            "      containers:\n",
            "      initContainers:\n        - name: wait\n          image: {{ .Values.image }}\n          securityContext:\n            allowPrivilegeEscalation: false\n            capabilities:\n              drop: [ALL]\n      containers:\n",
        )],
        more: "",
    },
];

impl Remedied {
    fn template(&self) -> String {
        let change = |text: String, (from, to): &(&str, &str)| {
            assert!(text.contains(from), "{}: no {from:?}", self.rule);
            text.replacen(from, to, 1)
        };
        self.changes.iter().fold(API.to_owned(), change) + self.more
    }

    /// The diff, if the rule's findings are gone and nothing else was remedied.
    fn diff(&self) -> String {
        let dir = chart(VALUES, &self.template());
        let fix = fixed(dir.path(), &only(&[self.rule]), &FixFigures::default());
        let found = |report: &devk::check::ChartReport| {
            report.findings.iter().any(|f| f.rule.id == self.rule)
        };
        assert!(found(&fix.charts[0].before), "{}: not found", self.rule);
        let left: Vec<_> = fix.charts[0]
            .by_hand
            .iter()
            .map(|left| (left.rule, &left.why))
            .collect();
        assert!(!found(&fix.charts[0].after), "{}: {left:?}", self.rule);
        assert_eq!(
            fix.kept
                .iter()
                .flat_map(|kept| &kept.rules)
                .filter(|rule| **rule == self.rule)
                .count(),
            1
        );
        let name = |file: &Path| file.strip_prefix(dir.path()).unwrap().display().to_string();
        fix.files
            .iter()
            .map(|change| change.diff(&name(&change.file)))
            .collect()
    }
}

#[test]
fn each_remedy_changes_the_text_that_it_is_meant_to_change() {
    let file = folder("fixed.diff");
    let mut found = String::new();
    for case in REMEDIED {
        let _ = write!(found, "# {}\n{}\n", case.rule, case.diff());
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &found).unwrap();
    }
    let known = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == known,
        "tests/chart_check/fixed.diff is out of date: UPDATE=1 cargo test --test chart_check fix\n{found}"
    );
}

/// Why a finding of a rule is left.
fn left(values: &str, template: &str, rule: &str) -> String {
    let dir = chart(values, template);
    let fix = fixed(dir.path(), &only(&[rule]), &FixFigures::default());
    let left = fix.charts[0].by_hand.iter().find(|left| left.rule == rule);
    left.unwrap_or_else(|| panic!("{rule}: {:?}", fix.kept))
        .why
        .clone()
}

#[test]
fn what_is_not_certain_is_left_with_the_reason() {
    let api = |from: &str, to: &str| {
        assert!(API.contains(from), "{from}");
        API.replacen(from, to, 1)
    };
    let no_probes = api("app: api\n  ports", "app: other\n  ports")
        .replace(READINESS, "")
        .replace(LIVENESS, "");
    let root = api(USER, "");
    let hidden = api(
        RESOURCES,
        "          {{- with .Values.limits }}\n          resources: {{- toYaml . | nindent 12 }}\n          {{- end }}\n",
    );
    let cases = [
        (no_probes, "probes.readiness", "no Service"),
        (root.clone(), "pod.non-root", "may run as root"),
        (
            root.replace(CAPABILITIES, ""),
            "pod.drop-capabilities",
            "may be root",
        ),
        (
            api(
                "allowPrivilegeEscalation: false",
                "allowPrivilegeEscalation: true",
            ),
            "pod.escalation",
            "somebody chose",
        ),
        (API.to_owned(), "pod.writable-root", "nobody knows"),
        (
            api("{{ .Values.image }}", "registry.example/shop/api"),
            "image.latest",
            "name the version",
        ),
        // The value is there for one set of values only, so that a second key would stand beside it.
        (hidden, "resources.memory-limit", "with other values"),
        (
            api(
                "serviceAccountName: {{ .Release.Name }}\n",
                "restartPolicy: Always\n",
            )
            .replace("      automountServiceAccountToken: false\n", ""),
            "account.token",
            "`default`",
        ),
    ];
    for (template, rule, why) in cases {
        let found = left(VALUES, &template, rule);
        assert!(found.contains(why), "{rule}: {found}");
    }
}

/// The value is what two workloads share, and one of them is limited by a schema of its own: a change that does more than it
/// is meant to do is undone.
#[test]
fn a_change_that_changes_something_else_is_undone() {
    let shared = API.replacen(RESOURCES, SHARED, 1);
    let echo = format!(
        "{shared}---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{{{ .Release.Name }}}}-echo\ndata:\n  resources: {{{{ toYaml .Values.resources | quote }}}}\n"
    );
    let why = left(VALUES, &echo, "resources.memory-limit");
    assert!(why.contains("undone") && why.contains("ConfigMap"), "{why}");
}

#[test]
fn random_texts_keep_no_change_from_being_made() {
    let template = API.replacen(LIMIT, "", 1)
        + "---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: {{ .Release.Name }}-random\nstringData:\n  key: {{ randAlphaNum 16 }}\n";
    let dir = chart(VALUES, &template);
    let fix = fixed(dir.path(), &CheckConfig::default(), &FixFigures::default());
    assert!(
        fix.kept
            .iter()
            .any(|kept| kept.rules.contains(&"resources.memory-limit")),
        "{:?}",
        fix.charts[0].by_hand
    );
}

#[test]
fn a_known_user_lets_capabilities_go() {
    let template = API.replacen(USER, "", 1).replacen(CAPABILITIES, "", 1);
    let dir = chart(VALUES, &template);
    let figures = FixFigures {
        user: Some(1234),
        ..FixFigures::default()
    };
    let fix = fixed(dir.path(), &CheckConfig::default(), &figures);
    let rules: BTreeSet<_> = fix
        .kept
        .iter()
        .flat_map(|kept| kept.rules.iter().copied())
        .collect();
    assert_eq!(
        rules,
        BTreeSet::from(["pod.drop-capabilities", "pod.non-root"])
    );
    let text = &fix.files[0].after;
    assert!(
        text.contains("        runAsNonRoot: true\n        runAsUser: 1234\n"),
        "{text}"
    );
}

/// A chart of literal texts for the change that each rule finds: whatever `--fix` does with it, no rule finds more than
/// before, everything renders, and what is written is what was judged.
#[test]
fn no_chart_comes_out_worse() {
    let base = facts("whole");
    let mut config = all_rules();
    config.registries = vec![];
    let known: BTreeSet<_> = rules().map(|rule| rule.id).collect();
    assert_eq!(CASES.len(), known.len());
    let next = std::sync::atomic::AtomicUsize::new(0);
    let wrong = std::sync::Mutex::new(vec![]);
    let kept = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some((rule, change)) = CASES.get(at) else {
                        break;
                    };
                    let dir = tempfile::tempdir().unwrap();
                    let mut case = Case::new(&base);
                    change(&mut case);
                    case.write(dir.path());
                    let fix = fixed(dir.path(), &config, &FixFigures::default());
                    kept.fetch_add(fix.kept.len(), std::sync::atomic::Ordering::Relaxed);
                    let of = |report: &devk::check::ChartReport| {
                        report
                            .findings
                            .iter()
                            .map(|f| f.fingerprint())
                            .collect::<BTreeSet<_>>()
                    };
                    let is_worse = fix.charts[0].after.score < fix.charts[0].before.score
                        || !of(&fix.charts[0].after).is_subset(&of(&fix.charts[0].before));
                    let renders = fix.charts[0].after.renderings == fix.charts[0].before.renderings;
                    if is_worse || !renders {
                        wrong.lock().unwrap().push(*rule);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{wrong:?}");
    // It is no proof if nothing was changed.
    let kept = kept.into_inner();
    assert!(kept > 10, "{kept}");
}
