//! `devk down --all`: every project of a user's state, from any folder, and nothing beside it.

use serde_json::Value;

use crate::support::machine::{CLUSTER, cluster};
use crate::support::project::Project;

#[test]
fn all_projects_end_at_once_also_one_whose_folder_is_gone_and_none_of_others() {
    let machine = cluster();
    // A state of its own: what the other tests have there is as somebody else's.
    let state = machine.new_folder();
    let mut first = Project::new("tests/e2e/fixtures/tiny", "all-first", CLUSTER);
    first.set("XDG_STATE_HOME", state.path());
    let mut gone = Project::new("tests/e2e/fixtures/tiny", "all-gone", CLUSTER);
    gone.set("XDG_STATE_HOME", state.path());
    let up = gone.start(&["up", "-d"]);
    first.devk(&["up", "-d"]).well();
    up.ended().well();
    assert!(machine.has_namespace("all-first") && machine.has_namespace("all-gone"));

    // Nobody can be asked here, so nothing is removed.
    let refused = first.devk(&["down", "--all", "--delete"]).exits(2);
    assert!(refused.stderr.contains("down.unconfirmed"), "{refused:?}");
    assert!(refused.stderr.contains("all-gone"), "{refused:?}");
    assert!(first.session().is_object());

    std::fs::remove_file(gone.path("devk.yaml")).unwrap();
    let ended = first.devk(&["down", "--all"]).well().document();
    let ends = |document: &Value| -> Vec<(String, bool)> {
        let projects = document["projects"].as_array().unwrap().iter();
        let end = |project: &Value| {
            let sleeps = project["ending"]["sleep"].is_object();
            (project["project"].as_str().unwrap().to_owned(), sleeps)
        };
        projects.map(end).collect()
    };
    let both = [
        ("all-first".to_owned(), true),
        ("all-gone".to_owned(), true),
    ];
    assert_eq!(ends(&ended), both, "{ended}");
    assert!(first.session().is_null());

    let removed = first
        .devk(&["down", "--all", "--delete", "--yes"])
        .well()
        .document();
    assert_eq!(removed["deleted"], true, "{removed}");
    assert!(!machine.has_namespace("all-first") && !machine.has_namespace("all-gone"));
    assert!(machine.has_namespace("anchor"), "it is none of this state");
    let again = first.devk(&["down", "--all"]).well().document();
    assert_eq!(again["projects"], Value::Array(vec![]));
}
