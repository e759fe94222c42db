//! A command line split into words as Compose splits it: quotes and backslashes of a shell, and no other part of one.

/// The words; None if a quote or bracket is not closed. An operator of the shell ends the line: what follows is lost in
/// Compose, too.
pub(crate) fn words(line: &str) -> Option<Vec<String>> {
    Splitter::default().split(line)
}

#[derive(Default)]
struct Splitter {
    words: Vec<String>,
    word: String,
    /// A word has begun, which may be empty: `''`.
    begun: bool,
    escaped: bool,
    double: bool,
    single: bool,
    back: bool,
    dollar: bool,
}

impl Splitter {
    fn split(mut self, line: &str) -> Option<Vec<String>> {
        for char in line.chars() {
            if self.escaped {
                self.escaped = false;
                self.add(char);
                continue;
            }
            match char {
                '\\' if !self.single => self.escaped = true,
                ' ' | '\t' | '\r' | '\n' if !self.is_quoted() => self.end(),
                '"' if !self.single && !self.dollar => self.quote(|all| &mut all.double),
                '\'' if !self.double && !self.dollar => self.quote(|all| &mut all.single),
                ';' | '&' | '|' | '<' | '>' if !self.is_quoted() => {
                    // `2>file`: the number belongs to the operator.
                    let is_number = self.word.starts_with(|c: char| c.is_ascii_digit());
                    self.begun &= !(char == '>' && is_number);
                    break;
                }
                _ => {
                    self.bracket(char)?;
                    self.add(char);
                }
            }
        }
        self.end();
        let is_open = self.escaped || self.is_quoted();
        (!is_open).then_some(self.words)
    }

    fn is_quoted(&self) -> bool {
        self.double || self.single || self.back || self.dollar
    }

    fn add(&mut self, char: char) {
        self.word.push(char);
        self.begun = true;
    }

    fn end(&mut self) {
        let word = std::mem::take(&mut self.word);
        if std::mem::take(&mut self.begun) {
            self.words.push(word);
        }
    }

    fn quote(&mut self, which: impl Fn(&mut Self) -> &mut bool) {
        let open = which(self);
        let was_open = *open;
        *open = !was_open;
        self.begun |= was_open;
    }

    /// Backquotes and `$(…)` keep their blanks. None for a bracket that stands alone.
    fn bracket(&mut self, char: char) -> Option<()> {
        match char {
            '`' if !self.single && !self.double && !self.dollar => self.back = !self.back,
            ')' if !self.single && !self.double && !self.back => self.dollar = !self.dollar,
            '(' if !self.single && !self.double && !self.back => {
                if self.dollar || !self.word.ends_with('$') {
                    return None;
                }
                self.dollar = true;
            }
            _ => {}
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_keep_words_together() {
        let split = |line: &str| words(line).unwrap_or_default();
        assert_eq!(split("sh -c 'a b'"), ["sh", "-c", "a b"]);
        assert_eq!(split(r#"a\ b "it's" '' c"#), ["a b", "it's", "", "c"]);
        assert_eq!(split("a  b\n c"), ["a", "b", "c"]);
        assert_eq!(split("a $(b c) `d e`"), ["a", "$(b c)", "`d e`"]);
    }

    #[test]
    fn an_operator_ends_the_line() {
        assert_eq!(words("a b; c").unwrap_or_default(), ["a", "b"]);
        assert_eq!(words("a 2>b").unwrap_or_default(), ["a"]);
        assert_eq!(words("'a;b' c && d").unwrap_or_default(), ["a;b", "c"]);
    }

    #[test]
    fn what_is_not_closed_is_no_command() {
        for line in ["'a", "\"a", "a \\", "`a", "$(a", "(a)"] {
            assert_eq!(words(line), None, "{line}");
        }
    }
}
