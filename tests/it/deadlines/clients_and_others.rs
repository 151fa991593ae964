//! A client's deadline and other limits: the earliest decides what becomes of the tasks.

use tower_task_tracker::{Limit, Unfinished, deadline};

use super::arrival_plus;
use super::stopping::{GRPC, PLATFORM, POLICIES, base, impatient, serve};
use crate::support::ms;

#[tokio::test(start_paused = true)]
async fn the_earlier_deadline_decides_even_if_the_other_one_follows_at_once() {
    // With 105 ms the platform's tasks would be aborted at 94 ms, and cancelled long before.
    for policy in POLICIES {
        let layer = base(policy)
            .deadline_source(arrival_plus(105))
            .deadline_source(deadline::grpc_timeout());
        let seen = serve(ms(0), layer, impatient()).await;
        seen.was_detached(GRPC, ms(100));
        let layer = base(policy)
            .deadline_source(deadline::grpc_timeout())
            .deadline_source(arrival_plus(95));
        let seen = serve(ms(0), layer, impatient()).await;
        seen.was_stopped(PLATFORM, ms(95));
        let layer = base(policy)
            .drain_timeout(ms(95))
            .deadline_source(deadline::grpc_timeout());
        let seen = serve(ms(0), layer, impatient()).await;
        seen.was_stopped(Limit::DrainTimeout, ms(95));
    }
}

#[tokio::test(start_paused = true)]
async fn the_earlier_deadline_decides_if_both_have_passed_before_the_answer() {
    for policy in POLICIES {
        let both = base(policy).deadline_source(deadline::grpc_timeout());
        let layer = both.clone().total_timeout(ms(120));
        let seen = serve(ms(150), layer, impatient()).await;
        seen.was_detached(GRPC, ms(150));
        let layer = both.clone().deadline_source(arrival_plus(120));
        let seen = serve(ms(150), layer, impatient()).await;
        seen.was_detached(GRPC, ms(150));
        let layer = both.total_timeout(ms(80));
        let seen = serve(ms(150), layer, impatient()).await;
        seen.was_stopped(Limit::TotalTimeout, ms(150));
    }
}

#[tokio::test(start_paused = true)]
async fn at_a_tie_the_limit_that_is_not_the_clients_closes_the_window() {
    for policy in POLICIES {
        let layer = base(policy)
            .deadline_source(deadline::grpc_timeout())
            .deadline_source(arrival_plus(100));
        let seen = serve(ms(0), layer, impatient()).await;
        seen.was_stopped(PLATFORM, ms(100));
        let total = base(policy)
            .total_timeout(ms(100))
            .deadline_source(deadline::grpc_timeout());
        let seen = serve(ms(0), total, impatient()).await;
        seen.was_stopped(Limit::TotalTimeout, ms(100));
    }
}

#[tokio::test(start_paused = true)]
async fn a_platforms_deadline_that_comes_within_at_least_stops_the_tasks() {
    // The client's 100 ms count as 200 ms, which is later than the platform's.
    let source = deadline::grpc_timeout().at_least(ms(200));
    let layer = base(Unfinished::Abort)
        .deadline_source(source)
        .deadline_source(arrival_plus(150));
    let seen = serve(ms(0), layer, impatient()).await;
    seen.was_stopped(PLATFORM, ms(150));
}
