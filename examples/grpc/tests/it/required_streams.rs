//! Required tasks of answers that have begun: the messages stay, and the status in the trailers is `INTERNAL`.

use grpc_example::Step;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use tower_task_tracker::TaskTrackerLayer;

use crate::support::{
    Kind, REQUIRED_FAILED, Seen, Shop, Work, ask, order, ready_steps, run, serve,
};

#[test]
fn a_task_that_fails_while_the_end_is_held_fails_the_call() {
    run(async {
        let (work, shop) = audited_in_the_stream();
        let mut server = serve(TaskTrackerLayer::new(), shop).await;

        let mut answer = ask(&server, Kind::Streaming).await;
        assert_eq!(answer.head.headers.get("grpc-status"), None);
        assert_eq!(answer.next().await, Seen::message("taken"));
        work.open_gate();
        let trailers = answer.trailers().await;
        assert_eq!(trailers["grpc-status"], "13");
        assert_eq!(answer.rest().await, []);
        assert!(server.report().await.required_failed);
    });
}

#[test]
fn tonics_client_gets_the_messages_and_then_the_failure() {
    run(async {
        let (work, shop) = audited_in_the_stream();
        let server = serve(TaskTrackerLayer::new(), shop).await;
        let mut client = server.client().await;

        let steps = client.follow(order()).await.expect("it is taken");
        let mut steps = steps.into_inner();
        let step = steps.message().await.expect("it has not failed yet");
        assert_eq!(step.expect("a message").text, "taken");
        work.open_gate();
        let status = steps.message().await.expect_err("it has failed");
        assert_eq!(status.code(), Code::Internal);
        assert_eq!(status.message(), REQUIRED_FAILED);
    });
}

#[test]
fn a_task_that_fails_in_the_middle_stops_no_message() {
    run(async {
        let (sender, receiver) = mpsc::channel(1);
        let (failed, mut has_failed) = mpsc::channel(1);
        let shop = Shop::streaming(async move |tasks| {
            let steps = ReceiverStream::new(receiver);
            Ok(steps.map(move |step| {
                let failed = failed.clone();
                tasks.named("audit").required().spawn(async move {
                    failed.send(()).await.expect("the test waits for it");
                    Err::<(), _>("the book is locked")
                });
                step
            }))
        });
        let server = serve(TaskTrackerLayer::new(), shop).await;

        let mut answer = ask(&server, Kind::Streaming).await;
        for text in ["taken", "sent"] {
            let step = Step { text: text.into() };
            sender.send(Ok(step)).await.expect("it is served");
            assert_eq!(answer.next().await, Seen::message(text));
            has_failed.recv().await.expect("the server lives");
        }
        drop(sender);
        let trailers = answer.trailers().await;
        assert_eq!(trailers["grpc-status"], "13");
    });
}

#[test]
fn a_stream_that_fails_by_itself_keeps_its_status() {
    run(async {
        let shop = Shop::streaming(async move |_| {
            let steps = ready_steps([Ok("taken"), Err(Status::not_found("sold out"))]);
            Ok(steps.map(|step| {
                let audit = async { Err::<(), _>("the book is locked") };
                tower_task_tracker::named("audit").required().spawn(audit);
                step
            }))
        });
        let mut server = serve(TaskTrackerLayer::new(), shop).await;
        let mut answer = ask(&server, Kind::Streaming).await;
        assert_eq!(answer.next().await, Seen::message("taken"));
        let trailers = answer.trailers().await;
        assert_eq!(trailers["grpc-status"], "5");
        assert!(server.report().await.required_failed);
    });
}

/// Returns a shop whose stream spawns a required task when it is read. The task fails when the gate is opened.
fn audited_in_the_stream() -> (Work, Shop) {
    let work = Work::new();
    let task = work.clone();
    let shop = Shop::streaming(async move |_| {
        Ok(ready_steps([Ok("taken")]).map(move |step| {
            let audit = task.clone().fail();
            tower_task_tracker::named("audit").required().spawn(audit);
            step
        }))
    });
    (work, shop)
}
