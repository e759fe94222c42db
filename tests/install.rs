//! scripts/install on a release of this very program: from a folder and from a server on this machine, whole, forged and
//! cut.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a server does with an archive that it is asked for.
#[derive(Clone, Copy)]
enum Serves {
    Whole,
    /// It announces all of it and closes after a part.
    Part,
}

/// A folder of releases with this program as the newest one, and a place to install to.
struct Release {
    folder: TempDir,
    home: TempDir,
}

fn archive() -> String {
    format!("devk-{}-unknown-linux-gnu.tar.gz", std::env::consts::ARCH)
}

impl Release {
    fn new() -> Self {
        let release = Self {
            folder: tempfile::tempdir().unwrap(),
            home: tempfile::tempdir().unwrap(),
        };
        let latest = release.latest();
        std::fs::create_dir_all(&latest).unwrap();
        let packed = GzEncoder::new(
            File::create(latest.join(archive())).unwrap(),
            Compression::none(),
        );
        let mut tar = tar::Builder::new(packed);
        tar.append_path_with_name(env!("CARGO_BIN_EXE_devk"), "devk")
            .unwrap();
        tar.into_inner().unwrap().finish().unwrap();
        let sum = Sha256::digest(std::fs::read(latest.join(archive())).unwrap());
        let sum = sum.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        });
        release.sums(&format!(
            "{}  devk-other.tar.gz\n{sum}  {}\n",
            "0".repeat(64),
            archive()
        ));
        let of_version = release
            .folder
            .path()
            .join("download")
            .join(format!("v{VERSION}"));
        std::fs::create_dir_all(of_version.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(&latest, of_version).unwrap();
        release
    }

    fn latest(&self) -> PathBuf {
        self.folder.path().join("latest/download")
    }

    fn sums(&self, text: &str) {
        std::fs::write(self.latest().join("SHA256SUMS"), text).unwrap();
    }

    fn folder_address(&self) -> String {
        format!("file://{}", self.folder.path().display())
    }

    /// Runs the script as somebody without a devk.
    fn install(&self, from: &str, more: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/install");
        Command::new("sh")
            .arg(script)
            .args(["--from", from])
            .args(more)
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", std::env::var_os("PATH").unwrap())
            .output()
            .unwrap()
    }

    fn bin(&self) -> PathBuf {
        self.home.path().join(".local/bin")
    }

    /// What the folder of programs holds, hidden files included.
    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.bin()).into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    /// Ends the test unless the script refused with these words and left what was there.
    fn refuses(&self, output: &Output, words: &str) {
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(
            said.contains("devk is not installed: ") && said.contains(words),
            "{said}"
        );
        assert_eq!(self.files(), ["devk"], "{said}");
        assert_eq!(
            std::fs::read_to_string(self.bin().join("devk")).unwrap(),
            "the one before",
            "{said}"
        );
    }

    fn has_one_before(&self) {
        std::fs::create_dir_all(self.bin()).unwrap();
        std::fs::write(self.bin().join("devk"), "the one before").unwrap();
    }
}

/// Serves the folder over HTTP on a free port of this machine, and returns its address.
fn serve(folder: PathBuf, serves: Serves) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = format!("http://{}/releases", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let asked = lines.next().unwrap().unwrap();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            let path = asked
                .split(' ')
                .nth(1)
                .unwrap()
                .trim_start_matches("/releases/");
            let Ok(body) = std::fs::read(folder.join(path)) else {
                let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
                continue;
            };
            let sent = match serves {
                Serves::Part if path.ends_with(".gz") => body.len() / 2,
                _ => body.len(),
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(&body[..sent]);
        }
    });
    address
}

#[test]
fn a_release_is_installed_by_one_rename_and_another_one_is_left_out() {
    let release = Release::new();
    for (from, more) in [
        (release.folder_address(), &[][..]),
        (
            serve(release.folder.path().to_owned(), Serves::Whole),
            &["--version", VERSION],
        ),
    ] {
        release.has_one_before();
        let output = release.install(&from, more);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        let bin = release.bin();
        assert!(
            said.contains(&format!("devk {VERSION} is in {}", bin.display())),
            "{said}"
        );
        assert!(
            said.contains(&format!("export PATH={}:$PATH", bin.display())),
            "{said}"
        );
        assert_eq!(release.files(), ["devk"]);
        let version = Command::new(bin.join("devk"))
            .arg("--version")
            .output()
            .unwrap();
        assert_eq!(version.stdout, format!("devk {VERSION}\n").as_bytes());
    }
    let elsewhere = release.home.path().join("a place");
    let prefix = ["--prefix", elsewhere.to_str().unwrap()];
    assert!(
        release
            .install(&release.folder_address(), &prefix)
            .status
            .success()
    );
    assert!(elsewhere.join("bin/devk").is_file());
}

#[test]
fn a_forged_a_cut_and_an_unknown_release_leave_what_was_there() {
    let release = Release::new();
    release.has_one_before();
    let cut = serve(release.folder.path().to_owned(), Serves::Part);
    release.refuses(&release.install(&cut, &[]), "did not arrive whole");
    let whole = release.folder_address();
    release.refuses(
        &release.install(&whole, &["--version", "9.9.9"]),
        "v9.9.9/SHA256SUMS did not arrive whole",
    );
    release.sums(&format!("{}  {}\n", "0".repeat(64), archive()));
    release.refuses(&release.install(&whole, &[]), "and SHA256SUMS has 0000");
    release.sums(&format!("{}  devk-other.tar.gz\n", "0".repeat(64)));
    release.refuses(&release.install(&whole, &[]), "does not name devk-");
    release.refuses(
        &release.install("http://releases.example", &[]),
        "is neither https nor on this machine",
    );
    release.refuses(
        &release.install("http://localhost.example/x", &[]),
        "is neither https nor on this machine",
    );
    release.refuses(
        &release.install(&whole, &["--verson", "1"]),
        "`--verson` is no option",
    );
    release.refuses(
        &release.install("", &[]),
        "does not know where releases are",
    );
}
