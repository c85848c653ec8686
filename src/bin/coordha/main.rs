//! The command `coordha`: high availability for programs that cannot link the library, and what an operator looks with.
//! It uses the library as any program would.

mod advice;
mod config;
mod doctor;
mod exit;
mod help;
mod ids;
mod inspecting;
mod json;
mod lines;
mod log;
mod manual;
mod observe;
mod options;
mod output;
mod run;
mod signals;
mod status;
mod watch;
mod words;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::exit::Failure;

/// Active-standby for coordinators: runs a program under an election, and looks into elections.
#[derive(Parser)]
#[command(name = "coordha", version, arg_required_else_help = true, after_long_help = exit::help())]
#[command(infer_long_args = false, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Args),
    Status(status::Args),
    Watch(watch::Args),
    Observe(observe::Args),
    Doctor(doctor::Args),
    Ids(ids::Args),
    Config(config::Args),
    Completions(manual::CompletionsArgs),
    Man(manual::ManArgs),
}

fn main() -> ExitCode {
    if let Some(code) = run::as_part() {
        return code;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(refusal) => return exit::refused(&refusal),
    };
    match log::begin().and_then(|()| run(cli.command)) {
        Ok(code) => code,
        Err(failure) => failure.tell(),
    }
}

fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Watch(args) => watch::run(&args),
        Command::Observe(args) => observe::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Ids(args) => ids::run(&args),
        Command::Config(args) => config::run(&args),
        Command::Completions(args) => manual::completions(&args),
        Command::Man(args) => manual::man(&args),
    }
}
