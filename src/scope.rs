//! The drain without HTTP.

use std::future::{Future, poll_fn};
use std::sync::Arc;

use crate::drain::Drain;
use crate::handle::TrackerHandle;
use crate::registry::Shared;
use crate::registry::context::Context;
use crate::report::DrainReport;
use crate::settings::Settings;
use crate::tasks::Tasks;

/// Runs `f` with a task tracker of its own, waits for what it has spawned, and reports.
///
/// It does for a function what the layer does for a request: everything that `f`, its future and
/// their tasks spawn is waited for, for 25 s at most, unless
/// [`set_drain_timeout`](Tasks::set_drain_timeout) says otherwise; what is alive then runs on. It
/// is also the way to test a handler that spawns: when it returns, the work is done.
///
/// Inside of a request it is a scope of its own: the request waits for it as long as its code does,
/// and tasks that outlive the scope are seen by the request's handle.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// async fn handler() -> &'static str {
///     tower_task_tracker::named("audit").spawn(async { /* write it down */ });
///     "thank you"
/// }
///
/// let (answer, report) = tower_task_tracker::scope(|_| handler()).await;
/// assert_eq!(answer, "thank you");
/// assert!(report.is_clean());
/// assert_eq!(report.spawned, 1);
/// # }
/// ```
///
/// # Cancel safety
///
/// Dropping the future drops that of `f`; the tasks run on.
///
/// # Panics
///
/// A panic of `f` is passed on. A wait on a runtime without time panics.
pub async fn scope<F, Fut>(f: F) -> (Fut::Output, Arc<DrainReport>)
where
    F: FnOnce(Tasks) -> Fut,
    Fut: Future,
{
    let shared = Arc::new(Shared {
        settings: Settings::default(),
        process: match Context::current().registry() {
            Some(request) => request.process().clone(),
            None => TrackerHandle::new().process,
        },
    });
    let (mut drain, registry) = Drain::new(shared, None);
    let tasks = Tasks { registry };
    let future = {
        let _entered = drain.enter();
        f(tasks.clone())
    };
    let value = tasks.scope(future).await;
    let report = loop {
        poll_fn(|cx| drain.poll_drained(cx)).await;
        if let Ok(report) = drain.try_finish() {
            break report;
        }
    };
    (value, report.unwrap_or_default())
}
