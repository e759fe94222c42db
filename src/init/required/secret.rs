//! Generated secrets: which names are theirs, their form, and which values take the same one.

use super::super::clue::plain;

/// Parts of names that a service outside of the cluster gives out.
const GIVEN_OUT: [&str; 24] = [
    "apikey",
    "accesskey",
    "anthropic",
    "aws",
    "azure",
    "clientid",
    "clientsecret",
    "cloudflare",
    "datadog",
    "github",
    "gitlab",
    "google",
    "gcp",
    "license",
    "mailgun",
    "openai",
    "sendgrid",
    "sentry",
    "slack",
    "smtp",
    "stripe",
    "twilio",
    "webhook",
    "dsn",
];

/// Parts of names of secrets that a stack may make for itself, beside `…key`.
const OWN_SECRETS: [&str; 8] = [
    "password",
    "passwd",
    "secret",
    "token",
    "salt",
    "pepper",
    "encryption",
    "credential",
];

/// How names end that are names of objects: `secretName`, `tokenRef`.
const OF_OBJECTS: [&str; 2] = ["name", "ref"];

/// Whether a stack may make a secret of that name for itself.
pub(in crate::init) fn is_own_secret(path: &str) -> bool {
    let name = plain(path);
    let last = plain(path.rsplit('.').next().unwrap_or_default());
    let is_given_out = GIVEN_OUT.iter().any(|word| name.contains(word));
    let is_of_object =
        last.starts_with("existing") || OF_OBJECTS.iter().any(|end| last.ends_with(end));
    let is_key = last.ends_with("key") || last.ends_with("keys");
    let is_secret = is_key || OWN_SECRETS.iter().any(|word| last.contains(word));
    is_secret && !is_given_out && !is_of_object
}

/// Two values that must be equal: a database's password at the database and at its clients, or keys of one name that
/// is no general word.
pub(super) fn is_same_secret(one: &str, other: &str) -> bool {
    let last = |path: &str| plain(path.rsplit('.').next().unwrap_or_default());
    let database = |path: &str| {
        let path = plain(path);
        let named = ["postgres", "database", "mysql", "mariadb", "db"];
        path.ends_with("password")
            && named.iter().any(|word| path.contains(word))
            && !path.contains("redis")
    };
    let store =
        |path: &str, word: &str| plain(path).contains(word) && plain(path).ends_with("password");
    let general = [
        "password",
        "secret",
        "key",
        "token",
        "secretkey",
        "adminpassword",
        "rootpassword",
    ];
    (last(one) == last(other) && !general.contains(&last(one).as_str()))
        || (database(one) && database(other))
        || ["redis", "rabbitmq", "mongo"]
            .iter()
            .any(|word| store(one, word) && store(other, word))
}

/// `hex64`, `base6432`, `uuid`, as far as words and patterns say it.
pub(super) fn form(words: &str) -> Option<String> {
    let lower = words.to_lowercase();
    let number_after = |what: &str| {
        let (_, rest) = lower.split_once(what)?;
        let digits: String = rest
            .trim_start()
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        digits
            .parse::<usize>()
            .ok()
            .filter(|number| (1..=1024).contains(number))
    };
    if let Some(bytes) = number_after("rand -hex") {
        return Some(format!("hex{}", bytes * 2));
    }
    if let Some(bytes) = number_after("rand -base64") {
        return Some(format!("base64{bytes}"));
    }
    if lower.contains("uuid") {
        return Some("uuid".to_owned());
    }
    let by_pattern = number_after("]{");
    let by_length = ["want ", "equal to ", "least ", "exactly ", "must be "]
        .iter()
        .find_map(|what| number_after(what));
    let number = by_pattern.or(by_length).or_else(|| number_before(&lower))?;
    Some(format!(
        "hex{}",
        if by_pattern.is_some() {
            number
        } else {
            number.max(32)
        }
    ))
}

/// `64 hex characters`, `32-character`.
fn number_before(words: &str) -> Option<usize> {
    let tokens: Vec<_> = words.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let units = [
        "hex",
        "hexadecimal",
        "char",
        "chars",
        "character",
        "characters",
        "digits",
    ];
    let pairs = tokens.windows(2).filter(|pair| units.contains(&pair[1]));
    pairs.filter_map(|pair| pair[0].parse().ok()).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_a_secret_is_what_helm_says_of_it() {
        let forms = [
            ("secrets.key must be 64 hex characters", Some("hex64")),
            ("at '/key': minLength: got 0, want 48", Some("hex48")),
            (
                "at '/key': '' does not match pattern '^[0-9a-f]{64}$'",
                Some("hex64"),
            ),
            ("generate one with openssl rand -hex 16", Some("hex32")),
            ("openssl rand -base64 32", Some("base6432")),
            ("must be a UUID", Some("uuid")),
            ("a password is required", None),
        ];
        for (words, expected) in forms {
            assert_eq!(form(words).as_deref(), expected, "{words}");
        }
    }

    #[test]
    fn a_databases_password_is_one_and_keys_of_general_names_are_not() {
        assert!(is_same_secret(
            "postgresql.auth.password",
            "api.database.password"
        ));
        assert!(is_same_secret("api.jwtSecret", "worker.jwtSecret"));
        assert!(!is_same_secret("api.secret", "worker.secret"));
        assert!(!is_same_secret(
            "redis.auth.password",
            "api.database.password"
        ));
    }
}
