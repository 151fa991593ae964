//! A row of the table: how a handler answers, and what a client receives.

use std::convert::Infallible;

use http::{Request, Response};
use hyper::body::Incoming;
use tower::service_fn;
use tower_task_tracker::{Hold, TaskTrackerLayer};

use crate::support::Log;
use crate::wire::harness::gate::Gate;
use crate::wire::harness::script::{Script, Step};
use crate::wire::harness::serve::HttpService;
use crate::wire::harness::socket;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) method: &'static str,
    pub(crate) version: &'static str,
    /// The request's fields, a line each.
    pub(crate) fields: &'static str,
    pub(crate) hold: Hold,
    pub(crate) status: u16,
    pub(crate) headers: &'static [(&'static str, &'static str)],
    pub(crate) steps: &'static [Step],
    /// The exact length in the body's `size_hint`.
    pub(crate) size: Option<u64>,
    /// Whether `is_end_stream` is true with the last frame. The row has to hold for each of these.
    pub(crate) announced: &'static [bool],
    /// What arrives while the task is alive.
    pub(crate) first: &'static str,
    /// What arrives once it has ended. Without a task a client sees the two as one.
    pub(crate) rest: &'static str,
}

/// The defaults of a row.
pub(crate) const GET: Row = Row {
    method: "GET",
    version: "HTTP/1.1",
    fields: "",
    hold: Hold::Auto,
    status: 200,
    headers: &[],
    steps: &[],
    size: None,
    announced: &[true, false],
    first: "",
    rest: "",
};

/// What the handler does beside answering.
#[derive(Debug, Clone)]
pub(crate) enum Work {
    Nothing,
    /// It spawns a task and waits for it.
    Before,
    /// It spawns a task that waits for this.
    During(Gate),
}

impl Row {
    pub(crate) fn layer(&self) -> (Log, TaskTrackerLayer) {
        let log = Log::default();
        let layer = TaskTrackerLayer::new()
            .hold(self.hold)
            .drain_timeout(None)
            .observer(log.clone());
        (log, layer)
    }

    pub(crate) fn service(
        &self,
        announced: bool,
        work: Work,
    ) -> impl HttpService<Body = Script> + use<> {
        let row = *self;
        service_fn(move |request: Request<Incoming>| {
            let work = work.clone();
            async move {
                if request.uri().path() == socket::PING {
                    let pong = Script::new(&[Step::Data("pong")], Some(4), true, None);
                    return Ok::<_, Infallible>(Response::new(pong));
                }
                Ok(row.response(announced, work).await)
            }
        })
    }

    pub(crate) async fn response(self, announced: bool, work: Work) -> Response<Script> {
        let gate = match work {
            Work::Nothing => None,
            Work::Before => {
                let task = tower_task_tracker::spawn(async {});
                task.await.expect("it does not panic");
                None
            }
            Work::During(gate) => Some(gate),
        };
        if let (Some(gate), false) = (&gate, self.steps.contains(&Step::Spawn)) {
            tower_task_tracker::spawn(gate.task());
        }
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(*name, *value);
        }
        let body = Script::new(self.steps, self.size, announced, gate);
        response.body(body).expect("a sound response")
    }

    pub(crate) fn request(&self) -> String {
        let (method, version, fields) = (self.method, self.version, self.fields);
        format!("{method} / {version}\nhost: here\n{fields}\n").replace('\n', "\r\n")
    }

    pub(crate) fn whole(&self) -> String {
        [self.first, self.rest].concat()
    }
}
