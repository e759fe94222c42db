//! What the rendered releases must contain: checked before anything is touched.

use super::manifest::Rendered;
use super::prepare::Prepared;
use crate::config::Origin;
use crate::error::{Code, Error};
use crate::image::ImageRef;

/// Every image that devk builds must appear in some release by its exact reference, base images of others excepted,
/// which are not given here. `origin` is where the image stands in devk.yaml.
pub fn unused_images<'a>(
    images: impl IntoIterator<Item = (&'a ImageRef, &'a Origin)>,
    releases: &[(&Prepared, &Rendered)],
) -> Vec<Error> {
    let unused = images.into_iter().filter(|(image, _)| {
        let reference = image.reference();
        !releases
            .iter()
            .any(|(_, rendered)| rendered.mentions(&reference))
    });
    unused
        .map(|(image, origin)| unused_image(image, origin, releases))
        .collect()
}

fn unused_image(image: &ImageRef, origin: &Origin, releases: &[(&Prepared, &Rendered)]) -> Error {
    let error = Error::new(
        Code::ImageUnused,
        format!("image `{}` appears in no rendered manifest", image.name),
    );
    let mapping = releases.iter().find_map(|(prepared, rendered)| {
        prepared
            .images
            .iter()
            .find(|mapped| mapped.image == *image)
            .map(|mapped| (mapped, prepared, rendered))
    });
    let Some((mapped, prepared, rendered)) = mapping else {
        let hint = format!(
            "name its value paths: `images: {{{}: {{repository: …, tag: …}}}}` of a release",
            image.name
        );
        return error.hint(hint).at(&origin.file, origin.line);
    };
    let rendered_images = rendered.images();
    let seen = super::manifest::references(&rendered_images).join(", ");
    error
        .evidence(format!(
            "`{}` was written to `{}` and `{}`",
            image.reference(),
            mapped.paths.repository,
            mapped.paths.tag
        ))
        .evidence(format!("release `{}` renders: {seen}", prepared.name))
        .hint(format!(
            "check that the chart's templates use `{}`",
            mapped.paths.repository
        ))
        .at(&prepared.origin.file, prepared.origin.line)
}

#[cfg(test)]
mod tests {
    use super::super::prepare::fixture;
    use super::*;
    use crate::config::ImagePaths;
    use crate::release::values::MappedImage;

    fn api() -> ImageRef {
        ImageRef {
            name: "api".into(),
            repository: "devk.local/shop/api".into(),
            tag: "0123".into(),
        }
    }

    fn prepared(dir: &std::path::Path) -> Prepared {
        let paths = ImagePaths {
            repository: "api.image.repository".into(),
            tag: "api.image.tag".into(),
        };
        Prepared {
            images: vec![MappedImage {
                image: api(),
                paths,
            }],
            ..fixture::prepared(dir)
        }
    }

    const POD: &str = "---\n# Source: shop/charts/x/pod.yaml\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: api, image: 'devk.local/shop/api:0123', imagePullPolicy: Always}]}\n";

    #[test]
    fn an_image_that_no_manifest_uses_names_the_path_it_was_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let prepared = prepared(dir.path());
        let origin = Origin {
            file: "devk.yaml".into(),
            line: 3,
        };
        let other = Rendered::parse(&POD.replace(":0123", ":latest")).unwrap();
        let problems = unused_images([(&api(), &origin)], &[(&prepared, &other)]);
        assert_eq!(problems[0].code, Code::ImageUnused);
        assert!(problems[0].evidence[0].contains("api.image.repository"));
        let used = Rendered::parse(POD).unwrap();
        assert_eq!(
            unused_images([(&api(), &origin)], &[(&prepared, &used)]),
            []
        );
    }
}
