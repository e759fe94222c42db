//! What the repository's files say of builds and installs, one file a format. All read, nothing is run.

mod compose;
mod flags;
mod formats;
mod pipeline;
mod shell;
mod tiltfile;
mod variables;

use std::path::Path;

use super::clue::{Clues, Speaker};
use super::scan::{FileKind, RepositoryTree};
use super::stack::ReadStack;

/// Reads all of them.
pub(super) fn read(tree: &RepositoryTree, stack: Option<&ReadStack>) -> Clues {
    let mut clues = Clues::default();
    if let Some(stack) = stack {
        compose::read(tree, stack, &mut clues);
    }
    let mut each = |kind, read: &mut dyn FnMut(&Path, &str, &mut Clues)| {
        for file in tree.of_kind(kind) {
            if let Some(text) = tree.read(file) {
                read(file, &text, &mut clues);
            }
        }
    };
    each(FileKind::Skaffold, &mut |file, text, clues| {
        formats::skaffold(tree, file, text, clues);
    });
    each(FileKind::Helmfile, &mut |file, text, clues| {
        formats::helmfile(tree, file, text, clues);
    });
    each(FileKind::Bake, &mut |file, text, clues| {
        formats::bake(tree, file, text, clues);
    });
    each(FileKind::Tiltfile, &mut |file, text, clues| {
        tiltfile::read(tree, file, text, clues);
    });
    each(FileKind::Pipeline, &mut |file, text, clues| {
        pipeline::read(tree, file, text, clues);
        shell::read(tree, file, text, Speaker::Pipeline, clues);
    });
    each(FileKind::Commands, &mut |file, text, clues| {
        shell::read(tree, file, text, Speaker::Commands, clues);
    });
    each(FileKind::Readme, &mut |file, text, clues| {
        shell::read(tree, file, text, Speaker::Readme, clues);
    });
    clues
}
