//! The names that secrets have, and the values that are none.

/// The ends of the names of secrets, without dashes and case.
const ENDS: [&str; 22] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "passcode",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "accountkey",
    "authkey",
    "secretkey",
    "privatekey",
    "encryptionkey",
    "signingkey",
    "masterkey",
    "subscriptionkey",
    "secretaccesskey",
    "requirepass",
    "masterauth",
    "amzsignature",
    "connectionstring",
];

/// Ends of names that say something about a secret, and are none.
const ABOUT: [&str; 11] = [
    "existingsecret",
    "tlssecret",
    "pullsecret",
    "automountserviceaccounttoken",
    "nexttoken",
    "continuetoken",
    "pagetoken",
    "haspassword",
    "usepassword",
    "nopassword",
    "allowemptypassword",
];

/// What follows on the name of a secret in a sentence.
const PROSE: [&str; 45] = [
    "a",
    "again",
    "an",
    "and",
    "are",
    "as",
    "at",
    "auth",
    "authentication",
    "be",
    "but",
    "by",
    "can",
    "cannot",
    "does",
    "failed",
    "file",
    "flag",
    "for",
    "from",
    "has",
    "if",
    "in",
    "instead",
    "into",
    "is",
    "missing",
    "must",
    "needs",
    "not",
    "of",
    "on",
    "option",
    "or",
    "should",
    "that",
    "the",
    "to",
    "token",
    "tokens",
    "was",
    "when",
    "which",
    "will",
    "with",
];

/// A text that has these many bytes and looks as if a generator had made it counts as a secret.
const LEAST_RANDOM_BYTES: usize = 16;

/// Whether a setting, a field or a flag of this name holds a secret.
pub(crate) fn is_secret_key(name: &str) -> bool {
    if ["PWD", "OLDPWD"].contains(&name) {
        return false;
    }
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    let last = words.rfind(|word| !word.is_empty());
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let is_pass =
        last.is_some_and(|last| last.eq_ignore_ascii_case("pass") || last.ends_with("Pass"));
    let is_signature = name == "sig";
    (is_pass || is_signature || ENDS.iter().any(|end| plain.ends_with(end)))
        && !ABOUT.iter().any(|end| plain.ends_with(end))
}

/// Whether a text stands for a secret that is elsewhere, or was hidden already.
pub(super) fn stands_for_one(text: &str) -> bool {
    let text = text.trim();
    let is_name = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let is_variable = text
        .strip_prefix('$')
        .is_some_and(|name| is_name(name) && !name.starts_with(|c: char| c.is_ascii_digit()));
    // `[masked]`, `<password>`, `(left out)`; also what a space has cut.
    let is_marked = text.strip_prefix(['[', '<', '(']).is_some_and(|mark| {
        let mark = mark.trim_end_matches([']', '>', ')']);
        mark.chars()
            .all(|c| c.is_ascii_alphabetic() || " _-".contains(c))
    });
    let is_template = text.starts_with("${") || text.starts_with("$(") || text.starts_with("{{");
    let is_all = |mark: char| text.chars().all(|c| c == mark);
    let is_hidden = ['*', '•', '…'].into_iter().any(is_all)
        || text.len() >= 3 && ['x', 'X', '.', '-'].into_iter().any(is_all);
    let is_format = ["%s", "%v", "%q", "%w", "%d", "{}"].contains(&text);
    text.is_empty() || is_variable || is_marked || is_template || is_hidden || is_format
}

/// Whether a word goes on with a sentence, or is the name of what is to stand there.
pub(super) fn is_prose(word: &str) -> bool {
    let word = word.trim_end_matches([',', '.', ';', ':', ')', '`', '\'', '"']);
    let is_name = word.len() > 2 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    PROSE.contains(&word) || is_name
}

/// Whether a word is none of a language: it has digits, or signs within, besides letters.
pub(super) fn is_strong(word: &str) -> bool {
    let has_digit = word.contains(|c: char| c.is_ascii_digit());
    let has_letter = word.contains(|c: char| c.is_ascii_alphabetic());
    word.len() >= 6 && has_digit && has_letter
}

/// Whether a text looks as if a generator had made it: one long word of letters and digits in no order.
pub(crate) fn looks_random(text: &str) -> bool {
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || "+/=_-.~".contains(c);
    let count = |is: fn(&char) -> bool| text.chars().filter(is).count();
    let (digits, upper) = (count(char::is_ascii_digit), count(char::is_ascii_uppercase));
    let lower = count(char::is_ascii_lowercase);
    let is_mixed = digits >= 2 && upper >= 2 && lower >= 2;
    let is_lean = digits >= 4 && upper + lower >= 4 && !text.contains(['.', '-', '/', '_']);
    text.len() >= LEAST_RANDOM_BYTES
        && text.chars().all(is_of_word)
        && !text.starts_with(['/', '.'])
        && (is_mixed || is_lean)
}
