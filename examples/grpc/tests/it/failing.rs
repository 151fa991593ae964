//! Calls that fail: their status comes after the tasks, unchanged.

use bytes::Bytes;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};
use tower_task_tracker::{Outcome, TaskTrackerLayer};

use crate::support::{Kind, Seen, Shop, Work, ask, order, ready_steps, run, serve};

#[test]
fn a_failing_call_comes_after_its_tasks_with_all_that_its_status_says() {
    for kind in Kind::ALL {
        run(async {
            let work = Work::new();
            let task = work.clone();
            let shop = kind.shop(async move |tasks| {
                tasks.named("audit").spawn(task.complete());
                Err(sold_out())
            });
            let mut server = serve(TaskTrackerLayer::new(), shop).await;
            let mut client = server.client().await;

            work.open_gate();
            let status = match kind {
                Kind::Unary => client.place(order()).await.map(drop),
                Kind::Streaming => client.follow(order()).await.map(drop),
            };
            work.events().add("status");

            assert_sold_out(&status.expect_err("it is sold out"));
            assert_eq!(work.events().so_far(), ["task", "status"], "{kind:?}");
            assert_eq!(server.report().await.outcome, Outcome::Drained);
        });
    }
}

#[test]
fn a_failing_call_has_its_status_in_its_head_and_nothing_after_it() {
    for kind in Kind::ALL {
        run(async {
            let work = Work::new();
            let task = work.clone();
            let shop = kind.shop(async move |tasks| {
                tasks.named("audit").spawn(task.complete());
                Err(sold_out())
            });
            let server = serve(TaskTrackerLayer::new(), shop).await;

            work.open_gate();
            let mut answer = ask(&server, kind).await;
            work.events().add("head");

            assert_eq!(work.events().so_far(), ["task", "head"], "{kind:?}");
            assert_eq!(answer.head.status, 200);
            assert_eq!(answer.head.headers["grpc-status"], "5");
            assert_eq!(answer.rest().await, [], "{kind:?}");
        });
    }
}

#[test]
fn a_stream_that_fails_in_the_middle_tells_its_messages_at_once_and_its_status_after_the_tasks() {
    run(async {
        let work = Work::new();
        let task = work.clone();
        let shop = Shop::streaming(async move |tasks| {
            tasks.named("audit").spawn(task.complete());
            Ok(ready_steps([
                Ok("taken"),
                Err(sold_out()),
                Ok("never sent"),
            ]))
        });
        let mut server = serve(TaskTrackerLayer::new(), shop).await;
        let mut client = server.client().await;

        let steps = client.follow(order()).await.expect("it is taken");
        let mut steps = steps.into_inner();
        let step = steps.message().await.expect("it has not failed yet");
        assert_eq!(step.expect("a message").text, "taken");
        work.events().add("message");
        work.open_gate();
        let status = steps.message().await.expect_err("it is sold out");
        work.events().add("status");

        assert_sold_out(&status);
        assert_eq!(work.events().so_far(), ["message", "task", "status"]);
        assert_eq!(server.report().await.outcome, Outcome::Drained);
    });
}

#[test]
fn a_stream_that_fails_in_the_middle_has_its_status_in_the_trailers() {
    run(async {
        let work = Work::new();
        let task = work.clone();
        let shop = Shop::streaming(async move |tasks| {
            tasks.named("audit").spawn(task.complete());
            Ok(ready_steps([Ok("taken"), Err(sold_out())]))
        });
        let server = serve(TaskTrackerLayer::new(), shop).await;

        let mut answer = ask(&server, Kind::Streaming).await;
        assert_eq!(answer.next().await, Seen::message("taken"));
        work.open_gate();
        let trailers = answer.trailers().await;
        assert_eq!(trailers["grpc-status"], "5");
        assert_eq!(trailers["grpc-message"], "sold%20out");
        assert_eq!(trailers["shop"], "open");
    });
}

fn sold_out() -> Status {
    let mut metadata = MetadataMap::new();
    metadata.insert("shop", MetadataValue::from_static("open"));
    let details = Bytes::from_static(b"tea");
    Status::with_details_and_metadata(Code::NotFound, "sold out", details, metadata)
}

fn assert_sold_out(status: &Status) {
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(status.message(), "sold out");
    assert_eq!(status.details(), b"tea");
    assert_eq!(status.metadata().get("shop").expect("it is sent"), "open");
}
