//! The path of a project's control socket. Whoever can open the socket commands the session and can read the
//! environment of its clients, so only the user may have access to the folder of the socket.

use std::fs::{DirBuilder, Metadata, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use crate::error::{Code, Error, Result};
use crate::paths::{Paths, refused};
use crate::shell::quote;

/// The longest path that `sun_path` takes everywhere: it has 104 bytes on macOS and 108 on Linux, one of them for the
/// end of the text.
const MAX_PATH_BYTES: usize = 100;

/// Where a project's supervisor listens: in its state folder, or, where that path is too long, in a folder of the
/// user's own below /tmp.
fn socket(paths: &Paths, id: &str) -> PathBuf {
    let usual = paths.project(id).join("supervisor.sock");
    if usual.as_os_str().len() <= MAX_PATH_BYTES {
        return usual;
    }
    let name = crate::hex::hex(<sha2::Sha256 as sha2::Digest>::digest(
        usual.as_os_str().as_encoded_bytes(),
    ));
    short().join(format!("{}.sock", &name[..16]))
}

/// Not below `TMPDIR` or `XDG_RUNTIME_DIR`: two shells of one user may have different ones, and must meet.
fn short() -> PathBuf {
    Path::new("/tmp").join(format!("devk-{}", user()))
}

fn user() -> u32 {
    rustix::process::getuid().as_raw()
}

/// The ids of all projects that have state here.
pub fn projects(paths: &Paths) -> impl Iterator<Item = String> {
    let projects = std::fs::read_dir(paths.state.join("projects"))
        .into_iter()
        .flatten()
        .flatten();
    projects.filter_map(|project| project.file_name().into_string().ok())
}

/// The sockets of all projects that have state here, whether or not anybody listens on them.
pub fn sockets(paths: &Paths) -> Vec<PathBuf> {
    let sockets = projects(paths).map(|id| socket(paths, &id));
    sockets
        .filter(|socket| leads_to(socket).unwrap_or(false) && socket.exists())
        .collect()
}

/// Connects to the supervisor of a project; None if nobody listens.
///
/// # Errors
/// [`Code::StateForeign`] if it may be somebody else who listens, [`Code::StateIo`].
pub(super) async fn connect(paths: &Paths, id: &str) -> Result<Option<UnixStream>> {
    let socket = socket(paths, id);
    Ok(if leads_to(&socket)? {
        UnixStream::connect(socket).await.ok()
    } else {
        None
    })
}

/// Listens as the supervisor of a project. The caller holds the project's lock, so a socket that exists belongs to a
/// dead session.
///
/// # Errors
/// [`Code::StateForeign`] if somebody else may reach the socket or put another one in its place, [`Code::StateIo`].
pub(super) fn listen(paths: &Paths, id: &str) -> Result<UnixListener> {
    let socket = socket(paths, id);
    let io = |e: std::io::Error| refused("listen on", &socket, &e);
    match socket.parent() {
        Some(folder) if folder == short() => make_own(folder, user())?,
        Some(folder) => {
            std::fs::create_dir_all(folder).map_err(io)?;
            std::fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(io)?;
        }
        None => {}
    }
    match std::fs::remove_file(&socket) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(io(e)),
        _ => {}
    }
    UnixListener::bind(&socket).map_err(io)
}

/// Removes the socket of a project, if it is there.
pub fn remove(paths: &Paths, id: &str) {
    let socket = socket(paths, id);
    if leads_to(&socket).unwrap_or(false) {
        // A socket that stays is dead and does no harm.
        let _ = std::fs::remove_file(socket);
    }
}

/// Checks that no other user can have created the folder of a socket: every user may create folders in /tmp.
fn leads_to(socket: &Path) -> Result<bool> {
    match socket.parent() {
        Some(folder) if folder == short() => is_own(folder, user()),
        _ => Ok(true),
    }
}

/// Makes a folder for one user alone, if it is not there.
fn make_own(folder: &Path, user: u32) -> Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(refused("make", folder, &e)),
        _ => is_own(folder, user).map(drop),
    }
}

/// Whether a folder is there.
///
/// # Errors
/// [`Code::StateForeign`] if it is not one that `user` alone can have filled.
fn is_own(folder: &Path, user: u32) -> Result<bool> {
    let found = match std::fs::symlink_metadata(folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
        found => found.map_err(|e| refused("look at", folder, &e))?,
    };
    let Some(why) = fault(&found, user) else {
        return Ok(true);
    };
    let shown = folder.display();
    let mend = format!(
        "have it removed, or chmod 700 it if it is yours (ls -ld {}); or let XDG_STATE_HOME name a shorter folder: \
         then it is not used",
        quote(folder)
    );
    Err(Error::new(
        Code::StateForeign,
        format!("the session's socket cannot be created in `{shown}`: {why}"),
    )
    .hint(mend))
}

/// Why another user may have filled a folder.
fn fault(folder: &Metadata, user: u32) -> Option<String> {
    let mode = folder.mode() & 0o777;
    if !folder.is_dir() {
        Some("it is no folder".to_owned())
    } else if folder.uid() != user {
        Some(format!("it belongs to user {}", folder.uid()))
    } else {
        (mode & 0o077 != 0).then(|| format!("others may use it, its mode is {mode:03o}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(state: &Path) -> Paths {
        Paths {
            state: state.to_owned(),
            cache: PathBuf::new(),
            data: PathBuf::new(),
            config: PathBuf::new(),
            scratch: None,
        }
    }

    fn why(folder: &Path, user: u32) -> (Code, String) {
        let error = make_own(folder, user).unwrap_err();
        assert_eq!(
            is_own(folder, user),
            Err(error.clone()),
            "client and listener demand the same"
        );
        (error.code, error.message)
    }

    #[test]
    fn a_socket_stands_where_every_shell_looks_for_it_and_its_path_is_short_enough() {
        let long = paths(Path::new(&format!("/{}", "x".repeat(90))));
        let short = socket(&long, "shop");
        let usual = socket(&paths(Path::new("/s")), "shop");
        assert_eq!(usual, Path::new("/s/projects/shop/supervisor.sock"));
        assert!(
            short.starts_with(format!("/tmp/devk-{}", user()))
                && short.as_os_str().len() < MAX_PATH_BYTES
        );
        assert_ne!(short, socket(&long, "other"));
    }

    #[test]
    fn a_folder_that_is_made_for_a_socket_is_the_users_alone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("own");
        assert_eq!(is_own(&folder, user()), Ok(false));
        (0..2).for_each(|_| make_own(&folder, user()).unwrap());
        assert_eq!(is_own(&folder, user()), Ok(true));
        assert_eq!(std::fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_folder_that_somebody_else_may_have_filled_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("own");
        let link = dir.path().join("link");
        make_own(&own, user()).unwrap();
        std::os::unix::fs::symlink(&own, &link).unwrap();
        let (code, text) = why(&link, user());
        assert!(
            code == Code::StateForeign && text.ends_with("it is no folder"),
            "{text}"
        );
        assert!(
            why(&own, user() + 1)
                .1
                .ends_with(&format!("it belongs to user {}", user()))
        );
        for mode in [0o750, 0o701, 0o722] {
            std::fs::set_permissions(&own, Permissions::from_mode(mode)).unwrap();
            assert!(
                why(&own, user())
                    .1
                    .ends_with(&format!("its mode is {mode:o}"))
            );
        }
    }

    #[tokio::test]
    async fn a_client_reaches_whoever_listens_and_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        assert!(connect(&paths, "shop").await.unwrap().is_none());
        let listener = listen(&paths, "shop").unwrap();
        assert!(connect(&paths, "shop").await.unwrap().is_some());
        assert_eq!(
            std::fs::metadata(paths.project("shop")).unwrap().mode() & 0o777,
            0o700
        );
        drop(listener);
        assert!(connect(&paths, "shop").await.unwrap().is_none());
        assert_eq!(sockets(&paths).len(), 1);
        remove(&paths, "shop");
        assert!(sockets(&paths).is_empty());
    }
}
