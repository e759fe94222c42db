//! Passwords in addresses: `scheme://user:password@host`, each of a text, and the same without a scheme as drivers take it.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::names::{looks_random, stands_for_one};

/// What stands before a colon and is no user: `mailto:a@b.c`, `npm:pkg@1.2.3`.
const NO_USERS: [&str; 13] = [
    "mailto", "ssh", "git", "to", "from", "cc", "npm", "email", "mail", "user", "author", "sip",
    "acct",
];

/// `user:password@tcp(host)` and `user:password@/database`, as Go's drivers have it; `user:password@host:port`.
pub(super) static BARE: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let patterns = [
        r#"(?:^|[\s"'`=,;(])(?P<user>[A-Za-z0-9_.+-]*):(?P<secret>[^\s"`]+?)@[a-z]+[0-9]?\("#,
        r#"(?:^|[\s"'`=,;(])(?P<user>[A-Za-z0-9_.+-]+):(?P<secret>[^\s"'`@:]+)@/[A-Za-z0-9_]"#,
        r#"(?:^|[\s"'`=,;(])(?P<user>[A-Za-z0-9_.+-]+):(?P<secret>[^\s"'`@:/]{3,})@(?P<host>[A-Za-z0-9_.-]+):[0-9]{2,5}(?:[/\s"'`,;)?\\]|$)"#,
        r#"oracle:thin:(?P<user>[A-Za-z0-9_]+)/(?P<secret>[^\s"'`@]+)@"#,
    ];
    patterns
        .iter()
        .filter_map(|pattern| Regex::new(pattern).ok())
        .collect()
});

/// The passwords of all URLs of a text, as they are written there.
pub(crate) fn passwords_of_urls(text: &str) -> Vec<&str> {
    let starts = text.match_indices("://").map(|(at, _)| at + 3);
    let spans = starts.filter_map(|start| password_span(text, start));
    spans.map(|span| &text[span]).collect()
}

/// Where secrets stand in the addresses of a text.
pub(super) fn spans(text: &str) -> Vec<Range<usize>> {
    let starts = text.match_indices("://").map(|(at, _)| at + 3);
    let mut found: Vec<_> = starts
        .filter_map(|start| password_span(text, start).or_else(|| user_span(text, start)))
        .collect();
    let captures = BARE.iter().flat_map(|form| form.captures_iter(text));
    found.extend(captures.filter_map(|captures| {
        let secret = captures.name("secret")?;
        let user = captures.name("user").map_or("", |user| user.as_str());
        let host = captures.name("host").map_or("", |host| host.as_str());
        // `@tcp(` follows on nothing but a login.
        let is_no_user = !host.is_empty() && NO_USERS.contains(&user.to_ascii_lowercase().as_str());
        let is_none = is_no_user || is_digest(host) || stands_for_one(secret.as_str());
        (!is_none).then_some(secret.range())
    }));
    found
}

/// The user and the rest of the authority of the URL whose scheme ends at `start`.
fn authority(text: &str, start: usize) -> &str {
    let rest = &text[start..];
    let is_end = |c: char| c.is_whitespace() || "/?#\"'`<>\\".contains(c);
    &rest[..rest.find(is_end).unwrap_or(rest.len())]
}

/// The password of the URL whose scheme ends at `start`.
fn password_span(text: &str, start: usize) -> Option<Range<usize>> {
    let authority = authority(text, start);
    let (user, end) = match authority.rsplit_once('@') {
        Some((_, host)) if is_digest(host) => return None,
        Some((login, _)) => (login.split_once(':')?.0, start + login.len()),
        // A sign that ends the authority may stand in a password all the same: then no port is behind the colon.
        None => {
            let (host, port) = authority.split_once(':')?;
            let after = port.trim_start_matches(|c: char| c.is_ascii_digit());
            let is_port = after.is_empty()
                || after.len() < port.len() && after.starts_with([',', ';', ')', ']', '}']);
            if is_port || host.starts_with('[') || stands_for_one(port) {
                return None;
            }
            let rest = &text[start..];
            let is_end = |c: char| c.is_whitespace() || "\"`<>".contains(c);
            let word = &rest[..rest.find(is_end).unwrap_or(rest.len())];
            let (login, host_behind) = word.rsplit_once('@')?;
            if is_digest(host_behind) || login.contains("://") {
                return None;
            }
            (host, start + login.len())
        }
    };
    let span = start + user.len() + 1..end;
    (!stands_for_one(&text[span.clone()])).then_some(span)
}

/// The user of a URL that is a token.
fn user_span(text: &str, start: usize) -> Option<Range<usize>> {
    let (login, host) = authority(text, start).rsplit_once('@')?;
    let user = login.split_once(':').map_or(login, |(user, _)| user);
    (looks_random(user) && !is_digest(host)).then_some(start..start + user.len())
}

/// `redis:7@sha256:…` is an image.
fn is_digest(host: &str) -> bool {
    host.starts_with("sha256") || host.starts_with("sha512")
}
