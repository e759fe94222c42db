//! What holds for every table, on 10,000 random machines each: Services, Compose ports, foreign
//! holders, leases and explicit ports, drawn so close together that collisions are the rule.

use proptest::prelude::*;

use super::*;

/// Privileged ports, some around 1024 whose slots are taken often, and some whose first or second slot
/// is above 65535.
fn port(drawn: u32) -> u16 {
    const PORTS: [std::ops::Range<u16>; 5] =
        [1..100, 1024..1040, 11020..11050, 45530..45540, 55530..65535];
    let range = PORTS[drawn as usize % PORTS.len()].clone();
    range.start + (drawn / 5 % range.len() as u32) as u16
}

/// A port that some request wants.
fn slot(drawn: u32) -> u16 {
    port(drawn)
        .checked_add(OFFSET)
        .unwrap_or_else(|| port(drawn))
}

/// One number a request: 10,000 cases must not take minutes.
fn request(drawn: u32) -> PortRequest {
    let remote = port(drawn);
    let service = format!("s{}", drawn >> 30);
    let name = format!("{service}-{remote}-{}", drawn >> 27 & 1);
    PortRequest {
        container_port: (drawn & 1 << 28 > 0).then(|| port(drawn >> 7)),
        listed: drawn & 1 << 29 > 0,
        ..PortRequest::new(name, "ns", service, remote)
    }
}

/// Forwards of distinct names, two of which may lead to one Service port.
fn requests() -> impl Strategy<Value = Vec<PortRequest>> {
    proptest::collection::vec(any::<u32>(), 0..12).prop_map(|drawn| {
        let unique: BTreeMap<_, _> = drawn
            .into_iter()
            .map(request)
            .map(|r| (r.name.clone(), r))
            .collect();
        unique.into_values().collect()
    })
}

/// The same, and some of them ask for a port of their own.
fn explicit_requests() -> impl Strategy<Value = Vec<PortRequest>> {
    (requests(), proptest::collection::vec(any::<u32>(), 12)).prop_map(|(mut requests, drawn)| {
        for (request, drawn) in requests
            .iter_mut()
            .zip(drawn)
            .filter(|(_, drawn)| drawn % 4 == 0)
        {
            (request.local, request.listed) = (Some(slot(drawn / 4)), true);
        }
        requests
    })
}

/// Who holds a port, one of every kind.
fn holder(drawn: u32) -> String {
    match drawn >> 28 & 3 {
        0 => format!("Compose service `s{0}` (compose.yaml:{0})", drawn % 97),
        1 => format!("container `c{0}` (stopped)", drawn % 97),
        2 => format!("project `p{0}` in `/src/p{0}`", drawn % 97),
        _ => format!("process `node` (pid {})", drawn % 97),
    }
}

fn taken() -> impl Strategy<Value = OccupiedPorts> {
    proptest::collection::vec(any::<u32>(), 0..30).prop_map(|drawn| {
        OccupiedPorts(
            drawn
                .into_iter()
                .map(|drawn| (slot(drawn), holder(drawn)))
                .collect(),
        )
    })
}

/// Leases of some of the requests and of some that are gone, on ports that may be taken by now.
fn lease() -> impl Strategy<Value = Vec<Leased>> {
    proptest::collection::vec((any::<u32>(), any::<u32>()), 0..12).prop_map(|drawn| {
        let leased = |(of, at): (u32, u32)| {
            let PortRequest {
                name,
                namespace,
                service,
                remote,
                ..
            } = request(of);
            Leased {
                name,
                namespace,
                service,
                remote,
                local: slot(at),
            }
        };
        drawn.into_iter().map(leased).collect()
    })
}

/// Requests and leases for most of them.
fn leased_requests() -> impl Strategy<Value = (Vec<PortRequest>, Vec<Leased>)> {
    (
        explicit_requests(),
        lease(),
        proptest::collection::vec(any::<u32>(), 12),
    )
        .prop_map(|(requests, mut lease, drawn)| {
            for (request, drawn) in requests
                .iter()
                .zip(drawn)
                .filter(|(_, drawn)| drawn % 3 > 0)
            {
                let PortRequest {
                    name,
                    namespace,
                    service,
                    remote,
                    ..
                } = request.clone();
                lease.push(Leased {
                    name,
                    namespace,
                    service,
                    remote,
                    local: slot(drawn / 3),
                });
            }
            (requests, lease)
        })
}

/// In the order of `keys`, but for those that devk.yaml lists, whose own order counts.
fn shuffled(requests: &[PortRequest], keys: &[u32]) -> Vec<PortRequest> {
    let mut drawn: Vec<_> = keys.iter().zip(requests).collect();
    drawn.sort_by_key(|(key, _)| **key);
    let mut listed = requests.iter().filter(|request| request.listed);
    let in_order = drawn.into_iter().map(|(_, request)| {
        if request.listed {
            listed.next().unwrap()
        } else {
            request
        }
    });
    in_order.cloned().collect()
}

/// A table, and what it was made from.
struct Made<'a> {
    requests: &'a [PortRequest],
    taken: &'a OccupiedPorts,
    lease: &'a [Leased],
    forwards: &'a [Forward],
}

impl Made<'_> {
    fn request(&self, forward: &Forward) -> &PortRequest {
        self.requests
            .iter()
            .find(|r| r.name == forward.name)
            .unwrap()
    }

    /// Every port the Service port ever stood on.
    fn before(&self, forward: &Forward) -> Vec<u16> {
        self.lease
            .iter()
            .filter(|leased| leased.is_of(self.request(forward)))
            .map(|leased| leased.local)
            .collect()
    }

    /// Checks each claim of a reason against what the table was made from.
    fn is_true(&self, forward: &Forward, moved: &str) -> Result<(), TestCaseError> {
        let start = format!("{} in place of ", forward.local);
        let claims = match moved.strip_prefix(&start) {
            Some(rest) => {
                let (before, claims) = rest.split_once(", its port before: ").unwrap();
                let before: u16 = before.parse().unwrap();
                prop_assert!(
                    before != forward.local && self.before(forward).contains(&before),
                    "{moved}"
                );
                claims
            }
            None => moved,
        };
        prop_assert!(!claims.is_empty());
        claims
            .split("; ")
            .try_for_each(|claim| self.claim_is_true(forward, claim))
    }

    fn claim_is_true(&self, forward: &Forward, claim: &str) -> Result<(), TestCaseError> {
        let request = self.request(forward);
        let holds = if let Some((port, holder)) = claim.split_once(" is held by ") {
            let port: u16 = port.parse().unwrap();
            let of_table = |f: &Forward| {
                f.local == port
                    && f.name != forward.name
                    && holder == format!("forward `{}`", f.name)
            };
            self.taken.holder(port) == Some(holder) || self.forwards.iter().any(of_table)
        } else if let Some(port) = claim.strip_suffix(" is blocked by browsers") {
            BROWSER_BLOCKED.contains(&port.parse().unwrap())
        } else if let Some(explicit) = claim.strip_prefix("`local: ") {
            explicit == format!("{}` in devk.yaml", forward.local)
                && request.local == Some(forward.local)
        } else if claim.starts_with("kept from an earlier session") {
            self.before(forward).contains(&forward.local)
        } else {
            claim == "the next slot is above 65535" && request.slots().contains(&None)
        };
        prop_assert!(holds, "`{claim}` is not true of {forward:?}");
        Ok(())
    }
}

/// Why an explicit port of these requests cannot be had, if one cannot.
fn refused(requests: &[PortRequest], taken: &OccupiedPorts) -> bool {
    let explicit: Vec<u16> = requests
        .iter()
        .filter_map(|request| request.local)
        .collect();
    let unique: BTreeSet<u16> = explicit.iter().copied().collect();
    unique.len() < explicit.len() || explicit.iter().any(|port| taken.reason(*port).is_some())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn every_table_is_whole_disjoint_and_explains_itself_truly(
        (requests, lease) in leased_requests(), taken in taken()
    ) {
        let forwards = match assign(&requests, &taken, &lease) {
            Ok(forwards) => forwards,
            Err(errors) => {
                prop_assert!(refused(&requests, &taken));
                prop_assert!(errors.0.iter().all(|error| error.code == Code::PortHeld));
                return Ok(());
            }
        };
        prop_assert!(!refused(&requests, &taken));
        prop_assert_eq!(forwards.len(), requests.len());
        let locals: BTreeSet<u16> = forwards.iter().map(|f| f.local).collect();
        prop_assert_eq!(locals.len(), forwards.len(), "two forwards share a port");
        let made = Made { requests: &requests, taken: &taken, lease: &lease, forwards: &forwards };
        for forward in &forwards {
            prop_assert_eq!(taken.reason(forward.local), None);
            let request = made.request(forward);
            prop_assert!(request.local.is_none_or(|local| local == forward.local));
            let is_usual = request.slots()[0] == Some(forward.local);
            match &forward.moved {
                Some(moved) => made.is_true(forward, moved)?,
                None => prop_assert!(is_usual, "moved without a word: {:?}", forward),
            }
        }
    }

    #[test]
    fn equal_machines_get_equal_tables_in_whatever_order_services_are_found(
        (requests, lease) in leased_requests(), taken in taken(), keys in proptest::collection::vec(any::<u32>(), 12)
    ) {
        let first = assign(&requests, &taken, &lease);
        prop_assert_eq!(&first, &assign(&requests, &taken, &lease));
        let shuffled = assign(&shuffled(&requests, &keys), &taken, &lease);
        // Refusals are equal but for the order of the files they are told in.
        prop_assert_eq!(first.ok(), shuffled.ok());
    }

    #[test]
    fn additions_and_new_holders_elsewhere_leave_every_leased_port(
        before in requests(), added in requests(), ports in taken(), later in taken()
    ) {
        let first = assign(&before, &ports, &[]).unwrap();
        let lease: Vec<Leased> = first.iter().map(Leased::from).collect();
        let elsewhere = OccupiedPorts(later.0.into_iter().filter(|(p, _)| !lease.iter().any(|l| l.local == *p)).collect());
        let known: BTreeSet<&str> = before.iter().map(|r| r.name.as_str()).collect();
        let new: Vec<_> = added.into_iter().filter(|r| !known.contains(r.name.as_str())).collect();
        let all: Vec<PortRequest> = new.into_iter().chain(before.iter().cloned()).collect();
        let second = assign(&all, &elsewhere, &lease).unwrap();
        for forward in first {
            let after = second.iter().find(|f| f.name == forward.name).unwrap();
            prop_assert_eq!(after.local, forward.local);
        }
    }

    #[test]
    fn a_port_that_changes_says_where_it_was(
        before in requests(), ports in taken(), later in taken()
    ) {
        let first = assign(&before, &ports, &[]).unwrap();
        let lease: Vec<Leased> = first.iter().map(Leased::from).collect();
        let second = assign(&before, &later, &lease).unwrap();
        for (was, is) in first.iter().zip(&second) {
            let start = format!("{} in place of {}, its port before: ", is.local, was.local);
            let told = is.moved.as_ref().is_some_and(|moved| moved.starts_with(&start));
            prop_assert_eq!(told, was.local != is.local, "{:?} became {:?}", was, is);
        }
    }
}
