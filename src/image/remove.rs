//! Taking away what devk built: the tags of one project, and no image of anybody else.

use bollard::Docker;
use bollard::query_parameters::{ListImagesOptions, RemoveImageOptions};

use super::{load, repository};
use crate::docker::{is_not_found, request_failed};
use crate::error::Result;

/// Removes every tag below `devk.local/<project>/` and returns them. Layers that another tag still
/// uses stay; so does an image that a container uses, which is an error. What a killed devk had named for a
/// push loses that name.
///
/// # Errors
/// [`crate::error::Code::DockerRequest`] if the Engine refuses.
pub async fn remove_project_images(docker: &Docker, project_id: &str) -> Result<Vec<String>> {
    load::sweep(docker).await;
    let tags = project_images(docker, project_id).await?;
    for tag in &tags {
        match docker.remove_image(tag, None::<RemoveImageOptions>, None).await {
            Ok(_) => {}
            Err(error) if is_not_found(&error) => {}
            Err(error) => return Err(request_failed(&format!("cannot remove the image `{tag}`"), &error)),
        }
    }
    Ok(tags)
}

/// Every tag below `devk.local/<project>/`, sorted.
///
/// # Errors
/// [`crate::error::Code::DockerRequest`] if the Engine refuses.
pub async fn project_images(docker: &Docker, project_id: &str) -> Result<Vec<String>> {
    let listed = docker.list_images(None::<ListImagesOptions>).await;
    let listed = listed.map_err(|e| request_failed("cannot list the images", &e))?;
    Ok(of_project(listed.into_iter().flat_map(|image| image.repo_tags), project_id))
}

fn of_project(tags: impl Iterator<Item = String>, project_id: &str) -> Vec<String> {
    let prefix = repository(project_id, "");
    let mut tags: Vec<_> = tags.filter(|tag| tag.starts_with(&prefix)).collect();
    tags.sort();
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_projects_own_tags_are_taken() {
        let tags = ["devk.local/shop/api:1", "devk.local/shop-b/api:1", "shop/api:1", "devk.local/shop/web:2"];
        let taken = of_project(tags.into_iter().map(str::to_owned), "shop");
        assert_eq!(taken, ["devk.local/shop/api:1", "devk.local/shop/web:2"]);
    }
}
