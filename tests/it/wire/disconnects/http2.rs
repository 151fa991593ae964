//! HTTP/2: clients that leave one response, or all of them at once.

use tower_task_tracker::{Outcome, Unfinished};

use crate::support::after;
use crate::wire::harness::leaving::Way;
use crate::wire::harness::raw_http2::RawHttp2;
use crate::wire::harness::reach::{reach_http2, start_http2};
use crate::wire::harness::scene::{Scene, Stage};
use crate::wire::harness::verdicts::CANCEL;

/// The client resets its stream at this stage.
fn check_reset(stage: Stage, unfinished: Unfinished, check_dropped: &impl AsyncFn(&mut Scene)) {
    Way::PipeClosed.run(async {
        let mut scene = Scene::leaving(unfinished);
        let mut client = reach_http2(stage, &scene, Way::PipeClosed).await;
        client.reset(1).await;
        check_dropped(&mut scene).await;
    });
}

/// The connection is lost at this stage.
fn check_lost(
    stage: Stage,
    ways: &[Way],
    unfinished: Unfinished,
    check_dropped: &impl AsyncFn(&mut Scene),
) {
    for way in ways {
        way.run(async {
            let mut scene = Scene::leaving(unfinished);
            let client = reach_http2(stage, &scene, *way).await;
            let _half_open = way.leave(client.into_io()).await;
            check_dropped(&mut scene).await;
        });
    }
}

fn check_left_behind(stage: Stage) {
    check_reset(stage, Unfinished::Continue, &Scene::check_left_behind);
    check_lost(
        stage,
        &Way::ALL,
        Unfinished::Continue,
        &Scene::check_left_behind,
    );
}

#[test]
fn http2_a_client_that_leaves_while_the_handler_runs_leaves_its_task_behind() {
    check_left_behind(Stage::Handling);
}

#[test]
fn http2_a_client_that_leaves_a_held_head_leaves_its_task_behind() {
    check_left_behind(Stage::HeadHeld);
}

#[test]
fn http2_a_client_that_leaves_while_the_body_streams_leaves_its_task_behind() {
    check_left_behind(Stage::Streaming);
}

#[test]
fn http2_a_client_that_leaves_a_held_end_leaves_its_task_behind() {
    check_left_behind(Stage::EndHeld);
    check_left_behind(Stage::DataHeld);
}

#[test]
fn http2_a_client_that_leaves_has_its_task_aborted_if_that_is_the_policy() {
    let at_once = &Scene::check_aborted_at_once;
    for stage in Stage::ALL {
        check_reset(stage, Unfinished::Abort, at_once);
        check_lost(stage, &Way::IN_MEMORY, Unfinished::Abort, at_once);
        check_lost(stage, &Way::ALL, Unfinished::Abort, &Scene::check_aborted);
    }
}

#[test]
fn http2_a_client_that_leaves_has_its_tasks_cancelled_before_they_are_aborted() {
    for stage in Stage::ALL {
        check_reset(stage, CANCEL, &Scene::check_cancelled);
        check_reset(stage, CANCEL, &Scene::check_ended_in_time);
        check_lost(stage, &Way::IN_MEMORY, CANCEL, &Scene::check_cancelled);
        check_lost(stage, &Way::IN_MEMORY, CANCEL, &Scene::check_ended_in_time);
    }
}

/// A second stream beside the first one: its end is held.
async fn open_other(scene: &Scene, client: &mut RawHttp2) {
    client.get(3, "/other").await;
    scene.other.reached().await;
    client.expect("3 head\n3 data one\n").await;
}

#[test]
fn http2_a_client_that_resets_its_stream_touches_no_other_one() {
    for stage in Stage::ALL {
        Way::PipeClosed.run(async {
            let scene = Scene::leaving(Unfinished::Abort);
            let mut client = reach_http2(stage, &scene, Way::PipeClosed).await;
            open_other(&scene, &mut client).await;
            client.reset(1).await;
            after(1000).await;
            assert_eq!(scene.log.report().outcome, Outcome::Dropped);
            assert_eq!(scene.layer.handle().live_tasks(), 1, "the other one's");

            scene.other.open();
            client.expect("3 data  END\n").await;
            let [dropped, drained] = &scene.log.reports()[..] else {
                panic!("one report each: {:?}", scene.log.reports());
            };
            assert_eq!((dropped.outcome, dropped.aborted), (Outcome::Dropped, 1));
            assert_eq!((drained.outcome, drained.completed), (Outcome::Drained, 1));
            assert!(scene.other.was_passed(), "its task came to its end");
        });
    }
}

#[test]
fn http2_a_connection_that_is_lost_drops_each_of_its_streams() {
    for stage in Stage::ALL {
        for way in Way::ALL {
            way.run(async {
                let mut scene = Scene::leaving(Unfinished::Abort);
                let mut client = reach_http2(stage, &scene, way).await;
                open_other(&scene, &mut client).await;
                let _half_open = way.leave(client.into_io()).await;
                scene.observed().await;
                scene.observed().await;
                scene.layer.handle().wait_idle().await;
                let reports = scene.log.reports();
                assert_eq!(reports.len(), 2, "one report each: {reports:?}");
                for report in reports {
                    assert_eq!(report.outcome, Outcome::Dropped, "{report}");
                    assert_eq!((report.spawned, report.aborted), (1, 1), "{report}");
                }
            });
        }
    }
}

#[test]
fn http2_a_client_that_takes_nothing_and_resets_its_stream_leaves_its_task_behind() {
    for stage in [Stage::Streaming, Stage::EndHeld, Stage::DataHeld] {
        Way::PipeClosed.run(async {
            let mut scene = Scene::leaving(Unfinished::Continue);
            let mut client = start_http2(stage, &scene, Way::PipeClosed, 0).await;
            client.expect("1 head\n").await;
            scene.assert_goes_on();
            client.reset(1).await;
            scene.check_left_behind().await;
        });
    }
}
