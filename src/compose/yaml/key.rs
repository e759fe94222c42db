//! Keys without `?`: the text before a `:` turns out to be a key only when the `:` is read, so the
//! scanner remembers, for each open bracket, the token that may be one.

use super::{Fallible, fault};

/// A key ends on its line and within so many characters.
const MAX_KEY_CHARS: usize = 1024;

/// Where the scanner stands, or where a key began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    pub(super) line: u32,
    pub(super) column: usize,
    pub(super) index: usize,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    /// Its first token, counted from the beginning of the text.
    pub(super) token: usize,
    pub(super) spot: Spot,
    /// Nothing but a key may stand here: the column is that of the mapping's other keys.
    pub(super) required: bool,
}

/// The last entry is that of the innermost bracket; the first is outside of all.
#[derive(Debug)]
pub(super) struct Candidates(Vec<Option<Candidate>>);

impl Candidates {
    pub(super) fn new() -> Self {
        Self(vec![None])
    }

    /// How many brackets are open.
    pub(super) fn level(&self) -> usize {
        self.0.len() - 1
    }

    pub(super) fn open(&mut self) {
        self.0.push(None);
    }

    /// A closing bracket too many changes nothing; the grammar refuses it.
    pub(super) fn close(&mut self) {
        if self.level() > 0 {
            self.0.pop();
        }
    }

    pub(super) fn put(&mut self, candidate: Candidate) -> Fallible<()> {
        self.drop_last()?;
        self.set_last(Some(candidate));
        Ok(())
    }

    /// Gives up the innermost candidate.
    pub(super) fn drop_last(&mut self) -> Fallible<()> {
        match self.last() {
            Some(candidate) if candidate.required => missing_colon(&candidate),
            _ => {
                self.set_last(None);
                Ok(())
            }
        }
    }

    /// Takes the innermost candidate, if a `:` at `here` makes it a key.
    pub(super) fn take_last(&mut self, here: Spot) -> Fallible<Option<Candidate>> {
        let Some(candidate) = self.last() else {
            return Ok(None);
        };
        self.set_last(None);
        Ok(is_open(&candidate, here)?.then_some(candidate))
    }

    /// Whether the token of that number may still become a key.
    pub(super) fn may_be_key(&mut self, token: usize, here: Spot) -> Fallible<bool> {
        let found = self
            .0
            .iter_mut()
            .find(|slot| slot.is_some_and(|candidate| candidate.token == token));
        let Some(slot) = found else { return Ok(false) };
        let open = match slot {
            Some(candidate) => is_open(candidate, here)?,
            None => false,
        };
        if !open {
            *slot = None;
        }
        Ok(open)
    }

    fn last(&self) -> Option<Candidate> {
        self.0.last().copied().flatten()
    }

    fn set_last(&mut self, candidate: Option<Candidate>) {
        if let Some(last) = self.0.last_mut() {
            *last = candidate;
        }
    }
}

fn is_open(candidate: &Candidate, here: Spot) -> Fallible<bool> {
    if candidate.spot.line == here.line && candidate.spot.index + MAX_KEY_CHARS >= here.index {
        return Ok(true);
    }
    if candidate.required {
        missing_colon(candidate)
    } else {
        Ok(false)
    }
}

fn missing_colon<T>(candidate: &Candidate) -> Fallible<T> {
    fault(candidate.spot.line, "a key has no `:` behind it")
}
