//! Calls whose answer is a stream: its messages pass while tasks run, and its end comes after the tasks.

use std::time::Duration;

use grpc_example::{Order, Step};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tower_task_tracker::{Outcome, TaskTrackerLayer};

use crate::support::{Events, Seen, Shop, Work, call, order, ready_steps, run, serve};

#[test]
fn every_message_comes_while_tasks_run_and_the_end_comes_after_them() {
    run(async {
        let work = Work::new();
        let task = work.clone();
        let shop = Shop::streaming(async move |tasks| {
            tasks.named("audit").spawn(task.complete());
            Ok(ready_steps([Ok("taken"), Ok("packed"), Ok("sent")]))
        });
        let mut server = serve(TaskTrackerLayer::new(), shop).await;
        let mut client = server.client().await;

        let steps = client.follow(order()).await.expect("it is taken");
        let mut steps = steps.into_inner();
        for _ in 0..3 {
            next_step(&mut steps, &work.events()).await;
        }
        work.open_gate();
        next_step(&mut steps, &work.events()).await;

        assert_eq!(
            work.events().so_far(),
            ["message", "message", "message", "task", "end"]
        );
        let report = server.report().await;
        assert_eq!((report.outcome, report.completed), (Outcome::Drained, 1));
    });
}

#[test]
fn a_conversation_goes_on_while_tasks_run_and_its_end_comes_after_them() {
    run(async {
        let work = Work::new();
        let task = work.clone();
        let (sender, receiver) = mpsc::channel(1);
        let shop = Shop::streaming(async move |tasks| {
            tasks.named("audit").spawn(task.complete());
            Ok(ReceiverStream::new(receiver))
        });
        let server = serve(TaskTrackerLayer::new(), shop).await;
        let mut client = server.client().await;

        let (more, orders) = mpsc::channel::<Order>(1);
        let steps = client.follow_all(ReceiverStream::new(orders)).await;
        let mut steps = steps.expect("it is taken").into_inner();
        for text in ["taken", "sent"] {
            more.send(order()).await.expect("the call goes on");
            let step = Step { text: text.into() };
            sender.send(Ok(step)).await.expect("it is served");
            next_step(&mut steps, &work.events()).await;
        }
        drop((more, sender));
        work.open_gate();
        next_step(&mut steps, &work.events()).await;

        assert_eq!(
            work.events().so_far(),
            ["message", "message", "task", "end"]
        );
    });
}

#[test]
fn a_task_that_feeds_the_stream_is_waited_for_and_blocks_nothing() {
    run(async {
        let work = Work::new();
        let task = work.clone();
        let shop = Shop::streaming(async move |tasks| {
            let (sender, receiver) = mpsc::channel(1);
            tasks.named("order").spawn(async move {
                for text in ["taken", "packed", "sent"] {
                    let step = Step { text: text.into() };
                    // The channel has room for one step, so the task would wait here if the client did not read.
                    sender.send(Ok(step)).await.expect("it is read");
                }
                drop(sender);
                task.complete().await;
            });
            Ok(ReceiverStream::new(receiver))
        });
        let layer = TaskTrackerLayer::new().drain_timeout(Duration::from_secs(10));
        let mut server = serve(layer, shop).await;
        let mut client = server.client().await;

        let steps = client.follow(order()).await.expect("it is taken");
        let mut steps = steps.into_inner();
        for _ in 0..3 {
            next_step(&mut steps, &work.events()).await;
        }
        work.open_gate();
        next_step(&mut steps, &work.events()).await;

        assert_eq!(
            work.events().so_far(),
            ["message", "message", "message", "task", "end"]
        );
        assert_eq!(server.report().await.outcome, Outcome::Drained);
    });
}

#[test]
fn what_the_stream_itself_spawns_is_waited_for() {
    run(async {
        let work = Work::new();
        let task = work.clone();
        let shop = Shop::streaming(async move |_| {
            Ok(ready_steps([Ok("taken")]).map(move |step| {
                // The body is polled in the context of its request.
                tower_task_tracker::spawn(task.clone().complete());
                step
            }))
        });
        let mut server = serve(TaskTrackerLayer::new(), shop).await;

        let mut answer = call(server.address, "Follow", &[]).await;
        assert_eq!(answer.next().await, Seen::message("taken"));
        work.open_gate();
        answer.trailers().await;
        work.events().add("trailers");

        assert_eq!(work.events().so_far(), ["task", "trailers"]);
        assert_eq!(server.report().await.completed, 1);
    });
}

async fn next_step(steps: &mut Streaming<Step>, events: &Events) {
    let step = steps.message().await.expect("the call succeeds");
    events.add(if step.is_some() { "message" } else { "end" });
}
