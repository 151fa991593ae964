//! Whatever a request does: nothing ends early, nothing is held without a reason or past its deadline, no wake-up and
//! no frame is lost, and the counts add up.

mod check;
mod gone;
mod plan;
mod run;
mod world;

use crate::for_all::for_all;

/// It takes seconds.
#[test]
fn whatever_a_request_does_the_guarantees_hold() {
    for_all(20_000, &plan::plan(), async |plan| {
        let run = run::run(&plan).await?;
        check::check(&plan, &run)
    });
}
