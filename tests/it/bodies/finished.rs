//! A body that the server would not poll again is dropped before a wait. So a task that waits for its drop does not
//! wait for the response.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{
    DrainReport, Hold, Outcome, ResponseBody, TaskTrackerLayer, Unfinished, named, spawn,
};

use crate::support::Act::{self, Data, Fail, Stall, Trailers, Turn};
use crate::support::{Log, Play, after, ms, read_all, request};

const VERSIONS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];
const MODES: [Hold; 4] = [Hold::Auto, Hold::End, Hold::Head, Hold::Never];

/// How a handler answers, and what is asked of it.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) what: &'static str,
    pub(crate) method: Method,
    pub(crate) version: Version,
    pub(crate) status: StatusCode,
    /// The value of `content-length`.
    pub(crate) header: Option<u64>,
    pub(crate) acts: &'static [Act],
    pub(crate) hint: Option<u64>,
    pub(crate) knows_its_end: bool,
    pub(crate) is_grpc: bool,
    /// The task that waits for the body is required.
    pub(crate) required: bool,
}

impl Case {
    pub(crate) fn new(what: &'static str, acts: &'static [Act]) -> Self {
        Self {
            what,
            method: Method::GET,
            version: Version::HTTP_11,
            status: StatusCode::OK,
            header: None,
            acts,
            hint: None,
            knows_its_end: false,
            is_grpc: false,
            required: false,
        }
    }

    pub(crate) fn hints(self, length: u64) -> Self {
        Self {
            hint: Some(length),
            ..self
        }
    }

    pub(crate) fn head(self) -> Self {
        Self {
            method: Method::HEAD,
            ..self
        }
    }

    pub(crate) fn body(&self) -> (Play, impl Future<Output = usize> + Send + use<>) {
        let (mut body, copied) = Play::new(self.acts);
        if let Some(length) = self.hint {
            body = body.hints(length);
        }
        if self.knows_its_end {
            body = body.knows_its_end();
        }
        (body, read_all(copied))
    }

    /// The response, with this body behind it.
    pub(crate) async fn respond(
        &self,
        layer: &TaskTrackerLayer,
        body: Play,
        start: impl FnOnce(),
    ) -> Response<ResponseBody<Play>> {
        let mut request = request();
        *request.method_mut() = self.method.clone();
        *request.version_mut() = self.version;
        let start = std::cell::Cell::new(Some((start, body)));
        let service = service_fn(|_: Request<()>| {
            let (start, body) = start.take().expect("called once");
            start();
            let mut response = Response::new(body);
            *response.status_mut() = self.status;
            if let Some(length) = self.header {
                response.headers_mut().insert(CONTENT_LENGTH, length.into());
            }
            if self.is_grpc {
                let grpc = HeaderValue::from_static("application/grpc");
                response.headers_mut().insert(CONTENT_TYPE, grpc);
            }
            async { Ok::<_, Infallible>(response) }
        });
        let Ok(response) = layer.layer(service).oneshot(request).await;
        response
    }

    /// Plays it with a task that waits for the drop of the body.
    pub(crate) async fn play(&self, layer: TaskTrackerLayer) -> Played {
        let log = Log::default();
        let layer = layer.observer(log.clone());
        let arrived = Instant::now();
        let (body, reading) = self.body();
        let required = self.required;
        let response = self
            .respond(&layer, body, move || {
                let task = named("reader").fallible();
                let task = if required { task.required() } else { task };
                task.spawn(async {
                    reading.await;
                    Ok::<_, &str>(())
                });
            })
            .await;
        let status = response.status();
        // No server asks for a body there.
        let has_no_body = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status);
        let is_unread = self.method == Method::HEAD || has_no_body;
        let data = if is_unread {
            drop(response);
            String::new()
        } else {
            read(response.into_body()).await.0
        };
        let took = arrived.elapsed();
        layer.handle().wait_idle().await;
        Played {
            status,
            data,
            took,
            report: log.report(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) status: StatusCode,
    pub(crate) data: String,
    pub(crate) took: Duration,
    pub(crate) report: DrainReport,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Mark,
    Trailers(HeaderMap),
    Error(String),
}

pub(crate) async fn read(mut body: ResponseBody<Play>) -> (String, End) {
    let mut text = String::new();
    loop {
        match body.frame().await {
            None => return (text, End::Mark),
            Some(Err(error)) => return (text, End::Error(error.to_string())),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => text.push_str(std::str::from_utf8(&data).expect("text")),
                Err(frame) => {
                    let trailers = frame.into_trailers().expect("data or trailers");
                    return (text, End::Trailers(trailers));
                }
            },
        }
    }
}

const WHOLE: &[Act] = &[Data("0123456789")];
const TWO: &[Act] = &[Data("01234"), Data("56789")];

/// Bodies that a server would have dropped, and what the client gets of them.
fn cases() -> Vec<(Case, &'static str)> {
    vec![
        (Case::new("in one piece", WHOLE).hints(10), "0123456789"),
        (
            Case {
                knows_its_end: true,
                ..Case::new("in one piece that knows its end", WHOLE).hints(10)
            },
            "0123456789",
        ),
        (
            Case {
                status: StatusCode::NO_CONTENT,
                knows_its_end: true,
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
                knows_its_end: true,
                ..Case::new("a stream that knows its end", TWO)
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
        let play = play.hints(10).knows_its_end();
        Ok::<_, Infallible>(Response::new(axum::body::Body::new(play)))
    }));
    let Ok(response) = service.oneshot(request()).await;
    let body = response.into_body().collect().await.expect("no error");
    assert_eq!(body.to_bytes(), Bytes::from("0123456789"));
    assert_eq!(arrived.elapsed(), ms(0));
    assert_eq!(log.report().outcome, Outcome::Drained);
}
