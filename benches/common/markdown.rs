//! Tables for `benches/README.md`.

use std::fmt;

/// A table that is displayed as Markdown. The first column is text, the others are figures.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(titles: impl IntoIterator<Item: Into<String>>) -> Self {
        let titles = Vec::from_iter(titles.into_iter().map(Into::into));
        let mut rule = vec!["---:".to_owned(); titles.len()];
        rule[0] = "---".to_owned();
        Self {
            rows: vec![titles, rule],
        }
    }

    /// Adds a row.
    ///
    /// # Panics
    ///
    /// If the number of cells differs from the number of titles.
    pub(crate) fn row(&mut self, cells: impl Into<Vec<String>>) {
        let cells = cells.into();
        assert_eq!(cells.len(), self.rows[0].len(), "a cell for each title");
        self.rows.push(cells);
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
