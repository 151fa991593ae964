//! The places of the layer: around all services or around one, outside or inside an interceptor, and in a router of
//! axum.

use std::future::{Future, IntoFuture};

use axum::routing::get;
use grpc_example::orders_server::OrdersServer;
use tonic::service::{InterceptorLayer, LayerExt, Routes};
use tonic::transport::Server;
use tonic::{Request, Status};
use tower_task_tracker::{Hold, Outcome, TaskTrackerLayer, Tasks};

use crate::support::{Incoming, Kind, Seen, Shop, TestServer, Work, ask, run};

#[test]
fn around_one_service_the_trailers_are_held() {
    check(|layer, incoming, shop| {
        let orders = layer.named_layer(OrdersServer::new(shop));
        Server::builder()
            .add_service(orders)
            .serve_with_incoming(incoming)
    });
}

#[test]
fn outside_of_an_interceptor_the_trailers_are_held() {
    check(|layer, incoming, shop| {
        Server::builder()
            .layer(layer)
            .layer(InterceptorLayer::new(known))
            .add_service(OrdersServer::new(shop))
            .serve_with_incoming(incoming)
    });
}

#[test]
fn inside_of_an_interceptor_the_trailers_are_held() {
    check(|layer, incoming, shop| {
        Server::builder()
            .layer(InterceptorLayer::new(known))
            .layer(layer)
            .add_service(OrdersServer::new(shop))
            .serve_with_incoming(incoming)
    });
}

#[test]
fn around_a_service_that_has_its_own_interceptor_the_trailers_are_held() {
    check(|layer, incoming, shop| {
        Server::builder()
            .layer(layer)
            .add_service(OrdersServer::with_interceptor(shop, known))
            .serve_with_incoming(incoming)
    });
}

#[test]
fn around_the_routes_in_tonics_server_the_trailers_are_held() {
    check(|layer, incoming, shop| {
        let grpc = Routes::new(OrdersServer::new(shop)).into_axum_router();
        Server::builder()
            .add_routes(Routes::from(grpc.layer(layer)))
            .serve_with_incoming(incoming)
    });
}

#[test]
fn around_a_router_of_axum_in_its_own_server_the_trailers_are_held() {
    run(async {
        let (work, shop) = Kind::Unary.audited_later();
        let server = TestServer::listen(TaskTrackerLayer::new(), |layer, listener| {
            let grpc = Routes::new(OrdersServer::new(shop)).into_axum_router();
            let app = grpc.route("/health", get(|| async { "well" })).layer(layer);
            axum::serve(listener, app).into_future()
        });
        check_held(server.await, &work).await;
    });
}

#[test]
fn one_around_a_service_tunes_the_one_around_all() {
    run(async {
        let (work, shop) = Kind::Unary.audited_later();
        work.open_gate();
        let mut server = TestServer::start(TaskTrackerLayer::new(), |layer, incoming| {
            let own = TaskTrackerLayer::new().hold(Hold::Head);
            Server::builder()
                .layer(layer)
                .add_service(own.named_layer(OrdersServer::new(shop)))
                .serve_with_incoming(incoming)
        })
        .await;

        let mut answer = ask(&server, Kind::Unary).await;
        work.events().add("head");
        assert_eq!(answer.next().await, Seen::message("taken"));
        assert_eq!(work.events().so_far(), ["task", "head"]);
        assert_eq!(server.report().await.outcome, Outcome::Drained);
    });
}

#[test]
fn what_an_interceptor_spawns_is_waited_for_if_it_refuses_the_call_as_well() {
    run(async {
        let work = Work::new();
        work.open_gate();
        let task = work.clone();
        let refuse = move |request: Request<()>| {
            let tasks: Option<&Tasks> = request.extensions().get();
            let tasks = tasks.expect("the layer stands further out");
            tasks.named("audit").spawn(task.clone().complete());
            Err::<Request<()>, _>(Status::permission_denied("not you"))
        };
        let shop = Shop::unary(async |_| Ok("never taken"));
        let mut server = TestServer::start(TaskTrackerLayer::new(), |layer, incoming| {
            Server::builder()
                .layer(layer)
                .add_service(OrdersServer::with_interceptor(shop, refuse))
                .serve_with_incoming(incoming)
        })
        .await;

        let answer = ask(&server, Kind::Unary).await;
        work.events().add("head");
        assert_eq!(answer.head.headers["grpc-status"], "7");
        assert_eq!(work.events().so_far(), ["task", "head"]);
        assert_eq!(server.report().await.outcome, Outcome::Drained);
    });
}

/// An interceptor that accepts every call.
#[allow(clippy::unnecessary_wraps, clippy::result_large_err)]
fn known(request: Request<()>) -> Result<Request<()>, Status> {
    Ok(request)
}

/// Checks that the message comes at once and the trailers after the task, wherever `serve` puts the layer.
fn check<S, F>(serve: S)
where
    S: FnOnce(TaskTrackerLayer, Incoming, Shop) -> F,
    F: Future<Output = Result<(), tonic::transport::Error>> + Send + 'static,
{
    run(async {
        let (work, shop) = Kind::Unary.audited_later();
        let server = TestServer::start(TaskTrackerLayer::new(), |layer, incoming| {
            serve(layer, incoming, shop)
        });
        check_held(server.await, &work).await;
    });
}

async fn check_held(mut server: TestServer, work: &Work) {
    let mut answer = ask(&server, Kind::Unary).await;
    assert_eq!(answer.next().await, Seen::message("taken"));
    work.events().add("message");
    work.open_gate();
    let trailers = answer.trailers().await;
    work.events().add("trailers");
    assert_eq!(trailers["grpc-status"], "0");
    assert_eq!(work.events().so_far(), ["message", "task", "trailers"]);
    let report = server.report().await;
    assert_eq!((report.outcome, report.completed), (Outcome::Drained, 1));
}
