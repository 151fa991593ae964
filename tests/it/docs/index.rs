//! The index of these tests names every folder and every module.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

type Names = BTreeSet<String>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The modules that lie in a folder: its files, and the folders in it.
fn modules_in(folder: &Path) -> Names {
    let entries = fs::read_dir(folder).expect("a folder");
    let names = entries.map(|entry| {
        let name = entry.expect("an entry").file_name();
        let name = name.to_str().expect("plain text");
        name.strip_suffix(".rs").unwrap_or(name).to_owned()
    });
    names
        .filter(|name| name != "mod" && name != "main")
        .collect()
}

/// The modules that a file declares.
fn declared_in(text: &str) -> Names {
    let lines = text.lines().map(|line| {
        let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
        line.strip_prefix("mod ")?.strip_suffix(';')
    });
    lines.flatten().map(str::to_owned).collect()
}

/// The rows of the table in the head of a file. Their first cell is a name.
fn table_of(text: &str) -> Vec<Vec<&str>> {
    let rows = text.lines().filter_map(|line| {
        let row = line.strip_prefix("//! | `")?.strip_suffix(" |")?;
        let (name, rest) = row.split_once("` | ")?;
        Some([name].into_iter().chain(rest.split(" | ")).collect())
    });
    rows.collect()
}

/// A folder, and the folders in it, at any depth.
fn folders_from(folder: &Path) -> Vec<PathBuf> {
    let inner = modules_in(folder).into_iter().map(|name| folder.join(name));
    let inner = inner.filter(|path| path.is_dir());
    let mut all = vec![folder.to_owned()];
    all.extend(inner.flat_map(|path| folders_from(&path)));
    all
}

#[test]
fn every_file_is_declared_as_a_module() {
    for folder in folders_from(&root()) {
        let is_root = folder == root();
        let text = read(&folder.join(if is_root { "main.rs" } else { "mod.rs" }));
        let mut declared = declared_in(&text);
        if is_root {
            // It lies outside.
            declared.remove("support");
        }
        assert_eq!(declared, modules_in(&folder), "{}", folder.display());
    }
}

#[test]
fn the_head_of_each_folder_has_a_sentence_for_each_module() {
    for folder in &folders_from(&root())[1..] {
        let text = read(&folder.join("mod.rs"));
        let table = table_of(&text);
        let names: Names = table.iter().map(|row| row[0].to_owned()).collect();
        assert_eq!(names, modules_in(folder), "{}", folder.display());
        for row in table {
            let is_sentence = row.len() == 2 && row[1].ends_with('.');
            assert!(is_sentence, "{}: {row:?}", folder.display());
        }
    }
}

#[test]
fn the_index_names_each_folder_with_its_modules() {
    let text = read(&root().join("main.rs"));
    let table = table_of(&text);
    let names: Names = table.iter().map(|row| row[0].to_owned()).collect();
    assert_eq!(names, modules_in(&root()));
    for row in table {
        let [folder, rule, modules] = row[..] else {
            panic!("a folder, its rule, and its modules: {row:?}");
        };
        assert!(rule.ends_with('.'), "a sentence: {rule}");
        let modules: Names = modules
            .split(", ")
            .map(|name| name.trim_matches('`').to_owned())
            .collect();
        assert_eq!(modules, modules_in(&root().join(folder)), "{folder}");
    }
}
