//! What `--format json` prints has the keys that docs/errors.md names.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::support::machine::{CLUSTER, cluster};
use crate::support::project::Project;

/// The rows of the table: a command's words, and the keys of its document.
fn contract() -> Vec<(Vec<String>, BTreeSet<String>)> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors.md");
    let text = std::fs::read_to_string(file).unwrap();
    let rows = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `devk ")?.split_once("` | `version`"));
    let row = |(command, keys): (&str, &str)| {
        let words = command.split(' ').map(str::to_owned).collect();
        // What stands between backticks, every other piece.
        let keys = keys.split('`').skip(1).step_by(2).map(str::to_owned);
        (words, keys.chain(["version".to_owned()]).collect())
    };
    rows.map(row).collect()
}

fn keys(document: &Value) -> BTreeSet<String> {
    document.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn every_document_has_the_keys_that_the_contract_names() {
    cluster();
    let project = Project::demo_on(CLUSTER, "results");
    let contract = contract();
    assert_eq!(contract.len(), 20, "{contract:?}");
    for (words, named) in contract {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        // `doctor` may find something on the machine, `chart check` in the chart; they print their documents all the same.
        let document = project.devk(&words).document();
        assert_eq!(keys(&document), named, "{words:?}");
        if let Some(settled) = document
            .get("settled")
            .filter(|settled| settled.is_object())
        {
            let expected = "bridge cluster failed forwards images left_out ms project ready steps_ms \
                 waiting";
            assert_eq!(
                keys(settled).into_iter().collect::<Vec<_>>().join(" "),
                expected
            );
        }
    }
}
