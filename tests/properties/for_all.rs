//! Runs property tests.

use std::fmt::Debug;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::support::paused_runtime;

/// Checks so many values, or as many as `PROPTEST_CASES` says, in virtual time.
pub(crate) fn for_all<S>(
    cases: u32,
    strategy: &S,
    property: impl AsyncFn(S::Value) -> Result<(), TestCaseError>,
) where
    S: Strategy<Value: Debug>,
{
    let runtime = paused_runtime();
    for_each(cases, strategy, |value| runtime.block_on(property(value)));
}

/// Checks so many values, or as many as `PROPTEST_CASES` says, outside of a runtime.
pub(crate) fn for_each<S>(
    cases: u32,
    strategy: &S,
    property: impl Fn(S::Value) -> Result<(), TestCaseError>,
) where
    S: Strategy<Value: Debug>,
{
    let mut config = Config::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    config.failure_persistence = None;
    if let Err(error) = TestRunner::new(config).run(strategy, property) {
        panic!("{error}");
    }
}
