//! Reads criterion's results of one contender.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::BoxError;

pub(crate) struct Measured {
    pub(crate) at: SystemTime,
    pub(crate) id: Id,
    median: Estimate,
}

#[derive(Deserialize)]
pub(crate) struct Id {
    #[serde(rename = "group_id")]
    pub(crate) group: String,
    #[serde(rename = "function_id")]
    pub(crate) contender: String,
    /// The number of tasks, if the group has several.
    #[serde(rename = "value_str")]
    pub(crate) tasks: Option<String>,
    throughput: Throughput,
}

#[derive(Deserialize)]
struct Throughput {
    #[serde(rename = "Elements")]
    elements: f64,
}

#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

/// An estimate in nanoseconds.
#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
    confidence_interval: Interval,
}

#[derive(Deserialize)]
struct Interval {
    lower_bound: f64,
    upper_bound: f64,
}

impl Measured {
    /// Reads the folder of one result.
    pub(crate) fn read(folder: &Path) -> Result<Self, BoxError> {
        let estimates = folder.join("estimates.json");
        Ok(Self {
            at: estimates.metadata()?.modified()?,
            id: json(&folder.join("benchmark.json"))?,
            median: json::<Estimates>(&estimates)?.median,
        })
    }

    /// Returns the time of each element, and half of its confidence interval.
    pub(crate) fn cell(&self) -> String {
        let each = |time: f64| time / self.id.throughput.elements;
        let Estimate {
            point_estimate,
            confidence_interval,
        } = &self.median;
        let median = each(*point_estimate);
        let width = each(confidence_interval.upper_bound - confidence_interval.lower_bound);
        let digits = if median < 100.0 { 1 } else { 0 };
        format!("{median:.digits$} ± {:.digits$}", width / 2.0)
    }
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T, BoxError> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}
