//! Parse, run, print errors, exit code.

use std::process::ExitCode;

use clap::Parser;
use devk::cli::Cli;
use devk::ui;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let format = cli.format();
    let exit = cli.run().unwrap_or_else(|errors| {
        ui::errors(&errors, format);
        errors.exit()
    });
    ExitCode::from(exit.number())
}
