//! Batches: every path becomes what it should be, and one that fails keeps none of the others from it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use tokio::time::timeout;

use super::{
    Applied, BatchEnd, FailedGroup, Failure, LEADS_OUT, MAX_INLINE_BYTES, MAX_PARTS, MOUNTED,
    Stream, Trouble, patience, silent, uid, unwritable,
};
use crate::sync::batch::{ContainerPath, Item, Wanted};
use crate::sync::script::{self, Manner, Uploaded, Writing};
use crate::sync::upload;

impl Stream {
    /// Brings every path of a batch to what it should be, each of them at once or not at all. One that fails does not
    /// keep the others from it.
    ///
    /// # Errors
    /// [`Trouble::Lost`]: nothing is known of the batch.
    pub(in crate::sync) async fn apply(
        &mut self,
        items: &[Item],
        writing: Writing,
    ) -> Result<Applied, Trouble> {
        let mut applied = Applied::default();
        let mut sent = vec![];
        for item in items {
            match self.unserved(item) {
                Some(failure) => applied.failures.push(failure),
                None => sent.push(self.owned(item.clone())),
            }
        }
        let mut parts = vec![sent];
        for number in 0.. {
            let Some(part) = parts.pop() else { break };
            let mut of_part = self.apply_groups(&part, writing).await?;
            // Paths of one folder fail together: halving tells which of them it was. Those of a folder that cannot be
            // written fail one by one, too.
            let may_pass = of_part.failures.iter().filter(|f| !f.needs_build);
            let failed: BTreeSet<_> = may_pass.map(|f| f.target.clone()).collect();
            if failed.len() > 1 && number < MAX_PARTS {
                of_part.failures.retain(|f| f.needs_build);
                of_part
                    .streamed
                    .retain(|target, _| !failed.contains(target));
                let again = part
                    .into_iter()
                    .filter(|item| failed.contains(&item.target));
                let mut first: Vec<_> = again.collect();
                let second = first.split_off(first.len() / 2);
                parts.extend([first, second]);
            }
            applied.at = of_part.at;
            applied.streamed.extend(of_part.streamed);
            applied.failures.extend(of_part.failures);
        }
        Ok(applied)
    }

    /// What keeps an item from being sent.
    fn unserved(&self, item: &Item) -> Option<Failure> {
        let target = || item.target.clone();
        if let Some(mount) = self.mounted.get(&item.target.root) {
            return Some(Failure {
                mount: Some(mount.clone()),
                ..Failure::new(target(), MOUNTED)
            });
        }
        if let Some(why) = self.unwritable.get(&item.target.root) {
            return Some(Failure::needs_build(target(), why));
        }
        let is_kept = self.is_root() || !is_anothers(item, &self.user);
        (!is_kept).then(|| Failure::needs_build(target(), self.keeps_no_owner(item)))
    }

    /// Without an owner that the file has anyway, or that only root could give it.
    fn owned(&self, item: Item) -> Item {
        let owner = item.owner;
        let owner = owner.filter(|owner| self.is_root() && *owner != self.user);
        Item { owner, ..item }
    }

    fn keeps_no_owner(&self, item: &Item) -> String {
        format!(
            "`{}` belongs to {} in the image, and the container's user {} cannot give files away",
            self.folder(&item.target).join(&item.target.name).display(),
            item.owner.as_deref().unwrap_or_default(),
            self.user
        )
    }

    /// The folder of a path, an absolute path in the container.
    fn folder(&self, target: &ContainerPath) -> PathBuf {
        let root = self.roots.get(target.root);
        let mut path = PathBuf::from(root.map_or("", String::as_str));
        path.extend(&target.folders);
        path
    }

    async fn apply_groups(&mut self, items: &[Item], writing: Writing) -> Result<Applied, Trouble> {
        let mut applied = Applied::default();
        if items.is_empty() {
            return Ok(applied);
        }
        let groups = script::groups(items);
        let uploaded = self.uploaded(items);
        if uploaded != Uploaded::Nothing {
            let pieces = upload::pieces(&groups, uploaded);
            for (root, stage) in self.stages.iter().enumerate() {
                let part: Vec<_> = pieces.iter().filter(|piece| piece.root == root).collect();
                let (sent, failed) =
                    upload::upload(&self.client, &self.place, stage, &part, self.tools.tar).await;
                applied.streamed.extend(sent);
                applied.failures.extend(failed);
            }
        }
        self.number += 1;
        self.errors.clear();
        let manner = Manner { uploaded, writing };
        let text = script::apply(self.number, &groups, manner, &mut self.folders);
        self.send(&text).await?;
        let BatchEnd { failed, at } = timeout(patience(&text), self.batch_end(self.number))
            .await
            .map_err(|_| silent())??;
        applied.at = at;
        if failed.is_empty() {
            return Ok(applied);
        }
        let said = self.last_words().await;
        for FailedGroup {
            number,
            status,
            mount,
        } in failed
        {
            let items = groups.get(number).map_or(&[][..], |group| &group.items);
            let why = match status {
                script::OUTSIDE_STATUS => LEADS_OUT,
                script::MOUNTED_STATUS => MOUNTED,
                _ => said.as_str(),
            };
            let failure = |item: &&Item| match status {
                script::UNWRITABLE_STATUS => {
                    let folder = self.folder(&item.target).display().to_string();
                    // The last that was said may be of another group.
                    let denied = match said.contains("Read-only") {
                        true => "Read-only",
                        false => "Permission denied",
                    };
                    let why = unwritable(&folder, denied, &self.user);
                    Failure::needs_build(item.target.clone(), why)
                }
                _ => Failure {
                    mount: (status == script::MOUNTED_STATUS).then(|| mount.clone()),
                    ..Failure::new(item.target.clone(), why)
                },
            };
            applied.failures.extend(items.iter().map(failure));
        }
        Ok(applied)
    }

    fn uploaded(&self, items: &[Item]) -> Uploaded {
        let sources = || items.iter().filter_map(Item::source);
        let has_long = sources().any(|source| source.content.is_none());
        let total: u64 = sources().map(|source| source.len).sum();
        match (
            self.tools.head && self.tools.tar,
            has_long || total > MAX_INLINE_BYTES,
        ) {
            (_, false) => Uploaded::Nothing,
            (true, true) => Uploaded::All,
            (false, true) if has_long => Uploaded::Long,
            (false, true) => Uploaded::Nothing,
        }
    }
}

/// Whether a file or link is to belong to another user than that of `user` (`uid:gid`). Another group alone does not
/// count: Kubernetes gives a container the user of its image and the group 0, whatever group its USER names.
fn is_anothers(item: &Item, user: &str) -> bool {
    let is_made = matches!(item.wanted, Wanted::File(_) | Wanted::Link(_));
    let owner = item.owner.as_deref().filter(|_| is_made);
    owner.is_some_and(|owner| uid(owner) != uid(user))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::sync::batch::ContainerPath;

    #[test]
    fn what_only_root_could_give_its_owner_is_told_by_the_user_and_not_by_the_group() {
        let item = |wanted, owner: Option<&str>| Item {
            target: ContainerPath::below(0, Path::new("x")).unwrap(),
            wanted,
            owner: owner.map(str::to_owned),
            rule: None,
        };
        let link = || Wanted::Link("y".into());
        assert!(is_anothers(&item(link(), Some("0:0")), "1000:1000"));
        assert!(!is_anothers(&item(link(), Some("1000:0")), "1000:1000"));
        assert!(!is_anothers(&item(link(), None), "1000:1000"));
        assert!(!is_anothers(&item(Wanted::Gone, Some("0:0")), "1000:1000"));
    }
}
