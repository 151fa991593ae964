//! Measures the memory that requests keep while all of them are held.

use tokio::runtime::Builder;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::request::{TASK, Way, task};
use crate::{ALLOCATOR, BoxError, REQUESTS};

/// Returns the bytes of one task.
pub(crate) fn of_a_task() -> Result<f64, BoxError> {
    kept(|| tokio::spawn(task()))
}

/// Returns the bytes of one request, its task included.
pub(crate) fn of_a_request(way: Way) -> Result<f64, BoxError> {
    kept(way.starter())
}

/// Returns the bytes that each started task keeps.
fn kept<T>(start: impl Fn() -> JoinHandle<T>) -> Result<f64, BoxError> {
    // Paused time does not pass while a task is ready: so all of them start before the first one ends.
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    runtime.block_on(async {
        // The runtime's queues grow once and are never shrunk: they grow here, before the measurement.
        all((0..2 * REQUESTS).map(|_| tokio::spawn(task()))).await?;
        let mut started = Vec::with_capacity(REQUESTS as usize);
        let before = live_bytes();
        started.extend((0..REQUESTS).map(|_| start()));
        sleep(TASK / 2).await;
        let held = live_bytes();
        if started.iter().any(JoinHandle::is_finished) {
            return Err("not all were held: one has ended before its task".into());
        }
        all(started).await?;
        Ok((held - before) / f64::from(REQUESTS))
    })
}

async fn all<T>(started: impl IntoIterator<Item = JoinHandle<T>>) -> Result<(), BoxError> {
    for one in Vec::from_iter(started) {
        one.await?;
    }
    Ok(())
}

/// Returns the bytes that are allocated now.
fn live_bytes() -> f64 {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated as f64 - stats.bytes_deallocated as f64
}
