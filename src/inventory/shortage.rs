//! Whether the machine has the memory for one more stack, told before it starts: what a stack needs is what another
//! worktree of the same project uses now, if one runs.

use std::path::PathBuf;

use crate::error::{Code, Error};
use crate::memory::shown;
use crate::shell::quote;

const MIB: u64 = 1 << 20;
/// What a stack is taken to need of which no other worktree runs.
const UNKNOWN_STACK: u64 = 512 * MIB;
/// What must be left for everything else.
const RESERVE: u64 = 512 * MIB;
/// So many of the others are named.
const MAX_NAMED: usize = 5;

/// Another project that is awake on the same cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    pub id: String,
    pub root: PathBuf,
    /// A worktree of the project that is about to start.
    pub is_sibling: bool,
    pub memory_bytes: u64,
}

/// The error if `available` bytes are too few for one more stack: with the projects that use most, and what frees their
/// memory.
pub fn shortage(available: u64, mut neighbours: Vec<Neighbour>) -> Option<Error> {
    let siblings = neighbours.iter().filter(|one| one.is_sibling);
    let sibling = siblings.map(|one| one.memory_bytes).max();
    let wanted = RESERVE + sibling.unwrap_or(UNKNOWN_STACK);
    if available >= wanted {
        return None;
    }
    neighbours.sort_by_key(|one| std::cmp::Reverse(one.memory_bytes));
    let needs = match sibling {
        Some(bytes) => format!("another worktree of this project uses {}", shown(bytes)),
        None => format!("a stack needs about {}", shown(UNKNOWN_STACK)),
    };
    let message = format!(
        "{} of memory are free; {needs}, and {} should be left for all else",
        shown(available),
        shown(RESERVE)
    );
    let error = Error::new(Code::LimitMemory, message);
    let named = neighbours.iter().take(MAX_NAMED);
    let error = named.fold(error, |error, one| {
        error.evidence(format!(
            "{} uses {} ({})",
            one.id,
            shown(one.memory_bytes),
            one.root.display()
        ))
    });
    Some(match neighbours.first() {
        Some(first) => error.hint(format!(
            "devk up --sleep-others    # or end one of them: devk down -C {}",
            quote(&first.root)
        )),
        None => error.hint("devk projects    # what runs on this machine"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn neighbour(id: &str, is_sibling: bool, mib: u64) -> Neighbour {
        Neighbour {
            id: id.to_owned(),
            root: format!("/src/{id}").into(),
            is_sibling,
            memory_bytes: mib * MIB,
        }
    }

    #[test]
    fn a_stack_needs_what_another_worktree_of_it_uses_and_who_uses_most_is_named_first() {
        let neighbours = vec![
            neighbour("other", false, 300),
            neighbour("shop-login", true, 900),
            neighbour("shop-it's", true, 950),
        ];
        assert_eq!(shortage(1500 * MIB, neighbours.clone()), None);
        let error = shortage(1400 * MIB, neighbours).unwrap();
        assert_eq!(error.code, Code::LimitMemory);
        assert!(error.message.contains("uses 950 MiB"), "{}", error.message);
        assert_eq!(error.evidence[0], "shop-it's uses 950 MiB (/src/shop-it's)");
        assert_eq!(error.evidence.len(), 3);
        let hint = error.hint.unwrap();
        assert!(hint.starts_with("devk up --sleep-others "), "{hint}");
        let down = hint.split("devk down -C ").nth(1).unwrap();
        assert_eq!(shlex::split(down).unwrap(), ["/src/shop-it's"]);
    }

    #[test]
    fn without_others_nobody_is_named_and_a_machine_with_room_is_silent() {
        assert_eq!(shortage(1024 * MIB, vec![]), None);
        let error = shortage(1023 * MIB, vec![]).unwrap();
        assert!(error.evidence.is_empty());
        assert!(error.hint.unwrap().starts_with("devk projects "));
    }
}
