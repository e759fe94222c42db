//! The programs devk runs, and kubectl, which people run beside it: whether they are installed, and whether their
//! versions suffice.

use super::{Check, DoctorFacts, Id};
use crate::config::Provider;
use crate::environment::Environment;
use crate::error::Result;
use crate::process::Cmd;

/// A program, the command that prints its version, the oldest version that works, and the oldest that works well.
struct Tool {
    id: Id,
    program: &'static str,
    args: &'static [&'static str],
    oldest: (u32, u32),
    wanted: (u32, u32),
    hint: &'static str,
}

const KIND: Tool = Tool {
    id: Id::ToolsKind,
    program: "kind",
    args: &["version"],
    // The first whose nodes run Kubernetes 1.31 and newer.
    oldest: (0, 24),
    wanted: (0, 24),
    hint: "install kind (https://kind.sigs.k8s.io), or run scripts/onboard",
};

const MINIKUBE: Tool = Tool {
    id: Id::ToolsMinikube,
    program: "minikube",
    args: &["version"],
    oldest: (1, 0),
    wanted: (1, 0),
    hint: "install minikube (https://minikube.sigs.k8s.io)",
};

const K3D: Tool = Tool {
    id: Id::ToolsK3d,
    program: "k3d",
    args: &["version"],
    oldest: (5, 0),
    wanted: (5, 0),
    hint: "install k3d (https://k3d.io)",
};

const HELM: Tool = Tool {
    id: Id::ToolsHelm,
    program: "helm",
    args: &["version", "--short"],
    oldest: (3, 8),
    // The first with `helm upgrade --labels`; without them every `up` upgrades.
    wanted: (3, 13),
    hint: "install helm (https://helm.sh), or run scripts/onboard",
};

const KUBECTL: Tool = Tool {
    id: Id::ToolsKubectl,
    program: "kubectl",
    args: &["version", "--client"],
    oldest: (1, 0),
    wanted: (1, 0),
    hint: "install kubectl of the cluster's version (https://kubernetes.io/docs/tasks/tools)",
};

/// What each program printed of itself.
#[derive(Debug)]
pub struct Tools {
    pub kind: Result<String>,
    pub minikube: Result<String>,
    pub k3d: Result<String>,
    pub helm: Result<String>,
    pub kubectl: Result<String>,
}

pub(super) async fn inspect(environment: &Environment) -> Tools {
    let ask = |tool| ask(tool, environment);
    let (kind, minikube, k3d, helm, kubectl) = tokio::join!(
        ask(&KIND),
        ask(&MINIKUBE),
        ask(&K3D),
        ask(&HELM),
        ask(&KUBECTL)
    );
    Tools {
        kind,
        minikube,
        k3d,
        helm,
        kubectl,
    }
}

async fn ask(tool: &Tool, environment: &Environment) -> Result<String> {
    let program = environment.find(tool.program, tool.hint)?;
    Ok(Cmd::new(program)
        .inherit(environment)
        .args(tool.args)
        .run()
        .await?
        .stdout)
}

pub(super) fn checks(facts: &DoctorFacts) -> Vec<Check> {
    let told = |tool: &Tool, output: &Result<String>| match output {
        Ok(text) => judge(tool, text),
        Err(error) => Check::failed(tool.id, error),
    };
    let cluster = facts
        .cluster
        .as_ref()
        .ok()
        .and_then(|cluster| cluster.version.as_deref());
    let kubectl = match &facts.tools.kubectl {
        Ok(text) => skew(text, cluster),
        Err(_) => Check::skipped(
            Id::ToolsKubectl,
            "kubectl is not there; devk itself does not need it",
        ),
    };
    let provider = facts
        .project
        .as_ref()
        .map_or(Provider::Kind, |project| project.cluster.provider);
    let mut checks = match provider {
        Provider::Kind => vec![told(&KIND, &facts.tools.kind)],
        other => vec![Check::skipped(
            Id::ToolsKind,
            format!("devk.yaml asks for provider `{}`", other.word()),
        )],
    };
    checks.extend(match provider {
        Provider::Minikube => Some(told(&MINIKUBE, &facts.tools.minikube)),
        Provider::K3d => Some(told(&K3D, &facts.tools.k3d)),
        Provider::Kind | Provider::Existing => None,
    });
    checks.extend([told(&HELM, &facts.tools.helm), kubectl]);
    checks
}

fn judge(tool: &Tool, text: &str) -> Check {
    let Some((found, shown)) = version(text) else {
        let summary = format!("{} does not print its version", tool.program);
        return Check::warning(tool.id, summary).evidence(text.trim());
    };
    let (major, minor) = tool.wanted;
    let old = format!("{} {shown} is older than v{major}.{minor}", tool.program);
    match found {
        found if found >= tool.wanted => Check::ok(tool.id, format!("{} {shown}", tool.program)),
        found if found >= tool.oldest => Check::warning(tool.id, old).hint(tool.hint),
        _ => Check::error(tool.id, old).hint(tool.hint),
    }
}

/// kubectl may be one minor version older or newer than the API server (Kubernetes, "Version Skew Policy").
fn skew(text: &str, cluster: Option<&str>) -> Check {
    let check = judge(&KUBECTL, text);
    let versions = version(text).zip(cluster.and_then(version));
    let Some((((major, minor), client), ((its_major, its_minor), server))) = versions else {
        return check;
    };
    if major == its_major && minor.abs_diff(its_minor) <= 1 {
        return check;
    }
    Check::warning(
        Id::ToolsKubectl,
        format!("kubectl {client} is too far from the cluster's {server}"),
    )
    .evidence("one minor version older or newer is supported")
    .hint(KUBECTL.hint)
}

/// The first `vX.Y…` in a text.
fn version(text: &str) -> Option<((u32, u32), &str)> {
    text.split_whitespace().find_map(|word| {
        let mut numbers = word.strip_prefix('v')?.split('.');
        Some((
            (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?),
            word,
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::super::CheckStatus;
    use super::*;

    #[test]
    fn an_old_tool_is_an_error_and_a_new_one_is_fine() {
        assert_eq!(judge(&HELM, "v3.7.2+g663a896").status, CheckStatus::Error);
        assert_eq!(
            judge(&HELM, "v3.12.3+g3a31588").status,
            CheckStatus::Warning
        );
        assert_eq!(judge(&HELM, "v4.3.1").status, CheckStatus::Ok);
        assert_eq!(
            judge(&KIND, "kind v0.33.0 go1.26 linux/amd64").summary,
            "kind v0.33.0"
        );
        assert_eq!(judge(&KIND, "?").status, CheckStatus::Warning);
    }

    #[test]
    fn kubectl_may_be_one_minor_version_from_the_cluster() {
        let status = |cluster| {
            skew(
                "Client Version: v1.34.1\nKustomize Version: v5.7.1",
                cluster,
            )
            .status
        };
        assert_eq!(
            (
                status(Some("v1.35.0")),
                status(Some("v1.33.9")),
                status(None)
            ),
            (CheckStatus::Ok, CheckStatus::Ok, CheckStatus::Ok)
        );
        assert_eq!(
            (status(Some("v1.36.0")), status(Some("v1.32.0"))),
            (CheckStatus::Warning, CheckStatus::Warning)
        );
    }
}
