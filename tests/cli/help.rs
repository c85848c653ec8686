//! The help of each subcommand, its manual page and the shells' completions: complete, and in one order.

use std::path::Path;

use crate::command::{coordha, ran};

/// The last heading of options: what all subcommands that look at a store have in common.
const COMMON: &str = "Store and configuration";

/// An option or argument, as the help shows it.
struct Shown {
    heading: String,
    /// `--grace-ms`.
    name: String,
    /// `MS`; `None`: a switch.
    value: Option<String>,
    text: String,
}

fn said<const N: usize>(args: [&str; N]) -> String {
    let ran = ran(&mut coordha(Path::new("/"), args));
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{args:?}");
    ran.stdout
}

/// The subcommands that `coordha --help` names.
fn subcommands() -> Vec<String> {
    let help = said(["--help"]);
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names: Vec<String> = lines
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["run", "status", "watch", "observe", "doctor", "ids", "config", "completions", "man"]);
    names
}

/// What stands below a heading.
fn section<'a>(help: &'a str, heading: &str) -> Vec<&'a str> {
    let lines = help.lines().skip_while(|line| *line != heading).skip(1);
    lines.take_while(|line| !line.is_empty()).map(str::trim).collect()
}

fn shown(help: &str) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    let mut heading = String::new();
    for line in help.lines().filter(|line| !line.trim().is_empty()) {
        if !line.starts_with(' ') {
            heading = line.trim_end_matches(':').to_owned();
            continue;
        }
        if ["Options", COMMON].contains(&heading.as_str()) {
            let text = line.trim();
            if line.starts_with("      --") || line.starts_with("  -") {
                let (name, value) = text.split_once(" <").unwrap_or((text, ""));
                let value = (!value.is_empty()).then(|| value.trim_end_matches(['>', '.']).to_owned());
                let name = name.rsplit(", ").next().unwrap().to_owned();
                shown.push(Shown { heading: heading.clone(), name, value, text: String::new() });
            } else if let Some(last) = shown.last_mut() {
                last.text += &format!("{text} ");
            }
        }
    }
    assert!(!shown.is_empty(), "{help}");
    shown
}

#[test]
fn options_stand_in_one_order_what_is_used_most_first_and_what_all_have_in_common_last() {
    for name in subcommands() {
        let options = shown(&said([&name, "--help"]));
        let names = |heading: &str| -> Vec<&str> {
            options.iter().filter(|option| option.heading == heading).map(|option| option.name.as_str()).collect()
        };
        assert_eq!(*names("Options").last().unwrap(), "--help", "{name}");
        if ["completions", "man"].contains(&name.as_str()) {
            assert!(names(COMMON).is_empty(), "{name}");
            continue;
        }
        assert_eq!(names("Options")[0], "--role", "{name}");
        assert_eq!(names(COMMON), ["--store", "--config", "--set", "--root", "--dialect"], "{name}");
        let headings: Vec<&str> = options.iter().map(|option| option.heading.as_str()).collect();
        assert!(headings.is_sorted_by_key(|heading| *heading == COMMON), "{name}: {headings:?}");
    }
}

#[test]
fn each_option_says_what_it_is_where_it_is_not_given_and_in_which_unit() {
    for name in subcommands() {
        for option in shown(&said([&name, "--help"])) {
            let Shown { name: option, value, text, .. } = option;
            assert!(!text.is_empty(), "{name} {option}");
            let Some(value) = value else { continue };
            let told = ["default:", "Default:", "Required", "Without it", "without it"];
            assert!(told.iter().any(|word| text.contains(word)), "{name} {option}: no default in {text}");
            if value == "MS" {
                let range = text.split("from ").nth(1).unwrap_or_else(|| panic!("{name} {option}: no range in {text}"));
                assert!(range.contains(" to ") && range.contains(" ms"), "{name} {option}: {text}");
            }
        }
    }
}

#[test]
fn each_help_ends_with_examples_that_parse_and_with_exit_codes() {
    for name in subcommands() {
        let help = said([&name, "--help"]);
        let mut examples = section(&help, "Example:");
        examples.extend(section(&help, "Examples:"));
        assert!(!examples.is_empty(), "{name}: no example");
        for example in examples {
            let own = example.split(" | ").next().unwrap();
            assert!(own.starts_with(&format!("coordha {name} ")), "{name}: {example}");
            let known = shown(&help);
            let options = own.split(" -- ").next().unwrap().split(' ').filter(|word| word.starts_with("--"));
            for option in options {
                assert!(known.iter().any(|shown| shown.name == option), "{name}: no {option}, but {example}");
            }
        }
        let codes = section(&help, "Exit codes:");
        assert!(codes[0].starts_with("0 ") && codes.len() >= 3, "{name}: {codes:?}");
        let whole = section(&said(["--help"]), "Exit codes:").join("\n");
        for code in codes.iter().filter_map(|line| line.split_whitespace().next()).filter(|code| code.len() == 1) {
            assert!(whole.lines().any(|line| line.starts_with(code)), "coordha --help does not know {code} of {name}");
        }
    }
}

/// The lines of the blocks of shell code in a page; a line that goes on in the next one is one.
fn shell_lines(page: &str) -> Vec<String> {
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split_once("```").unwrap().0.replace("\\\n", " "));
    blocks.flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn commands_in_the_pages_have_subcommands_and_options_that_the_help_knows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = docs.chain([root.join("README.md"), root.join("deploy/helm/coordha/README.md")]);
    let mut seen = 0;
    for page in pages.filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let text = std::fs::read_to_string(&page).unwrap();
        for line in shell_lines(&text).iter().filter(|line| line.contains("coordha ")) {
            let (_, own) = line.split_once("coordha ").unwrap();
            let mut words = own.split(" -- ").next().unwrap().split_whitespace().take_while(|word| *word != "#");
            let name = words.next().unwrap();
            if !subcommands().iter().any(|subcommand| subcommand == name) {
                continue;
            }
            let options = shown(&said([name, "--help"]));
            for option in words.filter(|word| word.starts_with("--")) {
                let is_known = options.iter().any(|shown| shown.name == option);
                assert!(is_known, "{}: coordha {name} has no {option}: {line}", page.display());
            }
            seen += 1;
        }
    }
    assert!(seen >= 10, "only {seen} commands");
}

/// A page in roff without its escapes.
fn plain(page: &str) -> String {
    page.replace(r"\-", "-").replace(r"\fB", "").replace(r"\fR", "").replace(r"\fI", "").replace(r"\e", "\\")
}

#[test]
fn each_manual_page_has_all_that_the_help_has() {
    let folder = tempfile::TempDir::new().unwrap();
    let into = ran(&mut coordha(folder.path(), ["man", "--into", "."]));
    assert_eq!((into.code, into.stdout.as_str(), into.stderr.as_str()), (0, "", ""));
    let read = |file: &str| std::fs::read_to_string(folder.path().join(file)).unwrap();
    let main = plain(&read("coordha.1"));
    assert_eq!(main, plain(&said(["man"])));
    for name in subcommands() {
        assert!(main.contains(&format!("coordha-{name}(1)")), "coordha.1 does not name {name}");
        let page = plain(&read(&format!("coordha-{name}.1")));
        assert_eq!(page, plain(&said(["man", &name])));
        let help = said([&name, "--help"]);
        for heading in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "EXIT STATUS", "SEE ALSO"] {
            let is_there =
                [format!(".SH {heading}\n"), format!(".SH \"{heading}\"")].iter().any(|line| page.contains(line));
            assert!(is_there, "{heading} in {page}");
        }
        for option in shown(&help) {
            assert!(page.contains(&option.name), "the page of {name} has no {}", option.name);
        }
        for line in [section(&help, "Example:"), section(&help, "Examples:"), section(&help, "Exit codes:")].concat() {
            assert!(page.contains(line), "the page of {name} has not: {line}");
        }
        assert!(page.contains("coordha(1)"), "{page}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), subcommands().len() + 1);
}

#[test]
fn the_completions_of_each_shell_know_every_subcommand_and_option() {
    for shell in ["bash", "zsh", "fish"] {
        let script = said(["completions", shell]);
        for name in subcommands() {
            assert!(script.contains(&name), "{shell}: {name}");
            for option in shown(&said([&name, "--help"])) {
                // fish has them without the dashes.
                let word = if shell == "fish" { format!("-l {}", &option.name[2..]) } else { option.name.clone() };
                assert!(script.contains(&word), "{shell}: {name} {}", option.name);
            }
        }
    }
}

#[test]
fn a_manual_page_that_cannot_be_written_or_does_not_exist_is_told() {
    let folder = tempfile::TempDir::new().unwrap();
    let nowhere = ran(&mut coordha(folder.path(), ["man", "--into", "no/such"]));
    assert_eq!((nowhere.code, nowhere.stdout.as_str()), (1, ""), "{nowhere:?}");
    assert!(nowhere.stderr.contains("no/such/coordha.1"), "{nowhere:?}");
    let unknown = ran(&mut coordha(folder.path(), ["man", "no-such"]));
    assert_eq!(unknown.code, 2, "{unknown:?}");
    assert!(unknown.stderr.contains("allowed: ") && unknown.stderr.contains("doctor"), "{unknown:?}");
}
