//! Checks that apply to every run.

mod bare;
mod counts;
mod dropped;
mod ends;
mod frames;
mod hand_offs;
mod times;

use crate::plan::Plan;
use crate::run::Run;

pub(crate) use self::bare::is_like_the_bare_handler;
pub(crate) use self::frames::check_forecast;

pub(crate) fn check(plan: &Plan, run: &Run) {
    counts::each_task_is_reported_once(plan, run);
    counts::the_report_is_right(plan, run);
    counts::a_policy_stops_tasks(plan, run);
    hand_offs::begin_once_with_their_reason(plan, run);
    let (Some(head), Some(answered)) = (run.view.head, run.record.answered) else {
        assert!(run.view.head.is_none(), "a head comes after an answer");
        return;
    };
    frames::are_those_of_the_inner_body(plan, run);
    frames::claim_no_success_for_failed_work(plan, run);
    frames::stay_at_their_end(run);
    times::of_the_head(plan, run, head, answered);
    times::of_a_servers_end(plan, run, head, answered);
    times::of_each_frame(plan, run, head);
}
