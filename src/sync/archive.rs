//! Whether a file is an archive that ADD unpacks: by its first bytes, as the builder tells, and not by its name.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

/// The first bytes of what gzip, bzip2, xz and zstd write. Not all of it holds an archive; a build tells.
const COMPRESSED: [&[u8]; 4] = [b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"];

/// A tar archive begins with a header of this many bytes.
const HEADER_BYTES: usize = 512;

/// Where the header has the sum of its own bytes, in octal digits; for the sum these count as spaces.
const CHECKSUM: Range<usize> = 148..156;

/// False for what is not there, and for what is no file.
pub(super) fn is_archive(file: &Path) -> bool {
    let mut header = Vec::new();
    let Ok(file) = File::open(file) else {
        return false;
    };
    let read = file.take(HEADER_BYTES as u64).read_to_end(&mut header);
    let is_compressed = || COMPRESSED.iter().any(|magic| header.starts_with(magic));
    read.is_ok() && (is_compressed() || is_tar(&header))
}

fn is_tar(header: &[u8]) -> bool {
    if header.len() < HEADER_BYTES {
        return false;
    }
    let digits = String::from_utf8_lossy(&header[CHECKSUM]);
    let digits = digits.trim_matches(|c: char| c == '\0' || c.is_whitespace());
    let value = |(at, byte): (usize, &u8)| {
        let is_sum = CHECKSUM.contains(&at);
        u32::from(if is_sum { b' ' } else { *byte })
    };
    let sum = header.iter().enumerate().map(value).sum::<u32>();
    u32::from_str_radix(digits, 8) == Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_told_by_its_content_whatever_it_is_called() {
        let dir = tempfile::tempdir().unwrap();
        let is = |name: &str, content: &[u8]| {
            let file = dir.path().join(name);
            std::fs::write(&file, content).unwrap();
            is_archive(&file)
        };
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_old();
        header.set_size(1);
        tar.append_data(&mut header, "x", &b"x"[..]).unwrap();
        let tar = tar.into_inner().unwrap();
        assert!(is("page.html", &tar));
        assert!(!is("short", &tar[..511]));
        assert!(is("bundle", b"\x1f\x8b\x08\0\0"));
        assert!(!is("named.tar.gz", b"plain"));
        assert!(!is("zeros", &[0; 600]));
        assert!(!is_archive(&dir.path().join("none")) && !is_archive(dir.path()));
    }
}
