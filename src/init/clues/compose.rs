//! What Compose builds.

use std::path::Path;

use super::super::clue::{BuildClue, Clues, SourceLine, Speaker};
use super::super::scan::RepositoryTree;
use super::super::stack::ReadStack;

pub(super) fn read(tree: &RepositoryTree, stack: &ReadStack, clues: &mut Clues) {
    for service in stack.compose.services.values() {
        let Some(build) = &service.build else {
            continue;
        };
        let below = |path: &Path| path.strip_prefix(&tree.root).ok().map(Path::to_owned);
        let dockerfile = build.dockerfile.as_deref().and_then(below);
        let (Some(context), Some(dockerfile)) = (below(&build.context), dockerfile) else {
            continue;
        };
        let file = below(&service.origin.file).unwrap_or_else(|| service.origin.file.clone());
        let args = build.args.iter();
        let withheld = stack.withheld.get(&service.name);
        clues.builds.push(BuildClue {
            speaker: Speaker::Compose,
            at: SourceLine::new(&file, service.origin.line as usize),
            context,
            dockerfile,
            target: build.target.clone(),
            args: args
                .map(|(name, arg)| (name.clone(), arg.value.clone()))
                .collect(),
            withheld: withheld.cloned().unwrap_or_default(),
            tags: service.image.iter().cloned().collect(),
            name: Some(service.name.clone()),
        });
    }
}
