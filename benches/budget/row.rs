//! One line of the budget.

/// A measurement and its goal.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) work: &'static str,
    pub(crate) unit: &'static str,
    /// The contender that ours is compared with.
    pub(crate) with: &'static str,
    pub(crate) readings: Vec<Reading>,
    pub(crate) goal: Goal,
}

/// One measurement of both contenders, taken at the same time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) ours: f64,
    pub(crate) theirs: f64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// Ours is at most this many times theirs.
    Times(f64),
    /// Ours is at most this much more than theirs.
    More(f64),
}

impl Row {
    pub(crate) fn cells(&self) -> [String; 7] {
        let Self {
            work,
            unit,
            with,
            readings: _,
            goal,
        } = self;
        let Reading { ours, theirs } = self.mean();
        let (figure, spread) = (self.figure(), self.spread());
        let (compared, at_most) = match goal {
            Goal::Times(at_most) => (format!("{figure:.3} ± {spread:.3}"), at_most.to_string()),
            Goal::More(at_most) => (format!("{figure:+.0} ± {spread:.0}"), format!("+{at_most}")),
        };
        [
            (*work).to_owned(),
            format!("{ours:.0} {unit}"),
            (*with).to_owned(),
            format!("{theirs:.0} {unit}"),
            compared,
            at_most,
            self.verdict().to_owned(),
        ]
    }

    /// Returns whether the goal is missed by more than the spread of the readings.
    pub(crate) fn is_missed(&self) -> bool {
        self.figure() - self.spread() > self.goal.at_most()
    }

    fn verdict(&self) -> &'static str {
        if self.is_missed() {
            "**missed**"
        } else if self.figure() > self.goal.at_most() {
            "met within the spread"
        } else {
            "met"
        }
    }

    fn figure(&self) -> f64 {
        self.goal.compare(self.mean())
    }

    fn mean(&self) -> Reading {
        let of = |which: fn(&Reading) -> f64| {
            let sum: f64 = self.readings.iter().map(which).sum();
            sum / self.readings.len() as f64
        };
        Reading {
            ours: of(|reading| reading.ours),
            theirs: of(|reading| reading.theirs),
        }
    }

    /// Returns the distance from the least reading to the most.
    fn spread(&self) -> f64 {
        let figures = self
            .readings
            .iter()
            .map(|&reading| self.goal.compare(reading));
        let least = figures.clone().fold(f64::INFINITY, f64::min);
        let most = figures.fold(f64::NEG_INFINITY, f64::max);
        most - least
    }
}

impl Goal {
    fn compare(self, Reading { ours, theirs }: Reading) -> f64 {
        match self {
            Self::Times(_) => ours / theirs,
            Self::More(_) => ours - theirs,
        }
    }

    fn at_most(self) -> f64 {
        let (Self::Times(at_most) | Self::More(at_most)) = self;
        at_most
    }
}
