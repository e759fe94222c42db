//! What is newer, and what it ends.

use super::*;

#[tokio::test]
async fn newer_changes_give_up_the_builds_of_older_ones_and_are_brought_live_together() {
    let mut running = Running::up_from("/shop").await;
    running.changes("api");
    let begun = running.begun().await;
    assert!(!begun.builds.is_cancelled());
    running.changes("web");
    running.changes("worker");
    timeout(SOON, begun.builds.cancelled()).await.unwrap();
    running.at_rest().await;
    assert!(
        begun.waits.is_cancelled(),
        "nor does it wait for the cluster"
    );
    assert!(
        !begun.end.is_closed(),
        "what it writes it writes to its end"
    );
    begun.ends_well();
    running.begun().await.ends_well();
    for told in [
        "change/api it changed",
        "change/api newer changes came meanwhile",
        "change/web+worker it changed, and 1 more",
        "change/web+worker live",
    ] {
        assert_eq!(running.told().await, told);
    }
}

#[tokio::test]
async fn a_clients_request_gives_up_the_builds_of_changes_and_is_served_next() {
    let mut running = Running::up_from("/shop").await;
    running.changes("api");
    let begun = running.begun().await;
    let up = running.asks("/newer", Lifetime::Attached);
    timeout(SOON, begun.builds.cancelled()).await.unwrap();
    let not_ready = Outcome {
        failed: vec!["image.build/api".to_owned()],
        ..outcome(false)
    };
    begun.ends(Ok(not_ready));
    let begun = running.begun().await;
    assert_eq!(begun.dir, Path::new("/newer"));
    assert!(!begun.builds.is_cancelled());
    begun.ends(refused());
    answered(up).await.unwrap_err();
    let begun = running.begun().await;
    assert_eq!(begun.dir, Path::new("/shop"), "the change is not lost");
    begun.ends_well();
    for told in [
        "change/api it changed",
        "change/api a newer `up` came meanwhile",
        "change/api it changed",
        "change/api live",
    ] {
        assert_eq!(running.told().await, told);
    }
}

#[tokio::test]
async fn changes_during_a_clients_up_that_becomes_ready_are_brought_live_after_it() {
    let mut running = Running::start();
    let up = running.asks("/shop", Lifetime::Detached);
    let begun = running.begun().await;
    running.changes("api");
    running.at_rest().await;
    assert!(!begun.builds.is_cancelled());
    begun.ends_well();
    answered(up).await.unwrap();
    let begun = running.begun().await;
    assert_eq!(begun.changed.as_deref(), Some("api"));
    begun.ends_well();
    assert_eq!(running.told().await, "change/api it changed");
}

#[tokio::test]
async fn a_clients_up_that_waits_for_the_cluster_begins_anew_with_the_changes_that_come() {
    let mut running = Running::start();
    let mut up = running.asks("/shop", Lifetime::Detached);
    let begun = running.begun().await;
    running.changes("api");
    timeout(SOON, begun.waits.cancelled()).await.unwrap();
    assert!(!begun.builds.is_cancelled());
    begun.ends(Ok(outcome(false)));
    let begun = running.begun().await;
    assert_eq!(begun.changed, None, "everything is looked at");
    assert!(up.try_recv().is_err() && !begun.waits.is_cancelled());
    begun.ends_well();
    assert!(answered(up).await.unwrap().ready);
    running.at_rest().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(running.begun.is_empty(), "the change is live");
    assert_eq!(running.told().await, "change/api it changed");
}

#[tokio::test]
async fn a_clients_up_that_is_cut_off_leaves_the_changes_to_the_request_of_before() {
    let mut running = Running::up_from("/before").await;
    let up = running.asks("/cut-off", Lifetime::Attached);
    let begun = running.begun().await;
    running.changes("api");
    timeout(SOON, begun.waits.cancelled()).await.unwrap();
    begun.ends(Ok(outcome(false)));
    let begun = running.begun().await;
    drop(up);
    begun.dropped().await;
    let begun = running.begun().await;
    assert_eq!(begun.dir, Path::new("/before"));
    assert_eq!(begun.changed.as_deref(), Some("api"));
    begun.ends_well();
}

#[tokio::test]
async fn changes_without_end_do_not_keep_a_client_from_its_answer() {
    let mut running = Running::start();
    let up = running.asks("/shop", Lifetime::Detached);
    for _ in 0..MAX_OVERTAKES {
        let begun = running.begun().await;
        running.changes("api");
        timeout(SOON, begun.waits.cancelled()).await.unwrap();
        begun.ends(Ok(outcome(false)));
    }
    let begun = running.begun().await;
    running.changes("api");
    running.at_rest().await;
    assert!(!begun.waits.is_cancelled());
    begun.ends(Ok(outcome(false)));
    assert!(!answered(up).await.unwrap().ready);
    running.begun().await.ends_well();
}
