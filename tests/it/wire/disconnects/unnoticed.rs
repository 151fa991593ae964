//! Clients that leave unnoticed: their requests go on, and are reported as if the client were there.
//!
//! hyper notices that an HTTP/1 client has left when it reads. If it cannot use more data, it does not read. Then it
//! notices when a write fails: if that write is the response's end, the report comes before.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use hyper::body::Incoming;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tower::{Layer, service_fn};
use tower_task_tracker::{Limit, Outcome, TaskTrackerLayer, Unfinished};

use crate::support::ms;
use crate::wire::harness::leaving::{Io, Way};
use crate::wire::harness::pipe::CLOSED;
use crate::wire::harness::reach::{REQUEST, reach, reach_http1, send};
use crate::wire::harness::scene::{Scene, Stage};
use crate::wire::harness::serve::{serve_half_closable_http1, serve_http1};
use crate::wire::harness::socket::expect;

const SECOND: &str = "GET /other HTTP/1.1\r\nhost: here\r\n\r\n";

/// Sends more than its request, while that is at this stage, and leaves.
async fn leave_unread(
    unread: &str,
    stage: Stage,
    way: Way,
    scene: &Scene,
) -> (Option<Box<dyn Io>>, JoinHandle<()>) {
    let (mut client, server) = reach_http1(stage, scene, way).await;
    send(&mut client, unread).await;
    way.settle().await;
    let half_open = way.leave(client).await;
    way.settle().await;
    scene.assert_goes_on();
    (half_open, server)
}

fn check_unread(unread: &str, ways: &[Way]) {
    for way in ways {
        for stage in [Stage::Handling, Stage::Streaming] {
            way.run(async {
                let scene = Scene::leaving(Unfinished::Abort);
                leave_unread(unread, stage, *way, &scene).await;
            });
        }
        for stage in Stage::HELD {
            way.run(async {
                let mut scene = Scene::leaving(Unfinished::Abort);
                let (half_open, server) = leave_unread(unread, stage, *way, &scene).await;
                scene.gate.open();
                scene.check_drained().await;
                if let Some(mut client) = half_open {
                    let [_, rest] = stage.http1();
                    expect(&mut client, &[rest, CLOSED].concat()).await;
                }
                server.await.expect("the connection ends");
                assert_eq!(scene.log.all().len(), 1, "there is no more to say");
            });
        }
    }
}

#[test]
fn http1_a_client_that_leaves_anything_unread_is_not_noticed() {
    // Old clients end the body of a form with a line end of its own.
    check_unread("\r\n", &Way::ALL);
    check_unread("GET /oth", &Way::ALL);
}

#[test]
fn http1_a_client_that_leaves_a_pipelined_request_is_not_noticed_and_that_never_begins() {
    // In memory, where the client's end is there when hyper reads on: it looks for it before it
    // calls the handler.
    check_unread(SECOND, &Way::IN_MEMORY);
}

#[test]
fn http1_a_client_that_left_unnoticed_is_waited_for_until_the_deadline() {
    for way in Way::IN_MEMORY {
        for stage in Stage::HELD {
            way.run(async {
                let layer = TaskTrackerLayer::new().total_timeout(ms(5000));
                let mut scene = Scene::new(layer.at_disconnect(Unfinished::Abort));
                let _left = leave_unread(SECOND, stage, way, &scene).await;
                let was_freed = scene.observed().await;
                assert!(!was_freed, "it was not aborted");
                let report = scene.log.report();
                assert_eq!(report.outcome, Outcome::DeadlineExceeded, "{report}");
                assert_eq!(report.closed_by, Some(Limit::TotalTimeout), "{report}");
                assert_eq!(report.stragglers.len(), 1, "{report}");
            });
        }
    }
}

#[test]
fn http1_a_client_that_left_unnoticed_is_noticed_when_more_data_is_sent() {
    for way in Way::FOR_GOOD {
        way.run(async {
            let mut scene = Scene::leaving(Unfinished::Continue);
            let (gate, more) = (scene.gate.clone(), Arc::<Notify>::default());
            let is_wanted = more.clone();
            let service = scene.layer.layer(service_fn(move |_: Request<Incoming>| {
                tower_task_tracker::named("work").spawn(gate.task());
                let frames = stream::unfold(is_wanted.clone(), |is_wanted| async {
                    is_wanted.notified().await;
                    let frame = Frame::data(Bytes::from_static(b"more"));
                    Some((Ok::<_, Infallible>(frame), is_wanted))
                });
                async { Ok::<_, Infallible>(Response::new(StreamBody::new(frames))) }
            }));
            let (mut client, server) = way.connect().await;
            tokio::spawn(serve_http1(server, service));
            send(&mut client, &[REQUEST, SECOND].concat()).await;
            let head = "HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n";
            expect(&mut client, head).await;
            way.leave(client).await;
            way.settle().await;
            scene.assert_goes_on();
            // A kernel takes some, until it has noticed that there is no reader.
            while scene.log.all().is_empty() {
                more.notify_one();
                way.settle().await;
            }
            scene.check_left_behind().await;
        });
    }
}

#[test]
fn http1_where_half_closing_is_allowed_a_client_that_leaves_is_not_noticed() {
    for way in Way::ALL {
        for stage in Stage::HELD {
            way.run(async {
                let mut scene = Scene::leaving(Unfinished::Abort);
                let (mut client, server) = way.connect().await;
                let service = scene.service(stage);
                tokio::spawn(serve_half_closable_http1(server, service));
                reach(stage, &scene, &mut client).await;
                let half_open = way.leave(client).await;
                way.settle().await;
                scene.assert_goes_on();
                scene.gate.open();
                scene.check_drained().await;
                if let Some(mut client) = half_open {
                    let [_, rest] = stage.http1();
                    expect(&mut client, &[rest, CLOSED].concat()).await;
                }
            });
        }
    }
}
