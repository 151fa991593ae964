//! A body that tests play: what it gives, and what a client gets of it.

use std::convert::Infallible;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{DrainReport, ResponseBody, TaskTrackerLayer, named};

use crate::support::Act;
use crate::support::{Log, Play, read_all, request};

pub(crate) const VERSIONS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

/// How a handler answers, and to which request.
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
    pub(crate) shows_its_end: bool,
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
            shows_its_end: false,
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
        if self.shows_its_end {
            body = body.shows_its_end();
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
        // No server polls a body there.
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

/// A body of ten bytes that ends, or does not, after them.
pub(crate) fn ten(acts: &'static [Act]) -> Case {
    Case::new("ten bytes", acts).hints(10)
}
