//! A task that waits for the drop of the body does not wait for the response, over both protocols.

use std::convert::Infallible;

use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use tower::{Layer, ServiceBuilder, service_fn};
use tower_http::compression::CompressionLayer;
use tower_task_tracker::{DrainReport, Hold, Outcome, TaskTrackerLayer, named};

use super::harness::frames::{Client, split_ends};
use super::harness::pipe::Pipe;
use super::harness::serve::HttpService;
use super::harness::setup::REQUEST;
use crate::support::Act::{self, Data, Fail, Stall, Trailers, Turn};
use crate::support::{Log, Play, ms, read_all};

const HELD: [Hold; 3] = [Hold::Auto, Hold::Head, Hold::End];

const STREAMED: [Hold; 2] = [Hold::Auto, Hold::End];

const TEXT: &str = "long enough to be worth the while of a compressor";

const LENGTH: u64 = TEXT.len() as u64;

/// How a handler answers whose task waits for the drop of the body.
#[derive(Debug, Clone, Copy)]
struct Case {
    method: &'static str,
    status: u16,
    /// The value of `content-length`.
    header: Option<u64>,
    acts: &'static [Act],
    hint: Option<u64>,
    required: bool,
    is_grpc: bool,
}

const GET: Case = Case {
    method: "GET",
    status: 200,
    header: None,
    acts: &[],
    hint: None,
    required: false,
    is_grpc: false,
};

impl Case {
    fn response(self) -> Response<Play> {
        let (mut body, copied) = Play::new(self.acts);
        if let Some(length) = self.hint {
            body = body.hints(length);
        }
        let task = named("reader").fallible();
        let task = if self.required { task.required() } else { task };
        task.spawn(async {
            read_all(copied).await;
            Ok::<_, &str>(())
        });
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).expect("a status");
        let headers = response.headers_mut();
        if let Some(length) = self.header {
            headers.insert(CONTENT_LENGTH, length.into());
        }
        if self.is_grpc {
            let grpc = HeaderValue::from_static("application/grpc");
            headers.insert(HeaderName::from_static("content-type"), grpc);
        }
        response
    }

    fn service(self, layer: &TaskTrackerLayer) -> impl HttpService + use<> {
        layer.layer(service_fn(move |_: Request<Incoming>| async move {
            Ok::<_, Infallible>(self.response())
        }))
    }

    /// All that arrives while the test does nothing.
    async fn answer(self, http2: bool, hold: Hold) -> (String, DrainReport) {
        let log = Log::default();
        let layer = TaskTrackerLayer::new().hold(hold).observer(log.clone());
        let service = self.service(&layer);
        let arrived = if http2 {
            let mut client = Client::connect(service).await;
            split_ends(&client.request(self.method).until_idle().await)
        } else {
            let mut pipe = Pipe::open(service);
            let method = self.method;
            pipe.send(format!("{method} / HTTP/1.1\r\nhost: here\r\n\r\n"))
                .await;
            pipe.until_idle().await
        };
        assert_ne!(
            arrived, "",
            "{self:?}, {hold:?}: nothing arrives before the deadline"
        );
        (arrived, log.report())
    }

    /// Over both, where the response is the same in each of these modes.
    async fn check(self, modes: &[Hold], http1: &str, http2: &str) {
        for &hold in modes {
            for (is_http2, wanted) in [(false, http1), (true, http2)] {
                let (arrived, report) = self.answer(is_http2, hold).await;
                let what = format!("{self:?}, {hold:?}, HTTP/2: {is_http2}");
                assert_eq!(arrived, wanted, "{what}");
                assert_eq!(report.outcome, Outcome::Drained, "{what}: {report}");
                assert_eq!(report.held, ms(0), "{what}: {report}");
                assert!(report.is_clean(), "{what}: {report}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_has_ended_is_dropped_and_its_end_is_kept() {
    Case {
        acts: &[Data("one"), Data("two")],
        ..GET
    }
    .check(
        &STREAMED,
        "HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n3\none\n3\ntwo\n0\n\n",
        "head 200\ndata one\ndata two\nend\n",
    )
    .await;
    let trailers = Case {
        acts: &[Data("one"), Trailers],
        is_grpc: true,
        ..GET
    };
    for hold in STREAMED {
        let (arrived, report) = trailers.answer(true, hold).await;
        let wanted = "head 200 content-type=application/grpc\ndata one\ntrailers cost=7\nend\n";
        assert_eq!(arrived, wanted, "{hold:?}");
        assert!(report.is_clean(), "{report}");
    }
    let error = Case {
        acts: &[Data("one"), Turn, Fail],
        ..GET
    };
    for hold in STREAMED {
        let (arrived, report) = error.answer(true, hold).await;
        assert_eq!(arrived, "head 200\ndata one\nreset 2\n", "{hold:?}");
        assert!(report.is_clean(), "{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_nothing_can_follow_the_head_the_body_is_dropped_unsent() {
    for acts in [&[][..], &[Data("one"), Turn], &[Stall]] {
        for header in [None, Some(10)] {
            for (status, reason) in [(204, "No Content"), (304, "Not Modified")] {
                let field = header.map_or("", |_| " content-length=10");
                Case {
                    status,
                    header,
                    acts,
                    ..GET
                }
                .check(
                    &HELD,
                    &format!("HTTP/1.1 {status} {reason}\n\n"),
                    // With an empty data frame after it, the client would reset the stream.
                    &format!("head {status}{field}\nend\n"),
                )
                .await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn for_head_the_exact_length_is_written_unless_the_handler_wrote_one() {
    for (header, hint, length) in [
        (None, Some(10), Some(10)),
        (Some(7), None, Some(7)),
        (Some(10), Some(10), Some(10)),
        (None, None, None),
    ] {
        for acts in [&[Data("0123456789")][..], &[Turn, Data("01234"), Stall]] {
            let http1 = length.map_or(String::new(), |length| {
                format!("content-length: {length}\n")
            });
            let http2 = length.map_or(String::new(), |length| format!(" content-length={length}"));
            Case {
                method: "HEAD",
                header,
                hint,
                acts,
                ..GET
            }
            .check(
                &HELD,
                &format!("HTTP/1.1 200 OK\n{http1}\n"),
                &format!("head 200{http2}\nend\n"),
            )
            .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_reaches_its_length_is_polled_once_more_and_dropped_if_it_ends() {
    let one = "HTTP/1.1 200 OK\ncontent-length: 10\n\n0123456789";
    let whole = Case {
        acts: &[Data("0123456789")],
        hint: Some(10),
        ..GET
    };
    let http2 = "head 200 content-length=10\ndata 0123456789\nend\n";
    whole.check(&HELD, one, http2).await;
    Case {
        acts: &[Data("01234"), Data("56789")],
        hint: None,
        header: Some(10),
        ..whole
    }
    .check(
        &STREAMED,
        one,
        "head 200 content-length=10\ndata 01234\ndata 56789\nend\n",
    )
    .await;
    Case {
        acts: &[Data("0123456789"), Turn, Data(""), Turn],
        ..whole
    }
    .check(&HELD, one, http2)
    .await;
    // What follows is not for HTTP/1.
    Case {
        acts: &[Data("0123456789"), Trailers],
        ..whole
    }
    .check(
        &HELD,
        one,
        "head 200 content-length=10\ndata 0123456789\ntrailers cost=7\nend\n",
    )
    .await;
    Case {
        acts: &[Data("0123456789"), Turn, Trailers],
        ..whole
    }
    .check(
        &HELD,
        one,
        "head 200 content-length=10\ndata 0123456789\ntrailers cost=7\nend\n",
    )
    .await;
    Case {
        acts: &[Data("0123456789"), Turn, Fail],
        ..whole
    }
    .check(
        &HELD,
        one,
        "head 200 content-length=10\ndata 0123456789\nreset 2\n",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_pending_behind_its_length_is_dropped_in_http1() {
    for acts in [
        &[Data("0123456789"), Stall][..],
        &[Data("01234"), Data("56789"), Stall],
    ] {
        for required in [false, true] {
            let case = Case {
                acts,
                hint: Some(10),
                required,
                ..GET
            };
            let modes = if acts.len() == 2 {
                &HELD[..]
            } else {
                &[Hold::End]
            };
            for &hold in modes {
                let (arrived, report) = case.answer(false, hold).await;
                let wanted = "HTTP/1.1 200 OK\ncontent-length: 10\n\n0123456789";
                assert_eq!(
                    arrived, wanted,
                    "{case:?}, {hold:?}: the client has all of it"
                );
                assert!(report.is_clean(), "{report}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_length_of_zero_is_reached_at_once_and_trailers_behind_it_are_not_lost() {
    for (hint, header) in [(Some(0), None), (None, Some(0))] {
        let empty = Case {
            header,
            hint,
            ..GET
        };
        let one = "HTTP/1.1 200 OK\ncontent-length: 0\n\n";
        let two = "head 200 content-length=0\nend\n";
        empty.check(&HELD, one, two).await;
        Case {
            acts: &[Turn, Data(""), Turn],
            ..empty
        }
        .check(&HELD, one, two)
        .await;
        for acts in [
            &[Trailers][..],
            &[Turn, Trailers],
            &[Data(""), Turn, Trailers],
        ] {
            let two = "head 200 content-length=0\ntrailers cost=7\nend\n";
            Case { acts, ..empty }.check(&HELD, one, two).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn with_compression_outside_which_polls_past_the_length_nothing_is_lost() {
    for (acts, hint, header) in [
        (&[Data(TEXT)][..], Some(LENGTH), None),
        (&[Data(TEXT)], None, Some(LENGTH)),
        (
            &[Data("long enough"), Data(" to be compressed")],
            None,
            Some(28),
        ),
        (
            &[Data("long enough"), Data(" to be compressed"), Stall],
            None,
            Some(28),
        ),
        (&[Data(TEXT), Stall], Some(LENGTH), None),
    ] {
        for hold in STREAMED {
            let case = Case {
                header,
                acts,
                hint,
                ..GET
            };
            let log = Log::default();
            let layer = TaskTrackerLayer::new().hold(hold).observer(log.clone());
            let stack = ServiceBuilder::new()
                .layer(CompressionLayer::new())
                .service(case.service(&layer));
            let mut pipe = Pipe::open(stack);
            pipe.send(REQUEST).await;
            let arrived = pipe.bytes_until_idle(4096).await;
            let text = String::from_utf8_lossy(&arrived);
            let is_compressed = text.contains("content-encoding: gzip");
            let ends = arrived.ends_with(b"\r\n0\r\n\r\n") || !is_compressed;
            assert!(ends, "{case:?}, {hold:?}: {text}");
            assert!(is_compressed || header == Some(28), "{text}");
            let report = log.report();
            assert_eq!(
                report.outcome,
                Outcome::Drained,
                "{case:?}, {hold:?}: {report}"
            );
            assert!(report.is_clean(), "{report}");
        }
    }
}
