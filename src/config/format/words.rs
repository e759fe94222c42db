//! Formats that are one of a few words.

use super::super::did_you_mean;
use super::super::yaml::Place;
use super::{MAX_SECRET_LENGTH, PROVIDERS, ValueFormat};
use crate::error::{Code, Error, Result};
use crate::model::WireFormat;

/// The words of a format; none for one that is no list of words.
pub(super) const fn of(format: ValueFormat) -> &'static [&'static str] {
    match format {
        ValueFormat::InstalledProvider => &["kind", "minikube", "k3d"],
        ValueFormat::AskRole => &["viewer", "operator", "admin"],
        ValueFormat::AskYes => &["reversible", "disruptive"],
        ValueFormat::ModelFormat => &WireFormat::NAMES,
        ValueFormat::AskMode => &["beginner", "standard", "expert"],
        _ => &[],
    }
}

/// Checks a text of such a format.
pub(super) fn check(format: ValueFormat, text: &str, place: &Place) -> Result<()> {
    let known = of(format);
    if known.contains(&text) {
        return Ok(());
    }
    let (what, all) = match format {
        ValueFormat::AskRole => ("role", "roles"),
        ValueFormat::AskYes => ("risk that could be left unasked", "risks"),
        ValueFormat::ModelFormat => ("format of models", "formats"),
        ValueFormat::AskMode => ("mode of answers", "modes"),
        _ => ("provider that could be preferred", "providers"),
    };
    let error = place.error(Code::ConfigValue, format!("`{text}` is no {what}"));
    Err(error.hint(did_you_mean(text, known.iter().copied(), all)))
}

/// The error of a provider that is none.
pub(super) fn unknown_provider(text: &str, place: &Place) -> Error {
    let names = PROVIDERS.iter().map(|(name, _)| *name);
    place
        .error(
            Code::ConfigValue,
            format!("unknown cluster provider `{text}`"),
        )
        .hint(did_you_mean(text, names, "providers"))
}

/// The error of a generator that is none.
pub(super) fn unknown_generator(text: &str, place: &Place) -> Error {
    let rule = format!(
        "write `hexN` (N hexadecimal characters), `base64N` (N random bytes) or `uuid`, such as `hex64`; N is 1 to {MAX_SECRET_LENGTH}"
    );
    place
        .error(Code::ConfigValue, format!("unknown generator `{text}`"))
        .hint(rule)
}
