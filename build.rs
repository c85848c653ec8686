//! With the feature `capi`: makes the C header in `OUT_DIR`, where a test compares it with `include/coordha.h`.
//! Never writes into the source tree.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "capi")]
    capi::write_header();
}

#[cfg(feature = "capi")]
#[expect(dead_code, unreachable_pub, reason = "the library uses the rest; the header needs the rows alone")]
#[path = "src/config/keys.rs"]
mod keys;

#[cfg(feature = "capi")]
mod capi {
    use std::fmt::Write as _;
    use std::path::Path;
    use std::{env, fs};

    use super::keys;

    /// The sections of the header in order: each is a file of `src/ffi`, whose module comment opens the section.
    const SECTIONS: &[&str] = &[
        "version",
        "types",
        "error",
        "config",
        "callbacks",
        "session",
        "role",
        "event",
        "txn",
        "observer",
        "metrics",
        "log",
    ];

    pub(super) fn write_header() {
        let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
        let ffi = Path::new(&root).join("src/ffi");
        let config = Path::new(&root).join("cbindgen.toml");
        for path in ["src/ffi", "cbindgen.toml", "src/config/keys.rs", "examples/c/minimal.c"] {
            println!("cargo::rerun-if-changed={path}");
        }

        let example = read(&Path::new(&root).join("examples/c/minimal.c"));
        let manual = read(&ffi.join("manual.txt")).replace("@EXAMPLE@", &indented(&example));
        let config = cbindgen::Config::from_file(&config).expect("cbindgen.toml is well-formed");
        let mut header = comment(&manual) + "\n" + opening();
        for name in SECTIONS {
            header += &section(&ffi, name, &config);
        }
        header += closing();

        let out = Path::new(&env::var("OUT_DIR").expect("cargo sets it")).join("coordha.h");
        fs::write(out, header).expect("OUT_DIR is writable");
    }

    fn opening() -> &'static str {
        "#ifndef COORDHA_H
#define COORDHA_H

/** @file coordha.h
 * @brief Active-standby for coordinators on etcd: the C header, and its manual. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern \"C\" {
#endif
"
    }

    /// The version of the header itself.
    fn version() -> String {
        let [major, minor, patch] = ["MAJOR", "MINOR", "PATCH"]
            .map(|part| env::var(format!("CARGO_PKG_VERSION_{part}")).expect("cargo sets it"));
        format!(
            "/** The version of this header, as ha_version_number() gives that of the library. */
#define HA_VERSION_NUMBER (HA_VERSION_MAJOR * 1000000 + HA_VERSION_MINOR * 1000 + HA_VERSION_PATCH)
/** Changes that break programs. 0: none is promised yet. */
#define HA_VERSION_MAJOR {major}
/** Additions. */
#define HA_VERSION_MINOR {minor}
/** Repairs. */
#define HA_VERSION_PATCH {patch}

"
        )
    }

    fn closing() -> &'static str {
        "#ifdef __cplusplus
}
#endif

#endif /* COORDHA_H */
"
    }

    /// One file's constants, types and functions, as a group of the manual.
    fn section(ffi: &Path, name: &str, config: &cbindgen::Config) -> String {
        let path = ffi.join(format!("{name}.rs"));
        let (title, text) = module_comment(&read(&path));
        let mut section = format!("\n/**\n * @defgroup {name} {title}\n{} * @{{\n */\n\n", lines(&text));
        match name {
            "version" => section += &version(),
            "config" => section += &keys::c_header_block(),
            _ => {}
        }
        let mut config = config.clone();
        // Types are declared in their own section, whether its functions use them or not.
        config.export.include = config.export.rename.keys().cloned().collect();
        let mut code = Vec::new();
        cbindgen::Builder::new()
            .with_src(&path)
            .with_config(config)
            .generate()
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
            .write(&mut code);
        let code = String::from_utf8(code).expect("cbindgen writes UTF-8");
        section += &code.trim().replace(" -1\n", " (-1)\n");
        section += "\n";
        if name == "callbacks" {
            section += &read(&ffi.join("callbacks_init.h"));
        }
        section + "\n/** @} */\n"
    }

    /// The module comment of a Rust file: its first sentence, and the paragraphs after it. Examples in C, which stand
    /// between fences there, are indented.
    fn module_comment(source: &str) -> (String, String) {
        let lines: Vec<&str> = source
            .lines()
            .map_while(|line| line.strip_prefix("//!"))
            .map(|line| line.strip_prefix(' ').unwrap_or(line))
            .collect();
        let (mut text, mut example) = (Vec::new(), false);
        for line in lines {
            if line.starts_with("```") {
                example = !example;
            } else if example {
                text.push(format!("    {line}"));
            } else {
                text.push(line.to_owned());
            }
        }
        let (title, rest) = text.split_first().expect("every file has a module comment");
        (title.trim_end_matches('.').to_owned(), rest.join("\n").trim_matches('\n').to_owned())
    }

    fn indented(text: &str) -> String {
        let lines: Vec<String> = text.trim().lines().map(|line| format!("    {line}")).collect();
        lines.join("\n")
    }

    fn comment(text: &str) -> String {
        format!("/**\n{} */\n", lines(text))
    }

    fn lines(text: &str) -> String {
        text.lines().fold(String::new(), |mut all, line| {
            let _ = writeln!(all, "{}", format!(" * {line}").trim_end());
            all
        })
    }

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}
