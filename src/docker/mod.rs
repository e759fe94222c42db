//! The Docker Engine: finding it, running commands in containers, and what ports containers claim.

mod connect;
mod credentials;
mod endpoint;
mod exec;
#[cfg(test)]
pub(crate) mod fake;
mod identity;
mod published;
mod upgrade;

pub use connect::{Engine, connect};
pub use credentials::{Credentials, credentials};
pub use exec::{Attached, Exec, ExecOutput};
pub use identity::Identity;
pub use published::{PublishedPort, host_ports, published_ports};

/// True if the Engine said that the thing asked for does not exist (404).
pub(crate) fn is_not_found(error: &bollard::errors::Error) -> bool {
    matches!(
        error,
        bollard::errors::Error::DockerResponseServerError {
            status_code: 404,
            ..
        }
    )
}

/// A request to the Engine that failed for no reason devk knows better than the Engine's own words.
pub(crate) fn request_failed(what: &str, cause: &bollard::errors::Error) -> crate::error::Error {
    use crate::error::{Code, Error};
    match cause {
        bollard::errors::Error::DockerResponseServerError { message, .. } => {
            Error::new(Code::DockerRequest, format!("{what}: {message}"))
        }
        other => Error::new(
            Code::DockerRequest,
            format!("{what}: {}", crate::error::chain(other)),
        )
        .hint("`docker version` shows whether the Engine still answers"),
    }
}
