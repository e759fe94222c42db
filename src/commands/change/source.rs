//! Where a plan comes from: a file, stdin, or what was pasted to be explained.

use std::io::Read;
use std::path::Path;

use serde_json::Value;

use super::ChangeOptions;
use crate::change::plan::{ChangePlan, MOST_BYTES};
use crate::change::{ChangeAccess, explain, read_plan};
use crate::config::Project;
use crate::error::{Code, Error, Errors, Result};
use crate::release::yaml;

/// The plan of the file. One that cannot be read needs no cluster to be refused.
pub(super) fn planned(options: &ChangeOptions) -> Result<Option<ChangePlan>, Errors> {
    let file = options.plan.as_deref();
    file.map(|file| read_plan(&read(file)?, file)).transpose()
}

fn read(file: &Path) -> Result<String> {
    let unreadable = |e: std::io::Error| {
        let error = Error::new(Code::ChangeInvalid, format!("the plan cannot be read: {e}"));
        error.at(file, None)
    };
    let mut text = String::new();
    let read: &mut dyn Read = match file == Path::new("-") {
        true => &mut std::io::stdin().lock(),
        false => &mut std::fs::File::open(file).map_err(unreadable)?,
    };
    // One byte more, so that a plan of that length is not cut into a valid one.
    read.take(MOST_BYTES as u64 + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    Ok(text)
}

/// The plan of what was pasted.
pub(super) async fn explained(
    access: &ChangeAccess,
    project: &Project,
    text: &str,
) -> Result<ChangePlan, Errors> {
    let file = Path::new(text);
    if !file.is_file() {
        let looks_like_file = !text.contains(' ') && text != "kubectl";
        if looks_like_file {
            let what = format!("`{text}` is no file, and no command of kubectl");
            return Err(Error::new(Code::ChangeInvalid, what).into());
        }
        return explain::plan_of_command(text, &project.id);
    }
    let text = read(file)?;
    let objects = objects(&text, file)?;
    let mut there = vec![];
    for object in &objects {
        // What is none of a known kind is told with the other problems of the text.
        if let Ok(object) = explain::object_of(object, &project.id)
            && access.is_there(&object).await?
        {
            there.push(object);
        }
    }
    explain::plan_of_objects(&objects, &project.id, |object| there.contains(object))
}

fn objects(text: &str, file: &Path) -> Result<Vec<Value>> {
    let objects = yaml::parsed(text).into_iter().map(|found| {
        found.map_err(|(message, line)| {
            Error::new(Code::ChangeInvalid, format!("this is no YAML: {message}")).at(file, line)
        })
    });
    objects.collect()
}
