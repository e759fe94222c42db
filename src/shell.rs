//! Quotes words for a shell, since users paste hints and evidence into one.

use std::ffi::OsStr;

/// One word of a command that is meant to be pasted, as every shell reads it back.
pub(crate) fn quote(word: impl AsRef<OsStr>) -> String {
    let word = word.as_ref().to_string_lossy();
    // `shlex` would quote `--output=json` as well.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.into_owned();
    }
    // The system refuses a word with a zero byte; what is shown of it matters little.
    let quoted = shlex::Quoter::new()
        .allow_nul(true)
        .quote(&word)
        .unwrap_or_default();
    quoted.into_owned()
}

/// The word behind `command` in a hint, as a shell reads it.
#[cfg(test)]
pub(crate) fn pasted(hint: &str, command: &str) -> String {
    let (_, rest) = hint.split_once(command).unwrap();
    shlex::Shlex::new(rest).next().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_a_quoted_word_as_it_was() {
        for word in [
            "plain",
            "",
            "a b",
            "it's",
            "it's a \"b\"",
            "$HOME `id` $(id) !! ^x",
            "a\\b\nc\td",
            "*?[x]{a,b}~#&|;<>()",
            "--output=json",
            "ü é",
        ] {
            let script = format!(
                "for word in {}; do printf '%s|' \"$word\"; done",
                quote(word)
            );
            let output = std::process::Command::new("sh")
                .args(["-c", &script])
                .output()
                .unwrap();
            let read = String::from_utf8(output.stdout).unwrap();
            assert_eq!(read, format!("{word}|"), "{}", quote(word));
            assert_eq!(pasted(&format!("rm {} && x", quote(word)), "rm "), word);
        }
    }
}
