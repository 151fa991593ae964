//! Sums up the rounds of a measurement in one figure.

use std::fmt;

/// The median, the least and the most of several figures. `Display` uses the precision of the formatter.
pub(crate) struct Spread {
    pub(crate) median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    /// # Panics
    ///
    /// If there are no figures.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut figures = Vec::from_iter(figures);
        figures.sort_by(f64::total_cmp);
        let last = figures.len() - 1;
        Self {
            // The middle figure, or the mean of the two in the middle.
            median: (figures[last / 2] + figures[last.div_ceil(2)]) / 2.0,
            least: figures[0],
            most: figures[last],
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            median,
            least,
            most,
        } = self;
        let digits = f.precision().unwrap_or(0);
        write!(f, "{median:.digits$} ({least:.digits$} to {most:.digits$})")
    }
}
