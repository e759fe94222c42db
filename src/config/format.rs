//! The formats of single texts: names, durations, generators, paths. Each is checked in one place and
//! describes itself as a regular expression for the JSON Schema.

mod mounts;
mod numbers;
mod words;

use std::path::Path;
use std::time::Duration;

use super::identity::{is_label, label};
use super::yaml::Place;
use super::{Generator, ManifestPattern, Provider};
use crate::error::{Code, Result};

/// The longest release name: Helm adds revision suffixes within a label's 63 characters.
const MAX_RELEASE_NAME: usize = 53;

/// The longest time a release may be given.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// The most characters or bytes of a generated secret.
const MAX_SECRET_LENGTH: usize = 1024;

/// The names under which kustomize looks for a kustomization, in its order.
pub const KUSTOMIZATION_FILES: [&str; 3] =
    ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// The spellings of `cluster.provider`; `auto` is kind until the machine has been looked at.
const PROVIDERS: &[(&str, Provider)] = &[
    ("kind", Provider::Kind),
    ("minikube", Provider::Minikube),
    ("k3d", Provider::K3d),
    ("existing", Provider::Existing),
    ("auto", Provider::Kind),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueFormat {
    /// Any text. No format takes the empty one.
    Text,
    /// A DNS label (RFC 1123): what Kubernetes takes as a name everywhere.
    Label,
    /// A DNS label of at most 53 characters.
    ReleaseName,
    Provider,
    /// A provider that is a program.
    InstalledProvider,
    /// `180s`, `3m`, `1h30m`.
    Duration,
    Generator,
    /// `api.image.tag`.
    ValuePath,
    /// A folder with Chart.yaml.
    Chart,
    /// Files of Kubernetes objects: one, a folder of them, or a pattern.
    Manifests,
    /// A folder with kustomization.yaml.
    Kustomization,
    ValuesFile,
    ComposeFile,
    /// A folder.
    Context,
    /// A relative path without `..`.
    Below,
    /// An absolute path in a container.
    Inside,
    /// `>=1.27`, `1.31 - 1.34`.
    VersionRange,
    /// `500m`, `2Gi`.
    Quantity,
    /// `2027-06-30`.
    Date,
    /// Whose rights a change has.
    AskRole,
    /// A risk that nobody need be asked about.
    AskYes,
    /// The form in which a model's server is spoken to.
    ModelFormat,
    /// How much an answer says.
    AskMode,
    /// What a Dockerfile calls a secret.
    SecretId,
    /// The name of an environment variable.
    Variable,
    /// `default`, or `ID=SOCKET`.
    SshAgent,
}

impl ValueFormat {
    /// Checks a text; `place` is where it stands and what relative paths start from.
    pub(super) fn check(self, text: &str, place: &Place) -> Result<()> {
        match self {
            _ if text.is_empty() => Err(place.error(Code::ConfigValue, "the text is empty")),
            Self::Text => Ok(()),
            Self::Label => name(text, 63, place),
            Self::ReleaseName => name(text, MAX_RELEASE_NAME, place),
            Self::Provider => provider(text)
                .map(drop)
                .ok_or_else(|| words::unknown_provider(text, place)),
            Self::InstalledProvider
            | Self::AskRole
            | Self::AskYes
            | Self::ModelFormat
            | Self::AskMode => words::check(self, text, place),
            Self::Duration => duration(text).map(drop).ok_or_else(|| {
                let message = format!("`{text}` is not a time from 1 s to 24 h");
                place
                    .error(Code::ConfigValue, message)
                    .hint("write it as `180s`, `3m` or `1h30m`")
            }),
            Self::Generator => generator(text)
                .map(drop)
                .ok_or_else(|| words::unknown_generator(text, place)),
            Self::ValuePath => value_path(text, place),
            Self::Chart => chart(text, place),
            Self::Manifests => ManifestPattern::new(text, place).files().map(drop),
            Self::Kustomization => kustomization(text, place),
            Self::ValuesFile => file("values", text, place),
            Self::ComposeFile => file("Compose", text, place),
            Self::Context => folder(text, place),
            Self::Below => below(text, place),
            Self::Inside => inside(text, place),
            Self::VersionRange | Self::Quantity | Self::Date => numbers::check(self, text, place),
            Self::SecretId | Self::Variable | Self::SshAgent => mounts::check(self, text, place),
        }
    }

    /// The same for people.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Label => "name (lowercase letters, digits, inner `-`; at most 63)",
            Self::ReleaseName => "name (lowercase letters, digits, inner `-`; at most 53)",
            Self::Provider => "`kind`, `minikube`, `k3d`, `existing` or `auto`",
            Self::InstalledProvider => "`kind`, `minikube` or `k3d`",
            Self::Duration => "time from 1s to 24h (`180s`, `3m`, `1h30m`)",
            Self::Generator => "`hexN` (N digits), `base64N` (N bytes) or `uuid`; N from 1 to 1024",
            Self::ValuePath => "dotted value path",
            Self::Chart => "folder with a Chart.yaml",
            Self::Manifests => "file, folder or pattern",
            Self::Kustomization => "folder with a kustomization.yaml",
            Self::ValuesFile | Self::ComposeFile => "file",
            Self::Context => "folder",
            Self::Below => "relative path without `..`",
            Self::Inside => "absolute path",
            Self::VersionRange => "range of versions",
            Self::Quantity => "quantity of Kubernetes (`500m`, `2Gi`)",
            Self::Date => "day (`2027-06-30`)",
            Self::AskRole => "`viewer`, `operator` or `admin`",
            Self::AskYes => "`reversible` or `disruptive`",
            Self::ModelFormat => "`openai`, `anthropic` or `ollama`",
            Self::AskMode => "`beginner`, `standard` or `expert`",
            Self::SecretId => "id (letters, digits, `_`, `.`, `-`)",
            Self::Variable => "name of an environment variable",
            Self::SshAgent => "`default`, or `ID=SOCKET`",
        }
    }

    /// The same as a regular expression, as far as one can say it.
    pub(super) fn pattern(self) -> String {
        match self {
            Self::Label => r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$".to_owned(),
            Self::ReleaseName => r"^[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?$".to_owned(),
            Self::Provider => format!(
                "^({})$",
                PROVIDERS
                    .iter()
                    .map(|(name, _)| *name)
                    .collect::<Vec<_>>()
                    .join("|")
            ),
            Self::InstalledProvider
            | Self::AskRole
            | Self::AskYes
            | Self::ModelFormat
            | Self::AskMode => {
                format!("^({})$", words::of(self).join("|"))
            }
            Self::Duration => r"^([0-9]+[hms])+$".to_owned(),
            Self::Generator => r"^(hex[0-9]+|base64[0-9]+|uuid)$".to_owned(),
            Self::ValuePath => r"^[^.\s]+(\.[^.\s]+)*$".to_owned(),
            Self::Below => r"^[^/]".to_owned(),
            Self::Inside => r"^/".to_owned(),
            Self::Quantity => r"^[0-9.]+(e[0-9]+|[KMGTPE]i|[numkMGTPE])?$".to_owned(),
            Self::SecretId => r"^[A-Za-z0-9_.-]+$".to_owned(),
            Self::Variable => r"^[A-Za-z_][A-Za-z0-9_]*$".to_owned(),
            Self::SshAgent => r"^(default|[A-Za-z0-9_.-]+=.+)$".to_owned(),
            Self::Date => r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$".to_owned(),
            Self::Text
            | Self::VersionRange
            | Self::Chart
            | Self::Manifests
            | Self::Kustomization
            | Self::ValuesFile
            | Self::ComposeFile
            | Self::Context => ".".to_owned(),
        }
    }
}

fn below(text: &str, place: &Place) -> Result<()> {
    let path = Path::new(text);
    if path.is_relative() && !has_parent(path) {
        return Ok(());
    }
    let error = place.error(
        Code::ConfigValue,
        format!("`{text}` is not a path in the build context"),
    );
    Err(error.hint("write it relative to the image's `context`, without `..`"))
}

fn inside(text: &str, place: &Place) -> Result<()> {
    let path = Path::new(text);
    if path.is_absolute() && !has_parent(path) && !text.contains('\n') {
        return Ok(());
    }
    let error = place.error(
        Code::ConfigValue,
        format!("`{text}` is not an absolute path in the container"),
    );
    Err(error.hint("begin it with `/`, and leave out `..`"))
}

fn has_parent(path: &Path) -> bool {
    path.components()
        .any(|part| part == std::path::Component::ParentDir)
}

pub(super) fn provider(text: &str) -> Option<Provider> {
    PROVIDERS
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, provider)| *provider)
}

/// Hours, minutes and seconds, each a whole number with its unit; 1 s to 24 h.
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0u64;
    while !rest.is_empty() {
        let (digits, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let unit = match tail.chars().next()? {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        seconds = digits
            .parse::<u64>()
            .ok()?
            .checked_mul(unit)?
            .checked_add(seconds)?;
        rest = &tail[1..];
    }
    Some(Duration::from_secs(seconds)).filter(|time| !time.is_zero() && *time <= MAX_TIMEOUT)
}

/// `hexN`, `base64N` or `uuid`; N from 1 to 1024.
pub(super) fn generator(text: &str) -> Option<Generator> {
    let length = |digits: &str| {
        let digits = Some(digits).filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?;
        digits
            .parse()
            .ok()
            .filter(|n| (1..=MAX_SECRET_LENGTH).contains(n))
    };
    if let Some(digits) = text.strip_prefix("hex") {
        return length(digits).map(Generator::Hex);
    }
    if let Some(digits) = text.strip_prefix("base64") {
        return length(digits).map(Generator::Base64);
    }
    (text == "uuid").then_some(Generator::Uuid)
}

fn name(text: &str, longest: usize, place: &Place) -> Result<()> {
    if text.len() <= longest && is_label(text) {
        return Ok(());
    }
    let rule = format!("use lowercase letters, digits and inner `-`, at most {longest} characters");
    let hint = match label(text).map(|label| label.chars().take(longest).collect::<String>()) {
        Some(label) if is_label(&label) => format!("{rule}, such as `{label}`"),
        _ => rule,
    };
    Err(place
        .error(Code::ConfigValue, format!("`{text}` is not a valid name"))
        .hint(hint))
}

fn value_path(text: &str, place: &Place) -> Result<()> {
    if text
        .split('.')
        .all(|part| !part.is_empty() && !part.contains(char::is_whitespace))
    {
        return no_list_index(text, place);
    }
    let message = format!("`{text}` is not a path in the chart's values");
    Err(place
        .error(Code::ConfigValue, message)
        .hint("write the keys with dots between them, such as `api.image.tag`"))
}

/// `helm --set` takes `a[0].b` for an item of a list; in a path of devk's it would be a key of that name.
pub(super) fn no_list_index(path: &str, place: &Place) -> Result<()> {
    let mut escaped = false;
    let is_index = |c: char| {
        let found = c == '[' && !escaped;
        escaped = c == '\\' && !escaped;
        found
    };
    if !path.contains(is_index) {
        return Ok(());
    }
    let list = path.split('[').next().unwrap_or_default();
    Err(place.error(Code::ConfigValue, format!("`{path}` names an item of a list")).hint(format!(
        "give the whole list: `set: {{{list}: […]}}`, or in a values file; `\\[` stands for a bracket in a key"
    )))
}

fn chart(text: &str, place: &Place) -> Result<()> {
    let path = place.path(text);
    if path.join("Chart.yaml").is_file() {
        return Ok(());
    }
    let message = if path.is_dir() {
        format!("the chart folder `{text}` has no Chart.yaml")
    } else {
        format!("there is no chart folder `{text}`")
    };
    let error = place.error(Code::ChartMissing, message);
    if text.starts_with("oci://") || text.starts_with("http") {
        return Err(error.hint(
            "charts are installed from folders: `helm pull --untar` the chart and name its folder",
        ));
    }
    Err(error.hint(format!(
        "name the folder that holds Chart.yaml; {}",
        base(place)
    )))
}

fn kustomization(text: &str, place: &Place) -> Result<()> {
    let path = place.path(text);
    if KUSTOMIZATION_FILES
        .iter()
        .any(|name| path.join(name).is_file())
    {
        return Ok(());
    }
    let message = if path.is_dir() {
        format!("the folder `{text}` has no kustomization.yaml")
    } else {
        format!("there is no folder `{text}`")
    };
    let error = place.error(Code::ConfigPath, message);
    Err(match text.contains("://") {
        true => error.hint(format!(
            "make a folder with a kustomization.yaml that says `resources: [\"{text}\"]`, and name that folder"
        )),
        false => error.hint(format!(
            "name the folder that holds kustomization.yaml; {}",
            base(place)
        )),
    })
}

fn folder(text: &str, place: &Place) -> Result<()> {
    if place.path(text).is_dir() {
        return Ok(());
    }
    let error = place.error(
        Code::ImageContext,
        format!("there is no build context folder `{text}`"),
    );
    Err(error.hint(format!("name a folder; {}", base(place))))
}

fn file(kind: &str, text: &str, place: &Place) -> Result<()> {
    if place.path(text).is_file() {
        return Ok(());
    }
    let error = place.error(
        Code::ConfigPath,
        format!("there is no {kind} file `{text}`"),
    );
    Err(error.hint(format!("name a file; {}", base(place))))
}

/// Where relative paths start, for a hint.
pub(super) fn base(place: &Place) -> String {
    let dir = place.file.parent().unwrap_or(Path::new("/"));
    format!("paths start at `{}`", dir.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_add_up_and_stay_within_a_day() {
        let seconds = |text| duration(text).map(|time| time.as_secs());
        assert_eq!(
            ["180s", "3m", "1h30m", "24h"].map(seconds),
            [180, 180, 5400, 86400].map(Some)
        );
        assert_eq!(
            [
                "",
                "0s",
                "180",
                "3 m",
                "m",
                "25h",
                "1d",
                "-1s",
                "99999999999999999999s"
            ]
            .map(seconds),
            [None; 9]
        );
    }

    #[test]
    fn generators_have_a_length() {
        assert_eq!(generator("hex64"), Some(Generator::Hex(64)));
        assert_eq!(generator("base6432"), Some(Generator::Base64(32)));
        assert_eq!(generator("uuid"), Some(Generator::Uuid));
        assert_eq!(
            ["hex", "hex0", "hex+4", "hex9999", "base64", "uuid4", ""].map(generator),
            [None; 7]
        );
    }
}
