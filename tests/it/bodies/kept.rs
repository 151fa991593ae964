//! What is kept of a body that is polled before a wait, and how far it is polled.

use std::sync::atomic::Ordering;
use std::task::Poll;

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Method, StatusCode, Version};
use http_body::Body as _;
use tokio::time::Instant;
use tower_task_tracker::{Hold, Outcome, TaskTrackerLayer, named, spawn};

use crate::bodies::finished::{Case, End, read};
use crate::subscribers::lines::Lines;
use crate::support::Act::{self, Data, Fail, Stall, Trailers, Turn};
use crate::support::{Log, after, ms};

const HTTP_1: [Version; 3] = [Version::HTTP_09, Version::HTTP_10, Version::HTTP_11];

const LATER: [Version; 2] = [Version::HTTP_2, Version::HTTP_3];

/// A body of ten bytes that ends, or does not, after them.
fn ten(acts: &'static [Act]) -> Case {
    Case::new("ten bytes", acts).hints(10)
}

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
async fn what_a_body_says_of_itself_counts_what_is_kept() {
    for (hold, acts, knows_its_end, ends) in [
        (Hold::Auto, &[Data("0123456789")][..], true, true),
        (Hold::Head, &[Data("0123456789")], true, true),
        (Hold::Auto, &[Data("0123456789")], false, false),
        (Hold::Auto, &[Data("0123456789"), Stall], false, true),
    ] {
        let case = Case {
            knows_its_end,
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

#[tokio::test(start_paused = true)]
async fn for_head_the_exact_length_is_written_unless_the_handler_wrote_one() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        for (status, header, hint, written) in [
            (StatusCode::OK, None, Some(10), Some("10")),
            (StatusCode::OK, Some(7), Some(10), Some("7")),
            (StatusCode::OK, Some(7), None, Some("7")),
            (StatusCode::OK, None, None, None),
            (StatusCode::NO_CONTENT, None, Some(10), None),
            (StatusCode::NOT_MODIFIED, None, Some(10), None),
        ] {
            let case = Case {
                version,
                status,
                header,
                hint,
                ..ten(&[Data("0123456789")]).head()
            };
            let (body, reading) = case.body();
            let layer = TaskTrackerLayer::new();
            let response = case.respond(&layer, body, || drop(spawn(reading))).await;
            let length = response.headers().get(CONTENT_LENGTH);
            let length = length.map(|length| length.to_str().expect("digits"));
            assert_eq!(length, written, "{case:?}");
            assert!(response.body().is_end_stream(), "{case:?}");
            assert_eq!(response.body().size_hint().exact(), Some(0), "{case:?}");
            assert!(response.body().get_ref().is_none(), "{case:?}");
            assert!(!response.headers().contains_key(TRANSFER_ENCODING));
        }
    }
    let get = Case {
        status: StatusCode::NOT_MODIFIED,
        ..ten(&[Data("0123456789")])
    };
    let (body, reading) = get.body();
    let response = get
        .respond(&TaskTrackerLayer::new(), body, || drop(spawn(reading)))
        .await;
    assert!(
        !response.headers().contains_key(CONTENT_LENGTH),
        "it is for HEAD alone"
    );
    assert_eq!(get.method, Method::GET);
}

#[tokio::test(start_paused = true)]
async fn a_failed_answer_to_head_has_no_length_of_the_body_that_is_gone() {
    let case = ten(&[Data("0123456789")]).head();
    let (body, _) = case.body();
    let response = case
        .respond(&TaskTrackerLayer::new(), body, || {
            named("order").required().spawn(async {
                after(10).await;
                Err::<(), _>("out of stock")
            });
        })
        .await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!response.headers().contains_key(CONTENT_LENGTH));
}

#[tokio::test(start_paused = true)]
async fn a_failed_grpc_call_of_known_length_gets_the_trailers_that_were_kept() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let case = Case {
            version,
            is_grpc: true,
            ..ten(&[Data("0123456789"), Trailers])
        };
        let (body, _) = case.body();
        let layer = TaskTrackerLayer::new().hold(Hold::End);
        let fails = || {
            named("order").required().spawn(async {
                after(10).await;
                Err::<(), _>("out of stock")
            });
        };
        let response = case.respond(&layer, body, fails).await;
        let (data, end) = read(response.into_body()).await;
        assert_eq!(data, "0123456789");
        let End::Trailers(trailers) = end else {
            panic!("no trailers: {end:?}");
        };
        assert_eq!(trailers["grpc-status"], "13");
        assert_eq!(trailers["cost"], "7", "those of the inner body");
    }
}

/// The last data do not end a call: its status comes behind them.
#[tokio::test(start_paused = true)]
async fn a_grpc_call_that_failed_before_its_last_data_keeps_what_its_trailers_have() {
    let case = Case {
        version: Version::HTTP_2,
        is_grpc: true,
        ..ten(&[Data("01234"), Turn, Data("56789"), Trailers])
    };
    let (body, _) = case.body();
    let layer = TaskTrackerLayer::new().hold(Hold::End);
    let fails = || {
        let order = named("order").required();
        order.spawn(async { Err::<(), _>("out of stock") });
    };
    let response = case.respond(&layer, body, fails).await;
    after(10).await;
    let (data, end) = read(response.into_body()).await;
    assert_eq!(data, "0123456789");
    let End::Trailers(trailers) = end else {
        panic!("no trailers: {end:?}");
    };
    assert_eq!(trailers["grpc-status"], "13");
    assert_eq!(trailers["cost"], "7", "those of the inner body");
}

/// hyper checks an exact hint against the header, and writes both.
#[tokio::test(start_paused = true)]
async fn a_look_makes_no_length_exact_that_was_not() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let case = Case {
            version,
            header: Some(0),
            knows_its_end: true,
            ..Case::new("more than its header has", &[Data("hello")])
        };
        let (body, _) = case.body();
        let layer = TaskTrackerLayer::new();
        let response = case.respond(&layer, body, || drop(spawn(after(30)))).await;
        assert_eq!(response.body().size_hint().exact(), None, "{version:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn for_head_a_length_of_zero_is_not_written() {
    let case = Case {
        method: Method::HEAD,
        ..Case::new("nothing, and no end", &[])
    };
    let case = case.hints(0);
    let (body, _) = case.body();
    let layer = TaskTrackerLayer::new();
    let response = case.respond(&layer, body, || drop(spawn(after(30)))).await;
    assert!(!response.headers().contains_key(CONTENT_LENGTH));
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

/// By contract, and as `TaskBuilder::required` documents it.
#[tokio::test(start_paused = true)]
async fn a_required_task_that_reads_a_stream_waits_for_itself_under_auto_and_the_log_names_the_cause()
 {
    for (hold, seconds, status) in [
        (Hold::Auto, 25, StatusCode::INTERNAL_SERVER_ERROR),
        (Hold::Required, 25, StatusCode::INTERNAL_SERVER_ERROR),
        (Hold::Head, 25, StatusCode::INTERNAL_SERVER_ERROR),
        (Hold::End, 0, StatusCode::OK),
    ] {
        let lines = Lines::default();
        let _listening = lines.listen();
        let case = Case {
            required: true,
            ..Case::new("a stream", &[Data("01234"), Turn, Data("56789")])
        };
        let played = case.play(TaskTrackerLayer::new().hold(hold)).await;
        assert_eq!(played.took.as_secs(), seconds, "{hold:?}: {played:?}");
        assert_eq!(played.status, status, "{hold:?}");
        if hold != Hold::End {
            let line = lines.with("a task that the response depends on has failed");
            assert!(line.starts_with("ERROR"), "{line}");
            assert!(line.contains("Hold::End"), "it names the way out: {line}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_warning_of_a_held_stream_names_the_likely_cause_and_no_other_does() {
    for (hold, acts, has_hint) in [
        (Hold::Head, &[Data("01234"), Turn][..], true),
        (Hold::Auto, &[Data("01234"), Turn], false),
        (Hold::Auto, &[Data("0123456789")], false),
    ] {
        let lines = Lines::default();
        let _listening = lines.listen();
        let case = ten(acts);
        let (body, _) = case.body();
        let log = Log::default();
        let layer = TaskTrackerLayer::new()
            .hold(hold)
            .drain_timeout(ms(50))
            .observer(log.clone());
        let response = case.respond(&layer, body, || drop(spawn(after(100)))).await;
        read(response.into_body()).await;
        assert_eq!(log.report().outcome, Outcome::DeadlineExceeded);
        let line = lines.with("the drain window closed before everything was done");
        assert_eq!(
            line.contains("Hold::End"),
            has_hint,
            "{hold:?}, {acts:?}: {line}"
        );
        layer.handle().wait_idle().await;
    }
}
