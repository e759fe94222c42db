//! What a secret looks like: the names of variables, and passwords within addresses.

/// Parts of names of secrets that are whole words: the shorter ones end other words, too.
const WORDS: [&str; 6] = [
    "CREDENTIAL",
    "CREDENTIALS",
    "PASS",
    "PWD",
    "SALT",
    "SECRETS",
];

/// Parts that are a word, or the end of one that has no dash within: `PGPASSWORD`.
const ENDS: [&str; 6] = [
    "APIKEY",
    "PASSPHRASE",
    "PASSWD",
    "PASSWORD",
    "SECRET",
    "TOKEN",
];

/// What stands before `KEY` in the name of a secret.
const KEYS: [&str; 9] = [
    "ACCESS",
    "API",
    "APP",
    "ENCRYPTION",
    "JWT",
    "MASTER",
    "PRIVATE",
    "SECRET",
    "SIGNING",
];

/// What the last word of a name says that it is not the secret itself.
const ABOUT: [&str; 21] = [
    "ALGORITHM",
    "AUDIENCE",
    "DAYS",
    "ENABLED",
    "ENDPOINT",
    "EXPIRATION",
    "EXPIRE",
    "EXPIRES",
    "EXPIRY",
    "FILE",
    "HOST",
    "HOURS",
    "ID",
    "ISSUER",
    "LENGTH",
    "LIFETIME",
    "MINUTES",
    "NAME",
    "PATH",
    "SECONDS",
    "TTL",
];

/// Values that are answers, not secrets.
const ANSWERS: [&str; 8] = ["", "0", "1", "false", "no", "true", "trust", "yes"];

/// Whether a variable is a secret, by its name and by what its value cannot be.
pub(super) fn is_secret(name: &str, value: &str) -> bool {
    if ANSWERS.contains(&value.to_lowercase().as_str())
        || value.contains("://")
        || value.starts_with('/')
    {
        return false;
    }
    let upper = name.to_ascii_uppercase();
    let words: Vec<_> = upper
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    if words.last().is_some_and(|last| ABOUT.contains(last)) {
        return false;
    }
    let is_short_number = value.len() < 6 && value.bytes().all(|byte| byte.is_ascii_digit());
    let is_one = |word: &&str| WORDS.contains(word) || ENDS.iter().any(|end| word.ends_with(end));
    let names_one = words.iter().any(is_one) && words != ["PWD"];
    let names_key = words
        .windows(2)
        .any(|pair| pair[1] == "KEY" && KEYS.contains(&pair[0]));
    (names_one || names_key) && (!is_short_number || upper.contains("PASS"))
}

/// The passwords in addresses (`scheme://user:password@host`) and in lists of settings (`Password=…;`).
pub(super) fn passwords(text: &str) -> Vec<&str> {
    let mut found = vec![];
    for (at, _) in text.match_indices("://") {
        let rest = &text[at + 3..];
        let end = rest
            .find(|c: char| "/?#\"' ".contains(c))
            .unwrap_or(rest.len());
        let password = rest[..end]
            .rsplit_once('@')
            .and_then(|(user, _)| user.split_once(':'));
        found.extend(password.map(|(_, password)| password));
    }
    let lower = text.to_ascii_lowercase();
    for setting in ["password=", "pwd="] {
        for (at, _) in lower.match_indices(setting) {
            let rest = &text[at + setting.len()..];
            let end = rest.find(|c: char| ";& ".contains(c)).unwrap_or(rest.len());
            let is_begun = text[..at]
                .chars()
                .next_back()
                .is_none_or(|c| "; ?&".contains(c));
            found.extend(is_begun.then_some(&rest[..end]));
        }
    }
    found.retain(|password| !password.is_empty() && !password.starts_with('$'));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_tell_what_is_a_secret() {
        for (name, value) in [
            ("POSTGRES_PASSWORD", "postgres"),
            ("DJANGO_SECRET_KEY", "abc"),
            ("OPENAI_API_KEY", "sk-1"),
            ("GITHUB_TOKEN", "x"),
            ("DB_PASS", "1234"),
            ("PGPASSWORD", "shop"),
            ("MYAUTHTOKEN", "x"),
        ] {
            assert!(is_secret(name, value), "{name}");
        }
        for (name, value) in [
            ("ALLOW_EMPTY_PASSWORD", "yes"),
            ("POSTGRES_PASSWORD_FILE", "/run/secrets/db"),
            ("TOKEN_EXPIRE_MINUTES", "30"),
            ("MAX_TOKENS", "512"),
            ("AWS_ACCESS_KEY_ID", "x"),
            ("TOKEN_URL", "http://auth/token"),
            ("KEYBOARD", "de"),
            ("COMPASS", "north"),
            ("MAXTOKENS", "512"),
            ("PWD", "/srv"),
        ] {
            assert!(!is_secret(name, value), "{name}");
        }
    }

    #[test]
    fn passwords_in_addresses_and_settings_are_found() {
        assert_eq!(
            passwords("postgres://app:s3@db:5432/app,redis://:r@h/0"),
            ["s3", "r"]
        );
        assert_eq!(
            passwords("Server=db;User=sa;Password=Ab!;Pooling=1"),
            ["Ab!"]
        );
        assert_eq!(passwords("http://db:5432/a@b"), [""; 0]);
    }
}
