//! The log of a hand-off: its events, and the spans it runs in.

use std::panic::resume_unwind;

use tower::ServiceExt;
use tower_task_tracker::{
    DrainSettings, Hold, TaskSpans, TaskState, TaskTrackerLayer, Unfinished, named,
};

use super::{Queue, full_queue, work};
use crate::subscribers::lines::{Lines, logged_of};
use crate::support::{Log, after, ms, observed, paused_runtime, request, tracked, with_field};

const HANDED_OFF: &str = ": handed off ";
const NOT_HANDED_OFF: &str = "the hand-off of a task failed: its work may be lost";

/// What is logged while a request is served that runs `start`, in a span `request`, and until its tasks have ended.
async fn logged(layer: &TaskTrackerLayer, start: impl Fn() + Clone + Send + 'static) -> Lines {
    logged_of(with_field("x-request-id", "abc"), layer.clone(), start).await
}

/// Spawns a task that ends in this way after 100 ms. Under `deadline` it does not end.
fn spawn_task(task: tower_task_tracker::HandOffBuilder, way: &'static str) {
    let task = task.spawn(async move {
        after(100).await;
        match way {
            "failed" => Err("no mail"),
            // Without the hook, which would print it.
            "panicked" => resume_unwind(Box::new("no stock")),
            _ => work(600_000).await,
        }
    });
    if way == "aborted" {
        tokio::spawn(async move {
            after(100).await;
            task.abort();
        });
    }
}

fn ways() -> [(&'static str, &'static str, TaskState); 4] {
    [
        ("failed", r#" error="no mail""#, TaskState::Failed),
        ("panicked", r#" error="no stock""#, TaskState::Panicked),
        ("aborted", "", TaskState::Aborted),
        ("deadline", "", TaskState::Aborted),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_hand_off_is_logged_with_the_task_its_place_and_the_reason_and_nothing_is_a_warning() {
    for (why, error, _) in ways() {
        let layer = TaskTrackerLayer::new().drain_timeout(ms(1000));
        let queue = Queue::new();
        let lines = logged(&layer, move || spawn_task(queue.task(), why)).await;
        let line = lines.with(HANDED_OFF);
        assert!(line.starts_with("INFO request{id=7}: "), "{line}");
        assert!(line.contains(" task=late (handed off, "), "{line}");
        let place = " location=tests/it/hand_off/events.rs:";
        assert!(line.contains(place), "{line}");
        let fields = format!(r#" why={why}{error} request_id="abc""#);
        assert!(line.ends_with(&fields), "{fields}: {line}");
        let text = lines.text();
        assert_eq!(
            (lines.count("WARN"), lines.count("ERROR")),
            (0, 0),
            "{text}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_hand_off_that_fails_is_logged_as_an_error_with_its_message_and_that_of_the_task() {
    for (why, error, state) in ways() {
        let (log, layer) = observed();
        let layer = layer.drain_timeout(ms(1000));
        let late = move || spawn_task(named("late").or_hand_off(full_queue), why);
        let lines = logged(&layer, late).await;
        let line = lines.with(NOT_HANDED_OFF);
        assert!(line.starts_with("ERROR request{id=7}: "), "{line}");
        assert!(line.contains(" task=late ("), "{line}");
        assert!(line.contains(": the queue is full)"), "{line}");
        let place = " location=tests/it/hand_off/events.rs:";
        assert!(line.contains(place), "{line}");
        let fields = format!(r#" why={why}{error} request_id="abc""#);
        assert!(line.ends_with(&fields), "{fields}: {line}");
        assert_eq!(lines.count(HANDED_OFF), 0, "{}", lines.text());
        let failure = &log.report().failures[0];
        assert_eq!((failure.state, failure.required), (state, true));
    }
}

#[tokio::test(start_paused = true)]
async fn the_result_of_a_hand_off_that_is_late_is_logged_after_the_response() {
    for fails in [false, true] {
        let (log, layer) = observed();
        let layer = layer.drain_timeout(ms(1000));
        let lines = logged(&layer, move || {
            let hand_off = move |why| async move {
                after(5000).await;
                if fails { full_queue(why).await } else { Ok(()) }
            };
            let late = named("late").or_hand_off(hand_off);
            late.spawn(work(600_000));
        })
        .await;
        let result = if fails { NOT_HANDED_OFF } else { HANDED_OFF };
        let line = lines.with(result);
        assert!(line.contains(" why=deadline"), "{line}");
        let deadline = lines.place("deadline exceeded");
        assert!(deadline < lines.place(result), "{}", lines.text());
        let late = &log.late_ends()[0];
        let state = if fails {
            TaskState::Aborted
        } else {
            TaskState::HandedOff
        };
        assert_eq!(late.state, state);
        assert_eq!(late.message.is_some(), fails, "{late}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_no_response_is_held_a_hand_off_that_fails_is_an_error_in_the_log_and_is_reported() {
    let (log, layer) = observed();
    let layer = layer.hold(Hold::Never).drain_timeout(ms(1000));
    let lines = logged(&layer, || {
        let late = named("late").or_hand_off(full_queue);
        late.spawn(async { Err::<(), _>("no mail") });
    })
    .await;
    assert!(lines.with(NOT_HANDED_OFF).starts_with("ERROR "));
    let all = log.all();
    let reported = log.reports().into_iter().flat_map(|report| report.failures);
    let reported: Vec<_> = reported.chain(log.late_ends()).collect();
    assert_eq!(reported.len(), 1, "{all:?}");
    assert_eq!(reported[0].state, TaskState::Failed);
    assert_eq!(reported[0].message.as_deref(), Some("the queue is full"));
}

#[tokio::test(start_paused = true)]
async fn outside_of_a_request_a_hand_off_is_logged_too() {
    for fails in [false, true] {
        let lines = Lines::default();
        let _recording = lines.record();
        let queue = Queue::new();
        let task = if fails {
            named("late").or_hand_off(full_queue)
        } else {
            queue.task()
        };
        let task = task.spawn(async { Err::<(), _>("outside") });
        assert_eq!(task.await.expect("no panic"), Err("outside"));
        after(1).await;
        let line = lines.with(if fails { NOT_HANDED_OFF } else { HANDED_OFF });
        assert!(line.contains(" task=late ("), "{line}");
        assert!(line.ends_with(r#" why=failed error="outside""#), "{line}");
    }
}

#[test]
fn a_hand_off_without_a_runtime_is_logged_as_an_error() {
    let lines = Lines::default();
    let _recording = lines.record();
    let runtime = paused_runtime();
    let called = Queue::new();
    let service = {
        let called = called.clone();
        tracked(&TaskTrackerLayer::new(), move || {
            drop(called.task().spawn(work(1000)));
        })
    };
    let mut response = Box::pin(service.oneshot(request()));
    runtime.block_on(async {
        assert!(tokio::time::timeout(ms(10), &mut response).await.is_err());
    });
    drop(runtime);
    let line = lines.with(NOT_HANDED_OFF);
    assert!(line.starts_with("ERROR "), "{line}");
    assert!(line.contains(" why=aborted"), "{line}");
    assert_eq!(called.entries(), []);
}

#[test]
fn where_there_is_no_runtime_at_all_a_hand_off_is_logged_as_an_error() {
    let lines = Lines::default();
    let _recording = lines.record();
    let gone = paused_runtime().handle().clone();
    let called = Queue::new();
    // That runtime drops the task at once, on this thread.
    called.task().spawn_on(work(1000), &gone);
    let line = lines.with(NOT_HANDED_OFF);
    assert!(line.starts_with("ERROR "), "{line}");
    assert_eq!(called.entries(), []);
}

#[tokio::test(start_paused = true)]
async fn a_hand_off_runs_in_the_span_of_its_task() {
    for (spans, prefix, own) in [
        (
            TaskSpans::Child,
            "INFO request{id=7}:task{name=\"late\"",
            true,
        ),
        (TaskSpans::Linked, "INFO task{name=\"late\"", true),
        (TaskSpans::Inherit, "INFO request{id=7}: ", false),
    ] {
        for way in ["failed", "deadline"] {
            let settings = DrainSettings::new().task_spans(spans);
            let layer = TaskTrackerLayer::new().settings(settings);
            let lines = logged(&layer, move || {
                let late = named("late").or_hand_off(|_| {
                    tracing::info!("called");
                    async {
                        after(10).await;
                        tracing::info!("polled");
                        Ok::<_, &str>(())
                    }
                });
                spawn_task(late, way);
            })
            .await;
            for event in ["called", "polled"] {
                let line = lines.with(event);
                assert!(line.starts_with(prefix), "{spans:?}, {way}: {line}");
                assert_eq!(line.contains("task{"), own, "{spans:?}, {way}: {line}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_computed_name_is_in_the_event_and_in_the_report_of_a_task_that_was_handed_off() {
    for fails in [false, true] {
        let log = Log::default();
        let layer = TaskTrackerLayer::new().observer(log.clone());
        let lines = logged(&layer, move || {
            let id = 7;
            let hand_off = move |_| async move { if fails { Err("full") } else { Ok(()) } };
            let order = named(format!("order {id}")).or_hand_off(hand_off);
            order.spawn(async { Err::<(), _>("no mail") });
        })
        .await;
        let line = lines.with(if fails { NOT_HANDED_OFF } else { HANDED_OFF });
        assert!(line.contains(" task=order 7 ("), "{line}");
        let report = log.report();
        let last = report.last.as_ref().expect("the response waited for it");
        assert_eq!(last.name.as_deref(), Some("order 7"), "{report}");
        if fails {
            let failure = &report.failures[0];
            assert_eq!(failure.name.as_deref(), Some("order 7"), "{report}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn at_the_end_of_the_grace_of_a_client_that_left_the_reason_is_logged() {
    let queue = Queue::new();
    let layer = TaskTrackerLayer::new().at_disconnect(Unfinished::Abort);
    let lines = Lines::default();
    let _recording = lines.record();
    let service = tracked(&layer, move || drop(queue.task().spawn(work(600_000))));
    let left = tokio::time::timeout(ms(100), service.oneshot(request())).await;
    assert!(left.is_err(), "the client left");
    layer.handle().wait_idle().await;
    let line = lines.with(HANDED_OFF);
    assert!(line.ends_with(" why=client gone"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_completes_logs_nothing_of_its_hand_off() {
    let queue = Queue::new();
    let lines = logged(&TaskTrackerLayer::new(), move || {
        queue.task().spawn(work(10));
    })
    .await;
    assert_eq!(
        lines.count("hand"),
        lines.count("tests/it/hand_off"),
        "{}",
        lines.text()
    );
}
