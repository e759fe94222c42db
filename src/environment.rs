//! The environment variables that a command uses: PATH, DOCKER_HOST, those of Compose files.
//!
//! The variables are those of the process that a user started. The supervisor serves one client after the other and
//! uses the variables that each client sends. Its own variables are those of the client that happened to start it, and
//! are not used.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};

/// The variables of a process, by name. Many are secrets: they are never shown.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Those of this process. Bytes that are no Unicode are replaced: what is looked for in such a path
    /// or with such a value is not found, and what it is shows in the error.
    pub fn of_process() -> Self {
        let text = |text: OsString| text.to_string_lossy().into_owned();
        Self(
            std::env::vars_os()
                .map(|(name, value)| (text(name), text(value)))
                .collect(),
        )
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// The path of a program on PATH, or an error that says how to get it.
    ///
    /// # Errors
    /// [`Code::ToolMissing`].
    pub fn find(&self, program: &str, hint: &str) -> Result<PathBuf> {
        let path = self.get("PATH").unwrap_or_default();
        // A relative folder in PATH means another one in each folder: it finds nothing.
        which::which_in(program, Some(path), "/").map_err(|_| {
            Error::new(Code::ToolMissing, format!("`{program}` is not on PATH"))
                .evidence(format!("PATH={path}"))
                .hint(hint)
        })
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} variables)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn what_it_holds_is_never_shown() {
        assert_eq!(
            format!("{:?}", environment(&[("TOKEN", "secret")])),
            "Environment(1 variables)"
        );
    }

    #[cfg(unix)]
    #[test]
    fn programs_are_found_on_its_own_path() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("kind");
        std::fs::write(&program, "").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let found = environment(&[("PATH", dir.path().to_str().unwrap())]).find("kind", "get it");
        assert_eq!(found.unwrap(), program);
        let error = environment(&[("PATH", "/nowhere")])
            .find("kind", "get it")
            .unwrap_err();
        assert_eq!(
            (error.code, error.evidence),
            (Code::ToolMissing, vec!["PATH=/nowhere".to_owned()])
        );
        assert_eq!(
            environment(&[]).find("sh", "get it").unwrap_err().code,
            Code::ToolMissing
        );
    }
}
