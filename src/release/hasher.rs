//! SHA-256 over labelled parts, for content-addressed names.

use sha2::{Digest as _, Sha256};

/// A hash whose parts cannot run into each other: every part is preceded by its length.
#[derive(Debug, Default)]
pub(super) struct PartsHasher(Sha256);

impl PartsHasher {
    /// Adds one part.
    #[must_use]
    pub(super) fn part(mut self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    /// The first 40 hexadecimal digits (160 bits): a Kubernetes label value holds 63 characters, a
    /// whole SHA-256 in hexadecimal has 64.
    pub(super) fn hex(self) -> String {
        crate::hex::hex(&self.0.finalize()[..20])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(
            PartsHasher::default().part("ab").part("c").hex(),
            PartsHasher::default().part("a").part("bc").hex()
        );
    }

    #[test]
    fn a_digest_fits_into_a_label() {
        assert_eq!(PartsHasher::default().part("x").hex().len(), 40);
    }
}
