//! A project over its profile, and a profile as a project of its own: trees that are merged before they are decoded.

use std::path::{Path, PathBuf};

use include_dir::Dir;

use super::checkout::{self, Checkout};
use super::read::{FILE, read, tree, without};
use super::yaml::{ConfigData, ConfigEntry, ConfigNode, parse};
use super::{check, merge, profile, schema};
use crate::error::{Code, Error, Result};
use crate::paths::Paths;

/// The tree over that of the profile it names, if it names one. The profile's name stays behind: it is
/// that of the profile as a project of its own. None if the profile cannot be had.
pub(super) fn over_profile(
    tree: ConfigNode,
    root: &Path,
    paths: &Paths,
    profiles: &Dir<'_>,
    problems: &mut Vec<Error>,
) -> Option<ConfigNode> {
    let Some(node) = tree.get("profile").filter(|node| !node.is_null()) else {
        return Some(tree);
    };
    let base = node.text().and_then(|name| {
        let profile = profile_tree(name, root, paths, profiles, problems);
        profile
            .map_err(|problem| problems.push(problem.at(&node.place.file, node.place.line)))
            .ok()?
            .tree
    });
    if base.is_none() {
        check_alone(&tree, problems);
    }
    base.map(|base| merge::merge(without(base, "name"), tree, &schema::ROOT))
}

/// Checks a file whose profile is not there for what no profile could mend.
fn check_alone(tree: &ConfigNode, problems: &mut Vec<Error>) {
    let mut found = Vec::new();
    check::check(tree, &schema::ROOT, "", &mut found);
    problems.extend(
        found
            .into_iter()
            .filter(|problem| problem.code != Code::ConfigMissingKey),
    );
}

/// A profile as it was read.
pub(super) struct ProfileTree {
    pub(super) file: PathBuf,
    /// The checkout that has the real stack, which is then what the tree says.
    pub(super) checkout: Option<PathBuf>,
    pub(super) tree: Option<ConfigNode>,
}

/// A profile's file, written to the data folder, and its tree; `near` is where a checkout is looked for.
pub(super) fn profile_tree(
    name: &str,
    near: &Path,
    paths: &Paths,
    profiles: &Dir<'_>,
    problems: &mut Vec<Error>,
) -> Result<ProfileTree> {
    let dir = profile::materialise(profiles, name, &paths.data)?;
    if let Some(found) = checked_out(&dir.join(checkout::FILE), near, problems)? {
        return Ok(found);
    }
    let file = dir.join(FILE);
    let tree = tree(&file, problems)?;
    if let Some(node) = tree.as_ref().and_then(|tree| tree.get("profile")) {
        let error = node
            .place
            .error(Code::ConfigValue, "a profile cannot start from another one");
        problems.push(error.hint("remove the `profile` key"));
    }
    Ok(ProfileTree {
        file,
        checkout: None,
        tree,
    })
}

/// The real stack of a profile, where there is one.
fn checked_out(file: &Path, near: &Path, problems: &mut Vec<Error>) -> Result<Option<ProfileTree>> {
    if !file.exists() {
        return Ok(None);
    }
    let Some(rules) = parse(&read(file)?, file, problems) else {
        return Ok(None);
    };
    let Some(found) = Checkout::find(&rules, near) else {
        return Ok(None);
    };
    let mut tree = found.project(&rules);
    match &mut tree {
        Some(tree) => merge::expand(tree, &schema::ROOT),
        None => problems.push(
            rules
                .place
                .error(Code::ConfigMissingKey, "`project.releases` is missing"),
        ),
    }
    Ok(Some(ProfileTree {
        file: file.to_owned(),
        checkout: Some(found.root),
        tree,
    }))
}

/// A profile as a project of its own is named after the profile, whatever its file says.
pub(super) fn named(tree: ConfigNode, name: &str) -> ConfigNode {
    let mut tree = without(tree, "name");
    if let ConfigData::Map(entries) = &mut tree.data {
        let place = tree.place.clone();
        let data = ConfigData::Scalar {
            text: name.to_owned(),
            plain: false,
        };
        entries.push(ConfigEntry {
            key: "name".to_owned(),
            value: ConfigNode {
                place: place.clone(),
                data,
            },
            place,
        });
    }
    tree
}
