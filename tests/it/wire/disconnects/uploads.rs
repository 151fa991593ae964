//! HTTP/1: clients that leave before all of their request's body is read.
//!
//! hyper reads one frame of a body ahead, and more if the handler polls for it. When the handler drops the body, hyper
//! tries to read the rest once. If a part is still missing then, it reads no more from this connection. Only after the
//! end of the body does it watch for the client to leave.

use std::convert::Infallible;

use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::mpsc;
use tower::{Layer, service_fn};
use tower_task_tracker::{Outcome, Unfinished};

use crate::wire::harness::leaving::{Io, Way};
use crate::wire::harness::reach::send;
use crate::wire::harness::scene::{Scene, Stage};
use crate::wire::harness::script::Script;
use crate::wire::harness::script::Step::Data;
use crate::wire::harness::serve::serve_http1;

/// A request's fields and body, in two pieces, and whether its task keeps the body.
type Upload = (&'static str, &'static str, bool);

/// Sends the request, and leaves while the head of its response is held.
async fn leave(upload: Upload, way: Way, scene: &mut Scene) -> Option<Box<dyn Io>> {
    let (first, later, keeps_body) = upload;
    scene.keeps_body = keeps_body;
    let (mut client, server) = way.connect().await;
    tokio::spawn(serve_http1(server, scene.service(Stage::HeadHeld)));
    let head = "POST / HTTP/1.1\r\nhost: here\r\n";
    send(&mut client, &[head, first].concat()).await;
    scene.gate.reached().await;
    way.settle().await;
    send(&mut client, later).await;
    way.settle().await;
    way.leave(client).await
}

#[test]
fn http1_a_client_that_leaves_a_rest_of_its_body_unread_is_not_noticed() {
    let uploads: [Upload; 5] = [
        ("content-length: 6\r\n\r\none", "", false),
        ("content-length: 6\r\n\r\none", "two", false),
        // The whole body, but after the handler has dropped it.
        ("content-length: 3\r\n\r\n", "one", false),
        (
            "content-length: 3\r\nexpect: 100-continue\r\n\r\n",
            "",
            false,
        ),
        ("content-length: 6\r\n\r\none", "t", true),
    ];
    for way in Way::ALL {
        for upload in uploads {
            way.run(async {
                let mut scene = Scene::leaving(Unfinished::Abort);
                let _half_open = leave(upload, way, &mut scene).await;
                way.settle().await;
                scene.assert_goes_on();
                scene.gate.open();
                scene.check_drained().await;
            });
        }
    }
}

#[test]
fn http1_a_client_that_leaves_is_noticed_if_its_whole_body_has_come_with_the_head() {
    let uploads: [Upload; 3] = [
        ("content-length: 3\r\n\r\none", "", false),
        ("content-length: 3\r\n\r\none", "", true),
        (
            "transfer-encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n",
            "",
            false,
        ),
    ];
    for way in Way::ALL {
        for upload in uploads {
            way.run(async {
                let mut scene = Scene::leaving(Unfinished::Abort);
                let _half_open = leave(upload, way, &mut scene).await;
                scene.check_aborted().await;
            });
        }
    }
}

#[test]
fn http1_a_client_that_left_is_noticed_when_its_body_is_dropped_and_the_rest_of_it_is_there() {
    let uploads: [Upload; 2] = [
        ("content-length: 6\r\n\r\none", "two", true),
        (
            "transfer-encoding: chunked\r\n\r\n3\r\none\r\n",
            "0\r\n\r\n",
            true,
        ),
    ];
    // In memory, where the client's end is there by then.
    for way in Way::IN_MEMORY {
        for upload in uploads {
            way.run(async {
                let mut scene = Scene::leaving(Unfinished::Abort);
                let _half_open = leave(upload, way, &mut scene).await;
                way.settle().await;
                scene.assert_goes_on();
                scene.gate.open();
                scene.observed().await;
                // The task's end drops the body. hyper reads before it polls for the response.
                let report = scene.log.report();
                assert_eq!(report.outcome, Outcome::Dropped, "{report}");
                assert!(report.is_clean(), "nothing was left to abort: {report}");
            });
        }
    }
}

#[test]
fn http1_a_client_that_leaves_its_body_unfinished_is_noticed_by_the_handler_alone() {
    for way in Way::ALL {
        way.run(async {
            let mut scene = Scene::leaving(Unfinished::Abort);
            let gate = scene.gate.clone();
            let (failed, mut was_read) = mpsc::unbounded_channel();
            let service = scene
                .layer
                .layer(service_fn(move |request: Request<Incoming>| {
                    let (gate, failed) = (gate.clone(), failed.clone());
                    async move {
                        tower_task_tracker::spawn(gate.task());
                        let read = request.into_body().collect().await;
                        failed.send(read.is_err()).expect("the test waits");
                        let whole = Script::new(&[Data("whole")], Some(5), true, None);
                        Ok::<_, Infallible>(Response::new(whole))
                    }
                }));
            let (mut client, server) = way.connect().await;
            tokio::spawn(serve_http1(server, service));
            let head = "POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 6\r\n\r\n";
            send(&mut client, &[head, "one"].concat()).await;
            scene.gate.reached().await;
            let _half_open = way.leave(client).await;
            assert_eq!(was_read.recv().await, Some(true), "the body is short");
            way.settle().await;
            scene.assert_goes_on();
            scene.gate.open();
            scene.check_drained().await;
        });
    }
}
