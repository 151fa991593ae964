//! HTTP/1: clients that close their sending side after the request, and wait for the answer.
//!
//! Unless half-closed connections are allowed, hyper treats this as a disconnect as soon as it notices. A quick
//! response has often been sent by then. A response that waits for a task has not.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::task::JoinHandle;
use tower::{Layer, service_fn};
use tower_task_tracker::{Hold, TaskTrackerLayer, Unfinished};

use crate::wire::harness::gate::Gate;
use crate::wire::harness::leaving::{Io, Way};
use crate::wire::harness::pipe::CLOSED;
use crate::wire::harness::reach::{REQUEST, send};
use crate::wire::harness::scene::{Scene, Stage};
use crate::wire::harness::serve::{HttpService, serve_half_closable_http1, serve_http1};
use crate::wire::harness::socket::expect;

const WAYS: [Way; 2] = [Way::PipeHalfClosed, Way::TcpHalfClosed];

/// All that comes of an answer.
const WHOLE: &str = "HTTP/1.1 200 OK\ncontent-length: 5\n\nwhole<closed>";

/// How hyper is set up for such clients.
#[derive(Debug, Clone, Copy)]
enum HalfClose {
    /// Nothing.
    Default,
    Allowed,
}

impl HalfClose {
    const BOTH: [Self; 2] = [Self::Default, Self::Allowed];

    fn serve(self, server: Box<dyn Io>, service: impl HttpService) -> JoinHandle<()> {
        match self {
            Self::Default => tokio::spawn(serve_http1(server, service)),
            Self::Allowed => tokio::spawn(serve_half_closable_http1(server, service)),
        }
    }

    /// A client that sends no more as soon as the handler, or its task, has reached the gate.
    async fn ask(self, way: Way, gate: &Gate, service: impl HttpService) -> Box<dyn Io> {
        let (mut client, server) = way.connect().await;
        self.serve(server, service);
        send(&mut client, REQUEST).await;
        gate.reached().await;
        way.leave(client).await.expect("it is half open")
    }

    /// One whose request comes together with the news that it sends no more.
    async fn ask_at_once(self, way: Way, service: impl HttpService) -> Box<dyn Io> {
        let (mut client, server) = way.connect().await;
        send(&mut client, REQUEST).await;
        let client = way.leave(client).await.expect("it is half open");
        self.serve(server, service);
        client
    }
}

/// A handler without tasks, which reaches the gate, and waits for it or not.
fn handler(gate: &Gate, waits: bool) -> impl HttpService + use<> {
    let gate = gate.clone();
    service_fn(move |_: Request<Incoming>| {
        let gate = gate.clone();
        async move {
            if !waits {
                gate.open();
            }
            gate.task().await;
            Ok::<_, Infallible>(Response::new(Full::from(Bytes::from("whole"))))
        }
    })
}

#[test]
fn a_half_closed_client_gets_the_answer_of_a_handler_that_is_quick() {
    for half_close in HalfClose::BOTH {
        for way in WAYS {
            way.run(async {
                let gate = Gate::default();
                let bare = handler(&gate, false);
                let mut client = half_close.ask(way, &gate, bare).await;
                expect(&mut client, WHOLE).await;

                let layered = TaskTrackerLayer::new().layer(handler(&gate, false));
                let mut client = half_close.ask(way, &gate, layered).await;
                expect(&mut client, WHOLE).await;
            });
        }
    }
}

#[test]
fn a_half_closed_client_gets_none_that_it_has_to_wait_for_with_the_layer_or_without() {
    for way in WAYS {
        way.run(async {
            let gate = Gate::default();
            let bare = handler(&gate, true);
            let mut client = HalfClose::Default.ask(way, &gate, bare).await;
            expect(&mut client, CLOSED).await;

            let layered = TaskTrackerLayer::new().layer(handler(&gate, true));
            let mut client = HalfClose::Default.ask(way, &gate, layered).await;
            expect(&mut client, CLOSED).await;
            assert!(!gate.was_passed(), "each handler was dropped");
        });
    }
}

#[test]
fn a_half_closed_client_gets_none_that_waits_for_a_task() {
    for way in WAYS {
        for stage in Stage::HELD {
            way.run(async {
                let mut scene = Scene::leaving(Unfinished::Continue);
                let (gate, service) = (scene.gate.clone(), scene.service(stage));
                let mut client = HalfClose::Default.ask(way, &gate, service).await;
                // What is not held of it has gone out.
                let [first, _] = stage.http1();
                expect(&mut client, &[first, CLOSED].concat()).await;
                scene.check_left_behind().await;
            });
        }
    }
}

#[test]
fn a_half_closed_client_that_is_noticed_with_its_request_gets_no_answer_unless_it_is_allowed() {
    // In memory: a kernel may deliver the request first, and the rest when there is an answer.
    let way = Way::PipeHalfClosed;
    way.run(async {
        let gate = Gate::default();
        let quick = handler(&gate, false);
        let mut client = HalfClose::Default.ask_at_once(way, quick).await;
        expect(&mut client, CLOSED).await;
        assert!(!gate.was_passed(), "the handler is not called");

        let quick = handler(&gate, false);
        let mut client = HalfClose::Allowed.ask_at_once(way, quick).await;
        expect(&mut client, WHOLE).await;
    });
}

#[test]
fn where_half_closing_is_allowed_a_half_closed_client_gets_every_answer() {
    for way in WAYS {
        way.run(async {
            let gate = Gate::default();
            let waits = handler(&gate, true);
            let mut client = HalfClose::Allowed.ask(way, &gate, waits).await;
            gate.open();
            expect(&mut client, WHOLE).await;
        });
        for stage in Stage::HELD {
            way.run(async {
                let mut scene = Scene::leaving(Unfinished::Abort);
                let (gate, service) = (scene.gate.clone(), scene.service(stage));
                let mut client = HalfClose::Allowed.ask(way, &gate, service).await;
                let [first, rest] = stage.http1();
                expect(&mut client, first).await;
                way.settle().await;
                scene.assert_goes_on();
                gate.open();
                expect(&mut client, &[rest, CLOSED].concat()).await;
                scene.check_drained().await;
            });
        }
    }
}

#[test]
fn where_half_closing_is_allowed_a_handler_runs_on_for_a_client_that_has_left() {
    for way in Way::ALL {
        way.run(async {
            let gate = Gate::default();
            let (mut client, server) = way.connect().await;
            let server = HalfClose::Allowed.serve(server, handler(&gate, true));
            send(&mut client, REQUEST).await;
            gate.reached().await;
            let _half_open = way.leave(client).await;
            way.settle().await;
            assert!(!server.is_finished(), "the connection is served on");
            gate.open();
            server.await.expect("the connection ends");
            assert!(gate.was_passed(), "the handler was not dropped");
        });
    }
}

#[test]
fn under_hold_never_a_half_closed_client_gets_the_answer_of_a_handler_that_is_quick() {
    for way in WAYS {
        way.run(async {
            let layer = TaskTrackerLayer::new().hold(Hold::Never);
            let mut scene = Scene::new(layer.at_disconnect(Unfinished::Abort));
            let (gate, service) = (scene.gate.clone(), scene.service(Stage::HeadHeld));
            let mut client = HalfClose::Default.ask(way, &gate, service).await;
            expect(&mut client, WHOLE).await;
            scene.assert_goes_on();
            gate.open();
            scene.check_drained().await;
        });
    }
}
