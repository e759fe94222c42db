//! The programs devk runs, and whether their versions will do.

use super::{Check, Status};
use crate::environment::Environment;
use crate::process::Cmd;

/// A program, how it tells its version, the oldest that works, and the oldest that works well.
struct Tool {
    id: &'static str,
    program: &'static str,
    args: &'static [&'static str],
    oldest: (u32, u32),
    wanted: (u32, u32),
    hint: &'static str,
}

const TOOLS: [Tool; 2] = [
    Tool {
        id: "tools.kind",
        program: "kind",
        args: &["version"],
        // The first whose nodes run Kubernetes 1.31 and newer.
        oldest: (0, 24),
        wanted: (0, 24),
        hint: "install kind (https://kind.sigs.k8s.io), or run scripts/onboard",
    },
    Tool {
        id: "tools.helm",
        program: "helm",
        args: &["version", "--short"],
        oldest: (3, 8),
        // The first with `helm upgrade --labels`; without them every `up` upgrades.
        wanted: (3, 13),
        hint: "install helm (https://helm.sh), or run scripts/onboard",
    },
];

pub async fn checks() -> Vec<Check> {
    futures::future::join_all(TOOLS.iter().map(check)).await
}

async fn check(tool: &Tool) -> Check {
    let output = match Environment::of_process().find(tool.program, tool.hint) {
        Ok(path) => Cmd::new(path).args(tool.args).run().await,
        Err(error) => Err(error),
    };
    match output {
        Err(error) => Check::failed(tool.id, &error),
        Ok(output) => judge(tool, &output.stdout),
    }
}

fn judge(tool: &Tool, text: &str) -> Check {
    let Some((found, shown)) = version(text) else {
        let summary = format!("{} does not tell its version", tool.program);
        return Check::new(tool.id, Status::Warning, summary).evidence(text.trim());
    };
    let (major, minor) = tool.wanted;
    let old = format!("{} {shown} is older than v{major}.{minor}", tool.program);
    match found {
        found if found >= tool.wanted => Check::new(tool.id, Status::Ok, format!("{} {shown}", tool.program)),
        found if found >= tool.oldest => Check::new(tool.id, Status::Warning, old).hint(tool.hint),
        _ => Check::new(tool.id, Status::Error, old).hint(tool.hint),
    }
}

/// The first `vX.Y…` in a text.
fn version(text: &str) -> Option<((u32, u32), &str)> {
    text.split_whitespace().find_map(|word| {
        let mut numbers = word.strip_prefix('v')?.split('.');
        Some(((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?), word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_tool_is_an_error_and_a_new_one_is_fine() {
        assert_eq!(judge(&TOOLS[1], "v3.7.2+g663a896").status, Status::Error);
        assert_eq!(judge(&TOOLS[1], "v3.12.3+g3a31588").status, Status::Warning);
        assert_eq!(judge(&TOOLS[1], "v4.3.1").status, Status::Ok);
        assert_eq!(judge(&TOOLS[0], "kind v0.33.0 go1.26 linux/amd64").summary, "kind v0.33.0");
        assert_eq!(judge(&TOOLS[0], "?").status, Status::Warning);
    }
}
