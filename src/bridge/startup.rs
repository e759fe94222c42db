//! The first messages of a connection to Postgres (PostgreSQL documentation, "Message Formats": StartupMessage,
//! SSLRequest, GSSENCRequest, CancelRequest): which database is asked for, and which one it gets. Pure.
//!
//! Invariant: a startup message goes on to the server only with a database that is in the map, and never as a
//! replication connection: such a one may read all databases of its server.

use std::collections::BTreeMap;

/// A longer message is none of Postgres' (MAX_STARTUP_PACKET_LENGTH).
pub(super) const MAX_MESSAGE_BYTES: usize = 10_000;
/// The answer to a request for encryption: there is none on this way.
pub(super) const NO_ENCRYPTION: u8 = b'N';

const CANCEL: u32 = 1234 << 16 | 5678;
const SSL: u32 = 1234 << 16 | 5679;
const GSS_ENCRYPTION: u32 = 1234 << 16 | 5680;
/// The major version of the protocol, of which every minor one begins alike.
const MAJOR: u32 = 3;

/// Which database pods get, by the name that they ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatabaseMap(BTreeMap<String, String>);

impl FromIterator<(String, String)> for DatabaseMap {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(names: I) -> Self {
        Self(names.into_iter().collect())
    }
}

impl DatabaseMap {
    fn real(&self, asked: &[u8]) -> Option<&str> {
        let asked = std::str::from_utf8(asked).ok()?;
        self.0.get(asked).map(String::as_str)
    }

    /// What a pod reads that asks for another database.
    fn refusal(&self, asked: &[u8]) -> Vec<u8> {
        let names: Vec<_> = self.0.keys().map(|name| format!("\"{name}\"")).collect();
        let asked = String::from_utf8_lossy(asked);
        // invalid_catalog_name (PostgreSQL documentation, "Error Codes").
        error(
            "3D000",
            &format!("devk's bridge does not lead to database \"{asked}\""),
            &format!("It leads to {}.", names.join(", ")),
        )
    }
}

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StartupAnswer {
    /// [`NO_ENCRYPTION`]; the client sends another message.
    Unencrypted,
    /// These bytes go to the server, and whatever follows.
    Forward(Vec<u8>),
    /// The client gets these bytes, and the connection ends.
    Refuse(Vec<u8>),
}

/// Answers a whole message, its length included. None: it is not one of Postgres'.
pub(super) fn answer(message: &[u8], map: &DatabaseMap) -> Option<StartupAnswer> {
    let code = u32::from_be_bytes(message.get(4..8)?.try_into().ok()?);
    match code {
        SSL | GSS_ENCRYPTION if message.len() == 8 => Some(StartupAnswer::Unencrypted),
        // It names a connection by the secret that this connection got; the server answers nothing.
        CANCEL if message.len() >= 16 => Some(StartupAnswer::Forward(message.to_owned())),
        code if code >> 16 == MAJOR => startup(message, map),
        _ => None,
    }
}

fn startup(message: &[u8], map: &DatabaseMap) -> Option<StartupAnswer> {
    let parameters = parameters(message.get(8..)?)?;
    // The last one counts, as in the server.
    let value = |name: &[u8]| {
        let mut found = parameters.iter().rev();
        found.find(|(key, _)| *key == name).map(|(_, value)| *value)
    };
    if value(b"replication").is_some_and(|value| !is_off(value)) {
        return Some(StartupAnswer::Refuse(error(
            "0A000",
            "devk's bridge takes no replication connections",
            "They may read all databases of the server.",
        )));
    }
    let asked = value(b"database").filter(|name| !name.is_empty());
    let asked = asked.or_else(|| value(b"user"))?;
    let Some(real) = map.real(asked) else {
        return Some(StartupAnswer::Refuse(map.refusal(asked)));
    };
    let others = parameters.iter().filter(|(key, _)| *key != b"database");
    let all = others.copied().chain([(&b"database"[..], real.as_bytes())]);
    written(&message[4..8], all).map(StartupAnswer::Forward)
}

/// A startup message with this version of the protocol.
fn written<'a>(
    version: &[u8],
    parameters: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> Option<Vec<u8>> {
    let mut body = version.to_owned();
    for (key, value) in parameters {
        body.extend([key, b"\0", value, b"\0"].concat());
    }
    body.push(0);
    let length = u32::try_from(body.len() + 4).ok()?;
    Some([&length.to_be_bytes()[..], &body].concat())
}

/// Names and values, each ended by a zero, and a zero behind the last. None if they are not so.
fn parameters(mut rest: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut found = vec![];
    loop {
        let (name, after) = text(rest)?;
        if name.is_empty() {
            return after.is_empty().then_some(found);
        }
        let (value, after) = text(after)?;
        found.push((name, value));
        rest = after;
    }
}

fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

fn is_off(value: &[u8]) -> bool {
    [&b"false"[..], b"off", b"no", b"0"].contains(&value)
}

/// ErrorResponse: severity, code, message and detail.
fn error(code: &str, message: &str, detail: &str) -> Vec<u8> {
    let fields = [
        ('S', "FATAL"),
        ('V', "FATAL"),
        ('C', code),
        ('M', message),
        ('D', detail),
    ];
    let fields: String = fields
        .iter()
        .map(|(kind, text)| format!("{kind}{}\0", text.replace('\0', " ")))
        .collect();
    let length = u32::try_from(fields.len() + 5).unwrap_or(u32::MAX);
    [b"E", &length.to_be_bytes()[..], fields.as_bytes(), b"\0"].concat()
}

/// A startup message, as a client writes it.
#[cfg(test)]
pub(super) fn message(parameters: &[(&str, &str)]) -> Vec<u8> {
    let parameters = parameters.iter();
    let bytes = parameters.map(|(key, value)| (key.as_bytes(), value.as_bytes()));
    written(&(MAJOR << 16).to_be_bytes(), bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> DatabaseMap {
        let names = [
            ("shop", "shop_k8s"),
            ("shop_k8s", "shop_k8s"),
            ("litellm", "litellm_k8s"),
        ];
        names
            .map(|(asked, real)| (asked.to_owned(), real.to_owned()))
            .into_iter()
            .collect()
    }

    fn forwarded(parameters: &[(&str, &str)]) -> Option<String> {
        match answer(&message(parameters), &map())? {
            StartupAnswer::Forward(bytes) => {
                Some(String::from_utf8_lossy(&bytes[8..]).replace('\0', "|"))
            }
            StartupAnswer::Refuse(bytes) => {
                Some(String::from_utf8_lossy(&bytes).replace('\0', "|"))
            }
            StartupAnswer::Unencrypted => None,
        }
    }

    #[test]
    fn a_database_of_the_map_gets_its_own_and_all_else_stays() {
        let asked = [
            ("user", "ann"),
            ("database", "shop"),
            ("application_name", "api"),
        ];
        assert_eq!(
            forwarded(&asked).unwrap(),
            "user|ann|application_name|api|database|shop_k8s||"
        );
        // Without a name the user's is meant.
        assert_eq!(
            forwarded(&[("user", "litellm")]).unwrap(),
            "user|litellm|database|litellm_k8s||"
        );
    }

    #[test]
    fn another_database_is_refused_with_those_that_there_are() {
        for asked in [
            &[("user", "shop"), ("database", "demo")][..],
            // The server takes the last one.
            &[("database", "shop"), ("user", "ann"), ("database", "demo")],
            &[("user", "demo")],
            &[("user", "ann"), ("database", "SHOP")],
        ] {
            let told = forwarded(asked).unwrap();
            assert!(
                told.contains("C3D000|Mdevk's bridge does not lead to database"),
                "{told}"
            );
            assert!(
                told.contains("It leads to \"litellm\", \"shop\", \"shop_k8s\"."),
                "{told}"
            );
        }
    }

    #[test]
    fn a_replication_connection_is_refused_whatever_its_database() {
        for kind in ["database", "true", "on", "1", "yes", "t"] {
            let told = forwarded(&[("user", "a"), ("database", "shop"), ("replication", kind)]);
            assert!(told.unwrap().contains("C0A000|"), "{kind}");
        }
        let told = forwarded(&[("user", "a"), ("database", "shop"), ("replication", "off")]);
        assert!(told.unwrap().ends_with("database|shop_k8s||"));
    }

    #[test]
    fn encryption_is_declined_and_a_cancel_goes_on_as_it_is() {
        for code in [SSL, GSS_ENCRYPTION] {
            let request = [8u32.to_be_bytes(), code.to_be_bytes()].concat();
            assert_eq!(answer(&request, &map()), Some(StartupAnswer::Unencrypted));
        }
        let cancel = [16u32, CANCEL, 4711, 42].map(u32::to_be_bytes).concat();
        assert_eq!(
            answer(&cancel, &map()),
            Some(StartupAnswer::Forward(cancel.clone()))
        );
    }

    #[test]
    fn what_is_no_message_of_postgres_is_none() {
        let http = b"GET / HTTP/1.1\r\n\r\n";
        let version_2 = [8u32, 2 << 16].map(u32::to_be_bytes).concat();
        let mut cut = message(&[("user", "a"), ("database", "shop")]);
        cut.pop();
        for bytes in [&http[..], &version_2, &cut, b"", b"\0\0\0\x08"] {
            assert_eq!(answer(bytes, &map()), None, "{bytes:?}");
        }
    }

    /// The parameters of a message that was let through.
    fn parsed(bytes: &[u8]) -> Vec<(&[u8], &[u8])> {
        assert_eq!(
            bytes[..4],
            u32::try_from(bytes.len()).unwrap().to_be_bytes()
        );
        parameters(&bytes[8..]).unwrap()
    }

    #[test]
    fn of_a_million_messages_none_gets_a_database_that_is_not_in_the_map() {
        let words: [&[u8]; 14] = [
            b"user",
            b"database",
            b"replication",
            b"shop",
            b"litellm",
            b"demo",
            b"postgres",
            b"true",
            b"off",
            b"options",
            b"",
            b"\xff\xfe",
            b"shop\x01",
            b"-c x=y",
        ];
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % below as u64).unwrap()
        };
        let (mut passed, mut refused) = (0u32, 0u32);
        for _ in 0..1_000_000 {
            let mut body = match next(8) {
                0 => CANCEL.to_be_bytes(),
                1 => u32::try_from(next(1 << 20)).unwrap().to_be_bytes(),
                _ => (MAJOR << 16 | u32::try_from(next(3)).unwrap()).to_be_bytes(),
            }
            .to_vec();
            for _ in 0..next(8) {
                body.extend_from_slice(words[next(words.len())]);
                body.extend((next(9) > 0).then_some(0));
            }
            body.push(0);
            if next(20) == 0 {
                let at = next(body.len());
                body[at] = u8::try_from(next(256)).unwrap();
            }
            let length = u32::try_from(body.len() + 4).unwrap();
            let message = [&length.to_be_bytes()[..], &body].concat();
            match answer(&message, &map()) {
                Some(StartupAnswer::Forward(bytes)) if bytes[4..8] != CANCEL.to_be_bytes() => {
                    passed += 1;
                    let parameters = parsed(&bytes);
                    let of = |name: &[u8]| -> Vec<&[u8]> {
                        let named = parameters.iter().filter(|(key, _)| *key == name);
                        named.map(|(_, value)| *value).collect()
                    };
                    assert!(
                        matches!(of(b"database")[..], [b"shop_k8s" | b"litellm_k8s"]),
                        "{bytes:?}"
                    );
                    let replicates = of(b"replication")
                        .last()
                        .is_some_and(|value| !is_off(value));
                    assert!(!replicates, "{bytes:?}");
                }
                Some(StartupAnswer::Refuse(_)) => refused += 1,
                _ => {}
            }
        }
        assert!(
            passed > 1000 && refused > 1000,
            "{passed} passed, {refused} refused"
        );
    }
}
