//! Secrets of a project: which variables hold one, which of them are the same, and how a component gets them.
//!
//! Each distinct value is one key of the chart's Secret. A variable that is the secret takes it from there; a text that
//! holds it, such as an address with a password, names the variable as `$(NAME)`, which the kubelet puts in. No value
//! reaches a file of the chart that is committed.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::granted::PrivateFile;
use super::secret_names::{is_secret, passwords};
use crate::new_chart::names::{unlike, values_key};
use crate::place::Origin;

/// Programs that only stand in the stack ask for these: devk may make them up.
const OF_STACK: [&str; 14] = [
    "ENCRYPTION_KEY",
    "JWT_SECRET",
    "KEYCLOAK_ADMIN_PASSWORD",
    "MARIADB_PASSWORD",
    "MARIADB_ROOT_PASSWORD",
    "MINIO_ROOT_PASSWORD",
    "MONGO_INITDB_ROOT_PASSWORD",
    "MYSQL_PASSWORD",
    "MYSQL_ROOT_PASSWORD",
    "POSTGRES_PASSWORD",
    "RABBITMQ_DEFAULT_PASS",
    "REDIS_PASSWORD",
    "SECRET_KEY",
    "SESSION_SECRET",
];

/// Secrets of at most this length are not looked for in texts at large, where they may be words: `admin`, `postgres`.
const MAX_WORD_BYTES: usize = 8;

/// One secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundSecret {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) at: Origin,
    /// The variables that are it, and files.
    pub(super) names: Vec<String>,
}

impl FoundSecret {
    /// Whether a made-up value serves as well, as far as the names tell.
    pub(super) fn is_of_stack(&self) -> bool {
        self.names
            .iter()
            .any(|name| OF_STACK.contains(&name.as_str()))
    }
}

/// All secrets of a project.
#[derive(Debug, Default)]
pub(super) struct SecretBook {
    pub(super) found: Vec<FoundSecret>,
    /// The ids of private files → keys.
    files: BTreeMap<String, String>,
}

impl SecretBook {
    /// The key of a secret's value, a new one if need be.
    pub(super) fn key(&mut self, name: &str, value: &str, at: &Origin) -> String {
        if let Some(known) = self.found.iter_mut().find(|known| known.value == value) {
            if !known.names.iter().any(|other| other == name) {
                known.names.push(name.to_owned());
            }
            return known.key.clone();
        }
        self.add(name, value.to_owned(), at)
    }

    fn add(&mut self, name: &str, value: String, at: &Origin) -> String {
        let key = unlike(
            values_key(name),
            |key| self.found.iter().any(|known| known.key == key),
            "",
        );
        self.found.push(FoundSecret {
            key: key.clone(),
            value,
            at: at.clone(),
            names: vec![name.to_owned()],
        });
        key
    }

    /// Notes all secrets of one variable.
    pub(super) fn read(&mut self, name: &str, value: &str, at: &Origin) {
        if is_secret(name, value) {
            self.key(name, value, at);
        } else {
            for password in passwords(value) {
                self.key(&format!("{name}_PASSWORD"), password, at);
            }
        }
    }

    fn of_value(&self, value: &str) -> Option<&FoundSecret> {
        self.found
            .iter()
            .find(|known| known.value == value && !value.is_empty())
    }

    /// The key of a value.
    pub(super) fn of(&self, value: &str) -> Option<String> {
        self.of_value(value).map(|known| known.key.clone())
    }

    /// The key of a private file.
    pub(super) fn of_file(&self, id: &str) -> Option<String> {
        self.files.get(id).cloned()
    }

    /// Notes a private file.
    pub(super) fn file(&mut self, file: PrivateFile) {
        if self.files.contains_key(&file.id) {
            return;
        }
        let content = file.content.unwrap_or_default();
        let key = match content.is_empty() {
            true => self.add(&file.name, content, &file.at),
            false => self.key(&file.name, &content, &file.at),
        };
        self.files.insert(file.id, key);
    }

    /// Notes the secrets of a command: what stands behind an option of such a name.
    pub(super) fn read_words(&mut self, words: &[String], at: &Origin) {
        let is_option = |word: &str| {
            word.starts_with('-')
                && is_secret(
                    word.trim_start_matches('-').trim_start_matches("require"),
                    "value",
                )
        };
        for pair in words.windows(2) {
            if is_option(&pair[0]) && !pair[0].contains('=') && !pair[1].starts_with('-') {
                self.read(pair[0].trim_start_matches('-'), &pair[1], at);
            }
        }
        for word in words {
            match word.split_once('=') {
                Some((option, value)) if is_option(option) => {
                    self.read(option.trim_start_matches('-'), value, at)
                }
                _ => self.read("", word, at),
            }
        }
    }
}

/// The secrets as one component uses them.
#[derive(Debug)]
pub(super) struct SecretUse<'a> {
    book: &'a SecretBook,
    /// Names that the component has for something else.
    plain: Vec<String>,
    /// A variable → the key.
    variables: RefCell<BTreeMap<String, String>>,
}

impl<'a> SecretUse<'a> {
    /// `own` are the component's variables that are secrets, `plain` the names of the others.
    pub(super) fn new(
        book: &'a SecretBook,
        own: BTreeMap<String, String>,
        plain: Vec<String>,
    ) -> Self {
        Self {
            book,
            plain,
            variables: RefCell::new(own),
        }
    }

    #[cfg(test)]
    pub(super) fn none() -> SecretUse<'static> {
        static EMPTY: SecretBook = SecretBook {
            found: vec![],
            files: BTreeMap::new(),
        };
        SecretUse::new(&EMPTY, BTreeMap::new(), vec![])
    }

    /// Whether a variable is a secret as a whole.
    pub(super) fn is_own(&self, name: &str) -> bool {
        self.variables.borrow().contains_key(name)
    }

    /// Whether the value of a variable holds one.
    pub(super) fn is_in_value(&self, text: &str) -> bool {
        !self.spans(text).is_empty()
    }

    pub(super) fn variables(self) -> BTreeMap<String, String> {
        self.variables.into_inner()
    }

    /// The variable of a secret in this component; from here on it has one.
    fn variable(&self, secret: &FoundSecret) -> String {
        let mut variables = self.variables.borrow_mut();
        if let Some((name, _)) = variables.iter().find(|(_, key)| **key == secret.key) {
            return name.clone();
        }
        let first = secret.names.first().cloned().unwrap_or_default();
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let base: String = first.to_ascii_uppercase().replace(|c| !is_word(c), "_");
        let is_taken =
            |name: &str| self.plain.iter().any(|own| own == name) || variables.contains_key(name);
        let name = unlike(base, is_taken, "_");
        variables.insert(name.clone(), secret.key.clone());
        name
    }

    /// The secret spans of a text, the first to the last.
    fn spans(&self, text: &str) -> Vec<(usize, usize, &'a FoundSecret)> {
        let mut spans: Vec<(usize, usize, &FoundSecret)> = vec![];
        for password in passwords(text) {
            if let Some(secret) = self.book.of_value(password) {
                let at = password.as_ptr() as usize - text.as_ptr() as usize;
                spans.push((at, at + password.len(), secret));
            }
        }
        // A short one may be a word of something else, such as the name of a user.
        if let Some(secret) = self
            .book
            .of_value(text)
            .filter(|_| text.len() > MAX_WORD_BYTES)
        {
            return vec![(0, text.len(), secret)];
        }
        spans.sort_by_key(|(begin, ..)| *begin);
        spans
    }

    /// A value of a variable: what the kubelet makes the same text of.
    pub(super) fn in_value(&self, text: &str) -> String {
        let spans = self.spans(text);
        replace(text, &spans, escaped, |secret, _| {
            format!("$({})", self.variable(secret))
        })
    }

    /// A word of a command or its arguments. Here a secret may stand anywhere: `-psecret`.
    pub(super) fn in_argument(&self, text: &str) -> String {
        let spans = self.anywhere(text);
        replace(text, &spans, escaped, |secret, _| {
            format!("$({})", self.variable(secret))
        })
    }

    /// A line for the shell: the variable stands in double quotes, whichever quotes the secret stood in.
    pub(super) fn in_shell(&self, text: &str) -> String {
        let spans = self.anywhere(text);
        replace(text, &spans, str::to_owned, |secret, before| {
            let name = self.variable(secret);
            match open_quote(before) {
                None => format!("\"${{{name}}}\""),
                Some('"') => format!("${{{name}}}"),
                Some(quote) => format!("{quote}\"${{{name}}}\"{quote}"),
            }
        })
    }

    /// A word as one of a shell's line.
    pub(super) fn quoted(&self, text: &str) -> String {
        let spans = self.anywhere(text);
        let plain = |text: &str| {
            let mut quoted = String::new();
            for char in text.chars() {
                if "\\\"$`".contains(char) {
                    quoted.push('\\');
                }
                quoted.push(char);
            }
            quoted
        };
        format!(
            "\"{}\"",
            replace(text, &spans, plain, |secret, _| format!(
                "${{{}}}",
                self.variable(secret)
            ))
        )
    }

    pub(super) fn is_in(&self, text: &str) -> bool {
        !self.anywhere(text).is_empty()
    }

    /// Wherever a secret stands that is long enough to be no word of something else.
    fn anywhere(&self, text: &str) -> Vec<(usize, usize, &'a FoundSecret)> {
        let mut spans = self.spans(text);
        for secret in &self.book.found {
            let is_word =
                |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
            for (at, _) in text.match_indices(&secret.value) {
                let end = at + secret.value.len();
                let after = text[end..].chars().next();
                let before = text[..at].chars().next_back();
                // `-psecret`, `--requirepass secret`, `pass=secret`.
                let begins = !is_word(before) || text[..at].ends_with("-p");
                let is_free = spans
                    .iter()
                    .all(|(begin, stop, _)| end <= *begin || at >= *stop);
                if begins && !is_word(after) && is_free && secret.value.len() > MAX_WORD_BYTES {
                    spans.push((at, end, secret));
                }
            }
        }
        spans.sort_by_key(|(begin, ..)| *begin);
        spans
    }
}

/// The text with a name for each secret, which may depend on what stands before it; `plain` is what the rest becomes.
fn replace(
    text: &str,
    spans: &[(usize, usize, &FoundSecret)],
    plain: impl Fn(&str) -> String,
    name: impl Fn(&FoundSecret, &str) -> String,
) -> String {
    let mut out = String::new();
    let mut at = 0;
    for (begin, end, secret) in spans {
        out += &plain(&text[at..*begin]);
        out += &name(secret, &text[..*begin]);
        at = *end;
    }
    out + &plain(&text[at..])
}

/// The quote that is open at the end of a shell's text (POSIX shell, 2.2 Quoting).
fn open_quote(text: &str) -> Option<char> {
    let mut open = None;
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match (open, char) {
            (None | Some('"'), '\\') => {
                chars.next();
            }
            (None, '\'' | '"') => open = Some(char),
            (Some(quote), _) if quote == char => open = None,
            _ => {}
        }
    }
    open
}

/// A text that the kubelet leaves as it is: to it `$(X)` is a variable, and `$$` a dollar.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        out.push(char);
        if char == '$' && chars.peek().is_some_and(|next| "$(".contains(*next)) {
            out.push('$');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin {
            file: "compose.yaml".into(),
            line: 1,
        }
    }

    #[test]
    fn a_text_with_a_secret_names_the_variable_and_dollars_stay_dollars() {
        let mut book = SecretBook::default();
        book.read("POSTGRES_PASSWORD", "open-sesame", &origin());
        book.read(
            "DATABASE_URL",
            "postgres://app:open-sesame@db/app",
            &origin(),
        );
        assert_eq!(book.found.len(), 1);
        let uses = SecretUse::new(&book, BTreeMap::new(), vec![]);
        assert_eq!(
            uses.in_value("postgres://app:open-sesame@db/a?x=$(y)$z"),
            "postgres://app:$(POSTGRES_PASSWORD)@db/a?x=$$(y)$z"
        );
        assert_eq!(uses.in_argument("-popen-sesame"), "-p$(POSTGRES_PASSWORD)");
        for (line, carried) in [
            ("ping -a open-sesame", r#"ping -a "${POSTGRES_PASSWORD}""#),
            (
                r#"-a "open-sesame" 'b'"#,
                r#"-a "${POSTGRES_PASSWORD}" 'b'"#,
            ),
            (
                "it\\'s -a 'open-sesame'",
                r#"it\'s -a ''"${POSTGRES_PASSWORD}"''"#,
            ),
        ] {
            assert_eq!(uses.in_shell(line), carried);
        }
        assert_eq!(
            uses.quoted("a\"$open-sesame"),
            "\"a\\\"\\$${POSTGRES_PASSWORD}\""
        );
        assert_eq!(
            uses.variables(),
            BTreeMap::from([(
                "POSTGRES_PASSWORD".to_owned(),
                "postgresPassword".to_owned()
            )])
        );
        assert_eq!(escaped("$$a$"), "$$$a$");
    }
}
