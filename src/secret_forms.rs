//! What a secret looks like where it stands in a text: the password of an address, the value of a setting, a header or an
//! argument with the name of a secret, a private key, a token of a well-known service. One place for all that hides secrets in
//! what is shown, logged or sent to a model.
//!
//! A form is found by what stands around the secret or by how it begins, never by a list of known secrets, so that what only a
//! program in a container knows is found, too. What stands for a secret (`$PASSWORD`, `<password>`, `***`) is none.

mod addresses;
mod names;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::{Captures, Regex};

pub(crate) use addresses::passwords_of_urls;
use names::{is_prose, is_strong, stands_for_one};
pub(crate) use names::{is_secret_key, looks_random};

/// A value behind a flag: a word, or a text in quotes.
const VALUE: &str = r#"'[^'\n]+'|"[^"\n]+"|[^\s"'`\-][^\s"`]*"#;

/// Whether the capture `secret` of a match is one.
type Judge = fn(&Captures<'_>) -> bool;

struct Form {
    pattern: Regex,
    judge: Judge,
}

/// Keys and tokens, which are secrets wherever they stand.
static KEYS: LazyLock<Vec<Form>> = LazyLock::new(|| {
    forms(&[
        (
            r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?P<secret>.+?)-----END [A-Z0-9 ]*PRIVATE KEY",
            always,
        ),
        // One that was cut.
        (
            r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?P<secret>(?:(?:\\[nr]|\s)+[A-Za-z0-9+/=]{16,})+)",
            always,
        ),
        (
            r"(?P<secret>LS0tLS1CRUdJTi[A-Za-z0-9+/]{40,}=*)",
            is_encoded_key,
        ),
        (
            concat!(
                r"(?:^|[^A-Za-z0-9])(?P<secret>(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}",
                r"|gl(?:pat|dt|rt|cbt)-[A-Za-z0-9_-]{18,}|xox[abeoprs]-[A-Za-z0-9-]{20,}|xapp-[A-Za-z0-9-]{20,}",
                r"|[rs]k_(?:live|test)_[A-Za-z0-9]{20,}|AIza[A-Za-z0-9_-]{30,}|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,}",
                r"|hf_[A-Za-z0-9]{30,}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|hv[sb]\.[A-Za-z0-9_-]{20,}",
                r"|dop_v1_[0-9a-f]{40,}|ya29\.[A-Za-z0-9_-]{20,}|AGE-SECRET-KEY-1[A-Z0-9]{40,}",
                r"|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?|eyJhbGciOi[A-Za-z0-9_.-]{30,})",
            ),
            always,
        ),
        // Names of objects may begin so, too, but have no capitals.
        (
            r"(?:^|[^A-Za-z0-9])(?P<secret>sk-(?:proj-|ant-|svcacct-)?[A-Za-z0-9_-]{20,})",
            |found| {
                secret(found).contains(|c: char| c.is_ascii_uppercase())
                    || looks_random(&secret(found)[3..])
            },
        ),
        (
            r"hooks\.slack\.com/services/(?P<secret>[A-Za-z0-9]+/[A-Za-z0-9]+/[A-Za-z0-9]+)",
            always,
        ),
    ])
});

/// What is a secret by what stands before it on the line.
static LINES: LazyLock<Vec<Form>> = LazyLock::new(|| {
    let flag = format!(r#"(?:^|[\s"'`(\[,=])--?(?P<name>[A-Za-z0-9_.-]+) +(?P<secret>{VALUE})"#);
    let clients = r"\b(?:sshpass|mongo(?:sh|dump|restore|export|import)?|(?:docker|podman|nerdctl|helm|crane|oras|skopeo)\b[^\n|;&]*?\blogin)\b";
    let p = format!(r"{clients}[^\n|;&]*?\s-p[ =]?(?P<secret>{VALUE})");
    let mysql = format!(r"\b(?:mysql|mariadb)[a-z-]*\b[^\n|;&]*?\s-p(?P<secret>{VALUE})");
    let others = format!(
        r"\b(?:redis-cli\b[^\n|;&]*?\s-a|sqlcmd\b[^\n|;&]*?\s-P|ldap(?:search|add|modify|delete|whoami|passwd)\b[^\n|;&]*?\s-w) ?(?P<secret>{VALUE})"
    );
    forms(&[
        (
            r#"(?i)authorization\\*["']?\s*[:=]\s*\\*["']?(?:(?P<scheme>bearer|token|api-?key|negotiate|ntlm|basic)\s+)?(?P<secret>[^\s"'`,;\\]+)"#,
            |found| match found
                .name("scheme")
                .map(|scheme| scheme.as_str().to_ascii_lowercase())
                .as_deref()
            {
                Some("basic") => is_login(secret(found)) || is_strong(secret(found)),
                Some(_) => !is_prose(secret(found)),
                None => is_strong(secret(found)),
            },
        ),
        (
            r#"(?i)authorization\\*["']?\s*[:=]\s*\\*["']?(?:digest|aws4-hmac-sha256)\s(?P<secret>[^\n'`\\]+)"#,
            always,
        ),
        (
            r"(?i)\bbearer\s+(?P<secret>[A-Za-z0-9._~+/=-]{16,})",
            |found| secret(found).contains(|c: char| c.is_ascii_digit()),
        ),
        (r"(?i)\bbasic\s+(?P<secret>[A-Za-z0-9+/]{6,}=*)", |found| {
            is_login(secret(found))
        }),
        (
            r#"(?i)\b(?:set-)?cookie\\*["']?\s*:\s*\\*["']?(?P<secret>[^\s"'`=]+=[^\n"'`\\]+)"#,
            always,
        ),
        (&flag, |found| {
            is_secret_key(&found["name"]) && !is_prose(secret(found))
        }),
        (
            r#"\\*"--?(?P<name>[A-Za-z0-9_.-]+)\\*"\s*,\s*\\*"(?P<secret>[^"\\\-][^"\\]*)"#,
            |found| is_secret_key(&found["name"]),
        ),
        (&p, |found| !is_prose(secret(found))),
        (&mysql, always),
        (&others, always),
        (
            r#"\bcurl\b[^\n|;&]*?\s(?:-u|--user|--proxy-user|-U)[ =]?["']?[^\s"'`:]+:(?P<secret>[^\s"'`]+)"#,
            always,
        ),
        // `password: x` alone on its line, as in YAML; a header; elsewhere only what no sentence goes on with.
        (
            r#"(?m)^[\s{-]*(?P<name>[A-Za-z0-9_.-]+):[ \t]+(?P<secret>[^\s"'`{}\[\]|>&*!#][^\s"'`]*)[ \t]*(?:#.*)?\r?$"#,
            |found| is_secret_key(&found["name"]) && is_value(&found["name"], secret(found)),
        ),
        (
            r#"(?P<name>[A-Za-z0-9_.-]+):[ \t]+(?P<secret>[^\s"'`,;{}\[\]]+)"#,
            |found| {
                let name = &found["name"];
                let is_header = name.contains('-') && !is_prose(secret(found));
                is_secret_key(name)
                    && is_value(name, secret(found))
                    && (is_header || is_strong(secret(found)))
            },
        ),
        (
            r#"(?m)^[\s{-]*(?P<name>[A-Za-z0-9_.-]+):[ \t]+(?P<secret>'[^'\n]+'|"[^"\n]+")"#,
            |found| {
                is_secret_key(&found["name"]) && is_value(&found["name"], unquoted(secret(found)))
            },
        ),
    ])
});

/// The name of a setting and its sign: `password=`, `Pwd = `.
static SETTING: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?P<name>[A-Za-z0-9_.-]*[A-Za-z0-9_])(?: = |=)").ok());
/// The name of a field of JSON or of a printed map up to the value; or that of a variable, up to its value.
static FIELD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let pattern = r#"(?P<quote>\\*["'])(?:name\\*["']\s*:\s*\\*["'](?P<variable>[A-Za-z0-9_.-]+)\\*["']\s*,\s*\\*["']value|(?P<name>[A-Za-z0-9_.-]+))\\*["']\s*(?::|=>)\s*"#;
    Regex::new(pattern).ok()
});

fn forms(rows: &[(&str, Judge)]) -> Vec<Form> {
    let form = |(pattern, judge): &(&str, Judge)| {
        let pattern = Regex::new(pattern).ok()?;
        Some(Form {
            pattern,
            judge: *judge,
        })
    };
    rows.iter().filter_map(form).collect()
}

fn always(_: &Captures<'_>) -> bool {
    true
}

fn secret<'c>(found: &'c Captures<'_>) -> &'c str {
    found.name("secret").map_or("", |found| found.as_str())
}

fn unquoted(text: &str) -> &str {
    text.trim_matches(['"', '\''])
}

/// `user:password` in base64.
fn is_login(word: &str) -> bool {
    let bytes = STANDARD.decode(word).unwrap_or_default();
    String::from_utf8(bytes)
        .is_ok_and(|text| text.contains(':') && !text.contains(char::is_control))
}

/// A private key in base64, as Secrets and kubeconfigs have it.
fn is_encoded_key(found: &Captures<'_>) -> bool {
    let start: String = secret(found).chars().take(52).collect();
    let start = STANDARD.decode(start).unwrap_or_default();
    String::from_utf8_lossy(&start).contains("PRIVATE KEY")
}

/// Whether a setting of this name holds a secret with this value.
fn is_value(name: &str, value: &str) -> bool {
    let is_answer = [
        "true", "false", "yes", "no", "null", "nil", "none", "0", "1",
    ]
    .contains(&value.to_ascii_lowercase().as_str());
    let names_password = name.to_ascii_lowercase().contains("pass");
    let is_count = value.len() < 4 && value.bytes().all(|byte| byte.is_ascii_digit());
    let is_folder = name.eq_ignore_ascii_case("pwd") && value.starts_with('/');
    // Of Kubernetes: the name of a Secret.
    let is_object = name.eq_ignore_ascii_case("secret") && name != "SECRET" && !is_strong(value);
    !(is_answer
        || is_folder
        || is_object
        || is_count && !names_password
        || value.eq_ignore_ascii_case(name)
        || stands_for_one(value))
}

/// Where the secrets of a text stand, in their order; none is within another one.
pub(crate) fn secret_spans(text: &str) -> Vec<Range<usize>> {
    let mut found = addresses::spans(text);
    for form in KEYS.iter().chain(LINES.iter()) {
        found.extend(spans_of(form, text));
    }
    found.extend(settings(text));
    found.extend(fields(text));
    found.sort_by_key(|span| (span.start, span.end));
    let mut joined: Vec<Range<usize>> = vec![];
    for span in found {
        match joined.last_mut() {
            Some(last) if span.start < last.end => last.end = last.end.max(span.end),
            _ => joined.push(span),
        }
    }
    joined
}

/// Whether a text has a secret in it.
pub(crate) fn has_secret(text: &str) -> bool {
    !secret_spans(text).is_empty()
}

/// Whether a text has a private key in it, or a token of a well-known service.
pub(crate) fn has_known_key(text: &str) -> bool {
    KEYS.iter()
        .any(|form| spans_of(form, text).next().is_some())
}

/// The text with something else in the place of each secret.
pub(crate) fn without_secrets(text: &str, instead: &str) -> String {
    let (mut shown, mut at) = (String::new(), 0);
    for span in secret_spans(text) {
        shown.push_str(&text[at..span.start]);
        shown.push_str(instead);
        at = span.end;
    }
    shown + &text[at..]
}

/// Which words of a command are secrets or have one in them: `--password x` are two words.
pub(crate) fn secret_words(words: &[&str]) -> Vec<bool> {
    let spans = secret_spans(&words.join(" "));
    let mut at = 0;
    let is_one = |word: &&str| {
        let (from, to) = (at, at + word.len());
        at = to + 1;
        spans.iter().any(|span| span.start < to && from < span.end) || has_secret(word)
    };
    words.iter().map(is_one).collect()
}

fn spans_of<'t>(form: &'t Form, text: &'t str) -> impl Iterator<Item = Range<usize>> + 't {
    let found = form.pattern.captures_iter(text);
    let meant = found.filter(|found| (form.judge)(found));
    meant.filter_map(|found| {
        let span = found.name("secret")?;
        let quotes = |c: char| c == '"' || c == '\'';
        let word = span.as_str();
        let bare = word.trim_start_matches(quotes);
        let start = span.start() + word.len() - bare.len();
        let bare = bare.trim_end_matches(|c| quotes(c) || ",;)\\".contains(c));
        (!stands_for_one(bare)).then_some(start..start + bare.len())
    })
}

/// `name=value`, as in environments, connection strings, queries and flags.
fn settings(text: &str) -> Vec<Range<usize>> {
    let found = SETTING
        .iter()
        .flat_map(|setting| setting.captures_iter(text));
    let named = found.filter_map(|found| {
        let (whole, name) = (found.get(0)?, found.name("name")?);
        let name_text = name.as_str().trim_start_matches(['-', '.']);
        if !is_secret_key(name_text) || text[whole.end()..].starts_with('=') {
            return None;
        }
        let before = text[..name.start()]
            .trim_end_matches(' ')
            .chars()
            .next_back();
        let end = whole.end() + setting_end(&text[whole.end()..], before);
        let value = &text[whole.end()..end];
        let bare = value.trim_start_matches(['"', '\'', '\\']);
        let start = end - bare.len();
        is_value(name_text, bare).then_some(start..end)
    });
    named.collect()
}

/// Where the value of a setting ends. `before`: what stands before its name.
fn setting_end(rest: &str, before: Option<char>) -> usize {
    let slashes = rest.len() - rest.trim_start_matches('\\').len();
    let quote = rest[slashes..]
        .chars()
        .next()
        .filter(|c| "\"'".contains(*c));
    if let Some(quote) = quote {
        return value_end(rest, slashes + 1, slashes, quote);
    }
    let is_query = matches!(before, Some('?' | '&'));
    let is_list = before == Some(';');
    let ends = |(at, c): (usize, char)| {
        let next = rest[at + c.len_utf8()..].chars().next();
        let is_closed = next.is_none_or(|next| next.is_whitespace() || ",;:)]}".contains(next));
        match c {
            '\n' | '\r' | '`' => true,
            '\\' => rest[at + 1..].starts_with(['n', 'r', '"']),
            '"' => true,
            '\'' => is_closed,
            '&' | '#' => is_query,
            ';' => {
                is_list || next.is_none_or(char::is_whitespace) || begins_setting(&rest[at + 1..])
            }
            ',' | ')' | ']' | '}' => is_closed && !is_list,
            c => c.is_whitespace() && !is_list,
        }
    };
    rest.char_indices()
        .find(|one| ends(*one))
        .map_or(rest.len(), |(at, _)| at)
}

/// `Pooling=`, `Trust Server Certificate=`.
fn begins_setting(rest: &str) -> bool {
    rest.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == ' ' || c == '_')
    })
}

/// `"name": "value"`, also where the quotes are escaped.
fn fields(text: &str) -> Vec<Range<usize>> {
    let found = FIELD.iter().flat_map(|field| field.captures_iter(text));
    let named = found.filter_map(|found| {
        let name = found.name("name").or_else(|| found.name("variable"))?;
        let name = name.as_str();
        let start = found.get(0)?.end();
        if !is_secret_key(name) {
            return None;
        }
        let rest = &text[start..];
        let slashes = rest.len() - rest.trim_start_matches('\\').len();
        let (begin, end) = match rest[slashes..].chars().next()? {
            quote @ ('"' | '\'') => {
                let begin = slashes + 1;
                (begin, value_end(rest, begin, slashes, quote))
            }
            _ => {
                let is_end = |c: char| c.is_whitespace() || ",;{}[]\"'\\".contains(c);
                (0, rest.find(is_end).unwrap_or(rest.len()))
            }
        };
        let value = &rest[begin..end];
        is_value(name, value).then_some(start + begin..start + end)
    });
    named.collect()
}

/// Where a text in quotes ends: at the quote that has as many backslashes before it as the first one.
fn value_end(rest: &str, begin: usize, slashes: usize, quote: char) -> usize {
    let mut run = 0;
    for (at, c) in rest[begin..].char_indices() {
        let is_end = c == quote
            && match slashes {
                0 => run % 2 == 0,
                slashes => run == slashes,
            };
        if is_end {
            return begin + at - slashes;
        }
        run = if c == '\\' { run + 1 } else { 0 };
    }
    rest.len()
}
