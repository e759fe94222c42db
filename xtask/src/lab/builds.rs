//! Programs on their way from the module proxy to the cache: all of them download at once, since
//! modules wait for the network, and a few compile at a time.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};

use anyhow::Result;

use super::cache::Cache;
use super::go::{Go, Program};
use super::joined;
use super::progress::Progress;

/// Two, since a program that is being linked keeps only one processor busy.
const COMPILERS: usize = 2;

/// The programs that are being built, each by a thread of its own.
#[derive(Debug)]
pub(super) struct Builds<'scope> {
    threads: Vec<(&'static str, ScopedJoinHandle<'scope, Result<()>>)>,
}

impl<'scope> Builds<'scope> {
    /// Begins to build the programs that are not in the cache. Of those that could be compiled, the
    /// first in the list is.
    pub(super) fn start<'env>(
        scope: &'scope Scope<'scope, 'env>,
        context: (&'scope Cache, &'scope Go, &'scope Progress),
        compilers: &'scope Compilers,
        programs: impl IntoIterator<Item = &'static Program>,
    ) -> Self {
        let (cache, go, progress) = context;
        let missing = programs
            .into_iter()
            .filter(|program| !program.is_built(cache));
        let build = |(rank, program): (usize, &'static Program)| {
            let thread = scope.spawn(move || {
                let fetched = program.fetch(cache, go, progress)?;
                let _compiler = compilers.acquire(rank);
                fetched.compile(cache, go, progress)
            });
            (program.name, thread)
        };
        Self {
            threads: missing.enumerate().map(build).collect(),
        }
    }

    /// Waits until these programs are in the cache.
    pub(super) fn wait(&mut self, programs: &[&Program]) -> Result<()> {
        let is_wanted = |name: &str| programs.iter().any(|program| program.name == name);
        let (wanted, others) = std::mem::take(&mut self.threads)
            .into_iter()
            .partition(|(name, _)| is_wanted(name));
        self.threads = others;
        let wanted: Vec<_> = wanted;
        wanted
            .into_iter()
            .try_for_each(|(_, thread)| joined(thread.join()))
    }
}

/// Leave to compile. Of several who wait for it the one of the lowest rank gets it.
#[derive(Debug)]
pub(super) struct Compilers {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    free: usize,
    waiting: BTreeSet<usize>,
}

impl Compilers {
    pub(super) fn new() -> Self {
        let state = State {
            free: COMPILERS,
            waiting: BTreeSet::new(),
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ranks differ from each other.
    fn acquire(&self, rank: usize) -> Compiler<'_> {
        let mut state = self.state();
        state.waiting.insert(rank);
        while state.free == 0 || state.waiting.first() != Some(&rank) {
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting.remove(&rank);
        state.free -= 1;
        self.changed.notify_all();
        Compiler(self)
    }
}

/// Dropped, it is free for the next one.
struct Compiler<'a>(&'a Compilers);

impl Drop for Compiler<'_> {
    fn drop(&mut self) {
        self.0.state().free += 1;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_rank_of_those_that_wait_compiles_first_and_no_more_than_allowed_at_once() {
        let compilers = Compilers::new();
        let order = Mutex::new(vec![]);
        let held: Vec<_> = (0..COMPILERS).map(|rank| compilers.acquire(rank)).collect();
        std::thread::scope(|scope| {
            for rank in [7, 5, 6] {
                let (compilers, order) = (&compilers, &order);
                scope.spawn(move || {
                    let compiler = compilers.acquire(rank);
                    order.lock().unwrap().push(rank);
                    drop(compiler);
                });
            }
            while compilers.state().waiting.len() < 3 {
                std::thread::yield_now();
            }
            assert_eq!(*order.lock().unwrap(), [0; 0]);
            let mut held = held;
            held.truncate(1);
            while order.lock().unwrap().len() < 3 {
                std::thread::yield_now();
            }
        });
        assert_eq!(*order.lock().unwrap(), [5, 6, 7]);
        assert_eq!(compilers.state().free, COMPILERS);
    }
}
