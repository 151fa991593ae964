//! Benches that measure what this one cannot.

use std::env;
use std::process::Command;

/// Runs a bench of this package. Its arguments are still to be added.
///
/// The package is named, so that the libraries have the same features wherever the budget is started.
pub(crate) fn bench(name: &str) -> Command {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["bench", "--quiet", "--package", env!("CARGO_PKG_NAME")])
        .args(["--bench", name, "--"]);
    command
}
