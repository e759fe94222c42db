//! Words of an instruction: quotes, flags, JSON forms, variables.

/// Words parted by white space; quotes hold words together and are taken off.
pub(super) fn split(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = None::<String>;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(end)) if c == end => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None | Some('"')) if c == escape => {
                let next = chars.next();
                // [`expand`] has to see that it is no variable.
                word.get_or_insert_default().extend(
                    (next == Some('$'))
                        .then_some(escape)
                        .into_iter()
                        .chain(next),
                );
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The flags at the beginning, without their dashes, and what follows them. A flag without a value is `true`.
pub(super) fn flags(text: &str) -> (Vec<(String, String)>, &str) {
    let mut flags = Vec::new();
    let mut rest = text.trim_start();
    while let Some(flag) = rest.strip_prefix("--") {
        let end = flag.find(char::is_whitespace).unwrap_or(flag.len());
        let (name, value) = flag[..end]
            .split_once('=')
            .unwrap_or((&flag[..end], "true"));
        flags.push((
            name.to_ascii_lowercase(),
            value.trim_matches(['"', '\'']).to_owned(),
        ));
        rest = flag[end..].trim_start();
    }
    (flags, rest)
}

/// The words of a JSON form.
pub(super) fn json(text: &str) -> Option<Vec<String>> {
    if text.starts_with('[') {
        serde_json::from_str(text).ok()
    } else {
        None
    }
}

/// Replaces `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+other}`. What is not set is empty.
pub(super) fn expand(text: &str, escape: char, value: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['$', escape]) {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        rest = if rest[at..].starts_with(escape) {
            let next = after.chars().next();
            out.extend(next);
            &after[next.map_or(0, char::len_utf8)..]
        } else {
            variable(after, escape, value, &mut out)
        };
    }
    out + rest
}

/// What stands behind a `$`; the answer is what follows it.
fn variable<'a>(
    after: &'a str,
    escape: char,
    value: &dyn Fn(&str) -> Option<String>,
    out: &mut String,
) -> &'a str {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if let Some((inside, rest)) = after.strip_prefix('{').and_then(braces) {
        let end = inside.find(|c| !is_name(c)).unwrap_or(inside.len());
        let (name, how) = inside.split_at(end);
        let set = value(name).filter(|value| !value.is_empty() || !how.starts_with(':'));
        match how.trim_start_matches(':').split_at_checked(1) {
            Some(("-", default)) => {
                out.push_str(&set.unwrap_or_else(|| expand(default, escape, value)))
            }
            Some(("+", other)) if set.is_some() => out.push_str(&expand(other, escape, value)),
            Some(("+", _)) => {}
            _ => out.push_str(&set.unwrap_or_default()),
        }
        return rest;
    }
    let end = after.find(|c| !is_name(c)).unwrap_or(after.len());
    match &after[..end] {
        "" => out.push('$'),
        name => out.push_str(&value(name).unwrap_or_default()),
    }
    &after[end..]
}

/// What is inside of a brace that is open, and what follows it.
fn braces(text: &str) -> Option<(&str, &str)> {
    let mut depth = 1;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&text[..at], &text[at + 1..]));
        }
    }
    None
}
