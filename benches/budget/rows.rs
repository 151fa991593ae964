//! The rows of the budget.

use std::fmt;

use crate::contenders::{
    Contender, add_extension, bare, join_set, ours, ours_free, ours_idle, task_tracker,
};
use crate::measure::{Flavor, Times, measure};

/// One line of the budget.
pub(crate) struct Row {
    work: String,
    flavor: Flavor,
    ours: Contender,
    theirs: Contender,
    /// What both have in common, and is taken off.
    common: Option<Contender>,
    goal: f64,
}

/// What was measured.
pub(crate) struct Measured {
    work: String,
    their_name: &'static str,
    ours: f64,
    theirs: f64,
    /// How far the ratio may be off.
    spread: f64,
    goal: f64,
}

pub(crate) fn all() -> Vec<Row> {
    let mut rows = vec![Row {
        work: "a request that spawns nothing, added".to_owned(),
        flavor: Flavor::CurrentThread,
        ours: ours_idle(),
        theirs: add_extension(),
        common: Some(bare()),
        goal: 2.0,
    }];
    let one = Flavor::CurrentThread;
    for (tasks, goal) in [(1, 1.0), (4, 0.9), (16, 0.9)] {
        rows.push(Row::of(tasks, "", one, ours(tasks), join_set(tasks), goal));
    }
    for (tasks, goal) in [(1, 1.25), (4, 1.25), (16, 1.4)] {
        let by_hand = task_tracker(tasks);
        rows.push(Row::of(tasks, "", one, ours(tasks), by_hand, goal));
    }
    rows.push(Row::of(
        4,
        " by `spawn()`",
        one,
        ours_free(4),
        join_set(4),
        0.9,
    ));
    let many = Flavor::MultiThread;
    rows.push(Row::of(
        4,
        ", many threads",
        many,
        ours(4),
        join_set(4),
        0.9,
    ));
    rows
}

impl Row {
    fn of(
        tasks: usize,
        how: &str,
        flavor: Flavor,
        ours: Contender,
        theirs: Contender,
        goal: f64,
    ) -> Self {
        Self {
            work: format!("{tasks} empty tasks{how}"),
            flavor,
            ours,
            theirs,
            common: None,
            goal,
        }
    }

    pub(crate) fn measure(self) -> Measured {
        let their_name = self.theirs.name;
        let (common, ours, theirs) = match self.common {
            Some(common) => {
                let [common, ours, theirs] = measure(self.flavor, [common, self.ours, self.theirs]);
                (common.best(), ours, theirs)
            }
            None => {
                let [ours, theirs] = measure(self.flavor, [self.ours, self.theirs]);
                (0.0, ours, theirs)
            }
        };
        let relative = |times: &Times| times.spread() / (times.best() - common);
        Measured {
            work: self.work,
            their_name,
            ours: ours.best() - common,
            theirs: theirs.best() - common,
            spread: relative(&ours) + relative(&theirs),
            goal: self.goal,
        }
    }
}

impl Measured {
    fn ratio(&self) -> f64 {
        self.ours / self.theirs
    }

    /// By more than the spread of what was measured.
    pub(crate) fn is_missed(&self) -> bool {
        self.ratio() > self.goal * (1.0 + self.spread)
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let met = match (self.ratio() <= self.goal, self.is_missed()) {
            (true, _) => "met",
            (false, false) => "met within the spread",
            (false, true) => "missed",
        };
        write!(
            f,
            "| {} | {:.0} ns | {} | {:.0} ns | {:.2} ± {:.2} | {:.2} | {met} |",
            self.work,
            self.ours,
            self.their_name,
            self.theirs,
            self.ratio(),
            self.ratio() * self.spread,
            self.goal,
        )
    }
}
