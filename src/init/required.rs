//! What a chart demands before it renders, read from helm's refusal: `required`, `fail`, the schema of the values.
//! Secrets are generated; what only the user knows gets a stand-in that says so.

use std::path::Path;

use serde_json::{Value, json};

use super::clue::plain;
use super::draft::{DraftRelease, DraftSecret, DraftValue};
use crate::error::Error;

/// Parts of names that a service outside of the cluster gives out.
const GIVEN_OUT: [&str; 24] = [
    "apikey",
    "accesskey",
    "anthropic",
    "aws",
    "azure",
    "clientid",
    "clientsecret",
    "cloudflare",
    "datadog",
    "github",
    "gitlab",
    "google",
    "gcp",
    "license",
    "mailgun",
    "openai",
    "sendgrid",
    "sentry",
    "slack",
    "smtp",
    "stripe",
    "twilio",
    "webhook",
    "dsn",
];

/// Parts of names of secrets that a stack may make for itself.
const OWN_SECRETS: [&str; 9] = [
    "password",
    "passwd",
    "secret",
    "token",
    "salt",
    "pepper",
    "encryption",
    "credential",
    "key",
];

/// What a chart demands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Demand {
    /// Dotted.
    pub(super) path: String,
    /// helm's words, and those around them, for the form of the value.
    words: String,
    /// The values that the schema allows.
    allowed: Vec<String>,
    /// `integer`, `boolean`, … as the schema says.
    kind: Option<String>,
    /// Where it is demanded.
    at: String,
}

/// The demands in a refusal to render; none if helm refuses for another reason.
pub(super) fn demands(error: &Error, chart: &str, root: &Path) -> Vec<Demand> {
    let text = std::iter::once(&error.message).chain(&error.evidence);
    let lines: Vec<_> = text.map(String::as_str).collect();
    let of_schema = schema_demands(&lines, chart);
    if !of_schema.is_empty() {
        return of_schema;
    }
    template_demand(error, &lines, root).into_iter().collect()
}

fn schema_demands(lines: &[&str], chart: &str) -> Vec<Demand> {
    let mut prefix = String::new();
    let mut found = vec![];
    let is_schema = lines.iter().any(|line| line.contains("schema(s)"));
    for line in lines.iter().filter(|_| is_schema).map(|line| line.trim()) {
        match line.strip_prefix("- ") {
            None => {
                let name = line.strip_suffix(':').filter(|name| !name.contains(' '));
                if let Some(name) = name {
                    prefix = if name == chart {
                        String::new()
                    } else {
                        format!("{name}.")
                    };
                }
            }
            Some(problem) => found.extend(problem_demands(problem, &prefix)),
        }
    }
    found
}

/// One line of the schema's refusal, in the words of helm 3 or of helm 4.
fn problem_demands(problem: &str, prefix: &str) -> Vec<Demand> {
    let (place, words) = match problem.strip_prefix("at '") {
        Some(rest) => {
            let Some((pointer, words)) = rest.split_once("': ") else {
                return vec![];
            };
            (pointer.trim_matches('/').replace('/', "."), words)
        }
        None => match problem.split_once(": ") {
            Some((place, words)) => (place.trim_start_matches("(root)").to_owned(), words),
            None => return vec![],
        },
    };
    let join = |key: &str| match place.is_empty() {
        true => format!("{prefix}{key}"),
        false => format!("{prefix}{place}.{key}"),
    };
    let demand = |path: String| Demand {
        path,
        words: words.to_owned(),
        allowed: allowed(words),
        kind: kind(words),
        at: "the chart's values.schema.json".to_owned(),
    };
    if let Some(names) = words.strip_prefix("missing propert") {
        return names
            .split('\'')
            .skip(1)
            .step_by(2)
            .map(|key| demand(join(key)))
            .collect();
    }
    match words.strip_suffix(" is required") {
        Some(key) if !key.contains(' ') => vec![demand(join(key))],
        _ if place.is_empty() => vec![],
        _ => vec![demand(format!("{prefix}{place}"))],
    }
}

fn allowed(words: &str) -> Vec<String> {
    let Some((_, list)) = words.split_once("one of") else {
        return vec![];
    };
    let quoted = list.split(['\'', '"']).skip(1).step_by(2);
    quoted.map(str::to_owned).collect()
}

fn kind(words: &str) -> Option<String> {
    let after = words
        .split_once("want ")
        .or_else(|| words.split_once("Expected: "))?
        .1;
    let word = after.split([',', ' ']).next()?;
    ["integer", "number", "boolean", "string", "object", "array"]
        .contains(&word)
        .then(|| word.to_owned())
}

/// The value that a template demands: by the template's line, by the lines above a `fail`, by helm's words.
fn template_demand(error: &Error, lines: &[&str], root: &Path) -> Option<Demand> {
    let said = lines.join("\n");
    let is_demand = [
        "execution error at",
        "nil pointer evaluating",
        "error calling fail",
        "error calling required",
    ];
    is_demand.iter().find(|words| said.contains(**words))?;
    let prefix = prefix(&said);
    let by_line = error
        .file
        .as_ref()
        .zip(error.line)
        .and_then(|(file, line)| {
            let text = std::fs::read_to_string(file).ok()?;
            let above = text.lines().take(line as usize);
            let near: Vec<_> = above.collect();
            near.iter().rev().take(8).find_map(|line| value_path(line))
        });
    let by_words = || {
        said.split(|c: char| c.is_whitespace() || "\"'`,()<>".contains(c))
            .find_map(path_of_words)
    };
    let path = by_line.or_else(by_words)?;
    let path = match path.strip_prefix("global.") {
        Some(_) => path,
        None => format!("{prefix}{path}"),
    };
    let place = error.file.as_ref().map(|file| {
        let file = file.strip_prefix(root).unwrap_or(file);
        format!("{}:{}", file.display(), error.line.unwrap_or(1))
    });
    Some(Demand {
        path,
        words: said.lines().take(2).collect::<Vec<_>>().join(" "),
        allowed: vec![],
        kind: None,
        at: place.unwrap_or_else(|| "the chart".to_owned()),
    })
}

/// `api.` for a template of the part `api`: `shop/charts/api/templates/x.yaml`.
fn prefix(said: &str) -> String {
    let words = said.split(|c: char| c.is_whitespace() || "\"'`()<>".contains(c));
    let template = words
        .filter(|word| word.contains("/templates/"))
        .next_back()
        .unwrap_or_default();
    let parts: Vec<_> = template.split('/').collect();
    let pairs = parts.windows(2).filter(|pair| pair[0] == "charts");
    pairs.map(|pair| format!("{}.", pair[1])).collect()
}

/// The last `.Values.a.b`, or `index .Values "a" "b"`, of a line.
pub(super) fn value_path(line: &str) -> Option<String> {
    let (_, after) = line.rsplit_once(".Values")?;
    if let Some(path) = after.strip_prefix('.') {
        let is_path = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let end = path.find(|c| !is_path(c)).unwrap_or(path.len());
        return (end > 0).then(|| path[..end].trim_end_matches('.').to_owned());
    }
    let keys = after.split('"').skip(1).step_by(2);
    let keys: Vec<_> = keys.take_while(|key| !key.contains(' ')).collect();
    (!keys.is_empty()).then(|| keys.join("."))
}

fn path_of_words(word: &str) -> Option<String> {
    let word = word
        .trim_start_matches(".Values.")
        .trim_matches(['.', ':', ';']);
    let is_path = word.contains('.')
        && !word.contains('/')
        && ![".yaml", ".yml", ".tpl"]
            .iter()
            .any(|end| word.ends_with(end))
        && word.split('.').all(|part| {
            part.starts_with(|c: char| c.is_ascii_lowercase())
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        });
    is_path.then(|| word.to_owned())
}

/// Gives the release what is demanded. False if it has that already, in every form that devk can think of.
pub(super) fn give(release: &mut DraftRelease, demand: &Demand) -> bool {
    let name = plain(&demand.path);
    let last = plain(demand.path.rsplit('.').next().unwrap_or_default());
    let is_given_out = GIVEN_OUT.iter().any(|word| name.contains(word));
    let is_secret = OWN_SECRETS.iter().any(|word| last.contains(word));
    let is_text =
        demand.kind.as_deref().is_none_or(|kind| kind == "string") && demand.allowed.is_empty();
    if release.gives(&demand.path) {
        return other_form(release, demand);
    }
    if is_secret && is_text && !is_given_out {
        generate(release, demand);
    } else {
        release.set.push(stand_in(demand, is_given_out, &last));
    }
    // A map that was empty, because the schema demands one, has something now.
    let above = |given: &DraftValue| demand.path.starts_with(&format!("{}.", given.path));
    release
        .set
        .retain(|given| !(above(given) && given.value == json!({})));
    true
}

/// What was refused gets the form that helm's words ask for.
fn other_form(release: &mut DraftRelease, demand: &Demand) -> bool {
    let last = plain(demand.path.rsplit('.').next().unwrap_or_default());
    if let Some(given) = release
        .set
        .iter_mut()
        .find(|given| given.path == demand.path)
    {
        let other = stand_in(demand, given.is_users, &last);
        let is_other = other.value != given.value;
        *given = other;
        return is_other;
    }
    let Some(length) = form(&demand.words) else {
        return false;
    };
    let of_path = |secret: &&mut DraftSecret| secret.paths.contains(&demand.path);
    match release.generate.iter_mut().find(of_path) {
        Some(secret) if secret.length != length => {
            secret.length = length;
            true
        }
        _ => false,
    }
}

fn generate(release: &mut DraftRelease, demand: &Demand) {
    let length = form(&demand.words);
    let why = format!("{} demands {}", demand.at, demand.path);
    let same = release.generate.iter_mut().find(|secret| {
        secret
            .paths
            .iter()
            .any(|path| is_same_secret(path, &demand.path))
    });
    match same {
        Some(secret) => {
            secret.why.push(format!("{why}, the same secret"));
            secret.paths.push(demand.path.clone());
            if let Some(length) = length {
                secret.length = length;
            }
        }
        None => {
            let usual = match plain(&demand.path).contains("encryption") {
                true => "hex64",
                false => "hex32",
            };
            release.generate.push(DraftSecret {
                length: length.unwrap_or_else(|| usual.to_owned()),
                paths: vec![demand.path.clone()],
                why: vec![why],
            });
        }
    }
}

/// Two values that must be equal: a database's password at the database and at its clients, or keys of one name that
/// is no general word.
fn is_same_secret(one: &str, other: &str) -> bool {
    let last = |path: &str| plain(path.rsplit('.').next().unwrap_or_default());
    let database = |path: &str| {
        let path = plain(path);
        let named = ["postgres", "database", "mysql", "mariadb", "db"];
        path.ends_with("password")
            && named.iter().any(|word| path.contains(word))
            && !path.contains("redis")
    };
    let store =
        |path: &str, word: &str| plain(path).contains(word) && plain(path).ends_with("password");
    let general = [
        "password",
        "secret",
        "key",
        "token",
        "secretkey",
        "adminpassword",
        "rootpassword",
    ];
    (last(one) == last(other) && !general.contains(&last(one).as_str()))
        || (database(one) && database(other))
        || ["redis", "rabbitmq", "mongo"]
            .iter()
            .any(|word| store(one, word) && store(other, word))
}

/// `hex64`, `base6432`, `uuid`, as far as words and patterns say it.
fn form(words: &str) -> Option<String> {
    let lower = words.to_lowercase();
    let number_after = |what: &str| {
        let (_, rest) = lower.split_once(what)?;
        let digits: String = rest
            .trim_start()
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        digits
            .parse::<usize>()
            .ok()
            .filter(|number| (1..=1024).contains(number))
    };
    if let Some(bytes) = number_after("rand -hex") {
        return Some(format!("hex{}", bytes * 2));
    }
    if let Some(bytes) = number_after("rand -base64") {
        return Some(format!("base64{bytes}"));
    }
    if lower.contains("uuid") {
        return Some("uuid".to_owned());
    }
    let by_pattern = number_after("]{");
    let by_length = ["want ", "equal to ", "least ", "exactly ", "must be "]
        .iter()
        .find_map(|what| number_after(what));
    let number = by_pattern.or(by_length).or_else(|| number_before(&lower))?;
    Some(format!(
        "hex{}",
        if by_pattern.is_some() {
            number
        } else {
            number.max(32)
        }
    ))
}

/// `64 hex characters`, `32-character`.
fn number_before(words: &str) -> Option<usize> {
    let tokens: Vec<_> = words.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let units = [
        "hex",
        "hexadecimal",
        "char",
        "chars",
        "character",
        "characters",
        "digits",
    ];
    let pairs = tokens.windows(2).filter(|pair| units.contains(&pair[1]));
    pairs.filter_map(|pair| pair[0].parse().ok()).next()
}

fn stand_in(demand: &Demand, is_users: bool, last: &str) -> DraftValue {
    let text = |text: &str| json!(text);
    let development = ["local", "dev", "development", "test"];
    let allowed = development
        .iter()
        .find(|word| demand.allowed.iter().any(|value| value == *word));
    let allowed = allowed
        .map(|word| (*word).to_owned())
        .or_else(|| demand.allowed.first().cloned());
    let (value, is_users): (Value, bool) = match (allowed, demand.kind.as_deref()) {
        (Some(allowed), _) => (json!(allowed), false),
        (_, Some("integer" | "number")) => (json!(1), false),
        (_, Some("boolean")) => (json!(false), false),
        (_, Some("object")) => (json!({}), false),
        (_, Some("array")) => (json!([]), false),
        _ if ["host", "hostname", "domain"]
            .iter()
            .any(|word| last.ends_with(word)) =>
        {
            (text("localhost"), false)
        }
        _ if last.ends_with("url") => (text("http://localhost"), false),
        _ if last.contains("email") => (text("dev@localhost.localdomain"), false),
        _ if last.ends_with("user") || last.ends_with("username") => (text("dev"), false),
        _ => (text("replace-me"), true || is_users),
    };
    let why = match is_users {
        true => format!(
            "ONLY YOU KNOW THIS: {} demands {}; put the real value into a values file that git ignores",
            demand.at, demand.path
        ),
        false => format!("{} demands {}", demand.at, demand.path),
    };
    DraftValue {
        path: demand.path.clone(),
        value,
        why,
        is_users,
    }
}
