//! Ownership records on what devk creates outside of its own folders, such as namespaces: folder, user and machine. The
//! record is on the object itself, since others may see the object too: a cluster or an Engine on another machine has
//! several users. Only the recorded user on the recorded machine believes that the folder is gone.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::hex::hex;
use crate::paths::{Paths, is_gone, write_atomic};
use crate::process::Cmd;

/// Where systems keep the ID of a machine that machine-id(5) describes.
const MACHINE_IDS: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/// The owner of an object, as the record on the object names it. Older builds of devk recorded the folder only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The project's folder.
    pub root: PathBuf,
    /// The user's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<u32>,
    /// None: the machine has no ID that lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
}

impl Owner {
    /// The owner for the user and machine of this process, and the project in the folder `root`.
    pub async fn of(root: &Path, paths: &Paths) -> Self {
        let user = Some(rustix::process::getuid().as_raw());
        Self {
            root: root.to_owned(),
            user,
            machine: machine(paths).await,
        }
    }

    /// Whether this owner may use an object of `other`: both have the same folder, or the other's folder is gone.
    pub fn has(&self, other: &Self) -> bool {
        self.may_be(other) && is_same(&self.root, &other.root) || self.has_lost(other)
    }

    /// Whether the record names this user on this machine, whatever its folder. Where users of other machines may reach
    /// the object (`is_shared`), a machine without an ID proves nothing.
    pub fn is_same_user(&self, other: &Self, is_shared: bool) -> bool {
        let is_known = self.machine.is_some() || !is_shared;
        is_known && other.user == self.user && other.machine == self.machine
    }

    /// The folder of `other` was this user's on this machine, and is gone.
    pub fn has_lost(&self, other: &Self) -> bool {
        self.is_here(other) && is_gone(&other.root)
    }

    /// The folder, with user and machine if they differ, for messages.
    pub fn apart(&self, from: &Self) -> String {
        let root = format!("`{}`", self.root.display());
        let user = self
            .user
            .filter(|_| differ(self.user, from.user))
            .map(|user| format!(" of user id {user}"));
        let machine =
            differ(self.machine.as_ref(), from.machine.as_ref()).then_some(" on another machine");
        root + &user.unwrap_or_default() + machine.unwrap_or_default()
    }

    /// Whether the record does not show another user or another machine.
    fn may_be(&self, other: &Self) -> bool {
        !differ(self.user, other.user) && !differ(self.machine.as_ref(), other.machine.as_ref())
    }

    /// Whether the other is this user on this machine. A record of an older devk counts as that.
    fn is_here(&self, other: &Self) -> bool {
        let is_old = other.user.is_none() && other.machine.is_none();
        let is_known =
            other.user == self.user && other.machine == self.machine && self.machine.is_some();
        is_old || is_known
    }
}

fn differ<T: PartialEq>(one: Option<T>, other: Option<T>) -> bool {
    one.zip(other).is_some_and(|(one, other)| one != other)
}

fn is_same(one: &Path, other: &Path) -> bool {
    one == other
        || one
            .canonicalize()
            .ok()
            .zip(other.canonicalize().ok())
            .is_some_and(|(one, other)| one == other)
}

/// The identity of this machine, which never changes: neither a host name, which follows the network that a
/// laptop is in, nor anything in devk's state, which may be lost. None where there is nothing of the kind, as in many
/// containers: their names and files go with them, and the next one is the same to its user.
async fn machine(paths: &Paths) -> Option<String> {
    let noted = MACHINE_IDS
        .iter()
        .find_map(|file| id(&std::fs::read_to_string(file).ok()?));
    let id = match noted {
        Some(id) => id,
        None if cfg!(target_os = "macos") => hardware(&paths.cache.join("machine")).await?,
        None => return None,
    };
    // The ID itself must not be exposed (machine-id(5)).
    Some(hex(&Sha256::digest(format!("devk machine {id}"))[..8]))
}

/// 32 digits; a file may be empty, or say that it is not made yet.
fn id(text: &str) -> Option<String> {
    let text = text.trim();
    (text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit()))
        .then(|| text.to_ascii_lowercase())
}

/// The hardware's UUID. On macOS only a program prints it, so devk keeps it: an unchanged `up` starts no program.
async fn hardware(kept: &Path) -> Option<String> {
    if let Some(id) = std::fs::read_to_string(kept)
        .ok()
        .and_then(|text| id(&text))
    {
        return Some(id);
    }
    let told = Cmd::new("/usr/sbin/ioreg")
        .args(["-rd1", "-c", "IOPlatformExpertDevice"])
        .run()
        .await
        .ok()?;
    let id = platform_uuid(&told.stdout)?;
    // Else it is asked again.
    let _ = write_atomic(kept, id.as_bytes(), 0o600);
    Some(id)
}

fn platform_uuid(told: &str) -> Option<String> {
    let line = told
        .lines()
        .find(|line| line.contains("\"IOPlatformUUID\""))?;
    id(&line.rsplit('"').nth(1)?.replace('-', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(root: &Path, user: u32, machine: Option<&str>) -> Owner {
        Owner {
            root: root.to_owned(),
            user: Some(user),
            machine: machine.map(str::to_owned),
        }
    }

    fn old(root: &Path) -> Owner {
        Owner {
            root: root.to_owned(),
            user: None,
            machine: None,
        }
    }

    #[test]
    fn a_folder_that_is_gone_leaves_what_it_had_to_its_user_on_its_machine_and_to_nobody_else() {
        let here = tempfile::tempdir().unwrap();
        let there = tempfile::tempdir().unwrap();
        let ann = owner(here.path(), 1000, Some("m1"));
        let noted = owner(there.path(), 1000, Some("m1"));
        assert!(!ann.has(&noted), "the folder is there");
        drop(there);
        assert!(ann.has(&noted));
        for other in [
            owner(here.path(), 1000, Some("m2")),
            owner(here.path(), 1001, Some("m1")),
        ] {
            assert!(!other.has(&noted), "{other:?}");
        }
        let nameless = owner(here.path(), 1000, None);
        assert!(!nameless.has(&noted) && !nameless.has(&owner(&noted.root, 1000, None)));
    }

    #[test]
    fn the_same_folder_is_the_same_owners_unless_user_or_machine_are_known_to_be_others() {
        let here = tempfile::tempdir().unwrap();
        let of = |user, machine| owner(here.path(), user, machine);
        assert!(of(1000, Some("m1")).has(&of(1000, Some("m1"))));
        assert!(
            of(1000, None).has(&of(1000, None)),
            "a container in place of another"
        );
        assert!(
            !of(1000, Some("m1")).has(&of(1000, Some("m2"))),
            "the same path on another machine"
        );
        assert!(!of(1000, None).has(&of(1001, None)));
    }

    #[test]
    fn what_an_older_devk_noted_means_what_it_meant() {
        let here = tempfile::tempdir().unwrap();
        let there = tempfile::tempdir().unwrap();
        let ann = owner(here.path(), 1000, Some("m1"));
        let noted = old(there.path());
        assert!(ann.has(&old(here.path())) && !ann.has(&noted));
        drop(there);
        assert!(ann.has(&noted));
    }

    #[test]
    fn a_folder_that_cannot_be_looked_at_is_not_gone() {
        let here = tempfile::tempdir().unwrap();
        let file = here.path().join("file");
        std::fs::write(&file, "").unwrap();
        // Whoever is root may look everywhere: what stands in the way here is no folder.
        assert!(!owner(here.path(), 1, Some("m1")).has(&old(&file.join("shop"))));
    }

    #[test]
    fn an_owner_is_told_by_what_sets_it_apart() {
        let ann = owner(Path::new("/a"), 1000, Some("m1"));
        let bob = owner(Path::new("/b"), 1001, Some("m2"));
        assert_eq!(bob.apart(&ann), "`/b` of user id 1001 on another machine");
        assert_eq!(old(Path::new("/b")).apart(&ann), "`/b`");
    }

    #[test]
    fn an_id_is_read_as_systems_write_it() {
        assert_eq!(
            id("3D1219C7C4C5404AAA1F6D2A48ADFDA4\n").as_deref(),
            Some("3d1219c7c4c5404aaa1f6d2a48adfda4")
        );
        assert_eq!((id(""), id("uninitialized\n")), (None, None));
        let told = "+-o J314sAP  <class IOPlatformExpertDevice>\n    {\n      \
                    \"IOPlatformUUID\" = \"3D1219C7-C4C5-404A-AA1F-6D2A48ADFDA4\"\n    }\n";
        assert_eq!(
            platform_uuid(told).as_deref(),
            Some("3d1219c7c4c5404aaa1f6d2a48adfda4")
        );
        assert_eq!(platform_uuid("{}"), None);
    }
}
