//! Explains a build that failed: the instruction, its place in the Dockerfile, and what to do.

use super::trace::{BuildTrace, line_of, run_line};
use crate::config::ImageConfig;
use crate::dockerfile::instructions;
use crate::error::{Code, Error, suggest};

/// The error for a build that BuildKit ended, `said` being its own words.
pub(super) fn explain(
    image: &ImageConfig,
    dockerfile: &str,
    trace: &BuildTrace,
    said: &str,
) -> Error {
    let short = said.rsplit("failed to solve: ").next().unwrap_or(said);
    let short = short
        .rsplit("failed to solve with frontend gateway.v0: ")
        .next()
        .unwrap_or(short);
    let failed = trace.failed(said);
    let told = match &failed {
        Some(failed) => Some((failed.name.clone(), line_of(&failed.name, dockerfile))),
        None => run_line(said, dockerfile).map(|(name, line)| (name, Some(line))),
    };
    let (message, line) = match told {
        Some((name, line)) => (format!("`{name}` failed"), line),
        None => (short.to_owned(), parse_error_line(said)),
    };
    let printed = failed.map_or_else(String::new, |failed| failed.printed.join("\n"));
    let (unknown, from) = unknown_source(dockerfile, said).unzip();
    let line = from.or(line);
    let hint = ungiven(image, said)
        .or(unknown)
        .unwrap_or_else(|| hint(said, &printed).to_owned());
    Error::new(
        Code::ImageBuild,
        format!("image `{}` did not build: {message}", image.name),
    )
    .evidence(printed)
    .evidence(short)
    .at(&image.dockerfile, line)
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

/// What to do where files are taken from a name that no stage has, and its line: BuildKit takes it for an image of Docker's
/// own. Such names are given by further contexts, which Compose and bake have.
fn unknown_source(dockerfile: &str, said: &str) -> Option<(String, u32)> {
    instructions(dockerfile).iter().find_map(|instruction| {
        let is_it = |name: &&str| said.contains(&format!("library/{name}:latest"));
        let name = instruction.sources().find(is_it)?;
        let hint = format!(
            "no stage of the Dockerfile is called `{name}`, nor has Docker an image of that name: correct it, `docker pull {name}`, \
             or, if it is a further context of another tool's, add an image `{name}` of that folder to devk.yaml"
        );
        Some((hint, instruction.line))
    })
}

/// What to write where the Dockerfile requires a secret or an agent that devk.yaml does not give.
fn ungiven(image: &ImageConfig, said: &str) -> Option<String> {
    let name = &image.name;
    if let Some(id) = ungiven_secret(said) {
        let given: Vec<_> = image.secrets.iter().map(|secret| &*secret.id).collect();
        let near = suggest(id, given).map(|near| {
            format!("devk.yaml calls one `{near}`; if it is not the one that is meant, ")
        });
        return Some(format!(
            "{}write in devk.yaml where the secret `{id}` is, in a file or in a variable: \
             images: {{{name}: {{secrets: {{{id}: {{file: ~/.{id}}}}}}}}} or images: {{{name}: {{secrets: {{{id}: {{environment: {}}}}}}}}}",
            near.unwrap_or_default(),
            variable(id),
        ));
    }
    let id = ungiven_agent(said)?;
    let agent = match id {
        "default" => id.to_owned(),
        id => format!("{id}=SOCKET"),
    };
    Some(format!(
        "write in devk.yaml which SSH agent the build may use: images: {{{name}: {{ssh: [{agent}]}}}}"
    ))
}

/// The id in `secret npmrc not found: not found` (BuildKit 0.8), or in `secret npmrc: not found`.
fn ungiven_secret(said: &str) -> Option<&str> {
    let (id, rest) = said.rsplit_once("secret ")?.1.split_once(' ')?;
    rest.starts_with("not found")
        .then(|| id.trim_end_matches(':'))
}

/// The id in `unset ssh forward key git`, or in `no SSH key "git" forwarded from the client` where the build has no agent.
fn ungiven_agent(said: &str) -> Option<&str> {
    let unset = said.split_once("unset ssh forward key ");
    let absent = said.split_once("no SSH key \"");
    let id = unset.or(absent)?.1.split([' ', ':', '"', '\n']).next()?;
    Some(if id.is_empty() { "default" } else { id })
}

/// `NPMRC` of `npmrc`.
fn variable(id: &str) -> String {
    id.to_uppercase().replace(['-', '.'], "_")
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
    } else if said.contains("should not be blank") {
        "an ARG in a FROM has no value: give it one in devk.yaml, images: {NAME: {args: {ARGUMENT: IMAGE}}}, or in the Dockerfile, ARG ARGUMENT=IMAGE"
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
    use std::path::Path;

    use super::*;
    use crate::image::context::tests::image;

    #[test]
    fn a_secret_or_an_agent_that_nobody_gives_is_explained_with_the_line_to_write() {
        let mut image = image(Path::new("/api"));
        let hint = |image: &ImageConfig, said: &str| ungiven(image, said).unwrap();
        let said =
            "failed to solve: rpc error: code = Unknown desc = secret npm.rc not found: not found";
        assert_eq!(
            hint(&image, said),
            "write in devk.yaml where the secret `npm.rc` is, in a file or in a variable: \
             images: {api: {secrets: {npm.rc: {file: ~/.npm.rc}}}} or images: {api: {secrets: {npm.rc: {environment: NPM_RC}}}}"
        );
        image.secrets.push(crate::config::BuildSecret {
            id: "npmrc".to_owned(),
            source: crate::config::BuildSecretSource::Variable("N".to_owned()),
            origin: image.origin.clone(),
        });
        assert!(
            hint(&image, "failed to solve: secret nmprc: not found")
                .starts_with("devk.yaml calls one `npmrc`"),
        );
        let said = "failed to solve: unset ssh forward key default";
        assert!(hint(&image, said).ends_with("images: {api: {ssh: [default]}}"));
        let said = "failed to solve: unset ssh forward key git: x";
        assert!(hint(&image, said).ends_with("images: {api: {ssh: [git=SOCKET]}}"));
        let said = "no SSH key \"\" forwarded from the client";
        assert!(hint(&image, said).ends_with("images: {api: {ssh: [default]}}"));
        for other in [
            "failed to solve: \"/a\": not found",
            "process \"secret\" failed",
        ] {
            assert_eq!(ungiven(&image, other), None, "{other}");
        }
    }

    #[test]
    fn an_image_that_its_registry_refuses_wants_a_login() {
        let said = "failed to solve: ghcr.io/a/b:1: failed to resolve source metadata for ghcr.io/a/b:1: failed to \
                    authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized";
        assert!(hint(said, "").starts_with("`docker login`"));
        let missing = "failed to solve: a:1: failed to resolve source metadata for docker.io/library/a:1: not found";
        assert!(hint(missing, "").starts_with("`docker pull`"));
    }

    #[test]
    fn files_of_a_stage_that_is_none_are_named_with_their_line() {
        let said = "failed to solve: shared: failed to resolve source metadata for docker.io/library/shared:latest: dial";
        let unknown = |dockerfile: &str| unknown_source(dockerfile, said);
        let (hint, line) = unknown("FROM busybox\nCOPY --from=shared /a /a\n").unwrap();
        assert_eq!(line, 2);
        assert!(
            hint.starts_with("no stage of the Dockerfile is called `shared`"),
            "{hint}"
        );
        let mounted = "FROM busybox\nRUN \\\n  --mount=type=bind,from=shared ls\n";
        assert_eq!(unknown(mounted).unwrap().1, 2);
        // Whose image it is stands in the FROM.
        assert_eq!(unknown("FROM shared\nCOPY --from=other /a /a\n"), None);
    }

    #[test]
    fn an_argument_of_a_from_without_a_value_is_asked_for() {
        let said = "failed to solve: dockerfile parse error on line 2: base name (${BASE}) should not be blank";
        assert!(hint(said, "").contains("images: {NAME: {args: "));
    }
}
