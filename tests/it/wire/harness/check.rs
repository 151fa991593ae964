//! How a row is checked.

use tower::Layer;
use tower_task_tracker::{Outcome, TaskTrackerLayer};

use crate::support::Log;
use crate::wire::harness::clock::{paused, real};
use crate::wire::harness::frames::{Client, split_ends};
use crate::wire::harness::gate::Gate;
use crate::wire::harness::pipe::Pipe;
use crate::wire::harness::row::{Row, Work};
use crate::wire::harness::serve::HttpService;
use crate::wire::harness::socket;

impl Row {
    /// Over HTTP/1: without the layer, behind it without a task, with one, and with one over TCP.
    pub(crate) fn check_http1(self) {
        for &announced in self.announced {
            paused(async {
                let bare = self.http1(self.service(announced, Work::Nothing)).await;
                assert_eq!(
                    bare,
                    self.whole(),
                    "the bare service, announced: {announced}"
                );
                for work in [Work::Nothing, Work::Before] {
                    let (log, layer) = self.layer();
                    let idle = layer.layer(self.service(announced, work.clone()));
                    let idle = self.http1(idle).await;
                    assert_eq!(idle, bare, "no task is alive, announced: {announced}");
                    self.assert_idle(&work, &layer, &log);
                }
            });
            paused(self.http1_held(announced));
            real(self.http1_held_over_tcp(announced));
        }
    }

    /// Over HTTP/1 with a task alone, where the bare service sends less than it was given: hyper
    /// discards what it has buffered when an error comes in the same turn.
    pub(crate) fn check_http1_held(self) {
        for &announced in self.announced {
            paused(self.http1_held(announced));
            real(self.http1_held_over_tcp(announced));
        }
    }

    /// Over HTTP/2: without the layer, and behind it without a task.
    pub(crate) fn check_http2_idle(self) {
        for &announced in self.announced {
            paused(self.http2_idle(announced));
        }
    }

    /// Over HTTP/2 with a task alone, where the client gets something else without one.
    pub(crate) fn check_http2_held(self) {
        for &announced in self.announced {
            paused(self.http2_held(announced));
        }
    }

    /// Over HTTP/2: without the layer, behind it without a task, and with one.
    pub(crate) fn check_http2(self) {
        for &announced in self.announced {
            let bare = paused(self.http2_idle(announced));
            let held = paused(self.http2_held(announced));
            // Where the end is on a frame of its own anyway, it is only later.
            if !announced {
                assert_eq!(held, bare, "the same frames");
            }
        }
    }

    async fn http1(&self, service: impl HttpService) -> String {
        let mut pipe = Pipe::open(service);
        pipe.send(self.request()).await;
        pipe.until_idle().await
    }

    async fn http1_held(self, announced: bool) {
        let gate = Gate::default();
        let (log, layer) = self.layer();
        let mut pipe = Pipe::open(layer.layer(self.service(announced, Work::During(gate.clone()))));
        pipe.send(self.request()).await;
        let first = pipe.until_idle().await;
        assert_eq!(
            first, self.first,
            "the task is alive, announced: {announced}"
        );
        assert_eq!(layer.handle().live_tasks(), 1);
        assert!(log.all().is_empty(), "it is too early to report");
        gate.open();
        let rest = pipe.until_idle().await;
        assert_eq!(
            rest, self.rest,
            "the task has ended, announced: {announced}"
        );
        self.assert_over(&layer, &log);
    }

    async fn http1_held_over_tcp(self, announced: bool) {
        let gate = Gate::default();
        let (log, layer) = self.layer();
        let service = layer.layer(self.service(announced, Work::During(gate.clone())));
        let server = socket::listen(service).await;
        socket::exchange(server, &gate, &self.request(), self.first, self.rest).await;
        self.assert_over(&layer, &log);
    }

    /// The response, and all the bytes that it took.
    async fn http2(&self, service: impl HttpService) -> (String, Vec<u8>) {
        let mut client = Client::connect(service).await;
        let frames = client.request(self.method).until_idle().await;
        (split_ends(&frames), client.bytes())
    }

    async fn http2_idle(self, announced: bool) -> Vec<u8> {
        let (bare, bytes) = self.http2(self.service(announced, Work::Nothing)).await;
        assert_eq!(
            bare,
            self.whole(),
            "the bare service, announced: {announced}"
        );
        for work in [Work::Nothing, Work::Before] {
            let (log, layer) = self.layer();
            let idle = layer.layer(self.service(announced, work.clone()));
            let (_, idle) = self.http2(idle).await;
            assert_eq!(idle, bytes, "no task is alive, announced: {announced}");
            self.assert_idle(&work, &layer, &log);
        }
        bytes
    }

    async fn http2_held(self, announced: bool) -> Vec<u8> {
        let gate = Gate::default();
        let (log, layer) = self.layer();
        let service = layer.layer(self.service(announced, Work::During(gate.clone())));
        let mut client = Client::connect(service).await;
        let stream = client.request(self.method);
        let first = split_ends(&stream.until_idle().await);
        assert_eq!(
            first, self.first,
            "the task is alive, announced: {announced}"
        );
        assert_eq!(layer.handle().live_tasks(), 1);
        assert!(log.all().is_empty(), "it is too early to report");
        gate.open();
        let rest = split_ends(&stream.until_idle().await);
        assert_eq!(
            rest, self.rest,
            "the task has ended, announced: {announced}"
        );
        self.assert_over(&layer, &log);
        client.bytes()
    }

    /// The request was reported if it had anything to report.
    fn assert_idle(&self, work: &Work, layer: &TaskTrackerLayer, log: &Log) {
        match work {
            Work::Nothing => assert!(log.all().is_empty(), "nothing was spawned"),
            _ => self.assert_over(layer, log),
        }
    }

    fn assert_over(&self, layer: &TaskTrackerLayer, log: &Log) {
        let report = log.report();
        assert_eq!(report.outcome, Outcome::Drained, "{report}");
        assert_eq!((report.spawned, report.completed), (1, 1), "{report}");
        assert_eq!(layer.handle().live_requests(), 0, "nothing is left");
    }
}
