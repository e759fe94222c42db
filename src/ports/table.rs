//! The table itself: a pure function of what is wanted, what is taken, and what was leased before.
//!
//! Invariant: the result does not depend on the order of requests that devk.yaml does not list, and
//! a row that has a lease keeps its port whatever is added around it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Forward;
use crate::config::Origin;
use crate::error::{Code, Error, Errors, Result};

/// How far above its base port a forward listens, and how far it moves on if that is taken.
pub const OFFSET: u16 = 10_000;

/// Ports that browsers refuse to open (Fetch standard, section "Port blocking"). Ascending.
const BROWSER_BLOCKED: &[u16] = &[
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
    110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531,
    532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060,
    5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

/// A Service port that wants a host port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The name in devk.yaml, or the Service's.
    pub name: String,
    pub namespace: String,
    pub service: String,
    /// The Service's port.
    pub remote: u16,
    /// The port behind the Service's, if it is known.
    pub container_port: Option<u16>,
    /// The name of the Service's port; empty where the Service gives none.
    pub port_name: String,
    /// `local:` in devk.yaml.
    pub local: Option<u16>,
    /// devk.yaml names it: placed in the order of the slice, before all that is not listed.
    pub listed: bool,
    /// Where devk.yaml names it.
    pub origin: Option<Origin>,
}

impl Request {
    /// An unlisted forward of a Service port.
    pub fn new(name: impl Into<String>, namespace: impl Into<String>, service: impl Into<String>, remote: u16) -> Self {
        Self {
            name: name.into(),
            namespace: namespace.into(),
            service: service.into(),
            remote,
            container_port: None,
            port_name: String::new(),
            local: None,
            listed: false,
            origin: None,
        }
    }

    /// The Service port if it is unprivileged, else the container's if that is (Keycloak: 80 → 8080),
    /// else the Service port.
    pub fn base(&self) -> u16 {
        let unprivileged = |port: &u16| *port >= 1024;
        Some(self.remote).filter(unprivileged).or(self.container_port.filter(unprivileged)).unwrap_or(self.remote)
    }

    /// The two slots that are tried in order; one above 65535 does not exist.
    fn slots(&self) -> [Option<u16>; 2] {
        [self.base().checked_add(OFFSET), self.base().checked_add(2 * OFFSET)]
    }

    fn key(&self) -> LeaseKey {
        LeaseKey::new(&self.namespace, &self.service, self.remote)
    }

    fn rank(&self) -> (u16, &str, &str, &str, &str) {
        (self.remote, &self.namespace, &self.service, &self.port_name, &self.name)
    }
}

/// What a lease stands for: a Service port, whatever name the forward carries.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeaseKey {
    pub namespace: String,
    pub service: String,
    pub remote: u16,
}

impl LeaseKey {
    pub fn new(namespace: impl Into<String>, service: impl Into<String>, remote: u16) -> Self {
        Self { namespace: namespace.into(), service: service.into(), remote }
    }
}

/// Ports that cannot be had, and who has them, as a message names it: "container `shop-db-1`",
/// "process `node` (pid 4242)", "project `foo`".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken(BTreeMap<u16, String>);

impl Taken {
    /// Adds a holder; the first one named stays, since the caller begins with the most telling.
    pub fn add(&mut self, port: u16, holder: impl Into<String>) {
        self.0.entry(port).or_insert_with(|| holder.into());
    }

    /// Adds a container's published port. It replaces what is known: the process that listens for a
    /// container is only `docker-proxy`.
    pub fn add_container(&mut self, port: u16, description: impl Into<String>) {
        self.0.insert(port, description.into());
    }

    pub fn holder(&self, port: u16) -> Option<&str> {
        self.0.get(&port).map(String::as_str)
    }

    /// Why the port cannot be had.
    fn reason(&self, port: u16) -> Option<String> {
        if BROWSER_BLOCKED.binary_search(&port).is_ok() {
            return Some(format!("{port} is blocked by browsers"));
        }
        self.holder(port).map(|holder| format!("{port} is held by {holder}"))
    }
}

/// The ports that [`assign`] tries before it looks for the lowest free one: those whose holder is
/// worth knowing by name.
pub fn candidates(requests: &[Request], lease: &BTreeMap<LeaseKey, u16>) -> BTreeSet<u16> {
    let slots = requests.iter().flat_map(|r| r.slots().into_iter().flatten().chain(r.local));
    let leased = requests.iter().filter_map(|r| lease.get(&r.key()).copied());
    slots.chain(leased).collect()
}

/// Assigns a host port to every request. Placed are explicit `local:` ports first, then leased ones,
/// then listed forwards in their order, then all others by (Service port, namespace, name, port name).
/// The rows come in the order of devk.yaml, then by that same rank.
///
/// # Errors
/// All at once: [`Code::PortHeld`] for an explicit port that somebody has, [`Code::PortNone`] where
/// nothing is left.
pub fn assign(requests: &[Request], taken: &Taken, lease: &BTreeMap<LeaseKey, u16>) -> Result<Vec<Forward>, Errors> {
    let rows = ordered(requests);
    let mut table = Table { taken: taken.clone(), placed: BTreeMap::new(), problems: Vec::new() };
    for (row, request) in rows.iter().enumerate() {
        table.place_explicit(row, request);
    }
    for (row, request) in rows.iter().enumerate() {
        table.place_leased(row, request, lease.get(&request.key()).copied());
    }
    for (row, request) in rows.iter().enumerate() {
        table.place_free(row, request, lease.get(&request.key()).copied());
    }
    let forwards = rows.iter().zip(table.placed.into_values()).map(|(r, (local, moved))| forward(r, local, moved));
    Errors::unless_empty(table.problems, forwards.collect())
}

fn ordered(requests: &[Request]) -> Vec<&Request> {
    let (mut rows, mut others): (Vec<_>, Vec<_>) = requests.iter().partition(|request| request.listed);
    others.sort_by_key(|request| request.rank());
    rows.extend(others);
    rows
}

fn forward(request: &Request, local: u16, moved: Option<String>) -> Forward {
    Forward {
        name: request.name.clone(),
        namespace: request.namespace.clone(),
        service: request.service.clone(),
        remote: request.remote,
        local,
        url: format!("{}://127.0.0.1:{local}", scheme(request)),
        moved,
    }
}

/// The table while it is being filled.
struct Table {
    taken: Taken,
    /// row → (local port, why it moved). Complete if there are no problems.
    placed: BTreeMap<usize, (u16, Option<String>)>,
    problems: Vec<Error>,
}

impl Table {
    fn place_explicit(&mut self, row: usize, request: &Request) {
        let Some(local) = request.local else { return };
        match self.taken.reason(local) {
            Some(reason) => self.problems.push(held(request, local, &reason)),
            None => {
                let why = (request.slots()[0] != Some(local)).then(|| format!("`local: {local}` in devk.yaml"));
                self.put(row, request, local, why);
            }
        }
    }

    fn place_leased(&mut self, row: usize, request: &Request, leased: Option<u16>) {
        let Some(local) = leased else { return };
        if request.local.is_none() && self.taken.reason(local).is_none() {
            let why = (request.slots()[0] != Some(local)).then(|| self.why_leased(request));
            self.put(row, request, local, why);
        }
    }

    fn place_free(&mut self, row: usize, request: &Request, leased: Option<u16>) {
        if request.local.is_some() || self.placed.contains_key(&row) {
            return;
        }
        let mut reasons: Vec<String> = leased.and_then(|port| self.taken.reason(port)).into_iter().collect();
        for slot in request.slots() {
            match self.reason_of_slot(slot) {
                Some(reason) => reasons.push(reason),
                None => return self.put_moved(row, request, slot, reasons),
            }
        }
        let lowest = (OFFSET + 1..=u16::MAX).find(|port| self.taken.reason(*port).is_none());
        self.put_moved(row, request, lowest, reasons);
    }

    fn put_moved(&mut self, row: usize, request: &Request, local: Option<u16>, mut reasons: Vec<String>) {
        reasons.dedup();
        let Some(local) = local else { return self.problems.push(none_left(request)) };
        // A lease that was lost in favour of the first slot is no move.
        let why = (request.slots()[0] != Some(local)).then(|| reasons.join("; "));
        self.put(row, request, local, why);
    }

    fn put(&mut self, row: usize, request: &Request, local: u16, moved: Option<String>) {
        self.taken.add(local, format!("forward `{}`", request.name));
        self.placed.insert(row, (local, moved));
    }

    fn why_leased(&self, request: &Request) -> String {
        let now = self.reason_of_slot(request.slots()[0]);
        now.unwrap_or_else(|| "kept from an earlier session, so that the address stays".to_owned())
    }

    fn reason_of_slot(&self, slot: Option<u16>) -> Option<String> {
        slot.map_or_else(|| Some("the next slot is above 65535".to_owned()), |port| self.taken.reason(port))
    }
}

fn held(request: &Request, local: u16, reason: &str) -> Error {
    let error =
        Error::new(Code::PortHeld, format!("`local: {local}` of forward `{}` cannot be had: {reason}", request.name))
            .hint("free the port, choose another `local:`, or remove the line and devk finds one");
    match &request.origin {
        Some(origin) => error.at(&origin.file, origin.line),
        None => error,
    }
}

fn none_left(request: &Request) -> Error {
    Error::new(Code::PortNone, format!("no port above {OFFSET} is free for forward `{}`", request.name))
        .hint("devk doctor")
}

/// The scheme of an address, by the IANA service registry's number or name of the Service's port; most
/// services of a stack speak HTTP.
fn scheme(request: &Request) -> &'static str {
    match request.remote {
        443 | 8443 => "https",
        3306 => "mysql",
        5432 => "postgres",
        5672 => "amqp",
        6379 => "redis",
        27017 => "mongodb",
        _ if request.port_name == "https" => "https",
        _ => "http",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken(ports: &[u16]) -> Taken {
        let mut taken = Taken::default();
        ports.iter().for_each(|port| taken.add(*port, "process `x` (pid 1)"));
        taken
    }

    fn listed(name: &str, remote: u16) -> Request {
        Request { listed: true, ..Request::new(name, "ns", name, remote) }
    }

    fn locals(requests: &[Request], taken: &Taken) -> Vec<(String, u16)> {
        let forwards = assign(requests, taken, &BTreeMap::new()).unwrap();
        forwards.into_iter().map(|f| (f.name, f.local)).collect()
    }

    fn leases(forwards: &[Forward]) -> BTreeMap<LeaseKey, u16> {
        forwards.iter().map(|f| (LeaseKey::new(&f.namespace, &f.service, f.remote), f.local)).collect()
    }

    #[test]
    fn geniros_table_comes_out_as_documented() {
        let requests = [
            listed("api", 5000),
            listed("web", 4173),
            listed("litellm", 4000),
            Request { container_port: Some(8080), ..listed("keycloak", 80) },
            Request::new("postgres", "ns", "postgres", 5432),
            Request::new("runner", "ns", "runner", 8080),
        ];
        let stack = taken(&[5439, 6379, 6333, 6334, 4000, 8082, 8085, 3986, 8080, 3987]);
        let expected = [
            ("api", 15000),
            ("web", 14173),
            ("litellm", 14000),
            ("keycloak", 18080),
            ("postgres", 15432),
            ("runner", 28080),
        ];
        assert_eq!(locals(&requests, &stack), expected.map(|(n, p)| (n.to_owned(), p)));
        let forwards = assign(&requests, &stack, &BTreeMap::new()).unwrap();
        assert_eq!(forwards[5].moved.as_deref(), Some("18080 is held by forward `keycloak`"));
        assert_eq!(forwards[0].moved, None);
    }

    #[test]
    fn a_slot_above_65535_goes_to_the_lowest_free_port() {
        let forwards = assign(&[Request::new("a", "ns", "a", 60000)], &taken(&[10001]), &BTreeMap::new()).unwrap();
        assert_eq!(forwards[0].local, 10002);
        assert_eq!(forwards[0].moved.as_deref(), Some("the next slot is above 65535"));
    }

    #[test]
    fn a_port_that_browsers_block_is_never_given() {
        let forwards = assign(&[Request::new("a", "ns", "a", 80)], &Taken::default(), &BTreeMap::new()).unwrap();
        assert_eq!(forwards[0].local, 20080);
        assert_eq!(forwards[0].moved.as_deref(), Some("10080 is blocked by browsers"));
    }

    #[test]
    fn an_explicit_port_that_is_taken_names_its_holder_where_devk_yaml_says_it() {
        let origin = Origin { file: "/p/devk.yaml".into(), line: 7 };
        let request = Request { local: Some(5439), origin: Some(origin), ..listed("db", 5432) };
        let mut taken = taken(&[5439]);
        taken.add_container(5439, "container `shop-db-1` (Compose service `db` of project `shop`, stopped)");
        let errors = assign(&[request], &taken, &BTreeMap::new()).unwrap_err();
        assert_eq!(
            errors.0[0].to_string(),
            "/p/devk.yaml:7: `local: 5439` of forward `db` cannot be had: 5439 is held by container `shop-db-1` \
             (Compose service `db` of project `shop`, stopped)"
        );
        assert_eq!(errors.0[0].code, Code::PortHeld);
    }

    #[test]
    fn two_explicit_forwards_of_one_port_and_a_blocked_one_are_reported_together() {
        let explicit = |name: &str, local| Request { local: Some(local), ..listed(name, 80) };
        let requests = [explicit("a", 12000), explicit("b", 12000), explicit("c", 6000)];
        let errors = assign(&requests, &Taken::default(), &BTreeMap::new()).unwrap_err();
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
        let lease = BTreeMap::from([(LeaseKey::new("ns", "old", 5000), 15000)]);
        let requests = [listed("new", 5000), listed("old", 5000)];
        let forwards = assign(&requests, &Taken::default(), &lease).unwrap();
        assert_eq!((forwards[0].local, forwards[1].local), (25000, 15000));
        let requests = [Request { local: Some(15000), ..listed("new", 9) }, listed("old", 5000)];
        let forwards = assign(&requests, &Taken::default(), &lease).unwrap();
        assert_eq!((forwards[0].local, forwards[1].local), (15000, 25000));
    }

    #[test]
    fn a_moved_forward_keeps_its_port_when_the_slot_is_free_again() {
        let requests = [Request::new("a", "ns", "a", 5000)];
        let moved = assign(&requests, &taken(&[15000]), &BTreeMap::new()).unwrap();
        let later = assign(&requests, &Taken::default(), &leases(&moved)).unwrap();
        assert_eq!(later[0].local, 25000);
        assert_eq!(later[0].moved.as_deref(), Some("kept from an earlier session, so that the address stays"));
    }

    #[test]
    fn no_port_left_is_an_error() {
        let all: Vec<u16> = (1..=u16::MAX).collect();
        let errors = assign(&[Request::new("a", "ns", "a", 5000)], &taken(&all), &BTreeMap::new()).unwrap_err();
        assert_eq!(errors.0[0].code, Code::PortNone);
    }

    #[test]
    fn the_block_list_can_be_searched() {
        assert!(BROWSER_BLOCKED.is_sorted());
    }

    /// Ports close together, so that collisions are the rule: privileged ones, some around 1024 whose
    /// slots are taken often, and some whose first or second slot is above 65535.
    fn port(drawn: u32) -> u16 {
        const PORTS: [std::ops::Range<u16>; 5] = [1..100, 1024..1040, 11020..11050, 45530..45540, 55530..65535];
        let range = PORTS[drawn as usize % PORTS.len()].clone();
        range.start + (drawn / 5 % range.len() as u32) as u16
    }

    /// One number a request: 10,000 cases must not take minutes.
    fn request(drawn: u32) -> Request {
        let (remote, service) = (port(drawn), format!("s{}", drawn >> 30));
        Request {
            container_port: (drawn & 1 << 28 > 0).then(|| port(drawn >> 7)),
            listed: drawn & 1 << 29 > 0,
            ..Request::new(format!("{service}-{remote}"), "ns", service, remote)
        }
    }

    /// Requests of distinct Service ports, as a cluster has them.
    fn requests() -> impl Strategy<Value = Vec<Request>> {
        proptest::collection::vec(any::<u32>(), 0..12).prop_map(|drawn| {
            let unique: BTreeMap<_, _> = drawn.into_iter().map(request).map(|r| (r.key(), r)).collect();
            unique.into_values().collect()
        })
    }

    fn ports() -> impl Strategy<Value = Vec<u16>> {
        let slot = |drawn| port(drawn).checked_add(OFFSET).unwrap_or_else(|| port(drawn));
        proptest::collection::vec(any::<u32>(), 0..30).prop_map(move |drawn| drawn.into_iter().map(slot).collect())
    }

    fn shuffle_unlisted(requests: &[Request]) -> Vec<Request> {
        let (listed, mut others): (Vec<_>, Vec<_>) = requests.iter().cloned().partition(|r| r.listed);
        others.reverse();
        others.into_iter().chain(listed).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn every_table_is_whole_disjoint_and_explains_itself(requests in requests(), ports in ports()) {
            let taken = taken(&ports);
            let forwards = assign(&requests, &taken, &BTreeMap::new()).unwrap();
            prop_assert_eq!(forwards.len(), requests.len());
            let locals: BTreeSet<u16> = forwards.iter().map(|f| f.local).collect();
            prop_assert_eq!(locals.len(), forwards.len(), "two forwards share a port");
            for forward in &forwards {
                prop_assert!(forward.local > OFFSET && forward.local != 10080);
                prop_assert_eq!(taken.holder(forward.local), None);
                let request = requests.iter().find(|r| r.name == forward.name).unwrap();
                prop_assert_eq!(forward.moved.is_none(), request.slots()[0] == Some(forward.local));
                prop_assert_ne!(forward.moved.as_deref(), Some(""));
            }
        }

        #[test]
        fn the_order_in_which_services_are_found_does_not_matter(requests in requests(), ports in ports()) {
            let taken = taken(&ports);
            let forwards = assign(&requests, &taken, &BTreeMap::new()).unwrap();
            let again = assign(&shuffle_unlisted(&requests), &taken, &BTreeMap::new()).unwrap();
            prop_assert_eq!(forwards, again);
        }

        #[test]
        fn additions_and_new_holders_elsewhere_leave_every_leased_port(
            before in requests(), added in requests(), ports in ports(), later in ports()
        ) {
            let first = assign(&before, &taken(&ports), &BTreeMap::new()).unwrap();
            let lease = leases(&first);
            let elsewhere: Vec<u16> = later.into_iter().filter(|p| !lease.values().any(|l| l == p)).collect();
            let known: BTreeSet<LeaseKey> = before.iter().map(Request::key).collect();
            let new = added.into_iter().filter(|r| !known.contains(&r.key()));
            let all: Vec<Request> = new.chain(before.iter().cloned()).collect();
            let second = assign(&all, &taken(&elsewhere), &lease).unwrap();
            for forward in first {
                let after = second.iter().find(|f| f.name == forward.name).unwrap();
                prop_assert_eq!(after.local, forward.local);
            }
        }

        #[test]
        fn an_explicit_port_is_given_exactly_or_refused(requests in requests(), ports in ports(), drawn in any::<u32>()) {
            let (taken, local) = (taken(&ports), port(drawn));
            let explicit = Request { local: Some(local), ..listed("explicit", 1) };
            let all: Vec<Request> = requests.into_iter().chain([explicit]).collect();
            match assign(&all, &taken, &BTreeMap::new()) {
                Ok(rows) => prop_assert!(rows.iter().any(|f| f.name == "explicit" && f.local == local)),
                Err(errors) => {
                    prop_assert!(taken.reason(local).is_some());
                    prop_assert_eq!(errors.0.len(), 1);
                }
            }
        }
    }
}
