use std::path::PathBuf;

use super::*;
use crate::config::ReleaseSource;
use crate::release::helm::Helm;
use crate::release::prepare::fixture;

struct Trial(tempfile::TempDir);

impl Trial {
    fn new(files: &[(&str, &str)]) -> Self {
        let trial = Self(tempfile::tempdir().unwrap());
        files
            .iter()
            .for_each(|(path, text)| trial.write(path, text));
        trial
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let file = self.path(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    fn origin(&self) -> Origin {
        Origin {
            file: self.path("devk.yaml"),
            line: 3,
        }
    }

    fn release(&self, source: ReleaseSource) -> ReleaseConfig {
        ReleaseConfig {
            source,
            origin: self.origin(),
            ..fixture::release()
        }
    }

    async fn manifests(&self, patterns: &[&str]) -> Result<Chart, Errors> {
        let pattern = |text: &&str| ManifestPattern {
            text: (*text).to_owned(),
            origin: self.origin(),
        };
        let release = self.release(ReleaseSource::Manifests(
            patterns.iter().map(pattern).collect(),
        ));
        Chart::open(&release, &fixture::no_helm(), &self.path("cache")).await
    }

    /// The only error.
    async fn refused(&self, release: &ReleaseConfig, helm: &Helm) -> Error {
        let opened = Chart::open(release, helm, &self.path("cache")).await;
        let errors = opened.unwrap_err();
        assert_eq!(errors.0.len(), 1, "{errors:?}");
        errors.0[0].clone()
    }

    /// The problems, as they are shown.
    async fn told(&self, patterns: &[&str]) -> Vec<String> {
        let errors = self.manifests(patterns).await.unwrap_err().0;
        let root = format!("{}/", self.0.path().display());
        errors
            .iter()
            .map(|error| error.to_string().replace(&root, ""))
            .collect()
    }
}

fn object(kind: &str, name: &str) -> String {
    format!("apiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}}}\n")
}

fn read(chart: &Chart, path: &str) -> String {
    std::fs::read_to_string(chart.dir.join(path)).unwrap()
}

#[tokio::test]
async fn each_file_becomes_a_template_in_which_nothing_is_a_template() {
    let rule = object("ConfigMap", "rules") + "data: {a: \"{{{ $x }} {{- y -}}\"}\n";
    let trial = Trial::new(&[
        ("k8s/rules.yaml", &rule),
        ("k8s/_hidden.yml", &object("Secret", "s")),
    ]);
    let chart = trial.manifests(&["k8s", "k8s/*.yaml"]).await.unwrap();
    let text = read(&chart, "templates/k8s/rules.yaml");
    let expected = rule.replace("{{", "{{ \"{{\" }}");
    assert_eq!(text, format!("---\n# k8s/rules.yaml\n{expected}# end\n"));
    assert_eq!(
        chart.user_file("shop/templates/k8s/x_hidden.yml"),
        Some(trial.path("k8s/_hidden.yml"))
    );
    let shown = chart.shown("shop/templates/k8s/rules.yaml").unwrap();
    assert_eq!(shown, "k8s/rules.yaml");
    assert_eq!(chart.user_file(&shown), Some(trial.path("k8s/rules.yaml")));
    let said = format!(
        "error in shop/templates/k8s/rules.yaml and {}/templates/k8s/rules.yaml",
        chart.dir.display()
    );
    let file = trial.path("k8s/rules.yaml").display().to_string();
    assert_eq!(
        chart.in_users_words(&said),
        format!("error in {file} and {file}")
    );
}

#[tokio::test]
async fn definitions_go_to_the_folder_that_helm_installs_first() {
    let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n\
                      metadata: {name: a.example.com}\nspec: {doc: \"{{ }}\"}\n";
    let both = format!("{definition}---\n{}", object("A", "one"));
    let trial = Trial::new(&[("k8s/both.yaml", &both)]);
    let chart = trial.manifests(&["k8s"]).await.unwrap();
    assert_eq!(
        read(&chart, "crds/k8s/both.yaml"),
        format!("---\n# k8s/both.yaml\n{definition}# end\n")
    );
    assert!(!read(&chart, "templates/k8s/both.yaml").contains("CustomResourceDefinition"));
    let wrapped = chart.wrapped.unwrap();
    let [found] = &wrapped.definitions[..] else {
        panic!("{wrapped:?}");
    };
    assert_eq!(
        (&*found.name, &found.file, found.line),
        ("a.example.com", &trial.path("k8s/both.yaml"), 1)
    );
}

#[tokio::test]
async fn the_namespace_of_a_project_is_left_to_devk() {
    let trial = Trial::new(&[("namespace.yaml", &object("Namespace", "shop"))]);
    let chart = trial.manifests(&["*.yaml"]).await.unwrap();
    let text = read(&chart, "templates/namespace.yaml");
    assert!(
        text.starts_with("---\n{{ if ne .Release.Namespace \"shop\" }}\n# "),
        "{text}"
    );
    assert!(text.ends_with("# end\n{{ end }}\n"), "{text}");
    assert_eq!(
        chart.wrapped.unwrap().namespaces,
        ["shop".to_owned()].into()
    );
}

#[tokio::test]
async fn the_same_files_are_the_same_chart_and_a_change_is_another() {
    let trial = Trial::new(&[("k8s/a.yaml", &object("Secret", "a"))]);
    let first = trial.manifests(&["k8s"]).await.unwrap();
    let again = trial.manifests(&["k8s"]).await.unwrap();
    assert_eq!((&again.dir, &again.hash), (&first.dir, &first.hash));
    assert_eq!(again.wrapped, first.wrapped);
    trial.write("k8s/b.yaml", &object("Secret", "b"));
    assert_ne!(trial.manifests(&["k8s"]).await.unwrap().hash, first.hash);
    std::fs::remove_file(trial.path("k8s/b.yaml")).unwrap();
    assert_eq!(trial.manifests(&["k8s"]).await.unwrap().hash, first.hash);
}

#[cfg(unix)]
#[tokio::test]
async fn secrets_in_manifests_are_for_the_users_eyes_only() {
    use std::os::unix::fs::PermissionsExt;
    let trial = Trial::new(&[("k8s/a.yaml", &object("Secret", "a"))]);
    let chart = trial.manifests(&["k8s"]).await.unwrap();
    for folder in [chart.dir.as_path(), &trial.path("cache/charts")] {
        let mode = std::fs::metadata(folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", folder.display());
    }
}

#[tokio::test]
async fn all_problems_of_all_files_come_together() {
    let trial = Trial::new(&[
        ("k8s/a.yaml", &object("Secret", "a")),
        (
            "k8s/b.yaml",
            &format!("{}---\n{}", object("Secret", "b"), object("Secret", "a")),
        ),
        ("k8s/broken.yaml", "a: [\n"),
        ("k8s/values.yaml", "replicas: 1\n"),
    ]);
    let told = trial.told(&["k8s"]).await;
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].starts_with("k8s/broken.yaml:"), "{told:?}");
    assert!(
        told[1].starts_with("k8s/values.yaml:1: this is no manifest"),
        "{told:?}"
    );
    assert_eq!(
        told[2],
        "k8s/b.yaml:5: Secret `a` is written twice: it is in k8s/a.yaml:1, too"
    );

    let told = trial.told(&["nowhere/*.yaml", "nothing"]).await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told.iter().all(|told| told.starts_with("devk.yaml:3: ")),
        "{told:?}"
    );
}

/// A kubectl that prints a file, or what kustomize says when it fails, and counts its runs.
#[cfg(unix)]
fn fake_kubectl(trial: &Trial, script: &str) -> crate::release::helm::Helm {
    use std::os::unix::fs::PermissionsExt;
    let file = trial.path("bin/kubectl");
    trial.write(
        "bin/kubectl",
        &format!(
            "#!/bin/sh\necho run >> {}\n{script}\n",
            trial.path("runs").display()
        ),
    );
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", trial.path("bin").display());
    let environment = [("PATH".to_owned(), path)].into_iter().collect();
    Helm::in_environment(environment)
}

#[cfg(unix)]
#[tokio::test]
async fn a_kustomization_is_rendered_anew_only_if_something_that_it_reads_changed() {
    let trial = Trial::new(&[
        (
            "overlay/kustomization.yaml",
            "resources: [../base]\nnamePrefix: dev-\n",
        ),
        (
            "base/kustomization.yaml",
            "resources: [api.yaml]\nconfigMapGenerator: [{name: c, files: [c.txt]}]\n",
        ),
        ("base/api.yaml", &object("Service", "api")),
        ("base/c.txt", "one"),
        ("base/unread.txt", ""),
        (
            "out",
            &format!(
                "{}---\n{}",
                object("Service", "dev-api"),
                object("ConfigMap", "dev-c-0123")
            ),
        ),
    ]);
    let helm = fake_kubectl(&trial, &format!("cat {}", trial.path("out").display()));
    let release = trial.release(ReleaseSource::Kustomize(trial.path("overlay")));
    let open = async || {
        Chart::open(&release, &helm, &trial.path("cache"))
            .await
            .unwrap()
    };
    let runs = || {
        std::fs::read_to_string(trial.path("runs"))
            .unwrap()
            .lines()
            .count()
    };
    let first = open().await;
    assert_eq!(open().await.hash, first.hash);
    trial.write("base/unread.txt", "changed");
    open().await;
    assert_eq!(runs(), 1);
    assert_eq!(
        first.user_file("shop/templates/base/api.yaml"),
        Some(trial.path("base/api.yaml"))
    );
    assert!(
        read(&first, "templates/base/kustomization.yaml").contains("dev-c-0123"),
        "the generator's file"
    );

    trial.write("base/c.txt", "two");
    assert_eq!(open().await.hash, first.hash, "it renders to the same");
    assert_eq!(runs(), 2);
    trial.write("out", &object("Service", "dev-api"));
    trial.write("base/api.yaml", &object("Service", "api2"));
    assert_ne!(open().await.hash, first.hash);
}

#[cfg(unix)]
#[tokio::test]
async fn a_kustomization_that_does_not_render_is_told_in_kustomizes_words() {
    let trial = Trial::new(&[("overlay/kustomization.yaml", "resources: [nowhere.yaml]\n")]);
    let helm = fake_kubectl(
        &trial,
        "echo 'error: accumulating resources: no such file' >&2; exit 1",
    );
    let release = trial.release(ReleaseSource::Kustomize(trial.path("overlay")));
    let error = trial.refused(&release, &helm).await;
    assert_eq!(error.code, Code::KustomizeBuild);
    assert_eq!(
        error.message,
        "the kustomization does not render: accumulating resources: no such file"
    );
    assert_eq!(error.file, Some(trial.path("overlay/kustomization.yaml")));
}

#[tokio::test]
async fn without_kubectl_and_kustomize_the_error_says_what_to_install() {
    let trial = Trial::new(&[("overlay/kustomization.yaml", "resources: []\n")]);
    let helm = Helm::in_environment(Environment::default());
    let release = trial.release(ReleaseSource::Kustomize(trial.path("overlay")));
    let error = trial.refused(&release, &helm).await;
    assert_eq!((error.code, error.line), (Code::ToolMissing, Some(3)));
    assert!(
        error.hint.as_ref().unwrap().contains("install kubectl"),
        "{error:?}"
    );
}

#[tokio::test]
async fn devks_changes_are_made_in_the_chart_and_every_other_byte_stays() {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web, annotations: {a: \"{{ b }}\"}}\n\
                   spec: {type: NodePort, ports: [{port: 1}]} # kept\n";
    let image =
        object("Namespace", "shop").replace("name: shop", "name: shop, labels: {image: NodePort}");
    let trial = Trial::new(&[("k8s/a.yaml", service), ("k8s/b.yaml", &image)]);
    let chart = trial.manifests(&["k8s"]).await.unwrap();
    let wrapped = chart.wrapped.clone().unwrap();
    let rewrite = Rewrite {
        cluster_ip: true,
        ..Rewrite::default()
    };
    let cache = trial.path("cache");
    let made = || rewritten(&chart, &wrapped, &rewrite, "shop", &cache).unwrap();
    let text = read(&chart, "templates/k8s/a.yaml");
    assert_eq!(
        read(&made(), "templates/k8s/a.yaml"),
        text.replace("NodePort", "ClusterIP")
    );
    let namespace = "templates/k8s/b.yaml";
    assert_eq!(read(&made(), namespace), read(&chart, namespace));
    assert_eq!(
        read(&chart, "templates/k8s/a.yaml"),
        text,
        "the next rendering starts from it"
    );
    assert_eq!(made().wrapped, Some(wrapped.clone()));
}
