//! The options of a command, and what stands between them.

/// Options by their names, as they are written, and the other words.
#[derive(Debug)]
pub(super) struct Flags<'a> {
    given: Vec<(&'a str, &'a str)>,
    /// What is no option.
    pub(super) rest: Vec<&'a str>,
}

impl<'a> Flags<'a> {
    pub(super) fn of(words: &'a [String], switches: &[&str]) -> Self {
        let mut flags = Self {
            given: vec![],
            rest: vec![],
        };
        let mut words = words.iter().map(String::as_str).peekable();
        while let Some(word) = words.next() {
            match word.split_once('=') {
                Some((name, value)) if word.starts_with("--") => flags.given.push((name, value)),
                _ if !word.starts_with('-') || word == "-" => flags.rest.push(word),
                _ if switches.contains(&word) => {}
                _ => flags.given.extend(words.next().map(|value| (word, value))),
            }
        }
        flags
    }

    pub(super) fn get(&self, names: &[&str]) -> Option<&'a str> {
        self.all(names).first().copied()
    }

    pub(super) fn all(&self, names: &[&str]) -> Vec<&'a str> {
        let given = self.given.iter().filter(|(name, _)| names.contains(name));
        given.map(|(_, value)| *value).collect()
    }
}
