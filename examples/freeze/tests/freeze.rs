//! The work of an acknowledged request is done, even if its instance is frozen and never thawed.

#[path = "../src/proof/mod.rs"]
mod proof;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use proof::{Proof, Protocol, Work};

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
            || prove(Protocol::Http1, Work::InTime),
        ),
        Trial::test(
            "over_http2_every_acknowledged_order_has_its_work_on_disk",
            || prove(Protocol::Http2, Work::InTime),
        ),
        Trial::test(
            "over_http1_late_work_with_a_hand_off_is_in_the_queue",
            || prove(Protocol::Http1, Work::Late),
        ),
        Trial::test(
            "over_http2_late_work_with_a_hand_off_is_in_the_queue",
            || prove(Protocol::Http2, Work::Late),
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Runs a proof. If the control keeps its work, nothing is proved.
fn prove(protocol: Protocol, work: Work) -> Result<(), Failed> {
    Proof::run(protocol, work, ROUNDS, &|| ())?.verdict()?;
    Ok(())
}
