//! The offset table: which host port belongs to which Service port.
//!
//! [`table`] is pure, [`leases`] keeps the ports that were given before, [`listeners`] finds the ports in
//! use on this machine, and [`allocate`] combines the three.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::error::Errors;

pub mod leases;
pub mod listeners;
pub mod table;

pub use leases::{Leases, Lessee};
pub use table::{Leased, OccupiedPorts, PortRequest, assign};

/// One row of the table (the contract of `devk ports --format json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// The name in devk.yaml, or the Service's.
    pub name: String,
    pub namespace: String,
    pub service: String,
    /// The Service's port.
    pub remote: u16,
    /// The host port devk listens on.
    pub local: u16,
    /// `http://127.0.0.1:15000`; another scheme where the Service's port implies one, such as `postgres`.
    pub url: String,
    /// Why `local` is not the base port + 10000, if it is not.
    pub moved: Option<String>,
}

/// The addresses of forwards as environment variables: `NAME_HOST`, `NAME_PORT` and `NAME_URL` of each.
pub fn addresses(forwards: &[Forward]) -> Vec<(String, String)> {
    let variables = forwards.iter().flat_map(|forward| {
        let name = variable(&forward.name);
        [
            (format!("{name}_HOST"), "127.0.0.1".to_owned()),
            (format!("{name}_PORT"), forward.local.to_string()),
            (format!("{name}_URL"), forward.url.clone()),
        ]
    });
    variables.collect()
}

fn variable(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect()
}

/// Assigns a port to every request. Ports in `taken` and ports in use on this machine are not assigned.
/// `own` are the ports of this project's running session: its listeners are no obstacle.
///
/// Every port of the answer was bindable a moment ago. Where the list of listeners is incomplete
/// (lsof without root, Windows beside WSL), the bind test finds the rest and the table is made again.
///
/// # Errors
/// Those of [`assign`].
pub async fn allocate(
    requests: &[PortRequest],
    mut taken: OccupiedPorts,
    lease: &[Leased],
    own: &BTreeSet<u16>,
) -> Result<Vec<Forward>, Errors> {
    listeners::add(&mut taken, &table::candidates(requests, lease), own).await;
    loop {
        let forwards = assign(requests, &taken, lease)?;
        let locals = forwards.iter().map(|forward| forward.local);
        let held: Vec<u16> = locals
            .filter(|port| !own.contains(port) && listeners::held(*port))
            .collect();
        if held.is_empty() {
            return Ok(forwards);
        }
        // Each round takes at least one more port, so this ends.
        for port in held {
            taken.add(port, listeners::holder(port).await);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[tokio::test]
    async fn a_foreign_listener_moves_the_forward_and_is_named() {
        let foreign = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = foreign.local_addr().unwrap().port();
        let requests = [PortRequest::new("api", "shop", "api", port - table::OFFSET)];
        let forwards = allocate(&requests, OccupiedPorts::default(), &[], &BTreeSet::new())
            .await
            .unwrap();
        assert_ne!(forwards[0].local, port);
        let moved = forwards[0].moved.clone().unwrap();
        assert!(
            moved.contains(&format!("(pid {})", std::process::id())),
            "{moved}"
        );
    }

    #[tokio::test]
    async fn the_listener_of_the_own_session_is_no_obstacle() {
        let own = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = own.local_addr().unwrap().port();
        let requests = [PortRequest {
            local: Some(port),
            ..PortRequest::new("api", "shop", "api", 5000)
        }];
        let forwards = allocate(
            &requests,
            OccupiedPorts::default(),
            &[],
            &BTreeSet::from([port]),
        )
        .await
        .unwrap();
        assert_eq!(forwards[0].local, port);
        let refused = allocate(&requests, OccupiedPorts::default(), &[], &BTreeSet::new())
            .await
            .unwrap_err();
        assert_eq!(refused.0[0].code, Code::PortHeld);
    }
}
