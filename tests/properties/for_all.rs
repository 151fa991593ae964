//! Runs property tests in virtual time.

use std::fmt::Debug;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::support::paused_runtime;

/// Checks so many values, or as many as `PROPTEST_CASES` says.
pub(crate) fn for_all<S>(
    cases: u32,
    strategy: &S,
    property: impl AsyncFn(S::Value) -> Result<(), TestCaseError>,
) where
    S: Strategy<Value: Debug>,
{
    let mut config = Config::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    config.failure_persistence = None;
    let runtime = paused_runtime();
    let result = TestRunner::new(config).run(strategy, |value| runtime.block_on(property(value)));
    if let Err(error) = result {
        panic!("{error}");
    }
}
