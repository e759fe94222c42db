//! `devk tour`: three steps on the running demo that the user does and devk confirms.
//!
//! devk edits no file and writes no note: it says what to do, waits, and looks whether it came to pass, at the file, at
//! the answers of the program behind its forward, at what `devk settle` sees in the containers, and at the container of the
//! database. Each confirmed step is written down, so a tour that was stopped goes on where it was.

mod answers;
mod course;
mod demo;
mod edited;
mod show;
mod stack;
mod stage;

use super::{Context, no_session};
use crate::config::Project;
use crate::daemon::client;
use crate::error::{Code, Errors, Exit, Result};
use crate::shell::quote;
use crate::ui::{self, Format};
use course::Course;
use demo::TourDemo;
use stage::TourRecord;

/// The profile that the tour is for.
const DEMO: &str = "demo";

/// Leads through the steps until the last one is confirmed, or until Ctrl-C; with `restart` from the first one.
///
/// # Errors
/// [`Code::TourProject`] if the project is not the demo, [`Code::SessionNone`] if it does not run, [`Code::TourNote`] if
/// the note of the last step is lost; those of the session.
pub async fn run(mut context: Context, restart: bool) -> Result<Exit, Errors> {
    let project = demo_of(&mut context)?;
    let demo = TourDemo::of(&project)?;
    let record = TourRecord::of(&context.paths, &project.id);
    if restart {
        record.remove()?;
    }
    let course = Course::new(&context, &project, &demo, &record);
    let walked = tokio::select! {
        walked = course.walk() => walked,
        _ = tokio::signal::ctrl_c() => {
            if context.format == Format::Table {
                ui::err(&format!("\nthe tour goes on with `{}`\n", typed(&context, "tour")));
            }
            return Ok(Exit::Interrupted);
        }
    };
    walked.map(|()| Exit::Ok)
}

/// The project that is meant: that of the options or of this folder, and where there is none the built-in demo.
fn demo_of(context: &mut Context) -> Result<Project, Errors> {
    let errors = match context.running_project() {
        Err(errors) => errors,
        found => return found,
    };
    let is_nowhere = errors
        .0
        .iter()
        .all(|error| error.code == Code::ConfigMissing);
    if !is_nowhere || context.source.profile.is_some() || context.source.file.is_some() {
        return Err(errors);
    }
    context.source.profile = Some(DEMO.to_owned());
    context.running_project()
}

/// A command for the same project, as the user types it.
fn typed(context: &Context, command: &str) -> String {
    let source = &context.source;
    match (&source.profile, &source.file) {
        (Some(profile), _) => format!("devk {command} --profile {profile}"),
        (None, Some(file)) => format!("devk {command} --file {}", quote(file)),
        (None, None) if std::env::current_dir().is_ok_and(|here| here == source.dir) => {
            format!("devk {command}")
        }
        (None, None) => format!("devk {command} -C {}", quote(&source.dir)),
    }
}

/// The session of the demo, which has to run.
async fn session(context: &Context, project: &Project) -> Result<client::Following> {
    let following = client::follow(&context.paths, &project.id).await?;
    following.ok_or_else(|| no_session(&project.name).hint(typed(context, "up -d")))
}
