//! The work of an acknowledged request is done, even if its instance is frozen and never thawed.

#[path = "../src/proof/mod.rs"]
mod proof;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use proof::{Proof, Protocol};

/// Slightly more rounds than a proof needs.
const ROUNDS: u32 = 12;

fn main() -> ExitCode {
    // This executable also serves as the instance, so this check comes before the arguments of a test run are parsed.
    if let Some(served) = proof::serve_if_asked() {
        return served;
    }
    let trials = vec![
        Trial::test(
            "over_http1_every_acknowledged_order_has_its_work_on_disk",
            || prove(Protocol::Http1),
        ),
        Trial::test(
            "over_http2_every_acknowledged_order_has_its_work_on_disk",
            || prove(Protocol::Http2),
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Runs the layer and the control. If the control keeps its work, the layer has proved nothing.
fn prove(protocol: Protocol) -> Result<(), Failed> {
    Proof::run(protocol, ROUNDS, &|| ())?.verdict()?;
    Ok(())
}
