//! Answers that tonic compresses are held and failed like any other.

use grpc_example::orders_server::OrdersServer;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::transport::Server;
use tonic::{Code, Response};
use tower_task_tracker::TaskTrackerLayer;

use crate::support::{Kind, REQUIRED_FAILED, Shop, TestServer, Work, order, run};

#[test]
fn a_compressed_answer_completes_when_the_tasks_are_done() {
    run(async {
        let (work, shop) = Kind::Unary.audited_later();
        let server = serve(shop).await;
        let client = server.client().await;
        let mut client = client.send_compressed(Gzip).accept_compressed(Gzip);

        work.open_gate();
        let receipt = client.place(order()).await.expect("it succeeds");
        work.events().add("answer");
        assert_compressed(&receipt);
        assert_eq!(receipt.into_inner().text, "taken");
        assert_eq!(work.events().so_far(), ["task", "answer"]);
    });
}

#[test]
fn a_compressed_stream_passes_while_tasks_run() {
    run(async {
        let (work, shop) = Kind::Streaming.audited_later();
        let server = serve(shop).await;
        let client = server.client().await;
        let mut client = client.send_compressed(Gzip).accept_compressed(Gzip);

        let steps = client.follow(order()).await.expect("it is taken");
        assert_compressed(&steps);
        let mut steps = steps.into_inner();
        let step = steps.message().await.expect("it succeeds");
        assert_eq!(step.expect("a message").text, "taken");
        work.events().add("message");
        work.open_gate();
        assert_eq!(steps.message().await.expect("it succeeds"), None);
        work.events().add("end");
        assert_eq!(work.events().so_far(), ["message", "task", "end"]);
    });
}

#[test]
fn a_failed_task_fails_a_compressed_answer() {
    for kind in Kind::ALL {
        run(async {
            let work = Work::new();
            work.open_gate();
            let shop = kind.shop(async move |tasks| {
                tasks.named("audit").required().spawn(work.fail());
                Ok(())
            });
            let server = serve(shop).await;
            let client = server.client().await;
            let mut client = client.send_compressed(Gzip).accept_compressed(Gzip);
            let status = match kind {
                Kind::Unary => client.place(order()).await.map(drop),
                Kind::Streaming => client.follow(order()).await.map(drop),
            };
            let Err(status) = status else {
                panic!("{kind:?}: it has failed")
            };
            assert_eq!(status.code(), Code::Internal, "{kind:?}");
            assert_eq!(status.message(), REQUIRED_FAILED, "{kind:?}");
        });
    }
}

async fn serve(shop: Shop) -> TestServer {
    let orders = OrdersServer::new(shop)
        .accept_compressed(Gzip)
        .send_compressed(Gzip);
    TestServer::start(TaskTrackerLayer::new(), |layer, incoming| {
        Server::builder()
            .layer(layer)
            .add_service(orders)
            .serve_with_incoming(incoming)
    })
    .await
}

fn assert_compressed<T>(response: &Response<T>) {
    let encoding = response.metadata().get("grpc-encoding");
    assert_eq!(encoding.expect("an encoding"), "gzip");
}
