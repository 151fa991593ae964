//! A body that the server would not poll again is dropped before a wait. So a task may wait for the end of the
//! body, or for its drop.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{Hold, Outcome, TaskTrackerLayer, Unfinished, named, spawn};

use super::case::{Case, VERSIONS, read};
use crate::support::Act::{self, Data, Fail, Stall, Trailers, Turn};
use crate::support::{Log, Play, after, ms, read_all, request};

const MODES: [Hold; 4] = [Hold::Auto, Hold::End, Hold::Head, Hold::Never];

const WHOLE: &[Act] = &[Data("0123456789")];

const TWO: &[Act] = &[Data("01234"), Data("56789")];

/// Bodies that a server would have dropped, and what the client gets of them.
fn cases() -> Vec<(Case, &'static str)> {
    vec![
        (Case::new("in one piece", WHOLE).hints(10), "0123456789"),
        (
            Case {
                shows_its_end: true,
                ..Case::new("in one piece, at its end with it", WHOLE).hints(10)
            },
            "0123456789",
        ),
        (
            Case {
                status: StatusCode::NO_CONTENT,
                shows_its_end: true,
                ..Case::new("204 with an empty body", &[]).hints(0)
            },
            "",
        ),
        (
            Case {
                status: StatusCode::NO_CONTENT,
                ..Case::new("204 with a stream", &[Turn, Data("a"), Stall])
            },
            "",
        ),
        (
            Case {
                status: StatusCode::NOT_MODIFIED,
                header: Some(10),
                ..Case::new("304 with a stream", &[Turn, Data("a"), Stall])
            },
            "",
        ),
        (Case::new("an answer to HEAD", WHOLE).hints(10).head(), ""),
        (Case::new("a stream for HEAD", &[Stall]).head(), ""),
        (Case::new("a length of 0", &[]).hints(0), ""),
        (
            Case {
                header: Some(0),
                ..Case::new("a header of 0", &[])
            },
            "",
        ),
        (
            Case::new(
                "empty frames after the length",
                &[Data("0123456789"), Data(""), Data("")],
            )
            .hints(10),
            "0123456789",
        ),
    ]
}

/// The same for bodies that are streamed: their heads are not held.
fn streams() -> Vec<(Case, &'static str)> {
    vec![
        (
            Case {
                header: Some(10),
                ..Case::new("a stream with a header", TWO)
            },
            "0123456789",
        ),
        (
            Case::new("a stream of known length", TWO).hints(10),
            "0123456789",
        ),
        (Case::new("a stream", TWO), "0123456789"),
        (
            Case {
                shows_its_end: true,
                ..Case::new("a stream that is at its end with its last frame", TWO)
            },
            "0123456789",
        ),
        (Case::new("an error", &[Data("01234"), Fail]), "01234"),
        (Case::new("trailers", &[Data("01234"), Trailers]), "01234"),
        (
            Case::new(
                "trailers after the length",
                &[Data("01234"), Data("56789"), Trailers],
            )
            .hints(10),
            "0123456789",
        ),
        (
            Case::new(
                "later trailers",
                &[Data("01234"), Data("56789"), Turn, Trailers],
            )
            .hints(10),
            "0123456789",
        ),
        (
            Case::new("less than its length", &[Data("01234")]).hints(10),
            "01234",
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_task_that_waits_for_the_drop_of_a_finished_body_meets_no_deadline() {
    for hold in MODES {
        let streams = if hold == Hold::Head {
            Vec::new()
        } else {
            streams()
        };
        for (case, data) in cases().into_iter().chain(streams) {
            for version in VERSIONS {
                let case = Case {
                    version,
                    ..case.clone()
                };
                let played = case.play(TaskTrackerLayer::new().hold(hold)).await;
                let what = format!("{}, {hold:?}, {version:?}: {played:?}", case.what);
                assert_eq!(played.took, ms(0), "{what}");
                assert_eq!(played.report.outcome, Outcome::Drained, "{what}");
                assert_eq!(played.status, case.status, "{what}");
                assert_eq!(played.data, data, "{what}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_required_task_that_waits_for_the_drop_of_a_finished_body_fails_nothing() {
    for hold in MODES {
        // The head of a stream is held under `Auto` as long as such a task is alive.
        let streams = if hold == Hold::End {
            streams()
        } else {
            Vec::new()
        };
        for (case, data) in cases().into_iter().chain(streams) {
            for version in VERSIONS {
                let case = Case {
                    version,
                    required: true,
                    ..case.clone()
                };
                let played = case.play(TaskTrackerLayer::new().hold(hold)).await;
                let what = format!("{}, {hold:?}, {version:?}: {played:?}", case.what);
                assert_eq!(played.took, ms(0), "{what}");
                assert_eq!(played.status, case.status, "{what}");
                assert_eq!(played.data, data, "the body is whole: {what}");
                assert!(!played.report.required_failed, "{what}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_waits_for_the_drop_of_a_finished_body_is_not_aborted() {
    for unfinished in [Unfinished::Abort, Unfinished::Cancel { grace: ms(10) }] {
        for (case, _) in cases().into_iter().chain(streams()) {
            let layer = TaskTrackerLayer::new().drain_timeout(ms(100));
            let played = case.play(layer.at_deadline(unfinished)).await;
            let what = format!("{}, {unfinished:?}: {played:?}", case.what);
            assert!(played.report.is_clean(), "{what}");
            assert!(!played.report.cancelled, "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_awaited_before_the_release_does_not_keep_the_body_either() {
    for (case, _) in cases().into_iter().chain(streams()) {
        let (body, reading) = case.body();
        let reading = std::sync::Mutex::new(Some(reading));
        let layer = TaskTrackerLayer::new().before_release(move |_| {
            let reading = reading.lock().expect("unpoisoned").take();
            async move {
                if let Some(reading) = reading {
                    reading.await;
                }
            }
        });
        let arrived = Instant::now();
        let response = case.respond(&layer, body, || {}).await;
        if case.method != Method::HEAD {
            read(response.into_body()).await;
        }
        assert_eq!(arrived.elapsed(), ms(0), "{}", case.what);
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_destructor_of_a_finished_body_spawns_is_held_for_in_every_row() {
    for hold in [Hold::Auto, Hold::End, Hold::Head] {
        let streams = if hold == Hold::Head {
            Vec::new()
        } else {
            streams()
        };
        for (case, data) in cases().into_iter().chain(streams) {
            for version in VERSIONS {
                let case = Case {
                    version,
                    ..case.clone()
                };
                let log = Log::default();
                let layer = TaskTrackerLayer::new().hold(hold).observer(log.clone());
                let (body, reading) = case.body();
                let body = body.at_drop(|| drop(named("last will").spawn(after(40))));
                let arrived = Instant::now();
                let response = case.respond(&layer, body, || drop(spawn(reading))).await;
                let what = format!("{}, {hold:?}, {version:?}", case.what);
                let read = match case.method {
                    Method::HEAD => String::new(),
                    _ => read(response.into_body()).await.0,
                };
                assert_eq!(read, data, "{what}");
                assert_eq!(arrived.elapsed(), ms(40), "{what}");
                let report = log.report();
                assert_eq!(
                    (report.spawned, report.completed),
                    (2, 2),
                    "{what}: {report}"
                );
                assert_eq!(report.outcome, Outcome::Drained, "{what}");
                assert!(log.late_spawns().is_empty(), "{what}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn axums_own_body_does_not_keep_a_task_either() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().observer(log.clone());
    let arrived = Instant::now();
    let service = layer.layer(service_fn(|_: Request<()>| async {
        let (play, copied) = Play::new(WHOLE);
        spawn(read_all(copied));
        let play = play.hints(10).shows_its_end();
        Ok::<_, Infallible>(Response::new(axum::body::Body::new(play)))
    }));
    let Ok(response) = service.oneshot(request()).await;
    let body = response.into_body().collect().await.expect("no error");
    assert_eq!(body.to_bytes(), Bytes::from("0123456789"));
    assert_eq!(arrived.elapsed(), ms(0));
    assert_eq!(log.report().outcome, Outcome::Drained);
}
