//! Required tasks with `Hold::End`: the messages pass while such a task is alive.

use grpc_example::Step;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tower_task_tracker::{Hold, TaskTrackerLayer};

use crate::support::{Kind, REQUIRED_FAILED, Seen, Shop, Work, ask, order, run, serve};

/// The task is alive when the call is answered. If the head were held, the client would not read what the task sends.
#[test]
fn a_required_task_that_feeds_the_stream_goes_with_a_held_end() {
    run(async {
        let work = Work::new();
        let task = work.clone();
        let shop = Shop::streaming(async move |tasks| {
            let (sender, receiver) = mpsc::channel(1);
            tasks.set_hold(Hold::End);
            tasks.named("order").required().spawn(async move {
                for text in ["taken", "packed", "sent"] {
                    let step = Step { text: text.into() };
                    sender.send(Ok(step)).await.expect("it is read");
                }
                drop(sender);
                task.fail().await
            });
            Ok(ReceiverStream::new(receiver))
        });
        let server = serve(TaskTrackerLayer::new(), shop).await;
        let mut client = server.client().await;
        let steps = client.follow(order()).await.expect("it is taken");
        let mut steps = steps.into_inner();
        for _ in 0..3 {
            let step = steps.message().await.expect("it has not failed yet");
            assert!(step.is_some(), "three messages");
        }
        work.open_gate();
        let status = steps.message().await.expect_err("it has failed");
        assert_eq!(status.code(), Code::Internal);
        assert_eq!(status.message(), REQUIRED_FAILED);
    });
}

/// With `Hold::End` the message comes at once, and the failure in the trailers.
#[test]
fn with_its_end_held_a_unary_answer_comes_at_once_and_fails_in_its_trailers() {
    run(async {
        let work = Work::new();
        let task = work.clone();
        let shop = Shop::unary(async move |tasks| {
            tasks.named("audit").required().spawn(task.fail());
            Ok("taken")
        });
        let server = serve(TaskTrackerLayer::new().hold(Hold::End), shop).await;
        let mut answer = ask(&server, Kind::Unary).await;
        assert_eq!(answer.next().await, Seen::message("taken"));
        work.open_gate();
        let trailers = answer.trailers().await;
        assert_eq!(trailers["grpc-status"], "13");
    });
}
