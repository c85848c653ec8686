//! The shared library as it is shipped, but for optimisation, and C programs built against it. Each is built once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, OnceLock};
use std::{env, fs};

/// The SONAME that programs ask for; the Makefile gives it to what is installed.
const SONAME: &str = "libcoordha.so.0";

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where the C programs go.
fn scratch() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ffi");
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The shared library, built with the feature `capi` and the defaults, and nothing else.
pub(crate) fn shared_library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(root()).arg("rustc").arg("--target-dir");
        cargo.arg(target);
        cargo.args("--locked --lib --features capi --crate-type cdylib".split(' '));
        cargo.args(["--message-format", "json-render-diagnostics", "--"]);
        cargo.arg(format!("-Clink-arg=-Wl,-soname,{SONAME}"));
        let built = said(&mut cargo);
        let library = PathBuf::from(artifact(&built));
        let link = library.with_file_name(SONAME);
        // Another test process may be here as well.
        let fresh = library.with_file_name(format!("{SONAME}.{}", std::process::id()));
        std::os::unix::fs::symlink(&library, &fresh).unwrap();
        fs::rename(fresh, link).unwrap();
        library
    })
}

/// The path of the shared library in what cargo says.
fn artifact(messages: &str) -> String {
    let paths = messages.lines().flat_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).unwrap();
        let files = message["filenames"].as_array().cloned().unwrap_or_default();
        let ours = message["target"]["name"] == "coordha";
        files.into_iter().filter(move |_| ours)
    });
    let mut libraries = paths.filter_map(|path| Some(path.as_str()?.to_owned()));
    libraries.find(|path| path.ends_with("libcoordha.so")).expect("cargo names the shared library")
}

/// Runs a command that must succeed; gives what it wrote to stdout.
pub(crate) fn said(command: &mut Command) -> String {
    let output = run(command);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// A compiler call with every warning an error, for the header and what is asked of it.
pub(crate) fn compiler(driver: &str, standard: &str) -> Command {
    let mut compiler = Command::new(driver);
    compiler.arg(format!("-std={standard}"));
    compiler.args("-Wall -Wextra -Werror -pedantic".split(' '));
    compiler.arg("-I").arg(root().join("include"));
    compiler
}

/// The program made of a C file of this repository, linked against the shared library.
pub(crate) fn program(source: &str, libraries: &[&str]) -> PathBuf {
    type Programs = Mutex<BTreeMap<String, Arc<OnceLock<PathBuf>>>>;
    static PROGRAMS: Programs = Mutex::new(BTreeMap::new());
    let cell = Arc::clone(PROGRAMS.lock().unwrap().entry(source.to_owned()).or_default());
    cell.get_or_init(|| build(&root().join(source), libraries)).clone()
}

/// Builds a C file outside the repository.
pub(crate) fn build(source: &Path, libraries: &[&str]) -> PathBuf {
    let folder = shared_library().parent().unwrap();
    let name = source.file_stem().unwrap();
    let program = scratch().join(name);
    // Another test process may be running the one that is there.
    let fresh = program.with_extension(std::process::id().to_string());
    let mut compiler = compiler("cc", "c99");
    compiler.args(["-g", "-pthread"]);
    compiler.arg("-I").arg(root().join("tests/ffi/c"));
    compiler.arg(source).arg("-o").arg(&fresh);
    compiler.arg("-L").arg(folder).arg("-lcoordha");
    compiler.arg(format!("-Wl,-rpath,{}", folder.display()));
    compiler.args(libraries);
    said(&mut compiler);
    fs::rename(fresh, &program).unwrap();
    program
}
