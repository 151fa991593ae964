//! The README and the guides name the files, commands, messages and versions of this repository.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

#[test]
fn the_readme_names_the_current_version_and_rust_version() {
    let readme = include_str!("../../../README.md");
    let (major_minor, _patch) = env!("CARGO_PKG_VERSION")
        .rsplit_once('.')
        .expect("three numbers");
    let dependency = format!("`cargo add tower-task-tracker@{major_minor}`");
    assert!(readme.contains(&dependency), "{dependency}");
    let msrv = concat!("Rust version is ", env!("CARGO_PKG_RUST_VERSION"), ".");
    for page in [readme, include_str!("../../../src/docs/front_page.md")] {
        assert!(page.contains(msrv), "{msrv}");
    }
}

#[test]
fn the_readme_and_the_guide_have_a_command_for_each_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = include_str!("../../../README.md");
    let guide = include_str!("../../../src/docs/examples.md");
    let folders = fs::read_dir(root.join("examples")).expect("it is there");
    let mut count = 0;
    for folder in folders.map(|entry| entry.expect("it can be read").path()) {
        let name = folder.file_name().and_then(OsStr::to_str).expect("a name");
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).expect("a package");
        let package = manifest.split('"').nth(1).expect("its name");
        assert!(
            readme.contains(&format!("](examples/{name})")),
            "{name}: a link"
        );
        assert!(guide.contains(&format!("`examples/{name}`")), "{name}");
        for page in [readme, guide] {
            let is_command = |verb| page.contains(&format!("cargo {verb} -p {package}"));
            assert!(is_command("run") || is_command("test"), "{name}: a command");
        }
        count += 1;
    }
    assert!(count > 10, "the examples were found: {count}");
}

#[test]
fn a_guide_shows_the_clippy_lines_that_an_example_is_checked_with() {
    let guide = include_str!("../../../src/docs/tracking.md");
    let checked = include_str!("../../../examples/cloud_run/clippy.toml");
    let mut lines = checked.lines().filter(|line| !line.starts_with('#'));
    assert!(lines.clone().count() > 2, "there are some");
    let is_shown = |line: &str| guide.contains(&format!("{line}\n"));
    assert_eq!(lines.find(|line| !is_shown(line)), None);
}

#[test]
fn what_the_readme_has_of_the_neighbours_is_as_the_guide_has_it() {
    let guide = include_str!("../../../src/docs/comparison.md");
    let (_, section) = include_str!("../../../README.md")
        .split_once("## Compared with its neighbours")
        .expect("the section");
    let (section, _) = section.split_once("\n## ").expect("the next one");
    let mut rows = section.lines().filter(|line| line.starts_with('|'));
    assert!(rows.clone().count() > 6, "there are some");
    let is_in_the_guide = |row: &str| guide.lines().any(|line| line == row);
    assert_eq!(rows.find(|row| !is_in_the_guide(row)), None);
}

#[test]
fn the_guide_quotes_messages_that_are_logged() {
    let guide = include_str!("../../../src/docs/troubleshooting.md");
    let log = include_str!("../../../src/trace.rs");
    for message in [
        "the drain window closed before everything was done",
        "spawned outside a request: the task runs, but nothing waits for it",
        "a task was spawned after its request was released",
    ] {
        assert!(guide.contains(message), "quoted: {message}");
        assert!(log.contains(message), "logged: {message}");
    }
}
