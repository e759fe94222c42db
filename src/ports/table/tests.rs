//! The table, case by case.

use super::*;

fn taken(ports: &[u16]) -> OccupiedPorts {
    let mut taken = OccupiedPorts::default();
    ports
        .iter()
        .for_each(|port| taken.add(*port, "process `x` (pid 1)"));
    taken
}

fn listed(name: &str, remote: u16) -> PortRequest {
    PortRequest {
        listed: true,
        ..PortRequest::new(name, "ns", name, remote)
    }
}

fn leases(forwards: &[Forward]) -> Vec<Leased> {
    forwards.iter().map(Leased::from).collect()
}

/// The port that a listed forward of this name stood on before.
fn leased(name: &str, remote: u16, local: u16) -> Leased {
    Leased {
        name: name.into(),
        namespace: "ns".into(),
        service: name.into(),
        remote,
        local,
    }
}

/// tests/e2e/geniro.rs compares the profile's own chart.
#[test]
fn geniros_table_comes_out_as_documented() {
    let requests = [
        listed("api", 5000),
        listed("web", 4173),
        listed("litellm", 4000),
        PortRequest {
            container_port: Some(8080),
            ..listed("keycloak", 80)
        },
        listed("postgres", 5432),
        listed("redis", 6379),
        listed("qdrant", 6333),
        listed("runner", 8080),
    ];
    let stack = taken(&[5439, 6379, 6333, 6334, 4000, 8082, 8085, 3986, 8080, 3987]);
    let forwards = assign(&requests, &stack, &[]).unwrap();
    let locals: Vec<_> = forwards.iter().map(|f| f.local).collect();
    assert_eq!(
        locals,
        [15000, 14173, 14000, 18080, 15432, 16379, 16333, 28080]
    );
    let (runner, others) = forwards.split_last().unwrap();
    assert_eq!(
        runner.moved.as_deref(),
        Some("18080 is held by forward `keycloak`")
    );
    assert!(others.iter().all(|f| f.moved.is_none()));
}

#[test]
fn a_slot_above_65535_goes_to_the_lowest_free_port() {
    let forwards = assign(
        &[PortRequest::new("a", "ns", "a", 60000)],
        &taken(&[10001]),
        &[],
    )
    .unwrap();
    assert_eq!(forwards[0].local, 10002);
    assert_eq!(
        forwards[0].moved.as_deref(),
        Some("the next slot is above 65535")
    );
}

#[test]
fn a_port_that_browsers_block_is_never_given() {
    let forwards = assign(
        &[PortRequest::new("a", "ns", "a", 80)],
        &OccupiedPorts::default(),
        &[],
    )
    .unwrap();
    assert_eq!(forwards[0].local, 20080);
    assert_eq!(
        forwards[0].moved.as_deref(),
        Some("10080 is blocked by browsers")
    );
}

#[test]
fn an_explicit_port_that_is_taken_names_its_holder_where_devk_yaml_says_it() {
    let origin = Origin {
        file: "/p/devk.yaml".into(),
        line: 7,
    };
    let request = PortRequest {
        local: Some(5439),
        origin: Some(origin),
        ..listed("db", 5432)
    };
    let mut taken = OccupiedPorts::default();
    taken.add(
        5439,
        "container `shop-db-1` (Compose service `db` of project `shop`, stopped)",
    );
    let errors = assign(&[request], &taken, &[]).unwrap_err();
    assert_eq!(
        errors.0[0].to_string(),
        "/p/devk.yaml:7: `local: 5439` of forward `db` cannot be had: 5439 is held by container `shop-db-1` \
         (Compose service `db` of project `shop`, stopped)"
    );
    assert_eq!(errors.0[0].code, Code::PortHeld);
}

#[test]
fn two_explicit_forwards_of_one_port_and_a_blocked_one_are_reported_together() {
    let explicit = |name: &str, local| PortRequest {
        local: Some(local),
        ..listed(name, 80)
    };
    let requests = [
        explicit("a", 12000),
        explicit("b", 12000),
        explicit("c", 6000),
    ];
    let errors = assign(&requests, &OccupiedPorts::default(), &[]).unwrap_err();
    let messages: Vec<_> = errors.0.iter().map(|e| e.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "`local: 12000` of forward `b` cannot be had: 12000 is held by forward `a`",
            "`local: 6000` of forward `c` cannot be had: 6000 is blocked by browsers"
        ]
    );
}

#[test]
fn a_lease_outranks_devk_yaml_and_an_explicit_port_outranks_the_lease() {
    let lease = [leased("old", 5000, 15000)];
    let requests = [listed("new", 5000), listed("old", 5000)];
    let forwards = assign(&requests, &OccupiedPorts::default(), &lease).unwrap();
    assert_eq!((forwards[0].local, forwards[1].local), (25000, 15000));
    let requests = [
        PortRequest {
            local: Some(15000),
            ..listed("new", 9)
        },
        listed("old", 5000),
    ];
    let forwards = assign(&requests, &OccupiedPorts::default(), &lease).unwrap();
    assert_eq!((forwards[0].local, forwards[1].local), (15000, 25000));
}

#[test]
fn a_moved_forward_keeps_its_port_when_the_slot_is_free_again() {
    let requests = [PortRequest::new("a", "ns", "a", 5000)];
    let moved = assign(&requests, &taken(&[15000]), &[]).unwrap();
    let later = assign(&requests, &OccupiedPorts::default(), &leases(&moved)).unwrap();
    assert_eq!(later[0].local, 25000);
    assert_eq!(
        later[0].moved.as_deref(),
        Some("kept from an earlier session, so that the address stays")
    );
}

#[test]
fn no_port_left_is_an_error() {
    let all: Vec<u16> = (1..=u16::MAX).collect();
    let errors = assign(&[PortRequest::new("a", "ns", "a", 5000)], &taken(&all), &[]).unwrap_err();
    assert_eq!(errors.0[0].code, Code::PortNone);
}

#[test]
fn the_block_list_can_be_searched() {
    assert!(BROWSER_BLOCKED.is_sorted());
}

#[test]
fn a_leased_port_that_is_lost_is_told_with_what_took_it() {
    let lease = [leased("api", 5000, 15000)];
    let forwards = assign(&[listed("api", 5000)], &taken(&[15000]), &lease).unwrap();
    assert_eq!(forwards[0].local, 25000);
    assert_eq!(
        forwards[0].moved.as_deref(),
        Some("25000 in place of 15000, its port before: 15000 is held by process `x` (pid 1)")
    );
}

#[test]
fn a_lease_that_is_lost_in_favour_of_the_usual_port_is_told_too() {
    let forwards = assign(
        &[listed("api", 5000)],
        &taken(&[25000]),
        &[leased("api", 5000, 25000)],
    )
    .unwrap();
    assert_eq!(forwards[0].local, 15000);
    assert_eq!(
        forwards[0].moved.as_deref(),
        Some("15000 in place of 25000, its port before: 25000 is held by process `x` (pid 1)")
    );
}

#[test]
fn an_explicit_port_in_place_of_a_leased_one_says_so() {
    let request = PortRequest {
        local: Some(15000),
        ..listed("api", 5000)
    };
    let forwards = assign(
        &[request],
        &OccupiedPorts::default(),
        &[leased("api", 5000, 25000)],
    )
    .unwrap();
    assert_eq!(
        forwards[0].moved.as_deref(),
        Some("15000 in place of 25000, its port before: `local: 15000` in devk.yaml")
    );
}

#[test]
fn two_forwards_of_one_service_port_keep_a_port_each_and_a_renamed_one_keeps_its_own() {
    let both = |names: [&str; 2]| {
        names.map(|name| PortRequest {
            service: "api".into(),
            ..listed(name, 5000)
        })
    };
    let first = assign(&both(["one", "two"]), &OccupiedPorts::default(), &[]).unwrap();
    let locals = |forwards: &[Forward]| {
        forwards
            .iter()
            .map(|f| (f.name.clone(), f.local))
            .collect::<Vec<_>>()
    };
    let lease = leases(&first);
    assert_eq!(
        locals(&assign(&both(["one", "two"]), &OccupiedPorts::default(), &lease).unwrap()),
        locals(&first)
    );
    let renamed = assign(&both(["uno", "two"]), &OccupiedPorts::default(), &lease).unwrap();
    assert_eq!(
        locals(&renamed),
        [("uno".to_owned(), 15000), ("two".to_owned(), 25000)]
    );
}
