//! What one long request allocates when it calls an inner layer again and again.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::Full;
use libtest_mimic::Failed;
use stats_alloc::Stats;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;
use tower::{Layer, Service, service_fn};
use tower_task_tracker::{TaskScopeLayer, TaskTrackerLayer, scope};

use crate::allocated;

pub(crate) fn a_scope_does_not_grow() -> Result<(), Failed> {
    let layer = TaskScopeLayer::new().deadline_from(|due: &Instant| Some(*due));
    let mut service = layer.layer(service_fn(|_: Instant| async { Ok::<_, Infallible>(()) }));
    let (counts, _) =
        runtime()?.block_on(scope(
            |_| async move { hundreds(|due| drop(service.call(due))) },
        ));
    assert_grows_not(&counts);
    Ok(())
}

pub(crate) fn a_request_does_not_grow() -> Result<(), Failed> {
    let layer = TaskTrackerLayer::new()
        .deadline_from(|parts: &Parts| parts.extensions.get().copied())
        .deadline_from(|_: &Parts| None)
        .drain_timeout(Duration::from_secs(5));
    let inner = layer.layer(service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    }));
    let (counts, counted) = std::sync::mpsc::channel();
    let mut service = TaskTrackerLayer::new().layer(service_fn(move |_: Request<()>| {
        let mut inner = inner.clone();
        let counts = counts.clone();
        async move {
            let counted = hundreds(|due| {
                let mut request = Request::new(());
                request.extensions_mut().insert(due);
                drop(inner.call(request));
            });
            let _ = counts.send(counted);
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }
    }));
    drop(runtime()?.block_on(service.call(Request::new(()))));
    assert_grows_not(&counted.recv()?);
    Ok(())
}

/// What each of two hundred calls more costs, after a first hundred that makes what is kept. Each call
/// has a deadline of its own.
fn hundreds(mut call: impl FnMut(Instant)) -> [Stats; 2] {
    let now = Instant::now();
    let mut seconds = 60;
    let mut hundred = || {
        allocated(|| {
            for _ in 0..100 {
                seconds += 1;
                call(now + Duration::from_secs(seconds));
            }
        })
    };
    hundred();
    [hundred(), hundred()]
}

#[track_caller]
fn assert_grows_not(hundreds: &[Stats; 2]) {
    let [earlier, later] = hundreds;
    assert_eq!(earlier, later, "one hundred costs what another does");
    assert_eq!(
        later.bytes_allocated, later.bytes_deallocated,
        "nothing of a call is kept"
    );
}

fn runtime() -> Result<Runtime, Failed> {
    Ok(Builder::new_current_thread().enable_time().build()?)
}
