//! docs/configuration.md is made from the table of keys: this compares the two, and writes the file if
//! asked to.

use std::path::Path;

use devk::config::{KeyDoc, keys, user_keys};

const EXAMPLE: &str = include_str!("../profiles/demo/devk.yaml");

const HEAD: &str = "\
# devk.yaml

Made from the code by `tests/configuration_doc.rs`; after a change there: `UPDATE=1 cargo test --test configuration_doc`.

devk.yaml is the file at the root of a project. devk reads the devk.yaml of the folder in which it is started, or else of the nearest folder above. The smallest devk.yaml names a chart and the images that devk builds for the chart:

```yaml
images:
  api: {context: ./api}
releases:
  - {name: shop, chart: ./chart}
```

`devk up --dry-run` prints the plan that devk makes of the file, and changes nothing. `devk ports` prints the Services of the chart with their ports. This is the devk.yaml of the demo:

```yaml
";

const RULES: &str = "\
```

## Rules for the whole file

- devk refuses unknown keys with a suggestion, and reports all problems of a file together, each with its line.
- `devk schema` prints the JSON Schema for editors.
- A relative path starts from the folder of devk.yaml, unless the tables below say otherwise.
- A key without a value counts as absent; in a file with `profile:` such a key removes the key of the profile.
- A file with `profile:` starts from a built-in profile. Every field of the file overrides the field of the profile; lists of releases and of tests are merged by `name`.
- A linked git worktree is a project of its own, called `NAME-WORKTREE`. The worktree has its own namespace, data and ports, on the same cluster.

## Variables

Values files, `releases[].set` and `images.NAME.args` may contain these variables. devk fixes the ports before it renders charts and builds images, so every variable is known in time.

| Variable | Value | Where |
|---|---|---|
| `${forward.NAME.url}`, `${forward.NAME.host}`, `${forward.NAME.port}` | the address of a forward on this machine | values, build arguments |
| `${project.name}`, `${project.id}`, `${project.namespace}` | the project's name, its name with the worktree, its namespace | values, build arguments |
| `${image.NAME.reference}`, `${image.NAME.repository}`, `${image.NAME.tag}` | the reference of an image that devk builds | values, build arguments of images that are built from it |
| `$${` | the text `${` | values, build arguments |

## Keys

The column *If absent* says what holds without the key. **Required** keys may also come from the profile, except for the `name` of a release or a test and for `from` and `to` of a sync rule.
";

fn document() -> String {
    let rows = keys();
    let mut text = format!("{HEAD}{EXAMPLE}{RULES}");
    text += &table(rows.iter().filter(|row| is_top(row)));
    for top in rows.iter().filter(|row| is_top(row)) {
        let below = |row: &&KeyDoc| {
            let rest = row.path.strip_prefix(top.path.as_str());
            rest.is_some_and(|rest| rest.starts_with(['.', '[']))
        };
        if rows.iter().any(|row| below(&row)) {
            text += &format!("\n### `{}`\n", top.path);
            text += &table(rows.iter().filter(below));
        }
    }
    text + TAIL + USER + &table(user_keys().iter())
}

const USER: &str = "
## The user's configuration

What holds on your machine whatever a repository says is in `$XDG_CONFIG_HOME/devk/config.yaml` (`~/.config/devk/config.yaml`). devk reads that file and never writes it; without it nothing is configured. It is checked like devk.yaml: unknown keys are refused with a suggestion, all problems together, each with its line.

```yaml
ask:
  role: operator
  yes: reversible
  contexts: {team-dev: operator}
```

devk.yaml has `ask.role` and `ask.yes`, too. It lowers what stands here and never raises it: a repository gives no rights on the machine of whoever clones it. What it asks for beyond is said with the preview and in the error.

Three variables stand over the file: `DEVK_ASK_ROLE` over `ask.role`, `DEVK_ASK_YES` over `ask.yes`, and `DEVK_ASK_MODEL`, names with commas between them, over `ask.models`. They say nothing about `ask.contexts`. With `CI=true` the first two give what they say; elsewhere they only lower what the file gives, for a repository may set variables, too (`.envrc`, `.mcp.json`), and what they ask for beyond is said with the preview. The file is a regular file of at most 1 MiB.
";

const TAIL: &str = "
## Short forms

- `forwards: {api: 5000}` is short for `forwards: {api: {service: shop-api, port: 5000}}` if the chart has a Service `shop-api`.
- `sync: auto` is the same as no `sync` at all. With a list of rules, a saved file that no rule covers causes a build:

```yaml
images:
  api:
    context: ./api
    sync:
      - {from: app, to: /srv/app, run: [kill, -HUP, \"1\"]}
      - {from: templates, to: /srv/templates, exclude: [\"**/*.md\"]}
```

More about these keys: `cluster` in [clusters.md](clusters.md), `forwards` in [ports.md](ports.md), `sync` in [saves.md](saves.md), `bridge` in [bridge.md](bridge.md).
";

fn is_top(row: &KeyDoc) -> bool {
    !row.path.contains(['.', '['])
}

fn table<'a>(rows: impl Iterator<Item = &'a KeyDoc>) -> String {
    let head = "\n| Key | Value | If absent | Meaning | Example |\n|---|---|---|---|---|\n";
    head.to_owned() + &rows.map(row).collect::<String>()
}

fn row(key: &KeyDoc) -> String {
    let absent = key.absent.unwrap_or("**required**");
    let example = match key.example {
        "" => String::new(),
        example => format!("`{example}`"),
    };
    let (path, value, help) = (&key.path, &key.value, key.help);
    format!("| `{path}` | {value} | {absent} | {help} | {example} |\n")
}

#[test]
fn the_document_says_what_the_code_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, document()).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == document(),
        "docs/configuration.md is out of date: UPDATE=1 cargo test --test configuration_doc"
    );
}
