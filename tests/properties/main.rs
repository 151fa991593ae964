//! Property tests, in virtual time. `PROPTEST_CASES` sets how many cases each test has. A test that fails prints the
//! smallest case that fails, and the variables that repeat it.

mod cases;
mod deadlines;
mod for_all;
mod refusals;
mod requests;

// The library's other tests use all of it.
#[allow(dead_code, unused_imports)]
#[path = "../support/mod.rs"]
mod support;
