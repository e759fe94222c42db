//! docs/errors.md is made from the code: this compares the two, and writes the file if asked to.

use std::path::Path;

use devk::error::{Code, Exit};
use devk::plan::STEPS;

const HEAD: &str = "\
# Results, errors, steps and exit codes

Made from the code by `tests/errors_doc.rs`; after a change there: `UPDATE=1 cargo test --test errors_doc`.
Everything below is a contract: scripts and agents may rely on it, and no entry changes its meaning.

## Exit codes

| Code | Meaning |
|---|---|
";

const RESULTS: &str = "
## Results

With `--format json` a command prints one document on stdout. The end-to-end tests compare these keys with what is printed:

| Command | Keys of its document |
|---|---|
| `devk up -d` | `version`, `settled` |
| `devk up --dry-run` | `version`, `steps`, `images` |
| `devk status` | `version`, `project`, `worktree`, `namespace`, `cluster`, `images`, `releases`, `pods`, `failing_cron_jobs`, `forwards`, `bridge`, `sync`, `session` |
| `devk projects` | `version`, `projects` |
| `devk profiles` | `version`, `profiles` |
| `devk settle` | `version`, `settled`, `ms`, `services`, `waiting_for`, `failures` |
| `devk ci` | `version`, `project`, `ready`, `failed`, `tests`, `end`, `interrupted` |
| `devk ask help` | `version`, `question`, `answer` |
| `devk verify` | `version`, `equal`, `containers`, `files`, `differences`, `left_out`, `uncompared` |
| `devk ports` | `version`, `forwards`, `compose`, `inactive`, `skipped`, `unseen` |
| `devk ports --compose-only` | `version`, `compose`, `inactive`, `passed_over` |
| `devk env` | `version`, `env` |
| `devk kubeconfig` | `version`, `kubeconfig` |
| `devk doctor` | `version`, `checks` |
| `devk chart check` | `version`, `charts` |
| `devk chart history` | `version`, `charts` |
| `devk logs` | `version`, `pod`, `container`, `line`: one document a line |
| `devk audit` | `version`, `id`, `time`, `kind`, `result`, `ms`, `user`, `uid`, `pid`, `devk`, `origin`, `project`, `folder`, `cluster`, `arguments`, `plan`, `exit`, `code`, `message`, `diff`, `note`: one document a line |
| `devk audit verify` | `version`, `whole`, `files`, `records`, `begins`, `breaks`, `torn` |
| `devk down` | `version`, `project`, `ending`, `deleted`, `bridge` |

- In `devk up -d` `settled` has `ready`, `project`, `cluster`, `images`, `forwards`, `left_out`, `waiting`, `bridge`, `ms`, `steps_ms` and `failed`. `waiting` names the forwards behind which nothing asks for a pod (`name`, `why`); in the `forwards` of `devk status` it is the reason for which connections wait for a pod, or null.
- Before their document `up` and `down` print their steps, and `devk events` prints nothing else.
- `devk status --watch` prints the document of `devk status` again whenever the session changes, one a line, until Ctrl-C or the end of the session, and once more at that end; a change of connection and byte counts alone prints nothing.
- In `devk status` `namespace` is the project's own; a pod has the one that it is in. In the `session` of that document, `busy` says that a reconcile is at work; `reconcile` gives its start and its purpose: `up` for a client, or the `change/NAME` that is brought live. Each of `failing_cron_jobs` is a CronJob whose every run has failed, with the last `job` and `why` that failed.
- A step of `devk up --dry-run` may have `changes` (what devk changes in the chart) and `pulls` (images that come from a registry); each of its `images` has `reference`, `from` (`build`, `nodes`, `docker` or `registry`), `image` (its name in devk.yaml, or null) and `releases`.
- In `devk settle` each of `services` has `namespace`, `name`, `how` (`unchanged`, `synced`, `rolled_out`, `rebuilt`) and `pods`; each of `failures` has a `step`, the members of an error, and `log`.
- In `devk ask` `answer` has `understood`, `text`, `yes`, `count`, `columns`, `rows`, `evidence` (`object`, `field`, `text`), `kubectl`, `next` and `notes` ([ask.md](ask.md)); for a change it prints what `devk change` prints.
- In `devk ports --compose-only` `passed_over` has the errors of what Docker may know and devk does not, such as a key of a later Compose; it keeps nothing from being known.
- In `devk projects` each of `projects` has `id`, `namespace`, `root`, `gone`, `branch`, `cluster`, `workloads` (`awake`, `asleep`, `stopped`, `none`, `unknown`), `pods` (`total`, `ready` and `memory_bytes`, or null), `session` (`pid`, `busy`, `ready`, `memory_bytes` and `held_by` with `detached` and the pids `clients`, or null), `error`, `last_edit` and `ports`; what a cluster does not say within a second is `unknown` or null.
- In `devk profiles` each of `profiles` has `name`, `description`, `images`, `forwards` (`name`, `service`, `port`), `folder`, `written` (whether its files are in that folder) and `checkout` (`root`, `chart` and `compose` of the real stack that counts in this folder, or null); `devk profiles NAME` prints `version`, `name` and `readme`.
- In `devk ci` each of `tests` has `name`, `status` (`passed`, `failed`, `timed-out`, `skipped`), `exit`, `ms`, `why`, `file` and `line`; `failed` are the steps of `up`, and `end` is `session`, `keep` or `delete`.
- `devk down --all` ends with `version`, `deleted` and `projects`, each with `root`, `errors` and the members of `devk down`.
- `devk init --agents` prints `version`, `result` (`written`, `unchanged`, `printed`), `file` and `text`.
- `devk restart` ends with `version` and `restarted`, `devk open` with `version` and `opened`; `devk mcp --print` prints `version`, `file` and `text`, with `--write` `version`, `file` and `written`.
- `devk tour` prints one document a line, with `version` and `tour`: `asks` (`step`, `what`, `file`, `line` with `number` and `text`, `commands`), `sees` (`step`, `what`), `explains` (`step`, `failures` as in `devk settle`, `differences`), `confirms` (`step`, `what`, `ms` since the save or null) and at the end `done` (`next`); the steps are `edit`, `break`, `mend`, `note` and `return`.
- `devk change` prints `version`, `state` (`preview`, `done`, `failed`) and `preview`, or after its steps `outcome`; [change.md](change.md) has their members.
- `devk approve` prints `version` and `waiting`, or with an id `version` and `approved`.
- [audit.md](audit.md) explains the members of an act in `devk audit`; `devk audit show` prints one of these documents. In `devk audit verify` each of `breaks` has `file`, `line` (or null) and `what`.
- `devk sh` prints what its command prints, and ends with the command's exit code.
- [chart-check.md](chart-check.md) lists the keys of each of the `charts` of `devk chart check`; in `devk chart history` each has `chart` and `checks`, each of these `time`, `score`, `passed`, `counts` (by severity, the worst first), `findings` and `ignored` (by fingerprint), `chart` and `traits` (what the chart does of its own accord, by the key of `check:`).
- `devk chart check --fix` prints `version`, `written` and `charts`, `devk chart teach` `version`, `key`, `written`, `diff` and `charts`, `devk chart guide` `version`, `written`, `diff`, `questions`, `skipped`, `before` and `after` (the scores, or null), or without answers `version` and `questions`.
- In `devk chart check --fix` each of `charts` has `chart`, `release`, `before` and `after` (the scores), `passed`, `fixed` (each with `rules`, `object` and `file`), `by_hand` (each with `rule`, `object`, `message`, `place` and `why`), `files` and `diff`. In `devk chart teach` each has `chart`, `new` and `gone`: the findings that count with the constraint and did not before, and the other way round; `--list` prints `version` and `forms`.
- `devk schema` is a JSON Schema and has no version.
";

const STEPS_HEAD: &str = "
## Steps

`devk up`, `devk down` and `devk events` with `--format json` print one event a line:

```json
{\"time\":\"2026-01-31T09:30:00Z\",\"step\":\"image.build/api\",\"status\":\"done\",\"detail\":\"devk.local/shop/api:2d1f…\",\"ms\":4210,\"error\":null}
```

`status` is `started`, `progress`, `done`, `failed` or `skipped`; `ms` counts from the start of the step.
Every step that was started ends as `done`, `failed` or `skipped`. A `progress` event with an `error` explains what keeps a step waiting.

| Step | What it does |
|---|---|
";

const ERRORS_HEAD: &str = "
## Errors

An error says what failed (`message`), what shows it (`evidence`) and what to type next (`hint`). `file` and `line` name the place of the cause in your files.
With `--format json` all errors found at once come as one document on stderr:

```json
{\"version\":1,\"errors\":[{\"code\":\"config.unknown-key\",\"message\":\"…\",\"evidence\":[],\"hint\":\"…\",\"file\":\"devk.yaml\",\"line\":3}]}
```

A problem that keeps the command from nothing comes the same way, with `warnings` in the place of `errors`.

The exit code of the command is the exit code of the first error. A failed step makes `up -d` and `up --once` exit with 1, whatever the error of the step; an `up` in the foreground keeps running.

| Error | Exit code | Meaning |
|---|---|---|
";

fn document() -> String {
    let mut text = HEAD.to_owned();
    for (exit, meaning) in Exit::ALL {
        text += &format!("| {} | {meaning} |\n", exit.number());
    }
    text += RESULTS;
    text += STEPS_HEAD;
    for (id, meaning) in STEPS {
        text += &format!("| `{id}` | {meaning} |\n");
    }
    text += ERRORS_HEAD;
    for code in Code::ALL {
        text += &format!(
            "| `{code}` | {} | {} |\n",
            code.exit().number(),
            code.meaning()
        );
    }
    text
}

#[test]
fn the_document_says_what_the_code_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, document()).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == document(),
        "docs/errors.md is out of date: UPDATE=1 cargo test --test errors_doc"
    );
}
