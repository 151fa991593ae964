//! Runs a function in a request of its own.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;

use super::drained::Drained;
use super::role::{Role, add_limits};
use crate::handle::TrackerHandle;
use crate::report::DrainReport;
use crate::request::Shared;
use crate::request::context::{Context, Running};
use crate::settings::{DrainSettings, short_hands};
use crate::tasks::Tasks;

/// Runs `f` with a task tracker of its own, waits for the tasks that it has spawned, and returns its output and the
/// report.
///
/// It waits for all tasks that `f`, its future and their tasks spawn. It waits for 25 s at most, from when the future
/// of `f` has ended, unless [`set_drain_timeout`](Tasks::set_drain_timeout) sets another time. Tasks that are alive
/// then run on. [`Scope`] has more settings.
///
/// Inside of a request, the scope has its own tasks and its own limits. The request waits for the scope only as long as
/// the request's code awaits it. The handle of the request tracks the tasks that outlive the scope.
///
/// # Tests
///
/// This is the way to test a handler, or any function that spawns. When `scope` returns, the work is done, and the
/// report contains how it went.
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
/// assert!(report.is_clean(), "{report}");
/// assert_eq!(report.spawned, 1);
/// # }
/// ```
///
/// # Cancel safety
///
/// Dropping the future drops the future of `f`. The tasks run on, and the report is only logged.
///
/// # Panics
///
/// A panic of `f` is passed on. A wait panics as [`DrainSettings::drain_timeout`](crate::DrainSettings::drain_timeout)
/// does.
pub async fn scope<F, Fut>(f: F) -> (Fut::Output, Arc<DrainReport>)
where
    F: FnOnce(Tasks) -> Fut,
    Fut: Future,
{
    Scope::new().run(f).await
}

/// A [`scope`](fn@scope) with settings. It is for loops that take work from a queue, and for tests.
///
/// Clones are cheap. A scope can be run many times, also concurrently. Each run has its own tasks.
///
/// ```
/// use std::time::Duration;
/// use tower_task_tracker::{Scope, Unfinished};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let scope = Scope::new()
///     .drain_timeout(Duration::from_secs(5))
///     .at_deadline(Unfinished::Abort)
///     .on_drain(|report| println!("{report}"));
///
/// for message in ["one", "two"] {
///     let (length, report) = scope
///         .run(|tasks| async move {
///             tasks.named("index").required().spawn(async { Ok::<_, std::io::Error>(()) });
///             message.len()
///         })
///         .await;
///     assert_eq!(length, 3);
///     assert!(!report.required_failed);
/// }
/// # }
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "a scope does nothing before it is run"]
pub struct Scope {
    settings: DrainSettings,
    handle: Option<TrackerHandle>,
}

impl Scope {
    /// Returns a scope in which every setting has its default.
    pub fn new() -> Self {
        Self::default()
    }

    short_hands!(settings);

    /// Sets the handle that tracks the tasks. By default a run uses the handle of the request that it belongs to.
    /// Outside of a request it uses a handle of its own, which no other code has.
    pub fn tracked_by(mut self, handle: &TrackerHandle) -> Self {
        self.handle = Some(handle.clone());
        self
    }

    /// Runs `f` with a task tracker of its own, waits for the tasks that it has spawned, and returns its output and the
    /// report, as [`scope`](fn@scope) does. Nothing runs before the returned future is first polled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the future of `f`. [`at_disconnect`](Self::at_disconnect) decides what happens to the
    /// tasks, and the observers are called.
    ///
    /// # Panics
    ///
    /// A panic of `f` is passed on. A wait panics as
    /// [`DrainSettings::drain_timeout`](crate::DrainSettings::drain_timeout) does.
    pub fn run<F, Fut>(
        &self,
        f: F,
    ) -> impl Future<Output = (Fut::Output, Arc<DrainReport>)> + use<F, Fut>
    where
        F: FnOnce(Tasks) -> Fut,
        Fut: Future,
    {
        let Self { settings, handle } = self.clone();
        async move {
            let process = match (handle, Context::current().request()) {
                (Some(handle), _) => handle.process,
                (None, Some(request)) => request.process().clone(),
                (None, None) => TrackerHandle::new().process,
            };
            let shared = Arc::new(Shared {
                settings: settings.into(),
                process,
                warnings: None,
            });
            let (mut role, request) = Role::new(None, &shared, || None);
            add_limits(&request, &shared.settings, &(), &());
            if let Role::Owner(drain) = &mut role {
                drain.want_report();
            }
            let future = {
                let _entered = role.enter();
                f(Tasks { request })
            };
            let mut drained = pin!(Drained::new(future, role, ()));
            let (value, report) = poll_fn(|cx| {
                let _running = Running::enter_outer();
                drained.as_mut().poll(cx)
            })
            .await;
            (value, report.unwrap_or_default())
        }
    }
}
