//! Bodies of all kinds, through the whole layer. Whatever a body, the tasks and the client do:
//!
//! * Frames come out unchanged and in order. If no task is alive, they come out without delay.
//! * Nothing ends before the tasks are done or the window has closed, and nothing ends later.
//! * Each task is reported once, with the state it ended in. Each request that spawned a task has one report.
//! * Failed required work is never answered with a success. No client stops a task that the policy lets run on.

mod alive;
mod check;
mod choices;
mod exchange;
mod gone;
mod item;
mod log;
mod plan;
mod run;
mod script;
mod scripted;
mod task;
mod view;
mod world;

use self::check::{check, has_nothing_to_wait_for, is_like_the_handler_alone};
use crate::clock;

pub use self::plan::Plan;

/// Plays one request.
///
/// # Panics
///
/// If a guarantee does not hold.
pub fn play(plan: &Plan) {
    let run = clock::run(run::run(plan));
    check(plan, &run);
    if has_nothing_to_wait_for(plan) {
        let bare = clock::run(run::run_bare(plan));
        is_like_the_handler_alone(&run, &bare);
    }
}
