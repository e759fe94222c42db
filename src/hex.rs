//! Bytes as lowercase hexadecimal digits.

/// `[0xab, 0x01]` -> `ab01`.
pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_byte_takes_two_digits() {
        assert_eq!(super::hex([0xab, 0x01]), "ab01");
    }
}
