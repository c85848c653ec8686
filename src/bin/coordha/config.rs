//! `coordha config`: the configuration that counts, and where each value comes from.

use std::process::ExitCode;

use clap::Parser;
use coordha::config::Format;

use crate::exit::Failure;
use crate::options::Options;
use crate::{help, output};

/// Show the configuration that counts: each key, its value, and where that comes from
///
/// Without a role, all that needs none. Secrets are shown as `***`. Values that are wrong or contradict each other are
/// told with the key, the value and what is allowed. Nothing is connected to.
#[derive(Parser)]
#[command(after_long_help = help::end(
    &[
        "coordha config --role rootcoord --config milvus.yaml",
        "coordha config --json | jq '.[] | select(.source != \"default\")'",
    ],
    &[("0", "the values go together"), help::FAILED, help::USAGE],
))]
pub(crate) struct Args {
    #[command(flatten)]
    options: Options,
    /// As a JSON array
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let config = args.options.load()?;
    output::write(&config.dump(if args.json { Format::Json } else { Format::Text }))?;
    config.resolve_inspector()?;
    Ok(ExitCode::SUCCESS)
}
