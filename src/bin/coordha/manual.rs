//! `coordha completions` and `coordha man`: for shells and for the manual.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use clap_complete::Shell;

use crate::exit::{FAILED, Failure};
use crate::{Cli, output};

/// Write the completions for a shell
#[derive(Parser)]
pub(crate) struct CompletionsArgs {
    /// Which shell
    shell: Shell,
}

/// Write the manual page, or that of a subcommand, in roff
#[derive(Parser)]
pub(crate) struct ManArgs {
    /// Which subcommand
    #[arg(conflicts_with = "into")]
    subcommand: Option<String>,
    /// Write all pages into this folder, a file each
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
}

pub(crate) fn completions(args: &CompletionsArgs) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "coordha", &mut script);
    written(&script)
}

pub(crate) fn man(args: &ManArgs) -> Result<ExitCode, Failure> {
    let mut command = Cli::command();
    command.build();
    if let Some(folder) = &args.into {
        let written = clap_mangen::generate_to(command, folder);
        written.map_err(|error| Failure::new(FAILED, format!("{}: {error}", folder.display())))?;
        return Ok(ExitCode::SUCCESS);
    }
    let command = match &args.subcommand {
        None => command,
        Some(name) => {
            let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
            let why =
                || Failure::new(crate::exit::USAGE, format!("no subcommand {name:?} (allowed: {})", names.join(", ")));
            command.find_subcommand(name).ok_or_else(why)?.clone()
        }
    };
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(command).render(&mut page);
    rendered.map_err(|error| Failure::new(FAILED, error.to_string()))?;
    written(&page)
}

fn written(text: &[u8]) -> Result<ExitCode, Failure> {
    output::write(&String::from_utf8_lossy(text))?;
    Ok(ExitCode::SUCCESS)
}
