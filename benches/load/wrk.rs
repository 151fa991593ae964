//! Runs wrk and reads its figures.

use std::fmt;
use std::process::Command;

use crate::BoxError;

/// The load that wrk puts on a server.
pub(crate) struct Load {
    pub(crate) threads: usize,
    pub(crate) connections: usize,
    pub(crate) seconds: u32,
}

/// The figures of one round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) requests: f64,
    pub(crate) seconds: f64,
    /// p50, p99 and p99.9 in microseconds.
    pub(crate) latencies: [f64; 3],
}

impl Load {
    /// Returns the same load for one second, the shortest that wrk allows: for the warm-up.
    pub(crate) fn for_a_second(&self) -> Self {
        Self {
            seconds: 1,
            ..*self
        }
    }

    pub(crate) fn put_on(&self, url: &str) -> Result<Figures, BoxError> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/load/wrk.lua");
        let output = Command::new("wrk")
            .arg(format!("--threads={}", self.threads))
            .arg(format!("--connections={}", self.connections))
            .arg(format!("--duration={}s", self.seconds))
            .args(["--script", script, url])
            .output()?;
        let printed = String::from_utf8_lossy(&output.stdout);
        let figures = printed
            .lines()
            .find_map(|line| line.strip_prefix("figures "));
        figures
            .and_then(Figures::parse)
            .ok_or_else(|| format!("wrk: {}\n{printed}", output.status).into())
    }
}

impl Figures {
    /// Parses the line of `wrk.lua`. Returns `None` also if a request has failed: the figures are worthless then.
    fn parse(line: &str) -> Option<Self> {
        let numbers = line.split(' ').map(|number| number.parse::<f64>().ok());
        let numbers = numbers.collect::<Option<Vec<_>>>()?;
        let [requests, duration, p50, p99, p999, 0.0] = numbers[..] else {
            return None;
        };
        Some(Self {
            requests,
            seconds: duration / 1e6,
            latencies: [p50, p99, p999],
        })
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            threads,
            connections,
            seconds,
        } = self;
        write!(
            f,
            "{seconds} s each, {connections} connections, threads of each side: {threads}"
        )
    }
}
