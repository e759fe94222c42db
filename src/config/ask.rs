//! With whose rights single objects are changed, and up to which risk nobody is asked: what `ask:` says in devk.yaml, which
//! is the repository's, and in the user's own configuration. A repository never gets more than the user gives.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// `ask:` of devk.yaml: it lowers what the user gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AskConfig {
    /// None: as the user says.
    pub role: Option<AskRole>,
    /// None: as the user says.
    pub yes: Option<AskYes>,
}

/// Whose rights a change has, from the fewest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AskRole {
    Viewer,
    Operator,
    Admin,
}

/// A risk up to which nobody need be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AskYes {
    Reversible,
    Disruptive,
}

/// How much an answer of `devk ask` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AskMode {
    /// What its terms mean, too.
    Beginner,
    #[default]
    Standard,
    /// The answer, the command of kubectl, and what is to be known about the answer.
    Expert,
}

/// `ask:` of the user's configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserAsk {
    /// The user's file, whether it is there or not.
    pub file: PathBuf,
    /// On clusters that devk made; None: operator.
    pub role: Option<AskRole>,
    /// None: `--yes` is refused.
    pub yes: Option<AskYes>,
    /// On clusters that devk did not make, by their contexts; viewer on all others.
    pub contexts: BTreeMap<String, AskRole>,
    /// The models for what devk does not understand, in the order in which they are asked.
    pub models: Vec<String>,
    /// Models are given other names for the objects.
    pub hides_names: bool,
    /// How much answers say.
    pub mode: Option<AskMode>,
    /// What variables ask for beyond what the file gives, as sentences.
    pub beyond: Vec<String>,
    /// A variable has lowered the role.
    pub is_lowered: bool,
}

/// What the user gives a project on a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskRights {
    pub role: AskRole,
    /// Up to this risk nobody need be asked.
    pub yes: Option<AskYes>,
    /// What devk.yaml asks for beyond that, as sentences.
    pub beyond: Vec<String>,
    /// devk.yaml has lowered the role.
    lowered: bool,
    /// `DEVK_ASK_ROLE` has.
    lowered_by_variable: bool,
    /// The context of a cluster that devk did not make.
    context: Option<String>,
    file: PathBuf,
}

impl AskRole {
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// As devk.yaml spells it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == text)
    }
}

impl AskYes {
    pub(super) const ALL: [Self; 2] = [Self::Reversible, Self::Disruptive];

    /// As devk.yaml spells it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reversible => "reversible",
            Self::Disruptive => "disruptive",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|yes| yes.word() == text)
    }
}

impl AskMode {
    const ALL: [Self; 3] = [Self::Beginner, Self::Standard, Self::Expert];

    /// As the user's configuration spells it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Beginner => "beginner",
            Self::Standard => "standard",
            Self::Expert => "expert",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.word() == text)
    }
}

impl UserAsk {
    /// Takes what variables say over the file: in CI as it is; elsewhere they only lower, for a repository may set them.
    pub(super) fn vary(&mut self, role: Option<AskRole>, yes: Option<AskYes>, is_ci: bool) {
        let given = self.role.unwrap_or(AskRole::Operator);
        if let Some(role) = role {
            if role > given && !is_ci {
                let (role, given) = (role.word(), given.word());
                self.beyond.push(format!(
                    "DEVK_ASK_ROLE asks for the role `{role}`, and without CI=true it only lowers: your configuration gives `{given}`"
                ));
            }
            self.is_lowered = role < given;
            self.role = Some(if is_ci { role } else { role.min(given) });
        }
        if let Some(yes) = yes {
            if Some(yes) > self.yes && !is_ci {
                let yes = yes.word();
                self.beyond.push(format!(
                    "DEVK_ASK_YES asks to leave what is {yes} unasked, and without CI=true it only lowers: your configuration leaves {} unasked",
                    self.yes.map_or("nothing", AskYes::word)
                ));
            }
            self.yes = match is_ci {
                true => Some(yes),
                false => self.yes.min(Some(yes)),
            };
        }
    }

    /// What a project gets that has `asked` for it in its devk.yaml. `context` is that of a cluster that devk did not make:
    /// there nothing is left unasked.
    pub fn rights(&self, asked: &AskConfig, context: Option<&str>) -> AskRights {
        let given = match context {
            None => self.role.unwrap_or(AskRole::Operator),
            Some(context) => *self.contexts.get(context).unwrap_or(&AskRole::Viewer),
        };
        let unasked = self.yes.filter(|_| context.is_none());
        // On other clusters the variables say nothing.
        let mut beyond = match context {
            None => self.beyond.clone(),
            Some(_) => vec![],
        };
        if let Some(role) = asked.role.filter(|role| *role > given) {
            let (role, given) = (role.word(), given.word());
            beyond.push(format!(
                "devk.yaml asks for the role `{role}`, and only you can give it: you give `{given}`"
            ));
        }
        if let Some(yes) = asked.yes.filter(|yes| Some(*yes) > unasked) {
            let yes = yes.word();
            beyond.push(format!(
                "devk.yaml asks to leave what is {yes} unasked, and only you can: you leave {} unasked",
                unasked.map_or("nothing", AskYes::word)
            ));
        }
        AskRights {
            role: asked.role.map_or(given, |role| role.min(given)),
            yes: match asked.yes {
                Some(yes) => unasked.map(|unasked| unasked.min(yes)),
                None => unasked,
            },
            beyond,
            lowered: asked.role.is_some_and(|role| role < given),
            lowered_by_variable: self.is_lowered && context.is_none(),
            context: context.map(str::to_owned),
            file: self.file.clone(),
        }
    }
}

impl AskRights {
    /// Where a higher role would come from.
    pub fn how_to_get(&self, role: AskRole) -> String {
        let (word, file) = (role.word(), self.file.display());
        match &self.context {
            _ if self.lowered => format!(
                "devk.yaml lowers the role to `{}`: raise or remove its `ask.role`",
                self.role.word()
            ),
            _ if self.lowered_by_variable => format!(
                "the variable DEVK_ASK_ROLE lowers the role to `{}`: unset DEVK_ASK_ROLE",
                self.role.word()
            ),
            Some(_) if role == AskRole::Admin => {
                "no role of devk has it on a cluster that devk did not make; kubectl may do it with your own rights"
                    .to_owned()
            }
            Some(context) => {
                let context = serde_json::Value::from(context.as_str());
                format!("in {file}: ask: {{contexts: {{{context}: {word}}}}}")
            }
            None => format!("in {file}: ask: {{role: {word}}}"),
        }
    }

    /// Where a higher risk would be left unasked.
    pub fn how_to_leave_unasked(&self) -> String {
        match self.context {
            Some(_) => "on a cluster that devk did not make every change is asked about".to_owned(),
            None => format!("in {}: ask: {{yes: disruptive}}", self.file.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(role: Option<AskRole>, yes: Option<AskYes>) -> UserAsk {
        UserAsk {
            file: "/settings/config.yaml".into(),
            role,
            yes,
            contexts: [("team".to_owned(), AskRole::Operator)].into(),
            ..UserAsk::default()
        }
    }

    fn asked(role: Option<AskRole>, yes: Option<AskYes>) -> AskConfig {
        AskConfig { role, yes }
    }

    #[test]
    fn a_repository_lowers_what_the_user_gives_and_never_raises_it() {
        for given in [
            None,
            Some(AskRole::Viewer),
            Some(AskRole::Operator),
            Some(AskRole::Admin),
        ] {
            let most = given.unwrap_or(AskRole::Operator);
            for role in AskRole::ALL {
                let rights = user(given, None).rights(&asked(Some(role), None), None);
                assert_eq!(rights.role, role.min(most), "{given:?} {role:?}");
                assert_eq!(rights.beyond.is_empty(), role <= most, "{rights:?}");
            }
            assert_eq!(
                user(given, None).rights(&asked(None, None), None).role,
                most
            );
        }
        let all = [None, Some(AskYes::Reversible), Some(AskYes::Disruptive)];
        for given in all {
            for yes in all {
                let rights = user(None, given).rights(&asked(None, yes), None);
                let expected = yes.map_or(given, |_| given.min(yes));
                assert_eq!(rights.yes, expected, "{given:?} {yes:?}");
                assert_eq!(rights.beyond.is_empty(), yes <= given, "{rights:?}");
            }
        }
    }

    #[test]
    fn on_a_cluster_of_somebody_else_only_a_named_context_has_more_than_a_viewer() {
        let user = user(Some(AskRole::Admin), Some(AskYes::Disruptive));
        let on = |context| user.rights(&asked(Some(AskRole::Admin), None), Some(context));
        let (named, other) = (on("team"), on("prod"));
        assert_eq!((named.role, named.yes), (AskRole::Operator, None));
        assert_eq!((other.role, other.yes), (AskRole::Viewer, None));
        assert_eq!(
            other.how_to_get(AskRole::Operator),
            "in /settings/config.yaml: ask: {contexts: {\"prod\": operator}}"
        );
    }

    #[test]
    fn whoever_lowered_the_role_is_named() {
        let lowered = user(Some(AskRole::Admin), None)
            .rights(&asked(Some(AskRole::Viewer), None), None)
            .how_to_get(AskRole::Operator);
        assert!(lowered.starts_with("devk.yaml lowers"), "{lowered}");
        let given = user(None, None).rights(&asked(None, None), None);
        assert_eq!(
            given.how_to_get(AskRole::Admin),
            "in /settings/config.yaml: ask: {role: admin}"
        );
    }
}
