//! Property tests, in virtual time. `PROPTEST_CASES` sets how many cases each test has, and `PROPTEST_RNG_SEED` which:
//! a number makes the same cases each time. The smallest case that fails is printed.

mod deadlines;
mod for_all;
mod refusals;
mod requests;

// The library's other tests use all of it.
#[allow(dead_code, unused_imports)]
#[path = "../support/mod.rs"]
mod support;
