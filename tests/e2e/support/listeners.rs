//! Listeners as the kernel tells them.

/// A TCP socket that listens.
struct Listener {
    port: u16,
    inode: String,
}

/// Whether anything listens on a TCP port of this machine, on whatever address.
pub(crate) fn listens(port: u16) -> bool {
    all().iter().any(|listener| listener.port == port)
}

/// The ports on which a process listens, once for each socket.
pub(crate) fn held_by(pid: u32) -> Vec<u16> {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten();
    let links = open.filter_map(|file| std::fs::read_link(file.path()).ok());
    let sockets: Vec<_> = links.map(|link| link.display().to_string()).collect();
    let is_held = |listener: &Listener| sockets.contains(&format!("socket:[{}]", listener.inode));
    let mut ports: Vec<_> = all()
        .into_iter()
        .filter(is_held)
        .map(|listener| listener.port)
        .collect();
    ports.sort_unstable();
    ports
}

fn all() -> Vec<Listener> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"]
        .map(|file| std::fs::read_to_string(file).unwrap_or_default());
    tables
        .iter()
        .flat_map(|table| table.lines())
        .filter_map(listener)
        .collect()
}

/// proc_net_tcp(5): `sl local_address rem_address st … inode`; 0A is LISTEN.
fn listener(line: &str) -> Option<Listener> {
    let words: Vec<_> = line.split_whitespace().collect();
    if *words.get(3)? != "0A" {
        return None;
    }
    let port = u16::from_str_radix(words[1].rsplit_once(':')?.1, 16).ok()?;
    Some(Listener {
        port,
        inode: (*words.get(9)?).to_owned(),
    })
}
