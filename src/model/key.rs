//! The key of a backend: where it comes from, and that it is shown nowhere.

use std::fmt;
use std::path::PathBuf;

use crate::environment::Environment;
use crate::error::{Code, Error, Result};
use crate::paths::read_bounded;
use crate::process::Cmd;
use crate::shell::quote;

/// A file that is longer holds no key.
const MOST_BYTES: usize = 64 * 1024;
/// By these variables programs that keep secrets find their agents, and agents find who is asked for a PIN.
const AGENTS: [&str; 7] = [
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "GNUPGHOME",
    "GPG_TTY",
    "PASSWORD_STORE_DIR",
    "SSH_AUTH_SOCK",
    "WAYLAND_DISPLAY",
];
/// A shorter text is in every message.
const LEAST_HIDDEN_BYTES: usize = 4;

/// A key as it is sent. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

/// Where a key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// The value of this environment variable.
    Variable(String),
    /// The text of this file.
    File(PathBuf),
    /// What this program prints: a credential helper. The program and its arguments.
    Command(Vec<String>),
}

impl ApiKey {
    /// What goes into a request's header.
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// The text without the key: a backend may repeat what it was sent.
    pub(super) fn hidden_in(&self, text: &str) -> String {
        match self.0.len() >= LEAST_HIDDEN_BYTES {
            true => text.replace(&self.0, "[key]"),
            false => text.to_owned(),
        }
    }

    /// A key of a text whose ends are of no account. A key goes into a header, so it is one word.
    fn of(text: &str, from: &str) -> Result<Self> {
        let text = text.trim();
        let is_word = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        match is_word {
            true => Ok(Self(text.to_owned())),
            false => {
                let what = format!("{from} holds no key: one line of printable characters");
                Err(Error::new(Code::ModelKey, what))
            }
        }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey")
    }
}

impl KeySource {
    /// Reads the key.
    ///
    /// # Errors
    /// [`Code::ModelKey`] with where it was looked for.
    pub(super) async fn read(&self, environment: &Environment) -> Result<ApiKey> {
        match self {
            Self::Variable(name) => match environment.get(name) {
                Some(value) => ApiKey::of(value, &format!("the environment variable `{name}`")),
                None => {
                    let what = format!("the environment variable `{name}` is not set");
                    Err(Error::new(Code::ModelKey, what))
                }
            },
            Self::File(path) => {
                let text = read_bounded(path, MOST_BYTES as u64).map_err(|e| {
                    let what = format!("the key cannot be read from {}: {e}", path.display());
                    Error::new(Code::ModelKey, what).hint(format!(
                        "write the key into a file of its own: ls -l {}",
                        quote(path)
                    ))
                })?;
                ApiKey::of(&String::from_utf8_lossy(&text), &path.display().to_string())
            }
            Self::Command(words) => printed(words, environment).await,
        }
    }
}

/// What a credential helper prints. No error shows its output, which may hold the key.
async fn printed(words: &[String], environment: &Environment) -> Result<ApiKey> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(Error::new(
            Code::ModelKey,
            "the command for the key is empty",
        ));
    };
    let program = environment.find(program, "install the program that prints the key")?;
    let agents = AGENTS
        .iter()
        .filter_map(|name| Some((*name, environment.get(name)?)));
    let command = Cmd::new(program)
        .args(arguments)
        .inherit(environment)
        .envs(agents)
        .keep(MOST_BYTES);
    let answer = command.answer(|_| {}).await?;
    let shown = words.iter().map(quote).collect::<Vec<_>>().join(" ");
    if !answer.status.success() {
        let what = format!("`{shown}` prints no key: {}", answer.status);
        return Err(Error::new(Code::ModelKey, what).hint(shown));
    }
    ApiKey::of(&answer.output.stdout, &format!("what `{shown}` prints"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_file_that_is_no_file_or_has_no_end_is_refused_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let large = dir.path().join("large");
        std::fs::write(&large, vec![b'a'; MOST_BYTES + 1]).unwrap();
        for (file, why) in [
            (pipe, "no regular file"),
            (large, "more than"),
            ("/dev/zero".into(), "no regular file"),
        ] {
            let error = KeySource::File(file.clone())
                .read(&Environment::default())
                .await;
            let error = error.unwrap_err();
            assert_eq!(error.code, Code::ModelKey);
            assert!(error.message.contains(why), "{}", error.message);
            assert!(error.hint.unwrap().contains(&*file.to_string_lossy()));
        }
    }
}
