//! `devk profiles`: the built-in stacks, and what each of them is.

use serde::Serialize;
use serde_json::json;

use super::Context;
use crate::config::{self, ProfileSummary};
use crate::error::{Errors, Exit};
use crate::ui::{self, Format};

/// The contract of `devk profiles --format json`.
#[derive(Debug, Serialize)]
struct ProfilesDocument {
    version: u32,
    profiles: Vec<ProfileSummary>,
}

/// Prints all profiles, or the README of one.
///
/// # Errors
/// [`crate::error::Code::ConfigProfile`] for an unknown name.
pub fn run(context: &Context, name: Option<&str>) -> Result<Exit, Errors> {
    match (name, context.format) {
        (Some(name), format) => {
            let readme = config::profile_readme(name)?;
            match format {
                Format::Json => ui::json(&json!({"version": 1, "name": name, "readme": readme}))?,
                Format::Table => ui::out(readme)?,
            }
        }
        (None, format) => {
            let profiles = config::profiles(&context.source.dir, &context.paths);
            match format {
                Format::Json => ui::json(&ProfilesDocument {
                    version: 1,
                    profiles,
                })?,
                Format::Table => ui::out(&text(&profiles))?,
            }
        }
    }
    Ok(Exit::Ok)
}

fn text(profiles: &[ProfileSummary]) -> String {
    let paragraphs: Vec<_> = profiles.iter().map(paragraph).collect();
    let first = profiles.first().map_or("NAME", |profile| &profile.name);
    format!(
        "{}\n`devk up --profile NAME` starts one from any folder; `devk profiles {first}` prints its README.\n",
        paragraphs.join("\n")
    )
}

fn paragraph(profile: &ProfileSummary) -> String {
    let mut rows = vec![];
    let mut row = |what: &str, text: String| rows.push(vec![format!("  {what}"), text]);
    match &profile.checkout {
        None => {
            let ports = profile.forwards.iter();
            let ports = ports.map(|forward| format!("{}:{}", forward.name, forward.port));
            row("services", ports.collect::<Vec<_>>().join(" "));
            row("builds", profile.images.join(", "));
        }
        Some(checkout) => {
            row("chart", checkout.chart.display().to_string());
            let files = checkout.compose.iter();
            let files: Vec<_> = files.map(|file| file.display().to_string()).collect();
            let none = "no Compose file beside it".to_owned();
            row(
                "compose",
                if files.is_empty() {
                    none
                } else {
                    files.join(" ")
                },
            );
        }
    }
    let state = if profile.written {
        ""
    } else {
        " (not written yet)"
    };
    row("files", format!("{}{state}", profile.folder.display()));
    format!(
        "{}  {}\n{}",
        profile.name,
        profile.description,
        ui::table(&rows)
    )
}
