//! Acceptance of the doctor: planted conflicts are found one by one and all together, and none on the
//! clean demo. Compose, devk.yaml, state and listeners are real; the chart is as helm renders it.

// Clippy exempts test functions by itself, but not what they call.
#![allow(clippy::unwrap_used)]

mod bench;
mod cases;
mod fixes;
mod plants;
mod world;

use devk::doctor::Check;
use plants::{PLANTS, Plant};
use world::World;

fn finds(plant: &Plant, problems: &[Check]) -> bool {
    problems
        .iter()
        .any(|check| check.id.as_str() == plant.id && tell(check).contains(plant.says))
}

/// Everything that a check says.
fn tell(check: &Check) -> String {
    let place = |line: Option<u32>| line.map(|line| format!(":{line}")).unwrap_or_default();
    let evidence = check.evidence.iter().map(|evidence| {
        let file = evidence
            .file
            .iter()
            .map(|file| file.display().to_string())
            .collect::<String>();
        format!("{file}{} {}", place(evidence.line), evidence.text)
    });
    format!(
        "{} {} {}",
        check.summary,
        evidence.collect::<Vec<_>>().join("\n"),
        check.hint.clone().unwrap_or_default()
    )
}

#[tokio::test]
async fn the_clean_demo_has_no_problem() {
    assert_eq!(World::demo().problems().await, []);
}

#[tokio::test]
async fn every_planted_conflict_is_found_by_itself_with_evidence_and_a_hint() {
    assert!(PLANTS.len() >= 25, "{}", PLANTS.len());
    let mut wrong = vec![];
    for plant in PLANTS {
        let mut world = World::demo();
        (plant.plant)(&mut world);
        let problems = world.problems().await;
        let others: Vec<_> = problems
            .iter()
            .filter(|check| check.id.as_str() != plant.id)
            .collect();
        let whole = problems
            .iter()
            .all(|check| check.hint.is_some() && !tell(check).is_empty());
        if !finds(plant, &problems) || !others.is_empty() || !whole {
            wrong.push(format!("{} ({}): {problems:#?}", plant.id, plant.says));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn all_planted_conflicts_are_found_together() {
    let mut world = World::demo();
    PLANTS.iter().for_each(|plant| (plant.plant)(&mut world));
    let problems = world.problems().await;
    let missed: Vec<_> = PLANTS
        .iter()
        .filter(|plant| !finds(plant, &problems))
        .map(|p| (p.id, p.says))
        .collect();
    assert_eq!(missed, [], "{problems:#?}");
}

#[tokio::test]
async fn no_finding_tells_a_password() {
    let mut world = World::demo();
    PLANTS.iter().for_each(|plant| (plant.plant)(&mut world));
    for check in world.problems().await {
        assert!(!tell(&check).contains("hunter2"), "{check:#?}");
    }
}
