//! Allocations, counted by the allocator. The counts are the same on every machine.

mod completion;
mod nested;

use std::alloc::System;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    let trials = vec![
        Trial::test(
            "a_handler_that_would_run_to_completion_costs_one_box",
            completion::costs_one_box,
        ),
        Trial::test(
            "a_handler_that_would_run_to_completion_is_not_spawned",
            completion::is_not_spawned,
        ),
        Trial::test(
            "a_scope_does_not_grow_with_each_call_of_an_inner_layer",
            nested::a_scope_does_not_grow,
        ),
        Trial::test(
            "a_request_does_not_grow_with_each_call_of_an_inner_layer",
            nested::a_request_does_not_grow,
        ),
    ];
    let mut arguments = Arguments::from_args();
    // The allocator counts for the whole process, so that only one may run at a time.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// What is allocated, and given back, while this runs.
fn allocated(run: impl FnOnce()) -> Stats {
    let region = Region::new(ALLOCATOR);
    run();
    region.change()
}
