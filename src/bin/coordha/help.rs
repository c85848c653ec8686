//! What ends the help and the manual page of each subcommand: examples, and how it may end.

/// An exit code, and when it is that.
pub(crate) type Code = (&'static str, &'static str);

pub(crate) const FAILED: Code = ("1", "failed otherwise, such as where stdout cannot be written");
pub(crate) const USAGE: Code = ("2", "wrong command line, configuration key, value or file");
pub(crate) const STORE: Code = ("3", "the store cannot be reached, or refuses: credentials, certificates, permissions");

/// The examples and the exit codes of a subcommand, in words.
pub(crate) fn end(examples: &[&str], codes: &[Code]) -> String {
    let heading = if examples.len() == 1 { "Example:" } else { "Examples:" };
    let mut lines = vec![heading.to_owned()];
    lines.extend(examples.iter().map(|example| format!("  {example}")));
    lines.extend([String::new(), "Exit codes:".to_owned()]);
    let width = codes.iter().map(|(code, _)| code.len()).max().unwrap_or(0);
    lines.extend(codes.iter().map(|(code, when)| format!("  {code:width$}  {when}")));
    lines.join("\n")
}
