//! The soak test: thousands of responses are held at once, with a hundred thousand tasks, round after round. Nothing
//! stays behind.

mod ending;
mod long_lives;
mod memory;
mod order;
mod round;
mod tally;

use std::alloc::System;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    let trials = vec![
        Trial::test(
            "ten_thousand_held_responses_add_up_and_leave_nothing_behind",
            round::several,
        ),
        Trial::test(
            "a_hundred_thousand_short_tasks_of_one_request_take_no_memory",
            long_lives::all,
        ),
    ];
    let mut arguments = Arguments::from_args();
    // The bytes are those of the whole process, so that only one may run at a time.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials).exit_code()
}
