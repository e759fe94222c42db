//! Addresses: whether a VPN or LAN has a route into those of kind's network, of pods or of Services.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use super::{Check, DoctorFacts, Id, findings};

/// kind's own ranges (kind, "Configuration", Networking); devk changes neither.
const RANGES: [(&str, &str); 2] = [("pods", "10.244.0.0/16"), ("Services", "10.96.0.0/16")];

/// kind's Docker network.
pub(super) const KIND: &str = "kind";

/// A range of IPv4 addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    pub address: Ipv4Addr,
    /// Bits, 0 to 32.
    pub prefix: u8,
}

impl Subnet {
    /// `172.18.0.0/16`; None for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let address = address.parse().ok()?;
        let prefix = prefix.parse().ok()?;
        (prefix <= 32).then_some(Self { address, prefix })
    }

    fn mask(self) -> u32 {
        u32::MAX
            .checked_shl(32 - u32::from(self.prefix))
            .unwrap_or(0)
    }

    /// Some address is in both.
    pub fn meets(self, other: Self) -> bool {
        let mask = self.mask() & other.mask();
        u32::from(self.address) & mask == u32::from(other.address) & mask
    }
}

impl std::fmt::Display for Subnet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub interface: String,
    pub to: Subnet,
}

/// This machine's part of the network. Empty where it cannot be read.
#[derive(Debug, Clone, Default)]
pub struct Network {
    pub routes: Vec<Route>,
    /// The machine's own addresses, without loopback.
    pub addresses: BTreeSet<IpAddr>,
}

pub(super) fn inspect() -> Network {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    Network {
        routes: routes(&read("/proc/net/route")),
        addresses: addresses(&read("/proc/net/fib_trie")),
    }
}

/// The kernel's table of IPv4 routes (proc_pid_net(5)): destination and mask are numbers in the machine's
/// byte order.
pub fn routes(text: &str) -> Vec<Route> {
    let route = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let number = |at: usize| {
            u32::from_str_radix(fields.get(at)?, 16)
                .ok()
                .map(u32::to_ne_bytes)
                .map(Ipv4Addr::from)
        };
        let prefix = u8::try_from(u32::from(number(7)?).leading_ones()).ok()?;
        Some(Route {
            interface: (*fields.first()?).to_owned(),
            to: Subnet {
                address: number(1)?,
                prefix,
            },
        })
    };
    text.lines().skip(1).filter_map(route).collect()
}

/// The addresses that the kernel's routing trie calls the host's own.
pub fn addresses(text: &str) -> BTreeSet<IpAddr> {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let own = lines
        .windows(2)
        .filter(|pair| pair[1].starts_with("/32 host LOCAL"));
    let addresses = own.filter_map(|pair| {
        pair[0]
            .trim_start_matches(['|', '-', ' '])
            .parse::<Ipv4Addr>()
            .ok()
    });
    addresses
        .filter(|address| !address.is_loopback())
        .map(IpAddr::from)
        .collect()
}

pub(super) fn checks(facts: &DoctorFacts) -> Vec<Check> {
    let id = Id::NetworkSubnets;
    if facts.network.routes.is_empty() {
        return vec![Check::skipped(
            id,
            "the routes of this machine cannot be read",
        )];
    }
    let networks = facts.docker.iter().flat_map(|docker| &docker.networks);
    let kind = networks
        .clone()
        .filter(|network| network.name == KIND)
        .flat_map(|network| &network.subnets);
    let kind = kind.map(|subnet| ("kind's network", *subnet));
    let ranges = RANGES
        .iter()
        .filter_map(|(what, subnet)| Some((*what, Subnet::parse(subnet)?)));
    let bridges: BTreeSet<_> = networks.map(|network| network.interface.as_str()).collect();
    let found = clashes(
        &facts.network.routes,
        &kind.chain(ranges).collect::<Vec<_>>(),
        &bridges,
    );
    findings(
        id,
        found,
        "no route leads into the addresses of kind, pods or Services",
    )
}

/// `bridges` are the interfaces of Docker's own networks.
fn clashes(routes: &[Route], ranges: &[(&str, Subnet)], bridges: &BTreeSet<&str>) -> Vec<Check> {
    let is_dockers = |interface: &str| {
        bridges.contains(interface)
            || ["docker", "br-", "veth", "lo"]
                .iter()
                .any(|prefix| interface.starts_with(prefix))
    };
    // A default route, which some VPNs write as two halves, leads everywhere.
    let foreign = routes
        .iter()
        .filter(|route| route.to.prefix > 1 && !is_dockers(&route.interface));
    let mut found = vec![];
    for route in foreign {
        for (what, range) in ranges.iter().filter(|(_, range)| range.meets(route.to)) {
            let text = format!(
                "{} over `{}` meets {range}, the addresses of {what}",
                route.to, route.interface
            );
            found.push(finding(what, text));
        }
    }
    found
}

fn finding(what: &str, text: String) -> Check {
    let check = Check::warning(
        Id::NetworkSubnets,
        format!("a route leads into the addresses of {what}"),
    )
    .evidence(text);
    if what == "pods" || what == "Services" {
        check.hint("pods will not reach that network: leave the VPN, or create the cluster with other subnets (kind, networking.podSubnet)")
    } else {
        check.hint(
            "docker network rm kind && docker network create --subnet 192.168.240.0/20 kind    # with no cluster on it",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
        tun0\t000010AC\t00000000\t0001\t0\t0\t0\t0000F0FF\t0\t0\t0\n";

    fn ranges() -> Vec<(&'static str, Subnet)> {
        vec![
            ("kind's network", Subnet::parse("172.18.0.0/16").unwrap()),
            ("pods", Subnet::parse("10.244.0.0/16").unwrap()),
        ]
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn the_kernels_table_is_read() {
        let read: Vec<_> = routes(TABLE)
            .iter()
            .map(|route| format!("{} {}", route.interface, route.to))
            .collect();
        assert_eq!(
            read,
            [
                "eth0 0.0.0.0/0",
                "docker0 172.17.0.0/16",
                "tun0 172.16.0.0/12"
            ]
        );
        assert_eq!(routes("nonsense\nx\n"), []);
    }

    #[test]
    fn own_addresses_are_told_from_networks() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n\
                    Local:\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 192.0.2.2\n        /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\n";
        assert_eq!(
            addresses(trie),
            ["192.0.2.2".parse::<IpAddr>().unwrap()].into()
        );
    }

    #[test]
    fn a_wider_and_a_narrower_route_both_clash() {
        let route = |interface: &str, to: &str| Route {
            interface: interface.into(),
            to: Subnet::parse(to).unwrap(),
        };
        let count = |to: &str| clashes(&[route("tun0", to)], &ranges(), &BTreeSet::new()).len();
        assert_eq!(
            (
                count("172.16.0.0/12"),
                count("172.18.4.0/24"),
                count("10.0.0.0/8")
            ),
            (1, 1, 1)
        );
        assert_eq!(
            (
                count("172.19.0.0/16"),
                count("192.168.0.0/16"),
                count("0.0.0.0/0"),
                count("128.0.0.0/1")
            ),
            (0, 0, 0, 0)
        );
        assert_eq!(
            clashes(
                &[route("br-1", "172.18.0.0/16"), route("x", "172.18.0.0/16")],
                &ranges(),
                &["x"].into()
            )
            .len(),
            0
        );
    }

    #[test]
    fn subnets_of_all_sizes_are_compared() {
        let meets = |a: &str, b: &str| Subnet::parse(a).unwrap().meets(Subnet::parse(b).unwrap());
        assert!(meets("0.0.0.0/0", "10.0.0.0/8") && meets("10.1.2.3/32", "10.0.0.0/8"));
        assert!(!meets("10.0.0.0/9", "10.128.0.0/9"));
        assert_eq!(Subnet::parse("10.0.0.0/33"), None);
    }
}
