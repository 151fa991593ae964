//! tonic's own timers. Its server has one for the `grpc-timeout` of a call and for `Server::timeout`, its client has
//! another. They are outside the layer and run until the head comes: they cut a held head, and never a held end.

use std::time::Duration;

use grpc_example::orders_server::OrdersServer;
use tonic::transport::Server;
use tonic::{Code, Request, Status};
use tower_task_tracker::{DrainReport, Limit, Outcome, TaskTrackerLayer, Unfinished, deadline};

use crate::support::{Kind, RawAnswer, Shop, TestServer, Work, ask, call, order, run, serve};

/// Enough time for the handler to answer, even on a busy machine.
const SOON: Duration = Duration::from_secs(1);

/// The same time as a header.
const HEADER: [(&str, &str); 1] = [("grpc-timeout", "1S")];

#[test]
fn a_grpc_timeout_cuts_a_held_head_and_the_tasks_go_on() {
    run(async {
        let (work, shop) = refused_and_audited();
        let mut server = serve(TaskTrackerLayer::new(), shop).await;
        let answer = call(server.address, "Place", &HEADER).await;
        assert_cut(&answer);
        assert_eq!(server.report().await.outcome, Outcome::Dropped);

        work.open_gate();
        server.handle.wait_idle().await;
        assert_eq!(work.events().so_far(), ["task"]);
    });
}

#[test]
fn with_the_layers_own_deadline_the_handlers_status_comes_instead_and_nothing_is_aborted() {
    run(async {
        let (work, shop) = refused_and_audited();
        let layer = TaskTrackerLayer::new()
            .deadline_source(deadline::grpc_timeout())
            .at_deadline(Unfinished::Abort)
            .at_disconnect(Unfinished::Abort);
        let mut server = serve(layer, shop).await;
        let answer = call(server.address, "Place", &HEADER).await;
        assert_eq!(answer.head.headers["grpc-status"], "5");
        assert_closed_by_client(&server.report().await);

        work.open_gate();
        server.handle.wait_idle().await;
        assert_eq!(work.events().so_far(), ["task"]);
    });
}

/// The client's timer starts before the call arrives.
#[test]
fn with_a_margin_the_handlers_status_comes_before_the_client_gives_up() {
    run(async {
        let (_work, shop) = refused_and_audited();
        let source = deadline::grpc_timeout().margin(Duration::from_millis(900));
        let layer = TaskTrackerLayer::new().deadline_source(source);
        let mut server = serve(layer, shop).await;
        let mut client = server.client().await;
        let mut request = Request::new(order());
        request.set_timeout(Duration::from_secs(1));
        let status = client.place(request).await.expect_err("it is refused");
        assert_eq!(status.code(), Code::NotFound);
        assert_closed_by_client(&server.report().await);
    });
}

#[test]
fn without_a_deadline_of_the_layer_the_client_gives_up_before_it_learns_the_status() {
    run(async {
        let (work, shop) = refused_and_audited();
        let mut server = serve(TaskTrackerLayer::new(), shop).await;
        let mut client = server.client().await;
        let mut request = Request::new(order());
        request.set_timeout(SOON);
        let status = client.place(request).await.expect_err("it gives up");
        assert_eq!(status.code(), Code::Cancelled);
        assert_eq!(server.report().await.outcome, Outcome::Dropped);

        work.open_gate();
        server.handle.wait_idle().await;
        assert_eq!(work.events().so_far(), ["task"]);
    });
}

#[test]
fn the_servers_timeout_cuts_a_held_head() {
    run(async {
        let (_work, shop) = refused_and_audited();
        let mut server = serve_with_timeout(shop).await;
        assert_cut(&ask(&server, Kind::Unary).await);
        assert_eq!(server.report().await.outcome, Outcome::Dropped);
    });
}

/// This includes `Server::timeout`, and the timers for the `grpc-timeout` in the server and the client.
#[test]
fn no_timer_of_tonic_cuts_a_held_end() {
    run(async {
        let work = Work::new();
        work.open_gate();
        let task = work.clone();
        let shop = Shop::unary(async move |tasks| {
            tasks.spawn(async move {
                tokio::time::sleep(SOON * 3 / 2).await;
                task.complete().await;
            });
            Ok("taken")
        });
        let mut server = serve_with_timeout(shop).await;
        let mut client = server.client().await;
        let mut request = Request::new(order());
        request.set_timeout(SOON);
        let receipt = client.place(request).await.expect("it succeeds");
        work.events().add("answer");
        assert_eq!(receipt.into_inner().text, "taken");
        assert_eq!(work.events().so_far(), ["task", "answer"]);
        assert_eq!(server.report().await.outcome, Outcome::Drained);
    });
}

/// Returns a shop whose call fails, so that its head is held for the audit.
fn refused_and_audited() -> (Work, Shop) {
    let work = Work::new();
    let task = work.clone();
    let shop = Shop::unary(async move |tasks| {
        tasks.named("audit").spawn(task.complete());
        Err(Status::not_found("sold out"))
    });
    (work, shop)
}

async fn serve_with_timeout(shop: Shop) -> TestServer {
    TestServer::start(TaskTrackerLayer::new(), |layer, incoming| {
        Server::builder()
            .timeout(SOON)
            .layer(layer)
            .add_service(OrdersServer::new(shop))
            .serve_with_incoming(incoming)
    })
    .await
}

/// Checks the answer of tonic when its timer expires.
fn assert_cut(answer: &RawAnswer) {
    assert_eq!(answer.head.headers["grpc-status"], "1");
    assert_eq!(answer.head.headers["grpc-message"], "Timeout%20expired");
}

fn assert_closed_by_client(report: &DrainReport) {
    assert_eq!(report.outcome, Outcome::DeadlineExceeded, "{report}");
    assert_eq!(report.closed_by, Some(Limit::Source("grpc-timeout")));
    assert!(report.held > Duration::ZERO, "{report}");
}
