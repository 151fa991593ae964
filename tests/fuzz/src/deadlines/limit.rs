//! The limits that the sources must find in a request.

use std::time::Duration;

use http::request::Parts;
use tokio::time::Instant;
use tower_task_tracker::deadline::DeadlineSource;

use super::meaning::{Clocks, Meaning, Unknowable, meaning};
use super::plan::{Field, Plan};
use super::request::FIELDS;

/// A limit that a source finds.
#[derive(Debug, Clone, Copy)]
pub(super) struct SourceLimit {
    pub(super) field: Field,
    pub(super) at: Between,
    at_least: Duration,
}

/// An instant, as exactly as it can be known: the wall clock goes on while the code runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Between {
    pub(super) earliest: Instant,
    pub(super) latest: Instant,
}

impl SourceLimit {
    /// When a window closes by it that opened at this moment; `None` if it is too far away.
    pub(super) fn closes(&self, opened: Instant) -> Option<Between> {
        if self.at_least.is_zero() {
            return Some(self.at);
        }
        let least = opened.checked_add(self.at_least)?;
        Some(Between {
            earliest: self.at.earliest.max(least),
            latest: self.at.latest.max(least),
        })
    }
}

/// The limits of a request, by the specifications. `read`: what each source has said, which is checked.
pub(super) fn limits(
    plan: &Plan,
    parts: &Parts,
    clocks: Clocks,
    read: [Option<Instant>; 5],
) -> Result<Vec<SourceLimit>, Unknowable> {
    let mut limits = Vec::new();
    for (field, read) in FIELDS.into_iter().zip(read) {
        let (margin, at_least) = plan.tuning(field);
        let between = |(earliest, latest)| {
            let at = |away| {
                let at = clocks.arrived.checked_add(away)?;
                Some(
                    at.checked_sub(margin)
                        .map_or(clocks.arrived, |at| at.max(clocks.arrived)),
                )
            };
            Some(Between {
                earliest: at(earliest)?,
                latest: at(latest)?,
            })
        };
        let at = match meaning(plan, parts, clocks, field)? {
            Meaning::Nothing => None,
            Meaning::Exactly(away) => between(away),
            Meaning::AtMost(several) => {
                let mut several = several.into_iter().filter_map(between);
                several.find(|at| read.is_some_and(|read| at.has(read)))
            }
        };
        let is_right = match (read, at) {
            (Some(read), Some(at)) => at.has(read),
            (None, None) => true,
            _ => false,
        };
        assert!(is_right, "{field:?}: {read:?}, and not {at:?}");
        limits.extend(at.map(|at| SourceLimit {
            field,
            at,
            at_least,
        }));
    }
    Ok(limits)
}

/// What the sources say when they are asked by themselves.
pub(super) fn read(plan: &Plan, parts: &Parts) -> [Option<Instant>; 5] {
    FIELDS.map(|field| {
        let source = plan.source(field);
        let source: &dyn DeadlineSource = &source;
        assert_eq!(source.name(), field.source_name());
        assert_eq!(source.is_from_client(), field.is_from_client());
        assert_eq!(source.at_least(), plan.tuning(field).1);
        source.deadline(parts)
    })
}

impl Between {
    fn has(&self, at: Instant) -> bool {
        (self.earliest..=self.latest).contains(&at)
    }
}
