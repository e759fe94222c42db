//! The loopback addresses of a pod, on which dev servers like to listen: the relay enters the pod's network namespace,
//! as the kubelet does for `kubectl port-forward`.
//!
//! The namespace is found by the pod's address in what the kernel tells of each process below /proc (proc(5),
//! network_namespaces(7)), so no container runtime is asked. A thread that has entered a namespace does nothing else
//! and ends.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, openat};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Connects to a port on 127.0.0.1, else on ::1, where the address `to` is a local one.
///
/// # Errors
/// [`ErrorKind::NotFound`] if no process of this node has that address; [`ErrorKind::ConnectionRefused`] if nothing
/// listens on loopback either; else why the namespace cannot be entered.
pub(super) async fn connect(to: SocketAddr, within: Duration) -> Result<TcpStream> {
    let (sender, answer) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("loopback".to_owned());
    // Nobody hears of a connection that nobody waits for.
    thread.spawn(move || drop(sender.send(connect_here(to, within))))?;
    answer
        .await
        .unwrap_or_else(|_| Err(ErrorKind::BrokenPipe.into()))
}

/// Moves the calling thread.
fn connect_here(to: SocketAddr, within: Duration) -> Result<TcpStream> {
    enter(to.ip())?;
    let [v4, v6] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
        .map(|address: IpAddr| SocketAddr::new(address, to.port()));
    TcpStream::connect_timeout(&v4, within).or_else(|refused| {
        // What is wrong with the first address says more: a pod may have no IPv6.
        TcpStream::connect_timeout(&v6, within).map_err(|_| refused)
    })
}

/// Moves the calling thread into the network namespace that has this address; it may be there already.
fn enter(address: IpAddr) -> Result<()> {
    let own = Path::new("/proc/thread-self");
    if ProcessFolder::open(own)?.has_address(address) {
        return Ok(());
    }
    let mut seen = BTreeSet::from([fs::read_link(own.join("ns/net"))?]);
    for process in processes()? {
        // A process that has ended has no namespace.
        let is_new = fs::read_link(process.join("ns/net")).is_ok_and(|name| seen.insert(name));
        let folder = is_new.then(|| ProcessFolder::open(&process)).transpose();
        let with_address = folder.ok().flatten().filter(|f| f.has_address(address));
        if let Some(namespace) = with_address.and_then(|folder| folder.file("ns/net").ok()) {
            let kind = Some(LinkNameSpaceType::Network);
            return Ok(move_into_link_name_space(namespace.as_fd(), kind)?);
        }
    }
    Err(ErrorKind::NotFound.into())
}

/// The folders of all processes, the oldest first: a pod's sandbox is older than what runs in the pod.
fn processes() -> Result<Vec<PathBuf>> {
    let mut ids: Vec<u32> = fs::read_dir("/proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    ids.sort_unstable();
    let folder = |id: u32| Path::new("/proc").join(id.to_string());
    Ok(ids.into_iter().map(folder).collect())
}

/// What the kernel tells of one process. An open folder never becomes that of a later process with the same id.
struct ProcessFolder(File);

impl ProcessFolder {
    fn open(path: &Path) -> Result<Self> {
        File::open(path).map(Self)
    }

    fn file(&self, name: &str) -> Result<File> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(openat(&self.0, name, flags, Mode::empty())?.into())
    }

    /// Whether an address is a local one in the process's network namespace.
    fn has_address(&self, address: IpAddr) -> bool {
        let table = |name: &str| {
            let read = self.file(name).and_then(std::io::read_to_string);
            // Without IPv6 there is no such table; a process that has ended has none at all.
            read.unwrap_or_default()
        };
        match address {
            IpAddr::V4(address) => is_local_v4(&table("net/fib_trie"), address),
            IpAddr::V6(address) => is_local_v6(&table("net/if_inet6"), address),
        }
    }
}

/// `fib_trie`: a line `|-- ADDRESS`, and below it a line `/LENGTH host LOCAL` for every local prefix.
fn is_local_v4(fib_trie: &str, address: Ipv4Addr) -> bool {
    let mut prefix = None;
    fib_trie.lines().map(str::trim).any(|line| {
        if let Some(start) = line.strip_prefix("|-- ") {
            prefix = start.parse::<Ipv4Addr>().ok();
            return false;
        }
        let length = line
            .strip_suffix(" host LOCAL")
            .and_then(|length| length.strip_prefix('/')?.parse::<u32>().ok());
        let host_bits = length.and_then(|length| 32_u32.checked_sub(length));
        let (Some(prefix), Some(host_bits)) = (prefix, host_bits) else {
            return false;
        };
        let differing = prefix.to_bits() ^ address.to_bits();
        differing.checked_shr(host_bits).unwrap_or(0) == 0
    })
}

/// `if_inet6`: each line begins with an address of 32 hexadecimal digits.
fn is_local_v6(if_inet6: &str, address: Ipv6Addr) -> bool {
    if_inet6.lines().any(|line| {
        let digits = line.split_whitespace().next().unwrap_or_default();
        u128::from_str_radix(digits, 16).is_ok_and(|bits| Ipv6Addr::from(bits) == address)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIB_TRIE: &str = "\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.244.0.0/24 2 0 1
        |-- 10.244.0.1
           /32 link UNICAST
Local:
  +-- 0.0.0.0/0 2 0 2
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.0
           /8 host LOCAL
     |-- 10.244.0.7
        /32 host LOCAL
     |-- 10.244.0.255
        /32 link BROADCAST
";

    #[test]
    fn only_the_local_addresses_of_a_pod_are_its_own() {
        let is_local = |text: &str| is_local_v4(FIB_TRIE, text.parse().unwrap());
        assert!(is_local("10.244.0.7") && is_local("127.0.0.1") && is_local("127.9.9.9"));
        for foreign in ["10.244.0.1", "10.244.0.255", "10.244.0.8", "0.0.0.0"] {
            assert!(!is_local(foreign), "{foreign}");
        }
        assert!(!is_local_v4("", Ipv4Addr::LOCALHOST));
    }

    #[test]
    fn ipv6_addresses_are_compared_as_a_whole() {
        let table = "00000000000000000000000000000001 01 80 10 80       lo\n\
                     fd000010024400000000000000000007 02 40 00 80     eth0\n";
        assert!(is_local_v6(table, "fd00:10:244::7".parse().unwrap()));
        assert!(is_local_v6(table, Ipv6Addr::LOCALHOST));
        assert!(!is_local_v6(table, "fd00:10:244::8".parse().unwrap()));
        assert!(!is_local_v6("no table\n", Ipv6Addr::LOCALHOST));
    }

    #[test]
    fn a_process_is_asked_for_the_addresses_of_its_own_namespace() {
        let own = Path::new("/proc").join(std::process::id().to_string());
        assert!(processes().unwrap().contains(&own));
        let own = ProcessFolder::open(&own).unwrap();
        assert!(own.has_address(Ipv4Addr::LOCALHOST.into()));
        // RFC 5737: for documentation only.
        assert!(!own.has_address(Ipv4Addr::new(192, 0, 2, 1).into()));
    }

    #[tokio::test]
    async fn an_address_that_nobody_has_is_not_found() {
        let nowhere = SocketAddr::from(([192, 0, 2, 1], 80));
        let error = connect(nowhere, Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn a_server_on_either_loopback_address_is_reached_by_another_address_of_its_machine() {
        let other = Ipv4Addr::new(127, 0, 0, 2);
        for loopback in [
            Ipv4Addr::LOCALHOST.into(),
            IpAddr::from(Ipv6Addr::LOCALHOST),
        ] {
            let server = std::net::TcpListener::bind((loopback, 0)).unwrap();
            let port = server.local_addr().unwrap().port();
            let to = SocketAddr::from((other, port));
            let stream = connect(to, Duration::from_secs(1)).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), SocketAddr::new(loopback, port));
            drop((server, stream));
            let refused = connect(to, Duration::from_secs(1)).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        }
    }
}
