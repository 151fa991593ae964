//! Whatever stands in the headers.

mod any_bytes;
mod well_formed;

use std::fmt::Debug;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const HEADERS: [&str; 3] = ["grpc-timeout", "prefer", "x-amzn-lambda-context"];

/// So many requests, or as many as `PROPTEST_CASES` says, in virtual time.
fn check<S>(cases: u32, strategy: S, property: impl AsyncFn(S::Value) -> Result<(), TestCaseError>)
where
    S: Strategy<Value: Debug>,
{
    let mut config = Config::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    config.failure_persistence = None;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let result = TestRunner::new(config).run(&strategy, |value| runtime.block_on(property(value)));
    if let Err(error) = result {
        panic!("{error}");
    }
}
