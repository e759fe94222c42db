//! What a rendered release must not contain, and what it must: checked before anything is touched.

use super::manifest::Rendered;
use super::prepare::Prepared;
use crate::config::Origin;
use crate::error::{Code, Error};
use crate::image::ImageRef;

/// All problems of one release: Services that open node ports (unless allowed), and devk-built
/// images that would always be pulled.
pub fn release(prepared: &Prepared, rendered: &Rendered, allow_node_port: bool) -> Vec<Error> {
    let mut problems = if allow_node_port {
        Vec::new()
    } else {
        node_ports(prepared, rendered)
    };
    problems.extend(pull_policies(prepared, rendered));
    problems
}

/// Every image that devk builds must appear in some release by its exact reference. `origin` is
/// where the image stands in devk.yaml.
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

fn node_ports(prepared: &Prepared, rendered: &Rendered) -> Vec<Error> {
    let services = rendered.services(&prepared.namespace).into_iter();
    let open = services.filter(|s| matches!(s.kind.as_str(), "NodePort" | "LoadBalancer"));
    open.map(|service| {
        let message = format!("Service `{}` has type {}", service.name, service.kind);
        let error =
            Error::new(Code::ChartNodePort, message).evidence(format!("rendered from {}", service.source)).hint(
                "set its type to ClusterIP in the values (devk forwards it), or `allow: {nodePort: true}` in devk.yaml",
            );
        located(error, prepared, &service.source)
    })
    .collect()
}

fn pull_policies(prepared: &Prepared, rendered: &Rendered) -> Vec<Error> {
    let always = |u: &super::manifest::ImageUse| u.pull_policy.as_deref() == Some("Always");
    let mut problems = Vec::new();
    for usage in rendered.images().iter().filter(|u| always(u)) {
        let Some(mapped) = prepared
            .images
            .iter()
            .find(|m| m.image.reference() == usage.image)
        else {
            continue;
        };
        let block = mapped
            .paths
            .repository
            .strip_suffix(".repository")
            .unwrap_or("image");
        let message = format!(
            "`{}` would always pull image `{}`, which is in no registry",
            usage.object, mapped.image.name
        );
        let error = Error::new(Code::ImagePullPolicy, message)
            .evidence(format!(
                "container `{}` has imagePullPolicy: Always ({})",
                usage.container, usage.source
            ))
            .hint(format!(
                "set `{block}.pullPolicy: IfNotPresent` in the values, if the chart has it there"
            ));
        problems.push(located(error, prepared, &usage.source));
    }
    problems
}

/// At the user's template, or at the release if the template is in an archive.
fn located(error: Error, prepared: &Prepared, source: &str) -> Error {
    match prepared.chart.user_file(source) {
        Some(file) => error.at(file, None),
        None => error.at(&prepared.origin.file, prepared.origin.line),
    }
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

    const SERVICE: &str = "# Source: shop/templates/web.yaml\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {type: NodePort, ports: [{port: 80}]}\n";
    const POD: &str = "---\n# Source: shop/charts/x/pod.yaml\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: api, image: 'devk.local/shop/api:0123', imagePullPolicy: Always}]}\n";

    #[test]
    fn a_node_port_stops_the_plan_at_its_template_unless_allowed() {
        let dir = tempfile::tempdir().unwrap();
        let template = dir.path().join("chart/templates/web.yaml");
        std::fs::create_dir_all(template.parent().unwrap()).unwrap();
        std::fs::write(&template, "").unwrap();
        let prepared = prepared(dir.path());
        let rendered = Rendered::parse(SERVICE).unwrap();

        let problems = release(&prepared, &rendered, false);
        assert_eq!(
            problems
                .iter()
                .map(|e| (e.code, e.file.as_ref()))
                .collect::<Vec<_>>(),
            [(Code::ChartNodePort, Some(&template))]
        );
        assert_eq!(release(&prepared, &rendered, true), []);
    }

    #[test]
    fn all_problems_are_collected_and_a_packed_template_falls_back_to_the_release() {
        let dir = tempfile::tempdir().unwrap();
        let prepared = prepared(dir.path());
        let problems = release(
            &prepared,
            &Rendered::parse(&format!("{SERVICE}{POD}")).unwrap(),
            false,
        );
        assert_eq!(
            problems.iter().map(|e| e.code).collect::<Vec<_>>(),
            [Code::ChartNodePort, Code::ImagePullPolicy]
        );
        assert_eq!(problems[1].line, Some(prepared.origin.line));
    }

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
