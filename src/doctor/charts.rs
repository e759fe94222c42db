//! What the charts render: ports that nobody planned, and addresses that would lead to Compose.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::compose::claims;
use super::localhost::localhosts;
use super::missing::of_project;
use super::{Check, DoctorFacts, Id, Looked, Missing, findings, skipped};
use crate::config::{Origin, Project};
use crate::error::{Errors, Result};
use crate::observe::Drafts;
use crate::release::manifest::Rendered;
use crate::release::pods::{self, list};
use crate::release::user_template::UserTemplate;
use crate::release::value_path::value_path;
use crate::release::{Prepared, effective_values};

/// A rendered release.
#[derive(Debug, Clone)]
pub struct RenderedChart {
    pub release: String,
    pub namespace: String,
    pub rendered: Rendered,
    /// The chart's values with the user's over them.
    pub values: Value,
    /// By helm's name of the template. Templates in archives are not there.
    pub templates: BTreeMap<String, UserTemplate>,
    /// Of the release in devk.yaml.
    pub origin: Origin,
}

impl RenderedChart {
    fn new(prepared: &Prepared, rendered: Rendered) -> Result<Self> {
        let sources: BTreeSet<_> = rendered
            .manifests
            .iter()
            .map(|manifest| manifest.source.clone())
            .collect();
        let template = |source: String| {
            let template = UserTemplate::read(&prepared.chart, &source)?;
            Some((source, template))
        };
        Ok(Self {
            release: prepared.name.clone(),
            namespace: prepared.namespace.clone(),
            values: effective_values(prepared)?,
            templates: sources.into_iter().filter_map(template).collect(),
            origin: prepared.origin.clone(),
            rendered,
        })
    }

    /// Adds the template of an object, at the first line that holds one of these words, or the release in
    /// devk.yaml where the template is in an archive.
    pub fn show(
        &self,
        check: Check,
        of: TemplateRef,
        words: &[&str],
        text: impl Into<String>,
    ) -> Check {
        let Some(template) = self.templates.get(of.source) else {
            return check.at(
                &self.origin.file,
                self.origin.line,
                format!("{} ({})", text.into(), of.source),
            );
        };
        let line = template.line(&self.rendered, of.source, of.object, words);
        check.at(&template.file, line, text)
    }

    /// The path of the value that is exactly this text, such as `postgresql.auth.database`, if there is one
    /// that must be meant: `fits` says so of its key (in lower case), and if it does of several, the one
    /// beside the value `near` is.
    pub fn value_path(
        &self,
        text: &str,
        fits: impl Fn(&str) -> bool,
        near: &str,
    ) -> Option<String> {
        value_path(&self.values, text, fits, near)
    }
}

/// The template that a rendered object comes from.
#[derive(Debug, Clone, Copy)]
pub struct TemplateRef<'a> {
    /// helm's name of the template.
    pub source: &'a str,
    /// `Deployment/api`.
    pub object: &'a str,
}

pub(super) fn looked_at(
    project: Result<&Project, &Missing>,
    drafts: Looked<Drafts>,
) -> Looked<Vec<RenderedChart>> {
    if of_project(project)?.releases.is_empty() {
        return Err(Missing::Skipped("devk.yaml names no charts".to_owned()));
    }
    let releases = drafts?.releases?.into_iter();
    let charts = releases.map(|release| RenderedChart::new(&release.prepared, release.rendered));
    Ok(charts.collect::<Result<Vec<_>>>().map_err(Errors::from)?)
}

pub(super) fn checks(facts: &DoctorFacts) -> Vec<Check> {
    let ids = [
        Id::ChartsRender,
        Id::ChartsServices,
        Id::ChartsHostPort,
        Id::ChartsHostNetwork,
        Id::ChartsLocalhost,
    ];
    let charts = match &facts.charts {
        Ok(charts) => charts,
        Err(missing @ Missing::Failed(errors)) => {
            let broken = Check::all_failed(Id::ChartsRender, errors);
            return broken
                .into_iter()
                .chain(skipped(&ids[1..], missing))
                .collect();
        }
        Err(missing) => return skipped(&ids, missing),
    };
    let names: Vec<_> = charts
        .iter()
        .map(|chart| format!("`{}`", chart.release))
        .collect();
    let mut checks = vec![Check::ok(
        Id::ChartsRender,
        format!("{} rendered", names.join(", ")),
    )];
    let each = |find: &dyn Fn(&RenderedChart) -> Vec<Check>| {
        charts.iter().flat_map(find).collect::<Vec<_>>()
    };
    checks.extend(findings(
        Id::ChartsServices,
        each(&services),
        "no Service keeps a NodePort or a LoadBalancer",
    ));
    checks.extend(findings(
        Id::ChartsHostPort,
        each(&host_ports),
        "no container takes a port of its node",
    ));
    checks.extend(findings(
        Id::ChartsHostNetwork,
        each(&host_networks),
        "no pod uses its node's network",
    ));
    checks.extend(match &facts.compose {
        Ok(compose) => {
            let claims: Vec<_> = compose.iter().flat_map(claims).collect();
            let found = each(&|chart| localhosts(chart, &claims, facts));
            findings(
                Id::ChartsLocalhost,
                found,
                "no rendered `localhost:PORT` is a port of Compose's",
            )
        }
        Err(missing) => skipped(&[Id::ChartsLocalhost], missing),
    });
    checks
}

/// `allow: {nodePort: true}` keeps them; otherwise devk has made them ClusterIP already.
fn services(chart: &RenderedChart) -> Vec<Check> {
    let open = chart.rendered.services(&chart.namespace).into_iter();
    let open = open.filter(|service| matches!(service.kind.as_str(), "NodePort" | "LoadBalancer"));
    let finding = |service: crate::release::manifest::ManifestService| {
        let text = format!(
            "Service `{}` has type {}, which devk.yaml allows",
            service.name, service.kind
        );
        let type_line = format!("type: {}", service.kind);
        let object = format!("Service/{}", service.name);
        let of = TemplateRef {
            source: &service.source,
            object: &object,
        };
        let check = Check::warning(Id::ChartsServices, text);
        chart
            .show(check, of, &[&type_line, "type:"], &object)
            .hint("remove `allow: {nodePort: true}`: devk installs it as ClusterIP and forwards it")
    };
    open.map(finding).collect()
}

fn host_ports(chart: &RenderedChart) -> Vec<Check> {
    let mut found = vec![];
    for pod in pods::pods(&chart.rendered) {
        for port in pod
            .containers()
            .flat_map(|container| list(&container["ports"]))
        {
            let Some(number) = port["hostPort"].as_u64().filter(|number| *number > 0) else {
                continue;
            };
            let owner = pod.manifest.object_name();
            let check = Check::warning(
                Id::ChartsHostPort,
                format!("`{owner}` takes port {number} of its node"),
            );
            let line = format!("hostPort: {number}");
            let of = TemplateRef {
                source: &pod.manifest.source,
                object: &owner,
            };
            let check = chart.show(check, of, &[&line, "hostPort"], &line);
            found.push(check.hint(
                "remove `hostPort`: a second pod would not start, and devk forwards the Service",
            ));
        }
    }
    found
}

fn host_networks(chart: &RenderedChart) -> Vec<Check> {
    let pods = pods::pods(&chart.rendered)
        .into_iter()
        .filter(|pod| pod.spec["hostNetwork"] == true);
    let finding = |pod: pods::Pod| {
        let owner = pod.manifest.object_name();
        let check = Check::warning(
            Id::ChartsHostNetwork,
            format!("`{owner}` uses its node's network"),
        );
        let of = TemplateRef {
            source: &pod.manifest.source,
            object: &owner,
        };
        let check = chart.show(check, of, &["hostNetwork"], "hostNetwork: true");
        check.hint("remove `hostNetwork: true`: its ports would be the node's")
    };
    pods.map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::localhost::loopbacks;

    #[test]
    fn the_value_that_names_a_database_is_found_by_its_key_and_its_neighbours() {
        let values = serde_json::json!({
            "postgresql": {"auth": {"database": "shop", "username": "shop"}},
            "external": {"host": "db.example", "database": "shop", "port": 5432},
        });
        let chart = RenderedChart {
            release: String::new(),
            namespace: String::new(),
            rendered: Rendered::default(),
            values,
            templates: BTreeMap::new(),
            origin: Origin {
                file: "devk.yaml".into(),
                line: 1,
            },
        };
        let path =
            |text: &str, word: &str, near: &str| chart.value_path(text, |key| key == word, near);
        assert_eq!(
            path("shop", "database", "db.example").as_deref(),
            Some("external.database")
        );
        assert_eq!(path("shop", "database", "elsewhere"), None, "one of two");
        assert_eq!(path("5432", "port", "").as_deref(), Some("external.port"));
        assert_eq!(path("shop", "password", ""), None);
    }

    #[test]
    fn loopback_addresses_are_found_within_text() {
        let read = |text: &str| {
            loopbacks(text)
                .into_iter()
                .map(|l| format!("{} {}", l.host, l.port))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            read("a http://localhost:5000/x, ws://127.0.0.1:4173"),
            ["localhost 5000", "127.0.0.1 4173"]
        );
        assert_eq!(read("http://[::1]:80"), ["[::1] 80"]);
        assert_eq!(
            read("mylocalhost:1 localhost localhost: localhost:99999 db.localhost:5"),
            [""; 0]
        );
    }
}
