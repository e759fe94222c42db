//! The table of `devk projects`.

use jiff::Timestamp;

use super::{ProjectSummary, SessionSummary};
use crate::inventory::Workloads;
use crate::memory::shown;
use crate::ui;

const HEAD: [&str; 9] = [
    "PROJECT", "PODS", "SESSION", "HELD BY", "CLUSTER", "EDITED", "BRANCH", "PORTS", "FOLDER",
];

pub(super) fn text(projects: &[ProjectSummary], now: Timestamp) -> String {
    if projects.is_empty() {
        return "no project of this machine has ports; `devk up` begins one\n".to_owned();
    }
    let rows = projects.iter().map(|project| {
        let ports = project.ports.iter();
        let ports = ports.map(|port| format!("{}:{}", port.name, port.local));
        let folder = project.root.display();
        vec![
            project.id.clone(),
            pods(project),
            session(project),
            holders(project.session.as_ref()),
            project.cluster.clone().unwrap_or_default(),
            project
                .last_edit
                .map_or("unknown".to_owned(), |edit| ago(edit, now)),
            project.branch.clone().unwrap_or_default(),
            ports.collect::<Vec<_>>().join(" "),
            match project.gone {
                true => format!("{folder} (gone)"),
                false => folder.to_string(),
            },
        ]
    });
    let rows: Vec<_> = std::iter::once(HEAD.map(str::to_owned).to_vec())
        .chain(rows)
        .collect();
    ui::table(&rows)
}

/// What the workloads do, and the memory of their pods.
fn pods(project: &ProjectSummary) -> String {
    let word = match project.workloads {
        Workloads::Awake => "awake",
        Workloads::Asleep => "asleep",
        Workloads::Stopped => "stopped",
        Workloads::None => return "-".to_owned(),
        Workloads::Unknown => return "unknown".to_owned(),
    };
    let Some(pods) = &project.pods else {
        return word.to_owned();
    };
    if pods.total == 0 {
        return word.to_owned();
    }
    let memory = match pods.memory_bytes {
        Some(bytes) => shown(bytes),
        None => "memory unknown".to_owned(),
    };
    format!("{word}, {}/{} ready, {memory}", pods.ready, pods.total)
}

fn session(project: &ProjectSummary) -> String {
    let Some(session) = &project.session else {
        let is_silent = project
            .error
            .as_ref()
            .is_some_and(|error| error.code == crate::error::Code::SessionLost);
        return if is_silent { "silent" } else { "-" }.to_owned();
    };
    let state = match (session.busy, session.ready) {
        (true, _) => "at work",
        (false, Some(true)) => "ready",
        (false, Some(false)) => "failed",
        (false, None) => "begun",
    };
    match session.memory_bytes {
        Some(memory) => format!("{state}, {}", shown(memory)),
        None => state.to_owned(),
    }
}

/// The supervisor's process, and for whom it stays.
fn holders(session: Option<&SessionSummary>) -> String {
    let Some(session) = session else {
        return "-".to_owned();
    };
    let held = &session.held_by;
    let clients = held.clients.iter().map(|pid| format!("up {pid}"));
    let detached = held.detached.then(|| "up -d".to_owned());
    let all: Vec<_> = detached.into_iter().chain(clients).collect();
    match all[..] {
        [] => format!("pid {}", session.pid),
        _ => format!("pid {} for {}", session.pid, all.join(", ")),
    }
}

fn ago(time: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(time).as_secs();
    match seconds {
        ..1 => "now".to_owned(),
        1..120 => format!("{seconds} s ago"),
        120..7200 => format!("{} min ago", seconds / 60),
        7200..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86400),
    }
}

#[cfg(test)]
mod tests {
    use super::super::PortSummary;
    use super::*;
    use crate::inventory::PodsOfProject;
    use crate::session::status::SessionHolders;

    fn project(id: &str, workloads: Workloads) -> ProjectSummary {
        ProjectSummary {
            id: id.to_owned(),
            namespace: id.to_owned(),
            root: "/src/shop".into(),
            gone: false,
            branch: Some("main".to_owned()),
            cluster: Some("devk".to_owned()),
            workloads,
            pods: None,
            session: None,
            error: None,
            last_edit: None,
            ports: vec![],
        }
    }

    #[test]
    fn a_project_is_one_line_and_what_is_not_known_is_called_unknown() {
        let now = Timestamp::UNIX_EPOCH + std::time::Duration::from_secs(1000);
        let awake = ProjectSummary {
            pods: Some(PodsOfProject {
                total: 4,
                ready: 3,
                memory_bytes: Some(210 << 20),
            }),
            session: Some(SessionSummary {
                pid: 42,
                busy: false,
                ready: Some(true),
                memory_bytes: Some(21 << 20),
                held_by: SessionHolders {
                    detached: true,
                    clients: vec![7, 8],
                },
            }),
            last_edit: Some(Timestamp::UNIX_EPOCH + std::time::Duration::from_secs(990)),
            ports: vec![PortSummary {
                name: "api".to_owned(),
                local: 15000,
            }],
            ..project("shop", Workloads::Awake)
        };
        let unmeasured = ProjectSummary {
            pods: Some(PodsOfProject {
                total: 1,
                ready: 1,
                memory_bytes: None,
            }),
            ..project("shop-a", Workloads::Awake)
        };
        let text = text(
            &[
                awake,
                unmeasured,
                project("shop-b", Workloads::Asleep),
                project("shop-c", Workloads::Unknown),
            ],
            now,
        );
        let rows: Vec<Vec<&str>> = text
            .lines()
            .map(|line| {
                let cells = line.split("  ").map(str::trim);
                cells.filter(|cell| !cell.is_empty()).collect()
            })
            .collect();
        assert_eq!(rows[0], HEAD);
        assert_eq!(
            rows[1],
            [
                "shop",
                "awake, 3/4 ready, 210 MiB",
                "ready, 21 MiB",
                "pid 42 for up -d, up 7, up 8",
                "devk",
                "10 s ago",
                "main",
                "api:15000",
                "/src/shop"
            ]
        );
        assert_eq!(rows[2][1], "awake, 1/1 ready, memory unknown");
        assert_eq!(
            rows[3],
            [
                "shop-b",
                "asleep",
                "-",
                "-",
                "devk",
                "unknown",
                "main",
                "/src/shop"
            ]
        );
        assert_eq!(rows[4][1], "unknown");
    }
}
