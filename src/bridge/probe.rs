//! The proof, before anything is installed, that pods will reach the database: from each node's network
//! to the address, through the port, past the login, into the database.
//!
//! The connection is a byte stream through `bash` in the node container, whose `/dev/tcp` needs no tool
//! that a node may lack; the login spoken over it is devk's own.

use std::net::Ipv4Addr;
use std::pin::Pin;
use std::time::Duration;

use bollard::Docker;
use bollard::container::LogOutput;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::NoTls;
use tokio_util::io::StreamReader;

use super::server::{self, Login};
use crate::docker::{Attached, Exec};
use crate::error::{Code, Error, Result};

/// How long the connection to the port may take. On one machine it needs milliseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long login and first answer may take.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Both directions of a TCP connection, from within the node.
const STREAM: &str = "exec 3<>\"/dev/tcp/$0/$1\" || exit 1; cat <&3 & exec cat >&3";
const TRY: &str = "exec 3<>\"/dev/tcp/$0/$1\"";

/// Where the probe goes.
#[derive(Debug, Clone)]
pub struct Probe<'a> {
    pub docker: &'a Docker,
    /// The node container it starts in.
    pub node: &'a str,
    pub address: Ipv4Addr,
    pub port: u16,
    pub login: &'a Login,
    pub database: &'a str,
}

impl Probe<'_> {
    /// Makes the whole connection and names its hops.
    ///
    /// # Errors
    /// [`Code::BridgeProbe`] naming the hop at which it ended.
    pub async fn run(&self) -> Result<String> {
        let asked = tokio::time::timeout(LOGIN_TIMEOUT, self.ask()).await;
        let database = match asked.unwrap_or_else(|_| Err(self.silent())) {
            Ok(database) => database,
            // The way may have ended before the login.
            Err(error) => return Err(self.reach().await.err().unwrap_or(error)),
        };
        let node = self.node;
        let target = self.target();
        let user = &self.login.user;
        Ok(format!(
            "node `{node}` → {target} → user `{user}` → database `{database}`"
        ))
    }

    fn silent(&self) -> Error {
        let why = format!(
            "no answer to the login within {} s",
            LOGIN_TIMEOUT.as_secs()
        );
        self.ended(&format!("{} accepts and says nothing", self.target()), &why)
    }

    fn target(&self) -> String {
        format!("{}:{}", self.address, self.port)
    }

    fn command(&self, script: &str) -> Vec<String> {
        let address = self.address.to_string();
        let port = self.port.to_string();
        ["bash", "-c", script, &address, &port]
            .map(str::to_owned)
            .to_vec()
    }

    /// The first two hops: address and port.
    async fn reach(&self) -> Result<()> {
        let seconds = CONNECT_TIMEOUT.as_secs().to_string();
        let command = [
            vec!["timeout".to_owned(), seconds.clone()],
            self.command(TRY),
        ]
        .concat();
        let output = Exec::new(self.node, command).output(self.docker).await?;
        if output.code == 0 {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // timeout(1) ends with 124 then: packets are dropped on the way.
        let hop = match output.code {
            124 => format!("{} does not answer within {seconds} s", self.target()),
            _ => format!("{} cannot be reached", self.target()),
        };
        Err(self.ended(&hop, said.lines().next().unwrap_or_default()).hint(format!(
            "a firewall may be in the way: sudo iptables -I INPUT -p tcp -d {} --dport {} -j ACCEPT",
            self.address, self.port
        )))
    }

    /// The last two hops: login and database.
    async fn ask(&self) -> Result<String> {
        let stream = self.stream().await?;
        let refused = |e: &tokio_postgres::Error| {
            let cause = server::refused(self.login, self.database, e);
            self.ended(&cause.message, &cause.evidence.join("\n"))
        };
        let config = server::config(self.login, self.database);
        let (client, connection) = config
            .connect_raw(stream, NoTls)
            .await
            .map_err(|e| refused(&e))?;
        let connection = tokio::spawn(connection);
        let row = client
            .query_one("select current_database()::text", &[])
            .await;
        drop(client);
        connection.abort();
        row.map(|row| row.get(0)).map_err(|e| refused(&e))
    }

    async fn stream(&self) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static> {
        let Attached { output, stdin, .. } = Exec::new(self.node, self.command(STREAM))
            .attach(self.docker)
            .await?;
        Ok(tokio::io::join(StreamReader::new(bytes(output)), stdin))
    }

    fn ended(&self, hop: &str, said: &str) -> Error {
        Error::new(
            Code::BridgeProbe,
            format!(
                "pods would not reach the database: from node `{}`, {hop}",
                self.node
            ),
        )
        .evidence(said)
    }
}

type ProbeOutput = Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>;

/// The standard output of the command.
fn bytes(
    output: Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>,
) -> ProbeOutput {
    Box::pin(output.filter_map(async |chunk| match chunk {
        Ok(LogOutput::StdErr { .. }) => None,
        Ok(chunk) => Some(Ok(chunk.into_bytes())),
        Err(error) => Some(Err(std::io::Error::other(error))),
    }))
}
