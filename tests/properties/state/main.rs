//! Compares the state of a request with a plain list of tasks: both return the same, after any transitions in any
//! order.

include!("../../source.rs");
#[allow(dead_code, unused_imports)]
#[path = "../../../src/sync.rs"]
mod sync;

#[path = "../cases.rs"]
mod cases;
mod model;
mod run;
mod steps;

use self::cases::check;
use self::run::run;

#[test]
fn a_state_does_what_a_list_of_tasks_does() {
    check(3000, &steps::plan(), |plan| run(&plan));
}
