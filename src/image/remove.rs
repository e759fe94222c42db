//! Removes the images that devk built for one project, and no image of another user, who may have a project of the same
//! name on this machine.

use std::collections::{BTreeMap, BTreeSet};

use bollard::Docker;
use bollard::models::ImageSummary;
use bollard::query_parameters::{ListImagesOptions, RemoveImageOptions};

use super::{USER_LABEL, load, own_user, repository};
use crate::docker::{is_not_found, request_failed};
use crate::error::Result;

/// Removes every tag of [`project_images`] and returns them. Layers that another tag still
/// uses stay; so does an image that a container uses, which is an error. What a killed devk had named for a
/// push loses that name.
///
/// # Errors
/// [`crate::error::Code::DockerRequest`] if the Engine refuses.
pub async fn remove_project_images(docker: &Docker, project_id: &str) -> Result<Vec<String>> {
    load::sweep(docker).await;
    remove_tags(docker, project_images(docker, project_id).await?).await
}

/// Removes these tags and returns them.
///
/// # Errors
/// As [`remove_project_images`].
pub async fn remove_tags(docker: &Docker, tags: Vec<String>) -> Result<Vec<String>> {
    for tag in &tags {
        match docker
            .remove_image(tag, None::<RemoveImageOptions>, None)
            .await
        {
            Ok(_) => {}
            Err(error) if is_not_found(&error) => {}
            Err(error) => {
                return Err(request_failed(
                    &format!("cannot remove the image `{tag}`"),
                    &error,
                ));
            }
        }
    }
    Ok(tags)
}

/// Removes the images below `devk.local/<project>/` from a node, but for those of `staying`.
///
/// # Errors
/// [`crate::error::Code::CommandFailed`] if `ctr` fails in the node.
pub async fn remove_from_node(
    docker: &Docker,
    node: &str,
    project_id: &str,
    staying: &BTreeSet<String>,
) -> Result<()> {
    let prefix = repository(project_id, "");
    load::remove(docker, node, |name| {
        name.starts_with(&prefix) && !staying.contains(name)
    })
    .await
}

/// A tag that devk gave an image, and when the image was made, in seconds of Unix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltTag {
    pub tag: String,
    pub made: i64,
}

/// What is `needed` and, of each image, the newest of its tags beside that.
pub fn staying(built: &[BuiltTag], needed: &BTreeSet<String>) -> BTreeSet<String> {
    let mut newest = BTreeMap::<&str, &BuiltTag>::new();
    for image in built.iter().filter(|image| !needed.contains(&image.tag)) {
        let repository = image
            .tag
            .rsplit_once(':')
            .map_or(image.tag.as_str(), |(repository, _)| repository);
        let kept = newest.entry(repository).or_insert(image);
        if image.made > kept.made {
            *kept = image;
        }
    }
    needed
        .iter()
        .chain(newest.into_values().map(|image| &image.tag))
        .cloned()
        .collect()
}

/// Every tag below `devk.local/<project>/` that this user built, sorted.
///
/// # Errors
/// [`crate::error::Code::DockerRequest`] if the Engine refuses.
pub async fn project_images(docker: &Docker, project_id: &str) -> Result<Vec<String>> {
    Ok(built(docker, project_id)
        .await?
        .into_iter()
        .map(|image| image.tag)
        .collect())
}

/// The same with the times at which they were made.
///
/// # Errors
/// As [`project_images`].
pub async fn built(docker: &Docker, project_id: &str) -> Result<Vec<BuiltTag>> {
    let listed = docker.list_images(None::<ListImagesOptions>).await;
    let listed = listed.map_err(|e| request_failed("cannot list the images", &e))?;
    let user = own_user();
    let own = listed
        .into_iter()
        .filter(|image| !is_of_another(image, &user));
    let tags = own.flat_map(|image| {
        image.repo_tags.into_iter().map(move |tag| BuiltTag {
            tag,
            made: image.created,
        })
    });
    Ok(of_project(tags, project_id))
}

/// An image without a user was built by an older devk.
fn is_of_another(image: &ImageSummary, user: &str) -> bool {
    image
        .labels
        .get(USER_LABEL)
        .is_some_and(|builder| builder != user)
}

fn of_project(images: impl Iterator<Item = BuiltTag>, project_id: &str) -> Vec<BuiltTag> {
    let prefix = repository(project_id, "");
    let mut images: Vec<_> = images
        .filter(|image| image.tag.starts_with(&prefix))
        .collect();
    images.sort_by(|a, b| a.tag.cmp(&b.tag));
    images
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_another_user_built_is_left_to_that_user() {
        let image = |labels: &[(&str, &str)]| ImageSummary {
            labels: labels
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            ..ImageSummary::default()
        };
        assert!(is_of_another(&image(&[(USER_LABEL, "1001")]), "1000"));
        assert!(!is_of_another(&image(&[(USER_LABEL, "1000")]), "1000"));
        assert!(!is_of_another(&image(&[]), "1000"));
    }

    #[test]
    fn only_the_projects_own_tags_are_taken() {
        let tags = [
            "devk.local/shop/api:1",
            "devk.local/shop-b/api:1",
            "shop/api:1",
            "devk.local/shop/web:2",
        ];
        let taken = of_project(tags.into_iter().map(|tag| made(tag, 0)), "shop");
        assert_eq!(
            taken,
            [
                made("devk.local/shop/api:1", 0),
                made("devk.local/shop/web:2", 0)
            ]
        );
    }

    fn made(tag: &str, made: i64) -> BuiltTag {
        BuiltTag {
            tag: tag.to_owned(),
            made,
        }
    }

    #[test]
    fn what_is_needed_stays_and_of_each_image_the_newest_beside_it() {
        let built = [
            made("r/api:1", 1),
            made("r/api:2", 2),
            made("r/api:3", 3),
            made("r/api:4", 4),
            made("r/web:1", 1),
        ];
        let stay = |needed: &[&str]| {
            let needed = needed.iter().map(ToString::to_string).collect();
            staying(&built, &needed).into_iter().collect::<Vec<_>>()
        };
        assert_eq!(
            stay(&["r/api:4", "r/web:1"]),
            ["r/api:3", "r/api:4", "r/web:1"]
        );
        assert_eq!(
            stay(&["r/api:4", "r/api:1", "r/web:1"]),
            ["r/api:1", "r/api:3", "r/api:4", "r/web:1"],
            "a pod runs 1"
        );
        assert_eq!(
            stay(&["r/api:2", "r/web:2"]),
            ["r/api:2", "r/api:4", "r/web:1", "r/web:2"],
            "rolled back; not in Docker"
        );
    }

    #[tokio::test]
    async fn a_node_loses_the_projects_images_with_all_their_names_and_no_others() {
        use crate::docker::fake::Containers;
        let listed = "REF TYPE DIGEST SIZE PLATFORMS LABELS\n\
            devk.local/shop/api:1 t sha256:aa 2 MiB linux/amd64 -\n\
            devk.local/shop/api:2 t sha256:bb 2 MiB linux/amd64 -\n\
            devk.local/shop-b/api:1 t sha256:cc 2 MiB linux/amd64 -\n\
            sha256:11 t sha256:aa 2 MiB linux/amd64 -\n\
            sha256:22 t sha256:bb 2 MiB linux/amd64 -\n\
            sha256:33 t sha256:cc 2 MiB linux/amd64 -\n";
        let node = Containers::start(|command| {
            (
                if command.ends_with(" ls") {
                    listed.to_owned()
                } else {
                    String::new()
                },
                0,
            )
        });
        let node = node.await;
        let staying = BTreeSet::from(["devk.local/shop/api:2".to_owned()]);
        remove_from_node(&node.docker, "n", "shop", &staying)
            .await
            .unwrap();
        assert_eq!(
            node.ran().last().unwrap(),
            "ctr --namespace=k8s.io images rm --sync devk.local/shop/api:1 sha256:11"
        );
        remove_from_node(&node.docker, "n", "other", &staying)
            .await
            .unwrap();
        assert_eq!(node.ran().len(), 3, "nothing to remove, nothing run");
    }
}
