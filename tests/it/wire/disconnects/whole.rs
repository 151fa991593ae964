//! Clients that leave when the server has the whole response: that is no disconnect.

use tower_task_tracker::{Hold, TaskTrackerLayer, Unfinished};

use crate::support::after;
use crate::wire::harness::leaving::Way;
use crate::wire::harness::reach::{REQUEST, ROOMY, reach_http1, reach_http2, send, start_http2};
use crate::wire::harness::scene::{Scene, Stage};
use crate::wire::harness::serve::serve_http1;
use crate::wire::harness::socket::expect;

#[test]
fn http1_a_client_that_leaves_with_all_of_its_response_is_no_disconnect() {
    for stage in Stage::HELD {
        for way in Way::ALL {
            way.run(async {
                let mut scene = Scene::leaving(Unfinished::Abort);
                let (mut client, server) = reach_http1(stage, &scene, way).await;
                scene.gate.open();
                let [_, rest] = stage.http1();
                expect(&mut client, rest).await;
                let _half_open = way.leave(client).await;
                server.await.expect("the connection ends");
                scene.check_drained().await;
            });
        }
    }
}

#[test]
fn http1_a_response_that_the_server_has_whole_is_drained_though_the_client_takes_nothing() {
    for stage in Stage::HELD {
        Way::PipeClosed.run(async {
            let mut scene = Scene::leaving(Unfinished::Abort);
            let (mut client, server) = Way::narrow();
            let server = tokio::spawn(serve_http1(server, scene.service(stage)));
            send(&mut client, REQUEST).await;
            scene.gate.reached().await;
            scene.gate.open();
            scene.check_drained().await;
            drop(client);
            server.await.expect("the connection ends");
            assert_eq!(scene.log.all().len(), 1, "there is no more to say");
        });
    }
}

#[test]
fn http2_a_client_that_leaves_with_all_of_its_response_is_no_disconnect() {
    for stage in Stage::HELD {
        for way in Way::ALL {
            way.run(async {
                let mut scene = Scene::leaving(Unfinished::Abort);
                let mut client = reach_http2(stage, &scene, way).await;
                scene.gate.open();
                let [_, rest] = stage.http2();
                client.expect(rest).await;
                // It is not there any more.
                client.reset(1).await;
                let _half_open = way.leave(client.into_io()).await;
                way.settle().await;
                scene.check_drained().await;
            });
        }
    }
}

#[test]
fn http2_a_response_that_the_server_has_whole_is_drained_though_the_client_takes_no_more() {
    for (stage, window) in [(Stage::HeadHeld, 0), (Stage::DataHeld, 3)] {
        let way = Way::PipeClosed;
        way.run(async {
            let mut scene = Scene::leaving(Unfinished::Abort);
            let mut client = start_http2(stage, &scene, way, window).await;
            scene.gate.open();
            // Until the last data waits for room.
            after(1).await;
            client.reset(1).await;
            after(1000).await;
            scene.check_drained().await;
        });
    }
}

/// Nothing waits for the task.
fn never() -> Scene {
    let layer = TaskTrackerLayer::new().hold(Hold::Never);
    Scene::new(layer.at_disconnect(Unfinished::Abort))
}

#[test]
fn http1_under_hold_never_a_client_that_leaves_after_its_response_stops_no_task() {
    for stage in Stage::HELD {
        for way in Way::ALL {
            way.run(async {
                let mut scene = never();
                let (mut client, server) = way.connect().await;
                let server = tokio::spawn(serve_http1(server, scene.service(stage)));
                send(&mut client, REQUEST).await;
                expect(&mut client, &stage.http1().concat()).await;
                let _half_open = way.leave(client).await;
                server.await.expect("the connection ends");
                scene.assert_goes_on();
                scene.gate.open();
                scene.check_drained().await;
            });
        }
    }
}

#[test]
fn http2_under_hold_never_a_client_that_leaves_after_its_response_stops_no_task() {
    for stage in Stage::HELD {
        for way in Way::ALL {
            way.run(async {
                let mut scene = never();
                let mut client = start_http2(stage, &scene, way, ROOMY).await;
                client.expect(&stage.http2().concat()).await;
                let _half_open = way.leave(client.into_io()).await;
                way.settle().await;
                scene.assert_goes_on();
                scene.gate.open();
                scene.check_drained().await;
            });
        }
    }
}

#[test]
fn under_hold_never_a_client_that_leaves_before_its_end_has_its_task_aborted() {
    for stage in [Stage::Handling, Stage::Streaming] {
        for way in Way::ALL {
            way.run(async {
                let mut scene = never();
                let (client, _) = reach_http1(stage, &scene, way).await;
                let _half_open = way.leave(client).await;
                scene.check_aborted().await;

                let mut scene = never();
                let client = reach_http2(stage, &scene, way).await;
                let _half_open = way.leave(client.into_io()).await;
                scene.check_aborted().await;
            });
        }
    }
}
