//! What devk costs by the size of a stack: services, forwards, images, and files that are watched.

use std::fmt::Write;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::container::Reader;
use super::figures::{median, percentile, times};
use super::project::Project;
use super::report::{Report, Row};
use super::stack::{CLUSTER, Stack};
use super::sync::saves;
use super::watching::resident;

const SAVES: usize = 50;
const TIMES: usize = 7;
const REST: Duration = Duration::from_secs(20);

struct Size {
    images: usize,
    services: usize,
    files: usize,
}

const FULL: Size = Size {
    images: 20,
    services: 50,
    files: 100_000,
};
const TENTH: Size = Size {
    images: 2,
    services: 5,
    files: 10_000,
};

/// Each Deployment runs one image; the Services, of two ports each, are dealt out to them.
const CHART: &str = r#"
{{- range $number := until (int .Values.images) }}
{{- $image := index $.Values (printf "i%d" $number) }}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: "scale-{{ $number }}"}
spec:
  selector: {matchLabels: {app: "i{{ $number }}"}}
  template:
    metadata: {labels: {app: "i{{ $number }}"}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: server
          image: "{{ $image.repository }}:{{ $image.tag }}"
          ports: [{name: http, containerPort: 8080}]
{{- end }}
{{- range $number := until (int .Values.services) }}
---
apiVersion: v1
kind: Service
metadata: {name: "scale-{{ $number }}"}
spec:
  selector: {app: "i{{ mod $number (int $.Values.images) }}"}
  ports:
    - {name: first, port: {{ add 2000 (mul 2 $number) }}, targetPort: http}
    - {name: second, port: {{ add 2001 (mul 2 $number) }}, targetPort: http}
{{- end }}
"#;

const DOCKERFILE: &str = r#"FROM python:3.11-slim
WORKDIR /srv
COPY app app
CMD ["python", "-u", "-m", "http.server", "8080"]
"#;

pub(super) fn measure(stack: &Stack, report: &mut Report) -> Result<()> {
    let tenth = Figures::of(stack, &TENTH, report)?;
    let full = Figures::of(stack, &FULL, report)?;
    let Size {
        images,
        services,
        files,
    } = FULL;
    let what = format!(
        "{services} services, {} forwards, {images} images, {files} files",
        2 * services
    );
    for ((name, unit, full), (_, _, tenth)) in full.rows().into_iter().zip(tenth.rows()) {
        report.add(
            Row::less(format!("{what}: {name}"), full, unit).beside(tenth, "a tenth of all that"),
        );
    }
    Ok(())
}

struct Figures {
    unchanged: f64,
    status: f64,
    saves: Vec<f64>,
    memory: f64,
}

impl Figures {
    fn of(stack: &Stack, size: &Size, report: &mut Report) -> Result<Self> {
        let project = Project::of(stack, &format!("scale-{}", size.images));
        make(&project, size)?;
        let since = Instant::now();
        project.devk(&["up", "-d"])?;
        report.note(format!(
            "{} images, built and brought up from nothing: {:.0?}",
            size.images,
            since.elapsed()
        ));
        let forwards = project.json(&["ports"])?["forwards"]
            .as_array()
            .map_or(0, Vec::len);
        ensure!(forwards == 2 * size.services, "{forwards} forwards");
        // What was loaded is learnt in the background.
        sleep(REST);
        let memory = resident(project.supervisor()?)?;
        let unchanged = times(TIMES, || project.devk(&["up", "-d"]).map(drop))?;
        let status = times(TIMES, || project.devk(&["status"]).map(drop))?;
        let pods = project.kubectl_output(&["get", "pods", "-l", "app=i0", "-o", "name"])?;
        let pod = pods.trim().trim_start_matches("pod/").to_owned();
        let mut readers = Reader::in_each(&project, &[pod], &["/srv/app/probe".to_owned()])?;
        let saves = saves(&project.path("i0/app/probe"), &mut readers, SAVES)?;
        drop(readers);
        project.devk(&["down", "--delete"])?;
        fs::remove_dir_all(project.path(""))?;
        Ok(Self {
            unchanged,
            status,
            saves,
            memory,
        })
    }

    fn rows(&self) -> [(&'static str, &'static str, f64); 5] {
        [
            ("`devk up` with nothing to do", "ms", self.unchanged),
            ("`devk status`", "ms", self.status),
            ("one save, p50", "ms", median(&self.saves)),
            ("one save, p99", "ms", percentile(&self.saves, 99)),
            ("resident memory of the session", "MB", self.memory),
        ]
    }
}

fn make(project: &Project<'_>, size: &Size) -> Result<()> {
    let Size {
        images,
        services,
        files,
    } = *size;
    fs::create_dir_all(project.path("chart/templates"))?;
    fs::write(
        project.path("chart/Chart.yaml"),
        "apiVersion: v2\nname: scale\nversion: 0.1.0\n",
    )?;
    fs::write(project.path("chart/templates/scale.yaml"), CHART)?;
    let mut values = format!("images: {images}\nservices: {services}\n");
    let mut config =
        format!("name: scale-{images}\ncluster: {{provider: kind, name: {CLUSTER}}}\nimages:\n");
    let mut injected = String::new();
    for image in 0..images {
        let name = format!("i{image}");
        writeln!(values, "{name}: {{repository: none, tag: none}}")?;
        writeln!(
            config,
            "  {name}: {{context: ./{name}, sync: [{{from: app, to: /srv/app}}]}}"
        )?;
        writeln!(
            injected,
            "      {name}: {{repository: {name}.repository, tag: {name}.tag}}"
        )?;
        fill(project, &name, files / images)?;
    }
    write!(
        config,
        "releases:\n  - name: scale\n    chart: ./chart\n    timeout: 300s\n    images:\n{injected}"
    )?;
    fs::write(project.path("chart/values.yaml"), values)?;
    Ok(fs::write(project.path("devk.yaml"), config)?)
}

fn fill(project: &Project<'_>, image: &str, files: usize) -> Result<()> {
    let app = project.path(image).join("app");
    fs::create_dir_all(&app)?;
    fs::write(project.path(image).join("Dockerfile"), DOCKERFILE)?;
    fs::write(app.join("probe"), "none\n")?;
    for number in 1..files {
        let folder = app.join(format!("d{}", number / 20));
        fs::create_dir_all(&folder)?;
        fs::write(
            folder.join(format!("file-{number}.py")),
            format!("value = {image}{number}\n"),
        )?;
    }
    Ok(())
}
