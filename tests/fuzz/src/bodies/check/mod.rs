//! Checks that apply to every run.

mod bare;
mod counts;
mod ends;
mod frames;
mod times;

use super::plan::Plan;
use super::run::Run;

pub(super) use bare::{has_nothing_to_wait_for, is_like_the_handler_alone};

pub(super) fn check(plan: &Plan, run: &Run) {
    counts::each_task_is_told_of_once(plan, run);
    counts::reports_say_what_happened(plan, run);
    counts::only_what_the_plan_allows_was_stopped(plan, run);
    if run.view.head.is_some() {
        frames::are_those_of_the_inner_body(plan, run);
        frames::claim_no_success_for_failed_work(plan, run);
        times::of_the_head(plan, run);
        times::of_a_servers_end(plan, run);
        times::of_each_frame(plan, run);
    }
}
