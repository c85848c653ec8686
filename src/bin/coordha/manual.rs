//! `coordha completions` and `coordha man`: for shells and for the manual.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::exit::{FAILED, Failure};
use crate::{Cli, help, output};

/// Write the completions for a shell
///
/// `make install` puts them where bash, zsh and fish look.
#[derive(Parser)]
#[command(after_long_help = help::end(
    &["coordha completions bash >~/.local/share/bash-completion/completions/coordha"],
    &[("0", "done"), help::FAILED, help::USAGE],
))]
pub(crate) struct CompletionsArgs {
    /// Which shell
    shell: Shell,
}

/// Write the manual page, or that of a subcommand, in roff
///
/// `make install` puts them where `man coordha` and `man coordha-run` look.
#[derive(Parser)]
#[command(after_long_help = help::end(
    &["coordha man status | man -l -", "coordha man --into ~/.local/share/man/man1"],
    &[("0", "done"), help::FAILED, help::USAGE],
))]
pub(crate) struct ManArgs {
    /// Which subcommand. Default: that of coordha itself
    #[arg(conflicts_with = "into")]
    subcommand: Option<String>,
    /// Write all pages into this folder, a file each. Default: one page, to stdout
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
        for command in std::iter::once(&command).chain(command.get_subcommands()) {
            let file = folder.join(Man::new(command.clone()).get_filename());
            let written = page(command).and_then(|page| std::fs::write(&file, page));
            written.map_err(|error| Failure::new(FAILED, format!("{}: {error}", file.display())))?;
        }
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
    written(&page(&command).map_err(|error| Failure::new(FAILED, error.to_string()))?)
}

/// The manual page: what comes after the help by its own headings, as every manual has them.
fn page(command: &clap::Command) -> std::io::Result<Vec<u8>> {
    let man = Man::new(command.clone()).source(format!("coordha {}", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let end = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    for section in end.split("\n\n") {
        let (heading, lines) = section.split_once('\n').unwrap_or((section, ""));
        let heading = if heading.starts_with("Example") { "EXAMPLES" } else { "EXIT STATUS" };
        writeln!(page, ".SH {heading}\n.nf\n{}\n.fi", roff(lines))?;
    }
    let others = if command.get_name() == "coordha" { command.get_subcommands().map(names).collect() } else { vec![] };
    let others = if others.is_empty() { "coordha(1)".to_owned() } else { others.join(", ") };
    writeln!(page, ".SH SEE ALSO\n{}", roff(&others))?;
    Ok(page)
}

/// `coordha-status(1)`.
fn names(subcommand: &clap::Command) -> String {
    format!("coordha-{}(1)", subcommand.get_name())
}

/// Lines as they stand, in roff.
fn roff(text: &str) -> String {
    let escaped = text.replace('\\', r"\e").replace('-', r"\-");
    // A line that begins with one of these would be an order; blanks in front are kept.
    let is_order = |line: &str| line.starts_with(['.', '\'']);
    let lines = escaped.lines().map(|line| if is_order(line) { format!(r"\&{line}") } else { line.to_owned() });
    lines.collect::<Vec<String>>().join("\n")
}

fn written(text: &[u8]) -> Result<ExitCode, Failure> {
    output::write(&String::from_utf8_lossy(text))?;
    Ok(ExitCode::SUCCESS)
}
