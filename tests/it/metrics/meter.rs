//! A recorder that keeps what is recorded.

use std::collections::BTreeMap;

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

pub(crate) const PREFIX: &str = "tower_task_tracker_";

/// Reads what was recorded. A look takes the values away, so that they are added up here.
pub(crate) struct Meter {
    pub(crate) snapshotter: Snapshotter,
    pub(crate) numbers: BTreeMap<String, f64>,
    pub(crate) histograms: BTreeMap<String, Vec<f64>>,
}

impl Meter {
    pub(super) fn new(recorder: &DebuggingRecorder) -> Self {
        Self {
            snapshotter: recorder.snapshotter(),
            numbers: BTreeMap::new(),
            histograms: BTreeMap::new(),
        }
    }

    pub(crate) fn look(&mut self) {
        for (key, _, _, value) in self.snapshotter.snapshot().into_vec() {
            let key = key.key();
            let labels: Vec<_> = key
                .labels()
                .map(|label| format!("{}={}", label.key(), label.value()))
                .collect();
            let name = key.name().strip_prefix(PREFIX).expect("ours");
            let key = format!("{name}{{{}}}", labels.join(","));
            match value {
                DebugValue::Counter(more) => {
                    *self.numbers.entry(key).or_default() += more as f64;
                }
                DebugValue::Gauge(change) => {
                    *self.numbers.entry(key).or_default() += change.into_inner();
                }
                DebugValue::Histogram(more) => {
                    let more = more.into_iter().map(f64::from);
                    self.histograms.entry(key).or_default().extend(more);
                }
            }
        }
    }

    /// A counter or a gauge without labels; zero if nothing was recorded.
    pub(super) fn number(&mut self, name: &str) -> f64 {
        self.look();
        let number = self.numbers.get(&format!("{name}{{}}"));
        number.copied().unwrap_or_default()
    }

    /// How many tasks have ended, by their labels.
    pub(super) fn tasks(&mut self) -> Vec<(String, f64)> {
        self.labelled("tasks_total{")
    }

    /// How many stragglers there were, by their label.
    pub(super) fn stragglers(&mut self) -> Vec<(String, f64)> {
        self.labelled("stragglers_total{")
    }

    pub(crate) fn labelled(&mut self, prefix: &str) -> Vec<(String, f64)> {
        self.look();
        let tasks = self.numbers.iter().filter_map(|(key, number)| {
            let labels = key.strip_prefix(prefix)?.strip_suffix('}')?;
            Some((labels.to_owned(), *number))
        });
        let mut tasks: Vec<_> = tasks.collect();
        tasks.sort_by(|one, other| one.0.cmp(&other.0));
        tasks
    }

    /// The values of the histogram, by its label.
    pub(super) fn drains(&mut self) -> Vec<(String, Vec<f64>)> {
        self.look();
        let drains = self.histograms.iter().filter_map(|(key, values)| {
            let labels = key.strip_prefix("drain_duration_seconds{")?;
            Some((labels.strip_suffix('}')?.to_owned(), values.clone()))
        });
        drains.collect()
    }
}

pub(crate) fn owned<T: Clone>(list: &[(&str, T)]) -> Vec<(String, T)> {
    let own = |(key, value): &(&str, T)| ((*key).to_owned(), value.clone());
    list.iter().map(own).collect()
}
