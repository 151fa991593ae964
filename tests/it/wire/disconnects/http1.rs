//! HTTP/1: clients that leave before the end of their response.

use tower_task_tracker::Unfinished;

use crate::support::after;
use crate::wire::harness::leaving::Way;
use crate::wire::harness::reach::{REQUEST, reach_http1, send};
use crate::wire::harness::scene::{Scene, Stage};
use crate::wire::harness::serve::serve_http1;
use crate::wire::harness::verdicts::CANCEL;

/// The client leaves at this stage.
fn check(
    stage: Stage,
    ways: &[Way],
    unfinished: Unfinished,
    check_dropped: &impl AsyncFn(&mut Scene),
) {
    for way in ways {
        way.run(async {
            let mut scene = Scene::leaving(unfinished);
            let (client, _) = reach_http1(stage, &scene, *way).await;
            let _half_open = way.leave(client).await;
            check_dropped(&mut scene).await;
        });
    }
}

fn check_left_behind(stage: Stage) {
    check(
        stage,
        &Way::ALL,
        Unfinished::Continue,
        &Scene::check_left_behind,
    );
}

#[test]
fn http1_a_client_that_leaves_while_the_handler_runs_leaves_its_task_behind() {
    check_left_behind(Stage::Handling);
}

#[test]
fn http1_a_client_that_leaves_a_held_head_leaves_its_task_behind() {
    check_left_behind(Stage::HeadHeld);
}

#[test]
fn http1_a_client_that_leaves_while_the_body_streams_leaves_its_task_behind() {
    check_left_behind(Stage::Streaming);
}

#[test]
fn http1_a_client_that_leaves_a_held_end_leaves_its_task_behind() {
    check_left_behind(Stage::EndHeld);
    check_left_behind(Stage::DataHeld);
}

#[test]
fn http1_a_client_that_leaves_has_its_task_aborted_if_that_is_the_policy() {
    let at_once = &Scene::check_aborted_at_once;
    for stage in Stage::ALL {
        check(stage, &Way::IN_MEMORY, Unfinished::Abort, at_once);
        check(stage, &Way::ALL, Unfinished::Abort, &Scene::check_aborted);
    }
}

#[test]
fn http1_a_client_that_leaves_has_its_tasks_cancelled_before_they_are_aborted() {
    for stage in Stage::ALL {
        check(stage, &Way::IN_MEMORY, CANCEL, &Scene::check_cancelled);
        check(stage, &Way::IN_MEMORY, CANCEL, &Scene::check_ended_in_time);
    }
}

#[test]
fn http1_a_client_that_takes_nothing_and_leaves_leaves_its_task_behind() {
    for stage in [Stage::Streaming, Stage::EndHeld, Stage::DataHeld] {
        Way::PipeClosed.run(async {
            let mut scene = Scene::leaving(Unfinished::Continue);
            let (mut client, server) = Way::narrow();
            tokio::spawn(serve_http1(server, scene.service(stage)));
            send(&mut client, REQUEST).await;
            scene.gate.reached().await;
            after(1).await;
            scene.assert_goes_on();
            drop(client);
            scene.check_left_behind().await;
        });
    }
}
