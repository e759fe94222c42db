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

/// A quantity in thousandths of its unit; None if the text is none.
pub fn thousandths(text: &str) -> Option<f64> {
    let (number, factor) = SUFFIXES.iter().find_map(|(suffix, factor)| {
        let number = text.strip_suffix(suffix)?;
        is_number(number).then_some((number, factor))
    })?;
    Some(number.parse::<f64>().ok()? * factor)
}

/// Digits with at most one dot, and an exponent only without a suffix, where it is a part of the number.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (digits, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, Some(exponent)),
        None => (unsigned, None),
    };
    let is_whole = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let is_decimal = |text: &str| text.is_empty() || is_whole(text);
    let is_exponent = |text: &str| is_whole(text.strip_prefix(['+', '-']).unwrap_or(text));
    (is_whole(whole) || is_whole(part))
        && is_decimal(whole)
        && is_decimal(part)
        && exponent.is_none_or(is_exponent)
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
