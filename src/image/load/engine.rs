//! Requests to the Engine: push an image to devk, and remove the tag that the push needed.

use bollard::Docker;
use bollard::models::SystemInfo;
use bollard::query_parameters::{
    ListImagesOptions, PushImageOptionsBuilder, RemoveImageOptionsBuilder, TagImageOptionsBuilder,
};
use futures::TryStreamExt;
use tokio::net::TcpStream;

use super::endpoint::pushed_to;
use crate::docker::request_failed;
use crate::error::Result;

/// The tag of whatever is pushed; the repository tells the pushes apart.
const TAG: &str = "latest";

/// A name that an image has for the time of a push.
struct Borrowed<'a> {
    docker: &'a Docker,
    tag: String,
}

impl Drop for Borrowed<'_> {
    /// The tag is removed also when the push is given up. If devk ends before, [`sweep`] removes it.
    fn drop(&mut self) {
        let docker = self.docker.clone();
        let tag = std::mem::take(&mut self.tag);
        tokio::spawn(async move { untag(&docker, &tag).await });
    }
}

/// Pushes an image to `repository`. Dropping the future makes the Engine stop.
///
/// # Errors
/// [`crate::error::Code::DockerRequest`] in the Engine's own words.
pub(super) async fn push(docker: &Docker, reference: &str, repository: &str) -> Result<()> {
    let failed = |e| request_failed(&format!("cannot push `{reference}` to devk"), &e);
    let tag = TagImageOptionsBuilder::default()
        .repo(repository)
        .tag(TAG)
        .build();
    // Before the request: the Engine may have set the tag though its answer was not waited for.
    let _borrowed = Borrowed {
        docker,
        tag: format!("{repository}:{TAG}"),
    };
    docker
        .tag_image(reference, Some(tag))
        .await
        .map_err(failed)?;
    let options = PushImageOptionsBuilder::default().tag(TAG).build();
    docker
        .push_image(repository, Some(options), None)
        .try_for_each(|_| async { Ok(()) })
        .await
        .map_err(failed)
}

/// Removes a tag of an image that has other tags; removing the last tag would remove the image.
async fn untag(docker: &Docker, tag: &str) {
    let options = RemoveImageOptionsBuilder::default().noprune(true).build();
    // The tag may be gone; if it stays, the next sweep removes it.
    let _ = docker.remove_image(tag, Some(options), None).await;
}

/// Removes the tags that a killed devk left behind: those with ports on which no process listens.
pub(in crate::image) async fn sweep(docker: &Docker) {
    let listed = docker
        .list_images(None::<ListImagesOptions>)
        .await
        .unwrap_or_default();
    for tag in listed.into_iter().flat_map(|image| image.repo_tags) {
        if let Some(address) = pushed_to(&tag)
            && TcpStream::connect(address).await.is_err()
        {
            untag(docker, &tag).await;
        }
    }
}

/// Whether 127.0.0.1 is the same for the Engine as for devk; else why not. The Engines of Docker Desktop,
/// Colima and the like run in a virtual machine, a rootless one in a network of its own.
///
/// # Errors
/// [`crate::error::Code::DockerRequest`] if the Engine refuses to tell.
pub(super) async fn shares_loopback(docker: &Docker) -> Result<Result<(), &'static str>> {
    let info = docker
        .info()
        .await
        .map_err(|e| request_failed("cannot ask Docker about itself", &e))?;
    let system = rustix::system::uname();
    Ok(is_here(
        &info,
        &system.nodename().to_string_lossy(),
        &system.release().to_string_lossy(),
    ))
}

fn is_here(info: &SystemInfo, host: &str, kernel: &str) -> Result<(), &'static str> {
    if info.name.as_deref() != Some(host) || info.kernel_version.as_deref() != Some(kernel) {
        return Err("Docker runs on another machine, or in a virtual one");
    }
    let rootless = |option: &String| option.starts_with("name=rootless");
    if info
        .security_options
        .as_ref()
        .is_some_and(|options| options.iter().any(rootless))
    {
        return Err("Docker runs rootless, in a network of its own");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(name: &str, kernel: &str, option: &str) -> SystemInfo {
        SystemInfo {
            name: Some(name.to_owned()),
            kernel_version: Some(kernel.to_owned()),
            security_options: Some(vec![option.to_owned()]),
            ..SystemInfo::default()
        }
    }

    #[test]
    fn an_engine_in_a_virtual_machine_or_in_a_network_of_its_own_is_elsewhere() {
        let seen =
            |name, kernel, option| is_here(&info(name, kernel, option), "laptop", "6.1.0").is_ok();
        assert!(seen("laptop", "6.1.0", "name=seccomp,profile=default"));
        assert!(!seen(
            "docker-desktop",
            "6.1.0",
            "name=seccomp,profile=default"
        ));
        assert!(!seen(
            "laptop",
            "6.10.14-linuxkit",
            "name=seccomp,profile=default"
        ));
        assert!(!seen("laptop", "6.1.0", "name=rootless"));
        assert!(is_here(&SystemInfo::default(), "laptop", "6.1.0").is_err());
    }
}
