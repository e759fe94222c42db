//! The secrets and SSH agents that Compose gives to a build, for the image of the same Dockerfile.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::builds::FoundBuild;
use super::clue::shown;
use super::draft::{DraftImage, DraftSecretMount};
use super::scan::RepositoryTree;
use crate::compose::Compose;
use crate::config::{BuildAgent, BuildSecret, BuildSecretSource, Origin};

/// Adds what Compose gives; what devk cannot take as it is becomes a comment.
pub(super) fn given(
    tree: &RepositoryTree,
    build: &FoundBuild,
    stack: Option<&Compose>,
    image: &mut DraftImage,
) {
    let dockerfile = tree.root.join(&build.dockerfile);
    let services = stack.into_iter().flat_map(|stack| stack.services.values());
    let builds = services.filter_map(|service| service.build.as_ref());
    for own in builds.filter(|own| own.dockerfile.as_deref() == Some(&dockerfile)) {
        own.secrets
            .iter()
            .for_each(|secret| add_secret(tree, secret, image));
        own.ssh
            .iter()
            .for_each(|agent| add_agent(tree, agent, image));
    }
}

fn add_secret(tree: &RepositoryTree, secret: &BuildSecret, image: &mut DraftImage) {
    if image.secrets.iter().any(|known| known.id == secret.id) {
        return;
    }
    let at = at(tree, &secret.origin);
    image
        .evidence
        .push(format!("the secret `{}` as in Compose ({at})", secret.id));
    let (key, value) = match &secret.source {
        BuildSecretSource::File(path) => ("file", inside(tree, path)),
        BuildSecretSource::Variable(name) => ("environment", name.clone()),
    };
    image.secrets.push(DraftSecretMount {
        id: secret.id.clone(),
        key,
        value,
    });
}

fn add_agent(tree: &RepositoryTree, agent: &BuildAgent, image: &mut DraftImage) {
    let at = at(tree, &agent.origin);
    let text = match &agent.socket {
        None => agent.id.clone(),
        Some(path) if is_socket(path) => format!("{}={}", agent.id, path.display()),
        Some(path) => {
            image.alternatives.push(format!(
                "Compose gives the build the SSH key {} ({at}); devk gives it agents: `ssh-add` the key, and `ssh: [default]`",
                inside(tree, path)
            ));
            return;
        }
    };
    if !image.ssh.contains(&text) {
        image
            .evidence
            .push(format!("the SSH agent as in Compose ({at})"));
        image.ssh.push(text);
    }
}

fn is_socket(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.file_type().is_socket())
}

fn at(tree: &RepositoryTree, origin: &Origin) -> String {
    let file = origin.file.strip_prefix(&tree.root).unwrap_or(&origin.file);
    format!("{}:{}", file.display(), origin.line)
}

/// As devk.yaml at the root names it; what is not in the repository is mostly in somebody's home folder.
fn inside(tree: &RepositoryTree, path: &Path) -> String {
    if let Ok(path) = path.strip_prefix(&tree.root) {
        return shown(path);
    }
    let home = std::env::home_dir();
    match home.and_then(|home| Some(path.strip_prefix(home).ok()?.to_owned())) {
        Some(path) => format!("~/{}", path.display()),
        None => path.display().to_string(),
    }
}
