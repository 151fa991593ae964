//! Runs other benches, which measure what this one cannot.

use std::env;
use std::process::Command;

/// Returns the command that runs a bench of this package. The caller adds the arguments of the bench.
///
/// The command names the package, so that the libraries have the same features wherever the budget is started.
pub(crate) fn bench(name: &str) -> Command {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["bench", "--quiet", "--package", env!("CARGO_PKG_NAME")])
        .args(["--bench", name, "--"]);
    command
}
