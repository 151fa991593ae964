//! Handlers that run to their end although their client leaves before it.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tower::util::option_layer;
use tower::{ServiceBuilder, service_fn};
use tower_task_tracker::{
    DrainReport, Outcome, RunToCompletionLayer, TaskInfo, TaskTrackerLayer, Unfinished, named,
};

use super::harness::gate::Gate;
use super::harness::leaving::Way;
use super::harness::raw_http2::RawHttp2;
use super::harness::reach::{REQUEST, ROOMY, send};
use super::harness::serve::{HttpService, serve_http1, serve_http2};
use super::harness::verdicts::CANCEL;
use crate::support::Log;

const HANDLER: &str = "run_to_completion";

/// Where the handler is when its client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// It has spawned nothing.
    BeforeItsTask,
    /// Its task is alive.
    BesideItsTask,
}

/// A handler of two steps, with a task that is spawned between them.
struct Writer {
    log: Log,
    layer: TaskTrackerLayer,
    completes: bool,
    first: Gate,
    task: Gate,
    second: Gate,
}

impl Writer {
    fn new(unfinished: Unfinished) -> Self {
        let log = Log::default();
        Self {
            layer: TaskTrackerLayer::new()
                .at_disconnect(unfinished)
                .observer(log.clone()),
            log,
            completes: true,
            first: Gate::default(),
            task: Gate::default(),
            second: Gate::default(),
        }
    }

    fn service(&self) -> impl HttpService + use<> {
        let completion = self.completes.then(RunToCompletionLayer::new);
        let gates = (self.first.clone(), self.task.clone(), self.second.clone());
        ServiceBuilder::new()
            .layer(self.layer.clone())
            .layer(option_layer(completion))
            .service(service_fn(move |_: Request<Incoming>| {
                let (first, task, second) = gates.clone();
                async move {
                    first.task().await;
                    named("task").spawn(task.task());
                    second.task().await;
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("written"))))
                }
            }))
    }

    /// The client is here when its handler is there.
    async fn reached(&self, moment: Moment) {
        self.first.reached().await;
        if moment == Moment::BesideItsTask {
            self.first.open();
            self.task.reached().await;
            self.second.reached().await;
        }
    }

    /// The client has left.
    async fn check(&self, moment: Moment, unfinished: Unfinished) {
        self.dropped().await;
        assert!(!self.second.was_passed(), "the handler is in the middle");
        for gate in [&self.first, &self.second, &self.task] {
            gate.open();
        }
        self.layer.handle().wait_idle().await;
        assert!(self.second.was_passed(), "the handler has come to its end");
        let report = self.log.report();
        assert_eq!(report.outcome, Outcome::Dropped, "{report}");
        assert_eq!(self.log.late_spawns().len(), 0, "nothing of it is late");
        let ends = self.log.late_ends();
        let mut ends = names(&ends);
        ends.sort_unstable();
        if moment == Moment::BeforeItsTask {
            assert!(self.task.was_passed(), "what it spawned later has too");
            self.check_alone(&report, unfinished, &ends);
        } else {
            self.check_beside(&report, unfinished, &ends);
        }
    }

    fn check_alone(&self, report: &DrainReport, unfinished: Unfinished, ends: &[&str]) {
        if unfinished == Unfinished::Continue {
            assert_eq!(names(&report.stragglers), [HANDLER], "{report}");
            assert_eq!(ends, [HANDLER, "task"]);
        } else {
            // It had time to end by itself, and so had its task.
            assert_eq!((report.spawned, report.completed), (2, 2), "{report}");
        }
    }

    fn check_beside(&self, report: &DrainReport, unfinished: Unfinished, ends: &[&str]) {
        match unfinished {
            Unfinished::Continue => {
                assert_eq!(names(&report.stragglers), ["task", HANDLER], "{report}");
                assert_eq!(ends, [HANDLER, "task"]);
                assert!(self.task.was_passed(), "its task has too");
            }
            Unfinished::Abort => {
                assert_eq!(names(&report.failures), ["task"], "{report}");
                assert_eq!((report.spawned, report.completed), (2, 1), "{report}");
                assert!(!self.task.was_passed(), "its task is no handler");
            }
            _ => assert_eq!((report.spawned, report.completed), (2, 2), "{report}"),
        }
    }

    /// Waits until it is known that the client has left: the handler is a task then.
    async fn dropped(&self) {
        loop {
            let tasks = self.layer.handle().snapshot();
            if tasks
                .iter()
                .any(|task| task.name.as_deref() == Some(HANDLER))
            {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

fn names(tasks: &[TaskInfo]) -> Vec<&str> {
    tasks
        .iter()
        .filter_map(|task| task.name.as_deref())
        .collect()
}

async fn leave_http1(writer: &Writer, moment: Moment, way: Way) -> impl Sized + use<> {
    let (mut client, server) = way.connect().await;
    tokio::spawn(serve_http1(server, writer.service()));
    send(&mut client, REQUEST).await;
    writer.reached(moment).await;
    way.leave(client).await
}

async fn start_http2(writer: &Writer, moment: Moment, way: Way) -> RawHttp2 {
    let (client, server) = way.connect().await;
    tokio::spawn(serve_http2(server, writer.service()));
    let mut client = RawHttp2::over(client, ROOMY).await;
    client.get(1, "/").await;
    writer.reached(moment).await;
    client
}

fn check_http1(moment: Moment) {
    for unfinished in [Unfinished::Continue, Unfinished::Abort, CANCEL] {
        for way in Way::ALL {
            way.run(async {
                let writer = Writer::new(unfinished);
                let _half_open = leave_http1(&writer, moment, way).await;
                writer.check(moment, unfinished).await;
            });
        }
    }
}

fn check_http2(moment: Moment) {
    for unfinished in [Unfinished::Continue, Unfinished::Abort, CANCEL] {
        Way::PipeClosed.run(async {
            let writer = Writer::new(unfinished);
            let mut client = start_http2(&writer, moment, Way::PipeClosed).await;
            client.reset(1).await;
            writer.check(moment, unfinished).await;
        });
        for way in Way::ALL {
            way.run(async {
                let writer = Writer::new(unfinished);
                let client = start_http2(&writer, moment, way).await;
                let _half_open = way.leave(client.into_io()).await;
                writer.check(moment, unfinished).await;
            });
        }
    }
}

#[test]
fn http1_a_handler_runs_on_whose_client_leaves_before_it_has_spawned_anything() {
    check_http1(Moment::BeforeItsTask);
}

#[test]
fn http1_a_handler_runs_on_whose_client_leaves_beside_its_task() {
    check_http1(Moment::BesideItsTask);
}

#[test]
fn http2_a_handler_runs_on_whose_client_leaves_before_it_has_spawned_anything() {
    check_http2(Moment::BeforeItsTask);
}

#[test]
fn http2_a_handler_runs_on_whose_client_leaves_beside_its_task() {
    check_http2(Moment::BesideItsTask);
}

/// The control.
#[test]
fn without_the_layer_a_handler_ends_where_its_client_left() {
    for way in Way::IN_MEMORY {
        way.run(async {
            let mut writer = Writer::new(Unfinished::Continue);
            writer.completes = false;
            let _half_open = leave_http1(&writer, Moment::BesideItsTask, way).await;
            way.settle().await;
            writer.second.open();
            writer.task.open();
            writer.layer.handle().wait_idle().await;
            assert_eq!(writer.log.report().outcome, Outcome::Dropped);
            assert!(writer.task.was_passed(), "its task runs on");
            assert!(!writer.second.was_passed(), "it was dropped");
        });
    }
}
