//! The drain of a function.

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

/// Runs `f` with a task tracker of its own, waits for what it has spawned, and reports.
///
/// It does for a function what the layer does for a request: everything that `f`, its future and
/// their tasks spawn is waited for, for 25 s at most, unless
/// [`set_drain_timeout`](Tasks::set_drain_timeout) says otherwise; what is alive then runs on. To
/// say more, begin with [`Scope::new`].
///
/// Inside of a request it is a scope of its own, with limits of its own: the request waits for it as long
/// as its code does, and tasks that outlive the scope are seen by the request's handle.
///
/// # Tests
///
/// It is the way to test a handler, or any function that spawns: when it returns, the work is done, and
/// the report says how it went.
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
/// Dropping the future drops that of `f`; the tasks run on, and nobody is told.
///
/// # Panics
///
/// A panic of `f` is passed on. A wait on a runtime without time panics.
pub async fn scope<F, Fut>(f: F) -> (Fut::Output, Arc<DrainReport>)
where
    F: FnOnce(Tasks) -> Fut,
    Fut: Future,
{
    Scope::new().run(f).await
}

/// A [`scope`](fn@scope) with settings: for a loop that takes work from a queue, or for a test.
///
/// Clones are cheap. It can be run many times, also at once: each run has tasks of its own.
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
    /// A scope with everything at its default.
    pub fn new() -> Self {
        Self::default()
    }

    short_hands!(settings);

    /// Tracks the tasks by this handle. By default it is that of the request that a run belongs to,
    /// and outside of requests one that nobody sees.
    pub fn tracked_by(mut self, handle: &TrackerHandle) -> Self {
        self.handle = Some(handle.clone());
        self
    }

    /// Runs `f` with a task tracker of its own, waits for what it has spawned, and reports: as
    /// [`scope`](fn@scope) does. It begins when the future is first polled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops that of `f`; [`at_disconnect`](Self::at_disconnect) says what becomes of
    /// the tasks, and the observers are told.
    ///
    /// # Panics
    ///
    /// A panic of `f` is passed on. A wait on a runtime without time panics.
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
                notices: None,
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
                let _running = Running::enter_beneath();
                drained.as_mut().poll(cx)
            })
            .await;
            (value, report.unwrap_or_default())
        }
    }
}
