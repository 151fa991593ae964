//! The binding rows.
//!
//! They have an allocator of their own, and the rows that are timed have the system's. So another program
//! counts.

use std::process::ExitCode;

use crate::BoxError;
use crate::other::bench;

pub(crate) fn measure(arguments: &[String]) -> Result<ExitCode, BoxError> {
    // Cargo adds it for each bench, last.
    let arguments = arguments.iter().filter(|argument| *argument != "--bench");
    let status = bench("instructions").args(arguments).status()?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
