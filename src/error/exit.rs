//! How the process ends.

/// How the process ends. The numbers are a contract (docs/errors.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Settled, or Ctrl-C after settling.
    Ok,
    /// A step failed.
    Failed,
    /// Wrong usage, configuration or surroundings; no step was begun.
    Usage,
    /// `doctor` found an error, or `chart check` a chart below the bar.
    Found,
    /// The preview of a change waits for its approval.
    Waits,
    /// The time that the user gave was up.
    TimedOut,
    /// Ctrl-C before settling.
    Interrupted,
    /// The exit code of the command that `devk sh` ran, or of the first test of `devk ci` that failed.
    OfCommand(u8),
}

impl Exit {
    /// The number that the process ends with.
    pub const fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Found => 3,
            Self::Waits => 4,
            // As timeout(1) has it.
            Self::TimedOut => 124,
            Self::Interrupted => 130,
            Self::OfCommand(code) => code,
        }
    }

    /// Every exit code of devk's own and its meaning, for docs/errors.md.
    pub const ALL: &'static [(Self, &'static str)] = &[
        (Self::Ok, "fine: settled, or ended by Ctrl-C after settling"),
        (
            Self::Failed,
            "a step failed, or `settle` found that a save will not be live, or `verify` found a difference, or nothing to compare",
        ),
        (
            Self::Usage,
            "wrong usage, configuration or surroundings: no step was begun (`down` and `up --restart` have ended the session by then)",
        ),
        (
            Self::Found,
            "`doctor` found an error, or with `--strict` a warning; `chart check` found a chart below the bar; `audit verify` found a record that is changed or missing",
        ),
        (
            Self::Waits,
            "`change`, or `ask` for a change: the preview waits for an approval; nothing was done",
        ),
        (Self::TimedOut, "`settle`: the time was up"),
        (Self::Interrupted, "Ctrl-C before settling"),
    ];
}
