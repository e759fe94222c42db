//! Formats of what a build mounts: ids of secrets, variables, SSH agents.

use super::super::yaml::Place;
use super::ValueFormat;
use crate::error::{Code, Error, Result, suggest};

/// The agent of SSH_AUTH_SOCK, and the id of a mount that names none.
const DEFAULT: &str = "default";

/// Checks a text of such a format.
pub(super) fn check(format: ValueFormat, text: &str, place: &Place) -> Result<()> {
    match format {
        ValueFormat::SecretId if is_id(text) => Ok(()),
        ValueFormat::SecretId => Err(no_id(text, place)),
        ValueFormat::Variable if is_variable(text) => Ok(()),
        ValueFormat::Variable => Err(no_variable(text, place)),
        _ => agent(text, place),
    }
}

/// An id stands in `--mount=type=secret,id=…`, where a comma ends it.
fn is_id(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    !text.is_empty() && text.chars().all(is_plain)
}

fn is_variable(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.chars().all(is_plain) && !text.starts_with(|c: char| c.is_ascii_digit())
}

fn no_id(text: &str, place: &Place) -> Error {
    let message = format!("`{text}` is not an id that a Dockerfile can mount");
    place
        .error(Code::ConfigValue, message)
        .hint("use letters, digits, `_`, `.` and `-`, such as `npmrc`")
}

/// The text is not shown: it may be the secret itself.
fn no_variable(text: &str, place: &Place) -> Error {
    let error = place.error(
        Code::ConfigValue,
        "`environment` of a secret is not the name of an environment variable",
    );
    match text.strip_prefix('$') {
        Some(name) if is_variable(name) => error.hint(format!("write `environment: {name}`")),
        _ => error.hint("name the variable and not its value: `environment: NPM_TOKEN`"),
    }
}

fn agent(text: &str, place: &Place) -> Result<()> {
    match text.split_once('=') {
        None if text == DEFAULT => Ok(()),
        Some((id, socket)) if is_id(id) && !socket.is_empty() => Ok(()),
        _ => {
            let error = place.error(Code::ConfigValue, format!("`{text}` names no SSH agent"));
            Err(error.hint(match suggest(text, [DEFAULT]) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "write `default` for the agent of SSH_AUTH_SOCK, or `ID=SOCKET`".to_owned(),
            }))
        }
    }
}
