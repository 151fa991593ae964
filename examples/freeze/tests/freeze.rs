//! The freeze: work behind an acknowledged request survives the end of its instance.

#[path = "../src/proof/mod.rs"]
mod proof;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use proof::{Proof, Protocol};

/// Enough for a proof, and a little more.
const ROUNDS: u32 = 12;

fn main() -> ExitCode {
    // Before the arguments are taken for those of a test run: this executable is also the instance.
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

/// The control is part of each trial: where it keeps its work, the layer has proved nothing.
fn prove(protocol: Protocol) -> Result<(), Failed> {
    Proof::run(protocol, ROUNDS, &|| ())?.verdict()?;
    Ok(())
}
