//! The binding rows, and some rows for information.

use crate::count::Count;

/// A row is missed if its figure is above its bound times this factor.
const TOLERANCE: f64 = 1.02;

pub(crate) const ALL: [Row; 11] = [
    Row {
        id: "idle",
        work: "a request without tasks, added",
        ours: "ours-0",
        with: "`AddExtensionLayer`",
        theirs: "add-extension",
        added_to: Some("bare"),
        at_most: Some(2.6),
        beyond: Some(2.0),
    },
    Row {
        id: "empty-1",
        work: "1 empty task",
        ours: "ours-1",
        theirs: "by-hand-1",
        at_most: Some(1.2),
        beyond: Some(1.0),
        ..BY_HAND
    },
    Row {
        id: "empty-4",
        work: "4 empty tasks",
        ours: "ours-4",
        theirs: "by-hand-4",
        at_most: Some(1.08),
        beyond: Some(0.95),
        ..BY_HAND
    },
    Row {
        id: "empty-16",
        work: "16 empty tasks",
        ours: "ours-16",
        theirs: "by-hand-16",
        at_most: Some(1.02),
        beyond: Some(0.9),
        ..BY_HAND
    },
    Row {
        id: "waiting-1",
        work: "1 task that waits once",
        ours: "ours-waiting-1",
        theirs: "by-hand-waiting-1",
        at_most: Some(1.45),
        beyond: Some(1.2),
        ..BY_HAND
    },
    Row {
        id: "waiting-4",
        work: "4 tasks that wait once",
        ours: "ours-waiting-4",
        theirs: "by-hand-waiting-4",
        at_most: Some(1.22),
        beyond: Some(1.05),
        ..BY_HAND
    },
    Row {
        id: "waiting-16",
        work: "16 tasks that wait once",
        ours: "ours-waiting-16",
        theirs: "by-hand-waiting-16",
        at_most: Some(1.08),
        beyond: Some(0.95),
        ..BY_HAND
    },
    Row {
        id: "reported-1",
        work: "1 empty task, `on_drain`, a subscriber at WARN",
        ours: "ours-reported-1",
        theirs: "by-hand-reported-1",
        at_most: Some(1.5),
        ..BY_HAND
    },
    Row {
        id: "woken-1",
        work: "1 task that wakes itself and waits",
        ours: "ours-woken-1",
        theirs: "by-hand-woken-1",
        ..BY_HAND
    },
    Row {
        id: "woken-4",
        work: "4 tasks that wake themselves and wait",
        ours: "ours-woken-4",
        theirs: "by-hand-woken-4",
        ..BY_HAND
    },
    Row {
        id: "woken-16",
        work: "16 tasks that wake themselves and wait",
        ours: "ours-woken-16",
        theirs: "by-hand-woken-16",
        ..BY_HAND
    },
];

/// The fields that the rows with tasks share.
const BY_HAND: Row = Row {
    id: "",
    work: "",
    ours: "",
    with: "`JoinSet` + timeout + `abort_all`",
    theirs: "",
    added_to: None,
    at_most: None,
    beyond: None,
};

/// A comparison of two contenders.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: &'static str,
    work: &'static str,
    ours: &'static str,
    /// The name of the contender that ours is compared with.
    with: &'static str,
    theirs: &'static str,
    /// The contender that is subtracted from both. If there is none, both are compared as they are.
    added_to: Option<&'static str>,
    /// The bound, if the row is binding.
    at_most: Option<f64>,
    /// The aim after the bound.
    beyond: Option<f64>,
}

impl Row {
    pub(crate) fn contenders(&self) -> impl Iterator<Item = &'static str> {
        [self.ours, self.theirs].into_iter().chain(self.added_to)
    }

    pub(crate) const TITLES: [&str; 9] = [
        "work",
        "row",
        "ours",
        "compared with",
        "theirs",
        "ours to theirs",
        "bound",
        "",
        "beyond",
    ];

    /// Returns a cell for each title.
    pub(crate) fn cells(&self, count: &Count) -> [String; Self::TITLES.len()] {
        [
            self.work.to_owned(),
            format!("`{}`", self.id),
            format!("{:.0}", self.instructions(count, self.ours)),
            self.with.to_owned(),
            format!("{:.0}", self.instructions(count, self.theirs)),
            format!("{:.3}", self.ratio(count)),
            cell(self.at_most),
            self.verdict(count).to_owned(),
            self.beyond
                .map_or_else(String::new, |beyond| beyond.to_string()),
        ]
    }

    pub(crate) fn is_missed(&self, count: &Count) -> bool {
        let ratio = self.ratio(count);
        self.at_most
            .is_some_and(|at_most| ratio > at_most * TOLERANCE)
    }

    fn verdict(&self, count: &Count) -> &'static str {
        let ratio = self.ratio(count);
        let Some(at_most) = self.at_most else {
            return "";
        };
        if self.is_missed(count) {
            "**missed**"
        } else if ratio > at_most {
            "met within 2 %"
        } else if self.beyond.is_some_and(|beyond| ratio <= beyond) {
            "met, and beyond"
        } else {
            "met"
        }
    }

    fn ratio(&self, count: &Count) -> f64 {
        self.instructions(count, self.ours) / self.instructions(count, self.theirs)
    }

    fn instructions(&self, count: &Count, contender: &str) -> f64 {
        let beneath = self.added_to.map_or(0.0, |beneath| count.get(beneath));
        count.get(contender) - beneath
    }
}

fn cell(figure: Option<f64>) -> String {
    figure.map_or_else(String::new, |figure| figure.to_string())
}
