//! What `deny.toml` bans is in no build of ours, seen without cargo-deny, which few have installed.

use std::process::Command;

#[test]
fn the_legacy_tls_stack_is_in_no_build() {
    let arguments = ["tree", "--locked", "--edges", "normal,build", "--target", "all", "--prefix", "none"];
    let tree = Command::new(env!("CARGO")).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.contains("rustls v0.23"), "the tree looks odd: {tree}");
    for banned in
        ["ring v", "hyper v0.", "rustls v0.21", "rustls v0.20", "rustls-webpki v0.101", "h2 v0.3", "openssl-sys v"]
    {
        assert!(
            !tree.lines().any(|it| it.starts_with(banned)),
            "{banned} is back: an aws-sdk crate has its default features"
        );
    }
}
