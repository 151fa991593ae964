//! Whatever a request does: nothing ends early, nothing is held for nothing or past its deadline,
//! no wake-up is lost, no frame either, and the counts add up.

mod check;
mod plan;
mod run;
mod world;

use proptest::test_runner::{Config, TestRunner};

/// 20,000 requests, or as many as `PROPTEST_CASES` says. Virtual time: it takes seconds.
#[test]
fn whatever_a_request_does_the_guarantees_hold() {
    let mut config = Config::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 20_000;
    }
    config.failure_persistence = None;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let result = TestRunner::new(config).run(&plan::plan(), |plan| {
        let run = runtime.block_on(run::run(&plan))?;
        check::check(&plan, &run)
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
