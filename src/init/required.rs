//! What a chart demands before it renders, read from helm's refusal: `required`, `fail`, the schema of the values.
//! Secrets are generated; what only the user knows gets a stand-in that says so.

mod schema;
mod secret;

use std::path::Path;

use serde_json::{Value, json};

use super::addresses::is_for_browsers;
use super::clue::plain;
use super::draft::{DraftRelease, DraftSecret, DraftValue};
use super::references::GENERAL;
use crate::error::Error;
use schema::schema_demands;
pub(super) use secret::is_own_secret;
use secret::{form, is_same_secret};

/// How far above a `fail` its condition may stand.
const MAX_LINES_ABOVE: usize = 8;

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
    /// The template reads it below a map that is not there; the value itself may do without.
    is_below_nil: bool,
    /// Where it is demanded.
    at: String,
}

impl Demand {
    /// Of a secret that would be empty.
    pub(super) fn of_empty(path: String, at: String) -> Self {
        Self {
            path,
            words: String::new(),
            allowed: vec![],
            kind: None,
            is_below_nil: false,
            at,
        }
    }
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
    let by_line = error.file.as_ref().zip(error.line);
    let by_line = by_line.and_then(|(file, line)| {
        let text = std::fs::read_to_string(file).ok()?;
        path_at(&text, line as usize)
    });
    let mut words = said
        .split(|c: char| c.is_whitespace() || "\"'`,()<>".contains(c))
        .filter_map(path_of_words);
    // helm's words may say more than the line, never something else; a line that takes the value from a variable says
    // less than they do.
    let below = by_line.as_ref().and_then(|(line, _)| {
        let below = format!("{line}.");
        words.clone().find(|path| path.starts_with(&below))
    });
    let (own, near) = match by_line {
        Some((path, true)) => (Some(path), None),
        Some((path, false)) => (None, Some(path)),
        None => (None, None),
    };
    let path = below.or(own).or_else(|| words.next()).or(near)?;
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
        is_below_nil: said.contains("nil pointer evaluating"),
        at: place.unwrap_or_else(|| "the chart".to_owned()),
    })
}

/// The value that a line of a template demands: its own (true), else the nearest above; `.key` below `with .Values.a`
/// is `a.key`.
fn path_at(text: &str, line: usize) -> Option<(String, bool)> {
    let above: Vec<_> = text.lines().take(line).collect();
    let near = || above.iter().rev().take(MAX_LINES_ABOVE);
    let own = above.last()?;
    let relative = own
        .split_whitespace()
        .map(|word| word.trim_matches(['(', ')', '"', '}']))
        .find(|word| word.starts_with('.') && word.len() > 1 && !word.starts_with(".Values"));
    let is_relative = own.contains("required") && !own.contains(".Values");
    if let Some(key) = relative.filter(|_| is_relative) {
        let opened = near().find(|line| line.contains("with ") && line.contains(".Values"));
        if let Some(path) = opened.and_then(|line| value_path(line)) {
            return Some((path + key, true));
        }
    }
    let own = value_path(own).map(|path| (path, true));
    own.or_else(|| near().find_map(|line| Some((value_path(line)?, false))))
}

/// `api.` for a template of the part `api`: `shop/charts/api/templates/x.yaml`.
fn prefix(said: &str) -> String {
    let mut words = said.split(|c: char| c.is_whitespace() || "\"'`()<>".contains(c));
    let template = words
        .rfind(|word| word.contains("/templates/"))
        .unwrap_or_default();
    let parts: Vec<_> = template.split('/').collect();
    let pairs = parts.windows(2).filter(|pair| pair[0] == "charts");
    pairs.map(|pair| format!("{}.", pair[1])).collect()
}

/// The last `.Values.a.b`, or `index .Values "a" "b"`, of a line.
pub(super) fn value_path(line: &str) -> Option<String> {
    // `((.Values.a).b).c` is `a.b.c` that may be absent.
    let line = line.replace(['(', ')'], "");
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
    let last = plain(demand.path.rsplit('.').next().unwrap_or_default());
    let is_secret = is_own_secret(&demand.path);
    let is_text =
        demand.kind.as_deref().is_none_or(|kind| kind == "string") && demand.allowed.is_empty();
    if release.gives(&demand.path) {
        return other_form(release, demand);
    }
    // A map around values that are given: what it lacks is told by its own line.
    if release.gives_below(&demand.path) {
        return false;
    }
    let value = stand_in(demand, &last);
    let map = value.is_users.then(|| map_above(demand)).flatten();
    if map.as_ref().is_some_and(|map| release.gives(&map.path)) {
        return false;
    }
    // A map that was empty, because it is demanded, has something now.
    let above = |given: &DraftValue| demand.path.starts_with(&format!("{}.", given.path));
    release
        .set
        .retain(|given| !(above(given) && given.value == json!({})));
    if let Some(value) = image_value(&demand.path, &release.name) {
        release.set.push(DraftValue {
            path: demand.path.clone(),
            value: json!(value),
            why: format!(
                "{} demands {}; devk puts the image that it builds in its place",
                demand.at, demand.path
            ),
            is_users: false,
        });
    } else if is_secret && is_text {
        generate(release, demand);
    } else {
        release.set.push(map.unwrap_or(value));
    }
    true
}

/// The map whose absence makes helm stop, for a value below it that nobody can guess.
fn map_above(demand: &Demand) -> Option<DraftValue> {
    let (above, _) = demand.path.rsplit_once('.')?;
    demand.is_below_nil.then(|| DraftValue {
        path: above.to_owned(),
        value: json!({}),
        why: format!("{} reads {}", demand.at, demand.path),
        is_users: false,
    })
}

/// A name for an image that a chart demands: that of the map it stands in, by which its Dockerfile is found.
fn image_value(path: &str, release: &str) -> Option<String> {
    let parts: Vec<_> = path.split('.').collect();
    let (last, above) = parts.split_last()?;
    let own = above
        .iter()
        .rev()
        .find(|part| !GENERAL.contains(*part))
        .copied();
    let name = crate::config::label(own.unwrap_or(release))?;
    match *last {
        "image" | "repository" if *last == "image" || above.last() == Some(&"image") => Some(name),
        "tag" if above.last() == Some(&"image") => Some("dev".to_owned()),
        _ => None,
    }
}

/// What was refused gets the form that helm's words ask for.
fn other_form(release: &mut DraftRelease, demand: &Demand) -> bool {
    let last = plain(demand.path.rsplit('.').next().unwrap_or_default());
    if let Some(given) = release
        .set
        .iter_mut()
        .find(|given| given.path == demand.path)
    {
        let other = stand_in(demand, &last);
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

fn stand_in(demand: &Demand, last: &str) -> DraftValue {
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
        // Of a page's own address this machine is right; of what a program asks devk knows no other.
        _ if last.ends_with("url") => {
            let is_own = is_for_browsers(&demand.path);
            (text("http://localhost"), !is_own)
        }
        _ if last.contains("email") => (text("dev@localhost.localdomain"), false),
        _ if last.ends_with("user") || last.ends_with("username") => (text("dev"), false),
        _ => (text("replace-me"), true),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_template_names_its_value() {
        let lines = [
            (
                "key: {{ required \"x\" .Values.auth.key | quote }}",
                "auth.key",
            ),
            ("{{- if not $.Values.apiKey }}", "apiKey"),
            ("{{ ((.Values.migrate).image).tag }}", "migrate.image.tag"),
            ("{{ index .Values \"my-app\" \"key\" }}", "my-app.key"),
        ];
        for (line, path) in lines {
            assert_eq!(value_path(line).as_deref(), Some(path));
        }
        assert_eq!(value_path("{{ .Release.Name }}"), None);
    }

    #[test]
    fn a_key_below_with_is_one_of_its_map() {
        let text = "{{- with .Values.postgresql.auth }}\nuser: {{ .user }}\nkey: {{ required \"x\" .password | quote }}\n";
        let found = ("postgresql.auth.password".to_owned(), true);
        assert_eq!(path_at(text, 3), Some(found));
        let text = "{{- if .Values.db.enabled }}\nkey: {{ required $words $db.password }}\n";
        assert_eq!(path_at(text, 2), Some(("db.enabled".to_owned(), false)));
    }

    #[test]
    fn a_part_of_an_umbrella_has_its_values_below_its_name() {
        let said = "execution error at (shop/charts/api/templates/x.yaml:3:4): key is required";
        assert_eq!(prefix(said), "api.");
        assert_eq!(
            prefix("execution error at (shop/templates/x.yaml:3:4): no"),
            ""
        );
    }
}
