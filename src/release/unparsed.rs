//! Templates whose rendering is no YAML: helm names a line of what it rendered, and nobody has seen that. helm is asked for
//! it once more.

use super::prepare::Prepared;
use super::yaml;
use crate::error::Error;
use crate::process::Cmd;

/// Above what each template renders.
const SOURCE: &str = "# Source: ";

/// The error with the rendered line that it names, at the line of the template that renders it. `debugging` is the command
/// that failed, with `--debug`.
pub(super) async fn explained(error: Error, prepared: &Prepared, debugging: Cmd) -> Error {
    let Some((template, number)) = named(&error.message) else {
        return error;
    };
    let Ok(answer) = debugging.answer(|_| {}).await else {
        return error;
    };
    let Some(line) = rendered_line(&answer.output.stdout, template, number) else {
        return error;
    };
    let said = format!("line {number} of what it renders: `{}`", line.trim());
    let file = prepared.chart.user_file(template);
    let at = file
        .as_ref()
        .and_then(|file| std::fs::read_to_string(file).ok())
        .and_then(|text| template_line(&text, line));
    let mut error = error;
    error.evidence.insert(0, said);
    match (file, at) {
        (Some(file), Some(at)) => error.at(file, Some(at)),
        _ => error,
    }
}

/// The template and the line, from 1, of `YAML parse error on shop/templates/api.yaml: …: yaml: line 7: …`.
fn named(message: &str) -> Option<(&str, usize)> {
    let (_, rest) = message.split_once("YAML parse error on ")?;
    let (template, why) = rest.split_once(": ")?;
    let (_, line) = why.split_once("line ")?;
    let digits = line.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((template, digits.parse().ok()?))
}

/// A line of the document that is no YAML, among what `helm template --debug` prints. None for a Secret's.
fn rendered_line<'a>(printed: &'a str, template: &str, number: usize) -> Option<&'a str> {
    let head = format!("{SOURCE}{template}\n");
    let (_, rest) = printed.split_once(&head)?;
    let end = format!("\n---\n{SOURCE}");
    let text = rest.split(&end).next()?.trim_start();
    let text = text.strip_prefix("---").unwrap_or(text);
    // helm counts from the first line of each document that is not empty.
    let mut documents = text.split("\n---").map(str::trim_start);
    let document = documents.find(|document| yaml::parse(document).is_err())?;
    let is_secret = document.lines().any(|line| line.trim() == "kind: Secret");
    let line = document.lines().nth(number.checked_sub(1)?)?;
    (!is_secret).then_some(line)
}

/// The one line of a template that can have rendered this: what stands around its `{{ }}` is there.
fn template_line(template: &str, rendered: &str) -> Option<u32> {
    let mut fitting = (1..)
        .zip(template.lines())
        .filter(|(_, line)| fits(line, rendered.trim()));
    match (fitting.next(), fitting.next()) {
        (Some((at, _)), None) => Some(at),
        _ => None,
    }
}

fn fits(template: &str, rendered: &str) -> bool {
    let mut texts = vec![];
    let mut rest = template.trim();
    while let Some((text, after)) = rest.split_once("{{") {
        texts.push(text);
        rest = after.split_once("}}").map_or("", |(_, after)| after);
    }
    let Some((first, others)) = texts.split_first() else {
        return rest == rendered;
    };
    let is_only_code = texts.iter().all(|text| text.is_empty()) && rest.is_empty();
    let Some(mut left) = rendered.strip_prefix(first).filter(|_| !is_only_code) else {
        return false;
    };
    for text in others {
        match left.split_once(text) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    left.ends_with(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "---
# Source: shop/templates/fine.yaml
a: 1
---
# Source: shop/templates/api.yaml

kind: Service
---
kind: Deployment
image: acme/api:latest: latest
---
# Source: shop/templates/keys.yaml
kind: Secret
stringData:
  password: one: two
";

    #[test]
    fn the_line_is_that_of_the_document_that_is_no_yaml_and_never_a_secrets() {
        let message = |template: &str, line: u32| {
            format!(
                "YAML parse error on shop/templates/{template}: error converting YAML to JSON: yaml: line {line}: mapping values"
            )
        };
        let line = |template: &str, number: u32| {
            let message = message(template, number);
            let (template, number) = named(&message)?;
            rendered_line(PRINTED, template, number)
        };
        assert_eq!(line("api.yaml", 2), Some("image: acme/api:latest: latest"));
        assert_eq!(line("keys.yaml", 3), None);
        assert_eq!(line("fine.yaml", 1), None, "it is YAML");
        assert_eq!(line("other.yaml", 1), None);
        assert_eq!(line("api.yaml", 9), None);
        assert_eq!(named("template: shop/x.yaml:3:1: no function"), None);
    }

    #[test]
    fn the_templates_line_is_the_only_one_whose_text_fits() {
        let template = "spec:
  image: {{ .Values.repository }}: {{ .Values.tag }}
  name: {{ .Values.name }}
  {{ .Values.more }}
  name: {{ .Values.other }}
  fixed: a: b
";
        let line = |rendered: &str| template_line(template, rendered);
        assert_eq!(line("      image: acme/api:latest: latest"), Some(2));
        assert_eq!(line("fixed: a: b"), Some(6));
        assert_eq!(line("name: x: y"), None, "two may have rendered it");
        assert_eq!(line("other: x: y"), None);
    }
}
