//! What the README says of the crate's own files.

#[test]
fn the_readme_names_the_current_version_and_rust_version() {
    let readme = include_str!("../../README.md");
    let (major_minor, _patch) = env!("CARGO_PKG_VERSION")
        .rsplit_once('.')
        .expect("three numbers");
    let dependency = format!("tower-task-tracker = {{ version = \"{major_minor}\"");
    assert!(readme.contains(&dependency), "{dependency}");
    let msrv = concat!("Rust version is ", env!("CARGO_PKG_RUST_VERSION"));
    assert!(readme.contains(msrv), "{msrv}");
}
