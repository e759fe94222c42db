//! Charts that name images in the ways of real ones come up untouched.

use serde_json::Value;

use crate::support::machine::{CLUSTER, cluster, machine};
use crate::support::project::Project;
use crate::support::wire::get;

/// Chart and, where it is not the chart's own, values file.
const SHAPES: [(&str, &str); 12] = [
    ("one-string", ""),
    ("name-and-tag", ""),
    ("image-tag", ""),
    ("registry", ""),
    ("prefix", ""),
    ("global", ""),
    ("digest", ""),
    ("alias", ""),
    ("schema", ""),
    ("version", ""),
    ("label", ""),
    ("values-file", "dev.yaml"),
];

const REPOSITORIES: &str = "acme/api, registry.example/acme/api, registry.example/shop/api, registry.example/team/api, registry.example/shapes/shapes-api";

fn project(name: &str, charts: &[(&str, &str)]) -> Project {
    let project = Project::new("tests/e2e/fixtures/shapes", name, CLUSTER);
    let releases: String = charts
        .iter()
        .map(|(chart, values)| {
            let values = match *values {
                "" => String::new(),
                file => format!(", values: [./{chart}/{file}]"),
            };
            format!("  - {{name: {chart}, chart: ./{chart}{values}}}\n")
        })
        .collect();
    project.edit(
        "devk.yaml",
        "  - {name: one-string, chart: ./one-string}\n",
        &releases,
    );
    project
}

/// What devk changes in each release, as the plan says.
fn changes(plan: &Value, release: &str) -> Vec<String> {
    let steps = plan["steps"].as_array().unwrap();
    let id = format!("release.apply/{release}");
    let step = steps.iter().find(|step| step["id"] == *id).unwrap();
    let changes = step["changes"].as_array().into_iter().flatten();
    changes
        .map(|change| change.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_chart_of_any_shape_takes_the_image_by_its_name() {
    machine();
    for (chart, values) in SHAPES {
        let project = project(&format!("shape-{chart}"), &[(chart, values)]);
        let plan = project.devk(&["up", "--dry-run"]).well().document();
        let changes = changes(&plan, chart);
        assert_eq!(changes.len(), 1, "{chart}: {changes:?}");
        assert!(
            changes[0].starts_with("image `api` in place of `")
                && changes[0].ends_with(&format!(
                    " (Deployment/{chart}; by the last part of the name)"
                )),
            "{chart}: {changes:?}"
        );
    }
}

#[test]
fn all_shapes_run_with_the_projects_own_image() {
    cluster();
    let mut charts = SHAPES.to_vec();
    charts.push(("local", ""));
    let project = project("shapes", &charts);
    // In one project these are images of many registries, of which devk cannot know that they are one.
    project.edit(
        "devk.yaml",
        "context: ./api",
        &format!("context: ./api, replaces: [{REPOSITORIES}]"),
    );
    let up = project.devk(&["up", "-d"]).well();
    let list = ["-n", "shapes", "get", "pods", "-o", "json"];
    let pods: Value = serde_json::from_str(&cluster().kubectl(CLUSTER, &list)).unwrap();
    let images: Vec<_> = pods["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pod| pod["spec"]["containers"][0]["image"].as_str().unwrap())
        .collect();
    // A pod for each chart, and that of the hook.
    assert_eq!(images.len(), SHAPES.len() + 2, "{images:?}");
    assert!(
        images
            .iter()
            .all(|image| image.starts_with("devk.local/shapes/api:")),
        "{images:?}"
    );
    let cron = ["-n", "shapes", "get", "cronjob", "local-cron", "-o", "yaml"];
    assert!(
        cluster()
            .kubectl(CLUSTER, &cron)
            .contains("image: devk.local/shapes/api:")
    );
    // The chart's label keeps the chart's tag.
    let label = [
        "-n",
        "shapes",
        "get",
        "pods",
        "-l",
        "version=v7",
        "-o",
        "name",
    ];
    assert!(cluster().kubectl(CLUSTER, &label).starts_with("pod/label-"));

    let page = get(project.port("local"), "/").unwrap().well();
    assert_eq!(page, "the image of the project\n", "{up:?}");
    let columns = "custom-columns=:spec.type,:spec.ports[0].nodePort";
    let services = [
        "-n",
        "shapes",
        "get",
        "services",
        "--no-headers",
        "-o",
        columns,
    ];
    let services = cluster().kubectl(CLUSTER, &services);
    assert!(
        services
            .lines()
            .all(|line| line.split_whitespace().eq(["ClusterIP", "<none>"])),
        "{services}"
    );

    let again = project.devk(&["up", "-d"]).well();
    for (chart, _) in charts {
        assert_eq!(
            again.verdict(&format!("release.apply/{chart}")),
            "skipped",
            "{again:?}"
        );
    }
    // A save of the image rolls out every release, and renders no chart anew.
    project.write(
        "api/Dockerfile",
        "FROM busybox:1\nCMD [\"sleep\", \"inf\"]\n",
    );
    let plan = project.devk(&["up", "--dry-run"]).well().document();
    assert_eq!(changes(&plan, "local").len(), 5, "{plan}");
}
