//! Leases: the record of the ports of each project, so that an address once shown stays. One file for the whole
//! machine, since two projects must not get the same port.
//!
//! Invariants: the file is read and replaced under the lock of `leases.lock` beside it, and a crash leaves the old or
//! the new file (paths::write_atomic). One project at a time opens listeners and leases their ports
//! ([`Leases::opening`]).

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Forward, Leased};
use crate::config::Project;
use crate::error::{Code, Error, Result};
use crate::paths::{Lock, is_gone, refused, write_atomic};
use crate::shell::quote;

/// The version of the file's layout; devk reads no other version.
const VERSION: u32 = 1;

/// Who leases: a project id is unique within one repository only, the folder on the whole machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lessee {
    /// [`Project::id`].
    pub project: String,
    /// [`Project::root`].
    pub root: PathBuf,
}

impl From<&Project> for Lessee {
    fn from(project: &Project) -> Self {
        Self {
            project: project.id.clone(),
            root: project.root.clone(),
        }
    }
}

/// The machine's leases, `<state>/leases.json`. Every method reads the file again.
#[derive(Debug, Clone)]
pub struct Leases {
    file: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
struct Store {
    version: u32,
    leases: Vec<Lease>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Lease {
    #[serde(flatten)]
    lessee: Lessee,
    ports: Vec<Leased>,
}

/// The field that every version of the file has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Leases {
    /// The store below devk's state folder; the file need not exist yet.
    pub fn open(state: &Path) -> Self {
        Self {
            file: state.join("leases.json"),
        }
    }

    /// The ports that this project got before: in this folder, or in one that is gone, as after a rename.
    ///
    /// # Errors
    /// [`Code::StateIo`] if the file cannot be read or is damaged.
    pub fn of(&self, lessee: &Lessee) -> Result<Vec<Leased>> {
        let leases = self.read_all()?.leases;
        let renamed =
            |lease: &&Lease| lease.lessee.project == lessee.project && is_gone(&lease.lessee.root);
        let mine = leases.iter().find(|lease| lease.lessee == *lessee);
        let mine = mine.or_else(|| leases.iter().find(renamed)).cloned();
        Ok(mine.map(|lease| lease.ports).unwrap_or_default())
    }

    /// The ports of all other projects: port → "project `foo` in `/src/foo`". Projects whose folder is gone hold
    /// nothing.
    ///
    /// # Errors
    /// [`Code::StateIo`] if the file cannot be read or is damaged.
    pub fn others(&self, lessee: &Lessee) -> Result<BTreeMap<u16, String>> {
        Ok(held_by_others(&self.read()?, lessee))
    }

    /// Waits until no other project is between opening its listeners and leasing their ports. Otherwise a project would
    /// see half of the other's ports held, and two projects with half of their ports each would both give up.
    ///
    /// # Errors
    /// [`Code::StateIo`].
    pub async fn opening(&self) -> Result<Lock> {
        let path = self.file.with_file_name("listeners.lock");
        Lock::take(&path, || {})
            .await
            .map_err(|e| refused("lock", &path, &e))
    }

    /// Replaces this project's leases.
    ///
    /// # Errors
    /// [`Code::PortHeld`] if another project leased one of the ports since [`Self::others`] was read;
    /// nothing is written then, and planning again finds another port. [`Code::StateIo`] as for reading.
    pub fn save(&self, lessee: &Lessee, forwards: &[Forward]) -> Result<()> {
        let _lock = self.lock()?;
        let mut store = self.read()?;
        let others = held_by_others(&store, lessee);
        if let Some((forward, holder)) = forwards
            .iter()
            .find_map(|f| Some((f, others.get(&f.local)?)))
        {
            let text = format!(
                "port {} of forward `{}` was just given to {holder}",
                forward.local, forward.name
            );
            return Err(Error::new(Code::PortHeld, text).hint("devk up"));
        }
        store.leases.retain(|lease| lease.lessee != *lessee);
        store.leases.push(Lease {
            lessee: lessee.clone(),
            ports: forwards.iter().map(Leased::from).collect(),
        });
        self.write(&store)
    }

    /// Gives this project's ports back.
    ///
    /// # Errors
    /// [`Code::StateIo`] if the file cannot be read or written, or is damaged.
    pub fn release(&self, lessee: &Lessee) -> Result<()> {
        let _lock = self.lock()?;
        let mut store = self.read()?;
        store.leases.retain(|lease| lease.lessee != *lessee);
        self.write(&store)
    }

    /// All lessees, including those whose folder is gone.
    ///
    /// # Errors
    /// [`Code::StateIo`] if the file cannot be read or is damaged.
    pub fn lessees(&self) -> Result<Vec<Lessee>> {
        let all = self.all()?.into_iter();
        Ok(all.map(|(lessee, _)| lessee).collect())
    }

    /// All lessees with the ports that are kept for them: none where the folder is gone.
    ///
    /// # Errors
    /// [`Code::StateIo`] if the file cannot be read or is damaged.
    pub fn all(&self) -> Result<Vec<(Lessee, Vec<Leased>)>> {
        let leases = self.read_all()?.leases.into_iter();
        let kept = |Lease { lessee, ports }| match is_gone(&lessee.root) {
            true => (lessee, vec![]),
            false => (lessee, ports),
        };
        Ok(leases.map(kept).collect())
    }

    /// Drops the leases of these folders that are gone, for good.
    ///
    /// # Errors
    /// [`Code::StateIo`] if the file cannot be read or written, or is damaged.
    pub fn prune(&self, gone: &[Lessee]) -> Result<()> {
        let _lock = self.lock()?;
        let mut store = self.read_all()?;
        let is_gone = |lessee: &Lessee| gone.contains(lessee) && is_gone(&lessee.root);
        store.leases.retain(|lease| !is_gone(&lease.lessee));
        self.write(&store)
    }

    fn lock(&self) -> Result<Lock> {
        let path = self.file.with_extension("lock");
        Lock::block(&path).map_err(|e| refused("lock", &path, &e))
    }

    /// Without the leases of folders that no longer exist: the next write drops them for good.
    fn read(&self) -> Result<Store> {
        let mut store = self.read_all()?;
        store.leases.retain(|lease| !is_gone(&lease.lessee.root));
        Ok(store)
    }

    fn read_all(&self) -> Result<Store> {
        let text = match std::fs::read(&self.file) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                return Ok(Store {
                    version: VERSION,
                    leases: Vec::new(),
                });
            }
            Err(e) => {
                return Err(Error::new(
                    Code::StateIo,
                    format!("cannot read `{}`: {e}", self.file.display()),
                ));
            }
        };
        let Versioned { version } =
            serde_json::from_slice(&text).map_err(|e| self.damaged(&e.to_string()))?;
        if version != VERSION {
            return Err(self.of_another_devk(version));
        }
        let store: Store =
            serde_json::from_slice(&text).map_err(|e| self.damaged(&e.to_string()))?;
        Ok(store)
    }

    fn write(&self, store: &Store) -> Result<()> {
        let mut text =
            serde_json::to_vec_pretty(store).map_err(|e| self.damaged(&e.to_string()))?;
        text.push(b'\n');
        write_atomic(&self.file, &text, 0o644)
    }

    fn damaged(&self, cause: &str) -> Error {
        let file = self.file.display();
        Error::new(Code::StateIo, format!("`{file}` is no list of port leases"))
            .evidence(cause)
            .hint(format!(
                "rm {}    # only the record of ports is lost; devk assigns the ports again",
                quote(&self.file)
            ))
    }

    fn of_another_devk(&self, version: u32) -> Error {
        let file = self.file.display();
        let message = format!(
            "`{file}` was written by another devk: its layout is {version}, this devk knows {VERSION}"
        );
        Error::new(Code::StateIo, message).hint(format!(
            "run the other devk, or rm {}    # devk assigns the ports of all projects again",
            quote(&self.file)
        ))
    }
}

fn held_by_others(store: &Store, lessee: &Lessee) -> BTreeMap<u16, String> {
    let others = store.leases.iter().filter(|lease| lease.lessee != *lessee);
    let ports = others.flat_map(|lease| {
        lease
            .ports
            .iter()
            .map(move |port| (port.local, &lease.lessee))
    });
    let describe = |lessee: &Lessee| {
        format!(
            "project `{}` in `{}`",
            lessee.project,
            lessee.root.display()
        )
    };
    ports
        .map(|(port, holder)| (port, describe(holder)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{OccupiedPorts, PortRequest, assign};
    use crate::shell::pasted;

    struct Machine {
        dir: tempfile::TempDir,
        leases: Leases,
    }

    fn machine() -> Machine {
        let dir = tempfile::tempdir().unwrap();
        let leases = Leases::open(&dir.path().join("it's a state"));
        Machine { dir, leases }
    }

    impl Machine {
        fn project(&self, id: &str) -> Lessee {
            let root = self.dir.path().join(id);
            std::fs::create_dir_all(&root).unwrap();
            Lessee {
                project: id.to_owned(),
                root,
            }
        }
    }

    fn forwards(remote: u16) -> Vec<Forward> {
        assign(
            &[PortRequest::new("api", "ns", "api", remote)],
            &OccupiedPorts::default(),
            &[],
        )
        .unwrap()
    }

    #[test]
    fn a_project_gets_back_what_it_was_given_and_others_see_it_held() {
        let machine = machine();
        let shop = machine.project("shop");
        let foo = machine.project("foo");
        machine.leases.save(&shop, &forwards(5000)).unwrap();
        machine.leases.save(&foo, &forwards(6000)).unwrap();
        let expected = Leased {
            name: "api".into(),
            namespace: "ns".into(),
            service: "api".into(),
            remote: 5000,
            local: 15000,
        };
        assert_eq!(machine.leases.of(&shop).unwrap(), [expected]);
        let holder = format!("project `foo` in `{}`", foo.root.display());
        assert_eq!(
            machine.leases.others(&shop).unwrap(),
            BTreeMap::from([(16000, holder)])
        );
    }

    #[test]
    fn saving_replaces_and_releasing_gives_back() {
        let machine = machine();
        let shop = machine.project("shop");
        let foo = machine.project("foo");
        machine.leases.save(&shop, &forwards(5000)).unwrap();
        machine.leases.save(&shop, &forwards(7000)).unwrap();
        assert_eq!(
            machine
                .leases
                .others(&foo)
                .unwrap()
                .into_keys()
                .collect::<Vec<_>>(),
            [17000]
        );
        machine.leases.release(&shop).unwrap();
        assert_eq!(machine.leases.others(&foo).unwrap(), BTreeMap::new());
        assert_eq!(machine.leases.of(&shop).unwrap(), []);
    }

    #[test]
    fn a_port_that_another_project_took_meanwhile_is_not_leased_twice() {
        let machine = machine();
        let shop = machine.project("shop");
        let foo = machine.project("foo");
        machine.leases.save(&foo, &forwards(5000)).unwrap();
        let error = machine.leases.save(&shop, &forwards(5000)).unwrap_err();
        assert_eq!(error.code, Code::PortHeld);
        let holder = format!("project `foo` in `{}`", foo.root.display());
        assert_eq!(
            error.message,
            format!("port 15000 of forward `api` was just given to {holder}")
        );
        assert_eq!(machine.leases.of(&shop).unwrap(), []);
    }

    #[test]
    fn a_clone_of_the_same_project_is_told_apart_by_its_folder() {
        let machine = machine();
        let shop = machine.project("shop");
        let clone = Lessee {
            project: "shop".to_owned(),
            ..machine.project("clone")
        };
        machine.leases.save(&shop, &forwards(5000)).unwrap();
        let holder = format!("project `shop` in `{}`", shop.root.display());
        assert_eq!(
            machine.leases.others(&clone).unwrap(),
            BTreeMap::from([(15000, holder)])
        );
    }

    #[test]
    fn the_lease_of_a_deleted_folder_is_ignored_and_dropped_at_the_next_write() {
        let machine = machine();
        let gone = machine.project("gone");
        let foo = machine.project("foo");
        machine.leases.save(&gone, &forwards(5000)).unwrap();
        std::fs::remove_dir(&gone.root).unwrap();
        assert_eq!(machine.leases.others(&foo).unwrap(), BTreeMap::new());
        machine.leases.save(&foo, &forwards(5000)).unwrap();
        assert!(
            !std::fs::read_to_string(&machine.leases.file)
                .unwrap()
                .contains("gone")
        );
    }

    #[test]
    fn a_renamed_folder_has_the_ports_that_it_had() {
        let machine = machine();
        let before = machine.project("before");
        let after = Lessee {
            root: machine.project("after").root,
            ..before.clone()
        };
        machine.leases.save(&before, &forwards(5000)).unwrap();
        assert_eq!(machine.leases.of(&after).unwrap(), []);
        std::fs::remove_dir(&before.root).unwrap();
        assert_eq!(machine.leases.of(&after).unwrap()[0].local, 15000);
        machine.leases.save(&after, &forwards(6000)).unwrap();
        assert_eq!(machine.leases.of(&after).unwrap()[0].local, 16000);
        assert_eq!(machine.leases.lessees().unwrap(), [after]);
    }

    #[test]
    fn a_lessee_whose_folder_is_gone_is_told_until_it_is_pruned() {
        let machine = machine();
        let gone = machine.project("gone");
        let foo = machine.project("foo");
        machine.leases.save(&foo, &forwards(6000)).unwrap();
        machine.leases.save(&gone, &forwards(5000)).unwrap();
        std::fs::remove_dir(&gone.root).unwrap();
        assert_eq!(
            machine.leases.lessees().unwrap(),
            [foo.clone(), gone.clone()]
        );
        machine.leases.prune(&[]).unwrap();
        assert_eq!(machine.leases.lessees().unwrap().len(), 2);
        machine.leases.prune(&[gone, foo.clone()]).unwrap();
        assert_eq!(machine.leases.lessees().unwrap(), [foo]);
    }

    #[test]
    fn a_damaged_file_is_an_error_that_says_what_to_type() {
        let machine = machine();
        let shop = machine.project("shop");
        std::fs::create_dir_all(machine.leases.file.parent().unwrap()).unwrap();
        for damage in [
            "",
            "{",
            "[]",
            "\u{0}\u{0}",
            r#"{"version":1,"leases":[{"project":"a"}]}"#,
        ] {
            std::fs::write(&machine.leases.file, damage).unwrap();
            let error = machine.leases.of(&shop).unwrap_err();
            assert_eq!(error.code, Code::StateIo, "{damage}");
            let file = pasted(&error.hint.unwrap(), "rm ");
            assert_eq!(Path::new(&file), machine.leases.file, "{damage}");
            assert!(
                machine.leases.save(&shop, &[]).is_err(),
                "{damage} was overwritten"
            );
        }
    }

    #[test]
    fn the_file_of_another_version_is_kept_and_says_whose_it_is() {
        let machine = machine();
        let shop = machine.project("shop");
        let other = r#"{"version":9,"leases":{"shape":"unknown"}}"#;
        std::fs::create_dir_all(machine.leases.file.parent().unwrap()).unwrap();
        std::fs::write(&machine.leases.file, other).unwrap();
        for error in [
            machine.leases.of(&shop).unwrap_err(),
            machine.leases.save(&shop, &[]).unwrap_err(),
        ] {
            assert!(
                error
                    .message
                    .ends_with("was written by another devk: its layout is 9, this devk knows 1"),
                "{error}"
            );
            let file = pasted(&error.hint.unwrap(), "run the other devk, or rm ");
            assert_eq!(Path::new(&file), machine.leases.file);
        }
        assert_eq!(
            std::fs::read_to_string(&machine.leases.file).unwrap(),
            other
        );
    }

    #[test]
    fn a_folder_that_was_moved_leaves_its_lease_behind_and_gets_the_same_ports() {
        let machine = machine();
        let before = machine.project("before");
        machine.leases.save(&before, &forwards(5000)).unwrap();
        let after = Lessee {
            project: before.project.clone(),
            root: machine.dir.path().join("after"),
        };
        std::fs::rename(&before.root, &after.root).unwrap();
        assert_eq!(machine.leases.others(&after).unwrap(), BTreeMap::new());
        machine.leases.save(&after, &forwards(5000)).unwrap();
        assert_eq!(machine.leases.of(&after).unwrap()[0].local, 15000);
    }

    #[test]
    fn projects_that_save_at_once_all_stay() {
        let machine = machine();
        let projects: Vec<Lessee> = (0..8).map(|n| machine.project(&format!("p{n}"))).collect();
        std::thread::scope(|scope| {
            for (n, project) in (0u16..).zip(&projects) {
                let leases = &machine.leases;
                scope.spawn(move || leases.save(project, &forwards(2000 + n)).unwrap());
            }
        });
        let all = machine.leases.others(&machine.project("asking")).unwrap();
        assert_eq!(
            all.into_keys().collect::<Vec<_>>(),
            (12000..12008).collect::<Vec<u16>>()
        );
    }

    /// The machine of the test that started this process, and the project it saves for.
    const MACHINE: &str = "DEVK_TEST_LEASES";

    /// Not a test of its own: what [`writer`] runs. Saves forever, each time the other of two ports.
    #[test]
    #[ignore = "a process that other tests start"]
    fn saves_until_killed() {
        let machine = std::path::PathBuf::from(std::env::var_os(MACHINE).unwrap());
        let leases = Leases::open(&machine.join("it's a state"));
        let id = std::env::var("DEVK_TEST_PROJECT").unwrap();
        let project = Lessee {
            root: machine.join(&id),
            project: id.clone(),
        };
        let base = id[1..].parse::<u16>().unwrap();
        loop {
            leases.save(&project, &forwards(base)).unwrap();
            leases.save(&project, &forwards(base + 1)).unwrap();
        }
    }

    fn writer(machine: &Machine, project: &str) -> std::process::Child {
        machine.project(project);
        std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "ports::leases::tests::saves_until_killed",
            ])
            .env(MACHINE, machine.dir.path())
            .env("DEVK_TEST_PROJECT", project)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap()
    }

    #[test]
    fn processes_that_are_killed_while_they_write_leave_the_old_leases_or_the_new_ones() {
        let machine = machine();
        let quiet = machine.project("quiet");
        machine.leases.save(&quiet, &forwards(9000)).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for round in 0..20u64 {
            let mut writers = [writer(&machine, "p2000"), writer(&machine, "p3000")];
            // Another moment of their work each time.
            std::thread::sleep(std::time::Duration::from_millis(40 + round * 3));
            for writer in &mut writers {
                writer.kill().unwrap();
                writer.wait().unwrap();
            }
            let held: Vec<u16> = machine
                .leases
                .others(&machine.project("asking"))
                .unwrap()
                .into_keys()
                .collect();
            let (killed, kept) = held.split_at(held.len() - 1);
            assert_eq!(kept, [19000], "a lease of somebody who wrote nothing");
            assert!(
                killed
                    .iter()
                    .all(|port| [12000, 12001, 13000, 13001].contains(port)),
                "{held:?}"
            );
            seen.extend(killed.iter().copied());
            // Nobody's lock stays behind.
            machine.leases.save(&quiet, &forwards(9000)).unwrap();
        }
        assert!(
            seen.len() >= 2,
            "the processes were killed before they wrote anything: {seen:?}"
        );
    }
}
