//! Runs the binding rows.
//!
//! The binding rows need an allocator of their own, and the timed rows need the system's. So another program counts
//! the binding rows.

use std::process::ExitCode;

use crate::BoxError;
use crate::other::bench;

pub(crate) fn measure(arguments: &[String]) -> Result<ExitCode, BoxError> {
    // Cargo adds this argument for each bench.
    let arguments = arguments.iter().filter(|argument| *argument != "--bench");
    let status = bench("instructions").args(arguments).status()?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
