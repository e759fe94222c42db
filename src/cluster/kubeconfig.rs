//! The user's kubeconfig, read as kubectl reads it and never written: one context of it, as a kubeconfig of
//! its own. The context that is current there says nothing here.

use std::path::PathBuf;

use kube::config::{Kubeconfig, NamedContext};

use crate::environment::Environment;
use crate::error::{Code, Error, Result, chain, internal, suggest};

/// One context, with all that it takes to use it.
#[derive(Debug)]
pub(super) struct UserContext {
    /// The kubeconfig of this context alone.
    pub(super) text: String,
    /// The API server's URL.
    pub(super) server: String,
}

/// Looks a context up.
///
/// # Errors
/// [`Code::ClusterContext`] if the kubeconfig cannot be read, or the context leads nowhere. That there is no such
/// context is the error within.
pub(super) fn find(environment: &Environment, name: &str) -> Result<Result<UserContext>> {
    let files = files(environment);
    let mut all = Kubeconfig::default();
    // kubectl, too, passes over files of the list that are not there.
    for file in files.iter().filter(|file| file.exists()) {
        let unreadable = |e| {
            let message = format!("cannot read the kubeconfig `{}`", file.display());
            Error::new(Code::ClusterContext, message).evidence(chain(&e))
        };
        all = Kubeconfig::read_from(file)
            .and_then(|config| all.merge(config))
            .map_err(unreadable)?;
    }
    match all
        .contexts
        .iter()
        .find(|context| context.name == name)
        .cloned()
    {
        Some(context) => minified(all, context).map(Ok),
        None => Ok(Err(missing(&files, &all, name))),
    }
}

/// `KUBECONFIG`, else `~/.kube/config`.
fn files(environment: &Environment) -> Vec<PathBuf> {
    let list = environment.get("KUBECONFIG").unwrap_or_default();
    let listed: Vec<_> = std::env::split_paths(list)
        .filter(|path| !path.as_os_str().is_empty())
        .collect();
    if listed.is_empty() {
        return environment
            .get("HOME")
            .map(|home| PathBuf::from(home).join(".kube/config"))
            .into_iter()
            .collect();
    }
    let folder = PathBuf::from(environment.get("PWD").unwrap_or_default());
    listed.into_iter().map(|file| folder.join(file)).collect()
}

fn minified(all: Kubeconfig, context: NamedContext) -> Result<UserContext> {
    let nowhere = |what: &str| {
        let message = format!(
            "context `{}` of your kubeconfig has no {what}",
            context.name
        );
        Error::new(Code::ClusterContext, message).hint("kubectl config view")
    };
    let inner = context.context.clone().ok_or_else(|| nowhere("content"))?;
    let cluster = all
        .clusters
        .into_iter()
        .find(|cluster| cluster.name == inner.cluster);
    let cluster = cluster.ok_or_else(|| nowhere(&format!("cluster `{}`", inner.cluster)))?;
    let server = cluster
        .cluster
        .as_ref()
        .and_then(|cluster| cluster.server.clone());
    let server = server.ok_or_else(|| nowhere("server"))?;
    let one = Kubeconfig {
        current_context: Some(context.name.clone()),
        clusters: vec![cluster],
        auth_infos: all
            .auth_infos
            .into_iter()
            .filter(|user| Some(&user.name) == inner.user.as_ref())
            .collect(),
        contexts: vec![context],
        kind: Some("Config".to_owned()),
        api_version: Some("v1".to_owned()),
        ..Kubeconfig::default()
    };
    // JSON is YAML, too.
    let text = serde_json::to_string_pretty(&one).map_err(|e| internal(&e))?;
    Ok(UserContext { text, server })
}

fn missing(files: &[PathBuf], all: &Kubeconfig, name: &str) -> Error {
    let names: Vec<_> = all
        .contexts
        .iter()
        .map(|context| context.name.as_str())
        .collect();
    let files: Vec<_> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let hint = match suggest(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? cluster: {{provider: existing, context: {near}}}"),
        None => {
            "kubectl config get-contexts -o name    # shows those there are; KUBECONFIG names other files".to_owned()
        }
    };
    Error::new(
        Code::ClusterContext,
        format!("there is no context `{name}` in your kubeconfig"),
    )
    .evidence(format!("looked in {}", files.join(", ")))
    .evidence(format!(
        "contexts there: {}",
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    ))
    .hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "
apiVersion: v1
kind: Config
current-context: prod
contexts:
- {name: prod, context: {cluster: prod, user: prod}}
- {name: dev, context: {cluster: dev, user: ann, namespace: shop}}
- {name: torn, context: {cluster: gone, user: ann}}
clusters:
- {name: prod, cluster: {server: 'https://prod.example:6443'}}
- {name: dev, cluster: {server: 'https://127.0.0.1:6443', certificate-authority: ca.crt}}
users:
- {name: prod, user: {token: not-for-devk}}
- {name: ann, user: {token: hush}}
";

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn kubeconfig(text: &str) -> (tempfile::TempDir, Environment) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config"), text).unwrap();
        let pwd = dir.path().display().to_string();
        (
            dir,
            environment(&[("KUBECONFIG", "absent:config"), ("PWD", &pwd)]),
        )
    }

    #[test]
    fn one_context_is_taken_with_its_own_cluster_and_user_and_nobody_elses() {
        let (dir, environment) = kubeconfig(TWO);
        let found = find(&environment, "dev").unwrap().unwrap();
        assert_eq!(found.server, "https://127.0.0.1:6443");
        let read = Kubeconfig::from_yaml(&found.text).unwrap();
        assert_eq!(read.current_context.as_deref(), Some("dev"));
        assert_eq!(
            (
                read.clusters.len(),
                read.auth_infos.len(),
                read.contexts.len()
            ),
            (1, 1, 1)
        );
        assert!(
            found.text.contains("hush")
                && !found.text.contains("not-for-devk")
                && !found.text.contains("prod")
        );
        let authority = dir.path().join("ca.crt").display().to_string();
        assert!(
            found.text.contains(&authority),
            "what is named relative to the file stays found: {}",
            found.text
        );
    }

    #[test]
    fn a_context_that_is_not_there_is_told_with_those_that_are() {
        let (_dir, environment) = kubeconfig(TWO);
        let error = find(&environment, "deb").unwrap().unwrap_err();
        assert_eq!(error.code, Code::ClusterContext);
        assert_eq!(error.evidence[1], "contexts there: prod, dev, torn");
        assert!(error.hint.unwrap().starts_with("did you mean `dev`?"));
    }

    #[test]
    fn a_context_that_leads_nowhere_and_a_file_that_is_no_kubeconfig_are_told() {
        let (_dir, environment) = kubeconfig(TWO);
        let torn = find(&environment, "torn").unwrap_err();
        assert_eq!(
            torn.message,
            "context `torn` of your kubeconfig has no cluster `gone`"
        );
        let (_dir, environment) = kubeconfig("contexts: 7\n");
        assert!(
            find(&environment, "dev")
                .unwrap_err()
                .message
                .starts_with("cannot read the kubeconfig")
        );
    }

    #[test]
    fn without_the_variable_it_is_the_one_of_the_home_folder() {
        assert_eq!(
            files(&environment(&[("HOME", "/home/ann")])),
            [PathBuf::from("/home/ann/.kube/config")]
        );
        let both = environment(&[("HOME", "/home/ann"), ("KUBECONFIG", "/a:/b")]);
        assert_eq!(files(&both), [PathBuf::from("/a"), PathBuf::from("/b")]);
    }
}
