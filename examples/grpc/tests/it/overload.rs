//! Calls that are refused because too many tasks are alive.

use tonic::Code;
use tower_task_tracker::TaskTrackerLayer;

use crate::support::{Shop, Work, order, run, serve};

/// The answer is a 503 without a `grpc-status`, which gRPC clients treat as `UNAVAILABLE`.
#[test]
fn a_refused_call_is_unavailable() {
    run(async {
        let work = Work::new();
        let task = work.clone();
        // The shop would panic at a second call.
        let shop = Shop::unary(async move |tasks| {
            tasks.named("audit").detached().spawn(task.complete());
            Ok("taken")
        });
        let server = serve(TaskTrackerLayer::new().max_live_tasks(1), shop).await;
        let mut client = server.client().await;
        client.place(order()).await.expect("nothing is alive yet");

        let status = client.place(order()).await.expect_err("a task is alive");
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(server.handle.live_tasks(), 1);
        work.open_gate();
        server.handle.wait_idle().await;
    });
}
