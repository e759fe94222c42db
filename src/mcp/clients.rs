//! The configuration by which a client starts `devk mcp`, for the clients that people use. Each of them reads a file of
//! the project; that file is edited in place: comments, order and all other servers stay as they are, and a server
//! `devk` that is there already is left alone.

use std::path::{Path, PathBuf};

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstInputValue, CstRootNode};
use toml_edit::{Array, DocumentMut, Item, Table, value};

use crate::error::{Code, Error, Result};
use crate::paths::{mode_of, refused, write_atomic};

/// The name of the server in each configuration.
const NAME: &str = "devk";
const BOM: char = '\u{feff}';

/// A program that starts MCP servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum McpClient {
    /// Claude Code.
    Claude,
    Cursor,
    /// VS Code.
    Vscode,
    /// Codex CLI; it reads a project's file if the user trusts the project.
    Codex,
    Zed,
}

/// What was done to the file of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientChange {
    Written,
    /// It has a server `devk`.
    WasThere,
}

impl McpClient {
    /// Its file, from the folder of the project.
    pub const fn file(self) -> &'static str {
        match self {
            Self::Claude => ".mcp.json",
            Self::Cursor => ".cursor/mcp.json",
            Self::Vscode => ".vscode/mcp.json",
            Self::Codex => ".codex/config.toml",
            Self::Zed => ".zed/settings.json",
        }
    }

    /// The key of the servers in it.
    const fn key(self) -> &'static str {
        match self {
            Self::Claude | Self::Cursor => "mcpServers",
            Self::Vscode => "servers",
            Self::Codex => "mcp_servers",
            Self::Zed => "context_servers",
        }
    }

    /// The configuration alone. `args` are those of devk.
    ///
    /// # Errors
    /// None in practice: as [`McpClient::write`].
    pub fn text(self, args: &[String]) -> Result<String> {
        let text = self.edited(Path::new(self.file()), "", args)?;
        Ok(text.unwrap_or_default())
    }

    /// Puts the configuration into the file of the project in `folder`.
    ///
    /// # Errors
    /// [`Code::ClientConfig`] if the file there is no configuration of this client, [`Code::StateIo`] if it cannot be
    /// read or written. The file is then as it was.
    pub fn write(self, folder: &Path, args: &[String]) -> Result<(PathBuf, ClientChange)> {
        let file = folder.join(self.file());
        // Behind a link is the file that is meant.
        let file = file.canonicalize().unwrap_or(file);
        let (text, mode) = read(&file)?;
        let Some(edited) = self.edited(&file, &text, args)? else {
            return Ok((file, ClientChange::WasThere));
        };
        write_atomic(&file, edited.as_bytes(), mode)?;
        Ok((file, ClientChange::Written))
    }

    /// The text with the server in it; None if it has one.
    fn edited(self, file: &Path, text: &str, args: &[String]) -> Result<Option<String>> {
        let bare = text.strip_prefix(BOM).unwrap_or(text);
        let edited = match self {
            Self::Codex => self.edited_toml(file, bare, args)?,
            _ => self.edited_json(file, bare, args)?,
        };
        let has_bom = bare.len() != text.len();
        Ok(edited.map(|edited| {
            if has_bom {
                format!("{BOM}{edited}")
            } else {
                edited
            }
        }))
    }

    fn edited_json(self, file: &Path, text: &str, args: &[String]) -> Result<Option<String>> {
        let root = CstRootNode::parse(text, &ParseOptions::default())
            .map_err(|e| unusable(file, &e.to_string()))?;
        let no_object = || unusable(file, &format!("`{}` in it is no object", self.key()));
        let object = root.object_value_or_create().ok_or_else(no_object)?;
        let servers = object
            .object_value_or_create(self.key())
            .ok_or_else(no_object)?;
        if servers.get(NAME).is_some() {
            return Ok(None);
        }
        let args = CstInputValue::Array(args.iter().map(|arg| arg.as_str().into()).collect());
        let mut server: Vec<(String, CstInputValue)> = vec![
            ("command".to_owned(), NAME.into()),
            ("args".to_owned(), args),
        ];
        match self {
            Self::Vscode => {
                server.insert(0, ("type".to_owned(), "stdio".into()));
                server.push(("cwd".to_owned(), "${workspaceFolder}".into()));
            }
            Self::Zed => server.insert(0, ("source".to_owned(), "custom".into())),
            _ => {}
        }
        servers.append(NAME, CstInputValue::Object(server));
        let edited = root.to_string();
        Ok(Some(if edited.ends_with('\n') {
            edited
        } else {
            edited + "\n"
        }))
    }

    fn edited_toml(self, file: &Path, text: &str, args: &[String]) -> Result<Option<String>> {
        let mut document: DocumentMut = text
            .parse()
            .map_err(|e: toml_edit::TomlError| unusable(file, e.message()))?;
        let servers = document.entry(self.key()).or_insert_with(|| {
            let mut servers = Table::new();
            servers.set_implicit(true);
            Item::Table(servers)
        });
        let what = format!("`{}` in it is no table", self.key());
        let servers = servers
            .as_table_like_mut()
            .ok_or_else(|| unusable(file, &what))?;
        if servers.contains_key(NAME) {
            return Ok(None);
        }
        let mut server = Table::new();
        server.insert("command", value(NAME));
        server.insert("args", value(args.iter().collect::<Array>()));
        servers.insert(NAME, Item::Table(server));
        Ok(Some(document.to_string()))
    }
}

/// The text of a file and its mode; of one that is not there, nothing.
fn read(file: &Path) -> Result<(String, u32)> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Ok((String::new(), mode_of(file)));
        }
        Err(e) if e.kind() == std::io::ErrorKind::InvalidData => {
            return Err(unusable(file, "it is no text"));
        }
        Err(e) => return Err(refused("read", file, &e)),
    };
    Ok((text, mode_of(file)))
}

fn unusable(file: &Path, why: &str) -> Error {
    let what = format!("the configuration of the client cannot be changed: {why}");
    let hint = "mend the file, or put in by hand what `devk mcp --print CLIENT` prints";
    Error::new(Code::ClientConfig, what)
        .at(file, None)
        .hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [McpClient; 5] = [
        McpClient::Claude,
        McpClient::Cursor,
        McpClient::Vscode,
        McpClient::Codex,
        McpClient::Zed,
    ];

    fn args() -> Vec<String> {
        vec!["mcp".to_owned()]
    }

    #[test]
    fn every_client_gets_what_it_reads() {
        let texts =
            ALL.map(|client| format!("{}:\n{}", client.file(), client.text(&args()).unwrap()));
        insta::assert_snapshot!(texts.join("\n"), @r#"
        .mcp.json:
        {
          "mcpServers": {
            "devk": {
              "command": "devk",
              "args": ["mcp"]
            }
          }
        }

        .cursor/mcp.json:
        {
          "mcpServers": {
            "devk": {
              "command": "devk",
              "args": ["mcp"]
            }
          }
        }

        .vscode/mcp.json:
        {
          "servers": {
            "devk": {
              "type": "stdio",
              "command": "devk",
              "args": ["mcp"],
              "cwd": "${workspaceFolder}"
            }
          }
        }

        .codex/config.toml:
        [mcp_servers.devk]
        command = "devk"
        args = ["mcp"]

        .zed/settings.json:
        {
          "context_servers": {
            "devk": {
              "source": "custom",
              "command": "devk",
              "args": ["mcp"]
            }
          }
        }
        "#);
    }

    #[test]
    fn a_second_time_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        for client in ALL {
            let (file, change) = client.write(dir.path(), &args()).unwrap();
            let written = std::fs::read(&file).unwrap();
            assert_eq!(change, ClientChange::Written, "{client:?}");
            assert_eq!(
                client.write(dir.path(), &args()).unwrap().1,
                ClientChange::WasThere
            );
            assert_eq!(std::fs::read(&file).unwrap(), written);
        }
    }

    /// The lines of `before` are all in `after`, in their order.
    fn is_kept(before: &str, after: &str) -> bool {
        let mut after = after.lines();
        before.lines().all(|line| {
            after.any(|other| other.trim_end_matches(',') == line.trim_end_matches(','))
        })
    }

    #[test]
    fn all_else_in_the_file_stays() {
        let dir = tempfile::tempdir().unwrap();
        let json = "\u{feff}{\r\n  // mine\r\n  \"inputs\": [],\r\n  \"servers\": {\r\n    \"other\": {\"command\": \"x\",},\r\n  },\r\n}\r\n";
        let file = dir.path().join(".vscode/mcp.json");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, json).unwrap();
        McpClient::Vscode.write(dir.path(), &args()).unwrap();
        let after = std::fs::read_to_string(&file).unwrap();
        assert!(is_kept(json, &after), "{after}");
        assert!(after.contains("\"devk\""));

        let toml = "# mine\nmodel = \"x\" # note\n\n[mcp_servers.other]\ncommand = 'y'\n";
        let file = dir.path().join(".codex/config.toml");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, toml).unwrap();
        McpClient::Codex.write(dir.path(), &args()).unwrap();
        let after = std::fs::read_to_string(&file).unwrap();
        assert!(after.starts_with(toml), "{after}");
        assert!(after.contains("[mcp_servers.devk]"));
    }

    #[test]
    fn a_file_that_is_no_configuration_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        for (client, text) in [
            (McpClient::Claude, "{"),
            (McpClient::Claude, "[]"),
            (McpClient::Claude, "{\"mcpServers\": 5}"),
            (McpClient::Codex, "mcp_servers = 5\n"),
            (McpClient::Codex, "= x"),
        ] {
            let file = dir.path().join(client.file());
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, text).unwrap();
            let error = client.write(dir.path(), &args()).unwrap_err();
            assert_eq!(error.code, Code::ClientConfig, "{text}");
            assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_a_private_file_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real.json");
        std::fs::write(&real, "{}").unwrap();
        std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&real, dir.path().join(".mcp.json")).unwrap();
        McpClient::Claude.write(dir.path(), &args()).unwrap();
        assert!(dir.path().join(".mcp.json").is_symlink());
        assert!(std::fs::read_to_string(&real).unwrap().contains("devk"));
        assert_eq!(
            std::fs::metadata(&real).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}
