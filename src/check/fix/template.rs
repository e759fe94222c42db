//! Fields written into the text of a template, where the place is certain. Pure.
//!
//! The place is certain if the first key of the mapping stands in the template as it was rendered, on a line that only it
//! can have written, and if nothing that is written by an action could be a key of the same mapping. What is added stands
//! behind the mapping's last line, in the same blocks as its first.

use serde_json::{Map, Value};

use super::super::align::TemplateLines;
use super::nesting::{LineNesting, TemplateBlock, nesting};
use super::remedy::{RemedyField, depth, value_at};
use crate::release::lined::{LinedYaml, RenderedDocument};
use crate::release::yaml_edit::{block_text, flow_text, put, with_lines};

/// A template, and a document that it has rendered to.
pub(super) struct TemplateText<'a> {
    text: &'a str,
    lines: Vec<&'a str>,
    nesting: Vec<LineNesting>,
    document: &'a RenderedDocument,
    keys: LinedYaml,
    /// For each rendered line the template's line with its text, from 0.
    wrote: Vec<Option<usize>>,
}

/// Where keys can be added to a mapping.
#[derive(Debug, PartialEq, Eq)]
struct Site {
    /// Behind so many lines of the template.
    after: usize,
    column: usize,
    /// In it `.` is not the root.
    moves_dot: bool,
}

/// The new text, or why there is none.
type Edited = Result<String, String>;

impl<'a> TemplateText<'a> {
    pub(super) fn new(text: &'a str, document: &'a RenderedDocument) -> Result<Self, String> {
        let keys = LinedYaml::parse(&document.text)?;
        let wrote = TemplateLines::new(text).aligned(&document.text);
        let wrote = wrote
            .into_iter()
            .map(|line| line.map(|line| line as usize - 1));
        Ok(Self {
            text,
            lines: text.lines().collect(),
            nesting: nesting(text),
            document,
            keys,
            wrote: wrote.collect(),
        })
    }

    /// With these fields, all of one mapping.
    pub(super) fn with_fields(&self, fields: &[RemedyField]) -> Edited {
        if let [field] = fields
            && self
                .value(&field.path)
                .is_some_and(|value| !value.is_null())
        {
            return self.with_value(field);
        }
        let first = fields.first().ok_or("there is no field")?;
        let depth = depth(&self.document.object, &first.path);
        let (parent, _) = first.path.split_at(depth);
        if !self.value(parent).is_some_and(Value::is_object) {
            return Err("the field belongs to an item that is not there".to_owned());
        }
        let mut added = Value::Object(Map::new());
        for field in fields {
            let Some(rest) = field
                .path
                .strip_prefix(parent)
                .filter(|rest| !rest.is_empty())
            else {
                return Err("the fields belong to several mappings".to_owned());
            };
            put(&mut added, rest, field.said()).ok_or("one of the fields is in another one")?;
        }
        let added = added.as_object().ok_or("there is no field")?;
        let names: Vec<_> = added.keys().map(String::as_str).collect();
        let site = self.site(parent, &names)?;
        let mut block = block_text(added, site.column, written);
        if site.moves_dot {
            block = block.replace(" .", " $.");
        }
        Ok(self.inserted(site.after, &block))
    }

    /// With a PodDisruptionBudget for the workload that the document is.
    pub(super) fn with_budget(&self) -> Edited {
        let site = self.site(&[], &[])?;
        let name = self.lines_of(&["metadata", "name"], 2)?;
        let labels = self.lines_of(&["spec", "selector", "matchLabels"], 4)?;
        let budget = format!(
            "---\napiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata:\n{name}spec:\n  maxUnavailable: 1\n  selector:\n{labels}"
        );
        Ok(self.inserted(site.after, &budget))
    }

    fn value(&self, path: &[String]) -> Option<&Value> {
        value_at(&self.document.object, path)
    }

    /// The line of the template that wrote a key, which it begins with, and the key's column.
    fn line_of(&self, path: &[String]) -> Result<(usize, usize), String> {
        let unknown = || {
            format!(
                "no line of the template is known to write `{}`",
                path.join(".")
            )
        };
        let (line, steps) = self.keys.line(path).ok_or_else(unknown)?;
        let wrote = self.wrote.get(line as usize - 1).copied().flatten();
        let at = wrote.filter(|_| steps == path.len()).ok_or_else(unknown)?;
        let line = self.lines[at];
        let key = path.last().map(String::as_str).unwrap_or_default();
        let bare = line.trim_start_matches([' ', '-']);
        let is_key = bare
            .strip_prefix(key)
            .is_some_and(|rest| rest.starts_with(':'));
        match is_key && !self.nesting[at].is_inside {
            true => Ok((at, line.len() - bare.len())),
            false => Err(unknown()),
        }
    }

    /// A literal scalar replaced by another.
    fn with_value(&self, field: &RemedyField) -> Edited {
        let (at, _) = self.line_of(&field.path)?;
        let line = self.lines[at];
        let key = field.path.last().map(String::as_str).unwrap_or_default();
        let literal = || format!("the template computes `{key}`");
        let (head, rest) = line.split_once(": ").ok_or_else(literal)?;
        let given = rest.split(" #").next().unwrap_or(rest).trim();
        if given.is_empty()
            || given.starts_with(['{', '[', '&', '*', '|', '>', '!'])
            || rest.contains("{{")
        {
            return Err(literal());
        }
        let margin = rest.len() - rest.trim_start().len();
        let comment = &rest[margin + given.len()..];
        let new = format!(
            "{head}: {}{}{comment}",
            &rest[..margin],
            written(&field.said())
        );
        Ok(self.replaced(at, &new))
    }

    /// Where the keys `names` can be added to the mapping at a path.
    fn site(&self, mapping: &[String], names: &[&str]) -> Result<Site, String> {
        let entries = self.value(mapping).and_then(Value::as_object);
        let first = entries.and_then(|entries| entries.keys().next());
        let first = first.ok_or("the mapping is empty")?;
        let path: Vec<_> = mapping.iter().chain([first]).cloned().collect();
        let (begin, column) = self.line_of(&path)?;
        let around = &self.nesting[begin].line_begin;
        let after = self.end_of(begin, column, around, names)?;
        if self.lines[after - 1].trim_end().ends_with("-}}") {
            return Err("an action takes away the end of the mapping's last line".to_owned());
        }
        Ok(Site {
            after,
            column,
            moves_dot: around.iter().any(|block| block.moves_dot),
        })
    }

    /// Behind which line the mapping ends that begins here.
    fn end_of(
        &self,
        begin: usize,
        column: usize,
        around: &[TemplateBlock],
        names: &[&str],
    ) -> Result<usize, String> {
        let mut after = begin + 1;
        // What was written in a block since the last line outside of blocks belongs to the mapping.
        let mut belongs = false;
        let mut last_literal = self.lines[begin];
        for at in begin..self.lines.len() {
            let (line, nesting) = (self.lines[at], &self.nesting[at]);
            let is_within = nesting.line_begin.starts_with(around);
            if !is_within || !nesting.line_end.starts_with(around) || line.starts_with("---") {
                break;
            }
            let is_outside = nesting.line_end.len() == around.len();
            match LineKind::of(line, nesting) {
                LineKind::Silent => {
                    if is_outside && belongs {
                        (after, belongs) = (at + 1, false);
                    }
                }
                LineKind::Written(indent) => {
                    let is_value = last_literal.trim_end().ends_with(':');
                    if indent < column {
                        break;
                    }
                    if indent == column && !is_value {
                        return Err("an action of the template may write the field".to_owned());
                    }
                    match is_outside {
                        true => after = at + 1,
                        false => belongs = true,
                    }
                }
                LineKind::Literal(indent) => {
                    let bare = line.trim_start_matches([' ', '-']);
                    let is_begin = at == begin;
                    if !is_begin && indent < column {
                        break;
                    }
                    let is_key =
                        is_begin || indent == column && !line.trim_start().starts_with('-');
                    let is_named = |name: &&str| {
                        bare.strip_prefix(name)
                            .is_some_and(|rest| rest.starts_with(':'))
                    };
                    if let Some(name) = names.iter().copied().find(is_named).filter(|_| is_key) {
                        return Err(format!("the template writes `{name}` with other values"));
                    }
                    last_literal = line;
                    match is_outside {
                        true => (after, belongs) = (at + 1, false),
                        false => belongs = true,
                    }
                }
            }
        }
        Ok(after)
    }

    /// The lines of the template that write a key with all below it, if the key stands at this column.
    fn lines_of(&self, path: &[&str], column: usize) -> Edited {
        let path: Vec<_> = path.iter().map(|step| (*step).to_owned()).collect();
        let (begin, found) = self.line_of(&path)?;
        if found != column {
            return Err(format!(
                "`{}` does not stand at the usual column",
                path.join(".")
            ));
        }
        let below = self.lines[begin + 1..].iter();
        let below = below.take_while(|line| {
            let is_deeper = line.len() - line.trim_start().len() > column;
            is_deeper && !line.trim().is_empty()
        });
        let end = begin + 1 + below.count();
        let blocks = &self.nesting[begin].line_begin;
        if self.nesting[begin..end]
            .iter()
            .any(|line| line.line_begin != *blocks || line.line_end != *blocks)
        {
            return Err(format!(
                "the template writes `{}` under a condition",
                path.join(".")
            ));
        }
        Ok(self.lines[begin..end]
            .iter()
            .map(|line| format!("{line}\n"))
            .collect())
    }

    fn inserted(&self, after: usize, block: &str) -> String {
        let lines = self.text.split_inclusive('\n').take(after);
        with_lines(self.text, lines.map(str::len).sum(), block)
    }

    fn replaced(&self, at: usize, line: &str) -> String {
        let lines = self.text.split_inclusive('\n').enumerate();
        let lines = lines.map(|(here, old)| match here == at {
            true => format!("{line}{}", &old[old.trim_end_matches(['\n', '\r']).len()..]),
            false => old.to_owned(),
        });
        lines.collect()
    }
}

/// What a line of a template writes.
enum LineKind {
    /// Nothing, or a comment.
    Silent,
    /// What an action says, at this column.
    Written(usize),
    /// Text, at this column.
    Literal(usize),
}

impl LineKind {
    fn of(line: &str, nesting: &LineNesting) -> Self {
        const SILENT: [&str; 9] = [
            "if", "else", "end", "with", "range", "define", "block", "/*", "",
        ];
        let bare = line.trim();
        let column = line.len() - line.trim_start().len();
        if bare.is_empty() || bare.starts_with('#') || nesting.is_inside {
            return Self::Silent;
        }
        let is_action = bare.starts_with("{{") && bare.ends_with("}}")
            || bare.starts_with("{{") && !bare.contains("}}");
        if !is_action {
            return Self::Literal(column);
        }
        let is_silent = |word: &String| {
            SILENT.contains(&word.as_str())
                || word.starts_with('$') && bare.contains("=")
                || word.starts_with("/*")
        };
        match nesting.words.iter().all(is_silent) {
            true => Self::Silent,
            false => Self::Written(indented(bare).unwrap_or(column)),
        }
    }
}

/// The column that `nindent 8` or `indent 8` gives.
fn indented(action: &str) -> Option<usize> {
    let (_, after) = action.rsplit_once("indent ")?;
    let digits: String = after
        .trim_start()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().ok()
}

/// A scalar in a template.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) if text.starts_with("{{") => text.clone(),
        other => flow_text(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(rendered: &str) -> RenderedDocument {
        RenderedDocument {
            source: "shop/templates/a.yaml".to_owned(),
            text: rendered.to_owned(),
            object: crate::release::yaml::parse(rendered).unwrap(),
        }
    }

    fn with(template: &str, rendered: &str, path: &str, value: Value) -> Edited {
        let document = document(rendered);
        let field = RemedyField {
            path: path.split('/').map(str::to_owned).collect(),
            value,
            action: None,
        };
        TemplateText::new(template, &document)
            .unwrap()
            .with_fields(&[field])
    }

    const RENDERED: &str = "kind: Deployment
spec:
  template:
    spec:
      containers:
        - name: api
          image: \"a:1\"
          ports:
            - containerPort: 80
        - name: other
          image: b
";
    const LIMIT: &str = "spec/template/spec/containers/0/resources/limits/memory";

    #[test]
    fn a_block_stands_behind_the_last_line_of_its_container() {
        let template = RENDERED.replace("\"a:1\"", "\"{{ .Values.image }}\"");
        let found = with(&template, RENDERED, LIMIT, json!("1Gi")).unwrap();
        let block = "            - containerPort: 80\n          resources:\n            limits:\n              memory: 1Gi\n";
        assert_eq!(
            found,
            template.replace("            - containerPort: 80\n", block)
        );
        let account = with(
            &template,
            RENDERED,
            "spec/template/spec/automountServiceAccountToken",
            json!(false),
        );
        assert_eq!(
            account.unwrap(),
            format!("{template}      automountServiceAccountToken: false\n")
        );
    }

    #[test]
    fn a_block_stands_in_no_condition_that_its_mapping_does_not_stand_in() {
        let template = RENDERED.replace(
            "            - containerPort: 80\n",
            "            - containerPort: 80\n          {{- if .Values.more }}\n          args: [x]\n          {{- end }}\n",
        );
        let found = with(&template, RENDERED, LIMIT, json!("1Gi")).unwrap();
        assert!(
            found.contains("{{- end }}\n          resources:\n"),
            "{found}"
        );
        let template = template.replace(
            "      containers:",
            "      {{- with .Values.x }}\n      x: y\n      {{- end }}\n      containers:",
        );
        let found = with(&template, RENDERED, LIMIT, json!("1Gi")).unwrap();
        assert!(
            found.contains("{{- end }}\n          resources:\n"),
            "{found}"
        );
    }

    #[test]
    fn where_an_action_may_write_the_field_nothing_is_added() {
        for more in [
            "          {{- with .Values.resources }}\n          resources:\n            {{- toYaml . | nindent 12 }}\n          {{- end }}\n",
            "          {{- include \"x.container\" . | nindent 10 }}\n",
        ] {
            let template = RENDERED.replace(
                "        - name: other",
                &format!("{more}        - name: other"),
            );
            let found = with(&template, RENDERED, LIMIT, json!("1Gi"));
            assert!(found.is_err(), "{found:?}");
        }
        let included = "{{ include \"x.deployment\" . }}\n";
        assert!(with(included, RENDERED, LIMIT, json!("1Gi")).is_err());
        let flow = RENDERED.replace(
            "- name: other\n          image: b",
            "- {name: other, image: b}",
        );
        let path = LIMIT.replace("/0/", "/1/");
        assert!(with(&flow, &flow, &path, json!("1Gi")).is_err());
    }

    #[test]
    fn what_an_action_writes_below_a_key_is_a_part_of_the_mapping() {
        let env = "          env:\n            {{- toYaml .Values.env | nindent 12 }}\n";
        let template = RENDERED.replace(
            "        - name: other",
            &format!("{env}        - name: other"),
        );
        let rendered = RENDERED.replace(
            "        - name: other",
            "          env:\n            - name: A\n        - name: other",
        );
        let found = with(&template, &rendered, LIMIT, json!("1Gi")).unwrap();
        assert!(
            found.contains("nindent 12 }}\n          resources:\n"),
            "{found}"
        );
        let trimmed = template.replace("nindent 12 }}", "nindent 12 -}}");
        assert!(with(&trimmed, &rendered, LIMIT, json!("1Gi")).is_err());
    }

    #[test]
    fn a_literal_value_is_replaced_and_its_comment_stays() {
        let rendered = "kind: Deployment\nspec:\n  grace: 0  # now\n";
        assert_eq!(
            with(rendered, rendered, "spec/grace", json!(30)).unwrap(),
            rendered.replace("0  #", "30  #")
        );
        let computed = rendered.replace('0', "{{ .Values.grace }}");
        assert!(with(&computed, rendered, "spec/grace", json!(30)).is_err());
    }

    #[test]
    fn a_budget_takes_name_and_labels_as_the_template_has_them() {
        let template = "{{- if .Values.on }}\nkind: Deployment\nmetadata:\n  name: {{ .Release.Name }}\nspec:\n  selector:\n    matchLabels:\n      {{- include \"x\" . | nindent 6 }}\n  replicas: 2\n{{- end }}\n";
        let document = document(
            "kind: Deployment\nmetadata:\n  name: r\nspec:\n  selector:\n    matchLabels:\n      app: x\n  replicas: 2\n",
        );
        let found = TemplateText::new(template, &document)
            .unwrap()
            .with_budget()
            .unwrap();
        let budget = "---\napiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata:\n  name: {{ .Release.Name }}\nspec:\n  maxUnavailable: 1\n  selector:\n    matchLabels:\n      {{- include \"x\" . | nindent 6 }}\n{{- end }}\n";
        assert_eq!(found, template.replace("{{- end }}\n", budget));
    }
}
