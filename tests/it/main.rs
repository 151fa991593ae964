#[tokio::test(start_paused = true)]
async fn smoke() {
    use std::time::Duration;
    use tower::{Service, ServiceBuilder, ServiceExt};
    use tower_task_tracker::*;
    let svc = ServiceBuilder::new()
        .layer(TaskTrackerLayer::new().on_drain(|r: &DrainReport| println!("{r}")))
        .service_fn(|_r: http::Request<()>| async {
            named("audit").spawn(async { tokio::time::sleep(Duration::from_millis(200)).await });
            spawn_blocking(|| ());
            spawn(async { spawn(async { panic!("x") }); });
            Tasks::current().unwrap().tracker().spawn(async { tokio::time::sleep(Duration::from_millis(300)).await });
            Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::new(bytes::Bytes::from("hi"))))
        });
    let t = tokio::time::Instant::now();
    let res = svc.oneshot(http::Request::new(())).await.unwrap();
    println!("{:?} {:?}", t.elapsed(), res.extensions().get::<std::sync::Arc<DrainReport>>());
}
