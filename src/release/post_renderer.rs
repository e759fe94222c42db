//! devk as helm's post-renderer: helm hands over what a chart renders to, and installs what comes back.
//!
//! helm 4 knows post-renderers only as plugins (`postrenderer/v1`), found in the folders of `HELM_PLUGINS`; devk gives
//! helm a private folder with the one plugin in it. helm 3 takes a program, and does not pass hooks (helm/helm#7891).

use std::io::{Read, Write};
use std::path::Path;

use super::files;
use super::helm::Version;
use super::prepare::Prepared;
use super::rewrite::Rewrite;
use crate::error::{Code, Error, Result};
use crate::paths::{refused, write_atomic};
use crate::process::Cmd;
use crate::program::program_for_children;

/// The plugin's name, and the hidden command of devk.
const NAME: &str = "post-render";

/// The variable with devk's own program, which the plugin starts.
const PROGRAM: &str = "DEVK_PROGRAM";

/// A subprocess plugin (helm 4, `internal/plugin/metadata_v1.go`).
const PLUGIN: &str = "\
apiVersion: v1
type: postrenderer/v1
name: post-render
version: 1.0.0
runtime: subprocess
runtimeConfig:
  platformCommand:
  - command: ${DEVK_PROGRAM}
";

/// Adds the post-renderer to a helm command, if there is something to rewrite. The plugin's folder is below `state`.
///
/// # Errors
/// [`Code::StateIo`].
pub(super) fn add(cmd: Cmd, prepared: &Prepared, version: Version, state: &Path) -> Result<Cmd> {
    if prepared.rewrite.is_empty() || prepared.chart.wrapped.is_some() {
        return Ok(cmd);
    }
    let program = program_for_children().map_err(|e| {
        Error::new(
            Code::StateIo,
            format!("cannot find devk's own program: {e}"),
        )
    })?;
    let cmd = match version >= Version::PLUGIN_POST_RENDERERS {
        true => {
            let plugins = state.join("helm-plugins");
            let file = plugins.join(NAME).join("plugin.yaml");
            if std::fs::read_to_string(&file).ok().as_deref() != Some(PLUGIN) {
                files::private_dir(&plugins.join(NAME))?;
                write_atomic(&file, PLUGIN.as_bytes(), 0o600)?;
            }
            cmd.env("HELM_PLUGINS", plugins)
                .env(PROGRAM, program)
                .args(["--post-renderer", NAME])
        }
        false => cmd.arg("--post-renderer").arg(program),
    };
    Ok(cmd
        .args(["--post-renderer-args", NAME, "--post-renderer-args"])
        .arg(&prepared.rewrite_file))
}

/// # Errors
/// [`Code::ReleaseApply`] if helm is version 3 and a hook has an image that devk replaces.
pub(super) fn check(prepared: &Prepared, version: Version) -> Result<()> {
    let hooks = &prepared.rewritten_hooks;
    if hooks.is_empty() || version >= Version::PLUGIN_POST_RENDERERS {
        return Ok(());
    }
    let message = format!(
        "hooks of release `{}` would run with the chart's own images: helm 3 hands no hook to a post-renderer",
        prepared.name
    );
    Err(Error::new(Code::ReleaseApply, message)
        .evidence(hooks.join(", "))
        .hint("install helm 4; or name the values that take the images, `images` of the release in devk.yaml")
        .at(&prepared.origin.file, prepared.origin.line))
}

/// The hidden command: rewrites standard input to standard output.
///
/// # Errors
/// [`Code::StateIo`] if the file of changes or the pipes fail, [`Code::ChartRender`] if helm's text cannot be read.
pub fn run(file: &Path) -> Result<()> {
    let text = std::fs::read(file).map_err(|e| refused("read", file, &e))?;
    let rewrite: Rewrite = serde_json::from_slice(&text)
        .map_err(|e| Error::new(Code::StateIo, format!("`{}`: {e}", file.display())))?;
    let pipe = |e: std::io::Error| Error::new(Code::StateIo, format!("helm's pipe: {e}"));
    let mut rendered = String::new();
    std::io::stdin()
        .read_to_string(&mut rendered)
        .map_err(pipe)?;
    let (rewritten, _) = rewrite.apply(&rendered).map_err(unreadable)?;
    std::io::stdout()
        .write_all(rewritten.as_bytes())
        .map_err(pipe)
}

/// A rendered text that the YAML parser refuses.
pub(super) fn unreadable(message: String) -> Error {
    Error::new(
        Code::ChartRender,
        format!("the rendered chart is not valid YAML: {message}"),
    )
}
