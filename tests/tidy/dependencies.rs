//! What a user of the library takes in.

use std::collections::BTreeSet;
use std::process::Command;

const TLS_PROVIDERS: &[&str] =
    &["ring", "aws-lc-rs", "aws-lc-sys", "openssl", "openssl-sys", "boring", "rustls-rustcrypto"];

/// The crates in the library's tree with these features, without those of tests and of build scripts.
fn crates(features: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .args(features)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn one_tls_provider_is_compiled_in() {
    for features in [vec![], vec!["--all-features"], vec!["--features", "capi"]] {
        let crates = crates(&features);
        let providers: Vec<_> = TLS_PROVIDERS.iter().filter(|name| crates.contains(**name)).collect();
        assert_eq!(providers, [&"ring"], "{features:?}");
    }
}

#[test]
fn a_build_without_tls_has_no_provider_and_one_without_a_store_no_client() {
    let plain = crates(&["--no-default-features", "--features", "etcd,local"]);
    assert!(TLS_PROVIDERS.iter().all(|name| !plain.contains(*name)), "{plain:?}");
    let bare = crates(&["--no-default-features"]);
    for name in ["etcd-client", "rusqlite", "cbindgen", "tracing-subscriber"] {
        assert!(!bare.contains(name), "{name} in {bare:?}");
    }
}
