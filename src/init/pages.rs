//! Addresses of this machine in code that a browser runs, below the contexts of a draft's images.

use std::path::{Path, PathBuf};

use ignore::WalkBuilder;

use super::addresses::LocalAddress;
use super::draft::InitDraft;
use super::scan::{RepositoryTree, is_of_stack};

/// Code of pages, and the files of variables that bundlers read.
const ENDS: [&str; 8] = ["astro", "html", "js", "jsx", "svelte", "ts", "tsx", "vue"];

/// No more files of an image are read.
const MAX_FILES: usize = 2000;
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// File, line and address of each.
pub(super) fn find(tree: &RepositoryTree, draft: &InitDraft) -> Vec<(PathBuf, usize, String)> {
    let mut found = vec![];
    for image in draft.images.iter().filter(|image| image.off.is_none()) {
        let has_package = tree.is_file(&image.context.join("package.json"));
        if !has_package || image.context.as_os_str().is_empty() {
            continue;
        }
        let walk = WalkBuilder::new(tree.root.join(&image.context))
            .require_git(false)
            .hidden(true)
            .filter_entry(is_of_stack)
            .build();
        let files = walk
            .flatten()
            .filter(|entry| is_of_page(entry.path()))
            .take(MAX_FILES);
        for file in files {
            found.extend(in_file(tree, file.path()));
        }
    }
    found
}

fn is_of_page(file: &Path) -> bool {
    let end = file.extension().and_then(|end| end.to_str());
    end.is_some_and(|end| ENDS.contains(&end))
}

fn in_file(tree: &RepositoryTree, file: &Path) -> Option<(PathBuf, usize, String)> {
    let is_small = file.metadata().ok()?.len() <= MAX_FILE_BYTES;
    let text = is_small.then(|| std::fs::read_to_string(file).ok())??;
    let found = text.lines().enumerate().find_map(|(at, line)| {
        let address = LocalAddress::find(line)?;
        Some((at + 1, line[address.begin..address.end].to_owned()))
    });
    let (line, address) = found?;
    Some((
        file.strip_prefix(&tree.root).ok()?.to_owned(),
        line,
        address,
    ))
}
