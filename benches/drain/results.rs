//! Prints criterion's results as Markdown.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{env, fs};

use crate::BoxError;
use crate::markdown::Table;
use crate::measured::Measured;

/// The results of this run.
pub(crate) struct Results {
    folder: PathBuf,
    start: SystemTime,
}

impl Results {
    pub(crate) fn from_now_on() -> Result<Self, BoxError> {
        let program = env::current_exe()?;
        // Cargo puts the program in `release/deps` of its target folder, and criterion's results beside `release`.
        let target = program.ancestors().nth(3).ok_or("not built by cargo")?;
        Ok(Self {
            folder: target.join("criterion"),
            start: SystemTime::now(),
        })
    }

    /// Returns one table for each group, in the order of measurement.
    pub(crate) fn tables(&self) -> Result<String, BoxError> {
        let mut all = Vec::new();
        if self.folder.is_dir() {
            find(&self.folder, &mut all)?;
        }
        all.retain(|measured| measured.at >= self.start);
        all.sort_by_key(|measured| measured.at);
        let mut tables = String::new();
        for group in all.chunk_by(|one, next| one.id.group == next.id.group) {
            writeln!(tables, "{}", table(group))?;
        }
        Ok(tables)
    }
}

/// Reads the results in a folder and below it. The last result of a contender is in a folder `new`.
fn find(folder: &Path, all: &mut Vec<Measured>) -> Result<(), BoxError> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.ends_with("new") {
            all.push(Measured::read(&path)?);
        } else if path.is_dir() {
            find(&path, all)?;
        }
    }
    Ok(())
}

/// Returns a table with a row for each contender and a column for each number k of tasks.
fn table(group: &[Measured]) -> Table {
    let rows = distinct(group.iter().map(|measured| &measured.id.contender));
    let columns = distinct(group.iter().map(|measured| &measured.id.tasks));
    let mut titles = vec![format!("{}: ns", group[0].id.group)];
    titles.extend(columns.iter().map(|tasks| match tasks {
        Some(tasks) => format!("k = {tasks}"),
        None => String::new(),
    }));
    let mut table = Table::new(titles);
    for row in rows {
        let mut cells = vec![row.clone()];
        cells.extend(columns.iter().map(|&column| {
            let wanted = |m: &&Measured| m.id.contender == *row && m.id.tasks == *column;
            let found = group.iter().find(wanted);
            found.map_or_else(String::new, Measured::cell)
        }));
        table.row(cells);
    }
    table
}

/// Removes duplicates. Keeps the order of the first occurrences.
fn distinct<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut distinct = Vec::new();
    for one in all {
        if !distinct.contains(&one) {
            distinct.push(one);
        }
    }
    distinct
}
