//! `devk mcp`: a server of the Model Context Protocol for coding agents, on stdin and stdout.
//!
//! The SDK (`rmcp`) speaks the protocol in both of its eras: with `initialize` (2024-11-05 to 2025-11-25), and without
//! (2026-07-28: `server/discover`, and all that a request needs in its `_meta`). Nothing of the SDK is known outside of
//! this module. Before the first call nothing is read, and nobody is asked: neither Docker nor a cluster nor devk.yaml.

use std::path::PathBuf;

use rmcp::ServiceExt;
use rmcp::service::ServerInitializeError;
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::Source;
use crate::environment::Environment;
use crate::error::{Result, internal};
use crate::paths::Paths;

use jobs::{Jobs, Program};
use opening::Opening;
use server::McpServer;

mod answers;
mod arguments;
pub mod clients;
mod consent;
mod follow;
mod jobs;
pub(crate) mod mask;
mod opening;
mod outputs;
mod pages;
mod refused;
mod server;
#[cfg(test)]
mod tests;
mod tools;

/// A longer message is passed over.
const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// Serves one client until it closes stdin, or a signal asks this process to end. A call that is at work then has a few
/// seconds to answer; after that its command ends.
///
/// # Errors
/// [`crate::error::Code::Internal`] if the client cannot be served.
pub async fn serve(source: Source, paths: Paths) -> Result<()> {
    let path = std::env::current_exe().map_err(|e| internal(&e))?;
    let program = Program {
        path,
        folder: source.dir.clone(),
        options: options(&source),
    };
    let server = McpServer::new(source, paths, Environment::of_process(), Jobs::new(program));
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        asked_to_end().await;
        stopped.cancel();
    });
    let (stdin, stdout) = (tokio::io::stdin(), tokio::io::stdout());
    let transport = AsyncRwTransport::new_server(stdin, stdout);
    let transport = Opening::of(transport.with_max_line_length(MAX_MESSAGE_BYTES));
    match server.serve_with_ct(transport, stop).await {
        Ok(running) => running.waiting().await.map(drop).map_err(|e| internal(&e)),
        // It left before it began.
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => {
            Ok(())
        }
        // It reads no answer.
        Err(ServerInitializeError::TransportError { .. }) => Ok(()),
        Err(error) => Err(internal(&error)),
    }
}

/// The options by which a command finds the same project.
fn options(source: &Source) -> Vec<String> {
    let file = source
        .file
        .iter()
        .map(|file: &PathBuf| format!("--file={}", file.display()));
    let profile = source
        .profile
        .iter()
        .map(|profile| format!("--profile={profile}"));
    file.chain(profile).collect()
}

async fn asked_to_end() {
    let kinds = [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::hangup(),
    ];
    let asked = kinds.into_iter().filter_map(|kind| signal(kind).ok());
    let asked = asked.map(|mut asked| Box::pin(async move { asked.recv().await }));
    let asked: Vec<_> = asked.collect();
    if asked.is_empty() {
        return std::future::pending().await;
    }
    futures::future::select_all(asked).await;
}
