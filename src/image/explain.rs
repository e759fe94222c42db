//! Explains a build that failed: the instruction, its place in the Dockerfile, and what to do.

use std::path::Path;

use super::trace::{BuildTrace, line_of};
use crate::error::{Code, Error};

/// The error for a build that BuildKit ended, `said` being its own words.
pub(super) fn explain(
    image: &str,
    file: &Path,
    dockerfile: &str,
    trace: &BuildTrace,
    said: &str,
) -> Error {
    let short = said.rsplit("failed to solve: ").next().unwrap_or(said);
    let short = short
        .rsplit("failed to solve with frontend gateway.v0: ")
        .next()
        .unwrap_or(short);
    let (message, line) = match trace.failed() {
        Some(failed) => (
            format!("`{}` failed", failed.name),
            line_of(&failed.name, dockerfile),
        ),
        None => (short.to_owned(), parse_error_line(said)),
    };
    let printed = trace.last_lines().join("\n");
    let hint = hint(said, &printed);
    Error::new(
        Code::ImageBuild,
        format!("image `{image}` did not build: {message}"),
    )
    .evidence(printed)
    .evidence(short)
    .at(file, line)
    .hint(hint)
}

/// `dockerfile parse error line 3: …` or `… on line 3: …`.
fn parse_error_line(said: &str) -> Option<u32> {
    let after = said.split_once("parse error")?.1.split_once("line ")?.1;
    after
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

/// What programs print that ask for a name or an address in vain: of busybox, curl, pip and npm, apt, Go.
const NO_NETWORK: [&str; 6] = [
    "bad address",
    "could not resolve",
    "name resolution",
    "getaddrinfo",
    "network is unreachable",
    "no such host",
];

/// A registry's words for an image that is not for everybody, or not there: many say the same of both.
const REFUSED: [&str; 4] = [
    "401 Unauthorized",
    "403 Forbidden",
    "pull access denied",
    "authorization failed",
];

/// `said` is BuildKit's message, `printed` the last output of the failing instruction.
fn hint(said: &str, printed: &str) -> &'static str {
    let printed = printed.to_lowercase();
    if said.contains("no active session") || said.contains("buildkit not supported") {
        "devk needs an Engine with BuildKit (Docker 20.10 or newer, not Podman)"
    } else if REFUSED.iter().any(|words| said.contains(words)) {
        "`docker login` to the registry of the image that it names: it is refused, or there is no such image"
    } else if said.contains("failed to resolve source metadata")
        || said.contains("failed to do request")
    {
        "`docker pull` the image that it names: it is missing here, and its registry does not give it"
    } else if said.contains("context not found") {
        "the Dockerfile frontend is too new for this Engine: update Docker, or pin `# syntax=docker/dockerfile:1.12`"
    } else if said.contains("no space left on device")
        || printed.contains("no space left on device")
    {
        "docker system df, then docker builder prune"
    } else if said.contains("exit code: 137") {
        "it was killed (SIGKILL), as what needs more memory than there is: docker stats --no-stream shows who has it"
    } else if NO_NETWORK.iter().any(|words| printed.contains(words)) {
        "builds have no network, or no name server or proxy: docker run --rm busybox wget -O- http://example.com"
    } else {
        "correct the Dockerfile or what it copies, then run `devk up` again"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_its_registry_refuses_wants_a_login() {
        let said = "failed to solve: ghcr.io/a/b:1: failed to resolve source metadata for ghcr.io/a/b:1: failed to \
                    authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized";
        assert!(hint(said, "").starts_with("`docker login`"));
        let missing = "failed to solve: a:1: failed to resolve source metadata for docker.io/library/a:1: not found";
        assert!(hint(missing, "").starts_with("`docker pull`"));
    }
}
