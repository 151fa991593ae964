//! Counts instructions with callgrind.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Output};

use crate::BoxError;

/// The numbers of requests in the two runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Requests {
    /// Enough requests for everything that happens only once.
    pub(crate) few: u32,
    pub(crate) many: u32,
}

impl Requests {
    /// Returns the instructions of one request, from the difference between a run with few requests and one with many.
    pub(crate) fn instructions_of_one(
        self,
        run: impl Fn(u32) -> Result<Command, BoxError>,
    ) -> Result<f64, BoxError> {
        let more = collected(&mut run(self.many)?)? - collected(&mut run(self.few)?)?;
        Ok(more / f64::from(self.many - self.few))
    }
}

/// Returns the callgrind command without the program to run. Callgrind writes the instructions of each function to
/// `profile`.
pub(crate) fn command(profile: &Path) -> Command {
    let mut out = OsString::from("--callgrind-out-file=");
    out.push(profile);
    let mut command = Command::new("valgrind");
    command.arg("--tool=callgrind").arg(out);
    command
}

/// Runs the command and returns the instructions of the whole run.
pub(crate) fn collected(command: &mut Command) -> Result<f64, BoxError> {
    let Output { status, stderr, .. } = command.output()?;
    let log = String::from_utf8_lossy(&stderr);
    if !status.success() {
        return Err(format!("valgrind: {status}\n{log}").into());
    }
    let total = log.lines().find_map(|line| line.split_once("Collected :"));
    let (_, total) = total.ok_or_else(|| format!("valgrind counted nothing:\n{log}"))?;
    Ok(total.trim().parse()?)
}
