//! What the user has configured for all projects: `config.yaml` in the user's folder, and environment variables over it for
//! CI. A repository has no part in it.

use crate::environment::Environment;
use crate::error::{Code, Error, Errors};
use crate::model::{KeySource, ModelBackend, selected};
use crate::paths::Paths;
use crate::shell::quote;

use super::ask::{AskConfig, AskMode, AskRole, AskYes, UserAsk};
use super::decode::{self, entries, text, texts};
use super::format::duration;
use super::read::read;
use super::schema::{Shape, USER};
use super::yaml::{ConfigNode, parse};
use super::{check, did_you_mean};

/// The file in the user's configuration folder.
pub const USER_FILE: &str = "config.yaml";
/// Over `ask.role`, in CI; elsewhere it only lowers it, since a repository may set it (`.envrc`, `.mcp.json`).
const ROLE: &str = "DEVK_ASK_ROLE";
/// Over `ask.yes`, in the same way.
const YES: &str = "DEVK_ASK_YES";
/// Over `ask.models`: names with commas between them.
const MODELS: &str = "DEVK_ASK_MODEL";

/// The user's own configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserConfig {
    pub ask: UserAsk,
    /// The models that have names of the user's own.
    pub models: Vec<ModelBackend>,
}

impl UserConfig {
    /// Reads it; without a file and variables nothing is configured.
    ///
    /// # Errors
    /// All problems of the file and of the variables together.
    pub fn load(paths: &Paths, environment: &Environment) -> Result<Self, Errors> {
        let file = paths.config.join(USER_FILE);
        let mut problems = vec![];
        let is_gone =
            std::fs::metadata(&file).is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound);
        let text = match is_gone {
            true => String::new(),
            // The remedies of devk.yaml are none for the user's own file.
            false => read(&file).map_err(|error| error.hint(remedy(&file)))?,
        };
        let tree = match text.trim() {
            "" => None,
            _ => parse(&text, &file, &mut problems),
        };
        let mut ask = UserAsk::default();
        let mut models = vec![];
        if let Some(tree) = &tree {
            check::check(tree, &Shape::Object(USER), "", &mut problems);
            if let Some(node) = tree.get("ask") {
                ask = of_file(node, &mut problems);
            }
            let nodes = tree
                .get("models")
                .map(ConfigNode::items)
                .unwrap_or_default();
            let found = nodes
                .iter()
                .filter_map(|node| model(node, environment, &mut problems));
            models = found.collect();
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
        let yes = over(YES, &AskYes::ALL.map(AskYes::word));
        ask.vary(
            role.and_then(|text| AskRole::parse(&text)),
            yes.and_then(|text| AskYes::parse(&text)),
            environment.get("CI") == Some("true"),
        );
        if let Some(names) = environment.get(MODELS) {
            let names = names
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty());
            ask.models = names.map(str::to_owned).collect();
        }
        Errors::unless_empty(problems, Self { ask, models })
    }
}

/// What to do about a file that is none, is too large or is no text.
fn remedy(file: &std::path::Path) -> String {
    format!(
        "keep a text file of settings there, or nothing: ls -l {}",
        quote(file)
    )
}

fn of_file(node: &ConfigNode, problems: &mut Vec<Error>) -> UserAsk {
    let AskConfig { role, yes } = decode::ask(node);
    let mut ask = UserAsk {
        role,
        yes,
        models: texts(node, "models").collect(),
        hides_names: text(node, "hideNames") == Some("true"),
        mode: text(node, "mode").and_then(AskMode::parse),
        ..UserAsk::default()
    };
    for context in entries(node, "contexts") {
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

/// A model of the file; None if the check has told what is wrong with it.
fn model(
    node: &ConfigNode,
    environment: &Environment,
    problems: &mut Vec<Error>,
) -> Option<ModelBackend> {
    let text = |key: &str| text(node, key);
    let (name, format, model) = (text("name")?, text("format")?, text("model")?);
    let command: Vec<_> = texts(node, "keyCommand").collect();
    let command = Some(command).filter(|words| !words.is_empty());
    let sources = [
        text("keyVariable").map(|name| KeySource::Variable(name.to_owned())),
        text("keyFile").map(|file| KeySource::File(file.into())),
        command.map(KeySource::Command),
    ];
    let mut sources: Vec<_> = sources.into_iter().flatten().collect();
    // What is not said is as for `FORMAT/MODEL`; but a key of the user's own goes nowhere that a variable names.
    let nothing = Environment::default();
    let environment = if sources.is_empty() {
        environment
    } else {
        &nothing
    };
    let mut backend = selected(&format!("{format}/{model}"), &[], environment).ok()?;
    name.clone_into(&mut backend.name);
    if let Some(url) = text("url") {
        url.trim_end_matches('/').clone_into(&mut backend.url);
    }
    match (sources.pop(), sources.pop()) {
        (Some(source), None) => backend.key = Some(source),
        // The key of a format's own variable is for that format's own server.
        (None, _) if text("url").is_some() => backend.key = None,
        (None, _) => {}
        (Some(_), Some(_)) => {
            let message = format!("the model `{name}` has several keys");
            let error = node.place.error(Code::ConfigValue, message);
            problems.push(error.hint("keep one of `keyVariable`, `keyFile` and `keyCommand`"));
        }
    }
    let time = |key: &str| text(key).and_then(duration);
    backend.limits.first_byte = time("firstByte").unwrap_or(backend.limits.first_byte);
    backend.limits.total = time("total").unwrap_or(backend.limits.total);
    if let (Some(_), Err(error)) = (text("url"), backend.address()) {
        problems.push(error.at(&node.place.file, node.place.line));
    }
    Some(backend)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn models_of_the_file_have_what_the_format_has_and_what_the_file_says() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::below(dir.path());
        std::fs::create_dir_all(&paths.config).unwrap();
        let write = |text: &str| std::fs::write(paths.config.join(USER_FILE), text).unwrap();
        let set = |variables: &[(&str, &str)]| -> Environment {
            let variables = variables.iter();
            variables
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect()
        };
        write(concat!(
            "ask: {models: [local, openai/gpt-5], hideNames: true}\n",
            "models:\n",
            "  - {name: local, format: ollama, model: 'q:8b', total: 30s}\n",
            "  - {name: work, format: openai, model: m, url: 'https://a.example/v1/', keyCommand: [pass, show, llm]}\n",
            "  - {name: free, format: openai, model: m, url: 'http://10.0.0.1/v1'}\n",
        ));
        let key = ("OPENAI_API_KEY", "k");
        let user = UserConfig::load(&paths, &set(&[key])).unwrap();
        assert_eq!(user.ask.models, ["local", "openai/gpt-5"]);
        assert!(user.ask.hides_names);
        let [local, work, free] = &user.models[..] else {
            panic!("{user:?}");
        };
        assert_eq!(local.url, "http://127.0.0.1:11434");
        assert_eq!(local.limits.total, Duration::from_secs(30));
        assert_eq!(work.url, "https://a.example/v1");
        assert!(matches!(&work.key, Some(KeySource::Command(words)) if words.len() == 3));
        // The key of another server goes nowhere else, nor the user's own to where a variable leads.
        assert_eq!(free.key, None);
        write("models: [{name: a, format: openai, model: m, keyFile: /k}]\n");
        let base = ("OPENAI_BASE_URL", "https://elsewhere.example/v1");
        let user = UserConfig::load(&paths, &set(&[key, base])).unwrap();
        assert!(user.models[0].url.starts_with("https://api.openai.com"));
        write("ask: {models: []}\nmodels: [{name: work, format: ollama, model: m}]\n");
        let over = UserConfig::load(&paths, &set(&[(MODELS, " work , free")])).unwrap();
        assert_eq!(over.ask.models, ["work", "free"]);
        write(concat!(
            "models:\n",
            "  - {name: a, format: opnai, model: m}\n",
            "  - {name: b, format: openai, model: m, url: 'http://10.0.0.1/v1', keyVariable: K}\n",
            "  - {name: c, format: openai, model: m, keyVariable: K, keyFile: /k}\n",
            "  - {name: d, format: openai}\n",
        ));
        let errors = UserConfig::load(&paths, &set(&[])).unwrap_err().0;
        let mut lines: Vec<_> = errors.iter().filter_map(|error| error.line).collect();
        lines.sort_unstable();
        assert_eq!(lines, [2, 3, 4, 5], "{errors:?}");
    }

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
        let over = loaded(
            text,
            &[(ROLE, "admin"), (YES, "disruptive"), ("CI", "true")],
        )
        .unwrap();
        assert_eq!(over.role, Some(AskRole::Admin));
        assert_eq!(over.yes, Some(AskYes::Disruptive));
        assert_eq!(over.beyond, [""; 0]);
        assert_eq!(loaded("# empty\n", &[(YES, "")]).unwrap().yes, None);
    }

    #[test]
    fn outside_of_ci_a_variable_only_lowers_and_what_it_asks_for_beyond_is_told() {
        for ci in [&[][..], &[("CI", "false")], &[("CI", "1")]] {
            let with = |text: &str, role: &'static str, yes: &'static str| {
                loaded(text, &[ci, &[(ROLE, role), (YES, yes)]].concat()).unwrap()
            };
            let raised = with(
                "ask: {role: viewer, yes: reversible}\n",
                "admin",
                "disruptive",
            );
            assert_eq!(raised.role, Some(AskRole::Viewer));
            assert_eq!(raised.yes, Some(AskYes::Reversible));
            let told = raised.rights(&AskConfig::default(), None).beyond.join("\n");
            assert!(told.contains(ROLE) && told.contains(YES), "{told}");
            // Without a file `operator` is given, and nothing is left unasked.
            let raised = with("", "admin", "reversible");
            assert_eq!((raised.role, raised.yes), (Some(AskRole::Operator), None));
            let lowered = with(
                "ask: {role: admin, yes: disruptive}\n",
                "viewer",
                "reversible",
            );
            assert_eq!(lowered.role, Some(AskRole::Viewer));
            assert_eq!(lowered.yes, Some(AskYes::Reversible));
            assert_eq!(lowered.beyond, [""; 0]);
            let rights = lowered.rights(&AskConfig::default(), None);
            let how = rights.how_to_get(AskRole::Admin);
            assert!(how.contains("unset DEVK_ASK_ROLE"), "{how}");
        }
    }

    #[test]
    fn a_file_that_is_no_file_or_too_large_is_told_with_its_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::below(dir.path());
        std::fs::create_dir_all(&paths.config).unwrap();
        let file = paths.config.join(USER_FILE);
        let refused = || {
            let errors = UserConfig::load(&paths, &Environment::default()).unwrap_err();
            let error = errors.0.into_iter().next().unwrap();
            assert_eq!(error.file.as_deref(), Some(file.as_path()));
            assert!(error.hint.unwrap().contains("ls -l"), "{}", error.message);
            error.message
        };
        let made = std::process::Command::new("mkfifo").arg(&file).status();
        assert!(made.unwrap().success());
        assert_eq!(refused(), "this is not a file");
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, "#".repeat(2 * 1024 * 1024)).unwrap();
        assert!(refused().contains("at most"));
        std::fs::write(&file, b"ask: {role: \xff}\n").unwrap();
        assert!(refused().contains("UTF-8"));
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
