//! Fuzzes whole requests. Built without a fuzzer, it plays the files that are given as arguments.
#![cfg_attr(fuzzing, no_main)]

use tower_task_tracker_fuzz::requests::{Plan, play};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|plan: Plan| play(&plan));

#[cfg(not(fuzzing))]
fn main() {
    tower_task_tracker_fuzz::replay_arguments::<Plan>(play);
}
