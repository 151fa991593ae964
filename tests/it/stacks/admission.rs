//! Concurrency limits. Outside the tracker they count held heads, inside it only handlers that run.

use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use tokio::time::{Instant, sleep};
use tower::load_shed::error::Overloaded;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};
use tower_task_tracker::Outcome;

use super::handlers::{stream, text};
use super::{NoBody, WORK, answer, observed, request};
use crate::support::{Log, ms};

/// How long the handler takes.
const HANDLING: Duration = Duration::from_millis(10);

/// Two requests at the same time: the second comes `later`. Each with the time at which it was answered.
async fn two<S, E>(service: S, later: Duration) -> [(Result<(), E>, Duration); 2]
where
    S: Service<Request<NoBody>, Error = E> + Clone,
{
    let start = Instant::now();
    let ask = async |after: Duration| {
        if !after.is_zero() {
            sleep(after).await;
        }
        let answer = service.clone().oneshot(request()).await;
        (answer.map(drop), start.elapsed())
    };
    let (first, second) = tokio::join!(ask(Duration::ZERO), ask(later));
    [first, second]
}

/// When both are answered.
async fn both<S: Service<Request<NoBody>> + Clone>(service: S) -> [Duration; 2] {
    let [(first, one), (second, two)] = two(service, Duration::ZERO).await;
    assert!(first.is_ok() && second.is_ok());
    [one, two]
}

#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_outside_counts_a_held_head() {
    let stack = ServiceBuilder::new().concurrency_limit(1);
    let stack = stack.layer(observed(&Log::default()));
    let answered = both(stack.service(text(HANDLING))).await;
    assert_eq!(answered, [WORK, 2 * WORK]);
}

#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_outside_does_not_count_a_held_end() {
    let log = Log::default();
    let stack = ServiceBuilder::new().concurrency_limit(1);
    let service = stack.layer(observed(&log)).service(stream());
    let (first, _) = answer(service.clone()).await;
    let (_, took) = answer(service).await;
    assert_eq!(took, Duration::ZERO, "the end of the first one is held");
    drop(first.into_body().collect().await);
    let [dropped, held] = &log.reports()[..] else {
        panic!("two requests: {:?}", log.all());
    };
    assert_eq!(
        (dropped.outcome, held.outcome),
        (Outcome::Dropped, Outcome::Drained)
    );
    assert_eq!(held.held, WORK);
}

#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_inside_counts_handlers_that_run_and_nothing_held() {
    let stack = ServiceBuilder::new().layer(observed(&Log::default()));
    let stack = stack.concurrency_limit(1);
    let answered = both(stack.service(text(HANDLING))).await;
    assert_eq!(answered, [WORK, HANDLING + WORK]);
}

#[track_caller]
fn assert_refused(second: (Result<(), BoxError>, Duration), later: Duration) {
    let (answer, at) = second;
    assert!(answer.expect_err("too many").is::<Overloaded>());
    assert_eq!(at, later, "at once");
}

#[tokio::test(start_paused = true)]
async fn shedding_outside_refuses_while_a_head_is_held() {
    let log = Log::default();
    let stack = ServiceBuilder::new().load_shed().concurrency_limit(1);
    let service = stack.layer(observed(&log)).service(text(HANDLING));
    let held = HANDLING + ms(40);
    let [(first, at), second] = two(service.clone(), held).await;
    assert!(first.is_ok());
    assert_eq!(at, WORK, "the first one is still held");
    assert_refused(second, held);
    assert_eq!(log.report().outcome, Outcome::Drained, "of the first alone");
}

#[tokio::test(start_paused = true)]
async fn shedding_inside_refuses_only_while_the_handler_runs() {
    let log = Log::default();
    let stack = ServiceBuilder::new().layer(observed(&log));
    let stack = stack.load_shed().concurrency_limit(1);
    let service = stack.service(text(HANDLING));
    let running = HANDLING / 2;
    let [first, second] = two(service.clone(), running).await;
    assert!(first.0.is_ok());
    assert_refused(second, running);
    assert_eq!(log.report().outcome, Outcome::Drained, "of the first alone");

    let held = HANDLING + ms(40);
    let [first, second] = two(service, held).await;
    assert!(first.0.is_ok() && second.0.is_ok());
    assert_eq!([first.1, second.1], [WORK, held + WORK]);
}

#[tokio::test(start_paused = true)]
async fn shedding_outside_sees_a_limit_inside_because_readiness_is_passed_through() {
    let stack = ServiceBuilder::new().load_shed();
    let stack = stack.layer(observed(&Log::default())).concurrency_limit(1);
    let service = stack.service(text(HANDLING));
    let running = HANDLING / 2;
    let [first, second] = two(service.clone(), running).await;
    assert!(first.0.is_ok());
    assert_refused(second, running);

    let held = HANDLING + ms(40);
    let [first, second] = two(service, held).await;
    assert!(first.0.is_ok() && second.0.is_ok());
}
