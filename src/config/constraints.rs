//! What charts are asked for beside the rules of `devk chart check`: `check:` of devk.yaml over `.devk/constraints.yaml`,
//! the file that a team shares.

use std::path::Path;

use super::schema::{self, Shape};
use super::yaml::parse;
use super::{Origin, Project, check, decode};
use crate::error::{Errors, Result};
use crate::paths::refused;

/// The team's file, from the folder of devk.yaml.
pub const CONSTRAINTS_FILE: &str = ".devk/constraints.yaml";

/// `check:` of devk.yaml.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckConfig {
    /// A range of versions.
    pub kubernetes: Option<String>,
    /// Empty: any.
    pub registries: Vec<String>,
    /// Empty: any.
    pub storage_classes: Vec<String>,
    /// Empty: any.
    pub ingress_classes: Vec<String>,
    /// On every workload.
    pub labels: Vec<String>,
    /// On the pods of every workload.
    pub annotations: Vec<String>,
    /// A quantity.
    pub max_cpu: Option<String>,
    /// A quantity.
    pub max_memory: Option<String>,
    pub network_policy: bool,
    pub monitoring: bool,
    pub backup: bool,
    /// Rules that are off by default.
    pub enable: Vec<String>,
    /// Where that stands.
    pub enabled_at: Option<Origin>,
    pub ignore: Vec<IgnoreConfig>,
}

/// Findings that do not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoreConfig {
    pub rule: String,
    /// `Deployment/api`, with `*` for any text; None: every object.
    pub object: Option<String>,
    /// None: every chart.
    pub chart: Option<String>,
    pub reason: String,
    /// The last day.
    pub until: Option<jiff::civil::Date>,
    pub origin: Origin,
}

impl CheckConfig {
    /// These over the team's: what they say replaces what the team says; demands, enabled rules and ignores of both count.
    #[must_use]
    pub fn over(self, team: Self) -> Self {
        let list = |own: Vec<String>, team: Vec<String>| match own.is_empty() {
            true => team,
            false => own,
        };
        let both = |own: Vec<String>, team: Vec<String>| {
            let added = own.into_iter().filter(|item| !team.contains(item));
            let added: Vec<_> = added.collect();
            team.iter().cloned().chain(added).collect()
        };
        Self {
            kubernetes: self.kubernetes.or(team.kubernetes),
            registries: list(self.registries, team.registries),
            storage_classes: list(self.storage_classes, team.storage_classes),
            ingress_classes: list(self.ingress_classes, team.ingress_classes),
            labels: both(self.labels, team.labels),
            annotations: both(self.annotations, team.annotations),
            max_cpu: self.max_cpu.or(team.max_cpu),
            max_memory: self.max_memory.or(team.max_memory),
            network_policy: self.network_policy || team.network_policy,
            monitoring: self.monitoring || team.monitoring,
            backup: self.backup || team.backup,
            enable: both(self.enable, team.enable),
            enabled_at: self.enabled_at.or(team.enabled_at),
            ignore: team.ignore.into_iter().chain(self.ignore).collect(),
        }
    }
}

/// The team's constraints of a folder; none if there is no such file.
///
/// # Errors
/// All problems of the file together.
pub fn team_constraints(root: &Path) -> Result<CheckConfig, Errors> {
    let file = root.join(CONSTRAINTS_FILE);
    if !file.exists() {
        return Ok(CheckConfig::default());
    }
    let text = std::fs::read_to_string(&file).map_err(|e| refused("read", &file, &e))?;
    parsed_constraints(&text, &file)
}

/// `check:` of a project over the team's constraints.
///
/// # Errors
/// As [`team_constraints`].
pub fn project_constraints(project: &Project) -> Result<CheckConfig, Errors> {
    let team = team_constraints(&project.root)?;
    Ok(project.check.clone().over(team))
}

/// The nearest folder with the team's file: this one, or one above it.
pub fn constraints_above(dir: &Path) -> Option<&Path> {
    dir.ancestors()
        .find(|dir| dir.join(CONSTRAINTS_FILE).exists())
}

/// The constraints of a text with the keys of `check:`; `file` is what problems name.
///
/// # Errors
/// All problems of the text together.
pub fn parsed_constraints(text: &str, file: &Path) -> Result<CheckConfig, Errors> {
    let mut problems = vec![];
    let tree = parse(text, file, &mut problems);
    let found = tree.map(|tree| {
        check::check(&tree, &Shape::Object(schema::CHECK), "", &mut problems);
        decode::check(&tree)
    });
    found
        .filter(|_| problems.is_empty())
        .ok_or(Errors(problems))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn team(text: &str) -> Result<CheckConfig, Errors> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(".devk")).unwrap();
        std::fs::write(dir.path().join(CONSTRAINTS_FILE), text).unwrap();
        team_constraints(dir.path())
    }

    #[test]
    fn the_projects_constraints_stand_over_the_teams() {
        let theirs =
            team("maxMemory: 4Gi\nlabels: [team]\nregistries: [a]\nbackup: true\n").unwrap();
        let own = team("maxMemory: 1Gi\nlabels: [tier, team]\n").unwrap();
        let both = own.over(theirs);
        assert_eq!(both.max_memory.as_deref(), Some("1Gi"));
        assert_eq!(both.labels, ["team", "tier"]);
        assert_eq!(both.registries, ["a"]);
        assert!(both.backup);
        let nowhere = tempfile::tempdir().unwrap();
        assert_eq!(
            team_constraints(nowhere.path()).unwrap(),
            CheckConfig::default()
        );
    }

    #[test]
    fn every_mistake_of_the_teams_file_is_told_with_its_line() {
        let text =
            "maxMemory: lots\nlabel: [x]\nignore:\n- {rule: a, until: tomorrow}\nkubernetes: new\n";
        let errors = team(text).unwrap_err().0;
        let mut lines: Vec<_> = errors.iter().filter_map(|error| error.line).collect();
        lines.sort_unstable();
        assert_eq!(lines, [1, 2, 4, 4, 5], "{errors:?}");
        let unknown = errors.iter().find(|error| error.line == Some(2)).unwrap();
        assert_eq!(unknown.hint.as_deref(), Some("did you mean `labels`?"));
    }
}
