//! The built-in profiles: embedded in the binary, written to the data folder, and kept up to date there
//! without losing what the user edited.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use include_dir::{Dir, DirEntry, include_dir};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::did_you_mean;
use super::read::FILE;
use crate::error::{Code, Error, Result};
use crate::paths::write_atomic;

pub(super) static EMBEDDED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/profiles");

/// What devk wrote, beside the profile's files.
const STAMP: &str = ".devk-profile.json";

/// Folders that tools leave in a profile's sources and that are no part of it.
const LEFTOVERS: &[&str] = &["node_modules", "__pycache__", ".venv"];

/// Hashes (SHA-256, hexadecimal) of each file's content as devk wrote it, by path. While devk writes,
/// a file has two: it holds the old content or the new one, and a crash leaves no doubt that it is
/// devk's.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    files: BTreeMap<PathBuf, BTreeSet<String>>,
}

/// The names of the built-in profiles.
pub fn names() -> Vec<String> {
    names_in(&EMBEDDED)
}

fn names_in(profiles: &Dir<'_>) -> Vec<String> {
    let complete = profiles
        .dirs()
        .filter(|dir| dir.get_file(dir.path().join(FILE)).is_some());
    complete
        .filter_map(|dir| dir.path().file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

/// Writes a profile to `<data>/profiles/<name>` and returns that folder: missing files are written,
/// files that devk wrote and nobody edited are brought up to date or removed, edited ones are kept.
///
/// # Errors
/// [`Code::ConfigProfile`] for an unknown name, [`Code::StateIo`] if a file cannot be read or written.
pub(super) fn materialise(profiles: &Dir<'_>, name: &str, data: &Path) -> Result<PathBuf> {
    let profile = known(profiles, name)?;
    let mut new = BTreeMap::new();
    collect(profile, profile.path(), &mut new);
    let dir = folder(data, name);
    bring_up_to_date(&dir, &new)?;
    Ok(dir)
}

/// The folder that a profile is written to.
pub(super) fn folder(data: &Path, name: &str) -> PathBuf {
    data.join("profiles").join(name)
}

/// A built-in profile.
///
/// # Errors
/// [`Code::ConfigProfile`] for an unknown name.
pub(super) fn known<'a>(profiles: &'a Dir<'a>, name: &str) -> Result<&'a Dir<'a>> {
    let names = names_in(profiles);
    let profile = profiles
        .get_dir(name)
        .filter(|_| names.iter().any(|known| known == name));
    profile.ok_or_else(|| {
        let hint = did_you_mean(name, names.iter().map(String::as_str), "profiles");
        let all = format!("built-in profiles: {}", names.join(", "));
        Error::new(Code::ConfigProfile, format!("there is no profile `{name}`"))
            .evidence(all)
            .hint(hint)
    })
}

fn collect<'a>(dir: &'a Dir<'a>, base: &Path, files: &mut BTreeMap<PathBuf, &'a [u8]>) {
    for entry in dir.entries() {
        let name = entry
            .path()
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        match entry {
            DirEntry::Dir(_) if LEFTOVERS.contains(&name) => {}
            DirEntry::Dir(inner) => collect(inner, base, files),
            DirEntry::File(file) => {
                let path = file.path().strip_prefix(base).unwrap_or(file.path());
                files.insert(path.to_owned(), file.contents());
            }
        }
    }
}

fn bring_up_to_date(dir: &Path, new: &BTreeMap<PathBuf, &[u8]>) -> Result<()> {
    let old = Stamp::read(dir)?;
    // `during` holds while the files are written, `after` once they are.
    let mut during = old.clone();
    let mut after = Stamp::default();
    let mut writes = Vec::new();
    for (path, content) in new {
        let hash = hex_sha256(content);
        let found = hash_of(&dir.join(path))?;
        let ours = found
            .as_ref()
            .is_none_or(|found| *found == hash || old.wrote(path, found));
        if !ours {
            after.files.extend(
                old.files
                    .get_key_value(path)
                    .map(|(path, hashes)| (path.clone(), hashes.clone())),
            );
            continue;
        }
        if found.as_ref() != Some(&hash) {
            writes.push((path, *content));
        }
        during
            .files
            .entry(path.clone())
            .or_default()
            .insert(hash.clone());
        after.files.insert(path.clone(), BTreeSet::from([hash]));
    }
    if !writes.is_empty() {
        during.write(dir)?;
    }
    for (path, content) in writes {
        // Modes do not survive embedding; a script is what says so in its first line.
        let mode = if content.starts_with(b"#!") {
            0o755
        } else {
            0o644
        };
        write_atomic(&dir.join(path), content, mode)?;
    }
    remove_dropped(dir, &old, new)?;
    if after == old {
        Ok(())
    } else {
        after.write(dir)
    }
}

/// Removes the unedited files that this devk no longer brings.
fn remove_dropped(dir: &Path, old: &Stamp, new: &BTreeMap<PathBuf, &[u8]>) -> Result<()> {
    for path in old.files.keys().filter(|path| !new.contains_key(*path)) {
        let file = dir.join(path);
        if hash_of(&file)?.is_some_and(|found| old.wrote(path, &found)) {
            std::fs::remove_file(&file).map_err(|e| state_io("remove", &file, &e))?;
        }
    }
    Ok(())
}

impl Stamp {
    /// An unreadable stamp is as good as none: nothing then counts as devk's, and everything is kept.
    fn read(dir: &Path) -> Result<Self> {
        let text = content_of(&dir.join(STAMP))?.unwrap_or_default();
        Ok(serde_json::from_slice(&text).unwrap_or_default())
    }

    fn write(&self, dir: &Path) -> Result<()> {
        let file = dir.join(STAMP);
        let text =
            serde_json::to_vec_pretty(self).map_err(|e| state_io("write", &file, &e.into()))?;
        write_atomic(&file, &text, 0o644)
    }

    fn wrote(&self, path: &Path, hash: &str) -> bool {
        self.files
            .get(path)
            .is_some_and(|hashes| hashes.contains(hash))
    }
}

fn hash_of(file: &Path) -> Result<Option<String>> {
    Ok(content_of(file)?.map(|content| hex_sha256(&content)))
}

fn content_of(file: &Path) -> Result<Option<Vec<u8>>> {
    match std::fs::read(file) {
        Ok(content) => Ok(Some(content)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(state_io("read", file, &e)),
    }
}

fn hex_sha256(content: &[u8]) -> String {
    crate::hex::hex(Sha256::digest(content))
}

fn state_io(verb: &str, file: &Path, cause: &std::io::Error) -> Error {
    Error::new(
        Code::StateIo,
        format!("cannot {verb} `{}`: {cause}", file.display()),
    )
}
