//! `test:`, and what can be wrong in it.

use std::time::Duration;

use super::super::{TestPlace, TestRun};
use super::{Shop, problems};

fn with(tests: &str) -> String {
    format!("name: shop\nreleases: [{{name: shop, chart: ./chart}}]\ntest:\n{tests}")
}

#[test]
fn a_command_is_a_text_or_words_on_this_machine_or_in_a_pod() {
    let shop = Shop::with(&with(
        "  - {name: unit, run: \"pytest -q && echo $N\", dir: ./api, timeout: 90s, env: {N: 1, ON: true}}
  - name: inside
    service: api
    run: [python, -m, app.check, 10, \"a b\"]
    dir: /app
",
    ));
    let tests = shop.load().unwrap().tests;
    let names: Vec<_> = tests.iter().map(|test| test.name.as_str()).collect();
    assert_eq!(names, ["unit", "inside"]);
    let [unit, inside] = &tests[..] else {
        panic!("{tests:?}")
    };
    assert_eq!(unit.run.words(), ["sh", "-c", "pytest -q && echo $N"]);
    let dir = Some(shop.root().join("api"));
    assert_eq!(unit.place, TestPlace::Machine { dir });
    assert_eq!(unit.timeout, Duration::from_secs(90));
    let env = [("N", "1"), ("ON", "true")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!((&unit.env[..], unit.origin.line), (&env[..], 4));
    let words = ["python", "-m", "app.check", "10", "a b"].map(str::to_owned);
    assert_eq!(inside.run, TestRun::Words(words.to_vec()));
    let (service, dir) = ("api".to_owned(), Some("/app".to_owned()));
    assert_eq!(inside.place, TestPlace::Pod { service, dir });
    assert_eq!(inside.timeout, Duration::from_secs(600));
}

#[test]
fn what_is_wrong_is_told_at_its_line() {
    let found = problems(&with(
        "  - {name: a, run: []}
  - {name: a, run: {x: 1}, dir: ./nowhere}
  - {name: B, run: \"\", timeout: never}
  - {run: [\" \", x], service: api, dir: tests}
  - {name: c, comand: [a]}
",
    ));
    for expected in [
        "devk.yaml:4: `test[0].run` names no program [config.value]",
        "devk.yaml:5: a second test is named `a` [config.value]",
        "devk.yaml:5: `test[1].run` must be a text or a list of words, found ",
        "devk.yaml:5: there is no folder `./nowhere` [config.path]",
        "devk.yaml:6: `B` is not a valid name [config.value]",
        "devk.yaml:6: `test[2].run` names no program [config.value]",
        "devk.yaml:6: `never` is not a time from 1 s to 24 h [config.value]",
        "devk.yaml:7: `test[3].name` is missing [config.missing-key]",
        "devk.yaml:7: `test[3].run` names no program [config.value]",
        "devk.yaml:7: `tests` is no absolute path in the container [config.value]",
        "devk.yaml:8: unknown key `comand` in `test[4]` [config.unknown-key]",
        "devk.yaml:8: `test[4].run` is missing [config.missing-key]",
    ] {
        assert!(found.contains(expected), "{expected}\n{found}");
    }
}
