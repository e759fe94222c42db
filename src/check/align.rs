//! Which line of a template a rendered line comes from. Pure.
//!
//! A template's line is a pattern: its text outside of `{{ … }}` must stand in the rendered line, in order, from its
//! beginning to its end. The longest common subsequence of rendered lines and patterns, weighed by the text that they
//! share, is the alignment; what lies between two aligned lines was written by an action between the two.

/// A template's line as a pattern.
#[derive(Debug)]
struct Pattern<'a> {
    /// Texts outside of actions; the first is the line's beginning, the last its end.
    texts: Vec<&'a str>,
    /// Bytes of text, without blanks.
    weight: u32,
    /// It has an action that may write lines of its own.
    writes: bool,
}

/// The lines of a template, ready to be aligned with.
#[derive(Debug)]
pub(super) struct TemplateLines<'a>(Vec<Pattern<'a>>);

/// More cells than this are not computed: the file is too large to say a line.
const MAX_CELLS: usize = 4_000_000;

impl<'a> TemplateLines<'a> {
    pub(super) fn new(template: &'a str) -> Self {
        let mut inside = false;
        Self(
            template
                .lines()
                .map(|line| pattern(line, &mut inside))
                .collect(),
        )
    }

    /// For each line of a rendered document the line of the template that wrote it, from 1; None where nothing says it.
    pub(super) fn align(&self, document: &str) -> Vec<Option<u32>> {
        let mut lines = self.aligned(document);
        if self.fits(lines.len()) {
            self.fill(&mut lines);
        }
        lines
    }

    /// Whether a document of so many lines is aligned at all.
    fn fits(&self, rows: usize) -> bool {
        (rows + 1).saturating_mul(self.0.len() + 1) <= MAX_CELLS
    }

    /// The same for lines whose text the template has, and for no others.
    pub(super) fn aligned(&self, document: &str) -> Vec<Option<u32>> {
        let rendered: Vec<_> = document.lines().collect();
        let patterns = &self.0;
        let (rows, columns) = (rendered.len(), patterns.len());
        if !self.fits(rows) {
            return vec![None; rows];
        }
        // best[row][column]: of the rendered lines from `row` and the patterns from `column`.
        let width = columns + 1;
        let mut best = vec![0u32; (rows + 1) * width];
        for row in (0..rows).rev() {
            for column in (0..columns).rev() {
                let skipped = best[(row + 1) * width + column].max(best[row * width + column + 1]);
                let taken = match patterns[column].matches(rendered[row]) {
                    true => best[(row + 1) * width + column + 1] + patterns[column].weight,
                    false => 0,
                };
                best[row * width + column] = skipped.max(taken);
            }
        }
        let mut lines = vec![None; rows];
        let (mut row, mut column) = (0, 0);
        while row < rows && column < columns {
            let here = best[row * width + column];
            let is_taken = patterns[column].weight > 0
                && patterns[column].matches(rendered[row])
                && here == best[(row + 1) * width + column + 1] + patterns[column].weight;
            if is_taken {
                lines[row] = u32::try_from(column + 1).ok();
                (row, column) = (row + 1, column + 1);
            } else if here == best[(row + 1) * width + column] {
                row += 1;
            } else {
                column += 1;
            }
        }
        lines
    }

    /// Gives lines between two aligned ones to the first action between those that may have written them, else to the
    /// line before.
    fn fill(&self, lines: &mut [Option<u32>]) {
        let mut before = None;
        for at in 0..lines.len() {
            if lines[at].is_some() {
                before = lines[at];
                continue;
            }
            let after = lines[at..].iter().flatten().next().copied();
            let from = before.map_or(0, |line| line as usize);
            let to = after.map_or(self.0.len(), |line| line as usize - 1);
            // The aligned line itself may end in an action: `resources: {{- toYaml … }}`.
            let of_line = before.filter(|line| self.0[*line as usize - 1].writes);
            let between = self.0.get(from..to).unwrap_or_default();
            let action = between.iter().position(|pattern| pattern.writes);
            let action = action.and_then(|index| u32::try_from(from + index + 1).ok());
            lines[at] = of_line.or(action).or(before).or(after);
        }
    }
}

fn pattern<'a>(line: &'a str, inside: &mut bool) -> Pattern<'a> {
    let mut texts = vec![];
    let mut rest = line;
    let mut actions = vec![];
    if *inside {
        match rest.split_once("}}") {
            Some((action, after)) => {
                actions.push(action);
                texts.push("");
                (rest, *inside) = (after, false);
            }
            None => {
                return Pattern {
                    texts: vec![],
                    weight: 0,
                    writes: false,
                };
            }
        }
    }
    while let Some((text, after)) = rest.split_once("{{") {
        texts.push(text);
        match after.split_once("}}") {
            Some((action, after)) => {
                actions.push(action);
                rest = after;
            }
            None => {
                *inside = true;
                actions.push(after);
                rest = "";
            }
        }
    }
    texts.push(rest);
    let bytes: usize = texts.iter().map(|text| text.trim().len()).sum();
    let writes = actions.iter().any(|action| {
        ["include", "toYaml", "template", "tpl", "indent", "toJson"]
            .iter()
            .any(|word| action.contains(word))
    });
    Pattern {
        texts,
        weight: u32::try_from(bytes).unwrap_or(u32::MAX),
        writes,
    }
}

impl Pattern<'_> {
    fn matches(&self, line: &str) -> bool {
        let Some(((first, middle), line)) = self.texts.split_first().zip(Some(line)) else {
            return false;
        };
        if self.weight == 0 {
            return false;
        }
        // Indentation may come from `nindent` or `tpl`.
        let (first, line) = (first.trim_start(), line.trim());
        let Some(mut rest) = line.strip_prefix(first.trim_end()) else {
            return false;
        };
        let Some((last, between)) = middle.split_last() else {
            return rest.trim().is_empty();
        };
        for text in between {
            match rest.find(text.trim()) {
                Some(at) => rest = &rest[at + text.trim().len()..],
                None => return false,
            }
        }
        rest.ends_with(last.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "{{- if .Values.on }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include \"x.name\" . }}
  labels: {{- include \"x.labels\" . | nindent 4 }}
spec:
  template:
    spec:
      containers:
        - name: {{ .Chart.Name }}
          image: \"{{ .Values.image.repository }}:{{ .Values.image.tag }}\"
          {{- with .Values.resources }}
          resources:
            {{- toYaml . | nindent 12 }}
          {{- end }}
{{- end }}
";

    const RENDERED: &str = "# Source: x/templates/d.yaml
apiVersion: apps/v1
kind: Deployment
metadata:
  name: r-x
  labels:
    app: x
    b: c
spec:
  template:
    spec:
      containers:
        - name: x
          image: \"nginx:1\"
          resources:
            limits:
              memory: 1Gi
";

    #[test]
    fn each_rendered_line_has_the_line_that_wrote_it() {
        let lines = TemplateLines::new(TEMPLATE).align(RENDERED);
        let found: Vec<_> = lines.iter().map(|line| line.unwrap_or(0)).collect();
        assert_eq!(
            found[1..],
            [2, 3, 4, 5, 6, 6, 6, 7, 8, 9, 10, 11, 12, 14, 15, 15]
        );
    }

    #[test]
    fn a_template_that_is_one_include_is_named_for_every_line() {
        let lines =
            TemplateLines::new("{{ include \"common.deployment\" . }}\n").align("a: b\nc: d\n");
        assert_eq!(lines, [Some(1), Some(1)]);
    }

    #[test]
    fn an_action_over_several_lines_and_an_empty_template_are_no_trouble() {
        let lines =
            TemplateLines::new("{{- $x := dict\n  \"a\" 1 }}\nkind: A\n").align("kind: A\n");
        assert_eq!(lines, [Some(3)]);
        assert_eq!(TemplateLines::new("").align("a: b\n"), [None]);
    }
}
