//! Taking away what devk built: the tags of one project, and no image of anybody else. Another user of the machine
//! may have a project of the same name.

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

/// Every tag below `devk.local/<project>/` that this user built, sorted.
///
/// # Errors
/// [`crate::error::Code::DockerRequest`] if the Engine refuses.
pub async fn project_images(docker: &Docker, project_id: &str) -> Result<Vec<String>> {
    let listed = docker.list_images(None::<ListImagesOptions>).await;
    let listed = listed.map_err(|e| request_failed("cannot list the images", &e))?;
    let user = own_user();
    let own = listed.into_iter().filter(|image| !is_of_another(image, &user));
    Ok(of_project(own.flat_map(|image| image.repo_tags), project_id))
}

/// One that does not say who built it comes from a devk that did not note that.
fn is_of_another(image: &ImageSummary, user: &str) -> bool {
    image.labels.get(USER_LABEL).is_some_and(|builder| builder != user)
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
    fn an_image_that_another_user_built_is_left_to_that_user() {
        let image = |labels: &[(&str, &str)]| ImageSummary {
            labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            ..ImageSummary::default()
        };
        assert!(is_of_another(&image(&[(USER_LABEL, "1001")]), "1000"));
        assert!(!is_of_another(&image(&[(USER_LABEL, "1000")]), "1000"));
        assert!(!is_of_another(&image(&[]), "1000"));
    }

    #[test]
    fn only_the_projects_own_tags_are_taken() {
        let tags = ["devk.local/shop/api:1", "devk.local/shop-b/api:1", "shop/api:1", "devk.local/shop/web:2"];
        let taken = of_project(tags.into_iter().map(str::to_owned), "shop");
        assert_eq!(taken, ["devk.local/shop/api:1", "devk.local/shop/web:2"]);
    }
}
