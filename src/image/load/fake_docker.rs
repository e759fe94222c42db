//! A push as Engines do it, at the wire: for tests of the other end.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::hex::hex;

/// The client's side; `repository` is `127.0.0.1:PORT/NAME`.
pub(super) struct FakeDocker {
    address: String,
    name: String,
}

pub(super) struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
}

impl FakeDocker {
    pub(super) fn new(repository: &str) -> Self {
        let (address, name) = repository.split_once('/').unwrap();
        Self {
            address: address.to_owned(),
            name: name.to_owned(),
        }
    }

    /// Sends bytes and reads until the other side closes.
    pub(super) async fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = vec![];
        stream.read_to_end(&mut answer).await.unwrap();
        answer
    }

    /// A request below the name, such as `HEAD`, `blobs/sha256:…`.
    pub(super) async fn ask(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.ask_at(method, &format!("/v2/{}/{path}", self.name), body)
            .await
    }

    pub(super) async fn ask_at(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/test\r\n\
             content-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        let answer = String::from_utf8(self.raw(&[head.as_bytes(), body].concat()).await).unwrap();
        let (head, _) = answer.split_once("\r\n\r\n").unwrap();
        let (first, rest) = head.split_once("\r\n").unwrap();
        let headers = rest
            .split("\r\n")
            .map(|line| line.split_once(": ").unwrap());
        let headers = headers
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        Answer {
            status: first.split(' ').nth(1).unwrap().parse().unwrap(),
            headers,
        }
    }

    /// Uploads in two pieces and a last request, as graph drivers do; returns the last status.
    pub(super) async fn upload(&self, content: &[u8]) -> u16 {
        let begun = self.ask("POST", "blobs/uploads/", b"").await;
        assert_eq!(begun.status, 202);
        let mut location = begun.headers["location"].clone();
        let (one, two) = content.split_at(content.len() / 2);
        for (piece, range) in [(one, one.len()), (two, content.len())] {
            let appended = self.ask_at("PATCH", &location, piece).await;
            assert_eq!(appended.status, 202);
            assert_eq!(
                appended.headers["range"],
                format!("0-{}", range.saturating_sub(1))
            );
            location.clone_from(&appended.headers["location"]);
        }
        self.ask_at(
            "PUT",
            &format!("{location}?digest={}", digest(content).replace(':', "%3A")),
            b"",
        )
        .await
        .status
    }

    /// An upload whose connection breaks in the middle.
    pub(super) async fn break_off(&self, content: &[u8]) -> String {
        let location = self.ask("POST", "blobs/uploads/", b"").await.headers["location"].clone();
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let head = format!(
            "PATCH {location} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
            content.len() + 1
        );
        stream
            .write_all(&[head.as_bytes(), content].concat())
            .await
            .unwrap();
        stream.flush().await.unwrap();
        location
    }
}

pub(super) fn digest(content: &[u8]) -> String {
    format!("sha256:{}", hex(Sha256::digest(content)))
}
