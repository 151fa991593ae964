//! Tables for `benches/README.md`.

use std::fmt;

/// Displayed as Markdown. The first column is text, the others are figures.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(titles: [&str; N]) -> Self {
        let mut table = Self { rows: Vec::new() };
        table.row(titles.map(str::to_owned));
        let mut rule = vec!["---:".to_owned(); N];
        rule[0] = "---".to_owned();
        table.rows.push(rule);
        table
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            writeln!(f, "| {} |", row.join(" | "))?;
        }
        Ok(())
    }
}
