//! What is kept of a body that is polled before a wait, and how far it is polled.

use std::sync::atomic::Ordering;
use std::task::Poll;

use http::Version;
use http::header::CONTENT_LENGTH;
use http_body::Body as _;
use tokio::time::Instant;
use tower_task_tracker::{Hold, TaskTrackerLayer, named, spawn};

use super::case::{Case, End, read, ten};
use crate::support::Act::{self, Data, Fail, Stall, Trailers, Turn};
use crate::support::{Log, after, ms};

const HTTP_1: [Version; 3] = [Version::HTTP_09, Version::HTTP_10, Version::HTTP_11];

const LATER: [Version; 2] = [Version::HTTP_2, Version::HTTP_3];

/// The response of a case behind a task of 30 ms, and how it is read after that.
async fn held(case: &Case, hold: Hold) -> (String, End, usize) {
    let (body, _) = case.body();
    let polls = body.polls();
    let layer = TaskTrackerLayer::new().hold(hold);
    let arrived = Instant::now();
    let response = case.respond(&layer, body, || drop(spawn(after(30)))).await;
    let (data, end) = read(response.into_body()).await;
    assert!(arrived.elapsed() >= ms(30), "{case:?}: it was held");
    (data, end, polls.load(Ordering::SeqCst))
}

#[tokio::test(start_paused = true)]
async fn trailers_after_the_length_are_kept_in_every_version() {
    for version in HTTP_1.into_iter().chain(LATER) {
        for hold in [Hold::Auto, Hold::Head, Hold::End] {
            for acts in [
                &[Data("0123456789"), Trailers],
                &[Data("0123456789"), Data(""), Trailers][..],
            ] {
                let case = Case {
                    version,
                    ..ten(acts)
                };
                let (data, end, _) = held(&case, hold).await;
                assert_eq!(data, "0123456789", "{case:?}");
                assert!(matches!(end, End::Trailers(_)), "{case:?}: {end:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_after_the_length_is_passed_on_in_http2_alone() {
    for hold in [Hold::Auto, Hold::Head, Hold::End] {
        for version in HTTP_1.into_iter().chain(LATER) {
            let case = Case {
                version,
                ..ten(&[Data("0123456789"), Fail])
            };
            let (data, end, _) = held(&case, hold).await;
            assert_eq!(data, "0123456789", "{case:?}");
            let is_http2 = LATER.contains(&version);
            assert_eq!(matches!(end, End::Error(_)), is_http2, "{case:?}: {end:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_pending_after_the_length_is_dropped_in_http1_and_polled_with_each_look_later() {
    for hold in [Hold::Auto, Hold::Head, Hold::End] {
        for version in HTTP_1.into_iter().chain(LATER) {
            let case = Case {
                version,
                ..ten(&[Data("0123456789"), Turn, Turn, Trailers])
            };
            let (data, end, polls) = held(&case, hold).await;
            assert_eq!(data, "0123456789", "{case:?}");
            if LATER.contains(&version) {
                assert!(matches!(end, End::Trailers(_)), "{case:?}: {end:?}");
                assert_eq!(polls, 4, "{case:?}");
            } else {
                assert_eq!(end, End::Mark, "{case:?}");
                assert_eq!(polls, 2, "{case:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_http2_body_that_reaches_its_length_and_does_not_end_is_waited_for() {
    let case = Case {
        version: Version::HTTP_2,
        ..ten(&[Data("0123456789"), Stall])
    };
    for (hold, version, seconds) in [
        (Hold::Auto, Version::HTTP_2, 25),
        (Hold::Auto, Version::HTTP_11, 0),
    ] {
        let case = Case {
            version,
            ..case.clone()
        };
        let (body, reading) = case.body();
        let log = Log::default();
        let layer = TaskTrackerLayer::new().hold(hold).observer(log.clone());
        let arrived = Instant::now();
        let response = case.respond(&layer, body, || drop(spawn(reading))).await;
        assert_eq!(arrived.elapsed().as_secs(), seconds, "{version:?}");
        drop(response);
    }
}

#[tokio::test(start_paused = true)]
async fn more_than_the_length_is_kept_and_the_body_is_polled_no_further() {
    let acts = &[Data("0123456789"), Data("more"), Data("and more"), Trailers];
    for version in [Version::HTTP_11, Version::HTTP_2] {
        for hold in [Hold::Auto, Hold::Head, Hold::End] {
            let case = Case {
                version,
                ..ten(acts)
            };
            let (body, _) = case.body();
            let polls = body.polls();
            let layer = TaskTrackerLayer::new().hold(hold);
            let response = case.respond(&layer, body, || drop(spawn(after(30)))).await;
            let mut body = tokio_test::task::spawn(response.into_body());
            if hold == Hold::End {
                for _ in 0..3 {
                    let held = body.enter(|cx, body| body.poll_frame(cx).is_pending());
                    assert!(held, "{case:?}");
                }
            }
            assert_eq!(polls.load(Ordering::SeqCst), 2, "{hold:?}, {version:?}");
            after(30).await;
            let (data, end) = read(body.into_inner()).await;
            assert_eq!(
                data, "0123456789moreand more",
                "nothing is lost: {version:?}"
            );
            assert!(matches!(end, End::Trailers(_)), "{end:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn with_nothing_to_wait_for_the_body_is_not_polled_ahead() {
    for hold in [Hold::Auto, Hold::Head, Hold::End, Hold::Never] {
        for has_task in [false, true] {
            for (case, expected) in [
                (ten(&[Data("0123456789"), Trailers]), 0),
                (ten(&[Data("0123456789")]).head(), 0),
            ] {
                let (body, _) = case.body();
                let polls = body.polls();
                let layer = TaskTrackerLayer::new().hold(hold);
                // A task that has ended, so that the response is looked at closely.
                let response = case
                    .respond(&layer, body, || {
                        if has_task {
                            drop(named("done").token());
                        }
                    })
                    .await;
                assert_eq!(polls.load(Ordering::SeqCst), expected, "{hold:?}");
                assert!(response.body().get_ref().is_some(), "{hold:?}");
                assert!(!response.headers().contains_key(CONTENT_LENGTH));
                assert_eq!(response.body().size_hint().exact(), Some(10));
                let mut body = tokio_test::task::spawn(response.into_body());
                let polled = body.enter(|cx, body| body.poll_frame(cx));
                assert!(matches!(polled, Poll::Ready(Some(Ok(_)))), "{hold:?}");
                assert_eq!(
                    polls.load(Ordering::SeqCst),
                    1,
                    "no more than was asked for"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_hints_of_a_body_count_the_data_that_is_kept() {
    for (hold, acts, shows_its_end, ends) in [
        (Hold::Auto, &[Data("0123456789")][..], true, true),
        (Hold::Head, &[Data("0123456789")], true, true),
        (Hold::Auto, &[Data("0123456789")], false, false),
        (Hold::Auto, &[Data("0123456789"), Stall], false, true),
    ] {
        let case = Case {
            shows_its_end,
            ..ten(acts)
        };
        let (body, _) = case.body();
        let layer = TaskTrackerLayer::new().hold(hold);
        let response = case.respond(&layer, body, || drop(spawn(after(30)))).await;
        let mut body = response.into_body();
        assert!(body.get_ref().is_none(), "{case:?}: it was dropped");
        assert!(body.get_mut().is_none(), "{case:?}");
        assert!(!body.is_end_stream(), "{case:?}: its data are kept");
        assert_eq!(body.size_hint().exact(), Some(10), "{case:?}");
        let mut frames = tokio_test::task::spawn(&mut body);
        let polled = frames.enter(|cx, body| body.poll_frame(cx));
        assert!(matches!(polled, Poll::Ready(Some(Ok(_)))), "{case:?}");
        drop(frames);
        assert_eq!(body.size_hint().exact(), Some(0), "{case:?}");
        assert_eq!(
            body.is_end_stream(),
            ends,
            "{case:?}: an end mark may be kept"
        );
        assert_eq!(read(body).await, (String::new(), End::Mark), "{case:?}");
    }
}

/// hyper checks an exact hint against the header, and writes both.
#[tokio::test(start_paused = true)]
async fn a_look_makes_no_length_exact_that_was_not() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let case = Case {
            version,
            header: Some(0),
            shows_its_end: true,
            ..Case::new("more than its header has", &[Data("hello")])
        };
        let (body, _) = case.body();
        let layer = TaskTrackerLayer::new();
        let response = case.respond(&layer, body, || drop(spawn(after(30)))).await;
        assert_eq!(response.body().size_hint().exact(), None, "{version:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn over_http_1_no_number_of_empty_frames_keeps_a_body_behind_its_length() {
    const EMPTY: [Act; 41] = {
        let mut acts = [Data(""); 41];
        acts[0] = Data("0123456789");
        acts
    };
    for version in HTTP_1 {
        let case = Case {
            version,
            ..ten(&EMPTY)
        };
        let played = case.play(TaskTrackerLayer::new()).await;
        assert_eq!(played.took.as_secs(), 0, "{version:?}: {played:?}");
    }
}
