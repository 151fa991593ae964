//! Tasks that a deadline, a shutdown or a disconnect cuts short, and tasks that only seem to be cut short.

use std::convert::Infallible;

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::{Hold, Outcome, TaskTrackerLayer, Tasks, Unfinished, named, spawn};

use crate::subscribers::lines::Lines;
use crate::support::{
    DropTime, Frames, LastWords, Log, Slot, after, current, full, ms, put, request, respond, take,
    told, tracked,
};

#[tokio::test(start_paused = true)]
async fn where_a_hook_is_late_after_tasks_that_were_aborted_the_answer_is_that_of_a_deadline() {
    let (log, layer) = told();
    let layer = layer
        .drain_timeout(ms(1000))
        .at_deadline(Unfinished::Abort)
        .deadline_status(StatusCode::GATEWAY_TIMEOUT)
        .before_release(|_| after(600_000));
    let service = tracked(&layer, || drop(spawn(after(600_000))));
    let Ok(answer) = service.oneshot(request()).await;
    assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
    drop(answer);
    let report = log.report();
    assert_eq!(report.outcome, Outcome::DeadlineExceeded, "{report}");
    assert_eq!((report.aborted, report.stragglers.len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_hook_is_dropped_at_the_deadline_in_its_request_and_not_with_the_response() {
    let dropped = DropTime::new();
    let inside = Slot::default();
    let (watched, is_inside) = (dropped.clone(), inside.clone());
    let layer = TaskTrackerLayer::new()
        .hold(Hold::Head)
        .drain_timeout(ms(100))
        .before_release(move |_| {
            let (watch, is_inside) = (watched.watch(), is_inside.clone());
            let last_words = LastWords::new(move || put(&is_inside, Tasks::current().is_some()));
            async move {
                let _held = (watch, last_words);
                after(600_000).await;
            }
        });
    let service = layer.layer(service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Frames::new(["a", "b"])))
    }));
    let answer = service.oneshot(request()).await.expect("infallible");
    assert_eq!(dropped.get(), Some(ms(100)), "its head is let go");
    assert!(take(&inside));
    after(50).await;
    drop(answer.into_body().collect().await);
}

#[tokio::test(start_paused = true)]
async fn a_hook_whose_client_leaves_is_dropped_in_its_request() {
    let inside = Slot::default();
    let is_inside = inside.clone();
    let layer = TaskTrackerLayer::new().before_release(move |_| {
        let is_inside = is_inside.clone();
        let last_words = LastWords::new(move || put(&is_inside, Tasks::current().is_some()));
        async move {
            let _held = last_words;
            after(600_000).await;
        }
    });
    let mut service = tracked(&layer, || {});
    let left = tokio::time::timeout(ms(10), service.call(request())).await;
    assert!(left.is_err(), "it is held");
    assert!(take(&inside));
}

/// What was aborted first counts, however often the deadline moves.
#[tokio::test(start_paused = true)]
async fn a_deadline_that_moves_after_its_abort_and_is_not_met_has_cut_tasks_short_all_the_same() {
    let (log, layer) = told();
    let layer = layer.drain_timeout(ms(1000)).at_deadline(Unfinished::Abort);
    let service = tracked(&layer, || {
        let tasks = current();
        named("aborted").spawn(after(600_000));
        let token = named("elsewhere").token();
        tokio::spawn(async move {
            after(950).await;
            tasks.set_drain_timeout(ms(2000));
            // After the second abort, which finds nothing that it can abort.
            after(1000).await;
            drop(token);
        });
    });
    let begin = tokio::time::Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(begin.elapsed(), ms(1950));
    let report = log.report();
    assert_eq!(report.outcome, Outcome::DeadlineExceeded, "{report}");
    assert_eq!((report.completed, report.aborted), (1, 1), "{report}");
}

/// What the handler has aborted itself is no reason.
#[tokio::test(start_paused = true)]
async fn after_the_end_of_a_shutdown_what_ends_in_its_turn_has_drained() {
    let (log, layer) = told();
    layer.handle().begin_shutdown(ms(0));
    let service = layer.layer(service_fn(|_: Request<()>| async {
        spawn(after(600_000)).abort();
        tokio::task::yield_now().await;
        spawn(async {});
        Ok::<_, Infallible>(full("done"))
    }));
    drop(service.oneshot(request()).await);
    let report = log.report();
    assert_eq!(report.outcome, Outcome::Drained, "{report}");
    assert_eq!((report.completed, report.aborted), (1, 1));
}

/// What is aborted for a client that left is no error. What fails by itself then is one.
#[tokio::test(start_paused = true)]
async fn a_required_task_that_fails_after_its_client_left_has_an_error_beside_one_that_was_aborted()
{
    let lines = Lines::default();
    let _listening = lines.listen();
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .at_disconnect(Unfinished::Abort)
        .observer(log.clone());
    let mut service = tracked(&layer, || {
        named("aborted").required().spawn(async {
            after(600_000).await;
            Ok::<_, Infallible>(())
        });
        // It is not the crate's to abort.
        let store = named("store").required().track_future(async {
            after(500).await;
            Err::<(), _>("full")
        });
        tokio::spawn(store);
    });
    let left = tokio::time::timeout(ms(10), service.call(request())).await;
    assert!(left.is_err(), "it is held");
    layer.handle().wait_idle().await;
    let report = log.report();
    assert_eq!((report.outcome, report.aborted), (Outcome::Dropped, 1));
    let line = lines.with("a required task failed");
    assert!(line.starts_with("ERROR"), "{line}");
    assert!(line.contains("store"), "{line}");
    let errors = lines.text();
    let errors = errors.lines().filter(|line| line.contains("ERROR"));
    assert_eq!(errors.count(), 1, "{}", lines.text());
}

/// Through a `Tasks` that was kept, where no task of the request spawns.
#[tokio::test(start_paused = true)]
async fn what_an_upgraded_exchange_spawns_through_a_kept_handle_is_not_late() {
    let (log, layer) = told();
    let kept = Slot::<Tasks>::default();
    let keep = kept.clone();
    let service = layer.layer(service_fn(move |_: Request<()>| {
        put(&keep, current());
        let mut response = full("");
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        std::future::ready(Ok::<_, Infallible>(response))
    }));
    drop(service.oneshot(request()).await);
    let tasks = take(&kept);
    assert!(tasks.is_released());
    tasks.named("socket").spawn(after(10));
    layer.handle().wait_idle().await;
    assert!(log.late_spawns().is_empty());
    assert_eq!(log.late_ends().len(), 1);
}

/// No client is to get it, and the server drops it: that is its end.
#[tokio::test(start_paused = true)]
async fn what_an_unsent_stream_spawns_when_it_is_dropped_is_no_disconnect() {
    let (log, layer) = told();
    let layer = layer.at_disconnect(Unfinished::Abort);
    let body = || Frames::new(["a"]).spawns_at_drop(20);
    let answer = respond(&layer, http::Method::HEAD, body).await;
    drop(answer);
    layer.handle().wait_idle().await;
    let report = log.report();
    assert_eq!(
        (report.outcome, report.completed),
        (Outcome::Drained, 1),
        "{report}"
    );
}
