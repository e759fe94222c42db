//! Names that may have been meant by one that is unknown.

use crate::error::suggest;

/// "did you mean `x`?", or all there are: "`what` are `x`, `y`".
pub(crate) fn did_you_mean<'a>(
    text: &str,
    known: impl Iterator<Item = &'a str> + Clone,
    what: &str,
) -> String {
    if let Some(near) = suggest(text, known.clone()) {
        return format!("did you mean `{near}`?");
    }
    let all: Vec<_> = known.map(|name| format!("`{name}`")).collect();
    if all.is_empty() {
        format!("there are no {what}")
    } else {
        format!("the known {what} are {}", all.join(", "))
    }
}
