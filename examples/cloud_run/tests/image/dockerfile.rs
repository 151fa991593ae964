//! The `Dockerfile` and its `Dockerfile.dockerignore`, as far as this example uses them.

use std::fs;
use std::path::Path;

/// `(what, how)`, one for each instruction.
#[derive(Debug, Clone)]
pub(crate) struct Stage(Vec<(String, String)>);

impl Stage {
    /// All that is said with this word, in its order.
    pub(crate) fn all(&self, word: &'static str) -> impl Iterator<Item = &str> {
        let said = self.0.iter().filter(move |(what, _)| what == word);
        said.map(|(_, how)| how.as_str())
    }

    /// What is said once.
    #[track_caller]
    pub(crate) fn one(&self, word: &'static str) -> &str {
        let mut all = self.all(word);
        match (all.next(), all.next()) {
            (Some(one), None) => one,
            _ => panic!("one {word}: {self:?}"),
        }
    }
}

/// The stages of a `Dockerfile`.
pub(crate) fn stages(path: &Path) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    for line in lines(path) {
        assert!(!line.ends_with('\\'), "one line each: {line}");
        let (what, how) = line.split_once(' ').expect("an instruction");
        if what == "FROM" {
            stages.push(Stage(Vec::new()));
        }
        let stage = stages.last_mut().expect("FROM comes first");
        stage.0.push((what.to_owned(), how.trim().to_owned()));
    }
    stages
}

/// The names that a `.dockerignore` lets through: here it ignores everything else.
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
    // Signals reach the program itself: the form with brackets starts no shell.
    let start: Vec<String> = serde_json::from_str(run.one("ENTRYPOINT")).expect("a list");
    assert_eq!(start.len(), 1);
    assert_eq!(run.all("CMD").count() + run.all("RUN").count(), 0);
    // The libc is the one it was linked with.
    let debian_12 = |stage: &super::dockerfile::Stage, name| stage.one("FROM").contains(name);
    assert!(debian_12(build, "bookworm") && debian_12(run, "debian12"));
}
