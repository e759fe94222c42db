//! `devk down --all`: ends every project of this machine that this user has. One that cannot be ended stops none of the
//! others. What belongs to another user or another machine is refused where it is met, as `devk down` refuses it.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::Context;
use super::down::{EndedStack, end};
use crate::config::{ClusterConfig, Project};
use crate::environment::Environment;
use crate::error::{Code, Error, Errors, Exit, Result};
use crate::inventory::{ClusterLook, PlacedProject, ProjectLook, look_at_clusters, placed};
use crate::owner::Owner;
use crate::ui::{self, Format, View};

/// A cluster that does not answer within this time has no project whose devk.yaml is gone.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a person types who wants to lose all data.
const WORDS: &str = "delete all";

/// Stops every project, or with `delete` removes it; `yes` asks nobody.
///
/// # Errors
/// Everything that could not be stopped or removed; [`Code::DownUnconfirmed`].
pub async fn run(context: &Context, delete: bool, yes: bool) -> Result<Exit, Errors> {
    let environment = Environment::of_process();
    let projects = placed(&context.paths, &environment)?;
    let own = Owner::of(Path::new(""), &context.paths).await;
    if projects.is_empty() {
        return nothing(context.format, delete);
    }
    if delete && !yes {
        confirm(&projects)?;
    }
    // Only where a devk.yaml is gone do the clusters have to tell which of them has its project.
    let is_lost = projects.iter().any(|placed| placed.project.is_none());
    let clusters = match is_lost {
        true => look_at_clusters(&projects, &context.paths, &environment, PATIENCE).await,
        false => vec![],
    };
    let mut problems = vec![];
    let mut ended = vec![];
    for project in &projects {
        let outcome = end_one(context, project, &projects, &clusters, &own, delete).await;
        if context.format == Format::Table {
            match &outcome {
                Ok(Some(stack)) => ui::out(&stack.text())?,
                Ok(None) => ui::out(&format!(
                    "`{}` in {} is down: another folder has its namespace\n",
                    project.lessee.project,
                    project.lessee.root.display()
                ))?,
                Err(errors) => ui::errors(errors, Format::Table),
            }
        }
        context.changes.add(told(project, &outcome));
        ended.push(row(project, delete, &outcome));
        problems.extend(outcome.err().into_iter().flat_map(|errors| errors.0));
    }
    match context.format {
        Format::Json => {
            ui::json(&json!({"version": 1, "deleted": delete, "projects": ended}))?;
            Errors::unless_empty(problems, Exit::Ok)
        }
        // Each was shown with its project.
        Format::Table => Ok(problems.first().map_or(Exit::Ok, |first| first.code.exit())),
    }
}

/// What became of a project, for the audit log.
fn told(project: &PlacedProject, outcome: &Result<Option<EndedStack>, Errors>) -> String {
    let lessee = &project.lessee;
    let what = match outcome {
        Ok(Some(stack)) => stack.text().trim_end().to_owned(),
        Ok(None) => "another folder has its namespace".to_owned(),
        Err(errors) => {
            let first = errors.0.first().map(ToString::to_string);
            format!("failed: {}", first.unwrap_or_default())
        }
    };
    format!("{} in {}: {what}", lessee.project, lessee.root.display())
}

fn nothing(format: Format, delete: bool) -> Result<Exit, Errors> {
    match format {
        Format::Json => ui::json(&json!({"version": 1, "deleted": delete, "projects": []}))?,
        Format::Table => ui::out("this machine has no project of yours\n")?,
    }
    Ok(Exit::Ok)
}

/// Only who types the words on a terminal, or gives `--yes`, loses data.
fn confirm(projects: &[PlacedProject]) -> Result<()> {
    let list = projects.iter().map(|project| {
        let lessee = &project.lessee;
        format!("  {} in {}\n", lessee.project, lessee.root.display())
    });
    let list: String = list.collect();
    if !ui::can_ask() {
        let error = Error::new(
            Code::DownUnconfirmed,
            "nobody can be asked: there is no terminal, and nothing was removed",
        );
        return Err(error
            .evidence(list)
            .hint("devk down --all --delete --yes    # removes these projects with their data"));
    }
    ui::err(&format!(
        "This removes, with volumes, secrets and images, {} project(s):\n{list}",
        projects.len()
    ));
    if ui::confirmed_by_typing(WORDS) {
        return Ok(());
    }
    let error = Error::new(Code::DownUnconfirmed, "nothing was removed");
    Err(error.hint("devk down --all    # stops them and keeps their data"))
}

/// None: nothing of it ran, as the namespace or the session of its name is that of another folder of this user.
async fn end_one(
    context: &Context,
    placed: &PlacedProject,
    all: &[PlacedProject],
    clusters: &[ClusterLook],
    own: &Owner,
    delete: bool,
) -> Result<Option<EndedStack>, Errors> {
    let lessee = &placed.lessee;
    let project = match &placed.project {
        Some(project) => project.clone(),
        None => {
            let cluster = cluster_of(placed, clusters, own)?;
            Project::without_file(&lessee.project, &lessee.root, cluster)
        }
    };
    let mut view = View::of(context.format);
    match end(context, &project, delete, &mut view).await {
        Ok(stack) => Ok(Some(stack)),
        Err(errors) if is_of_another_folder(&errors, placed, all) => Ok(None),
        Err(errors) => Err(errors),
    }
}

/// Two clones of one repository have one namespace, and only one of them has it.
fn is_of_another_folder(errors: &Errors, placed: &PlacedProject, all: &[PlacedProject]) -> bool {
    let is_foreign = errors
        .0
        .iter()
        .all(|error| matches!(error.code, Code::NamespaceForeign | Code::SessionProject));
    let mut others = all.iter().map(|other| &other.lessee);
    is_foreign
        && others
            .any(|other| other.project == placed.lessee.project && other.root != placed.lessee.root)
}

/// The cluster of a project whose devk.yaml does not say it: the one that has its namespace, or the only one there is.
fn cluster_of(
    placed: &PlacedProject,
    clusters: &[ClusterLook],
    own: &Owner,
) -> Result<ClusterConfig> {
    let lessee = &placed.lessee;
    let owner = Owner {
        root: lessee.root.clone(),
        ..own.clone()
    };
    let found = ProjectLook::cluster_of(placed, clusters, &owner);
    let only = || match clusters {
        [only] => Some(only),
        _ => None,
    };
    let known = found.or_else(only).map(|cluster| cluster.config.clone());
    known.ok_or_else(|| {
        let message = format!(
            "nothing says on which cluster `{}` is: its devk.yaml in `{}` is gone or names another project, and no \
             cluster that answers has it",
            lessee.project,
            lessee.root.display()
        );
        Error::new(Code::ConfigMissing, message)
            .hint("devk doctor --fix    # removes what folders that are gone left, but for namespaces")
    })
}

fn row(
    placed: &PlacedProject,
    delete: bool,
    outcome: &Result<Option<EndedStack>, Errors>,
) -> Value {
    let ended = match outcome {
        Ok(Some(stack)) => serde_json::to_value(stack).unwrap_or_default(),
        _ => {
            json!({"project": placed.lessee.project, "ending": null, "deleted": delete, "bridge": null})
        }
    };
    let errors = outcome.as_ref().err().map(|errors| &errors.0[..]);
    let mut row = json!({"root": placed.lessee.root, "errors": errors.unwrap_or_default()});
    if let (Some(row), Some(ended)) = (row.as_object_mut(), ended.as_object()) {
        row.extend(ended.clone());
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Lessee;

    fn placed(project: &str, root: &str) -> PlacedProject {
        PlacedProject {
            lessee: Lessee {
                project: project.to_owned(),
                root: root.into(),
            },
            ports: vec![],
            project: None,
        }
    }

    #[test]
    fn without_a_terminal_nobody_is_asked_and_the_error_names_what_would_go() {
        // The tests have no terminal on their standard input.
        let error = confirm(&[placed("shop", "/src/shop")]).unwrap_err();
        assert_eq!(error.code, Code::DownUnconfirmed);
        assert_eq!(error.evidence, ["  shop in /src/shop"]);
        assert!(
            error
                .hint
                .unwrap()
                .starts_with("devk down --all --delete --yes ")
        );
    }

    #[test]
    fn only_the_namespace_of_another_own_folder_is_no_failure() {
        let foreign = Errors::from(Error::new(Code::NamespaceForeign, "x"));
        let one = placed("shop", "/src/shop");
        let clone = placed("shop", "/src/clone");
        let other = placed("other", "/src/other");
        assert!(is_of_another_folder(&foreign, &one, &[one.clone(), clone]));
        assert!(!is_of_another_folder(&foreign, &one, &[one.clone(), other]));
        let session = Errors::from(Error::new(Code::SessionProject, "x"));
        let clones = [one.clone(), placed("shop", "/src/clone")];
        assert!(is_of_another_folder(&session, &one, &clones));
        let lost = Errors::from(Error::new(Code::ClusterUnreachable, "x"));
        let clone = placed("shop", "/src/clone");
        assert!(!is_of_another_folder(&lost, &one, &[one.clone(), clone]));
    }

    #[test]
    fn a_project_that_nothing_places_is_told_with_its_folder() {
        let own = Owner {
            root: "".into(),
            user: Some(7),
            machine: None,
        };
        let error = cluster_of(&placed("shop", "/src/shop"), &[], &own).unwrap_err();
        assert!(error.message.contains("`/src/shop`"), "{}", error.message);
    }
}
