//! Batches as shell commands, for the shell that a stream holds open in a container. Pure.
//!
//! The shell reads its commands from the stream, and a file's content is a word of a command: `printf`
//! is part of every shell, so a save costs no process but the `mv` that puts the file in place. The
//! functions that the commands call are in `container.sh`.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::batch::{Item, SourceFile, Wanted};
use super::containers::Mount;

mod questions;
pub(super) use questions::{Expected, processes, sums, watches};

const FUNCTIONS: &[u8] = include_bytes!("container.sh");

/// Which files other processes have brought into the container, into the folders of [`upload_dir`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Uploaded {
    #[default]
    Nothing,
    /// Those that are not kept in memory.
    Long,
    All,
}

/// The folder, beside those for files in the making, into which the files of a group are uploaded.
pub(super) fn upload_dir(group: usize) -> String {
    format!("{UPLOAD_DIR}/{group}")
}

pub(super) const UPLOAD_DIR: &str = "t";

/// The status of a group whose way leads out of the target folder.
pub(super) const OUTSIDE_STATUS: i32 = 3;
/// The status of a group that a mount of the pod covers.
pub(super) const MOUNTED_STATUS: i32 = 4;
/// The status of a group in whose folder the container's user can make nothing.
pub(super) const UNWRITABLE_STATUS: i32 = 5;

/// How a file that is there already gets its new content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Writing {
    /// A new file takes its place: whoever reads sees the old content or the new one, whole.
    #[default]
    Rename,
    /// It stays the same file, for programs that watch that and not its name.
    InPlace,
}

/// What of the container the commands depend on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Manner {
    pub(super) uploaded: Uploaded,
    pub(super) writing: Writing,
}

/// The paths of a batch that have the same parent folder, and fail or succeed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group<'a> {
    root: usize,
    folders: &'a [OsString],
    pub(super) items: Vec<&'a Item>,
}

/// Removals come first: what replaces a folder must find it gone.
pub(super) fn groups(items: &[Item]) -> Vec<Group<'_>> {
    let mut groups = BTreeMap::<_, Vec<&Item>>::new();
    for item in items {
        let target = &item.target;
        let key = (
            item.wanted != Wanted::Gone,
            target.root,
            &target.folders[..],
            &item.owner,
        );
        groups.entry(key).or_default().push(item);
    }
    groups
        .into_iter()
        .map(|((_, root, folders, _), items)| Group {
            root,
            folders,
            items,
        })
        .collect()
}

/// What a shell is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShellPurpose {
    /// Target folders below which nothing can be written are refused.
    Writing,
    /// Only questions: what cannot be written can be read, and nothing is made.
    Asking,
}

/// The first words to a new shell: the functions, where the pod mounts something, the target folders, and what is
/// there to work with. It answers with lines that [`super::answer`] reads.
pub(super) fn handshake(
    roots: &[String],
    mounts: &[Mount],
    token: &str,
    purpose: ShellPurpose,
) -> Vec<u8> {
    let mut text = Text::default();
    let points: Vec<_> = mounts
        .iter()
        .flat_map(|mount| ["\n", mount.path.trim_end_matches('/')])
        .collect();
    text.add("P=").quote(points.concat().as_ref()).add("\n");
    text.0.extend_from_slice(FUNCTIONS);
    text.add(&format!("W=$PWD T={token}\n"));
    for (n, root) in roots.iter().enumerate() {
        let (find, found, refused) = match purpose {
            ShellPurpose::Writing => (
                "s",
                format!("R{n}=$R S{n}=$S; a \"$R\"; printf 'root {n} %s\\n' \"$S\""),
                format!("printf 'refused {n}\\n'"),
            ),
            ShellPurpose::Asking => {
                let found = format!("R{n}=$R; a \"$R\"");
                ("r", found.clone(), found)
            }
        };
        text.add(&format!("{find} "))
            .quote(root.as_ref())
            .add(&format!(" {token}.{n} 2>&1\n"));
        text.add(&format!(
            "case $? in 0) {found} ;; 4) printf 'mounted {n} %s\\n' \"$p\" ;; *) {refused} ;; esac\n"
        ));
    }
    let stages: Vec<_> = (0..roots.len()).map(|n| format!("\"$S{n}\"")).collect();
    // A signal is an exit too for some shells only.
    text.add(&format!(
        "trap 'rm -rf {}' EXIT\ntrap 'exit 1' HUP INT TERM\n",
        stages.join(" ")
    ));
    text.add("for t in tar head sha256sum stat; do command -v \"$t\" >/dev/null 2>&1 && printf 'has %s\\n' \"$t\"; done\n");
    text.add("printf 'user %s:%s\\nready\\n' \"$(id -u)\" \"$(id -g)\"\n");
    text.0
}

/// The commands that apply a batch. `folders` says how many folders for files in the making each root has
/// already.
pub(super) fn apply(
    number: u64,
    groups: &[Group<'_>],
    manner: Manner,
    folders: &mut [usize],
) -> Vec<u8> {
    let mut text = Text::default();
    let uploaded = manner.uploaded;
    make_folders(&mut text, groups, uploaded, folders);
    for (n, group) in groups.iter().enumerate() {
        let folder = if uploaded == Uploaded::Nothing {
            n.to_string()
        } else {
            upload_dir(n)
        };
        text.add(&format!(
            "umask 022; R=$R{root} D=$S{root}/{folder} O=",
            root = group.root
        ));
        let owner = group.items.first().and_then(|item| item.owner.as_deref());
        text.quote(owner.unwrap_or_default().as_ref()).add("\n");
        if group.items.iter().all(|item| item.wanted == Wanted::Gone) {
            remove(&mut text, group, n);
        } else {
            place(&mut text, group, n, manner);
        }
    }
    if uploaded != Uploaded::Nothing {
        // Of a root that is in a mount there is no S.
        let roots: BTreeSet<_> = groups.iter().map(|group| group.root).collect();
        for n in roots {
            text.add(&format!("rm -rf \"$S{n}/{UPLOAD_DIR}\"\n"));
        }
    }
    text.add(&format!("e {number}\n"));
    text.0
}

/// One folder for each group, so that files of one name do not meet.
fn make_folders(text: &mut Text, groups: &[Group<'_>], uploaded: Uploaded, folders: &mut [usize]) {
    let mut missing = Vec::new();
    for (n, group) in groups.iter().enumerate() {
        let (root, made) = (group.root, &mut folders[group.root]);
        if uploaded != Uploaded::Nothing {
            missing.push(format!(" \"$S{root}/{}\"", upload_dir(n)));
        } else if n >= *made {
            missing.extend((*made..=n).map(|n| format!(" \"$S{root}/{n}\"")));
            *made = n + 1;
        }
    }
    if !missing.is_empty() {
        text.add("umask 022; mkdir -p")
            .add(&missing.concat())
            .add("\n");
    }
}

fn remove(text: &mut Text, group: &Group<'_>, n: usize) {
    let names = || group.items.iter().map(|item| item.target.name.as_os_str());
    text.add("{ ").enter(group.folders, false).add(" && c");
    for name in names() {
        text.add(" ").quote(name);
    }
    text.add(" && { rm -rf");
    for name in names() {
        text.add(" ./").quote(name);
    }
    // What is in a folder that is not there is gone.
    text.add(&format!(
        " || u; }}; }} || {{ e=$?; [ $e = 2 ] || n {n} $e; }}\n"
    ));
}

fn place(text: &mut Text, group: &Group<'_>, n: usize, manner: Manner) {
    let uploaded = manner.uploaded;
    let is_made = |item: &&&Item| !matches!(item.wanted, Wanted::Folder(_));
    let names: Vec<_> = group
        .items
        .iter()
        .filter(is_made)
        .map(|item| item.target.name.as_os_str())
        .collect();
    text.enter(group.folders, true);
    for item in &group.items {
        match &item.wanted {
            // `tar` has given it its mode: a `chmod` for each file takes longer than all the rest.
            Wanted::File(_) if uploaded == Uploaded::All => {}
            Wanted::File(source) if uploaded == Uploaded::Long && source.content.is_none() => {
                text.mode(&item.target.name, source);
            }
            Wanted::File(source) => text.file(&item.target.name, source),
            Wanted::Link(target) => {
                text.and()
                    .add("ln -s ")
                    .quote(&dashed(target.as_os_str()))
                    .add(" ")
                    .made(&item.target.name);
            }
            Wanted::Folder(mode) => text.folder(group.folders, &item.target.name, *mode),
            Wanted::Gone => {}
        }
    }
    if let Some(owner) = group
        .items
        .first()
        .and_then(|item| item.owner.as_ref())
        .filter(|_| !names.is_empty())
    {
        text.and().add("chown -h ").quote(owner.as_ref());
        for name in &names {
            text.add(" ").made(name);
        }
    }
    match manner.writing {
        Writing::Rename if !names.is_empty() => {
            text.and().add("m");
            for name in &names {
                text.add(" ").quote(name);
            }
        }
        Writing::Rename => {}
        Writing::InPlace => {
            for item in group.items.iter().filter(is_made) {
                let mode = item.source().map_or(0, |source| source.mode);
                text.and()
                    .add(&format!("w {mode:03o} "))
                    .quote(&item.target.name);
            }
        }
    }
    text.add(&format!(" || n {n} $?\n"));
}

/// A word that cannot be taken for an option. A link's target may begin with `-`; `./-x` is the same.
fn dashed(word: &OsStr) -> OsString {
    if word.as_bytes().starts_with(b"-") {
        OsString::from_iter([OsStr::new("./"), word])
    } else {
        word.to_owned()
    }
}

/// Runs a program with its words and tells how it ended; its output stands before that.
pub(super) fn run(number: u64, command: &[String]) -> Vec<u8> {
    let mut text = Text::default();
    text.add("cd \"$W\"; (");
    for word in command {
        text.quote(word.as_ref()).add(" ");
    }
    text.add(&format!(
        ") </dev/null 2>&1; printf '\\nend {number} %s\\n' \"$?\"\n"
    ));
    text.0
}

/// Shell text in the making.
#[derive(Default)]
struct Text(Vec<u8>);

impl Text {
    fn add(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    /// What follows is done if all before it went well.
    fn and(&mut self) -> &mut Self {
        self.add(" &&\n")
    }

    /// One word, whatever bytes are in it.
    fn quote(&mut self, word: &OsStr) -> &mut Self {
        self.0.push(b'\'');
        for &byte in word.as_bytes() {
            match byte {
                b'\'' => self.0.extend_from_slice(b"'\\''"),
                byte => self.0.push(byte),
            }
        }
        self.0.push(b'\'');
        self
    }

    /// Goes into the folder of a group.
    fn enter(&mut self, folders: &[OsString], make: bool) -> &mut Self {
        self.add(if make { "f 1" } else { "f 0" });
        for folder in folders {
            self.add(" ").quote(folder);
        }
        self
    }

    /// A folder is made on the way to what is in it.
    fn folder(&mut self, folders: &[OsString], name: &OsStr, mode: u32) {
        self.and().enter(folders, true).add(" ").quote(name);
        // Most are as the umask makes them.
        if mode != 0o755 {
            self.and()
                .add(&format!("{{ [ -z \"$made\" ] || chmod {mode:03o} .; }}"));
        }
        self.and().enter(folders, true);
    }

    /// A file in the making.
    fn made(&mut self, name: &OsStr) -> &mut Self {
        self.add("\"$D\"/").quote(name)
    }

    /// Writes a file with `printf`, which takes any byte as an escape of three octal digits.
    fn file(&mut self, name: &OsStr, source: &SourceFile) {
        // No new file has a bit to execute, the others come from the umask: most files need no `chmod`.
        self.and()
            .add(&format!("umask {:03o}", !source.mode & 0o777));
        self.and()
            .add("printf %b '")
            .escape(source.content.as_deref().unwrap_or_default())
            .add("' >")
            .made(name);
        if source.mode & 0o111 != 0 {
            self.mode(name, source);
        }
    }

    fn mode(&mut self, name: &OsStr, source: &SourceFile) {
        self.and()
            .add(&format!("chmod {:03o} ", source.mode))
            .made(name);
    }

    fn escape(&mut self, bytes: &[u8]) -> &mut Self {
        for &byte in bytes {
            match byte {
                b'\n' | b'\t' | b' '..=b'&' | b'('..=b'[' | b']'..=b'~' => self.0.push(byte),
                byte => self
                    .0
                    .extend_from_slice(format!("\\0{byte:03o}").as_bytes()),
            }
        }
        self
    }
}

#[cfg(test)]
mod mounts;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use super::super::batch::ContainerPath;
    use super::super::processes::{Processes, since_start};
    use super::*;
    use crate::process::Cmd;

    /// A target folder, apart from the folder that the test keeps outside of it.
    pub(super) struct Container {
        dir: tempfile::TempDir,
    }

    impl Container {
        pub(super) fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir_all(dir.path().join("app")).unwrap();
            fs::create_dir_all(dir.path().join("outside")).unwrap();
            Self { dir }
        }

        pub(super) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
            self.dir.path().join(path)
        }

        /// Of its own, for tests run at once.
        fn token(&self) -> String {
            format!(".devk-{}", self.dir.path().file_name().unwrap().display())
        }

        /// What this machine's shell says to the commands, without the times.
        pub(super) async fn says(&self, commands: impl FnOnce(&mut [usize]) -> Vec<u8>) -> String {
            let root = self.path("app").display().to_string();
            let text = [
                handshake(&[root], &[], &self.token(), ShellPurpose::Writing),
                commands(&mut [1]),
            ]
            .concat();
            let script = self.path("script");
            fs::write(&script, text).unwrap();
            let sh = Cmd::new("sh").arg(&script).dir(self.dir.path());
            let said = sh.run().await.unwrap().stdout;
            let timeless = |line: &str| match line.rsplit_once(' ') {
                Some((end, time)) if end.starts_with("ok ") => {
                    assert!(since_start(time).unwrap() > Duration::ZERO, "{line}");
                    format!("{end}\n")
                }
                _ => format!("{line}\n"),
            };
            said.lines().map(timeless).collect()
        }

        /// The lines after the greeting.
        async fn apply(&self, items: &[Item]) -> Vec<String> {
            let said = self
                .says(|folders| apply(7, &groups(items), Manner::default(), folders))
                .await;
            said.lines()
                .skip_while(|line| *line != "ready")
                .skip(1)
                .map(str::to_owned)
                .collect()
        }
    }

    pub(super) fn item(path: impl AsRef<Path>, wanted: Wanted) -> Item {
        Item {
            target: ContainerPath::below(0, path.as_ref()).unwrap(),
            wanted,
            owner: None,
            rule: None,
        }
    }

    pub(super) fn file(path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Item {
        with_mode(path, content, 0o644)
    }

    fn with_mode(path: impl AsRef<Path>, content: impl AsRef<[u8]>, mode: u32) -> Item {
        let content = content.as_ref().to_vec();
        let source = SourceFile {
            disk: PathBuf::new(),
            mode,
            len: content.len() as u64,
            content: Some(content.into()),
        };
        item(path, Wanted::File(source))
    }

    #[tokio::test]
    async fn every_byte_arrives() {
        let container = Container::new();
        let all: Vec<u8> = (0..=255).cycle().take(70_000).collect();
        let said = container
            .apply(&[
                file("all", &all),
                file("empty", ""),
                file("percent", "100%s\\n\\0101'\n\n"),
            ])
            .await;
        assert_eq!(said, ["ok 7"]);
        assert_eq!(fs::read(container.path("app/all")).unwrap(), all);
        assert_eq!(fs::read(container.path("app/empty")).unwrap(), b"");
        assert_eq!(
            fs::read(container.path("app/percent")).unwrap(),
            b"100%s\\n\\0101'\n\n"
        );
    }

    #[tokio::test]
    async fn any_name_is_a_name() {
        let container = Container::new();
        let names: [&[u8]; 10] = [
            b"a b",
            b"it's",
            b"new\nline",
            b"\n",
            b"\xff\x81\x88",
            b"-rf",
            b"$(id)",
            b"`x`",
            b"*",
            b"\\",
        ];
        let names: Vec<_> = names
            .iter()
            .map(|name| Path::new(OsStr::from_bytes(name)))
            .collect();
        let mut items: Vec<_> = names.iter().map(|name| file(name, "flat")).collect();
        items.extend(
            names
                .iter()
                .map(|name| file(Path::new("folders").join(name).join(name), "deep")),
        );
        assert_eq!(container.apply(&items).await, ["ok 7"]);
        for name in &names {
            assert_eq!(
                fs::read(container.path("app").join(name)).unwrap(),
                b"flat",
                "{name:?}"
            );
            assert_eq!(
                fs::read(container.path("app/folders").join(name).join(name)).unwrap(),
                b"deep",
                "{name:?}"
            );
        }
        let gone: Vec<_> = names.iter().map(|name| item(name, Wanted::Gone)).collect();
        assert_eq!(container.apply(&gone).await, ["ok 7"]);
        let left: Vec<_> = fs::read_dir(container.path("app"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["folders"]);
        assert_eq!(fs::read_dir(container.path("outside")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn nothing_is_written_where_a_link_leads_out() {
        let container = Container::new();
        fs::write(container.path("outside/kept"), "kept").unwrap();
        symlink("../outside", container.path("app/link")).unwrap();
        symlink(container.path("outside/kept"), container.path("app/file")).unwrap();
        let items = [
            file("link/new", "x"),
            file("link/deep/new", "x"),
            item("link/folder", Wanted::Folder(0o755)),
            item("link/kept", Wanted::Gone),
            file("file", "replaced"),
        ];
        let said = container.apply(&items).await;
        let refused = said.iter().filter(|line| {
            line.starts_with("no ") && line.ends_with(&format!(" {OUTSIDE_STATUS}"))
        });
        assert_eq!(
            (refused.count(), said.last().unwrap().as_str()),
            (3, "ok 7"),
            "{said:?}"
        );
        assert_eq!(fs::read_dir(container.path("outside")).unwrap().count(), 1);
        assert_eq!(fs::read(container.path("outside/kept")).unwrap(), b"kept");
        assert_eq!(fs::read(container.path("app/file")).unwrap(), b"replaced");
    }

    #[tokio::test]
    async fn a_link_that_stays_inside_is_followed_and_one_in_the_way_is_replaced() {
        let container = Container::new();
        fs::create_dir(container.path("app/real")).unwrap();
        symlink("real", container.path("app/link")).unwrap();
        symlink("real", container.path("app/file")).unwrap();
        assert_eq!(
            container
                .apply(&[file("link/x", "x"), file("file", "y")])
                .await,
            ["ok 7"]
        );
        assert_eq!(fs::read(container.path("app/real/x")).unwrap(), b"x");
        assert!(
            fs::symlink_metadata(container.path("app/file"))
                .unwrap()
                .is_file()
        );
    }

    #[tokio::test]
    async fn folders_files_and_links_take_each_others_place() {
        let container = Container::new();
        let link = |to: &str| Wanted::Link(to.into());
        assert_eq!(
            container
                .apply(&[file("a/b", "x"), file("c", "x"), item("d", link("-odd"))])
                .await,
            ["ok 7"]
        );
        assert_eq!(
            fs::read_link(container.path("app/d")).unwrap(),
            Path::new("./-odd")
        );
        let swapped = [
            file("a", "now a file"),
            file("c/now/a", "folder"),
            item("d", Wanted::Folder(0o755)),
        ];
        assert_eq!(container.apply(&swapped).await, ["ok 7"]);
        assert_eq!(fs::read(container.path("app/a")).unwrap(), b"now a file");
        assert_eq!(fs::read(container.path("app/c/now/a")).unwrap(), b"folder");
        assert!(
            fs::symlink_metadata(container.path("app/d"))
                .unwrap()
                .is_dir()
        );
        assert_eq!(
            container
                .apply(&[item("c", link("a")), item("d", Wanted::Gone)])
                .await,
            ["ok 7"]
        );
        assert_eq!(
            fs::read_link(container.path("app/c")).unwrap(),
            Path::new("a")
        );
        assert!(!container.path("app/d").exists());
    }

    #[tokio::test]
    async fn modes_arrive_and_those_of_new_folders_are_ordinary() {
        let container = Container::new();
        let items = [
            with_mode("tool", "x", 0o755),
            with_mode("own", "x", 0o600),
            with_mode("new/x", "x", 0o440),
        ];
        assert_eq!(container.apply(&items).await, ["ok 7"]);
        let mode = |path: &str| {
            fs::metadata(container.path(path))
                .unwrap()
                .permissions()
                .mode()
                & 0o777
        };
        assert_eq!(
            ["app/tool", "app/own", "app/new/x", "app/new"].map(mode),
            [0o755, 0o600, 0o440, 0o755]
        );
    }

    #[tokio::test]
    async fn a_folder_that_is_made_gets_its_mode_and_owner_and_one_that_is_there_keeps_them() {
        let container = Container::new();
        fs::create_dir(container.path("app/old")).unwrap();
        let own = rustix::process::getuid().as_raw();
        let group = rustix::process::getgid().as_raw();
        let mut items = [
            item("new", Wanted::Folder(0o770)),
            item("old", Wanted::Folder(0o700)),
            file("new/deep/x", "x"),
        ];
        for item in &mut items {
            item.owner = Some(format!("{own}:{group}"));
        }
        assert_eq!(container.apply(&items).await, ["ok 7"]);
        let mode = |path: &str| {
            let found = fs::metadata(container.path(path)).unwrap();
            found.permissions().mode() & 0o777
        };
        assert_eq!(["app/new", "app/new/deep"].map(mode), [0o770, 0o755]);
        assert_ne!(mode("app/old"), 0o700);
        assert_eq!(fs::read(container.path("app/new/deep/x")).unwrap(), b"x");
    }

    #[tokio::test]
    async fn the_mode_of_one_batch_is_not_that_of_the_next_ones_folders() {
        let container = Container::new();
        let first = [with_mode("x", "1", 0o600)];
        let next = [file("a/x", "2"), file("b/x", "2"), file("c/x", "2")];
        let both = |folders: &mut [usize]| {
            let first = apply(1, &groups(&first), Manner::default(), folders);
            [first, apply(2, &groups(&next), Manner::default(), folders)].concat()
        };
        let said = container.says(both).await;
        assert!(said.ends_with("ready\nok 1\nok 2\n"), "{said}");
    }

    #[tokio::test]
    async fn what_goes_onto_another_file_system_is_put_in_place_there_by_whoever_may_write_there() {
        let container = Container::new();
        fs::create_dir(container.path("app/mounted")).unwrap();
        let items = [
            file("mounted/x", "x"),
            with_mode("mounted/own", "y", 0o600),
            file("mounted/new/z", "z"),
        ];
        let mounted = |folders: &mut [usize]| {
            [
                b"N=\"$R0/mounted$L\"\n".to_vec(),
                apply(7, &groups(&items), Manner::default(), folders),
            ]
            .concat()
        };
        let said = container.says(mounted).await;
        assert!(said.ends_with("ready\nok 7\n"), "{said}");
        let read =
            |path: &str| fs::read_to_string(container.path("app/mounted").join(path)).unwrap();
        assert_eq!(["x", "own", "new/z"].map(read), ["x", "y", "z"]);
        assert_eq!(
            fs::read_dir(container.path("app/mounted")).unwrap().count(),
            3
        );
    }

    #[tokio::test]
    async fn nothing_is_written_at_below_or_above_a_mount_of_the_pod() {
        let container = Container::new();
        for (file, text) in [("data/app.db", "precious"), ("config.yaml", "cluster")] {
            let path = container.path("app").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        symlink("data", container.path("app/link")).unwrap();
        let items = [
            file("data/app.db", "local"),
            file("data/new", "local"),
            file("data/deep/new", "local"),
            file("link/app.db", "local"),
            item("data/folder", Wanted::Folder(0o755)),
            file("config.yaml", "file"),
        ];
        let gone = ["data", "config.yaml", "data/app.db", "link/app.db"]
            .map(|path| item(path, Wanted::Gone));
        let replaced = file("data", "a file");
        let mut batches: Vec<_> = items.iter().chain(&gone).chain([&replaced]).collect();
        batches.push(&items[0]);
        for wanted in batches {
            for writing in [Writing::Rename, Writing::InPlace] {
                let manner = Manner {
                    writing,
                    ..Manner::default()
                };
                let mounted = |folders: &mut [usize]| {
                    let one = [wanted.clone()];
                    let text = apply(7, &groups(&one), manner, folders);
                    [b"K=$R0/data$L$R0/config.yaml$L\n".to_vec(), text].concat()
                };
                let said = container.says(mounted).await;
                let refused = format!("no 0 {MOUNTED_STATUS} {}", container.path("app").display());
                assert!(said.contains(&refused), "{wanted:?}: {said}");
            }
        }
        let read = |path: &str| fs::read_to_string(container.path("app").join(path)).unwrap();
        assert_eq!(
            ["data/app.db", "config.yaml"].map(read),
            ["precious", "cluster"]
        );
        assert_eq!(fs::read_dir(container.path("app/data")).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_target_in_a_mount_is_not_touched() {
        let container = Container::new();
        let root = container.path("app/made/here").display().to_string();
        let mount = Mount {
            path: container.path("app").display().to_string(),
            volume: "claim `x`".to_owned(),
        };
        // As where the mounts cannot be read: then the pod's spec tells.
        let text = handshake(&[root], &[mount], &container.token(), ShellPurpose::Writing);
        let text = String::from_utf8(text)
            .unwrap()
            .replace("/proc/self/mountinfo", "/nowhere");
        let script = container.path("script");
        fs::write(&script, text).unwrap();
        let said = Cmd::new("sh").arg(&script).run().await.unwrap().stdout;
        let mounted = format!("mounted 0 {}\n", container.path("app").display());
        assert!(said.contains(&mounted), "{said}");
        assert_eq!(fs::read_dir(container.path("app")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_mount_below_a_target_is_covered_whatever_targets_follow() {
        let container = Container::new();
        fs::create_dir(container.path("app/data")).unwrap();
        let roots = ["app", "outside"].map(|name| container.path(name).display().to_string());
        let mount = Mount {
            path: container.path("app/data").display().to_string(),
            volume: "claim `x`".to_owned(),
        };
        let mut text = handshake(&roots, &[mount], &container.token(), ShellPurpose::Writing);
        let items = [file("data/app.db", "local")];
        text.extend(apply(7, &groups(&items), Manner::default(), &mut [1, 1]));
        let text = String::from_utf8(text)
            .unwrap()
            .replace("/proc/self/mountinfo", "/nowhere");
        let script = container.path("script");
        fs::write(&script, text).unwrap();
        let said = Cmd::new("sh").arg(&script).run().await.unwrap().stdout;
        let data = container.path("app/data");
        let refused = format!("no 0 {MOUNTED_STATUS} {}", data.display());
        assert!(said.contains(&refused), "{said}");
        assert_eq!(fs::read_dir(data).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_file_that_is_written_in_place_stays_the_same_one() {
        use std::os::unix::fs::MetadataExt;
        let container = Container::new();
        fs::write(container.path("app/x"), "a longer text than what comes").unwrap();
        symlink("nowhere", container.path("app/link")).unwrap();
        let number = |path: &str| fs::metadata(container.path(path)).unwrap().ino();
        let before = number("app/x");
        let items = [
            with_mode("x", "text", 0o755),
            file("new", "new"),
            file("link", "no link"),
            item("folder", Wanted::Folder(0o755)),
            item("other", Wanted::Link("x".into())),
        ];
        let manner = Manner {
            writing: Writing::InPlace,
            ..Manner::default()
        };
        let said = container
            .says(|folders| apply(7, &groups(&items), manner, folders))
            .await;
        assert!(said.ends_with("ready\nok 7\n"), "{said}");
        assert_eq!(number("app/x"), before);
        let read = |path: &str| fs::read_to_string(container.path("app").join(path)).unwrap();
        assert_eq!(
            ["x", "new", "link", "other"].map(read),
            ["text", "new", "no link", "text"]
        );
        let mode = fs::metadata(container.path("app/x"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o755);
    }

    #[tokio::test]
    async fn what_runs_is_told_with_its_words_its_start_and_its_ports() {
        let container = Container::new();
        // Of an ephemeral port it would not be told.
        let bind = |port| std::net::TcpListener::bind(("127.0.0.1", port)).ok();
        let listener = (21_000..22_000).find_map(bind).unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut sleeper = std::process::Command::new("sleep")
            .arg("61")
            .spawn()
            .unwrap();
        let said = container.says(|_| processes(3)).await;
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
        let mut told = Processes::default();
        said.lines().for_each(|line| told.read(line));
        let found = told.all.iter().find(|process| process.id == sleeper.id());
        let found = found.unwrap_or_else(|| panic!("{said}"));
        assert_eq!(found.words, ["sleep", "61"]);
        assert_eq!(found.parent, std::process::id());
        let age = told.now - found.started;
        assert!(age < Duration::from_secs(5), "{age:?}: {said}");
        assert!(told.listening.contains(&port), "{said}");
        assert!(said.ends_with("ok 3\n"), "{said}");
    }

    #[tokio::test]
    async fn removing_what_is_not_there_is_no_failure() {
        let container = Container::new();
        assert_eq!(
            container
                .apply(&[item("x", Wanted::Gone), item("no/folder/x", Wanted::Gone)])
                .await,
            ["ok 7"]
        );
    }

    #[tokio::test]
    async fn nothing_in_the_making_is_left() {
        let container = Container::new();
        container.apply(&[file("a/x", "1"), file("b/x", "2")]).await;
        let left: Vec<_> = fs::read_dir(container.path("app"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(
            !std::env::temp_dir()
                .join(format!("{}.0", container.token()))
                .exists()
        );
    }

    #[tokio::test]
    async fn a_root_that_cannot_be_written_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let script = dir.path().join("script");
        fs::write(
            &script,
            handshake(
                &[file.display().to_string()],
                &[],
                ".devk-x",
                ShellPurpose::Writing,
            ),
        )
        .unwrap();
        let said = Cmd::new("sh").arg(&script).run().await.unwrap().stdout;
        assert!(said.contains("refused 0\n"), "{said}");
    }

    /// What a shell without the rights of root says, in which `app` cannot be written but for the folder `app/src`.
    async fn said_unprivileged(purpose: ShellPurpose, items: &[Item]) -> (Container, String) {
        let container = Container::new();
        let chmod = |path: &str, mode| {
            let mode = fs::Permissions::from_mode(mode);
            fs::set_permissions(container.path(path), mode).unwrap();
        };
        fs::create_dir_all(container.path("app/src")).unwrap();
        fs::write(container.path("app/old"), "old").unwrap();
        for (path, mode) in [("", 0o755), ("app/src", 0o777), ("app/old", 0o666)] {
            chmod(path, mode);
        }
        chmod("app", 0o555);
        let root = container.path("app").display().to_string();
        let mut text = handshake(&[root], &[], &container.token(), purpose);
        if purpose == ShellPurpose::Writing {
            text.extend(apply(7, &groups(items), Manner::default(), &mut [1]));
        }
        let script = container.path("script");
        fs::write(&script, text).unwrap();
        let sh = match rustix::process::getuid().is_root() {
            true => Cmd::new("setpriv").args(["--reuid=65534", "--clear-groups", "sh"]),
            false => Cmd::new("sh"),
        };
        let said = sh.arg(&script).dir("/").run().await.unwrap().stdout;
        chmod("app", 0o755);
        (container, said)
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_written_is_told_and_does_not_hold_back_those_below() {
        let items = [
            file("new", "x"),
            file("src/new", "x"),
            file("src/deep/new", "x"),
            file("folder/new", "x"),
            item("old", Wanted::Gone),
        ];
        let (container, said) = said_unprivileged(ShellPurpose::Writing, &items).await;
        let refused: Vec<_> = said
            .lines()
            .filter(|line| line.starts_with("no "))
            .collect();
        // By group: what is removed comes first.
        assert_eq!(refused, ["no 0 5", "no 1 5", "no 2 5"], "{said}");
        let read = |path: &str| fs::read_to_string(container.path(path)).ok();
        assert_eq!(read("app/src/new").as_deref(), Some("x"));
        assert_eq!(read("app/src/deep/new").as_deref(), Some("x"));
        assert_eq!(read("app/old").as_deref(), Some("old"));
        assert_eq!(read("app/new"), None);
    }

    #[tokio::test]
    async fn a_shell_that_opens_makes_nothing_in_the_target_folder() {
        for purpose in [ShellPurpose::Writing, ShellPurpose::Asking] {
            let container = Container::new();
            let app = fs::metadata(container.path("app")).unwrap();
            let root = container.path("app").display().to_string();
            let text = handshake(&[root], &[], &container.token(), purpose);
            let script = container.path("script");
            fs::write(&script, text).unwrap();
            let said = Cmd::new("sh").arg(&script).run().await.unwrap().stdout;
            assert!(said.ends_with("ready\n"), "{said}");
            // Whatever was made there, and be it gone again, has changed the folder's time.
            let now = fs::metadata(container.path("app")).unwrap();
            assert_eq!(now.modified().unwrap(), app.modified().unwrap());
        }
    }

    #[tokio::test]
    async fn a_question_makes_no_folder_that_is_missing() {
        let container = Container::new();
        let root = container.path("missing/here").display().to_string();
        let text = handshake(&[root], &[], &container.token(), ShellPurpose::Asking);
        let targets = [ContainerPath::below(0, Path::new("x")).unwrap()];
        let script = container.path("script");
        fs::write(&script, [text, sums(1, targets.iter())].concat()).unwrap();
        let said = Cmd::new("sh").arg(&script).run().await.unwrap().stdout;
        assert!(said.ends_with("ready\nsum\nok 1\n"), "{said}");
        assert!(!container.path("missing").exists());
    }

    #[tokio::test]
    async fn sums_are_told_in_order_with_gaps() {
        let container = Container::new();
        fs::write(container.path("app/x"), "text").unwrap();
        fs::set_permissions(container.path("app/x"), fs::Permissions::from_mode(0o750)).unwrap();
        let targets = ["gone", "x", "no/folder", "covered"]
            .map(|path| ContainerPath::below(0, Path::new(path)).unwrap());
        let said = container
            .says(|_| [b"K=$R0/covered$L\n".to_vec(), sums(1, targets.iter())].concat())
            .await;
        let sums: Vec<_> = said
            .lines()
            .filter(|line| line.starts_with("sum") || line.starts_with("mounted"))
            .collect();
        let own = fs::metadata(container.path("app/x")).unwrap();
        let (user, group) = (own.uid(), own.gid());
        let digest = "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1";
        let mounted = format!("mounted {}", container.path("app/covered").display());
        let there = format!("sum 750 {user}:{group} {digest}  -");
        assert_eq!(sums, ["sum", &there, "sum", &mounted]);
    }

    #[tokio::test]
    async fn a_command_runs_with_its_words_and_tells_its_end() {
        let container = Container::new();
        let command = ["sh", "-c", "echo \"$0\"; cat; exit 3", "a 'b'"].map(str::to_owned);
        let said = container.says(|_| run(4, &command)).await;
        assert!(said.ends_with("ready\na 'b'\n\nend 4 3\n"), "{said}");
    }
}
