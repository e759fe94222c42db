//! Bytes as lowercase hexadecimal digits.

/// `[0xab, 0x01]` -> `ab01`.
pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// `N` bytes from the system's source of randomness, for names that nobody else has.
pub(crate) fn random<const N: usize>() -> Result<String, getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(hex(bytes))
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_byte_takes_two_digits() {
        assert_eq!(super::hex([0xab, 0x01]), "ab01");
    }
}
