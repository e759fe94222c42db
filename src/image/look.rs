//! Reads the files of a built image without running it: Docker creates a container of the image, which is never
//! started, and returns the files of the container as an archive.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bollard::Docker;
use bollard::errors::Error as DockerError;
use bollard::models::{ContainerCreateBody, ImageInspect};
use bollard::query_parameters::{
    CreateContainerOptions, DownloadFromContainerOptionsBuilder, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder,
};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tar::{Archive, EntryType};
use tokio::sync::mpsc;

use super::build::{inspect, present};
use super::hash::{Content, HashingReader};
use super::{PROJECT_LABEL, USER_LABEL, own_user};
use crate::docker::{is_not_found, request_failed};
use crate::error::{Result, internal};

/// Marks the containers that devk creates to look into images.
const LOOK_LABEL: &str = "dev.devk.look";

/// Archives that are read at once.
const MAX_CONCURRENT_ARCHIVES: usize = 4;

/// Blocks of an archive that may wait to be read.
const MAX_QUEUED_BLOCKS: usize = 16;

/// A folder with more unwanted bytes than this, such as one with packages, is read in parts.
const MAX_UNWANTED_BYTES: u64 = 32 * 1024 * 1024;

/// The wanted paths of an image, absolute, and the folders that they were copied into.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    pub roots: BTreeSet<PathBuf>,
    pub paths: BTreeSet<PathBuf>,
}

/// One path of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPath {
    pub content: Content,
    /// The permission bits, 0o7777.
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
}

/// What an image has at the wanted paths. Paths behind a symbolic link of the image are left out.
pub type ImageLook = BTreeMap<PathBuf, FoundPath>;

/// Looks at places of an image. None if the Engine does not have it.
///
/// # Errors
/// [`crate::error::Code::DockerRequest`] if the Engine refuses.
pub async fn look(
    docker: &Docker,
    project_id: &str,
    reference: &str,
    places: Places,
) -> Result<Option<ImageLook>> {
    let Some(id) = present(docker, reference).await? else {
        return Ok(None);
    };
    if places.paths.is_empty() {
        return Ok(Some(ImageLook::new()));
    }
    let made = make(docker.clone(), id, project_id.to_owned());
    // If the caller drops the future, the task still removes the container.
    let made = tokio::spawn(made).await.map_err(|e| internal(&e))?;
    let container = match made {
        Ok(container) => container,
        Err(error) if is_not_found(&error) => return Ok(None),
        Err(error) => return Err(failed(reference, &error)),
    };
    let found = container.find(places).await;
    found.map(Some).map_err(|e| failed(reference, &e))
}

/// The instructions that an image has every image run that is built on it (ONBUILD). None if the Engine does not have
/// it.
///
/// # Errors
/// [`crate::error::Code::DockerRequest`] if the Engine refuses.
pub async fn triggers(docker: &Docker, reference: &str) -> Result<Option<Vec<String>>> {
    let image = inspect(docker, reference).await?;
    let on_build = |image: ImageInspect| image.config?.on_build;
    Ok(image.map(|image| on_build(image).unwrap_or_default()))
}

/// Removes the containers that a killed devk of this user left. The caller holds the project's lock.
///
/// # Errors
/// [`crate::error::Code::DockerRequest`] if the Engine refuses.
pub async fn remove_looks(docker: &Docker, project_id: &str) -> Result<()> {
    let labels = labels(project_id).map(|(label, value)| format!("{label}={value}"));
    let filters = HashMap::from([("label", labels.to_vec())]);
    let options = ListContainersOptionsBuilder::default()
        .all(true)
        .filters(&filters)
        .build();
    let listed = docker.list_containers(Some(options)).await;
    let listed = listed.map_err(|e| request_failed("cannot list the containers", &e))?;
    for id in listed.into_iter().filter_map(|container| container.id) {
        remove(docker, &id).await;
    }
    Ok(())
}

fn labels(project_id: &str) -> [(&'static str, String); 3] {
    [
        (PROJECT_LABEL, project_id.to_owned()),
        (USER_LABEL, own_user()),
        (LOOK_LABEL, "true".to_owned()),
    ]
}

fn failed(reference: &str, error: &DockerError) -> crate::error::Error {
    request_failed(&format!("cannot look into the image `{reference}`"), error)
}

async fn make(docker: Docker, image: String, project_id: String) -> Result<Unstarted, DockerError> {
    let labels = labels(&project_id).map(|(label, value)| (label.to_owned(), value));
    let body = ContainerCreateBody {
        image: Some(image),
        // Docker creates no container of an image without a command.
        cmd: Some(vec!["none".to_owned()]),
        labels: Some(labels.into()),
        ..ContainerCreateBody::default()
    };
    let made = docker
        .create_container(None::<CreateContainerOptions>, body)
        .await?;
    Ok(Unstarted {
        docker,
        id: made.id,
    })
}

async fn remove(docker: &Docker, id: &str) {
    // With the volumes that the image says.
    let options = RemoveContainerOptionsBuilder::default()
        .force(true)
        .v(true)
        .build();
    // If the container stays, the next session or `devk down` removes it.
    let _ = docker.remove_container(id, Some(options)).await;
}

/// A container that is never started. Dropping the value removes the container.
struct Unstarted {
    docker: Docker,
    id: String,
}

impl Drop for Unstarted {
    fn drop(&mut self) {
        let docker = self.docker.clone();
        let id = std::mem::take(&mut self.id);
        tokio::spawn(async move { remove(&docker, &id).await });
    }
}

impl Unstarted {
    async fn find(&self, places: Places) -> Result<ImageLook, DockerError> {
        let mut next = tops(&places);
        let wanted = Arc::new(places.paths);
        let mut found = ImageLook::new();
        let mut reading = FuturesUnordered::new();
        loop {
            while reading.len() < MAX_CONCURRENT_ARCHIVES
                && let Some(path) = next.pop_first()
            {
                reading.push(self.part(path, wanted.clone()));
            }
            let Some(part) = reading.next().await else {
                return Ok(found);
            };
            let part = part?;
            found.extend(part.found);
            if let Some(folder) = part.unread {
                next.extend(below(&wanted, &folder));
            }
        }
    }

    /// Reads one path and all below it. A path that Docker does not return does not exist.
    async fn part(
        &self,
        path: PathBuf,
        wanted: Arc<BTreeSet<PathBuf>>,
    ) -> Result<Part, DockerError> {
        let options = DownloadFromContainerOptionsBuilder::default()
            .path(&path.to_string_lossy())
            .build();
        let mut stream = self.docker.download_from_container(&self.id, Some(options));
        let (to, blocks) = mpsc::channel(MAX_QUEUED_BLOCKS);
        let reading = tokio::task::spawn_blocking(move || {
            let mut part = Part::default();
            let blocks = Blocks {
                blocks,
                block: Bytes::new(),
            };
            // An archive that breaks off holds what came before.
            if part.read(blocks, &path, &wanted).unwrap_or(false) {
                part.unread = Some(path);
            }
            part
        });
        let mut ended = Ok(());
        while let Some(block) = stream.next().await {
            let goes_on = match block {
                // Otherwise the reader is gone.
                Ok(block) => to.send(block).await.is_ok(),
                Err(DockerError::DockerResponseServerError { .. }) => false,
                Err(error) => {
                    ended = Err(error);
                    false
                }
            };
            if !goes_on {
                break;
            }
        }
        drop(to);
        let part = reading.await;
        ended.map(|()| part.unwrap_or_default())
    }
}

/// What one archive held.
#[derive(Default)]
struct Part {
    found: ImageLook,
    /// A folder that holds too much else.
    unread: Option<PathBuf>,
}

impl Part {
    /// Reads the archive of a path. True if it holds too much that is not wanted.
    fn read(
        &mut self,
        archive: impl Read,
        path: &Path,
        wanted: &BTreeSet<PathBuf>,
    ) -> io::Result<bool> {
        let parent = path.parent().unwrap_or(path);
        let mut unwanted = 0;
        let mut archive = Archive::new(archive);
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = joined(parent, &entry.path()?);
            if !wanted.contains(&path) {
                unwanted += entry.size();
                if unwanted > MAX_UNWANTED_BYTES {
                    return Ok(true);
                }
                continue;
            }
            let header = entry.header();
            let (mode, uid, gid) = (header.mode()? & 0o7777, header.uid()?, header.gid()?);
            let content = match (header.entry_type(), entry.link_name()?) {
                (EntryType::Directory, _) => Some(Content::Folder),
                (EntryType::Symlink, Some(target)) => Some(Content::Link(target.into_owned())),
                // Another name of what came before.
                (EntryType::Link, Some(other)) => self
                    .found
                    .get(&joined(parent, &other))
                    .map(|other| other.content.clone()),
                (EntryType::Regular, _) => {
                    let mut file = HashingReader::new(&mut entry);
                    io::copy(&mut file, &mut io::sink())?;
                    Some(Content::File(file.finish().0))
                }
                _ => None,
            };
            let found = content.map(|content| FoundPath {
                content,
                mode,
                uid,
                gid,
            });
            self.found.extend(found.map(|found| (path, found)));
        }
        Ok(false)
    }
}

/// A path of an archive, whose names may begin or end with a slash.
fn joined(parent: &Path, name: &Path) -> PathBuf {
    let normal = name
        .components()
        .filter(|part| matches!(part, Component::Normal(_)));
    parent.join(normal.collect::<PathBuf>())
}

/// The paths to ask for first: one level below each folder, so that unwanted content of the folder is not read.
fn tops(places: &Places) -> BTreeSet<PathBuf> {
    let firsts = places
        .roots
        .iter()
        .flat_map(|root| below(&places.paths, root));
    let firsts: BTreeSet<_> = firsts.collect();
    let is_covered = |path: &Path| path.ancestors().skip(1).any(|above| firsts.contains(above));
    firsts
        .iter()
        .filter(|path| !is_covered(path))
        .cloned()
        .collect()
}

/// One step below a folder on the way to each path that is wanted.
fn below(wanted: &BTreeSet<PathBuf>, folder: &Path) -> BTreeSet<PathBuf> {
    let first = |path: &Path| Some(folder.join(path.strip_prefix(folder).ok()?.iter().next()?));
    wanted.iter().filter_map(|path| first(path)).collect()
}

/// An archive as it comes.
struct Blocks {
    blocks: mpsc::Receiver<Bytes>,
    block: Bytes,
}

impl Read for Blocks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.block.is_empty() {
            let Some(block) = self.blocks.blocking_recv() else {
                return Ok(0);
            };
            self.block = block;
        }
        let count = buffer.len().min(self.block.len());
        buffer[..count].copy_from_slice(&self.block.split_to(count));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tar::{Builder, Header};

    /// An archive of the folder `app` as Docker writes it.
    fn archive(large: u64) -> Vec<u8> {
        let mut tar = Builder::new(Vec::new());
        let mut add = |name: &str, kind: EntryType, link: &str, content: &[u8]| {
            let mut header = Header::new_gnu();
            header.set_entry_type(kind);
            header.set_mode(0o100_644);
            header.set_uid(7);
            header.set_gid(8);
            header.set_size(content.len() as u64);
            if link.is_empty() {
                tar.append_data(&mut header, name, content).unwrap();
            } else {
                tar.append_link(&mut header, name, link).unwrap();
            }
        };
        add("app/", EntryType::Directory, "", b"");
        add("app/a", EntryType::Regular, "", b"a");
        add("app/b", EntryType::Link, "app/a", b"");
        add("app/c", EntryType::Symlink, "../x", b"");
        let large = vec![0; usize::try_from(large).unwrap()];
        add("app/node_modules/m", EntryType::Regular, "", &large);
        add("app/z", EntryType::Regular, "", b"z");
        tar.into_inner().unwrap()
    }

    fn read(archive: &[u8]) -> (Vec<String>, bool, Part) {
        let wanted = [
            "/srv/app",
            "/srv/app/a",
            "/srv/app/b",
            "/srv/app/c",
            "/srv/app/z",
        ];
        let wanted = wanted.iter().map(PathBuf::from).collect();
        let mut part = Part::default();
        let unread = part.read(archive, Path::new("/srv/app"), &wanted).unwrap();
        let names = part.found.keys().map(|path| path.display().to_string());
        (names.collect(), unread, part)
    }

    #[test]
    fn an_archive_tells_content_owner_and_permissions_of_what_is_wanted() {
        let (names, unread, part) = read(&archive(10));
        assert_eq!(
            names,
            [
                "/srv/app",
                "/srv/app/a",
                "/srv/app/b",
                "/srv/app/c",
                "/srv/app/z"
            ]
        );
        assert!(!unread);
        let of = |path: &str| part.found[Path::new(path)].clone();
        assert_eq!(of("/srv/app").content, Content::Folder);
        assert_eq!(of("/srv/app/c").content, Content::Link("../x".into()));
        let a = of("/srv/app/a");
        assert_eq!((a.mode, a.uid, a.gid), (0o644, 7, 8));
        assert_eq!(of("/srv/app/b").content, a.content, "another name of it");
        assert_ne!(of("/srv/app/z").content, a.content);
    }

    #[test]
    fn a_folder_with_much_else_in_it_is_read_in_parts() {
        let (names, unread, _) = read(&archive(MAX_UNWANTED_BYTES + 1));
        assert_eq!((names.len(), unread), (4, true));
    }

    #[test]
    fn what_is_asked_for_first_is_one_step_below_each_folder() {
        let set = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<BTreeSet<_>>();
        let places = Places {
            roots: set(&["/srv", "/srv/app", "/etc"]),
            paths: set(&["/srv/app/a/b", "/srv/app", "/srv/x", "/etc/conf/y"]),
        };
        assert_eq!(tops(&places), set(&["/srv/app", "/srv/x", "/etc/conf"]));
        assert_eq!(
            below(&places.paths, Path::new("/srv/app")),
            set(&["/srv/app/a"])
        );
    }
}
