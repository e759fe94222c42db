//! What devk itself brings is ready for production: the charts of the built-in stacks, and those that `devk chart new` writes.

use std::path::Path;

use serde_json::Value;

use super::case::devk;

/// What a chart of devk's own is worth at least.
const READY: u64 = 95;

/// The score of the only chart that `devk chart check` looks at in a folder.
fn score(folder: &Path, args: &[&str], home: &Path) -> (u64, Value) {
    let mut command = devk(folder, home);
    command
        .args(["chart", "check", "--format", "json"])
        .args(args);
    let output = command.output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
    let chart = &report["charts"][0];
    (chart["score"].as_u64().unwrap(), chart["findings"].clone())
}

#[test]
fn the_built_in_stacks_are_ready() {
    let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
    for profile in ["demo", "geniro", "todo-chatbot"] {
        let home = tempfile::tempdir().unwrap();
        let (score, findings) = score(&profiles.join(profile), &[], home.path());
        assert!(score >= READY, "{profile}: {score}, {findings:#}");
    }
}

/// A Compose file that says what a chart asks: as whom a program runs, and when it is ready.
const COMPOSE: &str = "services:
  api:
    image: registry.example/api:1.2.3
    user: \"1000:1000\"
    ports: [\"8080:8080\"]
    environment: {PGHOST: db, PGUSER: shop, PGPASSWORD: open-sesame, DB_URL: \"postgres://shop:open-sesame@db/shop\"}
    healthcheck: {test: [CMD, curl, -f, \"http://localhost:8080/healthz\"], interval: 5s}
  db:
    image: registry.example/postgres:17
    user: \"999:999\"
    environment: {POSTGRES_USER: shop, POSTGRES_PASSWORD: open-sesame}
    ports: [\"5432:5432\"]
    healthcheck: {test: [CMD, pg_isready, -U, shop], interval: 5s}
    volumes: [\"data:/var/lib/postgresql/data\"]
volumes: {data: {}}
";

#[test]
fn a_new_chart_of_each_form_is_ready() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    std::fs::write(dir.path().join("compose.yaml"), COMPOSE).unwrap();
    for (name, form) in [
        ("plain", &[][..]),
        ("stateful", &["--stateful"]),
        ("composed", &["--from", "compose.yaml"]),
    ] {
        let mut new = devk(dir.path(), &home);
        let output = new
            .args(["chart", "new", name])
            .args(form)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let (score, findings) = score(dir.path(), &[&format!("./{name}")], &home);
        assert!(score >= READY, "{name}: {score}, {findings:#}");
    }
    let written = std::fs::read_to_string(dir.path().join("composed/values.yaml")).unwrap();
    assert!(!written.contains("open-sesame"), "{written}");
}
