//! What the steps of the tour need of a project: the demo's files and forwards.

use std::path::PathBuf;

use super::DEMO;
use crate::config::Project;
use crate::error::{Code, Error, Result};

pub(super) const API: &str = "api";
pub(super) const WEB: &str = "web";
pub(super) const DATABASE: &str = "postgres";

/// The files of the demo that the user edits.
#[derive(Debug)]
pub(super) struct TourDemo {
    /// The page, which the web server reads for each request.
    pub(super) page: PathBuf,
    /// The API's program, which starts again with each save.
    pub(super) program: PathBuf,
}

impl TourDemo {
    /// # Errors
    /// [`Code::TourProject`] with what is missing: the project is another one than the demo.
    pub(super) fn of(project: &Project) -> Result<Self> {
        let context = |name: &str| {
            let image = project.images.iter().find(|image| image.name == name);
            image.map(|image| image.context.clone())
        };
        let mut missing = vec![];
        let mut file = |image: &str, path: &str| {
            let file = context(image).map(|context| context.join(path));
            match file {
                Some(file) if file.is_file() => file,
                _ => {
                    missing.push(format!(
                        "there is no `{path}` in the context of an image `{image}`"
                    ));
                    PathBuf::new()
                }
            }
        };
        let demo = Self {
            page: file(WEB, "public/index.html"),
            program: file(API, "app/main.py"),
        };
        let forwards = || project.forwards.iter().flatten();
        let has = |name: &&str| forwards().any(|forward| forward.name == **name);
        let names = [API, WEB, DATABASE];
        let lacking = names.iter().filter(|name| !has(name));
        missing.extend(lacking.map(|name| format!("there is no forward `{name}`")));
        if missing.is_empty() {
            return Ok(demo);
        }
        let message = format!("`{}` is not the demo, which the tour is for", project.name);
        Err(Error::new(Code::TourProject, message)
            .evidence(missing.join("\n"))
            .hint(format!("devk tour --profile {DEMO}")))
    }
}
