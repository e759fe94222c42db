//! Where devk keeps what it cannot derive: XDG folders, all of them overridable by the environment.

use std::path::{Path, PathBuf};

use crate::error::{Code, Error, Result};

/// devk's folders on this machine.
#[derive(Debug, Clone)]
pub struct Paths {
    /// Leases, pins, generated secrets, private kubeconfigs, supervisor lock and log.
    pub state: PathBuf,
    /// Rendered manifests and private chart copies; may be deleted at any time.
    pub cache: PathBuf,
    /// Materialised profiles.
    pub data: PathBuf,
}

impl Paths {
    /// From `XDG_STATE_HOME`, `XDG_CACHE_HOME` and `XDG_DATA_HOME`, or their defaults below `HOME`
    /// (XDG Base Directory Specification).
    ///
    /// # Errors
    /// [`Code::StateIo`] if neither the variable nor a home folder is set.
    pub fn from_env() -> Result<Self> {
        Ok(Self {
            state: base("XDG_STATE_HOME", ".local/state")?,
            cache: base("XDG_CACHE_HOME", ".cache")?,
            data: base("XDG_DATA_HOME", ".local/share")?,
        })
    }

    /// The folder of one project's state.
    pub fn project(&self, id: &str) -> PathBuf {
        self.state.join("projects").join(id)
    }

    /// The folder of one cluster's state.
    pub fn cluster(&self, name: &str) -> PathBuf {
        self.state.join("clusters").join(name)
    }
}

fn base(variable: &str, fallback: &str) -> Result<PathBuf> {
    let set = std::env::var_os(variable).map(PathBuf::from).filter(|p| p.is_absolute());
    set.or_else(|| std::env::home_dir().map(|home| home.join(fallback))).map(|dir| dir.join("devk")).ok_or_else(|| {
        Error::new(Code::StateIo, format!("neither `{variable}` nor a home folder is set")).hint("export HOME")
    })
}

/// Writes a file so that a crash leaves the old or the new content, never a part: write beside,
/// fsync, rename, fsync the folder. `mode` applies on Unix (0o600 for secrets).
///
/// # Errors
/// [`Code::StateIo`] naming the file.
pub fn write_atomic(file: &Path, content: &[u8], mode: u32) -> Result<()> {
    write_and_rename(file, content, mode)
        .map_err(|e| Error::new(Code::StateIo, format!("cannot write `{}`: {e}", file.display())))
}

fn write_and_rename(file: &Path, content: &[u8], mode: u32) -> std::io::Result<()> {
    use std::io::Write;
    let dir = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir)?;
    let mut temp = tempfile::NamedTempFile::new_in(dir)?;
    temp.write_all(content)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        temp.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
    }
    temp.as_file().sync_all()?;
    temp.persist(file)?;
    #[cfg(unix)]
    std::fs::File::open(dir)?.sync_all()?;
    Ok(())
}
