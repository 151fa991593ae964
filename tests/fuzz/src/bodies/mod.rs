//! Bodies of all kinds, through the whole layer. Whatever a body, the tasks and the client do:
//!
//! * frames come out unchanged and in their order, and with no task alive at their time;
//! * nothing ends before the tasks are done or the window has closed, and not later either;
//! * each task is told of once, as what it became, and every request that spawned has one report;
//! * no success is claimed for failed required work, and no client stops a task that the policy spares.

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
