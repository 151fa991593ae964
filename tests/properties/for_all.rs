//! Property tests in virtual time.

use std::fmt::Debug;

use proptest::strategy::Strategy;
use proptest::test_runner::TestCaseError;

use crate::cases::check;
use crate::support::paused_runtime;

/// Checks this many values in virtual time: see [`check`].
pub(crate) fn for_all<S>(
    cases: u32,
    strategy: &S,
    property: impl AsyncFn(S::Value) -> Result<(), TestCaseError>,
) where
    S: Strategy<Value: Debug>,
{
    let runtime = paused_runtime();
    check(cases, strategy, |value| runtime.block_on(property(value)));
}
