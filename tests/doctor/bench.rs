//! How long the checks take beside 200 Compose services. Printed, never judged: run with `--nocapture`.

use std::fmt::Write;
use std::time::Instant;

use devk::doctor;

use crate::world::World;

#[tokio::test]
async fn two_hundred_compose_services_are_examined() {
    let mut world = World::demo();
    let mut services = String::new();
    for n in 0..200 {
        let port = 20_000 + n;
        write!(
            services,
            "  s{n}:\n    image: postgres:16\n    environment:\n      POSTGRES_DB: db{n}\n      URL: postgres://u:p@s{n}/other{n}\n    ports: [\"{port}:5432\"]\n"
        )
        .unwrap();
    }
    world.service(&services);
    let before = Instant::now();
    let facts = world.facts().await;
    let seen = before.elapsed();
    let checks = doctor::check(&facts);
    let all = before.elapsed();
    println!(
        "200 Compose services: looked at in {seen:?}, checked in {:?}, together {all:?}",
        all - seen
    );
    assert!(
        checks
            .iter()
            .all(|check| check.status == doctor::CheckStatus::Ok),
        "{checks:#?}"
    );
}
