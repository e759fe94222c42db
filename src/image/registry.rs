//! Whether a registry gives an image that nobody here has, as Docker finds out: told before pods wait for it in vain.

use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error as DockerError;
use tokio::time::timeout;

use super::is_built;
use crate::docker::is_not_found;
use crate::error::{Code, Error};

/// Registries answer within this time; one that does not is not waited for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// What is wrong with an image that devk does not build, and that neither Docker nor every node has. None if a registry
/// gives it.
pub async fn nowhere(docker: &Docker, reference: &str) -> Option<Error> {
    let asked = docker.inspect_registry_image(reference, None);
    let why = match timeout(ANSWER_TIMEOUT, asked).await {
        Ok(Ok(_)) => return None,
        Ok(Err(error)) => said(&error),
        Err(_) => format!(
            "its registry did not answer within {} s",
            ANSWER_TIMEOUT.as_secs()
        ),
    };
    let message = format!(
        "image `{reference}` is nowhere: devk does not build it, neither Docker nor every node has it, and {why}"
    );
    Some(Error::new(Code::ImageNowhere, message).hint(hint(reference)))
}

fn said(error: &DockerError) -> String {
    match error {
        _ if is_not_found(error) => "its registry does not know it".to_owned(),
        DockerError::DockerResponseServerError {
            status_code: 401 | 403,
            ..
        } => "its registry gives it to nobody without a login".to_owned(),
        DockerError::DockerResponseServerError { message, .. } => {
            format!("its registry cannot be asked: {message}")
        }
        error => format!("its registry cannot be asked: {error}"),
    }
}

fn hint(reference: &str) -> String {
    if is_built(reference) {
        return "devk up".to_owned();
    }
    format!(
        "name it below `images` of devk.yaml (`replaces: [{reference}]`) if it is built from this repository, `docker pull \
         {reference}` if you have a login, or correct the chart's value"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_registry_says_is_told_in_words() {
        let answer = |status_code: u16, message: &str| {
            said(&DockerError::DockerResponseServerError {
                status_code,
                message: message.to_owned(),
            })
        };
        assert_eq!(
            answer(404, "manifest unknown"),
            "its registry does not know it"
        );
        assert!(answer(401, "").contains("without a login"));
        assert!(answer(403, "denied").contains("without a login"));
        assert!(answer(500, "no such host").ends_with("cannot be asked: no such host"));
        assert!(hint("team/api:latest").contains("`replaces: [team/api:latest]`"));
    }
}
