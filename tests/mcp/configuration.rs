//! `devk mcp --print` and `--write` as a person types them.

use serde_json::{Value, json};

use super::devk;

fn run(dir: &std::path::Path, args: &[&str]) -> (Option<i32>, String, String) {
    let output = devk(dir).args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn what_is_printed_is_what_is_written_and_a_second_time_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (_, printed, _) = run(
        dir.path(),
        &["mcp", "--print", "claude", "--profile", "demo"],
    );
    let server = json!({"command": "devk", "args": ["mcp", "--profile", "demo"]});
    let document: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(document["mcpServers"]["devk"], server);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let write = ["mcp", "--print", "claude", "--write", "--profile", "demo"];
    let (code, said, _) = run(dir.path(), &write);
    assert_eq!(code, Some(0));
    assert!(said.starts_with("the server `devk` is in "), "{said}");
    let file = dir.path().join(".mcp.json");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), printed);
    let (_, said, _) = run(dir.path(), &write);
    assert!(said.starts_with("unchanged"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), printed);
    std::fs::write(&file, "{").unwrap();
    let (code, _, said) = run(dir.path(), &write);
    assert_eq!(code, Some(2));
    assert!(said.contains(".mcp.json"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{");
}
