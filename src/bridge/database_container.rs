//! The container behind the port that Compose publishes, and whether it is this project's: a database is made on no
//! server but that of the project's own Compose stack.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::source::Published;
use crate::compose::{Compose, Service};
use crate::docker::{self, Engine, PublishedPort};
use crate::error::{Code, Error, Result};
use crate::ports::listeners;
use crate::shell::quote;

/// The container that serves the published port.
///
/// # Errors
/// [`Code::BridgeUnreachable`] if none of the stack's containers does: devk sends a login to nobody else.
pub(super) async fn database_container(
    engine: &Engine,
    compose: &Compose,
    service: &Service,
    published: Published,
) -> Result<PublishedPort> {
    let ports = docker::published_ports(&engine.docker).await?;
    let running = ports
        .into_iter()
        .filter(|port| port.running && port.protocol == "tcp");
    let holders = running.filter(|port| port.port == published.port);
    match own(holders.collect(), compose, service, published)? {
        Some(own) => Ok(own),
        None => Err(not_running(service, published).await),
    }
}

fn own(
    holders: Vec<PublishedPort>,
    compose: &Compose,
    service: &Service,
    published: Published,
) -> Result<Option<PublishedPort>> {
    let (own, others): (Vec<_>, Vec<_>) = holders
        .into_iter()
        .partition(|holder| is_own(holder, compose, service));
    let mut here = own.iter().filter(|holder| serves(holder, published));
    if let Some(found) = here.next() {
        return Ok(Some(found.clone()));
    }
    if let Some(other) = others.iter().find(|holder| serves(holder, published)) {
        return Err(foreign(other, service));
    }
    own.first()
        .map_or(Ok(None), |old| Err(stale(old, published)))
}

/// Connections to the published address come to this container.
fn serves(holder: &PublishedPort, published: Published) -> bool {
    let address = holder.host_ip.as_deref().map(str::parse::<IpAddr>);
    address.is_none_or(|address| {
        address.is_ok_and(|address| address.is_unspecified() || address == published.local)
    })
}

/// Whatever else listens on the port gets no login.
async fn not_running(service: &Service, published: Published) -> Error {
    let Published { local, port, .. } = published;
    let message = format!("Compose's `{}` does not run", service.name);
    let error = Error::new(Code::BridgeUnreachable, message);
    if listeners::held(port) {
        let holder = listeners::holder(port).await;
        error.evidence(format!("port {port} is held by {holder}"))
    } else {
        error.evidence(format!("nothing listens on {local}:{port}"))
    }
}

/// It was started before the Compose file was changed.
fn stale(holder: &PublishedPort, published: Published) -> Error {
    let PublishedPort {
        port,
        container,
        host_ip,
        ..
    } = holder;
    let message = format!(
        "container `{container}` publishes port {port} on {}, and the Compose file on {}",
        host_ip.as_deref().unwrap_or("every address"),
        published.local
    );
    Error::new(Code::BridgeUnreachable, message)
}

/// Of the stack that these files describe, whoever started it: the worktrees of a repository share one.
fn is_own(holder: &PublishedPort, compose: &Compose, service: &Service) -> bool {
    holder.compose_service.as_ref() == Some(&service.name)
        && (compose.has_started(holder)
            || holder
                .compose_files()
                .any(|file| is_of_a_worktree(file, compose)))
}

fn foreign(holder: &PublishedPort, service: &Service) -> Error {
    let PublishedPort {
        port,
        container,
        compose_service,
        compose_project,
        ..
    } = holder;
    let text = format!(
        "port {port} is held by container `{container}`, which is not this Compose's `{}`",
        service.name
    );
    let error =
        Error::new(Code::BridgeUnreachable, text).hint(format!("docker stop {}", quote(container)));
    match compose_service.as_ref().zip(compose_project.as_ref()) {
        Some((service, project)) => error.evidence(format!(
            "it is service `{service}` of Compose project `{project}`"
        )),
        None => error,
    }
}

/// It is one of the project's files as another worktree of the repository has it.
fn is_of_a_worktree(file: &Path, compose: &Compose) -> bool {
    in_repository(file).is_some_and(|there| {
        compose
            .files
            .iter()
            .any(|own| in_repository(own).as_ref() == Some(&there))
    })
}

/// The repository that a file is in, and the file's path in its working tree (gitrepository-layout(5)).
fn in_repository(file: &Path) -> Option<(PathBuf, PathBuf)> {
    let file = file.canonicalize().ok()?;
    let tree = file
        .ancestors()
        .skip(1)
        .find(|folder| folder.join(".git").exists())?;
    let git = tree.join(".git");
    let repository = if git.is_dir() {
        git
    } else {
        shared(&git, tree)?
    };
    Some((
        repository.canonicalize().ok()?,
        file.strip_prefix(tree).ok()?.to_owned(),
    ))
}

/// What a linked worktree shares with the others: it has a file `.git` with `gitdir: <repository>/worktrees/<name>`.
fn shared(git: &Path, tree: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(git).ok()?;
    let folder = tree.join(text.lines().next()?.strip_prefix("gitdir:")?.trim());
    let worktrees = folder
        .parent()
        .filter(|parent| parent.ends_with("worktrees"));
    Some(
        worktrees
            .and_then(Path::parent)
            .map_or_else(|| folder.clone(), Path::to_owned),
    )
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::source::Reach;
    use super::*;
    use crate::config::Origin;

    const PUBLISHED: Published = Published {
        local: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port: 5432,
        reach: Reach::Everywhere,
    };

    fn service() -> Service {
        Service {
            name: "db".into(),
            active: true,
            image: None,
            build: None,
            network_mode: None,
            environment: Default::default(),
            ports: vec![],
            databases: vec![],
            development: Default::default(),
            origin: Origin {
                file: "compose.yaml".into(),
                line: 1,
            },
        }
    }

    fn compose(name: &str, file: &Path) -> Compose {
        Compose {
            name: name.to_owned(),
            files: vec![file.to_owned()],
            ..Compose::default()
        }
    }

    fn container(project: &str, service: &str, file: &Path) -> PublishedPort {
        PublishedPort {
            port: 5432,
            protocol: "tcp".into(),
            host_ip: None,
            container: format!("{project}-{service}-1"),
            compose_project: Some(project.to_owned()),
            compose_service: Some(service.to_owned()),
            compose_files: Some(file.display().to_string()),
            running: true,
        }
    }

    #[test]
    fn a_namesake_of_another_project_is_refused_and_named() {
        let shop = compose("shop", Path::new("/src/shop/compose.yaml"));
        let blog = container("blog", "db", Path::new("/src/blog/compose.yaml"));
        let error = own(vec![blog.clone()], &shop, &service(), PUBLISHED).unwrap_err();
        assert_eq!(error.code, Code::BridgeUnreachable);
        assert_eq!(
            error.message,
            "port 5432 is held by container `blog-db-1`, which is not this Compose's `db`"
        );
        assert_eq!(
            error.evidence,
            ["it is service `db` of Compose project `blog`"]
        );
        let named = container("other-name", "db", Path::new("/src/shop/compose.yaml"));
        for own_one in [container("shop", "db", Path::new("/elsewhere")), named] {
            let found = own(
                vec![blog.clone(), own_one.clone()],
                &shop,
                &service(),
                PUBLISHED,
            )
            .unwrap();
            assert_eq!(found, Some(own_one));
        }
        assert!(
            own(
                vec![container("shop", "cache", Path::new("/x"))],
                &shop,
                &service(),
                PUBLISHED
            )
            .is_err()
        );
        assert_eq!(own(vec![], &shop, &service(), PUBLISHED), Ok(None));
    }

    #[test]
    fn a_container_that_publishes_on_another_address_is_not_the_one_behind_the_port() {
        let shop = compose("shop", Path::new("/src/shop/compose.yaml"));
        let mut old = container("shop", "db", Path::new("/src/shop/compose.yaml"));
        old.host_ip = Some("192.168.1.7".into());
        let error = own(vec![old.clone()], &shop, &service(), PUBLISHED).unwrap_err();
        assert_eq!(
            error.message,
            "container `shop-db-1` publishes port 5432 on 192.168.1.7, and the Compose file on 127.0.0.1"
        );
        let mut blog = container("blog", "db", Path::new("/src/blog/compose.yaml"));
        blog.host_ip = Some("127.0.0.1".into());
        let error = own(vec![old, blog.clone()], &shop, &service(), PUBLISHED).unwrap_err();
        assert!(error.message.contains("`blog-db-1`"), "{error:?}");
        blog.host_ip = Some("192.168.1.7".into());
        assert_eq!(own(vec![blog], &shop, &service(), PUBLISHED), Ok(None));
    }

    #[test]
    fn the_stack_of_the_main_checkout_is_that_of_its_worktrees_and_of_no_other_clone() {
        let dir = tempfile::tempdir().unwrap();
        let [main, login, clone] = ["main", "login", "clone"].map(|name| dir.path().join(name));
        for tree in [&main, &login, &clone] {
            std::fs::create_dir_all(tree.join("deploy")).unwrap();
            std::fs::write(tree.join("deploy/compose.yaml"), "").unwrap();
        }
        std::fs::create_dir_all(main.join(".git/worktrees/login")).unwrap();
        std::fs::create_dir_all(clone.join(".git")).unwrap();
        std::fs::write(login.join(".git"), "gitdir: ../main/.git/worktrees/login\n").unwrap();
        let file = |tree: &Path| tree.join("deploy/compose.yaml");
        let found = |of: &Path| {
            own(
                vec![container("deploy-of-main", "db", &file(&main))],
                &compose("x", &file(of)),
                &service(),
                PUBLISHED,
            )
            .is_ok()
        };
        assert!(found(&main) && found(&login));
        assert!(!found(&clone));
    }
}
