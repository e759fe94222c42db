//! The folders for the state that devk cannot derive: XDG folders, all of them set by environment variables.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::{NamedTempFile, TempDir};

use crate::error::{Code, Error, Result};
use crate::shell::quote;

/// How often devk tries again to take a lock that another process holds.
const LOCK_INTERVAL: Duration = Duration::from_millis(50);

/// The mode of files that devk makes for people.
const NEW_FILE_MODE: u32 = 0o644;

/// How often devk removes a folder that another process writes to meanwhile.
const MAX_REMOVALS: u32 = 5;

/// devk's folders on this machine.
#[derive(Debug, Clone)]
pub struct Paths {
    /// Leases, pins, generated secrets, private kubeconfigs, supervisor lock and log.
    pub state: PathBuf,
    /// Rendered manifests and private chart copies; may be deleted at any time.
    pub cache: PathBuf,
    /// Materialised profiles.
    pub data: PathBuf,
    /// What the user has configured; devk never writes there.
    pub config: PathBuf,
    /// In place of the state of projects, for a command that only looks.
    pub scratch: Option<PathBuf>,
}

impl Paths {
    /// From `XDG_STATE_HOME`, `XDG_CACHE_HOME`, `XDG_DATA_HOME` and `XDG_CONFIG_HOME`, or their defaults below `HOME`
    /// (XDG Base Directory Specification).
    ///
    /// # Errors
    /// [`Code::StateIo`] if neither the variable nor a home folder is set.
    pub fn from_env() -> Result<Self> {
        Ok(Self {
            state: base("XDG_STATE_HOME", ".local/state")?,
            cache: base("XDG_CACHE_HOME", ".cache")?,
            data: base("XDG_DATA_HOME", ".local/share")?,
            config: base("XDG_CONFIG_HOME", ".config")?,
            scratch: None,
        })
    }

    /// All of them below one folder, for a devk that shall reach nothing else, as in tests.
    pub fn below(folder: &Path) -> Self {
        Self {
            state: folder.join("state"),
            cache: folder.join("cache"),
            data: folder.join("data"),
            config: folder.join("config"),
            scratch: None,
        }
    }

    /// One folder as all of them, for a devk as in [`Self::below`].
    pub fn all_at(folder: &Path) -> Self {
        Self {
            state: folder.to_owned(),
            cache: folder.to_owned(),
            data: folder.to_owned(),
            config: folder.to_owned(),
            scratch: None,
        }
    }

    /// The folder of one project's state.
    pub fn project(&self, id: &str) -> PathBuf {
        let state = self.scratch.as_ref().unwrap_or(&self.state);
        state.join("projects").join(id)
    }

    /// The folders for a command that only looks at a project: of one without state nothing stays, such as secrets that
    /// nobody will use. What the command writes goes with the second part of the answer.
    ///
    /// # Errors
    /// [`Code::StateIo`].
    pub fn for_looking(&self, id: &str) -> Result<(Self, Option<TempDir>)> {
        if self.project(id).exists() {
            return Ok((self.clone(), None));
        }
        let folder = scratch()?;
        let paths = Self {
            cache: folder.path().join("cache"),
            scratch: Some(folder.path().to_owned()),
            ..self.clone()
        };
        Ok((paths, Some(folder)))
    }

    /// The folder of one cluster's state, by its name there.
    pub fn cluster(&self, folder: &str) -> PathBuf {
        self.state.join("clusters").join(folder)
    }
}

/// A folder that goes with the value that stands for it, for what nobody needs afterwards.
///
/// # Errors
/// [`Code::StateIo`].
pub fn scratch() -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("devk-").tempdir();
    folder.map_err(|e| refused("make", &std::env::temp_dir(), &e))
}

fn base(variable: &str, fallback: &str) -> Result<PathBuf> {
    let set = std::env::var_os(variable)
        .map(PathBuf::from)
        .filter(|p| p.is_absolute());
    set.or_else(|| std::env::home_dir().map(|home| home.join(fallback)))
        .map(|dir| dir.join("devk"))
        .ok_or_else(|| {
            Error::new(
                Code::StateIo,
                format!("neither `{variable}` nor a home folder is set"),
            )
            .hint("export HOME")
        })
}

/// A lock between processes: the system releases it when the process that holds it ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock on a file, which is made if it is missing; None while another process holds it.
    ///
    /// # Errors
    /// The error of the system.
    pub fn try_take(path: &Path) -> std::io::Result<Option<Self>> {
        loop {
            path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            let file = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(path)?;
            match file.try_lock() {
                Ok(()) if is_at(&file, path) => {
                    let path = path.to_owned();
                    return Ok(Some(Self { file, path }));
                }
                // The holder removed the lock file with its folder, so this lock excludes no other process.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(e)) => return Err(e),
            }
        }
    }

    /// Blocks until the lock is free, for locks that are held for a moment only.
    ///
    /// # Errors
    /// The error of the system.
    pub fn block(path: &Path) -> std::io::Result<Self> {
        loop {
            match Self::try_take(path)? {
                Some(lock) => return Ok(lock),
                None => std::thread::sleep(LOCK_INTERVAL),
            }
        }
    }

    /// Waits for the lock. Unlike a blocking call this can be given up, and `waiting` is called once if
    /// another process holds the lock.
    ///
    /// # Errors
    /// The error of the system.
    pub async fn take(path: &Path, waiting: impl FnOnce()) -> std::io::Result<Self> {
        if let Some(lock) = Self::try_take(path)? {
            return Ok(lock);
        }
        waiting();
        loop {
            tokio::time::sleep(LOCK_INTERVAL).await;
            if let Some(lock) = Self::try_take(path)? {
                return Ok(lock);
            }
        }
    }

    /// Whether the lock file was removed, or replaced: then this lock excludes no other process any more.
    pub fn is_lost(&self) -> bool {
        match std::fs::metadata(&self.path) {
            Ok(_) => !is_at(&self.file, &self.path),
            // What cannot be seen for a moment may well be there.
            Err(e) => e.kind() == std::io::ErrorKind::NotFound,
        }
    }

    /// From now on the programs that this process starts keep the lock too, until the last of them has
    /// ended: they outlive a devk that is killed.
    #[cfg(unix)]
    pub fn inherit(&self) -> std::io::Result<()> {
        Ok(rustix::io::fcntl_setfd(
            &self.file,
            rustix::io::FdFlags::empty(),
        )?)
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |meta: std::fs::Metadata| (meta.dev(), meta.ino());
    file.metadata()
        .ok()
        .map(id)
        .is_some_and(|held| std::fs::metadata(path).ok().map(id) == Some(held))
}

/// An open file cannot be removed.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

/// Reads a regular file of at most `most` bytes: a pipe or a device would be waited for, or never end.
///
/// # Errors
/// Those of the system; [`ErrorKind::InvalidInput`] for what is no regular file, [`ErrorKind::FileTooLarge`].
pub(crate) fn read_bounded(file: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    if !std::fs::metadata(file)?.is_file() {
        let kind = ErrorKind::InvalidInput;
        return Err(std::io::Error::new(kind, "it is no regular file"));
    }
    let mut bytes = vec![];
    File::open(file)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let what = format!("it has more than {most} bytes");
        return Err(std::io::Error::new(ErrorKind::FileTooLarge, what));
    }
    Ok(bytes)
}

/// The error for a file or folder of devk's own that the system refuses, with a hint to repair it.
pub fn refused(what: &str, path: &Path, cause: &std::io::Error) -> Error {
    let error = Error::new(
        Code::StateIo,
        format!("cannot {what} `{}`: {cause}", path.display()),
    );
    // The nearest folder that is there can be looked at.
    let folder = path.ancestors().skip(1).find(|folder| folder.is_dir());
    let folder = quote(folder.unwrap_or(Path::new("/")));
    match cause.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => error.hint(format!("make room there: df -h {folder}")),
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => error.hint(format!(
            "let devk write there (ls -ld {folder}), or name other folders with XDG_STATE_HOME, XDG_CACHE_HOME and \
             XDG_DATA_HOME"
        )),
        _ => error,
    }
}

/// Whether the system says that there is nothing at this path. Other errors, such as a missing permission or a failing
/// disk, do not mean that.
pub fn is_gone(path: &Path) -> bool {
    std::fs::metadata(path).is_err_and(|e| e.kind() == ErrorKind::NotFound)
}

/// Removes a folder with all it holds; one that is not there is fine.
///
/// # Errors
/// [`Code::StateIo`] naming the folder.
pub fn remove_dir(dir: &Path) -> Result<()> {
    let mut tries = 1;
    loop {
        match std::fs::remove_dir_all(dir) {
            // A devk that waits for this one to end may make its log there meanwhile.
            Err(e) if e.kind() == ErrorKind::DirectoryNotEmpty && tries < MAX_REMOVALS => {
                tries += 1;
            }
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(refused("remove", dir, &e)),
            _ => return Ok(()),
        }
    }
}

/// Removes a file; one that is not there is fine.
///
/// # Errors
/// [`Code::StateIo`] naming the file.
pub fn remove_file(file: &Path) -> Result<()> {
    match std::fs::remove_file(file) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(refused("remove", file, &e)),
        _ => Ok(()),
    }
}

/// Removes the files and folders in `dir` that were not written for `kept`. What resists is forgotten
/// another time.
pub(crate) fn forget_old(dir: &Path, kept: Duration) {
    for item in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(meta) = item.metadata() else { continue };
        let is_old = meta
            .modified()
            .is_ok_and(|time| time.elapsed().is_ok_and(|age| age > kept));
        let _ = match is_old {
            true if meta.is_dir() => std::fs::remove_dir_all(item.path()),
            true => std::fs::remove_file(item.path()),
            false => Ok(()),
        };
    }
}

/// Writes a file so that a crash leaves the old or the new content, never a part: write beside,
/// fsync, rename, fsync the folder. `mode` applies on Unix (0o600 for secrets).
///
/// # Errors
/// [`Code::StateIo`] naming the file.
pub fn write_atomic(file: &Path, content: &[u8], mode: u32) -> Result<()> {
    let write = || {
        write_beside(file, content, mode)?.persist(file)?;
        #[cfg(unix)]
        File::open(folder_of(file))?.sync_all()?;
        Ok(())
    };
    write().map_err(|e: std::io::Error| refused("write", file, &e))
}

fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new("."))
}

/// The first half of [`write_atomic`]: a temporary file beside the file, which takes its place once it is persisted there.
///
/// # Errors
/// The error of the system.
pub fn write_beside(file: &Path, content: &[u8], mode: u32) -> std::io::Result<NamedTempFile> {
    use std::io::Write;
    let dir = folder_of(file);
    std::fs::create_dir_all(dir)?;
    let mut temp = NamedTempFile::new_in(dir)?;
    temp.write_all(content)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        temp.as_file()
            .set_permissions(std::fs::Permissions::from_mode(mode))?;
    }
    temp.as_file().sync_all()?;
    Ok(temp)
}

/// The mode of a file, which its next text keeps; of one that is not there what is usual.
pub fn mode_of(file: &Path) -> u32 {
    #[cfg(unix)]
    if let Ok(meta) = std::fs::metadata(file) {
        return std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o7777;
    }
    NEW_FILE_MODE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_old_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.yaml"), "").unwrap();
        std::fs::create_dir(dir.path().join("b")).unwrap();
        forget_old(dir.path(), Duration::from_secs(60));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
        std::thread::sleep(Duration::from_millis(20));
        forget_old(dir.path(), Duration::from_millis(1));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_disk_without_room_and_a_folder_that_cannot_be_written_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("none/x");
        let hint = |kind: ErrorKind| refused("write", &missing, &kind.into()).hint;
        assert_eq!(
            hint(ErrorKind::StorageFull).unwrap(),
            format!("make room there: df -h {}", dir.path().display())
        );
        assert!(
            hint(ErrorKind::ReadOnlyFilesystem)
                .unwrap()
                .contains("XDG_STATE_HOME")
        );
        assert_eq!(hint(ErrorKind::NotFound), None);
        let odd = dir.path().join("it's a state");
        std::fs::create_dir(&odd).unwrap();
        let full = refused("write", &odd.join("x"), &ErrorKind::StorageFull.into());
        let shown = crate::shell::pasted(&full.hint.unwrap(), "df -h ");
        assert_eq!(Path::new(&shown), odd);
    }

    #[test]
    fn a_lock_keeps_others_out_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a/lock");
        let held = Lock::try_take(&file).unwrap();
        assert!(held.is_some());
        assert!(Lock::try_take(&file).unwrap().is_none());
        drop(held);
        assert!(Lock::try_take(&file).unwrap().is_some());
    }

    #[tokio::test]
    async fn whoever_waited_for_a_lock_that_was_removed_does_not_share_it_with_a_newcomer() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a/lock");
        let held = Lock::try_take(&file).unwrap();
        let (waits, told) = tokio::sync::oneshot::channel();
        let path = file.clone();
        let waiter =
            tokio::spawn(
                async move { Lock::take(&path, || waits.send(()).unwrap()).await.unwrap() },
            );
        told.await.unwrap();
        std::fs::remove_dir_all(dir.path().join("a")).unwrap();
        drop(held);
        let _waited = waiter.await.unwrap();
        assert!(Lock::try_take(&file).unwrap().is_none());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_program_that_outlives_devk_keeps_an_inherited_lock() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("lock");
        let held = Lock::try_take(&file).unwrap().unwrap();
        held.inherit().unwrap();
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        drop(held);
        assert!(Lock::try_take(&file).unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        // Children of other tests may have inherited it for a moment.
        tokio::time::timeout(Duration::from_secs(20), Lock::take(&file, || {}))
            .await
            .unwrap()
            .unwrap();
    }
}
