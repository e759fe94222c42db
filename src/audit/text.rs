//! The texts of a record: none gets there without a mask, or being devk's own.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Of a longer text the beginning is recorded.
const MAX_TEXT_BYTES: usize = 8 << 10;
/// So much of a list of texts is recorded.
const MAX_LIST_BYTES: usize = 64 << 10;

/// A text for the log. The two ways to make one are the two ways in which it has no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AuditText(String);

impl AuditText {
    /// A text of devk's own.
    pub fn fixed(text: &'static str) -> Self {
        Self(text.to_owned())
    }

    /// A text from elsewhere, without what the mask takes out of it.
    pub fn masked(text: &str, mask: impl Fn(&str) -> String) -> Self {
        let masked = mask(text);
        let end = masked.floor_char_boundary(MAX_TEXT_BYTES);
        // The mask comes first: half of a secret is none that it knows.
        Self(match masked.len() - end {
            0 => masked,
            cut => format!("{}… ({cut} bytes more)", &masked[..end]),
        })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AuditText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first texts of a list, and how many more there are.
pub(super) fn limited(texts: Vec<AuditText>) -> Vec<AuditText> {
    let mut bytes = 0;
    let fits = |text: &&AuditText| {
        bytes += text.0.len();
        bytes <= MAX_LIST_BYTES
    };
    let kept = texts.iter().take_while(fits).count();
    match texts.len() - kept {
        0 => texts,
        more => {
            let mut texts = texts;
            texts.truncate(kept);
            texts.push(AuditText(format!("… ({more} more)")));
            texts
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_masked_before_it_is_cut() {
        let secret = "x".repeat(100);
        let text = "a".repeat(MAX_TEXT_BYTES - 50) + &secret;
        let masked = AuditText::masked(&text, |text| text.replace(&secret, "[masked]"));
        assert!(masked.as_str().ends_with("a[masked]"), "{masked}");
        let long = AuditText::masked(&"ä".repeat(MAX_TEXT_BYTES), str::to_owned);
        assert!(long.as_str().ends_with("ä… (8192 bytes more)"));
    }

    #[test]
    fn of_a_long_list_the_first_are_kept_and_the_others_counted() {
        let text = || AuditText::masked(&"a".repeat(MAX_TEXT_BYTES), str::to_owned);
        let list = limited((0..20).map(|_| text()).collect());
        assert_eq!(list.len(), 9);
        assert_eq!(list[8].as_str(), "… (12 more)");
        assert_eq!(limited(vec![text()]).len(), 1);
    }
}
