//! The credentials that `docker login` stored: a build needs them for base images of private registries.
//!
//! The docker CLI's rules (docker/cli, cli/config): a registry's own helper (`credHelpers`), else the common one
//! (`credsStore`), else the entry in `auths`. devk neither shows nor logs credentials, nor the output of a
//! helper that fails.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use serde::Deserialize;

use super::endpoint::EndpointInputs;
use crate::environment::Environment;
use crate::error::{Code, Error, Result};
use crate::process::Cmd;
use crate::shell::quote;

/// By registry, as BuildKit names it.
pub type Credentials = HashMap<String, DockerCredentials>;

/// Docker Hub's name for `docker login`, and for BuildKit.
const HUB_LOGIN: &str = "https://index.docker.io/v1/";
const HUB: &str = "registry-1.docker.io";

/// How long a helper may take: it may ask for a passphrase, and nobody may be there to type it.
const HELPER_TIMEOUT: Duration = Duration::from_secs(30);

/// The environment variables that helpers get, beside those of every program: the key rings, `pass`, the clouds.
const HELPER_VARIABLES: [&str; 10] = [
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "GNUPGHOME",
    "PASSWORD_STORE_DIR",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "CLOUDSDK_CONFIG",
    "AZURE_CONFIG_DIR",
];

/// The part of Docker's config.json about registries.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ConfigFile {
    auths: Option<BTreeMap<String, Login>>,
    #[serde(rename = "credHelpers")]
    helpers: Option<BTreeMap<String, String>>,
    #[serde(rename = "credsStore")]
    store: Option<String>,
}

/// An entry of `auths`. The entry is empty if a helper has the credentials.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Login {
    /// `USER:PASSWORD` in base64.
    auth: Option<String>,
    identitytoken: Option<String>,
}

/// The output of a helper.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    username: String,
    secret: String,
}

/// The credentials for the registries that a build may ask: Docker Hub, and those that `text` names. Beside them what
/// kept others from being found; a build may well do without.
pub async fn credentials(environment: &Environment, text: &str) -> (Credentials, Vec<Error>) {
    let file = std::fs::read(
        EndpointInputs::of(environment)
            .config_dir
            .join("config.json"),
    )
    .unwrap_or_default();
    // The code that needs the rest of the file reports its problems.
    let config: ConfigFile = serde_json::from_slice(&file).unwrap_or_default();
    let wanted = config
        .registries()
        .into_iter()
        .filter(|registry| registry == HUB || text.contains(registry.as_str()));
    let found = wanted.map(|registry| async {
        let login = config.login(environment, &registry).await;
        (registry, login)
    });
    let mut credentials = Credentials::new();
    let mut problems = vec![];
    for (registry, login) in futures::future::join_all(found).await {
        match login {
            Ok(login) => credentials.extend(login.map(|login| (registry, login))),
            Err(error) => problems.push(error),
        }
    }
    (credentials, problems)
}

impl ConfigFile {
    fn registries(&self) -> BTreeSet<String> {
        let logins = self.auths.iter().flatten().map(|(key, _)| key);
        logins
            .chain(self.helpers.iter().flatten().map(|(key, _)| key))
            .map(|key| registry(key))
            .collect()
    }

    async fn login(
        &self,
        environment: &Environment,
        registry: &str,
    ) -> Result<Option<DockerCredentials>> {
        let asked = if registry == HUB { HUB_LOGIN } else { registry };
        match self.helper(registry) {
            Some(helper) => ask(environment, helper, asked).await,
            None => Ok(of(&self.auths, registry).and_then(Login::credentials)),
        }
    }

    fn helper(&self, registry: &str) -> Option<&str> {
        let helper = of(&self.helpers, registry).filter(|helper| !helper.is_empty());
        helper
            .or(self.store.as_ref().filter(|helper| !helper.is_empty()))
            .map(String::as_str)
    }
}

impl Login {
    fn credentials(&self) -> Option<DockerCredentials> {
        if let Some(token) = self
            .identitytoken
            .as_ref()
            .filter(|token| !token.is_empty())
        {
            return Some(by_token(token.clone()));
        }
        let text = String::from_utf8(STANDARD.decode(self.auth.as_ref()?).ok()?).ok()?;
        let (user, password) = text.split_once(':')?;
        Some(by_password(
            user.to_owned(),
            password.trim_end_matches('\0').to_owned(),
        ))
    }
}

/// The entry of a registry, by whichever of its names.
fn of<'a, T>(map: &'a Option<BTreeMap<String, T>>, wanted: &str) -> Option<&'a T> {
    map.iter()
        .flatten()
        .find(|(key, _)| registry(key) == wanted)
        .map(|(_, value)| value)
}

/// `https://ghcr.io/v2/` → `ghcr.io`.
fn registry(key: &str) -> String {
    let host = key.split_once("://").map_or(key, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or_default();
    if matches!(host, "docker.io" | "index.docker.io") {
        HUB.to_owned()
    } else {
        host.to_owned()
    }
}

/// None if the helper has none.
async fn ask(
    environment: &Environment,
    helper: &str,
    registry: &str,
) -> Result<Option<DockerCredentials>> {
    let name = format!("docker-credential-{helper}");
    let failed = |what: &str| {
        Error::new(
            Code::CommandFailed,
            format!("`{name}` {what} for registry `{registry}`"),
        )
        .evidence("the image is built without credentials for it")
        .hint(format!("docker login {}", quote(registry)))
    };
    let program = environment.find(
        &name,
        &format!("install `{name}`, or take it out of Docker's config.json"),
    )?;
    let variables = HELPER_VARIABLES
        .iter()
        .filter_map(|key| Some((*key, environment.get(key)?)));
    let cmd = Cmd::new(program)
        .inherit(environment)
        .envs(variables)
        .arg("get")
        .input(registry);
    let answer = tokio::time::timeout(HELPER_TIMEOUT, cmd.answer(|_| {})).await;
    let answer = answer.map_err(|_| {
        failed(&format!(
            "gave no answer within {} s",
            HELPER_TIMEOUT.as_secs()
        ))
    })??;
    if !answer.status.success() {
        let has_none = answer.output.stdout.contains("credentials not found");
        return if has_none {
            Ok(None)
        } else {
            Err(failed("failed"))
        };
    }
    let told: Told =
        serde_json::from_str(&answer.output.stdout).map_err(|_| failed("gave no credentials"))?;
    Ok(Some(if told.username == "<token>" {
        by_token(told.secret)
    } else {
        by_password(told.username, told.secret)
    }))
}

fn by_token(token: String) -> DockerCredentials {
    DockerCredentials {
        identitytoken: Some(token),
        ..DockerCredentials::default()
    }
}

fn by_password(user: String, password: String) -> DockerCredentials {
    DockerCredentials {
        username: Some(user),
        password: Some(password),
        ..DockerCredentials::default()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;

    /// The environment of somebody whose config.json says this, and who has a helper `x` with this script.
    fn environment(dir: &Path, config: &str, script: &str) -> Environment {
        std::fs::write(dir.join("config.json"), config).unwrap();
        let helper = dir.join("docker-credential-x");
        std::fs::write(&helper, format!("#!/bin/sh\nread -r registry\n{script}\n")).unwrap();
        std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
        let dir = dir.display().to_string();
        [
            ("DOCKER_CONFIG".to_owned(), dir.clone()),
            ("PATH".to_owned(), dir),
        ]
        .into_iter()
        .collect()
    }

    /// `REGISTRY USER PASSWORD TOKEN` of each, and the problems.
    async fn found(config: &str, script: &str, text: &str) -> (Vec<String>, Vec<Error>) {
        let dir = tempfile::tempdir().unwrap();
        let (found, problems) = credentials(&environment(dir.path(), config, script), text).await;
        let show = |(registry, login): (String, DockerCredentials)| {
            let parts = [login.username, login.password, login.identitytoken]
                .map(Option::unwrap_or_default);
            format!("{registry} {}", parts.join(" "))
        };
        let mut found: Vec<_> = found.into_iter().map(show).collect();
        found.sort();
        (found, problems)
    }

    #[tokio::test]
    async fn logins_of_the_file_are_taken_for_the_registries_that_the_build_names() {
        // `ann:pass:word`
        let config = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "YW5uOnBhc3M6d29yZA=="},
            "ghcr.io": {"identitytoken": "t"}, "other.example": {"auth": "YW5uOnBhc3M6d29yZA=="}, "empty.example": {}}}"#;
        let (found, problems) = found(config, "", "FROM ghcr.io/a/b\nFROM empty.example/c").await;
        assert_eq!(
            found,
            ["ghcr.io   t", "registry-1.docker.io ann pass:word "]
        );
        assert_eq!(problems, []);
    }

    #[tokio::test]
    async fn a_helper_is_asked_by_the_name_that_docker_login_uses() {
        let config = r#"{"auths": {"https://index.docker.io/v1/": {}}, "credHelpers": {"gcr.example": "x"}, "credsStore": "x"}"#;
        let script = r#"echo "{\"ServerURL\": \"$registry\", \"Username\": \"$1\", \"Secret\": \"for $registry\"}""#;
        let (found, problems) = found(config, script, "FROM gcr.example/a").await;
        assert_eq!(
            found,
            [
                "gcr.example get for gcr.example ",
                "registry-1.docker.io get for https://index.docker.io/v1/ "
            ]
        );
        assert_eq!(problems, []);
    }

    #[tokio::test]
    async fn a_helper_that_fails_costs_no_build_and_what_it_said_is_not_shown() {
        let config = r#"{"credHelpers": {"a.example": "x", "b.example": "missing"}}"#;
        let (found, problems) = found(
            config,
            "echo secret; echo secret >&2; exit 1",
            "a.example b.example",
        )
        .await;
        assert!(found.is_empty());
        assert_eq!(
            problems.iter().map(|e| e.code).collect::<Vec<_>>(),
            [Code::CommandFailed, Code::ToolMissing]
        );
        assert!(!format!("{problems:?}").contains("secret"));
        let (_, none) = self::found(
            config,
            "echo credentials not found in native keychain; exit 1",
            "a.example",
        )
        .await;
        assert_eq!(none, [], "nobody logged in there");
    }

    #[tokio::test]
    async fn without_a_config_there_are_none() {
        assert_eq!(found("", "", "FROM x").await, (vec![], vec![]));
        assert_eq!(
            found(r#"{"auths": null, "credsStore": ""}"#, "", "FROM x").await,
            (vec![], vec![])
        );
    }
}
