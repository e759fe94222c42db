//! docs/chart-check.md is made from the code: this compares the two, and writes the file if asked to.

use std::path::Path;

use devk::check::{Aspect, ChartRule, Gate, READY, Severity, TEACH_FORMS, TeachForm, rules};

const HEAD: &str = "\
# Checking a chart

Made from the code by `tests/chart_check`; after a change there: `UPDATE=1 cargo test --test chart_check document`.

`devk chart check` judges charts by six gates and one score. Without an argument it takes the charts of devk.yaml, rendered with the values that `devk up` gives them; with arguments the releases or folders that they name:

```
devk chart check
devk chart check shop ./charts/other
devk chart check ./chart --format sarif > chart.sarif
```

A folder needs no devk.yaml, no Docker and no cluster, only helm. The exit code is 0 if every chart passes, 3 if one does not, 2 if it could not be looked at.

## What is looked at

- The files of the chart: Chart.yaml, Chart.lock, values files, templates, definitions.
- What the chart renders to with devk's values, or with its own. A chart that demands values gets stand-ins for them, and a note says which.
- What it renders to with each values file that lies beside values.yaml or in `ci/`, and with each value named `enabled` flipped alone (24 at most). Values files whose names say `dev`, `test`, `local`, `example`, `sample` or `minimal`, those in `ci/`, and flipped values only have to work: the functional gate judges them. All others are judged like the chart's own values. A chart that can be monitored or backed up with one of its values counts as monitored or backed up.
- What helm has installed, if the project's cluster runs: fields that Kubernetes does not let anybody change are compared with helm's record. A note says if that was left out.

Hooks and tests of a chart are no workloads: hooks are asked for what concerns every pod, such as images and privileges, tests for nothing but the baseline of the Pod Security Standards. Objects of a dependency count for the dependency, which has a score of its own and fails nothing. No rule asks for a limit of CPU, for `imagePullPolicy: Always`, or for a disruption budget of one replica.

Each finding has the line of the template that wrote the object, and the line of values.yaml where a value governs it. The line of the template is found by comparing the rendered text with the template; where a helper wrote the text, it is the line that calls the helper.

";

const SCORE: &str = "\
A rule that finds something takes its points from its aspect once, however often it finds it; an aspect loses no more than it has. A rule with 0 points is advice. The report names the three changes that would gain most. A chart that does not render with the values with which it is installed has 0 points and no open gate but the structural one: nothing else was looked at.

The steps of a chart that grows: a bare skeleton has 40, with requests and limits 60, with a security context 75, with probes 85, with monitoring 95. The rest is for documentation, backup and upgrades. The charts in `tests/chart_check/ladder` are these steps.

";

const RULES: &str = "
## Rules

*on*: the rule always looks. *off*: it looks if `check.enable` names it. *constraint*: it looks where `check:` has the constraint. A rule that is *critical* or *high* keeps a chart from passing whatever the score is; so does any rule of a constraint.

";

const TAIL: &str = "
## Constraints

`check:` in devk.yaml says what charts are asked for beside the rules; [configuration.md](configuration.md) has every key. A team keeps the same keys in `.devk/constraints.yaml`, from the folder of devk.yaml; for a folder without a devk.yaml it is looked for in the folders above. What devk.yaml says replaces what the team's file says; labels, annotations, enabled rules and ignores of both count.

```yaml
check:
  kubernetes: \">=1.31\"
  registries: [registry.example/shop]
  maxMemory: 2Gi
  labels: [team]
  networkPolicy: true
  enable: [image.digest]
  ignore:
    - {rule: image.latest, object: Job/seed, reason: pulled once, until: \"2027-06-30\"}
```

`devk chart teach` writes one constraint from a sentence. It shows first what the constraint would find in the charts of devk.yaml, or in those of `--chart`, and the diff of the file; `--dry-run` leaves it at that. The constraint goes to the team's file, with `--project` to devk.yaml, and also there if devk.yaml says the same key, which would overrule the team's. Comments and order of the file stay.

```
devk chart teach images only from registry.example/shop
devk chart teach \"ignore image.latest on Job/seed because it is pulled once\"
```

{FORMS}
A range of versions, and whatever else a shell reads as its own, stands in quotes. In a sentence that sets a list (`registries`, `ingressClasses`, `storageClasses`) the list is the whole one. Without a kind a label is required of every workload.

`devk chart guide` asks what a chart leaves open: of the infrastructure, the team, operations and security. What the chart, its findings or its constraints answer is not asked. An answer becomes a constraint of the team's file, or a figure with which `--fix` remedies the chart: the memory that a container needs, the user that a program runs as. Both are shown as one diff before anything is written. Without a terminal the command prints the open questions as JSON (`version`, `questions`, each with `id`, `kind`, `question`, `form` and `suggestion`) and ends with 2; `--answers FILE` gives it a line `ID: ANSWER` for each question.

After a check devk offers constraints, one line each: a rule that is ignored three times or more, with the reason that is given most often; a label, registries, ingress and storage classes that all charts have in common which were checked on this machine, if they are three or more. `devk up` says in one line if the score fell with what it has just installed; that score is of the one rendering that was installed, so it may differ from the one that `devk chart check` prints. `devk up` waits for it for 2 s at most, Ctrl-C ends it at once, and nothing is fetched for it: what cannot be judged so is judged by the next `up` that installs the release, or by `devk chart check`. `devk doctor` tells of both.

## Remedies

`devk chart check --fix` changes the chart's files, and shows the diff; with `--dry-run` it writes nothing. A value of values.yaml is changed where one governs the field, else the template: there only where the mapping stands as plain YAML, no action could write the same key, and no condition stands between. Comments and form of all other lines stay.

Every change is made in a copy of the chart, and the copy is rendered with every set of values. The change is kept only if its finding is gone, no rule finds anything new, everything renders, and no other field of any object differs. What fails is undone and listed as *by hand*, with the reason. At the end all files are replaced, or none; a file that was changed meanwhile keeps all from being written. The exit code is that of the check afterwards.

A chart that several releases of devk.yaml have is one chart: each change is proven for all of these releases, whichever of them is named, and the output names them. Charts that take this one in as a dependency are not among them.

Like `cargo fix`, the command refuses to write where git could not bring the files of the chart back as they are: in no repository, or with changes that are not committed. `--allow-dirty` allows both. Two kinds of files are left as they are, and the output says so where a finding would change them: a file that a symbolic link of the chart leads to or stands for, since a change of it is one of another file, too; and a file that git does not have because it is ignored, unless `--allow-dirty` is given.

| Rules | Remedy | Left to you |
|---|---|---|
| `resources.*-request`, `resources.memory-limit`, `resources.init-container`, `resources.hook` | requests of 50m CPU and 128Mi, a limit of 512Mi, or twice what is requested; no more than `check.maxCpu` and `check.maxMemory`. They are a start: set what the program needs | |
| `pod.escalation`, `pod.seccomp` | the value of the restricted level | a container that is privileged; a value that somebody chose |
| `pod.non-root`, `pod.drop-capabilities` | the same, where the chart has a `runAsUser` that is not root | an image of which nobody knows whether its program runs without root: `devk chart guide` asks |
| `pod.writable-root` | | always: nobody knows where the program writes |
| `probes.readiness`, `probes.liveness` | a connection to the port that another probe asks, or a Service leads to; a liveness probe waits five minutes, for nobody knows how long the start of the program takes | a container without such a port |
| `probes.same`, `probes.hasty` | a longer `failureThreshold` of the liveness probe | |
| `account.token` | `automountServiceAccountToken: false` | pods with the account `default`, to which others may bind roles |
| `labels.standard`, `labels.managed-by` | the labels on the workload; never in a selector | |
| `upgrade.budget` | a PodDisruptionBudget with the name and the labels that the template has | |
| `upgrade.recreate`, `storage.rolling-claim` | `strategy.type` | pods with a port of their node, or with a `rollingUpdate` of their own |
| `upgrade.grace-period`, `upgrade.cron-overlap`, `upgrade.hook-history` | 30 s, `Forbid`, a delete policy | |

All other findings are left to you, as are those of dependencies.

## Ignoring a finding

An ignored finding costs nothing and fails nothing; the report lists it with its reason. Every ignore needs a reason.

- In `check.ignore`, by rule, and if wanted by object and chart; `*` stands for any text. This works for charts that are not yours, too. After the day `until` the finding counts again, and the rule `constraint.expired-ignore` says so.
- By an annotation of the object or of its pod template: `ignore.devk/image.latest: pulled once`.

An old chart gets a baseline: `devk chart check --baseline chart-baseline.json --write-baseline` writes what is found now, and `--baseline chart-baseline.json` alone fails only for findings that are not in the file. A finding is known again by its rule, chart, object and path, whatever lines move. Known findings cost their points all the same, so the score stays true.

## Formats

- `--format table`, the default: findings, gates, and what gains most.
- `--format json`: one document with `version` and `charts`. Each chart has `chart`, `release`, `score`, `aspects`, `gates`, `passed`, `gains`, `findings`, `dependencies`, `renderings` and `notes`. A finding has `rule`, `severity`, `gate`, `points`, `object`, `path`, `message`, `place`, `value` (each `file` and `line`, or null), `with` (the values with which it is there; empty: with all), `why`, `remedy`, `source`, `fingerprint`, `known` and `ignored` (the reason, or null).
- `--format sarif`: SARIF 2.1.0 with `partialFingerprints`, for code scanning.
- `--format markdown`: for a pull request.

No format shows a value that may be secret.
";

fn document() -> String {
    let mut text = HEAD.to_owned();
    text += "## Gates\n\n| Gate | A chart that passes it |\n|---|---|\n";
    for gate in Gate::ALL {
        text += &format!("| {} | {} |\n", gate.word(), gate.meaning());
    }
    text += &format!(
        "\nA gate is open if nothing critical, high or medium was found in it; readiness needs a score of {READY}.\n\n## Score\n\n| Aspect | Points | For |\n|---|---|---|\n"
    );
    for aspect in Aspect::ALL {
        let (word, points, meaning) = (aspect.word(), aspect.points(), aspect.meaning());
        text += &format!("| {word} | {points} | {meaning} |\n");
    }
    text += "\n";
    text += SCORE;
    text += &severities();
    text += RULES;
    let (all, on) = (
        rules().count(),
        rules()
            .filter(|rule| rule.start == devk::check::Start::On)
            .count(),
    );
    text += &format!("There are {all} rules, of which {on} are on.\n");
    for gate in Gate::ALL {
        text += &format!("\n### {}\n\n{TABLE}", gate.word());
        text += &rules()
            .filter(|rule| rule.gate == gate)
            .map(row)
            .collect::<String>();
    }
    text + &TAIL.replace("{FORMS}\n", &forms())
}

fn forms() -> String {
    let row = |form: &TeachForm| {
        format!(
            "| `{}` | `{}` | `{}` |\n",
            form.pattern, form.key, form.example
        )
    };
    let rows: String = TEACH_FORMS.iter().map(row).collect();
    format!("| Form | Key | Example |\n|---|---|---|\n{rows}\n")
}

const TABLE: &str =
    "| Rule | Severity | Points | | Finds | Remedy | Source |\n|---|---|---|---|---|---|---|\n";

fn severities() -> String {
    let words: Vec<_> = Severity::ALL
        .iter()
        .map(|severity| severity.word())
        .collect();
    format!("Severities: {}.\n", words.join(", "))
}

fn row(rule: &ChartRule) -> String {
    let points = match rule.points {
        0 => "0".to_owned(),
        points => format!("{points} {}", rule.aspect.word()),
    };
    let cell = |text: &str| text.replace('|', "\\|");
    format!(
        "| `{}` | {} | {points} | {} | {} | {} | {} |\n",
        rule.id,
        rule.severity.word(),
        rule.start.meaning(),
        cell(rule.why),
        cell(rule.remedy),
        cell(rule.source)
    )
}

#[test]
fn the_document_says_what_the_code_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/chart-check.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, document()).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == document(),
        "docs/chart-check.md is out of date: UPDATE=1 cargo test --test chart_check document"
    );
}
