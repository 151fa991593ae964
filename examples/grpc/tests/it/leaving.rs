//! Clients that cancel a call: its tasks go on, unless the layer has another policy.

use grpc_example::Step;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tower_task_tracker::{DrainReport, Hold, Outcome, TaskTrackerLayer, Unfinished};

use crate::support::{Kind, Seen, Shop, TestServer, Work, ask, order, run, serve};

#[test]
fn when_a_client_drops_its_stream_in_the_middle_the_tasks_go_on() {
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

        let steps = client.follow(order()).await.expect("it is taken");
        let mut steps = steps.into_inner();
        let text = "taken".to_owned();
        sender.send(Ok(Step { text })).await.expect("it is served");
        assert!(steps.message().await.expect("it succeeds").is_some());
        drop(steps);

        goes_on(server, &work).await;
        assert!(sender.is_closed(), "the stream is not read any more");
    });
}

#[test]
fn when_a_client_drops_its_stream_with_every_message_read_the_tasks_go_on() {
    run(async {
        let (work, shop) = Kind::Streaming.audited_later();
        let server = serve(TaskTrackerLayer::new(), shop).await;
        let mut client = server.client().await;
        let steps = client.follow(order()).await.expect("it is taken");
        let mut steps = steps.into_inner();
        assert!(steps.message().await.expect("it succeeds").is_some());
        drop(steps);
        goes_on(server, &work).await;
    });
}

#[test]
fn when_a_client_cancels_a_call_whose_head_is_held_the_tasks_go_on() {
    run(async {
        let work = Work::new();
        let task = work.clone();
        let (arrived, has_arrived) = oneshot::channel();
        let shop = Shop::unary(async move |tasks| {
            tasks.set_hold(Hold::Head);
            tasks.named("audit").spawn(task.complete());
            arrived.send(()).expect("the test waits for it");
            Ok("taken")
        });
        let server = serve(TaskTrackerLayer::new(), shop).await;
        let mut client = server.client().await;
        let place = tokio::spawn(async move { client.place(order()).await });
        has_arrived.await.expect("the handler runs");
        place.abort();
        goes_on(server, &work).await;
    });
}

#[test]
fn when_a_client_leaves_the_tasks_are_aborted_where_the_layer_says_so() {
    run(async {
        let (work, shop) = Kind::Unary.audited_later();
        let layer = TaskTrackerLayer::new().at_disconnect(Unfinished::Abort);
        let mut server = serve(layer, shop).await;
        let mut answer = ask(&server, Kind::Unary).await;
        assert_eq!(answer.next().await, Seen::message("taken"));
        drop(answer);

        let report = server.report().await;
        assert_eq!(report.outcome, Outcome::Dropped, "{report}");
        assert_eq!(report.aborted, 1, "{report}");
        server.handle.wait_idle().await;
        assert!(work.events().so_far().is_empty());
    });
}

/// Checks that the request is reported as dropped, and that its task runs to its end.
async fn goes_on(mut server: TestServer, work: &Work) {
    let report: DrainReport = server.report().await;
    assert_eq!(report.outcome, Outcome::Dropped, "{report}");
    let names: Vec<_> = report
        .stragglers
        .iter()
        .map(|task| task.name.as_deref())
        .collect();
    assert_eq!(names, [Some("audit")], "{report}");

    work.events().add("report");
    work.open_gate();
    server.handle.wait_idle().await;
    assert_eq!(work.events().so_far(), ["report", "task"]);
}
