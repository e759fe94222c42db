//! `--fix` on what was really left behind.

use std::os::unix::net::UnixListener;

use devk::doctor::fix::{Fix, fixes};
use devk::environment::Environment;
use devk::ports::{Leases, Lessee};

use crate::world::World;

#[tokio::test]
async fn what_dead_sessions_and_deleted_folders_left_is_removed_and_nothing_else() {
    let world = World::demo();
    let paths = world.paths();
    let root = world.root();
    let dead = paths.project("dead");
    let alive = paths.project("alive");
    [&dead, &alive]
        .into_iter()
        .for_each(|dir| std::fs::create_dir_all(dir).unwrap());
    drop(UnixListener::bind(dead.join("supervisor.sock")).unwrap());
    let _listens = UnixListener::bind(alive.join("supervisor.sock")).unwrap();
    std::fs::write(dead.join("secrets.json"), "{}").unwrap();
    let gone = lessee("gone", &root.join("gone"));
    let here = lessee("demo", &root);
    std::fs::create_dir(&gone.root).unwrap();
    let leases = Leases::open(&paths.state);
    [&gone, &here]
        .into_iter()
        .for_each(|lessee| leases.save(lessee, &[]).unwrap());
    std::fs::remove_dir(&gone.root).unwrap();

    let found = fixes(&world.facts().await);
    assert_eq!(
        found,
        [
            Fix::Socket(dead.join("supervisor.sock")),
            Fix::Leases(vec![gone])
        ]
    );
    for fix in found {
        fix.apply(&paths, &Environment::default()).await.unwrap();
    }
    assert_eq!(fixes(&world.facts().await), []);
    assert!(!dead.join("supervisor.sock").exists() && dead.join("secrets.json").exists());
    assert!(alive.join("supervisor.sock").exists());
    assert_eq!(leases.lessees().unwrap(), [here]);
}

#[tokio::test]
async fn a_session_that_came_back_keeps_its_socket() {
    let world = World::demo();
    let socket = world.paths().project("demo").join("supervisor.sock");
    std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
    drop(UnixListener::bind(&socket).unwrap());
    let found = fixes(&world.facts().await);
    std::fs::remove_file(&socket).unwrap();
    let _back = UnixListener::bind(&socket).unwrap();
    for fix in found {
        fix.apply(&world.paths(), &Environment::default())
            .await
            .unwrap();
    }
    assert!(socket.exists());
}

#[tokio::test]
async fn limits_are_raised_with_consent_and_can_be_put_back() {
    let mut world = World::demo();
    world
        .changes
        .push(|facts, _| facts.machine.inotify[0].1 = 8192);
    let found = fixes(&world.facts().await);
    assert_eq!(
        found,
        [Fix::Limit {
            name: "max_user_watches",
            is: 8192,
            wanted: 524_288
        }]
    );
    assert!(found[0].needs_consent());
    assert_eq!(
        found[0].undo().unwrap(),
        "sudo sysctl -w fs.inotify.max_user_watches=8192"
    );
}

fn lessee(project: &str, root: &std::path::Path) -> Lessee {
    Lessee {
        project: project.to_owned(),
        root: root.to_owned(),
    }
}
