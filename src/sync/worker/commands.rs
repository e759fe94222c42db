//! The commands of rules in one container: which of them went wrong, for as long as they did not go well.

use std::collections::{BTreeMap, BTreeSet};

use super::Worker;
use crate::sync::stream::{RUN_TIMEOUT, Ran, Stream, Trouble};

type Command = Vec<String>;

/// Outlives the shells that ran them: a lost connection mends nothing.
#[derive(Debug, Default)]
pub(super) struct WrongCommands {
    /// They did not end.
    hung: BTreeSet<Command>,
    /// Each with how it ended, in words for the user. They are run again with the next save and by the next shell.
    failed: BTreeMap<Command, String>,
}

impl WrongCommands {
    /// What to tell of them.
    pub(super) fn told(&self) -> Option<String> {
        let hung = self.hung.first().map(|command| endless(command));
        hung.or_else(|| self.failed.values().next().cloned())
    }

    /// What is to be run, beside the commands of the rules that a batch went by.
    fn due(&self, mut taken: BTreeSet<Command>) -> BTreeSet<Command> {
        taken.extend(self.failed.keys().cloned());
        taken.retain(|command| !command.is_empty() && !self.hung.contains(command));
        taken
    }

    /// How a command ended; None if it did not.
    fn ran(&mut self, command: Command, ran: Option<&Ran>) {
        self.failed.remove(&command);
        let Some(ran) = ran else {
            self.hung.insert(command);
            return;
        };
        if ran.code != 0 {
            let last = ran.output.lines().next_back().unwrap_or_default();
            let words = command.join(" ");
            let why = format!("`{words}` ended with exit code {}: {last}", ran.code);
            self.failed.insert(command, why);
        }
    }
}

impl Worker {
    /// Runs these commands, and those that went wrong before. Whether the stream is lost with it.
    pub(super) async fn run_all(
        &mut self,
        stream: &mut Stream,
        taken: BTreeSet<Command>,
    ) -> Result<bool, Trouble> {
        for command in self.commands.due(taken) {
            let ran = stream.run(&command).await?;
            let is_hung = ran.is_none();
            self.commands.ran(command, ran.as_ref());
            if is_hung {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Runs by a new shell what went wrong by the one before.
    pub(super) async fn run_again(&mut self, stream: &mut Stream) -> Result<(), Trouble> {
        let is_lost = self.run_all(stream, BTreeSet::new()).await?;
        let told = self.commands.told();
        if is_lost {
            return Err(Trouble::Lost(told.unwrap_or_default()));
        }
        self.tell(|status| status.trouble = told);
        Ok(())
    }
}

/// It goes on in the container: started again with every save it would be there many times.
fn endless(command: &[String]) -> String {
    let command = command.join(" ");
    let seconds = RUN_TIMEOUT.as_secs();
    format!("`{command}` has not ended within {seconds} s; it is not run again in this container")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(word: &str) -> Command {
        vec![word.to_owned()]
    }

    fn ended(code: i32) -> Ran {
        Ran {
            code,
            output: "first\nlast".to_owned(),
        }
    }

    #[test]
    fn a_command_that_failed_is_told_and_run_again_until_it_goes_well() {
        let mut commands = WrongCommands::default();
        commands.ran(command("migrate"), Some(&ended(3)));
        let told = "`migrate` ended with exit code 3: last";
        assert_eq!(commands.told().as_deref(), Some(told));
        let due = commands.due([command("reload"), vec![]].into());
        assert_eq!(due, [command("migrate"), command("reload")].into());
        // Another command that goes well says nothing of the first.
        commands.ran(command("reload"), Some(&ended(0)));
        assert_eq!(commands.told().as_deref(), Some(told));
        commands.ran(command("migrate"), Some(&ended(0)));
        assert_eq!(commands.told(), None);
        assert!(commands.due(BTreeSet::new()).is_empty());
    }

    #[test]
    fn a_command_that_did_not_end_is_told_and_never_run_again() {
        let mut commands = WrongCommands::default();
        commands.ran(command("serve"), Some(&ended(1)));
        commands.ran(command("serve"), None);
        let told = commands.told().unwrap();
        assert!(told.contains("has not ended within"), "{told}");
        assert!(commands.due([command("serve")].into()).is_empty());
    }
}
