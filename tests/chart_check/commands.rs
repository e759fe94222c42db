//! The commands that write: what they refuse, what they show without writing, and what they write.

use std::path::Path;
use std::process::Output;

use super::case::{devk, folder};

/// A copy of the skeleton, with a home of its own.
struct Shop(tempfile::TempDir);

impl Shop {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let from = folder("ladder/1-skeleton");
        for file in [
            "Chart.yaml",
            "values.yaml",
            "templates/deployment.yaml",
            "templates/service.yaml",
        ] {
            let to = dir.path().join("shop").join(file);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(from.join(file), to).unwrap();
        }
        Self(dir)
    }

    fn devk(&self, args: &[&str]) -> Output {
        self.devk_in(self.0.path(), args)
    }

    fn devk_in(&self, folder: &Path, args: &[&str]) -> Output {
        let mut command = devk(folder, &self.0.path().join("home"));
        command.arg("chart").args(args);
        command.stdin(std::process::Stdio::null()).output().unwrap()
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.0.path().join(file)).unwrap()
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.0.path().join(file), text).unwrap();
    }
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The output has these words.
#[track_caller]
fn says(output: &Output, words: &str) {
    let text = text(output);
    assert!(text.contains(words), "{text}");
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

#[test]
fn a_chart_above_devk_yaml_is_the_release_that_has_it_whatever_it_is_called() {
    let shop = Shop::new();
    let stack = shop.0.path().join("stack");
    std::fs::create_dir(&stack).unwrap();
    shop.write("shop/values-prod.yaml", "replicas: 3\n");
    let release = "{name: front, chart: ../shop, values: [../shop/values-prod.yaml]}";
    shop.write(
        "stack/devk.yaml",
        &format!("name: stack\nreleases:\n  - {release}\n"),
    );
    let check = |chart: &str| {
        let output = shop.devk_in(&stack, &["check", chart, "--format", "json"]);
        serde_json::from_slice::<serde_json::Value>(&output.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}", text(&output)))
    };
    let by_name = check("front");
    assert_eq!(by_name["charts"][0]["release"], "front", "{by_name:#}");
    assert_eq!(check("../shop")["charts"], by_name["charts"]);
    // That file is what the release is judged by, and no further set of values.
    let sets = by_name["charts"][0]["renderings"].to_string();
    assert!(!sets.contains("values-prod.yaml"), "{sets}");
}

#[test]
fn a_fix_writes_only_where_git_could_bring_the_files_back() {
    let shop = Shop::new();
    let before = shop.read("shop/templates/deployment.yaml");
    let refused = shop.devk(&["check", "shop", "--fix"]);
    assert_eq!(code(&refused), 2);
    says(&refused, "chart.uncommitted");
    let shown = shop.devk(&["check", "shop", "--fix", "--dry-run"]);
    says(&shown, "+          resources:\n");
    assert_eq!(shop.read("shop/templates/deployment.yaml"), before);
    let written = shop.devk(&[
        "check",
        "shop",
        "--fix",
        "--allow-dirty",
        "--format",
        "json",
    ]);
    // The user and the metrics are left to people, so the chart is below the bar still.
    assert_eq!(code(&written), 3, "{}", text(&written));
    let document: serde_json::Value = serde_json::from_slice(&written.stdout).unwrap();
    let chart = &document["charts"][0];
    assert_eq!(
        (&document["written"], &chart["before"], &chart["after"]),
        (&true.into(), &40.into(), &76.into())
    );
    let rules: Vec<_> = chart["by_hand"]
        .as_array()
        .unwrap()
        .iter()
        .map(|left| left["rule"].as_str().unwrap())
        .collect();
    assert_eq!(
        rules,
        [
            "pod.drop-capabilities",
            "pod.non-root",
            "monitoring.none",
            "docs.notes",
            "docs.readme"
        ]
    );
    assert!(
        shop.read("shop/templates/deployment.yaml")
            .starts_with(&before[..80])
    );
    let history = shop.devk(&["history", "shop"]);
    says(&history, "40 ▃▆ 76");
    let again = shop.devk(&["check", "shop", "--fix", "--allow-dirty"]);
    says(
        &again,
        "76 → 76 of 100, nothing can be remedied without you",
    );
}

/// One release prints a sum over the template, so that no change of it leaves the rest of that release as it was.
#[test]
fn a_fix_of_a_shared_chart_is_proven_for_every_release() {
    let shop = Shop::new();
    shop.write(
        "shop/templates/sum.yaml",
        "{{- if .Values.sum }}\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-sum}\ndata:\n  sum: {{ include (print $.Template.BasePath \"/deployment.yaml\") . | sha256sum }}\n{{- end }}\n",
    );
    let with = |second: &str| {
        shop.write(
            "devk.yaml",
            &format!("name: pair\ncluster: {{provider: kind, name: there-is-none}}\nreleases:\n  - {{name: one, chart: ./shop}}\n  - {{name: two, chart: ./shop{second}}}\n"),
        );
    };
    with("");
    // One folder, and one refusal.
    let refused = shop.devk(&["check", "--fix"]);
    assert_eq!(
        text(&refused).matches("chart.uncommitted").count(),
        1,
        "{}",
        text(&refused)
    );
    let shown = shop.devk(&["check", "--fix", "--dry-run"]);
    for said in [
        "ladder of the release `one`: 40 → ",
        "ladder of the release `two`: 40 → ",
        "each change is proven for all of them: `one`, `two`",
    ] {
        says(&shown, said);
    }
    assert_eq!(
        text(&shown).matches("+++ b/").count(),
        1,
        "one diff for both"
    );
    with(", set: {sum: true}");
    // By name, and by another name of the folder.
    for named in ["one", "./shop/../shop"] {
        let refused = shop.devk(&["check", named, "--fix", "--dry-run"]);
        says(&refused, "nothing can be remedied without you");
        says(
            &refused,
            "for the release `two`, it changes `data.sum` of ConfigMap/two-sum, too",
        );
    }
}

#[test]
fn a_file_behind_a_link_that_leads_out_of_the_chart_is_left_as_it_is() {
    let shop = Shop::new();
    let at = |path: &str| shop.0.path().join(path);
    std::fs::create_dir(at("shared")).unwrap();
    let (template, shared) = ("shop/templates/deployment.yaml", "shared/deployment.yaml");
    std::fs::rename(at(template), at(shared)).unwrap();
    std::os::unix::fs::symlink(at(shared), at(template)).unwrap();
    let before = shop.read(shared);
    let left = shop.devk(&["check", "shop", "--fix", "--allow-dirty"]);
    says(
        &left,
        "a symbolic link leads from `templates/deployment.yaml` out of the chart",
    );
    says(&left, "nothing can be remedied without you");
    assert_eq!(shop.read(shared), before);
}

#[test]
fn a_constraint_is_shown_before_it_is_written() {
    let shop = Shop::new();
    let constraints = shop.0.path().join(".devk/constraints.yaml");
    let sentence = ["teach", "label", "team", "required", "--chart", "shop"];
    let shown = shop.devk(&[&sentence[..], &["--dry-run"]].concat());
    assert_eq!(code(&shown), 0);
    for said in [
        "the constraint finds 1",
        "constraint.labels",
        "+labels: [team]",
    ] {
        says(&shown, said);
    }
    assert!(!constraints.exists());
    assert_eq!(code(&shop.devk(&sentence)), 0);
    assert!(
        shop.read(".devk/constraints.yaml")
            .ends_with("labels: [team]\n")
    );
    let ignored = shop.devk(&[
        "teach",
        "ignore constraint.labels because nobody looks",
        "--chart",
        "shop",
    ]);
    says(&ignored, "1 findings do not count any more");
    let wrong = shop.devk(&["teach", "label", "team", "requierd"]);
    assert_eq!(code(&wrong), 2);
    says(&wrong, "did you mean `label NAME required`");
    let unknown = shop.devk(&["teach", "rule", "image.diget", "on"]);
    says(&unknown, "did you mean `image.digest`");
}

#[test]
fn the_guide_asks_what_is_open_and_writes_the_answers() {
    let shop = Shop::new();
    let asked = shop.devk(&["guide", "shop"]);
    assert_eq!(code(&asked), 2);
    let document: serde_json::Value = serde_json::from_slice(&asked.stdout).unwrap();
    let ids = |document: &serde_json::Value| {
        let questions = document["questions"].as_array().unwrap().iter();
        questions
            .map(|question| question["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let open = ids(&document);
    assert!(
        open.contains(&"user".to_owned()) && !open.contains(&"backup".to_owned()),
        "{open:?}"
    );

    shop.write("bad.yaml", "usr: 1\nmax-memory: lots\n");
    let bad = shop.devk(&["guide", "shop", "--answers", "bad.yaml"]);
    for said in ["did you mean `user`", "`lots` is no answer"] {
        says(&bad, said);
    }
    shop.write("answers.yaml", "user: 1000\nmemory-limit: 1Gi\nregistries: [registry.example/shop]\nmonitoring: no\nbackup: yes\n");
    let answered = ["guide", "shop", "--answers", "answers.yaml"];
    says(&shop.devk(&answered), "chart.uncommitted");
    assert!(
        !Path::new(&shop.0.path().join(".devk")).exists(),
        "half of the answers were written"
    );
    let written = shop.devk(&[&answered[..], &["--allow-dirty"]].concat());
    assert_eq!(code(&written), 0, "{}", text(&written));
    says(&written, "`backup` was not asked");
    assert!(
        shop.read(".devk/constraints.yaml")
            .ends_with("registries: [registry.example/shop]\n")
    );
    let template = shop.read("shop/templates/deployment.yaml");
    for line in ["runAsUser: 1000", "memory: 1Gi", "drop: [ALL]"] {
        assert!(template.contains(line), "{template}");
    }
    // Only what was answered is remedied; a limit of memory is a request, too.
    assert!(
        !template.contains("Probe") && !template.contains("cpu:"),
        "{template}"
    );
    let left = ids(&serde_json::from_slice(&shop.devk(&["guide", "shop"]).stdout).unwrap());
    assert!(
        !left.contains(&"user".to_owned()) && left.len() + 4 == open.len(),
        "{left:?}"
    );
}
