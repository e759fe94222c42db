//! What a command costs that has nothing to do.

use std::process::Command;

use anyhow::Result;

use super::figures::times;
use super::report::{Report, Row};
use super::stack::Stack;
use crate::command;

pub(super) fn measure(stack: &Stack, report: &mut Report) -> Result<()> {
    let devk = times(40, || command::run(stack.command().arg("--version")))?;
    let kubectl = times(40, || {
        command::run(Command::new("kubectl").args(["version", "--client"]))
    })?;
    report.add(
        Row::less("`devk --version`", devk, "ms").beside(kubectl, "`kubectl version --client`"),
    );

    let main = stack.main();
    let helm = || command::run(&mut helm(stack));
    helm()?;
    let helm = times(11, helm)?;
    let attached = times(11, || main.devk(&["up", "-d"]).map(drop))?;
    report.add(unchanged("the session running", attached, helm));
    main.devk(&["down"])?;
    main.devk(&["up", "--once"])?;
    let once = times(11, || main.devk(&["up", "--once"]).map(drop))?;
    report.add(unchanged("`--once`, with a session of its own", once, helm));
    main.devk(&["up", "-d"])?;
    stack.relay_serves(true)
}

fn unchanged(how: &str, devk: f64, helm: f64) -> Row {
    let row = Row::less(format!("`devk up` with nothing to do, {how}"), devk, "ms");
    row.beside(helm, "`helm upgrade --install` of the same chart")
}

/// The chart beside devk's release, and without a pod.
fn helm(stack: &Stack) -> Command {
    let mut command = Command::new("helm");
    command
        .args(["upgrade", "--install", "bench"])
        .arg(stack.main().path("chart"));
    command.args([
        "--namespace",
        "bench-helm",
        "--create-namespace",
        "--set",
        "replicas=0",
    ]);
    command.arg("--kubeconfig").arg(stack.kubeconfig());
    command
}
