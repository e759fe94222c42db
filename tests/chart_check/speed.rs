//! How long all rules take. A figure for the reference: `cargo test --release --test chart_check -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use devk::check::{ChartFacts, CheckRendering, Judgement, RenderingUse, judge};

use super::case::{TODAY, all_rules, facts};

/// Objects of one rendering.
const TEMPLATES: usize = 200;

/// So long the rules may take for them, beside helm.
const LIMIT: Duration = Duration::from_millis(20);

/// What else the machine does comes between: the shortest of these counts.
const RUNS: usize = 10;

#[test]
#[ignore = "a measurement"]
fn all_rules_look_at_two_hundred_templates() {
    let base = facts("whole");
    let documents = &base.renderings[0].documents;
    let copies = (0..TEMPLATES).map(|at| {
        let document = &documents[at % documents.len()];
        let (text, name) = (&document.text, format!("name: whole-{at}x"));
        format!("---\n{}", text.replace("name: whole-", &format!("{name}-")))
    });
    let text: String = copies.collect();
    let config = all_rules();
    let runs = (0..RUNS).map(|_| {
        let mut big = ChartFacts::new("whole", &base.namespace, &base.folder, base.files.clone());
        big.templates.clone_from(&base.templates);
        let values = base.renderings[0].values.clone();
        let begun = Instant::now();
        let rendering = CheckRendering::new("values.yaml", RenderingUse::Judged, &text, values);
        big.renderings.push(rendering.unwrap());
        let read = begun.elapsed();
        let report = judge(&big, Judgement::new(&config, TODAY));
        let judged = begun.elapsed() - read;
        let (count, findings) = (big.renderings[0].documents.len(), report.findings.len());
        assert_eq!(count, TEMPLATES);
        println!("{count} objects: read in {read:?}, judged in {judged:?}, {findings} findings");
        judged
    });
    let shortest = runs.min().unwrap();
    assert!(cfg!(debug_assertions) || shortest <= LIMIT, "{shortest:?}");
}
