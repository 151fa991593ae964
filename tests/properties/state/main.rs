//! Compares the state of a request with a plain list of tasks: both return the same, after any transitions in any
//! order. `PROPTEST_CASES` sets how many cases there are.

include!("../../source.rs");
#[allow(dead_code, unused_imports)]
#[path = "../../../src/sync.rs"]
mod sync;

mod model;
mod run;
mod steps;

use proptest::test_runner::{Config, TestRunner};

use self::run::run;

#[test]
fn a_state_does_what_a_list_of_tasks_does() {
    let mut config = Config::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 3000;
    }
    config.failure_persistence = None;
    let result = TestRunner::new(config).run(&steps::plan(), |plan| run(&plan));
    if let Err(error) = result {
        panic!("{error}");
    }
}
