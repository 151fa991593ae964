//! The head of a stream is held while a required task is alive, and no longer.

use std::cell::Cell;
use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{Outcome, TaskTrackerLayer, Tasks, Unfinished, named};

use crate::hold::body_spawns::SpawnsWhenAsked;
use crate::support::{Log, after, current, ms, observed, request};

/// "A producer task that feeds its own response must never deadlock under `Auto`."
#[tokio::test(start_paused = true)]
async fn a_producer_beside_a_required_task_does_not_stall() {
    let (log, layer) = observed();
    let service = layer.layer(service_fn(|_: Request<()>| async {
        // Done long before anything else.
        named("order").required().spawn(async {
            after(20).await;
            Ok::<(), &str>(())
        });
        let (sender, receiver) = tokio::sync::mpsc::channel::<&'static str>(1);
        named("producer").spawn(async move {
            for _ in 0..5 {
                let _ = sender.send("x").await;
            }
        });
        let frames = futures_util::stream::unfold(receiver, |mut receiver| async {
            let data = receiver.recv().await?;
            let frame = Ok::<_, Infallible>(Frame::data(Bytes::from(data)));
            Some((frame, receiver))
        });
        Ok::<_, Infallible>(Response::new(http_body_util::StreamBody::new(Box::pin(
            frames,
        ))))
    }));
    let arrived = Instant::now();
    let Ok(answer) = service.oneshot(request()).await;
    assert_eq!(arrived.elapsed(), ms(20), "nothing can fail any more");
    let body = answer.into_body().collect().await.expect("it is whole");
    assert_eq!(body.to_bytes(), "xxxxx");
    assert_eq!(log.report().outcome, Outcome::Drained);
}

#[tokio::test(start_paused = true)]
async fn while_a_stream_goes_on_after_its_head_the_window_is_shut() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(300))
        .observer(log.clone());
    let service = layer.layer(service_fn(|_: Request<()>| async {
        named("slow").spawn(after(400));
        named("order").required().spawn(async {
            after(20).await;
            Ok::<(), &str>(())
        });
        Ok::<_, Infallible>(Response::new(crate::support::Frames::new(["a"])))
    }));
    let Ok(answer) = service.oneshot(request()).await;
    // A slow client.
    after(180).await;
    let body = answer.into_body().collect().await.expect("it is whole");
    assert_eq!(body.to_bytes(), "a");
    let report = log.report();
    assert_eq!(report.outcome, Outcome::Drained, "{report}");
    assert_eq!(report.held, ms(20 + 200), "its head, and its end");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_is_held_no_longer_does_not_meet_its_deadline() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(0))
        .at_deadline(Unfinished::Abort)
        .observer(log.clone());
    let service = layer.layer(service_fn(|_: Request<()>| async {
        named("plain").spawn(after(4));
        // It ends when the head could go.
        named("order").required().spawn(async {
            after(3).await;
            Ok::<_, Infallible>(())
        });
        after(3).await;
        let frame = futures_util::stream::once(async {
            after(5).await;
            Ok::<_, Infallible>(Frame::data(Bytes::from("streamed")))
        });
        Ok::<_, Infallible>(Response::new(StreamBody::new(Box::pin(frame))))
    }));
    let start = Instant::now();
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(start.elapsed(), ms(3));
    let body = response.into_body().collect().await;
    assert_eq!(body.expect("it is whole").to_bytes(), "streamed");
    let report = log.report();
    assert_eq!(report.outcome, Outcome::Drained, "{report}");
    assert_eq!((report.completed, report.aborted), (2, 0), "{report}");
}

/// "The whole head while a required task is alive", however late that is spawned.
#[tokio::test(start_paused = true)]
async fn a_required_task_that_a_stream_spawns_when_its_size_is_read_holds_its_head() {
    for has_spawned in [false, true] {
        let service = TaskTrackerLayer::new().layer(service_fn(move |_: Request<()>| async move {
            if has_spawned {
                drop(current().token());
            }
            let spawns = |tasks: &Tasks| {
                tasks.named("order").required().spawn(async {
                    after(20).await;
                    Err::<(), _>("disk full")
                });
            };
            let body = SpawnsWhenAsked(Cell::new(false), current(), spawns);
            Ok::<_, Infallible>(Response::new(body))
        }));
        let start = Instant::now();
        let Ok(answer) = service.oneshot(request()).await;
        let held = (answer.status(), start.elapsed());
        let failed = (StatusCode::INTERNAL_SERVER_ERROR, ms(20));
        assert_eq!(held, failed, "something was spawned before: {has_spawned}");
    }
}
