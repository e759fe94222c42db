//! docs/doctor.md is made from the code: this compares the two, and writes the file if asked to.

use std::path::Path;

use devk::doctor::Id;

const HEAD: &str = "\
# What `devk doctor` looks at

Made from the code by `tests/doctor_doc.rs`; after a change there: `UPDATE=1 cargo test --test doctor_doc`.
The ids are a contract. With `--format json` the findings come as one document on stdout:

```json
{\"version\":1,\"checks\":[{\"id\":\"compose.ports\",\"status\":\"error\",\"summary\":\"…\",\"hint\":\"…\",\"evidence\":[{\"file\":\"compose.yaml\",\"line\":12,\"text\":\"…\"}]}]}
```

`status` is `ok`, `warning`, `error` or `skipped`; the summary of a check that was skipped says why. A check with several findings reports each finding separately, under the same id. A finding with a `code` is an error of devk's ([errors.md](errors.md)), as another command would end with it: the errors of `bridge.postgres` are those of `devk up --dry-run`.
Exit code 3: an error was found, or with `--strict` a warning.

| Check | Finds |
|---|---|
";

fn document() -> String {
    let row = |id: &Id| format!("| `{id}` | {} |\n", id.finds());
    HEAD.to_owned() + &Id::ALL.iter().map(row).collect::<String>()
}

#[test]
fn the_document_says_what_the_code_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/doctor.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, document()).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == document(),
        "docs/doctor.md is out of date: UPDATE=1 cargo test --test doctor_doc"
    );
}
