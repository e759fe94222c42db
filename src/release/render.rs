//! `helm template` without a cluster, cached: the same inputs and the same helm render once.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::capabilities::Capabilities;
use super::files;
use super::hasher::PartsHasher;
use super::helm::Helm;
use super::manifest::Rendered;
use super::post_renderer::unreadable;
use super::prepare::Prepared;
use super::rewrite::ManifestChange;
use super::unparsed;
use crate::error::{Code, Error, Result};
use crate::paths::{forget_old, remove_dir, write_atomic};

/// Renderings hold secrets: those not used for this long are removed.
const MAX_UNUSED_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// A rendered release: helm's text, and what devk reads in it.
#[derive(Clone, Default)]
pub struct Rendering {
    text: String,
    pub rendered: Rendered,
}

impl fmt::Debug for Rendering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text holds secrets.
        f.debug_struct("Rendering").finish_non_exhaustive()
    }
}

impl Rendering {
    fn parse(text: String, prepared: &Prepared) -> Result<Self> {
        let mut rendered = Rendered::parse(&text).map_err(|e| at_template(e, prepared))?;
        for manifest in &mut rendered.manifests {
            if let Some(shown) = prepared.chart.shown(&manifest.source) {
                manifest.source = shown;
            }
        }
        Ok(Self { text, rendered })
    }

    /// helm's text, secrets included.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// What is installed, once the changes of `prepared` are made, and which changes those are.
    ///
    /// # Errors
    /// [`Code::ChartRender`] if a document to change is not valid YAML.
    pub fn rewritten(self, prepared: &Prepared) -> Result<(Rendered, Vec<ManifestChange>)> {
        let rewritten = prepared.rewrite.apply(&self.text);
        let (text, changes) = rewritten.map_err(|e| at_template(unreadable(e), prepared))?;
        match changes.is_empty() {
            true => Ok((self.rendered, changes)),
            false => Ok((Self::parse(text, prepared)?.rendered, changes)),
        }
    }
}

/// Renders a release as its chart is. `capabilities` are what the chart's templates see of the cluster. The text is kept
/// in `<cache>/render/<project>/`, for the user's eyes only.
///
/// # Errors
/// [`Code::ChartRender`] with helm's message, at the line of the user's template if helm names one.
pub async fn render(
    prepared: &Prepared,
    helm: &Helm,
    capabilities: &Capabilities,
    cache: &Path,
) -> Result<Rendering> {
    let dir = project_dir(cache, &prepared.namespace);
    let capabilities = match prepared.chart.asks_capabilities {
        true => capabilities.arguments(),
        false => vec![],
    };
    let file = dir
        .join(key(prepared, helm, &capabilities)?)
        .with_extension("yaml");
    if let Ok(text) = std::fs::read_to_string(&file) {
        files::touch(&file);
        return Rendering::parse(text, prepared);
    }
    let text = template(prepared, helm, &capabilities).await?;
    let rendering = Rendering::parse(text, prepared)?;
    files::private_dir(&dir)?;
    write_atomic(&file, rendering.text.as_bytes(), 0o600)?;
    for project in std::fs::read_dir(cache.join("render"))
        .into_iter()
        .flatten()
        .flatten()
    {
        forget_old(&project.path(), MAX_UNUSED_AGE);
    }
    Ok(rendering)
}

/// Notes that a chart does not render with these values, and does with an image in them: without the note helm would run
/// in vain each time.
///
/// # Errors
/// [`Code::StateIo`].
pub fn note_demand(prepared: &Prepared, helm: &Helm, cache: &Path) -> Result<()> {
    write_atomic(&demand(prepared, helm, cache)?, b"", 0o600)
}

/// Whether that was noted.
pub fn demands_image(prepared: &Prepared, helm: &Helm, cache: &Path) -> bool {
    let Ok(note) = demand(prepared, helm, cache) else {
        return false;
    };
    files::touch(&note);
    note.exists()
}

fn demand(prepared: &Prepared, helm: &Helm, cache: &Path) -> Result<PathBuf> {
    let file = project_dir(cache, &prepared.namespace).join(key(prepared, helm, &[])?);
    Ok(file.with_extension("demand"))
}

fn project_dir(cache: &Path, project: &str) -> PathBuf {
    cache.join("render").join(project)
}

/// Removes the renderings of a project, and the secrets in them.
///
/// # Errors
/// [`Code::StateIo`].
pub fn forget(cache: &Path, project: &str) -> Result<()> {
    remove_dir(&project_dir(cache, project))
}

fn key(prepared: &Prepared, helm: &Helm, capabilities: &[String]) -> Result<String> {
    let key = PartsHasher::default()
        .part(&prepared.values_hash)
        .part(helm.identity()?);
    Ok(capabilities.iter().fold(key, PartsHasher::part).hex())
}

async fn template(prepared: &Prepared, helm: &Helm, capabilities: &[String]) -> Result<String> {
    let cmd = helm
        .cmd("template")
        .arg(&prepared.name)
        .arg(&prepared.chart.dir)
        .args(["--namespace", &prepared.namespace])
        .args(prepared.values_args())
        .args(capabilities);
    match cmd.run().await {
        Ok(output) => Ok(output.stdout),
        Err(e) if e.code == Code::CommandFailed => {
            let error = at_template(render_error(e, prepared), prepared);
            Err(unparsed::explained(error, prepared, cmd.arg("--debug")).await)
        }
        Err(e) => Err(e),
    }
}

fn render_error(error: Error, prepared: &Prepared) -> Error {
    let (command, output) = error
        .evidence
        .split_first()
        .map_or((None, &[][..]), |(first, rest)| (Some(first.clone()), rest));
    let output: Vec<_> = output
        .iter()
        .map(|line| users_paths(line, prepared))
        .collect();
    let cause = output
        .iter()
        .find_map(|line| line.strip_prefix("Error: "))
        .or(output.first().map(String::as_str));
    let message = format!(
        "the chart of release `{}` does not render: {}",
        prepared.name,
        cause.unwrap_or("helm failed")
    );
    let evidence = command.into_iter().chain(output).collect();
    Error {
        code: Code::ChartRender,
        message,
        evidence,
        ..error
    }
    .hint("fix the named file and run `devk up` again")
}

/// Names the user's files instead of devk's copies of them.
fn users_paths(line: &str, prepared: &Prepared) -> String {
    let values = prepared.values.iter().zip(&prepared.values_sources);
    let line = values.fold(line.to_owned(), |line, (ours, theirs)| {
        line.replace(&*ours.to_string_lossy(), &theirs.to_string_lossy())
    });
    prepared.chart.in_users_words(&line)
}

/// Points at the user's file that the message names, else at the release.
fn at_template(error: Error, prepared: &Prepared) -> Error {
    let text = format!(
        "{}\n{}",
        error.message,
        error.evidence.get(1..).unwrap_or_default().join("\n")
    );
    match locate(&text, prepared) {
        Some((file, line)) => error.at(file, line),
        None => error.at(&prepared.origin.file, prepared.origin.line),
    }
}

/// The last `chart/path:line:column` in helm's message is the innermost, where the cause is; else
/// any path without a line.
fn locate(text: &str, prepared: &Prepared) -> Option<(PathBuf, Option<u32>)> {
    let words = text.split(|c: char| c.is_whitespace() || "\"'`()<>,".contains(c));
    let places: Vec<_> = words.filter_map(|word| place(word, prepared)).collect();
    places
        .iter()
        .rev()
        .find(|(_, line)| line.is_some())
        .or(places.first())
        .cloned()
}

fn place(word: &str, prepared: &Prepared) -> Option<(PathBuf, Option<u32>)> {
    let mut parts = word.split(':');
    let path = parts.next()?;
    let user_value = || {
        prepared
            .values_sources
            .iter()
            .find(|file| file.as_os_str() == path)
            .cloned()
    };
    let file = prepared.chart.user_file(path).or_else(user_value)?;
    Some((file, parts.next().and_then(|line| line.parse().ok())))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::prepare::fixture;
    use super::*;

    const NONE: Capabilities = Capabilities {
        kube_version: None,
        api_versions: BTreeSet::new(),
    };

    /// A fake helm that prints a rendering, or fails as the real one does, and counts its runs.
    #[cfg(unix)]
    fn fake_helm(dir: &Path, script: &str) -> Helm {
        use std::os::unix::fs::PermissionsExt;
        let file = dir.join("helm");
        std::fs::write(
            &file,
            format!("#!/bin/sh\necho run >> {}/runs\n{script}\n", dir.display()),
        )
        .unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        Helm::at(file)
    }

    fn chart_file(dir: &Path, path: &str) -> PathBuf {
        let file = dir.join("chart").join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "").unwrap();
        file
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn the_same_inputs_run_helm_once_and_the_text_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let helm = fake_helm(dir.path(), "printf 'kind: A\\nmetadata: {name: a}\\n'");
        let mut prepared = fixture::prepared(dir.path());
        for _ in 0..2 {
            assert_eq!(
                render(&prepared, &helm, &NONE, dir.path())
                    .await
                    .unwrap()
                    .rendered
                    .manifests
                    .len(),
                1
            );
        }
        let runs = || {
            std::fs::read_to_string(dir.path().join("runs"))
                .unwrap()
                .lines()
                .count()
        };
        assert_eq!(runs(), 1);
        prepared.values_hash = "1".repeat(40);
        render(&prepared, &helm, &NONE, dir.path()).await.unwrap();
        assert_eq!(runs(), 2);

        let cache = project_dir(dir.path(), &prepared.namespace);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&cache), 0o700);
        assert!(
            std::fs::read_dir(&cache)
                .unwrap()
                .all(|item| mode(&item.unwrap().path()) == 0o600)
        );
        forget(dir.path(), &prepared.namespace).unwrap();
        assert!(!cache.exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_chart_that_demands_an_image_is_known_by_its_values() {
        let dir = tempfile::tempdir().unwrap();
        let helm = fake_helm(dir.path(), "exit 1");
        let mut prepared = fixture::prepared(dir.path());
        assert!(!demands_image(&prepared, &helm, dir.path()));
        note_demand(&prepared, &helm, dir.path()).unwrap();
        assert!(demands_image(&prepared, &helm, dir.path()));
        prepared.values_hash = "1".repeat(40);
        assert!(!demands_image(&prepared, &helm, dir.path()));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_failure_points_at_the_innermost_line_of_the_users_template() {
        let dir = tempfile::tempdir().unwrap();
        let script = "echo 'Error: template: shop/templates/api.yaml:4:6: executing \"x\" at <include>: error calling include: \
                      template: shop/templates/_helpers.tpl:12:3: nil pointer' >&2; exit 1";
        let helm = fake_helm(dir.path(), script);
        chart_file(dir.path(), "templates/api.yaml");
        let helpers = chart_file(dir.path(), "templates/_helpers.tpl");
        let error = render(&fixture::prepared(dir.path()), &helm, &NONE, dir.path())
            .await
            .unwrap_err();
        assert_eq!(
            (error.code, error.file, error.line),
            (Code::ChartRender, Some(helpers), Some(12))
        );
        assert!(error.evidence[0].starts_with("$ ") && error.evidence[0].contains("template shop"));
    }

    #[test]
    fn yaml_errors_name_the_template_without_a_line_of_the_output() {
        let dir = tempfile::tempdir().unwrap();
        let file = chart_file(dir.path(), "templates/api.yaml");
        let prepared = fixture::prepared(dir.path());
        let text = "YAML parse error on shop/templates/api.yaml: error converting YAML to JSON: yaml: line 7: oops";
        assert_eq!(locate(text, &prepared), Some((file, None)));
    }

    #[test]
    fn a_private_values_file_is_named_as_the_users() {
        let mut prepared = fixture::prepared(Path::new("/p"));
        prepared.values = vec!["/state/0.yaml".into()];
        prepared.values_sources = vec!["/p/values-dev.yaml".into()];
        assert_eq!(
            users_paths("failed to parse /state/0.yaml: x", &prepared),
            "failed to parse /p/values-dev.yaml: x"
        );
    }
}
