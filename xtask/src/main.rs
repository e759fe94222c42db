//! Development tasks of devk, run as `cargo xtask TASK`.

use std::process::ExitCode;

mod bench;
mod command;
mod kubernetes;
mod lab;
mod runc_wrapper;
mod tidy;
mod times;

fn main() -> ExitCode {
    let mut args = std::env::args();
    let called_as = args.next().unwrap_or_default();
    let args: Vec<String> = args.collect();
    if runc_wrapper::is_meant(&called_as) {
        return runc_wrapper::run(&args);
    }
    let outcome = match args.split_first() {
        Some((task, rest)) if task == "agents" => bench::agents(rest),
        Some((task, rest)) if task == "bench" => bench::main(rest),
        Some((task, rest)) if task == "kubernetes" => kubernetes::main(rest),
        Some((task, rest)) if task == "lab" => lab::main(rest),
        Some((task, rest)) if task == "soak" => bench::soak(rest),
        Some((task, rest)) if task == "tidy" => tidy::main(rest),
        Some((task, rest)) if task == "times" => times::main(rest),
        Some((task, rest)) if task == "worktrees" => bench::worktrees(rest),
        _ => Err(anyhow::anyhow!(
            "usage: cargo xtask agents [MINUTES] | cargo xtask bench [PART…] | cargo xtask kubernetes [PART] | \
             cargo xtask lab [--help] | cargo xtask soak [MINUTES] | cargo xtask tidy | cargo xtask times JUNIT_XML… | \
             cargo xtask worktrees [COUNT]"
        )),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
