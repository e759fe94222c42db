//! What the user has configured for all projects: `config.yaml` in the user's folder, and environment variables over it for
//! CI. A repository has no part in it.

use crate::environment::Environment;
use crate::error::{Code, Error, Errors};
use crate::paths::{Paths, refused};

use super::ask::{AskRole, AskYes, UserAsk};
use super::schema::{Shape, USER};
use super::yaml::{ConfigNode, parse};
use super::{check, did_you_mean};

/// The file in the user's configuration folder.
pub const USER_FILE: &str = "config.yaml";
/// Over `ask.role`.
const ROLE: &str = "DEVK_ASK_ROLE";
/// Over `ask.yes`.
const YES: &str = "DEVK_ASK_YES";

/// The user's own configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserConfig {
    pub ask: UserAsk,
}

impl UserConfig {
    /// Reads it; without a file and variables nothing is configured.
    ///
    /// # Errors
    /// All problems of the file and of the variables together.
    pub fn load(paths: &Paths, environment: &Environment) -> Result<Self, Errors> {
        let file = paths.config.join(USER_FILE);
        let mut problems = vec![];
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(refused("read", &file, &e).into()),
        };
        let tree = match text.trim() {
            "" => None,
            _ => parse(&text, &file, &mut problems),
        };
        let mut ask = UserAsk::default();
        if let Some(tree) = &tree {
            check::check(tree, &Shape::Object(USER), "", &mut problems);
            if let Some(node) = tree.get("ask") {
                ask = of_file(node, &mut problems);
            }
        }
        ask.file = file;
        let mut over = |name: &str, known: &[&str]| -> Option<String> {
            let text = environment.get(name).filter(|text| !text.is_empty())?;
            if !known.contains(&text) {
                let message = format!("`{text}` is no value of the variable `{name}`");
                let error = Error::new(Code::ConfigValue, message);
                problems.push(error.hint(did_you_mean(text, known.iter().copied(), "values")));
            }
            Some(text.to_owned())
        };
        let role = over(ROLE, &AskRole::ALL.map(AskRole::word));
        let yes = over(YES, &["reversible", "disruptive"]);
        ask.role = role.and_then(|text| AskRole::parse(&text)).or(ask.role);
        ask.yes = yes.and_then(|text| AskYes::parse(&text)).or(ask.yes);
        Errors::unless_empty(problems, Self { ask })
    }
}

fn of_file(node: &ConfigNode, problems: &mut Vec<Error>) -> UserAsk {
    let text = |key: &str| node.get(key).and_then(ConfigNode::text);
    let mut ask = UserAsk {
        role: text("role").and_then(AskRole::parse),
        yes: text("yes").and_then(AskYes::parse),
        ..UserAsk::default()
    };
    let contexts = node.get("contexts").map(ConfigNode::entries);
    for context in contexts.into_iter().flatten() {
        let Some(role) = context.value.text().and_then(AskRole::parse) else {
            continue;
        };
        if role == AskRole::Admin {
            let message = "on a cluster that devk did not make, `operator` is the highest role";
            problems.push(context.value.place.error(Code::ConfigValue, message));
        }
        ask.contexts.insert(context.key.clone(), role);
    }
    ask
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(text: &str, variables: &[(&str, &str)]) -> Result<UserAsk, Errors> {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::below(dir.path());
        std::fs::create_dir_all(&paths.config).unwrap();
        if !text.is_empty() {
            std::fs::write(paths.config.join(USER_FILE), text).unwrap();
        }
        let variables = variables.iter();
        let environment = variables
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let found = UserConfig::load(&paths, &environment)?;
        Ok(found.ask)
    }

    #[test]
    fn variables_stand_over_the_file_and_without_both_nothing_is_given() {
        let nothing = loaded("", &[]).unwrap();
        assert_eq!((nothing.role, nothing.yes), (None, None));
        assert!(nothing.file.ends_with("config/config.yaml"));
        let text = "ask:\n  role: viewer\n  yes: reversible\n  contexts: {team: operator, 'a/b:c': viewer}\n";
        let file = loaded(text, &[]).unwrap();
        assert_eq!(file.role, Some(AskRole::Viewer));
        assert_eq!(file.yes, Some(AskYes::Reversible));
        assert_eq!(file.contexts["team"], AskRole::Operator);
        assert_eq!(file.contexts["a/b:c"], AskRole::Viewer);
        let over = loaded(text, &[(ROLE, "admin"), (YES, "disruptive")]).unwrap();
        assert_eq!(over.role, Some(AskRole::Admin));
        assert_eq!(over.yes, Some(AskYes::Disruptive));
        assert_eq!(loaded("# empty\n", &[(YES, "")]).unwrap().yes, None);
    }

    #[test]
    fn every_mistake_is_told_and_gives_nothing() {
        let text = "ask:\n  rle: admin\n  yes: destructive\n  contexts: {team: admin}\n";
        let errors = loaded(text, &[(ROLE, "admn")]).unwrap_err().0;
        let mut lines: Vec<_> = errors.iter().filter_map(|error| error.line).collect();
        lines.sort_unstable();
        assert_eq!(lines, [2, 3, 4], "{errors:?}");
        let variable = errors.iter().find(|error| error.line.is_none()).unwrap();
        assert_eq!(variable.hint.as_deref(), Some("did you mean `admin`?"));
    }
}
