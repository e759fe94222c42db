//! `devk settle` on the demo: when it says that a save is live, the next request has it; what broke is told with the
//! program's own words.

use serde_json::Value;

use crate::support::followed::Followed;
use crate::support::run::Ran;
use crate::support::sample::times;
use crate::support::wire::get;

const API: &str = "api/app/main.py";
const WEB: &str = "web/src/server.js";
const CHART: &str = "chart/templates/api.yaml";

/// A save and what it does.
struct Save {
    file: &'static str,
    from: &'static str,
    to: String,
}

impl Save {
    fn api(version: &str) -> Self {
        Self {
            file: API,
            from: "VERSION = \"1.0.0\"",
            to: format!("VERSION = \"{version}\"\nprint(\"it runs {version}\", flush=True)"),
        }
    }

    fn web(answer: &str) -> Self {
        Self {
            file: WEB,
            from: "\"not found\\n\"",
            to: format!("\"{answer}\""),
        }
    }
}

/// The demo with its files as they were.
struct Demo {
    followed: Followed,
    api: u16,
    web: u16,
}

impl Demo {
    fn up(name: &str) -> Self {
        let followed = Followed::demo(name);
        let [api, web] = ["api", "web"].map(|forward| followed.project.port(forward));
        Self { followed, api, web }
    }

    /// Saves one change of a file that has no other, and waits for it.
    fn settle(&self, Save { file, from, to }: Save, words: &[&str]) -> Ran {
        let path = self.followed.project.path(file);
        let whole = std::fs::read_to_string(format!("profiles/demo/{file}")).unwrap();
        let changed = whole.replacen(from, &to, 1);
        assert_ne!(changed, whole, "`{from}` is not in {file}");
        std::fs::write(path, changed).unwrap();
        self.wait(words)
    }

    fn wait(&self, words: &[&str]) -> Ran {
        let words = [&["settle"], words].concat();
        self.followed.project.devk(&words)
    }

    /// The next answer of the API, however soon it is asked.
    fn version(&self) -> Value {
        get(self.api, "/").unwrap().json()["version"].clone()
    }

    fn missing_page(&self) -> String {
        get(self.web, "/missing").unwrap().body
    }
}

fn how(settled: &Value, service: &str) -> String {
    let services = settled["services"].as_array().unwrap();
    let found = services.iter().find(|found| found["name"] == service);
    found.map_or_else(|| panic!("{settled}"), |found| found["how"].to_string())
}

/// What failed, which is one thing.
fn failure(ran: &Ran) -> Value {
    let settled = ran.document();
    assert_eq!(settled["settled"], false, "{settled}");
    let failures = settled["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 1, "{settled}");
    failures[0].clone()
}

#[test]
fn the_next_answer_after_settle_has_the_save_and_what_broke_is_told() {
    let demo = Demo::up("settle");
    let rest = demo.wait(&[]).well().document();
    assert_eq!(how(&rest, "demo-api"), "\"unchanged\"");
    for number in 0..times(40) {
        synced(&demo, number);
        crashed(&demo, number);
    }
    rebuilt_and_rolled_out(&demo);
    refused_and_late(&demo);
}

fn synced(demo: &Demo, number: usize) {
    let version = format!("synced-{number}");
    let settled = demo.settle(Save::api(&version), &[]).well().document();
    assert_eq!(demo.version(), version.as_str());
    assert_eq!(how(&settled, "demo-api"), "\"synced\"");
    assert_eq!(how(&settled, "demo-web"), "\"unchanged\"");
    let log = demo.followed.project.devk(&["logs", "--since-edit", "api"]);
    let log = log.well().stdout;
    assert!(log.contains(&format!("it runs {version}")), "{log}");
    let others = log.lines().filter(|line| line.contains("it runs"));
    assert_eq!(others.count(), 1, "{log}");
    let answer = format!("page-{number}");
    demo.settle(Save::web(&answer), &["web"]).well();
    assert_eq!(demo.missing_page(), answer);
}

fn crashed(demo: &Demo, number: usize) {
    let words = format!("broken-{number}");
    let breaks = Save {
        to: format!("raise SystemExit(\"{words}\")"),
        ..Save::api("")
    };
    let failed = demo.settle(breaks, &["api"]).exits(1);
    let failure = failure(&failed);
    assert_eq!(failure["code"], "session.program-ended", "{failure}");
    assert!(failure["log"].to_string().contains(&words), "{failure}");
    // It is broken, and not the other one.
    demo.settle(Save::web("whole"), &["web"]).well();
    demo.settle(Save::api("mended"), &[]).well();
    assert_eq!(demo.version(), "mended");
    let breaks = Save {
        to: format!("throw new Error(\"{words}\")"),
        ..Save::web("")
    };
    let failed = demo.settle(breaks, &[]).exits(1);
    assert!(failed.stdout.contains(&words), "{failed:?}");
    demo.settle(Save::web("mended"), &[]).well();
    assert_eq!(demo.missing_page(), "mended");
}

fn rebuilt_and_rolled_out(demo: &Demo) {
    let rolled_out = Save {
        file: CHART,
        from: "{{ .Values.api.stackName | quote }}",
        to: "rolled-out".to_owned(),
    };
    let settled = demo.settle(rolled_out, &[]).well().document();
    assert_eq!(
        get(demo.api, "/").unwrap().json()["stack"],
        "rolled-out",
        "{settled}"
    );
    assert_eq!(how(&settled, "demo-api"), "\"rolled_out\"");
    let rebuilt = Save {
        file: "web/Dockerfile",
        from: "EXPOSE 4173",
        to: "EXPOSE 4173\nENV REBUILT=1".to_owned(),
    };
    let early = demo.settle(rebuilt, &["--timeout", "1s"]).exits(124);
    let waits = early.document()["waiting_for"].clone();
    assert!(waits[0].is_string(), "{waits}");
    let settled = demo.wait(&["web"]).well().document();
    assert_eq!(how(&settled, "demo-web"), "\"rebuilt\"");
    let said = demo
        .followed
        .project
        .devk(&["sh", "web", "--", "printenv", "REBUILT"]);
    assert_eq!(said.well().stdout, "1\n");
}

/// Every pod is Ready, and none of them is of the new chart.
fn without_pods(demo: &Demo) {
    let nameless = |account: &str| Save {
        file: CHART,
        from: "      containers:\n        - name: api\n",
        to: format!(
            "      serviceAccountName: {account}\n      containers:\n        - name: api\n"
        ),
    };
    for words in [&[][..], &["api"]] {
        let failed = demo.settle(nameless("nobody"), words).exits(1);
        let failure = failure(&failed);
        assert_eq!(failure["step"], "release.ready/demo", "{failure}");
        assert!(failure.to_string().contains("nobody"), "{failure}");
    }
    demo.settle(nameless("default"), &[]).well();
}

/// A chart that does not render is no plan; a name that is none is told at once.
fn refused_and_late(demo: &Demo) {
    let broken = Save {
        file: CHART,
        from: "{{ .Values.api.stackName | quote }}",
        to: "{{ .Values.api.stackName | nonsense }}".to_owned(),
    };
    let failed = demo.settle(broken, &[]).exits(1);
    let failure = failure(&failed);
    assert_eq!(failure["code"], "chart.render", "{failure}");
    let mended = Save {
        file: CHART,
        from: "{{ .Values.api.stackName | quote }}",
        to: "mended".to_owned(),
    };
    demo.settle(mended, &[]).well();
    without_pods(demo);
    let unknown = demo.wait(&["apii"]).exits(2);
    assert_eq!(unknown.error()["code"], "service.unknown");
    demo.followed.project.devk(&["down"]).well();
    let none = demo.wait(&[]).exits(2);
    assert_eq!(none.error()["code"], "session.none");
}
