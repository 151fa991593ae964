//! A request, or a process, that spawns one short task after another: no list of them grows.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use http::{Request, Response};
use http_body_util::Empty;
use libtest_mimic::Failed;
use tokio::task::JoinHandle;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{TaskTrackerLayer, Tasks};

use crate::memory::{TOLERANCE, live_bytes, until_equal};
use crate::round::{check_idle, runtime};

const TASKS: usize = 100_000;
/// On a machine that is too busy it is only so many: a list of them would still be seen.
const LEAST: usize = 10_000;
/// When it is too busy.
const LIMIT: Duration = Duration::from_secs(2);
/// How many tasks pass between two looks at the memory.
const STRIDE: usize = 100;

pub(crate) fn all() -> Result<(), Failed> {
    let runtime = runtime()?;
    let layer = TaskTrackerLayer::new();
    let handle = layer.handle();
    println!();
    let kept = runtime.block_on(async {
        // Not the root of the runtime: waking that is slow.
        let done = tokio::spawn(async move {
            let service = layer.layer(service_fn(|_: Request<()>| async {
                let tasks = Tasks::current().expect("in a request");
                spawn("in time", || tasks.spawn(async {})).await;
                spawn("detached", || tasks.task().detached().spawn(async {})).await;
                let mut response = Response::new(Empty::<bytes::Bytes>::new());
                response.extensions_mut().insert(tasks);
                Ok::<_, Infallible>(response)
            }));
            let Ok(response) = service.oneshot(Request::new(())).await;
            let tasks = response.extensions().get::<Tasks>().expect("kept").clone();
            assert!(tasks.is_released());
            spawn("late", || tasks.spawn(async {})).await;
            let process = layer.handle().process_tasks();
            spawn("of the process", || process.spawn(async {})).await;
            (tasks, process)
        });
        done.await
    })?;
    // Whoever keeps their tasks does not keep them on the list of the living.
    until_equal("requests that are left", 0, || handle.live_requests());
    check_idle(&handle);
    drop(kept);
    Ok(())
}

/// One after the other. The memory does not grow with their number.
async fn spawn(what: &str, one: impl Fn() -> JoinHandle<()>) {
    let start = Instant::now();
    let before = live_bytes();
    let (mut count, mut most) = (0, 0);
    while count < TASKS && (count < LEAST || start.elapsed() < LIMIT) {
        for _ in 0..STRIDE {
            one().await.expect("it does not panic");
        }
        count += STRIDE;
        most = most.max(live_bytes().saturating_sub(before));
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{count} {what}: {seconds:.2} s, at most {most} bytes more than before");
    assert!(most <= TOLERANCE, "{what}: {most} bytes more than before");
}
