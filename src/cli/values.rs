//! Values of options as clap reads them.

use std::time::Duration;

use clap::ValueEnum;

use crate::config::{self, AskMode};
use crate::mcp::clients::McpClient;
use crate::ui::Format;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum FormatArg {
    #[default]
    Table,
    Json,
    /// `devk ports` and `devk chart check` only
    Markdown,
    /// SARIF 2.1.0, `devk chart check` only
    Sarif,
    /// CSV, `devk audit` only
    Csv,
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Json => Self::Json,
            FormatArg::Table | FormatArg::Markdown | FormatArg::Sarif | FormatArg::Csv => {
                Self::Table
            }
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum ClientArg {
    Claude,
    Cursor,
    Vscode,
    Codex,
    Zed,
}

impl ClientArg {
    /// The word on the command line.
    pub(super) fn word(self) -> String {
        let value = self.to_possible_value();
        value
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }
}

impl From<ClientArg> for McpClient {
    fn from(client: ClientArg) -> Self {
        match client {
            ClientArg::Claude => Self::Claude,
            ClientArg::Cursor => Self::Cursor,
            ClientArg::Vscode => Self::Vscode,
            ClientArg::Codex => Self::Codex,
            ClientArg::Zed => Self::Zed,
        }
    }
}

/// How much an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum AskModeArg {
    /// What the terms mean, too
    Beginner,
    Standard,
    /// The answer and the command of kubectl
    Expert,
}

impl From<AskModeArg> for AskMode {
    fn from(mode: AskModeArg) -> Self {
        match mode {
            AskModeArg::Beginner => Self::Beginner,
            AskModeArg::Standard => Self::Standard,
            AskModeArg::Expert => Self::Expert,
        }
    }
}

pub(super) fn time(text: &str) -> Result<Duration, String> {
    config::duration(text)
        .ok_or_else(|| "write a time of at most a day as 30s, 5m or 1h30m".to_owned())
}
