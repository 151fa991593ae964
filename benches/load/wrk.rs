//! wrk, and what it measures.

use std::fmt;
use std::process::Command;

use crate::BoxError;

/// What it puts on a server.
pub(crate) struct Load {
    pub(crate) threads: usize,
    pub(crate) connections: usize,
    pub(crate) seconds: u32,
}

/// Of one round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) requests: f64,
    pub(crate) seconds: f64,
    /// p50, p99 and p99.9 in microseconds.
    pub(crate) latencies: [f64; 3],
}

impl Load {
    /// The same, as short as wrk does it: to warm up.
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
        let said = String::from_utf8_lossy(&output.stdout);
        let figures = said.lines().find_map(|line| line.strip_prefix("figures "));
        figures
            .and_then(Figures::parse)
            .ok_or_else(|| format!("wrk: {}\n{said}", output.status).into())
    }
}

impl Figures {
    /// None, too, where a request has failed: what was measured then is something else.
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
