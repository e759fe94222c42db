//! The tour on the demo: the test does what the tour asks for, and the tour says what it has seen.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::followed::Followed;
use crate::support::tell;
use crate::support::terminal::OnTerminal;
use crate::support::wire::post;

const CTRL_C: &str = "\u{3}";

/// The number of milliseconds in `… after 14 ms`.
fn milliseconds(line: &str) -> u64 {
    let (_, after) = line
        .rsplit_once("after ")
        .unwrap_or_else(|| panic!("{line}"));
    after.split_once(" ms").unwrap().0.parse().unwrap()
}

#[test]
fn the_tour_confirms_what_the_user_does_and_goes_on_where_it_was_stopped() {
    let demo = Followed::demo("tour");
    let since = Instant::now();
    edits_and_stops(&demo);
    breaks_and_is_killed(&demo);
    mends_and_finds_the_note_again(&demo);
    tell("the tour, down and up included", since.elapsed());
    tells_what_is_missing(&demo);
}

fn on_terminal(demo: &Followed) -> OnTerminal {
    let mut command = demo.project.bare();
    command.arg("tour");
    OnTerminal::start(&command)
}

/// The first step, on a terminal; Ctrl-C in the second.
fn edits_and_stops(demo: &Followed) {
    let mut tour = on_terminal(demo);
    tour.wait_for("1/3");
    tour.wait_for("web/public/index.html:");
    tour.wait_for("<h1>Notes</h1>");
    demo.project
        .edit("web/public/index.html", "<h1>Notes</h1>", "<h1>Seen</h1>");
    let live = milliseconds(&tour.wait_for("seen live after"));
    tell("tour: the save is seen live", Duration::from_millis(live));
    tour.wait_for("VERSION = \"1.0.0\"");
    tour.type_keys(CTRL_C);
    let (shown, code) = tour.ended();
    assert_eq!(code, Some(130), "{shown}");
    assert!(
        shown.contains("the tour goes on with `devk tour`"),
        "{shown}"
    );
}

/// A save that breaks nothing, and one that does, in a pipe with events; then kill -9.
fn breaks_and_is_killed(demo: &Followed) {
    let main = "api/app/main.py";
    let mut tour = demo.project.start(&["tour"]);
    let asks = tour.wait_for(&["\"tour\":\"asks\""]);
    let asks: Value = serde_json::from_str(&asks).unwrap();
    assert_eq!(asks["step"], "break", "{asks}");
    demo.project
        .edit(main, "VERSION = \"1.0.0\"", "VERSION = \"1.0.1\"");
    tour.wait_for(&["\"tour\":\"sees\"", "runs with that save"]);
    demo.project
        .edit(main, "VERSION = \"1.0.1\"", "VERSION = \"1.0.1");
    let explains = tour.wait_for(&["\"tour\":\"explains\""]);
    let explains: Value = serde_json::from_str(&explains).unwrap();
    let failure = &explains["failures"][0];
    assert_eq!(failure["code"], "session.program-ended", "{explains}");
    assert!(
        failure["log"]
            .to_string()
            .contains("unterminated string literal"),
        "{explains}"
    );
    let difference = &explains["differences"][0];
    assert_eq!(difference["before"], "VERSION = \"1.0.0\"", "{explains}");
    assert_eq!(difference["now"], "VERSION = \"1.0.1", "{explains}");
    tour.wait_for(&["\"tour\":\"asks\"", "\"mend\""]);
    tour.kill();
    tour.ended();
}

fn mends_and_finds_the_note_again(demo: &Followed) {
    let api = demo.project.port("api");
    let mut tour = on_terminal(demo);
    tour.wait_for("Put the line back");
    tour.wait_for("VERSION = \"1.0.0\"");
    demo.project.edit(
        "api/app/main.py",
        "VERSION = \"1.0.1",
        "VERSION = \"1.0.0\"",
    );
    assert!(milliseconds(&tour.wait_for("answers again: seen live after")) > 0);
    tour.wait_for("3/3");
    tour.wait_for("/notes");
    post(api, "/notes", &json!({"text": "from before"}))
        .unwrap()
        .well();
    tour.wait_for("reads note 1 from the database: from before");
    tour.wait_for("devk up -d");
    demo.project.devk(&["down"]).well();
    tour.wait_for("the session has ended");
    demo.project.devk(&["up", "-d"]).well();
    tour.wait_for("note 1 is there: from before");
    let (shown, code) = tour.ended();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("that was the tour"), "{shown}");
}

fn tells_what_is_missing(demo: &Followed) {
    demo.project.devk(&["down"]).well();
    let none = demo.project.devk(&["tour"]).exits(2);
    assert_eq!(none.error()["code"], "session.none");
    assert_eq!(none.error()["hint"], "devk up -d");
    assert!(none.stdout.is_empty(), "{none:?}");
}
