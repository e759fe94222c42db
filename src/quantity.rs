//! Quantities of Kubernetes: `500m`, `1.5`, `64Mi`, `2e3`.

/// Suffixes and their factors in thousandths (k8s.io/apimachinery, `resource.Quantity`).
const SUFFIXES: [(&str, f64); 16] = [
    ("Ki", 1024e3),
    ("Mi", 1_048_576e3),
    ("Gi", 1_073_741_824e3),
    ("Ti", 1_099_511_627_776e3),
    ("Pi", 1_125_899_906_842_624e3),
    ("Ei", 1024.0 * 1_125_899_906_842_624e3),
    ("n", 1e-6),
    ("u", 1e-3),
    ("m", 1.0),
    ("k", 1e6),
    ("M", 1e9),
    ("G", 1e12),
    ("T", 1e15),
    ("P", 1e18),
    ("E", 1e21),
    ("", 1e3),
];

/// Whether a text is a quantity by the grammar of k8s.io/apimachinery, `pkg/api/resource`: a sign, digits with at most one
/// dot, and a suffix or an exponent. `1.`, `.5` and `1.Gi` are quantities there, and so is a suffix alone.
pub fn is_quantity(text: &str) -> bool {
    parts(text).is_some()
}

/// A quantity in thousandths of its unit; None if the text is none, or has no digit.
pub fn thousandths(text: &str) -> Option<f64> {
    let (number, suffix) = parts(text)?;
    match SUFFIXES.iter().find(|(known, _)| *known == suffix) {
        Some((_, factor)) => Some(number.parse::<f64>().ok()? * factor),
        // An exponent is a part of the number.
        None => Some(text.parse::<f64>().ok()? * 1e3),
    }
}

/// The number, and its suffix or exponent.
fn parts(text: &str) -> Option<(&str, &str)> {
    let digits = |text: &str| {
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len())
    };
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let after = &unsigned[digits(unsigned)..];
    let suffix = match after.strip_prefix('.') {
        Some(fraction) => &fraction[digits(fraction)..],
        None => after,
    };
    let is_known = SUFFIXES.iter().any(|(known, _)| *known == suffix);
    let exponent = suffix.strip_prefix(['e', 'E']);
    let is_exponent = exponent.is_some_and(|exponent| exponent.parse::<i64>().is_ok());
    let number = text.strip_suffix(suffix)?;
    (!text.is_empty() && (is_known || is_exponent)).then_some((number, suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_in_thousandths() {
        let texts = ["500m", "1.5", "2", "1Ki", "1k", "2e3", ".5", "1.", "3E"];
        let read = texts.map(|text| thousandths(text).unwrap());
        assert_eq!(
            read,
            [
                500.0,
                1500.0,
                2000.0,
                1_024_000.0,
                1e6,
                2e6,
                500.0,
                1000.0,
                3e21
            ]
        );
    }

    #[test]
    fn what_is_no_quantity_has_none() {
        for text in [
            "", "m", "lots", "1 Gi", "1gb", "1Mim", "1e", "--1", "inf", "nan", "1..2",
        ] {
            assert_eq!(thousandths(text), None, "{text}");
        }
    }
}
