//! Formats that other modules read: ranges of versions, quantities, days.

use jiff::civil::Date;

use super::{Place, ValueFormat};
use crate::error::{Code, Result};
use crate::quantity;
use crate::version_range::VersionRange;

/// Checks a text that is to be one of them.
pub(super) fn check(format: ValueFormat, text: &str, place: &Place) -> Result<()> {
    let (is_one, such_as) = match format {
        ValueFormat::VersionRange => (VersionRange::parse(text).is_some(), "`>=1.31 <1.35`"),
        ValueFormat::Quantity => (quantity::thousandths(text).is_some(), "`500m` or `2Gi`"),
        _ => (text.parse::<Date>().is_ok(), "`2027-06-30`"),
    };
    if is_one {
        return Ok(());
    }
    let message = format!("`{text}` is no {}", format.meaning());
    let error = place.error(Code::ConfigValue, message);
    Err(error.hint(format!("write it as {such_as}")))
}
