//! Instructions, counted by callgrind.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Output};

use crate::BoxError;

/// How many requests the two runs have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Requests {
    /// Enough for everything that happens only once.
    pub(crate) few: u32,
    pub(crate) many: u32,
}

impl Requests {
    /// Counts what one request takes: the difference between a run with few requests and one with many.
    pub(crate) fn instructions_of_one(
        self,
        run: impl Fn(u32) -> Result<Command, BoxError>,
    ) -> Result<f64, BoxError> {
        let more = collected(&mut run(self.many)?)? - collected(&mut run(self.few)?)?;
        Ok(more / f64::from(self.many - self.few))
    }
}

/// Makes the command, without the program to run. Instructions are written to the profile by function.
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
