//! The secrets and SSH agents of builds: what of them is not there is told before anything is built, and the secrets are
//! read when their image is.
//!
//! A secret is no part of what names an image. It goes from its file or variable into memory and from there to BuildKit,
//! for as long as the build runs, and what the build prints of it is not shown.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::config::{BuildAgent, BuildSecret, BuildSecretSource, ImageConfig, Origin};
use crate::environment::Environment;
use crate::error::{Code, Error};
use crate::paths::read_bounded;
use crate::shell::quote;

/// The largest secret that BuildKit takes, in bytes (moby/buildkit, session/secrets/secretsprovider).
const MAX_SECRET_BYTES: u64 = 500 * 1024;

/// A shorter line of a secret is no secret by itself: it would hide half of what a build prints.
const MIN_HIDDEN_CHARACTERS: usize = 6;

/// What is shown in place of a secret.
const HIDDEN: &str = "***";

/// The variable with the socket of the user's agent.
const AGENT_VARIABLE: &str = "SSH_AUTH_SOCK";

/// What the builds of an image may use, read and found.
#[derive(Clone, Default)]
pub(super) struct BuildAccess {
    /// By the id under which the Dockerfile mounts them.
    pub(super) secrets: BTreeMap<String, Vec<u8>>,
    /// The sockets of agents, by id.
    pub(super) agents: BTreeMap<String, PathBuf>,
}

impl BuildAccess {
    /// What is there, and a [`Code::ImageSecret`] for each that is not, at its line of devk.yaml. Blocks on the disk.
    pub(super) fn read(image: &ImageConfig, environment: &Environment) -> (Self, Vec<Error>) {
        let mut access = Self::default();
        let mut problems = vec![];
        for secret in &image.secrets {
            match read(image, secret, environment) {
                Ok(bytes) => drop(access.secrets.insert(secret.id.clone(), bytes)),
                Err(error) => problems.push(error),
            }
        }
        for agent in &image.ssh {
            match find(image, agent, environment) {
                Ok(socket) => drop(access.agents.insert(agent.id.clone(), socket)),
                Err(error) => problems.push(error),
            }
        }
        (access, problems)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.secrets.is_empty() && self.agents.is_empty()
    }

    /// What a build printed, without the secrets. One that the build has encoded or cut is not found.
    pub(super) fn hide(&self, printed: &str) -> String {
        let mut hidden: Vec<_> = self
            .secrets
            .values()
            .flat_map(|bytes| lines(bytes))
            .collect();
        // A line that is part of another one leaves the rest of that in sight.
        hidden.sort_unstable_by_key(|line| std::cmp::Reverse(line.len()));
        let hide = |text: String, line: &String| text.replace(line.as_str(), HIDDEN);
        hidden.iter().fold(printed.to_owned(), hide)
    }
}

fn lines(secret: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(secret);
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| line.chars().count() >= MIN_HIDDEN_CHARACTERS);
    lines.map(str::to_owned).collect()
}

/// What is missing of the secrets and agents of images that are about to be built. Blocks on the disk.
pub fn missing_secrets<'a>(
    images: impl Iterator<Item = &'a ImageConfig>,
    environment: &Environment,
) -> Vec<Error> {
    images
        .flat_map(|image| BuildAccess::read(image, environment).1)
        .collect()
}

fn read(
    image: &ImageConfig,
    secret: &BuildSecret,
    environment: &Environment,
) -> Result<Vec<u8>, Error> {
    let problem = problems(image, &secret.origin, format!("the secret `{}`", secret.id));
    match &secret.source {
        BuildSecretSource::File(path) => {
            let file = absolute(path, environment);
            read_bounded(&file, MAX_SECRET_BYTES).map_err(|cause| {
                let path = quote(&file);
                match cause.kind() {
                    ErrorKind::NotFound => problem(format!("there is no file `{}`", file.display()))
                        .hint(format!("(umask 077; cat > {path}) && devk up    # type the secret, then Ctrl-D")),
                    ErrorKind::FileTooLarge => problem(format!(
                        "`{}` has more than {MAX_SECRET_BYTES} bytes, the most that BuildKit takes",
                        file.display()
                    ))
                    .hint(format!("ls -l {path}")),
                    _ => problem(format!("`{}` cannot be read: {cause}", file.display())).hint(format!("ls -ld {path}")),
                }
            })
        }
        BuildSecretSource::Variable(name) => match environment.get(name) {
            Some(value) if value.len() as u64 > MAX_SECRET_BYTES => Err(problem(format!(
                "the variable {name} has more than {MAX_SECRET_BYTES} bytes, the most that BuildKit takes"
            ))
            .hint(format!("printenv {name} | wc -c"))),
            Some(value) => Ok(value.as_bytes().to_vec()),
            None => Err(problem(format!("the environment variable {name} is not set"))
                .hint(format!("IFS= read -rs {name} && export {name} && devk up    # type the secret, then Enter"))),
        },
    }
}

/// The socket of an agent that answers.
fn find(
    image: &ImageConfig,
    agent: &BuildAgent,
    environment: &Environment,
) -> Result<PathBuf, Error> {
    let problem = problems(
        image,
        &agent.origin,
        format!("the SSH agent `{}`", agent.id),
    );
    let socket = match &agent.socket {
        Some(path) => absolute(path, environment),
        None => match environment
            .get(AGENT_VARIABLE)
            .filter(|path| !path.is_empty())
        {
            Some(path) => PathBuf::from(path),
            None => {
                return Err(problem(format!("{AGENT_VARIABLE} is not set")).hint(START_AGENT));
            }
        },
    };
    let shown = socket.display();
    match std::fs::metadata(&socket) {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(found) if found.is_file() => {
            return Err(
                problem(format!("`{shown}` is a file and no socket")).hint(format!(
                    "if it is a key, give it to your agent, and write `ssh: [default]`: ssh-add {}",
                    quote(&socket)
                )),
            );
        }
        Ok(_) => {
            return Err(problem(format!("`{shown}` is no socket"))
                .hint(format!("ls -ld {}", quote(&socket))));
        }
        Err(cause) => {
            return Err(
                problem(format!("`{shown}` is not there: {cause}")).hint(start(agent, &socket))
            );
        }
    }
    match UnixStream::connect(&socket) {
        Ok(_) => Ok(socket),
        Err(cause) => {
            let hint = match &agent.socket {
                None => START_AGENT.to_owned(),
                Some(_) => format!("rm {} && {}", quote(&socket), start(agent, &socket)),
            };
            Err(problem(format!("nobody answers at `{shown}`: {cause}")).hint(hint))
        }
    }
}

/// Starts an agent, gives it the user's keys, and builds.
const START_AGENT: &str = "eval \"$(ssh-agent)\" && ssh-add && devk up";

fn start(agent: &BuildAgent, socket: &Path) -> String {
    match &agent.socket {
        None => START_AGENT.to_owned(),
        Some(_) => {
            let socket = quote(socket);
            format!("ssh-agent -a {socket} && SSH_AUTH_SOCK={socket} ssh-add && devk up")
        }
    }
}

/// The errors of what an image needs, each by what is wrong with it.
fn problems(image: &ImageConfig, origin: &Origin, needed: String) -> impl Fn(String) -> Error {
    move |what| {
        let message = format!("image `{}` needs {needed}, and {what}", image.name);
        Error::new(Code::ImageSecret, message).at(&origin.file, origin.line)
    }
}

/// The path with the home folder of whoever asks for the build.
fn absolute(path: &Path, environment: &Environment) -> PathBuf {
    match (path.strip_prefix("~"), environment.get("HOME")) {
        (Ok(rest), Some(home)) => Path::new(home).join(rest),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::image::context::tests::image;

    fn at(line: u32) -> Origin {
        Origin {
            file: "devk.yaml".into(),
            line,
        }
    }

    fn secret(line: u32, source: BuildSecretSource) -> BuildSecret {
        BuildSecret {
            id: format!("s{line}"),
            source,
            origin: at(line),
        }
    }

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        variables.iter().map(owned).collect()
    }

    #[test]
    fn all_that_is_missing_is_told_at_its_line_and_with_what_to_do() {
        let home = tempfile::tempdir().unwrap();
        let large = vec![b'x'; 500 * 1024 + 1];
        std::fs::write(home.path().join("large"), large).unwrap();
        std::fs::create_dir(home.path().join("folder")).unwrap();
        let file = |name: &str| BuildSecretSource::File(format!("~/{name}").into());
        let agent = |line, socket: Option<&str>| BuildAgent {
            id: format!("a{line}"),
            socket: socket.map(|name| format!("~/{name}").into()),
            origin: at(line),
        };
        let mut image = image(home.path());
        image.secrets = vec![
            secret(1, file("none")),
            secret(2, file("large")),
            secret(3, file("folder")),
            secret(4, BuildSecretSource::Variable("TOKEN".to_owned())),
        ];
        let dead = home.path().join("dead");
        drop(UnixListener::bind(&dead).unwrap());
        image.ssh = vec![
            agent(5, None),
            agent(6, Some("none")),
            agent(7, Some("large")),
            agent(8, Some("dead")),
        ];
        let home_folder = home.path().to_str().unwrap();
        let problems =
            missing_secrets([&image].into_iter(), &environment(&[("HOME", home_folder)]));
        let told: Vec<_> = problems
            .iter()
            .map(|error| {
                assert_eq!(error.code, Code::ImageSecret);
                let hint = error.hint.clone().unwrap();
                let text = format!("{} {} | {hint}", error.line.unwrap(), error.message);
                text.replace(home_folder, "HOME")
            })
            .collect();
        let expected = [
            "1 image `api` needs the secret `s1`, and there is no file `HOME/none` | (umask 077; cat > HOME/none) && devk up    # type the secret, then Ctrl-D",
            "2 image `api` needs the secret `s2`, and `HOME/large` has more than 512000 bytes, the most that BuildKit takes | ls -l HOME/large",
            "3 image `api` needs the secret `s3`, and `HOME/folder` cannot be read: it is no regular file | ls -ld HOME/folder",
            "4 image `api` needs the secret `s4`, and the environment variable TOKEN is not set | IFS= read -rs TOKEN && export TOKEN && devk up    # type the secret, then Enter",
            "5 image `api` needs the SSH agent `a5`, and SSH_AUTH_SOCK is not set | eval \"$(ssh-agent)\" && ssh-add && devk up",
            "6 image `api` needs the SSH agent `a6`, and `HOME/none` is not there: No such file or directory (os error 2) | ssh-agent -a HOME/none && SSH_AUTH_SOCK=HOME/none ssh-add && devk up",
            "7 image `api` needs the SSH agent `a7`, and `HOME/large` is a file and no socket | if it is a key, give it to your agent, and write `ssh: [default]`: ssh-add HOME/large",
            "8 image `api` needs the SSH agent `a8`, and nobody answers at `HOME/dead`: Connection refused (os error 111) | rm HOME/dead && ssh-agent -a HOME/dead && SSH_AUTH_SOCK=HOME/dead ssh-add && devk up",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn secrets_are_taken_byte_by_byte_and_what_a_build_prints_of_them_is_hidden() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("netrc"), "machine a\nhunter2-long\n\n").unwrap();
        let mut image = image(home.path());
        image.secrets = vec![
            secret(1, BuildSecretSource::File(home.path().join("netrc"))),
            secret(2, BuildSecretSource::Variable("TOKEN".to_owned())),
            secret(3, BuildSecretSource::Variable("EMPTY".to_owned())),
        ];
        let variables = environment(&[("TOKEN", "hunter2"), ("EMPTY", "")]);
        let (access, problems) = BuildAccess::read(&image, &variables);
        assert_eq!(problems, []);
        assert_eq!(access.secrets["s1"], b"machine a\nhunter2-long\n\n");
        assert_eq!(access.secrets["s2"], b"hunter2");
        assert_eq!(
            access.hide("x hunter2-long y hunter2 machine b\n"),
            "x *** y *** machine b\n"
        );
    }
}
