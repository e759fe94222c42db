//! Generated secrets: made once per project, kept until `devk down --delete`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use serde::{Deserialize, Serialize};

use crate::config::Generator;
use crate::error::{Code, Error, Result};
use crate::hex::hex;
use crate::paths::{Lock, refused, write_atomic};

/// The generated values of one project, in a file that only the user can read.
pub struct Secrets {
    file: PathBuf,
    values: BTreeMap<String, Secret>,
}

#[derive(Serialize, Deserialize)]
struct Secret {
    generator: String,
    value: String,
}

impl Secrets {
    /// Reads the file; a file that is not there holds nothing.
    ///
    /// # Errors
    /// [`Code::StateIo`] if it cannot be read. A damaged file is never replaced silently: what was
    /// encrypted with its keys would be lost.
    pub fn load(file: &Path) -> Result<Self> {
        Ok(Self {
            file: file.to_owned(),
            values: read(file)?,
        })
    }

    /// The value of a release's secret: the one that is kept, or a new one, which is on disk
    /// before it is returned. Another generator in devk.yaml makes a new value.
    ///
    /// # Errors
    /// [`Code::StateIo`] if the system has no randomness or the file cannot be written.
    pub fn value(&mut self, release: &str, name: &str, generator: Generator) -> Result<String> {
        let key = format!("{release}/{name}");
        let kind = describe(generator);
        if let Some(kept) = self.values.get(&key).filter(|kept| kept.generator == kind) {
            return Ok(kept.value.clone());
        }
        // Another devk, such as `devk ports` beside `devk up`, may be making the same value.
        let _lock = Lock::block(&self.file.with_extension("lock"))
            .map_err(|e| refused("lock", &self.file, &e))?;
        self.values = read(&self.file)?;
        if let Some(kept) = self.values.get(&key).filter(|kept| kept.generator == kind) {
            return Ok(kept.value.clone());
        }
        let value = generate(generator)?;
        self.values.insert(
            key,
            Secret {
                generator: kind,
                value: value.clone(),
            },
        );
        self.save()?;
        Ok(value)
    }

    /// The generated values, so that a text can be rid of them.
    pub(crate) fn texts(&self) -> Vec<String> {
        let values = self.values.values();
        values.map(|secret| secret.value.clone()).collect()
    }

    fn save(&self) -> Result<()> {
        let text = serde_json::to_vec_pretty(&self.values).map_err(|e| {
            Error::new(
                Code::StateIo,
                format!("cannot write the generated secrets: {e}"),
            )
        })?;
        write_atomic(&self.file, &text, 0o600)
    }
}

fn read(file: &Path) -> Result<BTreeMap<String, Secret>> {
    let damaged = |why: String| {
        Error::new(
            Code::StateIo,
            format!("cannot read the generated secrets: {why}"),
        )
        .at(file, None)
        .hint("restore the file, or remove the project with `devk down --delete`")
    };
    match std::fs::read(file) {
        Ok(text) => serde_json::from_slice(&text).map_err(|e| damaged(e.to_string())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(e) => Err(damaged(e.to_string())),
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets")
            .field("file", &self.file)
            .field("paths", &self.values.keys())
            .finish()
    }
}

fn describe(generator: Generator) -> String {
    match generator {
        Generator::Hex(digits) => format!("hex{digits}"),
        Generator::Base64(bytes) => format!("base64{bytes}"),
        Generator::Uuid => "uuid".to_owned(),
    }
}

fn generate(generator: Generator) -> Result<String> {
    Ok(match generator {
        Generator::Hex(digits) => {
            let mut text = hex(random(digits.div_ceil(2))?);
            text.truncate(digits);
            text
        }
        Generator::Base64(bytes) => {
            base64::engine::general_purpose::STANDARD.encode(random(bytes)?)
        }
        Generator::Uuid => uuid(random(16)?),
    })
}

/// A version 4 UUID (RFC 9562, 5.4) from 16 random bytes.
fn uuid(mut bytes: Vec<u8>) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex(bytes);
    format!(
        "{}-{}-{}-{}-{}",
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..]
    )
}

fn random(count: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::new(Code::StateIo, format!("the system has no randomness: {e}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_made_once_and_kept_across_loads() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("p/secrets.json");
        let first = Secrets::load(&file)
            .unwrap()
            .value("shop", "a.b", Generator::Hex(63))
            .unwrap();
        assert!(first.len() == 63 && first.chars().all(|c| c.is_ascii_hexdigit()));

        let mut again = Secrets::load(&file).unwrap();
        assert_eq!(
            again.value("shop", "a.b", Generator::Hex(63)).unwrap(),
            first
        );
        assert_ne!(
            again.value("other", "a.b", Generator::Hex(63)).unwrap(),
            first
        );
        assert_ne!(again.value("shop", "a.b", Generator::Uuid).unwrap(), first);
    }

    #[test]
    fn two_who_need_a_value_at_once_are_given_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secrets.json");
        let mut one = Secrets::load(&file).unwrap();
        let mut other = Secrets::load(&file).unwrap();
        let value = one.value("shop", "a", Generator::Uuid).unwrap();
        assert_eq!(other.value("shop", "a", Generator::Uuid).unwrap(), value);
    }

    #[test]
    fn generators_make_the_shapes_they_promise() {
        assert_eq!(generate(Generator::Base64(32)).unwrap().len(), 44);
        let uuid = generate(Generator::Uuid).unwrap();
        assert_eq!(
            uuid.split('-').map(str::len).collect::<Vec<_>>(),
            [8, 4, 4, 4, 12]
        );
        assert_eq!(&uuid[14..15], "4");
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_for_the_user_alone_and_debug_shows_no_value() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secrets.json");
        let mut secrets = Secrets::load(&file).unwrap();
        let value = secrets.value("shop", "a", Generator::Hex(32)).unwrap();
        assert_eq!(
            std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(!format!("{secrets:?}").contains(&value));
    }

    #[test]
    fn a_damaged_file_is_an_error_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secrets.json");
        std::fs::write(&file, "{").unwrap();
        assert_eq!(Secrets::load(&file).unwrap_err().code, Code::StateIo);
        assert_eq!(std::fs::read(&file).unwrap(), b"{");
    }
}
