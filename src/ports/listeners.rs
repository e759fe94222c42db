//! Who listens on this machine, as far as a listener of devk's on 127.0.0.1 or ::1 would collide.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::TcpSocket;

use super::OccupiedPorts;
#[cfg(not(target_os = "linux"))]
use crate::process::Cmd;

/// The holder of a port in use whose process is unknown.
const SOMEBODY: &str = "another program of this machine";

/// Adds every listening port to `taken`. Holders are looked up by name for `named` ports only (the
/// look-up walks all processes); `own` ports and ports with a known holder are left alone.
pub async fn add(taken: &mut OccupiedPorts, named: &BTreeSet<u16>, own: &BTreeSet<u16>) {
    let ports = listening().await;
    let foreign: BTreeSet<u16> = ports
        .into_iter()
        .filter(|p| !own.contains(p) && taken.holder(*p).is_none())
        .collect();
    for (port, holder) in holders(&foreign.intersection(named).copied().collect()).await {
        taken.add(port, holder);
    }
    for port in foreign {
        taken.add(port, SOMEBODY);
    }
}

/// Whether a listener of devk's on this port would collide. The four addresses are tried separately:
/// on BSDs a wildcard listener does not keep anybody from binding 127.0.0.1, and vice versa.
pub fn held(port: u16) -> bool {
    let addresses: [IpAddr; 4] = [
        Ipv4Addr::LOCALHOST.into(),
        Ipv6Addr::LOCALHOST.into(),
        Ipv4Addr::UNSPECIFIED.into(),
        Ipv6Addr::UNSPECIFIED.into(),
    ];
    // Any other error (no IPv6, a privileged port) tells nothing about a holder.
    addresses
        .into_iter()
        .any(|address| try_bind(address, port).is_err_and(|e| e.kind() == ErrorKind::AddrInUse))
}

/// Binds and never listens: a second devk that tries the same port at the same moment must not take this one for a
/// holder. With SO_REUSEADDR two bound sockets get along on Linux, and connections that linger in TIME_WAIT are no
/// holders; a listener is (socket(7)).
fn try_bind(address: IpAddr, port: u16) -> std::io::Result<()> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::new(address, port))
}

/// The process that listens on the port, as a message names it: "process `node` (pid 4242)".
pub async fn holder(port: u16) -> String {
    holders(&BTreeSet::from([port]))
        .await
        .pop()
        .map_or_else(|| SOMEBODY.to_owned(), |(_, holder)| holder)
}

fn process(name: &str, pid: &str) -> String {
    format!("process `{name}` (pid {pid})")
}

#[cfg(target_os = "linux")]
async fn listening() -> BTreeSet<u16> {
    linux::sockets()
        .into_iter()
        .filter(|socket| socket.collides)
        .map(|socket| socket.port)
        .collect()
}

#[cfg(target_os = "linux")]
async fn holders(ports: &BTreeSet<u16>) -> Vec<(u16, String)> {
    if ports.is_empty() {
        Vec::new()
    } else {
        linux::holders(ports)
    }
}

/// The listeners that lsof sees: without root, the user's own processes. The bind test of [`super::allocate`] finds
/// the rest.
#[cfg(not(target_os = "linux"))]
async fn listening() -> BTreeSet<u16> {
    lsof("-iTCP")
        .await
        .into_iter()
        .map(|(port, _)| port)
        .collect()
}

#[cfg(not(target_os = "linux"))]
async fn holders(ports: &BTreeSet<u16>) -> Vec<(u16, String)> {
    let list = ports
        .iter()
        .map(u16::to_string)
        .collect::<Vec<_>>()
        .join(",");
    if ports.is_empty() {
        Vec::new()
    } else {
        lsof(&format!("-iTCP:{list}")).await
    }
}

#[cfg(not(target_os = "linux"))]
async fn lsof(selection: &str) -> Vec<(u16, String)> {
    // lsof ends with 1 if it finds nothing: no answer and no lsof are the same here.
    let output = Cmd::new("lsof")
        .args(["-nP", selection, "-sTCP:LISTEN", "-Fpcn"])
        .run()
        .await;
    output
        .map(|output| parse_lsof(&output.stdout))
        .unwrap_or_default()
}

/// `-F` output: one field a line, its first character the kind: p(id), c(ommand), n(ame).
#[cfg(any(not(target_os = "linux"), test))]
fn parse_lsof(text: &str) -> Vec<(u16, String)> {
    let mut pid = "";
    let mut command = "";
    let mut found = Vec::new();
    for line in text.lines() {
        match line.split_at_checked(1) {
            Some(("p", value)) => pid = value,
            Some(("c", value)) => command = value,
            Some(("n", address)) => {
                let port = address
                    .rsplit_once(':')
                    .and_then(|(_, port)| port.parse().ok());
                found.extend(port.map(|port| (port, process(command, pid))));
            }
            _ => {}
        }
    }
    found
}

/// /proc/net/tcp and tcp6 (proc_pid_net(5)), and the sockets among the processes' open files.
#[cfg(target_os = "linux")]
mod linux {
    use std::collections::{BTreeMap, BTreeSet};
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    use std::path::Path;

    use super::process;

    /// TCP_LISTEN of the kernel's `enum`.
    const LISTEN: &str = "0A";

    #[derive(Debug, PartialEq, Eq)]
    pub(super) struct Socket {
        pub(super) port: u16,
        /// With a listener on a loopback address.
        pub(super) collides: bool,
        pub(super) uid: String,
        pub(super) inode: String,
    }

    /// The listening sockets.
    pub(super) fn sockets() -> Vec<Socket> {
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"]
            .map(|file| std::fs::read_to_string(file).unwrap_or_default());
        tables
            .iter()
            .flat_map(|table| table.lines().skip(1).filter_map(parse))
            .collect()
    }

    /// `sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode …`
    pub(super) fn parse(line: &str) -> Option<Socket> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, _, LISTEN, _, _, _, uid, _, inode, ..] = fields.as_slice() else {
            return None;
        };
        let (address, port) = local.split_once(':')?;
        let collides = is_local(parse_address(address)?);
        let port = u16::from_str_radix(port, 16).ok()?;
        Some(Socket {
            port,
            collides,
            uid: (*uid).to_owned(),
            inode: (*inode).to_owned(),
        })
    }

    /// A listener on another address (a LAN address, 127.0.0.53) and one on 127.0.0.1 do not collide.
    fn is_local(address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_unspecified() || address == Ipv4Addr::LOCALHOST || address == Ipv6Addr::LOCALHOST
    }

    /// Words of 32 bits, each in the machine's byte order.
    fn parse_address(hex: &str) -> Option<IpAddr> {
        let word = |text: &str| u32::from_str_radix(text, 16).ok().map(u32::to_ne_bytes);
        match hex.len() {
            8 => Some(Ipv4Addr::from(word(hex)?).into()),
            32 => {
                let words = [
                    word(&hex[..8])?,
                    word(&hex[8..16])?,
                    word(&hex[16..24])?,
                    word(&hex[24..])?,
                ];
                let bytes: [u8; 16] = words.concat().try_into().ok()?;
                Some(Ipv6Addr::from(bytes).into())
            }
            _ => None,
        }
    }

    /// Also of those on other addresses, which [`super::held`] finds too: they keep others from the wildcard.
    /// The open files of other users' processes are hidden: then the user is all that is known.
    pub(super) fn holders(ports: &BTreeSet<u16>) -> Vec<(u16, String)> {
        let sockets: Vec<Socket> = sockets()
            .into_iter()
            .filter(|socket| ports.contains(&socket.port))
            .collect();
        let links: BTreeMap<String, u16> = sockets
            .iter()
            .map(|s| (format!("socket:[{}]", s.inode), s.port))
            .collect();
        let mut found = owners(&links);
        for socket in sockets {
            found
                .entry(socket.port)
                .or_insert_with(|| format!("a process of user id {}", socket.uid));
        }
        found.into_iter().collect()
    }

    /// Looks through the open files of all processes until every socket has its owner.
    fn owners(links: &BTreeMap<String, u16>) -> BTreeMap<u16, String> {
        let ports: BTreeSet<u16> = links.values().copied().collect();
        let mut found = BTreeMap::new();
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(pid) = name
                .to_str()
                .filter(|name| name.bytes().all(|b| b.is_ascii_digit()))
            else {
                continue;
            };
            for port in open_sockets(&entry.path(), links) {
                found
                    .entry(port)
                    .or_insert_with(|| process(&command(&entry.path()), pid));
            }
            if found.len() == ports.len() {
                break;
            }
        }
        found
    }

    fn open_sockets(process: &Path, links: &BTreeMap<String, u16>) -> Vec<u16> {
        let files = std::fs::read_dir(process.join("fd"))
            .into_iter()
            .flatten()
            .flatten();
        let targets = files.filter_map(|file| std::fs::read_link(file.path()).ok());
        targets
            .filter_map(|target| links.get(target.to_str()?).copied())
            .collect()
    }

    fn command(process: &Path) -> String {
        std::fs::read_to_string(process.join("comm"))
            .map_or_else(|_| "?".to_owned(), |name| name.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn listen(address: &str) -> (TcpListener, u16) {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    #[test]
    fn a_listener_on_any_of_the_four_addresses_holds_the_port_until_it_ends() {
        for address in ["0.0.0.0", "127.0.0.1", "::", "::1"] {
            let (listener, port) = listen(address);
            assert!(held(port), "{address}");
            drop(listener);
            assert!(!held(port), "{address}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn those_who_try_one_port_at_the_same_moment_do_not_see_each_other() {
        let (_, port) = listen("127.0.0.1");
        let alarms = std::thread::scope(|scope| {
            let tries = || (0..2_000).filter(|_| held(port)).count();
            [scope.spawn(tries), scope.spawn(tries)].map(|thread| thread.join().unwrap())
        });
        assert_eq!(alarms, [0, 0]);
    }

    #[test]
    fn an_ended_connection_holds_nothing() {
        let (listener, port) = listen("127.0.0.1");
        let client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (server, _) = listener.accept().unwrap();
        // The side that closes first keeps the port in TIME_WAIT.
        drop(server);
        drop(client);
        drop(listener);
        assert!(!held(port));
    }

    #[tokio::test]
    async fn the_holder_is_named_and_a_container_is_not_overwritten() {
        let (_listener, port) = listen("127.0.0.1");
        let (_published, container) = listen("0.0.0.0");
        let mut taken = OccupiedPorts::default();
        taken.add(container, "container `shop-db-1`");
        add(
            &mut taken,
            &BTreeSet::from([port, container]),
            &BTreeSet::new(),
        )
        .await;
        let comm = std::fs::read_to_string("/proc/self/comm").unwrap_or_default();
        assert_eq!(
            taken.holder(port),
            Some(process(comm.trim(), &std::process::id().to_string()).as_str())
        );
        assert_eq!(taken.holder(container), Some("container `shop-db-1`"));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_holder_on_another_address_of_the_machine_is_named_too() {
        let (_listener, port) = listen("127.0.0.2");
        assert!(held(port));
        assert!(
            holder(port)
                .await
                .contains(&format!("(pid {})", std::process::id()))
        );
    }

    #[tokio::test]
    async fn ports_nobody_asked_for_are_taken_too_and_own_ones_are_not() {
        let ((_a, foreign), (_b, own)) = (listen("::1"), listen("127.0.0.1"));
        let mut taken = OccupiedPorts::default();
        add(&mut taken, &BTreeSet::new(), &BTreeSet::from([own])).await;
        assert_eq!(taken.holder(foreign), Some(SOMEBODY));
        assert_eq!(taken.holder(own), None);
    }

    #[cfg(all(target_os = "linux", target_endian = "little"))]
    #[test]
    fn the_kernels_table_is_read_for_loopback_and_wildcard_listeners_only() {
        let line = |address: &str, state: &str| {
            format!(
                "  0: {address}:3A98 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  999 0 4711 1 0"
            )
        };
        let socket = linux::Socket {
            port: 15000,
            collides: true,
            uid: "999".into(),
            inode: "4711".into(),
        };
        for local in [
            "00000000",
            "0100007F",
            &"0".repeat(32),
            "00000000000000000000000001000000",
        ] {
            assert_eq!(
                linux::parse(&line(local, "0A")).as_ref(),
                Some(&socket),
                "{local}"
            );
        }
        assert_eq!(
            linux::parse(&line("0000000000000000FFFF00000100007F", "0A")),
            Some(socket)
        );
        assert_eq!(
            linux::parse(&line("0100007F", "01")),
            None,
            "an open connection"
        );
        assert!(
            !linux::parse(&line("3500007F", "0A")).unwrap().collides,
            "127.0.0.53"
        );
        assert_eq!(linux::parse("  sl  local_address rem_address   st"), None);
    }

    #[test]
    fn lsofs_fields_become_holders() {
        let text =
            "p42\ncnode\nf20\nn127.0.0.1:3000\nf21\nn[::1]:3000\np7\ncrapportd\nf9\nn*:49152\n";
        let node = process("node", "42");
        assert_eq!(
            parse_lsof(text),
            [
                (3000, node.clone()),
                (3000, node),
                (49152, process("rapportd", "7"))
            ]
        );
    }
}
