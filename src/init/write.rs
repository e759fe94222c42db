//! The text of devk.yaml: YAML with the evidence of each choice as its comment. Pure.

use serde_json::Value;

use super::clue::shown;
use super::draft::{
    DraftCompose, DraftForward, DraftImage, DraftRelease, DraftSecret, InitDraft, InitSource,
};

/// Comments are broken after this many characters.
const MAX_COMMENT_CHARS: usize = 110;

/// The whole file.
pub(super) fn text(draft: &InitDraft) -> String {
    let mut out = Lines::default();
    out.comment(0, "Written by `devk init` from the files of this repository; each comment gives the evidence as file:line.");
    out.comment(
        0,
        "All keys: `devk schema`. What `devk up` would do: `devk up --dry-run`.",
    );
    out.line(0, &format!("name: {}", scalar(&draft.name)));
    compose(&mut out, &draft.compose);
    images(&mut out, &draft.images);
    if !draft.releases.is_empty() {
        out.empty();
        out.line(0, "releases:");
        draft
            .releases
            .iter()
            .for_each(|found| release(&mut out, found));
    }
    forwards(&mut out, &draft.forwards);
    if !draft.notes.is_empty() {
        out.empty();
        draft.notes.iter().for_each(|note| out.comment(0, note));
    }
    out.0
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    fn line(&mut self, indent: usize, text: &str) {
        self.0.push_str(&" ".repeat(indent));
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn empty(&mut self) {
        self.0.push('\n');
    }

    /// A comment, broken between words. What stands in it may come from the repository's files.
    fn comment(&mut self, indent: usize, text: &str) {
        for (at, line) in text.lines().enumerate() {
            let mut open = String::new();
            let begin = if at == 0 { "# " } else { "#   " };
            for word in line.split_whitespace() {
                let is_full = indent + open.len() + word.len() + 3 > MAX_COMMENT_CHARS;
                if is_full && !open.is_empty() {
                    self.line(indent, &format!("{begin}{open}"));
                    open.clear();
                }
                if !open.is_empty() {
                    open.push(' ');
                }
                open.extend(word.chars().filter(|c| !c.is_control()));
            }
            self.line(indent, &format!("{begin}{open}"));
        }
    }

    /// Lines of YAML that are commented out, as they are.
    fn off(&mut self, indent: usize, text: &str) {
        self.line(indent, &format!("# {text}"));
    }
}

fn compose(out: &mut Lines, compose: &DraftCompose) {
    match compose {
        DraftCompose::Found => {}
        DraftCompose::Files(files) => {
            let files: Vec<_> = files.iter().map(|file| scalar(&shown(file))).collect();
            out.line(0, &format!("compose: [{}]", files.join(", ")));
        }
        DraftCompose::None(why) => {
            out.comment(0, why);
            out.line(0, "compose: []");
        }
    }
}

fn images(out: &mut Lines, images: &[DraftImage]) {
    if images.is_empty() {
        return;
    }
    out.empty();
    let (on, off): (Vec<_>, Vec<_>) = images.iter().partition(|image| image.off.is_none());
    if on.is_empty() {
        out.off(0, "images:");
    } else {
        out.line(0, "images:");
    }
    for found in on {
        found.evidence.iter().for_each(|why| out.comment(2, why));
        out.line(2, &format!("{}:", found.name));
        keys(found).iter().for_each(|key| out.line(4, key));
        found
            .alternatives
            .iter()
            .for_each(|text| out.comment(4, text));
    }
    for found in off {
        found.off.iter().for_each(|why| out.comment(2, why));
        found.evidence.iter().for_each(|why| out.comment(2, why));
        out.off(2, &format!("{}:", found.name));
        keys(found)
            .iter()
            .for_each(|key| out.off(2, &format!("  {key}")));
    }
}

fn keys(image: &DraftImage) -> Vec<String> {
    let mut keys = vec![format!("context: {}", scalar(&shown(&image.context)))];
    if image.dockerfile != image.context.join("Dockerfile") {
        keys.push(format!("dockerfile: {}", scalar(&shown(&image.dockerfile))));
    }
    keys.extend(
        image
            .target
            .iter()
            .map(|target| format!("target: {}", scalar(target))),
    );
    if !image.args.is_empty() {
        keys.push("args:".to_owned());
        let args = image.args.iter();
        keys.extend(
            args.map(|(name, value)| format!("  {}: {}", scalar(name), text_scalar(value))),
        );
    }
    if !image.replaces.is_empty() {
        keys.push(format!("replaces: {}", list(&image.replaces)));
    }
    if !image.secrets.is_empty() {
        keys.push("secrets:".to_owned());
        let secrets = image.secrets.iter();
        keys.extend(secrets.map(|secret| {
            let (id, value) = (scalar(&secret.id), scalar(&secret.value));
            format!("  {id}: {{{}: {value}}}", secret.key)
        }));
    }
    if !image.ssh.is_empty() {
        keys.push(format!("ssh: {}", list(&image.ssh)));
    }
    if !image.sync.is_empty() {
        keys.push("sync:".to_owned());
        for rule in &image.sync {
            let exclude = match rule.exclude.is_empty() {
                true => String::new(),
                false => format!(", exclude: {}", list(&rule.exclude)),
            };
            keys.push(format!(
                "  - {{from: {}, to: {}{exclude}}}",
                scalar(&rule.from),
                scalar(&rule.to)
            ));
        }
    }
    keys
}

fn release(out: &mut Lines, release: &DraftRelease) {
    release.evidence.iter().for_each(|why| out.comment(2, why));
    out.line(2, &format!("- name: {}", scalar(&release.name)));
    out.line(4, &source(&release.source));
    if !release.values.is_empty() {
        let files: Vec<_> = release.values.iter().map(|file| shown(file)).collect();
        out.line(4, &format!("values: {}", list(&files)));
    }
    if !release.images.is_empty() {
        out.line(4, "images:");
        for (name, path) in &release.images {
            let [repository, tag] =
                ["repository", "tag"].map(|key| scalar(&format!("{path}.{key}")));
            out.line(
                6,
                &format!("{name}: {{repository: {repository}, tag: {tag}}}"),
            );
        }
    }
    if !release.set.is_empty() {
        out.line(4, "set:");
        for value in &release.set {
            out.comment(6, &value.why);
            out.line(
                6,
                &format!("{}: {}", scalar(&value.path), any(&value.value)),
            );
        }
    }
    if !release.generate.is_empty() {
        out.line(4, "generate:");
        release
            .generate
            .iter()
            .for_each(|secret| generated(out, secret));
    }
    release
        .alternatives
        .iter()
        .for_each(|text| out.comment(4, text));
}

fn source(source: &InitSource) -> String {
    match source {
        InitSource::Chart(chart) => format!("chart: {}", scalar(&shown(chart))),
        InitSource::Manifests(files) => format!("manifests: {}", list(files)),
        InitSource::Kustomize(folder) => format!("kustomize: {}", scalar(&shown(folder))),
    }
}

fn generated(out: &mut Lines, secret: &DraftSecret) {
    secret.why.iter().for_each(|why| out.comment(6, why));
    match &secret.paths[..] {
        [path] => out.line(6, &format!("{}: {}", scalar(path), secret.length)),
        paths => {
            let name = paths.first().map(String::as_str).unwrap_or_default();
            out.line(
                6,
                &format!(
                    "{}: {{length: {}, paths: {}}}",
                    scalar(name),
                    secret.length,
                    list(paths)
                ),
            );
        }
    }
}

fn forwards(out: &mut Lines, forwards: &[DraftForward]) {
    if forwards.is_empty() {
        return;
    }
    out.empty();
    out.line(0, "forwards:");
    for forward in forwards {
        let line = format!(
            "{}: {{service: {}, port: {}}}  # {}",
            forward.name,
            scalar(&forward.service),
            forward.port,
            forward.why
        );
        out.line(2, &line);
    }
}

fn list(items: &[String]) -> String {
    let items: Vec<_> = items.iter().map(|item| scalar(item)).collect();
    format!("[{}]", items.join(", "))
}

fn any(value: &Value) -> String {
    match value {
        Value::String(text) => text_scalar(text),
        // JSON is YAML.
        other => other.to_string(),
    }
}

/// A text plain where YAML and people read it as a text, else in double quotes as JSON has them.
pub(super) fn scalar(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '_')
        || text == "."
        || text.starts_with("./")
        || text.starts_with("../");
    // A colon is one of a reference with a tag.
    let is_read_as_text = text.chars().all(|c| is_plain(c) || c == ':')
        && !text.ends_with(':')
        && !is_word_of_yaml(text);
    match begins && is_read_as_text {
        true => text.to_owned(),
        false => quoted(text),
    }
}

/// A value is a text whatever it looks like.
fn text_scalar(text: &str) -> String {
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic());
    match begins && scalar(text) == text && !text.contains(':') {
        true => text.to_owned(),
        false => quoted(text),
    }
}

fn is_word_of_yaml(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    ["true", "false", "yes", "no", "on", "off", "null", "y", "n"].contains(&lower.as_str())
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}
