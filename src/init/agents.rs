//! Ten lines of AGENTS.md that tell a coding agent how to work with devk in a repository. They stand between two marks;
//! what else is in the file is its authors' and stays, byte for byte.

use std::path::{Path, PathBuf};

use crate::error::{Code, Error, Result};
use crate::paths::{mode_of, refused, write_atomic};

/// The file that coding agents read, in the folder of the repository.
pub const AGENTS_FILE: &str = "AGENTS.md";

const BEGIN: &str =
    "<!-- devk: begin; `devk init --agents` writes what stands up to the end mark -->";
const END: &str = "<!-- devk: end -->";
const HEAD: &str = "## The running stack: devk";

/// What an agent has to know, one subject a line.
const LINES: [&str; 10] = [
    "- Start or repair the stack with `devk up -d`: it returns when everything is ready, or exits with 1 and names the step that failed.",
    "- Edit files as usual. Saves reach the running containers by themselves; do not restart, rebuild or copy anything by hand.",
    "- After an edit run `devk settle`: exit code 0 means it is live, 1 that it broke something (the reason is printed), 124 that the time was up.",
    "- `devk logs --since-edit` prints only what programs said since they have your last edit; `devk logs api --since-edit` does so for one service.",
    "- `devk status` shows pods and addresses; `devk verify` compares every synced file in every container with the working tree.",
    "- Ports differ from worktree to worktree, so never write one down: `eval \"$(devk env)\"` sets `NAME_URL`, `NAME_HOST` and `NAME_PORT` of every forward.",
    "- A git worktree has a stack, a namespace, data and ports of its own: run devk in the folder that you edit; the others do not see it.",
    "- `devk mcp` serves all this as tools; `devk mcp --print claude --write` configures a client (also cursor, vscode, codex, zed).",
    "- Run the project's tests against the stack with `devk ci`. If something seems wrong with the machine, run `devk doctor`.",
    "- Do not run `devk down --delete` or `devk down --all` unasked: they end other work or lose data. Do not use kubectl or helm without `KUBECONFIG=\"$(devk kubeconfig)\"`.",
];

/// What is to be done to the file.
#[derive(Debug, PartialEq, Eq)]
pub struct AgentsEdit {
    pub file: PathBuf,
    /// devk's lines, with their marks.
    pub block: String,
    /// The whole text with them; None if it has them already.
    pub text: Option<String>,
    mode: u32,
}

impl AgentsEdit {
    /// Reads the file in `folder`; nothing is written.
    ///
    /// # Errors
    /// [`Code::AgentsFile`] if it is no text or its marks are damaged, [`Code::StateIo`] if it cannot be read.
    pub fn of(folder: &Path) -> Result<Self> {
        let file = folder.join(AGENTS_FILE);
        // Behind a link is the file that is meant.
        let file = file.canonicalize().unwrap_or(file);
        let (before, mode) = read(&file)?;
        let line_end = if before.contains("\r\n") {
            "\r\n"
        } else {
            "\n"
        };
        let block = block(line_end);
        let text = with_block(&before, &block, line_end).map_err(|error| error.at(&file, None))?;
        Ok(Self {
            text: (text != before).then_some(text),
            file,
            block,
            mode,
        })
    }

    /// Writes the text, if it is another one.
    ///
    /// # Errors
    /// [`Code::StateIo`]; the file is then as it was.
    pub fn write(&self) -> Result<()> {
        match &self.text {
            Some(text) => write_atomic(&self.file, text.as_bytes(), self.mode),
            None => Ok(()),
        }
    }
}

/// The text and the mode of the file; of a file that is not there, an empty one.
fn read(file: &Path) -> Result<(String, u32)> {
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Ok((String::new(), mode_of(file)));
        }
        Err(e) => return Err(refused("read", file, &e)),
    };
    let text = String::from_utf8(bytes).map_err(|_| {
        Error::new(
            Code::AgentsFile,
            "the file is not UTF-8 text, and stays as it is",
        )
        .at(file, None)
        .hint("save it as UTF-8, then: devk init --agents")
    })?;
    Ok((text, mode_of(file)))
}

fn block(line_end: &str) -> String {
    let lines = [BEGIN, HEAD, ""].into_iter().chain(LINES).chain([END]);
    lines.map(|line| format!("{line}{line_end}")).collect()
}

fn with_block(before: &str, block: &str, line_end: &str) -> Result<String> {
    // Also marks with another explanation behind the word, of another devk.
    let begins = marks(before, "<!-- devk: begin");
    let ends = marks(before, END);
    match (&begins[..], &ends[..]) {
        ([], []) => Ok(appended(before, block, line_end)),
        ([begin], [end]) if begin.start < end.start => {
            let (head, tail) = (&before[..begin.start], &before[end.end..]);
            Ok(format!("{head}{block}{tail}"))
        }
        _ => {
            let error = Error::new(
                Code::AgentsFile,
                "the marks around devk's lines are not one begin and one end, and the file stays as it is",
            );
            let both = begins.iter().map(|mark| (mark, "begin"));
            let both = both.chain(ends.iter().map(|mark| (mark, "end")));
            let error = both.fold(error, |error, (mark, word)| {
                let line = before[..mark.start].matches('\n').count() + 1;
                error.evidence(format!("line {line}: {word}"))
            });
            Err(error
                .hint("remove the lines that begin with `<!-- devk:`, then: devk init --agents"))
        }
    }
}

/// Where the lines are that begin like this, with their line ends.
fn marks(text: &str, start: &str) -> Vec<std::ops::Range<usize>> {
    let mut at = 0;
    let lines = text.split_inclusive('\n').map(|line| {
        let range = at..at + line.len();
        at = range.end;
        (range, line)
    });
    lines
        .filter(|(_, line)| line.trim_start_matches('\u{feff}').starts_with(start))
        .map(|(range, _)| range)
        .collect()
}

fn appended(before: &str, block: &str, line_end: &str) -> String {
    let gap = match before {
        "" => String::new(),
        text if text.ends_with(&format!("{line_end}{line_end}")) => String::new(),
        text if text.ends_with('\n') => line_end.to_owned(),
        _ => line_end.repeat(2),
    };
    format!("{before}{gap}{block}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(before: &str) -> String {
        let line_end = if before.contains("\r\n") {
            "\r\n"
        } else {
            "\n"
        };
        with_block(before, &block(line_end), line_end).unwrap()
    }

    #[test]
    fn what_others_wrote_stays_byte_for_byte_and_a_second_time_changes_nothing() {
        for before in [
            "",
            "# Rules\n",
            "# Rules\n\n",
            "no end of line",
            "# Rules\r\n\r\nwrite tests\r\n",
            "\u{feff}# Rules\n",
        ] {
            let once = after(before);
            assert!(once.starts_with(before), "{before:?}");
            assert_eq!(after(&once), once, "{before:?}");
            let more = format!("{once}\nlater text without end");
            assert_eq!(after(&more), more);
            assert_eq!(once.contains("\r\n"), before.contains("\r\n"));
            assert_eq!(once.matches("\r\n").count() > 3, before.contains("\r\n"));
        }
    }

    #[test]
    fn the_lines_of_another_devk_are_replaced_between_the_marks_alone() {
        let before = "# A\n<!-- devk: begin, of old -->\nold\nlines\n<!-- devk: end -->\n# B\n";
        let text = after(before);
        assert_eq!(text, format!("# A\n{}# B\n", block("\n")));
    }

    #[test]
    fn damaged_marks_are_told_with_their_lines_and_nothing_is_guessed() {
        for before in [
            "a\n<!-- devk: begin -->\nmine\n",
            "a\n<!-- devk: end -->\n",
            "<!-- devk: end -->\n<!-- devk: begin -->\n",
            "<!-- devk: begin -->\n<!-- devk: begin -->\n<!-- devk: end -->\n",
        ] {
            let error = with_block(before, &block("\n"), "\n").unwrap_err();
            assert_eq!(error.code, Code::AgentsFile);
            assert!(!error.evidence.is_empty() && error.hint.is_some());
        }
    }

    #[test]
    fn a_link_stays_a_link_a_mode_stays_and_no_text_is_no_file_of_devks() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("CLAUDE.md");
        std::fs::write(&other, "# Mine\n").unwrap();
        std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o600)).unwrap();
        symlink("CLAUDE.md", dir.path().join(AGENTS_FILE)).unwrap();
        let edit = AgentsEdit::of(dir.path()).unwrap();
        edit.write().unwrap();
        assert!(dir.path().join(AGENTS_FILE).is_symlink());
        let text = std::fs::read_to_string(&other).unwrap();
        assert!(text.starts_with("# Mine\n\n<!-- devk: begin"), "{text}");
        let mode = std::fs::metadata(&other).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(AgentsEdit::of(dir.path()).unwrap().text, None);
        std::fs::write(&other, b"\xff\xfe").unwrap();
        let error = AgentsEdit::of(dir.path()).unwrap_err();
        assert_eq!(error.code, Code::AgentsFile);
        assert_eq!(std::fs::read(&other).unwrap(), b"\xff\xfe");
    }
}
