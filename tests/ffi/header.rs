//! `include/coordha.h`: what it must be, where it must compile, and what it must say.

use std::fs;
use std::path::Path;
use std::process::Command;

use coordha::config::keys::KEYS;
use coordha::error::ErrorKind;

use crate::artifacts::{compiler, root, said};
use crate::bless;

/// What build.rs made of the sources.
pub(crate) const GENERATED: &str = include_str!(concat!(env!("OUT_DIR"), "/coordha.h"));

#[test]
fn the_header_is_what_the_sources_say() {
    bless::check("include/coordha.h", GENERATED);
}

/// The compilers that are installed; clang is not everywhere.
fn compilers() -> Vec<(&'static str, &'static str, &'static str)> {
    let all = [
        ("gcc", "c99", "c"),
        ("gcc", "c17", "c"),
        ("g++", "c++17", "c++"),
        ("clang", "c99", "c"),
        ("clang++", "c++17", "c++"),
    ];
    let there = |driver: &str| Command::new(driver).arg("--version").output().is_ok();
    all.into_iter().filter(|(driver, _, _)| driver.starts_with('g') || there(driver)).collect()
}

/// Compiles a text that uses the header, with every compiler.
fn compiles(text: &str) {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    fs::write(&source, text).unwrap();
    for (driver, standard, language) in compilers() {
        let mut compiler = compiler(driver, standard);
        compiler.args(["-fsyntax-only", "-x", language]).arg(&source);
        said(&mut compiler);
    }
}

#[test]
fn the_header_compiles_alone_as_c_and_as_cpp() {
    compiles("#include <coordha.h>\n");
}

#[test]
fn the_header_may_be_included_twice() {
    compiles("#include <coordha.h>\n#include <coordha.h>\n#include \"coordha.h\"\n");
}

#[test]
fn callbacks_are_initialised_and_constants_used_in_both_languages() {
    compiles(
        "#include <coordha.h>
int32_t use(int32_t status);
int32_t use(int32_t status) {
    ha_callbacks callbacks = HA_CALLBACKS_INIT;
    int64_t limit = HA_FOREVER;
    const char *key = HA_KEY_ROLE;
    switch (status) {
    case HA_OK: return callbacks.on_activate == NULL;
    case HA_ERR_FENCED: return limit < 0;
    default: return key[0];
    }
}
",
    );
}

/// The functions' prototypes with the comment before each: the header as a reader of it sees it.
pub(crate) fn functions() -> Vec<Function> {
    let mut functions = Vec::new();
    for part in GENERATED.split("/**").skip(1) {
        let (comment, code) = part.split_once("*/").unwrap();
        let code = code.split_whitespace().collect::<Vec<_>>().join(" ");
        let Some(prototype) = code.split_inclusive(';').next() else {
            continue;
        };
        if prototype.contains(" ha_") || prototype.contains("*ha_") {
            functions.extend(Function::parse(prototype, comment));
        }
    }
    functions
}

/// One function of the header.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) returns: String,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) comment: String,
}

pub(crate) struct Parameter {
    pub(crate) declared: String,
    pub(crate) name: String,
}

impl Function {
    /// `None` for what is no prototype (a type, a constant).
    fn parse(prototype: &str, comment: &str) -> Option<Self> {
        if prototype.starts_with(['#', 't']) {
            return None;
        }
        let (head, tail) = prototype.split_once('(')?;
        let at = head.rfind("ha_")?;
        let inside = tail.trim_end_matches(");");
        let parameters = split_parameters(inside);
        Some(Self {
            name: head[at..].to_owned(),
            returns: head[..at].trim().to_owned(),
            parameters: parameters.into_iter().map(Parameter::parse).collect(),
            comment: comment.to_owned(),
        })
    }

    /// Whether the comment lets this parameter be NULL.
    pub(crate) fn may_be_null(&self, parameter: &Parameter) -> bool {
        let said = self.comment.split("@param").skip(1);
        let said = said.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
        parameter.declared.starts_with("ha_error **")
            || self.name.ends_with("_free")
            || said
                .into_iter()
                .filter(|text| text.split(' ').next() == Some(&parameter.name))
                .any(|text| text.split('@').next().unwrap().contains("or NULL"))
    }
}

/// Splits at the commas that are not inside parentheses.
fn split_parameters(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, sign) in text.char_indices() {
        match sign {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts.retain(|part| *part != "void");
    parts
}

impl Parameter {
    fn parse(declared: &str) -> Self {
        let name = match declared.split_once("(*") {
            Some((_, rest)) => rest.split(')').next().unwrap(),
            None => declared.rsplit([' ', '*']).next().unwrap(),
        };
        Self { declared: declared.to_owned(), name: name.to_owned() }
    }

    pub(crate) fn is_pointer(&self) -> bool {
        self.declared.contains('*') || self.declared.starts_with("ha_log_fn")
    }
}

#[test]
fn every_function_says_since_when_and_what_it_returns() {
    let functions = functions();
    assert!(functions.len() > 60, "only {}", functions.len());
    for function in functions {
        let comment = &function.comment;
        let name = &function.name;
        assert!(comment.contains("@since 0."), "{name} does not say since when");
        assert!(function.returns == "void" || comment.contains("@return"), "{name} does not say what it returns");
    }
}

#[test]
fn the_status_codes_are_those_of_the_rust_api() {
    for kind in ErrorKind::ALL {
        let line = format!("#define HA_ERR_{} {}\n", kind.name(), kind.code());
        assert!(GENERATED.contains(&line), "{line}");
    }
    let codes = GENERATED.matches("#define HA_ERR_").count();
    // One more: where those of the application begin.
    assert_eq!(codes, ErrorKind::ALL.len() + 1);
}

#[test]
fn every_configuration_key_is_in_the_header() {
    for key in KEYS {
        let line = format!("#define HA_KEY_{} \"{}\"\n", key.constant, key.name);
        assert!(GENERATED.contains(&line), "{line}");
    }
}

#[test]
fn the_header_names_the_system_libraries_that_the_makefile_installs() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let list =
        makefile.lines().find_map(|line| line.strip_prefix("STATIC_LIBS := ")).expect("the Makefile has the list");
    assert!(GENERATED.contains(&format!(" *     {list}\n")), "{list}");
}

#[test]
fn no_line_of_the_header_is_wider_than_a_page() {
    let wide: Vec<&str> = GENERATED.lines().filter(|line| line.chars().count() > 100).collect();
    assert!(wide.is_empty(), "{wide:#?}");
}

#[test]
fn the_smallest_example_fits_on_a_page() {
    let example = fs::read_to_string(Path::new(root()).join("examples/c/minimal.c")).unwrap();
    assert!(example.lines().count() <= 40);
}
