//! What no answer may show: secrets that devk generated, values of secrets in the environment and in env files of the
//! repository, the path of the private kubeconfig, PATH. Known values are replaced in every text of an answer, and what has
//! the form of a secret, whoever knows it ([`secret_forms`](crate::secret_forms)). A word that only a program in a container
//! knows for a secret, and prints without saying so, is printed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;

use crate::config::{self, Source};
use crate::environment::Environment;
use crate::paths::Paths;
use crate::release::secrets::Secrets;
use crate::secret_forms::{
    has_secret, is_secret_key, looks_random, passwords_of_urls, secret_spans, without_secrets,
};

/// What stands in an answer where a secret was.
const MASKED: &str = "[masked]";
/// A generated value is masked whatever it looks like, unless it is so short that it is in every text.
const LEAST_GENERATED_BYTES: usize = 4;
/// A shorter value is no secret, whatever its name.
const LEAST_NAMED_BYTES: usize = 6;
/// A line of a longer value, such as a private key, counts from this length.
const LEAST_LINE_BYTES: usize = 16;
/// How deep below the project env files are looked for, and how many folders at most.
const MAX_DEPTH: usize = 4;
const MAX_FOLDERS: usize = 2000;
/// A larger file is no env file.
const MAX_ENV_FILE_BYTES: u64 = 256 * 1024;

/// Parts of names of variables whose values are secrets.
const SECRET_NAMES: [&str; 17] = [
    "SECRET",
    "TOKEN",
    "PASSW",
    "PASSPHRASE",
    "PWD",
    "_PASS",
    "KEY",
    "PRIVATE",
    "CREDENTIAL",
    "AUTH",
    "SALT",
    "SIGNATURE",
    "COOKIE",
    "JWT",
    "DSN",
    "CERT",
    "WEBHOOK",
];
/// Folders that hold no env file of the project's own.
const FOREIGN_FOLDERS: [&str; 5] = ["node_modules", "target", "vendor", "dist", "venv"];

/// What is to be replaced.
#[derive(Default)]
pub(crate) struct Mask {
    /// The texts, the longest first.
    texts: Vec<(String, &'static str)>,
    /// What stands before the name of a cluster in the path of its kubeconfig; empty for none.
    clusters: String,
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mask({} texts)", self.texts.len())
    }
}

impl Mask {
    /// What no answer about a project must show, whose devk.yaml may stand above the folder of the command.
    pub(crate) fn of(source: &Source, paths: &Paths, environment: &Environment) -> Self {
        let beside = source.file.as_deref().and_then(Path::parent);
        let folders: Vec<_> = beside.into_iter().chain([source.dir.as_path()]).collect();
        Self::gather(&folders, paths, environment)
    }

    /// Collects what no answer must show: about every project of this machine, since a devk.yaml with a mistake does
    /// not say which project it is; and in the repositories of these folders.
    pub(crate) fn gather(folders: &[&Path], paths: &Paths, environment: &Environment) -> Self {
        let mut secrets = BTreeSet::new();
        for project in entries(&paths.state.join("projects")) {
            // A damaged file is told by the command that needs it.
            let generated = Secrets::load(&project.join("secrets.json"));
            let generated = generated.map(|secrets| secrets.texts()).unwrap_or_default();
            let generated = generated.into_iter();
            secrets.extend(generated.filter(|value| value.len() >= LEAST_GENERATED_BYTES));
        }
        for (name, value) in environment.variables() {
            secrets.extend(secret_parts(name, value));
        }
        let roots: BTreeSet<_> = folders.iter().map(|folder| repository(folder)).collect();
        for file in roots.into_iter().flat_map(env_files) {
            let text = std::fs::read(file).unwrap_or_default();
            for (name, value) in variables(&String::from_utf8_lossy(&text)) {
                secrets.extend(secret_parts(&name, &value));
            }
        }
        let variants = secrets.iter().flat_map(|secret| variants(secret));
        let mut texts: Vec<_> = variants.map(|text| (text, MASKED)).collect();
        let path = environment.get("PATH").filter(|path| path.contains(':'));
        texts.extend(path.map(|path| (path.to_owned(), "$PATH")));
        let clusters = format!("{}/", paths.state.join("clusters").display());
        Self::sorted(texts, clusters)
    }

    fn sorted(mut texts: Vec<(String, &'static str)>, clusters: String) -> Self {
        texts.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then(a.cmp(b)));
        texts.dedup();
        Self { texts, clusters }
    }

    /// This mask and what was known before: a secret whose file is gone is one still.
    pub(crate) fn with_known(mut self, before: Self) -> Self {
        self.texts.extend(before.texts);
        Self::sorted(self.texts, self.clusters)
    }

    /// The text without what must not be shown.
    pub(crate) fn text(&self, text: &str) -> String {
        let text = self
            .texts
            .iter()
            .fold(text.to_owned(), |text, (secret, instead)| {
                if text.contains(secret) {
                    text.replace(secret, instead)
                } else {
                    text
                }
            });
        // What is masked already stays: half of a known secret is none that its form shows.
        without_secrets(&self.without_kubeconfigs(text), MASKED)
    }

    /// A command may name the kubeconfig of a cluster that is not there yet.
    fn without_kubeconfigs(&self, text: String) -> String {
        if self.clusters.is_empty() || !text.contains(&self.clusters) {
            return text;
        }
        let mut parts = text.split(&self.clusters);
        let mut shown = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let rest = part
                .split_once('/')
                .and_then(|(_, rest)| rest.strip_prefix("kubeconfig"));
            match rest {
                Some(rest) => shown = shown + "$(devk kubeconfig)" + rest,
                None => shown = shown + &self.clusters + part,
            }
        }
        shown
    }

    /// The document without what must not be shown, in its keys too.
    pub(super) fn document(&self, document: Value) -> Value {
        match document {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.document(item)).collect(),
            Value::Object(members) => members
                .into_iter()
                .map(|(key, value)| {
                    let value = match &value {
                        Value::String(text) => Value::String(self.field(&key, text)),
                        _ => self.document(value),
                    };
                    (self.text(&key), value)
                })
                .collect(),
            other => other,
        }
    }
}

impl Mask {
    /// The value of a field: in a document its name does not stand in the text.
    fn field(&self, name: &str, value: &str) -> String {
        let is_secret = is_secret_key(name) && has_secret(&format!("{name}={value:?}"));
        match is_secret {
            true => MASKED.to_owned(),
            false => self.text(value),
        }
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

/// The repository that a folder lies in; outside of one, the folder of the devk.yaml that is used there.
fn repository(folder: &Path) -> &Path {
    let with = |name: &str| folder.ancestors().find(|above| above.join(name).exists());
    with(".git")
        .or_else(|| with(config::FILE))
        .unwrap_or(folder)
}

/// Whether a value of this name is to be left out where the name stands beside it: a weak password is one, too.
pub(crate) fn is_secret(name: &str, value: &str) -> bool {
    is_secret_name(name) || has_secret(value) || looks_random(value)
}

/// The parts of a variable's value that are secret: all of it, lines of it, or the password of a URL.
fn secret_parts(name: &str, value: &str) -> Vec<String> {
    let value = value.trim();
    let passwords = passwords_of_urls(value).into_iter().flat_map(|password| {
        let decoded = percent_decode_str(password).decode_utf8_lossy();
        [password.to_owned(), decoded.into_owned()]
    });
    let within = secret_spans(value)
        .into_iter()
        .map(|span| value[span].to_owned());
    let within = passwords
        .chain(within)
        .filter(|password| is_strong(password));
    let is_secret =
        is_secret_name(name) && is_strong(value) && !is_address(value) || looks_random(value);
    let whole = is_secret.then(|| value.to_owned());
    let parts: BTreeSet<_> = within.chain(whole).collect();
    parts.iter().flat_map(|part| with_lines(part)).collect()
}

/// A secret and its lines: a log shows it line by line, and an env file may write its line ends as `\n`.
fn with_lines(secret: &str) -> Vec<String> {
    let lines = secret
        .split(['\n', '\r'])
        .flat_map(|line| line.split("\\n"));
    let lines = lines
        .map(str::trim)
        .filter(|line| line.len() >= LEAST_LINE_BYTES && !line.starts_with("-----"));
    lines.chain([secret]).map(str::to_owned).collect()
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    !["PWD", "OLDPWD"].contains(&name.as_str())
        && SECRET_NAMES.iter().any(|part| name.contains(part))
}

/// Whether the value can be a secret and does not stand in every other text: `postgres` is a password of many a stack,
/// and the name of its image.
fn is_strong(value: &str) -> bool {
    let kinds = [
        value.contains(|c: char| c.is_ascii_lowercase()),
        value.contains(|c: char| c.is_ascii_uppercase()),
        value.contains(|c: char| c.is_ascii_digit()),
        value.contains(|c: char| !c.is_ascii_alphanumeric()),
    ];
    let kinds = kinds.into_iter().filter(|is_there| *is_there).count();
    let is_number = value.parse::<f64>().is_ok() && value.len() < 10;
    value.len() >= LEAST_NAMED_BYTES && (kinds >= 2 || value.len() >= 12) && !is_number
}

/// A URL without a password, or the path of a file that is there: the place of a secret, and no secret.
fn is_address(value: &str) -> bool {
    value.contains("://") || (value.starts_with('/') && Path::new(value).exists())
}

/// The forms in which a secret stands in texts: as it is, within a JSON string, within a URL, in a Secret.
fn variants(secret: &str) -> Vec<String> {
    let json = serde_json::to_string(secret).unwrap_or_default();
    let json = json.trim_matches('"').to_owned();
    let url = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    vec![secret.to_owned(), json, url, STANDARD.encode(secret)]
}

/// The env files of a repository: `.env`, `.env.local`, `api.env`.
fn env_files(root: &Path) -> Vec<PathBuf> {
    let mut files = vec![];
    let mut folders = vec![(root.to_owned(), 0)];
    let mut looked = 0;
    while let Some((folder, depth)) = folders.pop() {
        looked += 1;
        if looked > MAX_FOLDERS {
            break;
        }
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            let is_own = !name.starts_with('.') && !FOREIGN_FOLDERS.contains(&name.as_str());
            if kind.is_dir() && is_own && depth < MAX_DEPTH {
                folders.push((entry.path(), depth + 1));
            }
            let is_env = name == ".env" || name.starts_with(".env.") || name.ends_with(".env");
            // Behind a link, the file counts.
            let is_small = || {
                let meta = std::fs::metadata(entry.path());
                meta.is_ok_and(|meta| meta.is_file() && meta.len() <= MAX_ENV_FILE_BYTES)
            };
            if is_env && is_small() {
                files.push(entry.path());
            }
        }
    }
    files
}

/// The variables of an env file. Unlike Compose's reader this one takes everything for a value that might be one.
fn variables(text: &str) -> Vec<(String, String)> {
    let mut found = vec![];
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let line = line.trim().trim_start_matches('\u{feff}');
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        let (name, value) = (
            name.trim().trim_start_matches('#').trim().to_owned(),
            value.trim(),
        );
        let Some(quote) = value.chars().next().filter(|c| "\"'`".contains(*c)) else {
            let bare = value.split(" #").next().unwrap_or(value).trim();
            found.extend([bare, value].map(|value| (name.clone(), value.to_owned())));
            continue;
        };
        let mut quoted = value[1..].to_owned();
        while !quoted.contains(quote) {
            let Some(next) = lines.next() else { break };
            quoted = quoted + "\n" + next;
        }
        let end = quoted.rfind(quote).unwrap_or(quoted.len());
        found.push((name, quoted[..end].to_owned()));
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mask(folder: &Path, variables: &[(&str, &str)]) -> Mask {
        let environment = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let paths = Paths::below(folder);
        Mask::gather(&[folder], &paths, &environment.collect())
    }

    #[test]
    fn a_secret_is_masked_in_every_form_in_which_it_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let secret = "pa\"ss w0rd/+";
        let mask = mask(dir.path(), &[("API_TOKEN", secret)]);
        let encoded = STANDARD.encode(secret);
        let document = json!({"log": [secret, format!("{{\"t\":{}}}", json!(secret)), "p://u:pa%22ss%20w0rd%2F%2B@h"],
            secret: encoded});
        assert_eq!(
            mask.document(document),
            json!({"log": [MASKED, "{\"t\":\"[masked]\"}", "p://u:[masked]@h"], MASKED: MASKED})
        );
    }

    #[test]
    fn values_of_env_files_are_found_wherever_they_stand() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("services/api");
        std::fs::create_dir_all(&inner).unwrap();
        let text = "export TOKEN='s3cret-one'\r\nPLAIN=Zx81Kq20Lm3nT7vB # note\n#OLD_PASSWORD=s3cret-two\n\
                    URL=postgres://app:s3cret%2Dthree@db/x\nKEY=\"-----BEGIN\nMIIEvQIBADANBgkqhkiG\n-----END\"\n";
        std::fs::write(inner.join(".env.local"), text).unwrap();
        let mask = mask(dir.path(), &[]);
        let shown = "s3cret-one Zx81Kq20Lm3nT7vB s3cret-two s3cret%2Dthree s3cret-three MIIEvQIBADANBgkqhkiG";
        assert_eq!(mask.text(shown), ["[masked]"; 6].join(" "));
    }

    #[test]
    fn what_only_its_form_shows_is_masked_too_in_each_address_of_a_text() {
        let dir = tempfile::tempdir().unwrap();
        let mask = mask(dir.path(), &[]);
        let shown =
            "http://a:80/ postgres://u:one1@h/x, redis://:two2@h; u:three3@tcp(h)/x password=four4";
        let text = "http://a:80/ postgres://u:[masked]@h/x, redis://:[masked]@h; u:[masked]@tcp(h)/x password=[masked]";
        assert_eq!(mask.text(shown), text);
        assert_eq!(mask.text(text), text);
        let document = json!({"apiToken": "five5", "secretName": "shop-tls", "name": "api"});
        assert_eq!(
            mask.document(document),
            json!({"apiToken": MASKED, "secretName": "shop-tls", "name": "api"})
        );
        let other = "HOSTS=postgres://u:s3cret-one@h1/x,postgres://u:s3cret-two@h2/x\nDSN=host=db password=s3cret-three\n";
        std::fs::write(dir.path().join(".env"), other).unwrap();
        let mask = Mask::gather(
            &[dir.path()],
            &Paths::below(dir.path()),
            &Environment::default(),
        );
        let shown = "s3cret-one s3cret-two s3cret-three";
        assert_eq!(mask.text(shown), ["[masked]"; 3].join(" "));
    }

    #[test]
    fn what_is_in_every_text_is_no_secret() {
        let dir = tempfile::tempdir().unwrap();
        let mask = mask(
            dir.path(),
            &[
                ("POSTGRES_PASSWORD", "postgres"),
                ("AUTH_URL", "http://localhost:3000/auth"),
                ("KEY_COUNT", "65536"),
                ("SSH_AUTH_SOCK", "/dev/null"),
                ("HOSTNAME", "ip-10-0-12-34.compute.internal"),
                ("RUST_TARGET", "x86_64-unknown-linux-gnu"),
                ("NODE_ENV", "development"),
            ],
        );
        let shown = "postgres http://localhost:3000/auth 65536 /dev/null development x86_64-unknown-linux-gnu \
                     ip-10-0-12-34.compute.internal";
        assert_eq!(mask.text(shown), shown);
    }

    #[test]
    fn neither_path_nor_the_kubeconfig_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("state/clusters/devk");
        let mask = mask(dir.path(), &[("PATH", "/opt/bin:/usr/bin")]);
        let shown = format!(
            "`{}` PATH=/opt/bin:/usr/bin",
            folder.join("kubeconfig").display()
        );
        assert_eq!(mask.text(&shown), "`$(devk kubeconfig)` PATH=$PATH");
        let pin = folder.join("pin.json").display().to_string();
        assert_eq!(mask.text(&pin), pin);
        assert_eq!(format!("{mask:?}"), "Mask(1 texts)");
    }
}
