//! This program as a child of valgrind.

use std::env;
use std::process::Command;

use crate::BoxError;
use crate::app::App;

/// Enough for everything that happens only once.
const FEW: u32 = 1_000;
const MANY: u32 = 6_000;

/// Without an app it is the client that costs.
pub(crate) fn instructions_a_request(app: Option<App>) -> Result<f64, BoxError> {
    let more = instructions(MANY, app)? - instructions(FEW, app)?;
    Ok(more / f64::from(MANY - FEW))
}

/// Of a whole run.
fn instructions(requests: u32, app: Option<App>) -> Result<f64, BoxError> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe()?)
        .args(["serve", &requests.to_string()])
        .args(app.map(App::argument))
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("valgrind: {}\n{said}", output.status).into());
    }
    let total = said.lines().find_map(|line| line.split_once("Collected :"));
    let (_, total) = total.ok_or_else(|| format!("valgrind counted nothing:\n{said}"))?;
    Ok(total.trim().parse()?)
}
