//! The dependencies of a private copy in its `charts/`: those that helm fetches, and those of the user's folders.
//!
//! helm fetches once for what it goes by, which is Chart.yaml, the lock and what is vendored: an edit of a template or of values
//! makes another copy of the chart, and asks no registry. Without a lock the versions stay those that were fetched, until
//! Chart.yaml changes or nobody has used them for as long as a copy is kept.

use std::path::Path;

use super::local::{Local, archive_version};
use super::{MAX_UNUSED_AGE, files};
use crate::error::{Code, Error, Result};
use crate::paths::{forget_old, refused};
use crate::release::hasher::PartsHasher;
use crate::release::helm::Helm;
use crate::shell::quote;

/// The files beside `charts/` that `helm dependency build` goes by.
const DECLARATIONS: [&str; 4] = [
    "Chart.yaml",
    "Chart.lock",
    "requirements.yaml",
    "requirements.lock",
];

/// The folder of a cache with what was fetched.
const KEPT: &str = "dependencies";

/// Puts what helm has to fetch into the copy of a chart.
///
/// # Errors
/// [`Code::ChartDependency`] if helm cannot, [`Code::StateIo`].
pub(super) async fn complete(local: &Local, copy: &Path, helm: &Helm, cache: &Path) -> Result<()> {
    if !local.lacks_a_dependency() {
        return Ok(());
    }
    let charts = copy.join("charts");
    let all = cache.join(KEPT);
    let kept = all.join(key(local));
    if kept.is_dir() {
        files::touch(&kept);
        return replace(&kept, &charts);
    }
    helm.dependency_build(copy)
        .await
        .map_err(|e| dependency_error(e, local))?;
    keep(&charts, &kept)?;
    forget_old(&all, MAX_UNUSED_AGE);
    Ok(())
}

/// Lets a new cache have what helm has fetched for another one, and the other way round.
///
/// # Errors
/// [`Code::StateIo`].
pub fn share_dependencies(from: &Path, to: &Path) -> Result<()> {
    let (kept, link) = (from.join(KEPT), to.join(KEPT));
    files::private_dir(&kept)?;
    files::private_dir(to)?;
    std::os::unix::fs::symlink(kept, &link).map_err(|e| refused("link", &link, &e))
}

/// Stands for what helm goes by.
fn key(local: &Local) -> String {
    let counts = |path: &Path| {
        path.starts_with("charts") || DECLARATIONS.iter().any(|file| path == Path::new(file))
    };
    let entries = local.entries.iter().filter(|entry| counts(&entry.path));
    let hashed = entries.fold(PartsHasher::default(), |hasher, entry| {
        hasher
            .part(entry.path.as_os_str().as_encoded_bytes())
            .part(&entry.content)
    });
    hashed.hex()
}

/// Keeps what helm has made of `charts/`. It stands under its key once it is whole.
fn keep(charts: &Path, kept: &Path) -> Result<()> {
    let temp = files::begin(kept)?;
    if charts.is_dir() {
        files::write(&files::read(charts)?, temp.path())?;
    }
    files::finish(&temp, kept)
}

fn replace(kept: &Path, charts: &Path) -> Result<()> {
    if charts.is_dir() {
        std::fs::remove_dir_all(charts).map_err(|e| refused("write", charts, &e))?;
    }
    files::write(&files::read(kept)?, charts)
}

/// Puts an unpacked dependency into `charts/` in place of whatever version of it is there.
pub(super) fn vendor(from: &Path, charts: &Path, name: &str) -> Result<()> {
    let target = charts.join(name);
    if from == target {
        return Ok(());
    }
    let io = |e: std::io::Error| refused("write", charts, &e);
    for item in std::fs::read_dir(charts).into_iter().flatten() {
        let item = item.map_err(io)?;
        let file = item.file_name();
        if file
            .to_str()
            .is_some_and(|file| archive_version(file, name).is_some())
        {
            std::fs::remove_file(item.path()).map_err(io)?;
        }
    }
    if target.is_dir() {
        std::fs::remove_dir_all(&target).map_err(io)?;
    }
    files::write(&files::read(from)?, &target)
}

fn dependency_error(error: Error, local: &Local) -> Error {
    if error.code != Code::CommandFailed {
        return error;
    }
    let unknown_repository = error
        .evidence
        .iter()
        .any(|line| line.contains("helm repo add"));
    let remote = local
        .dependencies
        .iter()
        .find(|d| d.repository.starts_with("http"));
    let hint = match remote.filter(|_| unknown_repository) {
        Some(d) => format!("helm repo add {} {}", quote(&d.name), quote(&d.repository)),
        None => format!("helm dependency update {}", quote(&local.source)),
    };
    Error {
        code: Code::ChartDependency,
        message: format!(
            "the dependencies of chart `{}` cannot be fetched",
            local.name
        ),
        ..error
    }
    .hint(hint)
    .at(local.source.join("Chart.yaml"), None)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::super::prepare::fixture;
    use super::super::Chart;
    use super::*;
    use crate::config::{ReleaseConfig, ReleaseSource};

    #[tokio::test]
    async fn an_edit_of_a_template_fetches_nothing_again() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        // In the place of the registry: what helm would have fetched.
        let script = format!(
            "#!/bin/sh\necho \"$1 $2\" >> {}\nmkdir -p \"$3/charts\"\necho fetched > \"$3/charts/redis-1.2.3.tgz\"\n",
            at("runs").display()
        );
        std::fs::write(at("helm"), script).unwrap();
        std::fs::set_permissions(at("helm"), PermissionsExt::from_mode(0o755)).unwrap();
        let helm = Helm::at(at("helm"));
        std::fs::create_dir_all(at("shop/templates")).unwrap();
        let release = ReleaseConfig {
            source: ReleaseSource::Chart(at("shop")),
            ..fixture::release()
        };
        let (file, template) = ("shop/Chart.yaml", "shop/templates/a.yaml");
        let declared = |range: &str| {
            format!(
                "name: shop\ndependencies: [{{name: redis, version: {range}, repository: 'https://charts.invalid'}}]\n"
            )
        };
        let mut hashes = vec![];
        for (edited, text, runs) in [
            (file, declared("1.x"), 1),
            (template, "a: 1".to_owned(), 1),
            (template, "a: 2".to_owned(), 1),
            (file, declared("^1.2.0"), 2),
        ] {
            std::fs::write(at(edited), text).unwrap();
            assert!(!Chart::is_copied(&release, &at("cache")));
            let chart = Chart::open(&release, &helm, &at("cache")).await.unwrap();
            assert!(Chart::is_copied(&release, &at("cache")));
            let archive = chart.dir.join("charts/redis-1.2.3.tgz");
            assert_eq!(std::fs::read_to_string(archive).unwrap(), "fetched\n");
            let ran = std::fs::read_to_string(at("runs")).unwrap();
            assert_eq!(ran, "dependency build\n".repeat(runs), "{edited}");
            hashes.push(chart.hash);
        }
        hashes.dedup();
        assert_eq!(hashes.len(), 4, "each edit is another copy");
    }
}
