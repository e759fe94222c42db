//! Which blocks of a template (`if`, `with`, `range`, …) a line stands in. Pure.

/// A block that an action has opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TemplateBlock {
    /// Counts the blocks of the template; an `else` begins another one.
    id: usize,
    /// In it `.` is something else.
    pub(super) moves_dot: bool,
}

/// The blocks around each line of a template.
#[derive(Debug)]
pub(super) struct LineNesting {
    pub(super) line_begin: Vec<TemplateBlock>,
    pub(super) line_end: Vec<TemplateBlock>,
    /// The line begins inside of an action.
    pub(super) is_inside: bool,
    /// The first words of the actions that begin in the line.
    pub(super) words: Vec<String>,
}

/// For each line of a template the blocks that it stands in.
pub(super) fn nesting(template: &str) -> Vec<LineNesting> {
    let mut open: Vec<TemplateBlock> = vec![];
    let (mut count, mut inside) = (0, false);
    let lines = template.lines().map(|line| {
        let (begin, is_inside) = (open.clone(), inside);
        let mut words = vec![];
        let mut rest = line;
        loop {
            if inside {
                let Some((_, after)) = rest.split_once("}}") else {
                    break;
                };
                (rest, inside) = (after, false);
            }
            let Some((_, after)) = rest.split_once("{{") else {
                break;
            };
            let word = first_word(after);
            count += 1;
            step(&mut open, &word, count);
            words.push(word);
            (rest, inside) = (after, true);
        }
        LineNesting {
            line_begin: begin,
            line_end: open.clone(),
            is_inside,
            words,
        }
    });
    lines.collect()
}

fn first_word(action: &str) -> String {
    let action = action.strip_prefix('-').unwrap_or(action).trim_start();
    let end = action.find(|c: char| c.is_whitespace() || "})".contains(c));
    let word = &action[..end.unwrap_or(action.len())];
    word.strip_suffix('-').unwrap_or(word).to_owned()
}

fn step(open: &mut Vec<TemplateBlock>, word: &str, id: usize) {
    match word {
        "if" => open.push(TemplateBlock {
            id,
            moves_dot: false,
        }),
        "with" | "range" | "define" | "block" => open.push(TemplateBlock {
            id,
            moves_dot: true,
        }),
        "else" => {
            if let Some(last) = open.last_mut() {
                last.id = id;
            }
        }
        "end" => {
            open.pop();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_knows_its_blocks() {
        let text = "a\n{{- if .x }}\nb\n{{- else }}\nc {{ with .y }}d{{ end }}\n{{- end }}\n{{ range\n .z }}\ne\n{{ end }}\nf\n";
        let found = nesting(text);
        let depths: Vec<_> = found
            .iter()
            .map(|line| (line.line_begin.len(), line.line_end.len()))
            .collect();
        assert_eq!(
            depths,
            [
                (0, 0),
                (0, 1),
                (1, 1),
                (1, 1),
                (1, 1),
                (1, 0),
                (0, 1),
                (1, 1),
                (1, 1),
                (1, 0),
                (0, 0)
            ]
        );
        assert_ne!(found[2].line_begin, found[4].line_begin);
        assert!(found[7].is_inside && !found[8].is_inside);
        assert!(!found[2].line_begin[0].moves_dot && found[8].line_begin[0].moves_dot);
    }
}
