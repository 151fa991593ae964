//! The cases of a property test: their number and their seed.

use std::fmt::Debug;
use std::hash::{BuildHasher, RandomState};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};

/// Checks this many values, or as many as `PROPTEST_CASES` sets. If one fails, prints how to repeat it.
pub(crate) fn check<S>(
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
    let seed = match config.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => RandomState::new().hash_one(()),
    };
    config.rng_seed = RngSeed::Fixed(seed);
    config.failure_persistence = None;
    let cases = config.cases;
    if let Err(error) = TestRunner::new(config).run(strategy, property) {
        panic!("{error}\nrepeat it with PROPTEST_RNG_SEED={seed} PROPTEST_CASES={cases}");
    }
}
