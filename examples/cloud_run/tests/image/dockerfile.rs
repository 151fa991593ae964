//! Reads the `Dockerfile` and its `Dockerfile.dockerignore`, as far as this example uses them.

use std::fs;
use std::path::Path;

/// A stage: `(keyword, arguments)` for each instruction.
#[derive(Debug, Clone)]
pub(crate) struct Stage(Vec<(String, String)>);

impl Stage {
    /// Returns the arguments of all instructions with this keyword, in their order.
    pub(crate) fn all(&self, wanted: &'static str) -> impl Iterator<Item = &str> {
        let found = self.0.iter().filter(move |(keyword, _)| keyword == wanted);
        found.map(|(_, arguments)| arguments.as_str())
    }

    /// Returns the arguments of the only instruction with this keyword.
    #[track_caller]
    pub(crate) fn one(&self, wanted: &'static str) -> &str {
        let mut all = self.all(wanted);
        match (all.next(), all.next()) {
            (Some(one), None) => one,
            _ => panic!("one {wanted}: {self:?}"),
        }
    }
}

/// Reads the stages of a `Dockerfile`.
pub(crate) fn stages(path: &Path) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    for line in lines(path) {
        assert!(!line.ends_with('\\'), "one line each: {line}");
        let (keyword, arguments) = line.split_once(' ').expect("an instruction");
        if keyword == "FROM" {
            stages.push(Stage(Vec::new()));
        }
        let stage = stages.last_mut().expect("FROM comes first");
        let arguments = arguments.trim().to_owned();
        stage.0.push((keyword.to_owned(), arguments));
    }
    stages
}

/// Reads the names that a `.dockerignore` keeps. It ignores everything else.
pub(crate) fn kept(path: &Path) -> Vec<String> {
    let lines = lines(path);
    let (first, kept) = lines.split_first().expect("a pattern");
    assert_eq!(first, "*", "everything is ignored, but");
    let name = |line: &String| {
        let name = line.strip_prefix('!').expect("an exception");
        assert!(!name.contains(['*', '?', '[', '/']), "a plain name: {name}");
        name.to_owned()
    };
    kept.iter().map(name).collect()
}

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("it is there");
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

#[test]
fn the_image_runs_one_program_without_a_shell_and_not_as_root() {
    let stages = stages(&super::image::home().join("Dockerfile"));
    let [build, run] = &stages[..] else {
        panic!("one to build and one to run: {stages:?}");
    };
    assert!(build.one("FROM").ends_with(" AS build"));
    assert!(!["", "root", "0"].contains(&run.one("USER")));
    // The form with brackets starts no shell, so that signals reach the program itself.
    let start: Vec<String> = serde_json::from_str(run.one("ENTRYPOINT")).expect("a list");
    assert_eq!(start.len(), 1);
    assert_eq!(run.all("CMD").count() + run.all("RUN").count(), 0);
    // Both stages have the same libc.
    let debian_12 = |stage: &super::dockerfile::Stage, name| stage.one("FROM").contains(name);
    assert!(debian_12(build, "bookworm") && debian_12(run, "debian12"));
}
