//! What the README and the front page say of the crate's own files.

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

#[test]
fn the_front_page_shows_the_clippy_lines_that_an_example_is_checked_with() {
    let front_page = include_str!("../../src/lib.rs");
    let checked = include_str!("../../examples/cloud_run/clippy.toml");
    let mut lines = checked.lines().filter(|line| !line.starts_with('#'));
    assert!(lines.clone().count() > 2, "there are some");
    let is_shown = |line: &str| front_page.contains(&format!("//! {line}\n"));
    assert_eq!(lines.find(|line| !is_shown(line)), None);
}
