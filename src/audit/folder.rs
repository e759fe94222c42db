//! The files of the log: numbered, each begun when the one before is full. Only the newest is written to.

use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::error::{Code, Error, Result};
use crate::paths::refused;
use crate::shell::quote;

/// The mode of what only its user may reach.
const PRIVATE_FOLDER: u32 = 0o700;
const PRIVATE_FILE: u32 = 0o600;

/// The folder of the log.
#[derive(Debug, Clone)]
pub(super) struct AuditFolder(PathBuf);

impl AuditFolder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Held by whoever writes a record.
    pub(super) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// The number and the hash of the last record, for [`super::verify`].
    pub(super) fn head(&self) -> PathBuf {
        self.0.join("head")
    }

    /// Held by the process that does what an intent says, for as long as it does.
    pub(super) fn open(&self, id: &str) -> PathBuf {
        self.opens().join(id)
    }

    pub(super) fn opens(&self) -> PathBuf {
        self.0.join("open")
    }

    /// The file of a number.
    pub(super) fn file(&self, number: u32) -> PathBuf {
        self.0.join(name(number))
    }

    /// The numbers of the files that are there, the oldest first.
    ///
    /// # Errors
    /// [`Code::AuditUnreadable`].
    pub(super) fn numbers(&self) -> Result<Vec<u32>> {
        let entries = match std::fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(vec![]),
            Err(e) => return Err(unreadable(&self.0, &e)),
        };
        let mut numbers = vec![];
        for entry in entries {
            let entry = entry.map_err(|e| unreadable(&self.0, &e))?;
            numbers.extend(entry.file_name().to_str().and_then(number));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Makes the folder if it is missing, and looks whether it is this user's own.
    ///
    /// # Errors
    /// [`Code::AuditUnwritable`].
    pub(super) fn prepare(&self) -> Result<()> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(PRIVATE_FOLDER);
        builder
            .create(&self.0)
            .map_err(|e| unwritable(&self.0, &e))?;
        let meta = std::fs::metadata(&self.0).map_err(|e| unwritable(&self.0, &e))?;
        own(&self.0, meta.uid())?;
        if meta.mode() & 0o077 != 0 {
            let mode = std::fs::Permissions::from_mode(PRIVATE_FOLDER);
            std::fs::set_permissions(&self.0, mode).map_err(|e| unwritable(&self.0, &e))?;
        }
        Ok(())
    }

    /// Opens a file of the log for reading and appending; one that is missing is made.
    ///
    /// # Errors
    /// [`Code::AuditUnwritable`].
    pub(super) fn append_to(&self, number: u32) -> Result<File> {
        let path = self.file(number);
        let file = private(&path).append(true).read(true).open(&path);
        let file = file.map_err(|e| unwritable(&path, &e))?;
        let meta = file.metadata().map_err(|e| unwritable(&path, &e))?;
        own(&path, meta.uid())?;
        if meta.mode() & 0o077 != 0 {
            let mode = std::fs::Permissions::from_mode(PRIVATE_FILE);
            file.set_permissions(mode)
                .map_err(|e| unwritable(&path, &e))?;
        }
        Ok(file)
    }

    /// Makes what was made in the folder outlive a loss of power.
    ///
    /// # Errors
    /// [`Code::AuditUnwritable`].
    pub(super) fn sync(&self) -> Result<()> {
        let synced = File::open(&self.0).and_then(|folder| folder.sync_all());
        synced.map_err(|e| unwritable(&self.0, &e))
    }
}

/// Options that make a file which only its user may reach, and follow no link.
pub(super) fn private(path: &Path) -> std::fs::OpenOptions {
    debug_assert!(path.is_absolute());
    let mut options = File::options();
    let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    options
        .create(true)
        .mode(PRIVATE_FILE)
        .custom_flags(no_follow);
    options
}

pub(super) fn name(number: u32) -> String {
    format!("{number:06}.jsonl")
}

fn number(name: &str) -> Option<u32> {
    let number = name.strip_suffix(".jsonl")?.parse().ok()?;
    (self::name(number) == name).then_some(number)
}

fn own(path: &Path, owner: u32) -> Result<()> {
    let user = rustix::process::geteuid().as_raw();
    if owner == user {
        return Ok(());
    }
    let error = Error::new(
        Code::AuditUnwritable,
        format!(
            "the audit log cannot be written: `{}` is not your own",
            path.display()
        ),
    );
    Err(error
        .evidence(format!(
            "it belongs to user id {owner}, and devk runs as {user}"
        ))
        .hint(format!("run devk as its owner (ls -ld {})", quote(path))))
}

pub(super) fn unwritable(path: &Path, cause: &std::io::Error) -> Error {
    let told = refused("write", path, cause);
    Error {
        code: Code::AuditUnwritable,
        message: format!("the audit log cannot be written: {}", told.message),
        ..told
    }
}

pub(super) fn unreadable(path: &Path, cause: &std::io::Error) -> Error {
    let error = Error::new(
        Code::AuditUnreadable,
        format!("cannot read the audit log `{}`: {cause}", path.display()),
    );
    error.hint(format!("ls -la {}", quote(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbered_files_are_of_the_log() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "000002.jsonl",
            "000010.jsonl",
            "2.jsonl",
            "000003.torn",
            "head",
        ] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let folder = AuditFolder::new(dir.path().to_owned());
        assert_eq!(folder.numbers().unwrap(), [2, 10]);
        assert_eq!(
            AuditFolder::new(dir.path().join("none")).numbers().unwrap(),
            [0; 0]
        );
    }

    #[test]
    fn a_folder_and_files_that_others_could_read_are_closed() {
        let dir = tempfile::tempdir().unwrap();
        let folder = AuditFolder::new(dir.path().join("audit"));
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        let open = |path: &Path, mode: u32| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        folder.prepare().unwrap();
        drop(folder.append_to(1).unwrap());
        assert_eq!((mode(folder.path()), mode(&folder.file(1))), (0o700, 0o600));
        open(folder.path(), 0o755);
        open(&folder.file(1), 0o644);
        folder.prepare().unwrap();
        drop(folder.append_to(1).unwrap());
        assert_eq!((mode(folder.path()), mode(&folder.file(1))), (0o700, 0o600));
    }

    #[test]
    fn what_belongs_to_another_user_is_not_written() {
        let user = rustix::process::geteuid().as_raw();
        own(Path::new("/s/audit"), user).unwrap();
        let error = own(Path::new("/s/audit"), user + 1).unwrap_err();
        assert_eq!(error.code, Code::AuditUnwritable);
        assert!(error.evidence[0].ends_with(&format!("devk runs as {user}")));
    }

    #[test]
    fn a_link_in_place_of_a_file_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let folder = AuditFolder::new(dir.path().join("audit"));
        folder.prepare().unwrap();
        let other = dir.path().join("other");
        std::fs::write(&other, "").unwrap();
        std::os::unix::fs::symlink(&other, folder.file(1)).unwrap();
        let error = folder.append_to(1).unwrap_err();
        assert_eq!(error.code, Code::AuditUnwritable);
    }
}
