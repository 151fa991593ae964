//! Counts acknowledged and lost orders.

use std::fmt;
use std::time::Duration;

use super::{Protocol, Setup};

/// The figures of all rounds of one setup over one protocol.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(super) protocol: Protocol,
    pub(super) setup: Setup,
    /// The latencies of the acknowledged orders.
    pub(super) latencies: Vec<Duration>,
    /// The number of acknowledged orders without a record at the last byte of their answer.
    pub(super) early: usize,
    /// The number of acknowledged orders without a record after the end of the instance.
    pub(crate) lost: usize,
}

impl Tally {
    pub(super) fn new(protocol: Protocol, setup: Setup) -> Self {
        Self {
            protocol,
            setup,
            latencies: Vec::new(),
            early: 0,
            lost: 0,
        }
    }

    pub(crate) fn name(&self) -> String {
        let setup = match self.setup {
            Setup::Layer => "with the layer",
            Setup::Control => "without",
            Setup::HandOff => "late, hand-off",
            Setup::NoHandOff => "late, without",
        };
        format!("{} {setup}", self.protocol.name())
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.latencies.len()
    }

    /// Returns the median time from the sending of an order to the last byte of its answer.
    pub(crate) fn median_latency(&self) -> Duration {
        let mut latencies = self.latencies.clone();
        latencies.sort_unstable();
        latencies
            .get(latencies.len() / 2)
            .copied()
            .unwrap_or_default()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} orders acknowledged in {:.1?} (median), {} of them before their work, {} lost",
            self.name(),
            self.acknowledged(),
            self.median_latency(),
            self.early,
            self.lost,
        )
    }
}
