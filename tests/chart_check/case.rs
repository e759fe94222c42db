//! A chart with one thing changed: in its files, in what it renders to, in what it is asked for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use devk::check::{
    ChartFacts, ChartGatherer, ChartReport, CheckRendering, CheckedChart, InstalledObject,
    Judgement, RenderFailure, RenderingUse, Start, judge, rules,
};
use devk::config::CheckConfig;
use devk::environment::Environment;
use devk::error::{Code, Error};
use devk::paths::Paths;
use devk::release::manifest::Rendered;
use jiff::civil::{Date, date};

pub(crate) const TODAY: Date = date(2027, 1, 15);

pub(crate) fn folder(chart: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/chart_check")
        .join(chart)
}

/// devk in a folder, with a home of its own.
pub(crate) fn devk(folder: &Path, home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_devk"));
    command.current_dir(folder);
    for name in ["STATE", "CACHE", "DATA"] {
        command.env(format!("XDG_{name}_HOME"), home.join(name));
    }
    command
}

/// The facts of a chart of this folder, by the real helm.
pub(crate) fn facts(chart: &str) -> ChartFacts {
    facts_of(&folder(chart))
}

pub(crate) fn facts_of(folder: &Path) -> ChartFacts {
    let chart = CheckedChart::Folder(folder.to_owned());
    with_gatherer(async |gatherer| gatherer.facts(&chart).await.unwrap())
}

/// Works with the real helm and folders of its own.
pub(crate) fn with_gatherer<T>(work: impl AsyncFnOnce(&ChartGatherer<'_>) -> T) -> T {
    let home = tempfile::tempdir().unwrap();
    let paths = Paths::below(home.path());
    let environment = Environment::of_process();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let gatherer = ChartGatherer::new(None, &paths, &environment).await;
        work(&gatherer.unwrap()).await
    })
}

pub(crate) fn report(facts: &ChartFacts, config: &CheckConfig) -> ChartReport {
    judge(facts, Judgement::new(config, TODAY))
}

/// Every rule that is off by default is on.
pub(crate) fn all_rules() -> CheckConfig {
    let off = rules().filter(|rule| rule.start == Start::Off);
    CheckConfig {
        enable: off.map(|rule| rule.id.to_owned()).collect(),
        ..CheckConfig::default()
    }
}

/// What is changed.
pub(crate) struct Case {
    pub(crate) facts: ChartFacts,
    pub(crate) config: CheckConfig,
    /// What is rendered by default.
    text: String,
}

/// The rules that find something once a thing is changed, with what they say.
pub(crate) fn found(
    base: &ChartFacts,
    change: fn(&mut Case),
) -> BTreeMap<&'static str, Vec<String>> {
    let mut case = Case::new(base);
    change(&mut case);
    let (facts, config) = case.whole();
    let mut found = BTreeMap::<_, Vec<_>>::new();
    for finding in report(&facts, &config)
        .findings
        .iter()
        .filter(|f| f.is_counted())
    {
        let object = finding.object.as_deref().unwrap_or_default();
        let said = format!("{object}: {}", finding.message);
        found.entry(finding.rule.id).or_default().push(said);
    }
    found
}

impl Case {
    pub(crate) fn new(base: &ChartFacts) -> Self {
        let mut facts = ChartFacts::new(
            &base.release,
            &base.namespace,
            &base.folder,
            base.files.clone(),
        );
        facts.templates.clone_from(&base.templates);
        let text = base.renderings[0]
            .documents
            .iter()
            .map(|document| format!("---\n{}", document.text));
        let text = text.collect();
        let values = base.renderings[0].values.clone();
        let rendering = CheckRendering::new("values.yaml", RenderingUse::Judged, "", values);
        facts.renderings.push(rendering.unwrap());
        Self {
            facts,
            config: all_rules(),
            text,
        }
    }

    fn whole(mut self) -> (ChartFacts, CheckConfig) {
        let values = self.facts.renderings[0].values.clone();
        let rendering =
            CheckRendering::new("values.yaml", RenderingUse::Judged, &self.text, values);
        self.facts.renderings[0] = rendering.unwrap();
        let files = self.facts.files.clone();
        let facts = ChartFacts::new("whole", &self.facts.namespace, &self.facts.folder, files);
        self.facts.metadata = facts.metadata;
        self.facts.definitions = facts.definitions;
        (self.facts, self.config)
    }

    /// Writes a chart whose templates are the rendered texts.
    pub(crate) fn write(&self, folder: &Path) {
        let write = |path: &Path, text: &str| {
            let file = folder.join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        let files = self.facts.files.iter();
        let files = files.filter(|file| !file.path.starts_with("templates"));
        for file in files {
            // Nothing of the text asks for a value: flipped ones would only take time.
            let text = file.text.as_deref().unwrap_or_default();
            write(&file.path, &text.replace("  enabled: true\n", ""));
        }
        let text = self.text.replace("{{", "{{ `{{` }}");
        write(Path::new("templates/all.yaml"), &text);
    }

    /// Replaces the first such text in the document of an object (`Deployment/api`).
    pub(crate) fn rendered(&mut self, object: &str, from: &str, to: &str) -> &mut Self {
        let mut documents: Vec<_> = self.text.split("---\n").map(str::to_owned).collect();
        let (kind, name) = object.split_once('/').unwrap();
        let (kind, name) = (format!("\nkind: {kind}\n"), format!("\n  name: {name}\n"));
        let mut fitting = documents
            .iter_mut()
            .filter(|d| d.contains(&kind) && d.contains(&name));
        let document = fitting
            .next()
            .unwrap_or_else(|| panic!("there is no {object}"));
        assert!(
            document.contains(from),
            "{object} has no {from:?} in\n{document}"
        );
        *document = document.replacen(from, to, 1);
        self.text = documents.join("---\n");
        self
    }

    /// Removes an object.
    pub(crate) fn without(&mut self, object: &str) -> &mut Self {
        let (kind, name) = object.split_once('/').unwrap();
        let (kind, name) = (format!("\nkind: {kind}\n"), format!("\n  name: {name}\n"));
        let documents = self.text.split("---\n");
        let left: Vec<_> = documents
            .filter(|d| !(d.contains(&kind) && d.contains(&name)))
            .collect();
        assert!(
            left.len() < self.text.split("---\n").count(),
            "there is no {object}"
        );
        self.text = left.join("---\n");
        self
    }

    /// Adds an object.
    pub(crate) fn added(&mut self, document: &str) -> &mut Self {
        self.text += &format!("---\n# Source: whole/templates/added.yaml\n{document}");
        self
    }

    /// Replaces a text in a file of the chart.
    pub(crate) fn file(&mut self, path: &str, from: &str, to: &str) -> &mut Self {
        let mut files = self.facts.files.iter_mut();
        let file = files.find(|file| file.path == Path::new(path)).unwrap();
        let text = file.text.as_mut().unwrap();
        assert!(text.contains(from), "{path} has no {from:?}");
        *text = text.replacen(from, to, 1);
        self
    }

    /// Removes a file of the chart.
    pub(crate) fn no_file(&mut self, path: &str) -> &mut Self {
        let before = self.facts.files.len();
        self.facts.files.retain(|file| file.path != Path::new(path));
        assert!(self.facts.files.len() < before, "there is no {path}");
        self
    }

    /// Adds a file to the chart.
    pub(crate) fn new_file(&mut self, path: &str, text: &str) -> &mut Self {
        self.facts.files.push(devk::release::variant::ChartFile {
            path: path.into(),
            text: Some(text.to_owned()),
        });
        self
    }

    /// Says that the chart did not render.
    pub(crate) fn failed(&mut self, usage: RenderingUse, asks_for_value: bool) -> &mut Self {
        self.facts.failures.push(RenderFailure {
            label: "a.yaml".to_owned(),
            usage,
            error: Error::new(Code::ChartRender, "nil pointer evaluating"),
            asks_for_value,
        });
        self
    }

    /// Says that an object of the rendering was installed in another form.
    pub(crate) fn installed(&mut self, before: &str, now: &str) -> &mut Self {
        let parse = |text: &str| Rendered::parse(text).unwrap();
        let found = InstalledObject::of(&parse(now), &parse(before), &self.facts.namespace);
        assert_eq!(found.len(), 1);
        self.facts.installed = found;
        self
    }
}
