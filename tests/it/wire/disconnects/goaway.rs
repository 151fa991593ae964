//! HTTP/2: clients that send GOAWAY. It ends no stream: the client may wait for the streams that are open, and hyper
//! serves them to their end.

use tower_task_tracker::Unfinished;

use crate::support::after;
use crate::wire::harness::leaving::Way;
use crate::wire::harness::reach::reach_http2;
use crate::wire::harness::scene::{Scene, Stage};

#[test]
fn http2_a_client_that_goes_away_still_gets_its_response() {
    for stage in Stage::HELD {
        Way::PipeClosed.run(async {
            let mut scene = Scene::leaving(Unfinished::Abort);
            let mut client = reach_http2(stage, &scene, Way::PipeClosed).await;
            client.go_away().await;
            after(1000).await;
            scene.assert_goes_on();
            scene.gate.open();
            let [_, rest] = stage.http2();
            client.expect(&[rest, "0 goaway\nclosed\n"].concat()).await;
            scene.check_drained().await;
        });
    }
}

#[test]
fn http2_a_client_that_goes_away_and_is_lost_has_its_task_aborted_if_that_is_the_policy() {
    for stage in Stage::ALL {
        for way in Way::ALL {
            way.run(async {
                let mut scene = Scene::leaving(Unfinished::Abort);
                let mut client = reach_http2(stage, &scene, way).await;
                client.go_away().await;
                way.settle().await;
                scene.assert_goes_on();
                let _half_open = way.leave(client.into_io()).await;
                scene.check_aborted().await;
            });
        }
    }
}
