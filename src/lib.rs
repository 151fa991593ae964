//! A tower [`Layer`](tower_layer::Layer) that gives every request a task tracker for background
//! work, and holds its response back until that work is done or a deadline passes.
//!
//! On Cloud Run functions, AWS Lambda and their kind an instance is frozen when the response has ended, or when
//! the next event is asked for, and work that still runs then may never run on: "[Any code run after graceful
//! termination cannot access the CPU and will not make any progress][tips]". So all background tasks have to be
//! complete by then ([Cloud Run functions][tips], [AWS Lambda][lambda]). With this layer the rule keeps itself.
//!
//! [tips]: https://cloud.google.com/functions/docs/bestpractices/tips
//! [lambda]: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
//!
#![cfg_attr(feature = "axum", doc = "```")]
#![cfg_attr(not(feature = "axum"), doc = "```ignore")]
//! use axum::{Router, routing::post};
//! use tower_task_tracker::{TaskTrackerLayer, Tasks};
//!
//! let app: Router = Router::new()
//!     .route("/orders", post(|tasks: Tasks| async move {
//!         tasks.spawn(async { /* write the audit log */ });
//!         "thank you"
//!     }))
//!     .layer(TaskTrackerLayer::new());
//! ```
//!
//! <div>
#![doc = include_str!("timelines.svg")]
//! </div>
//!
//! # When a response is released
//!
//! As soon as no task of its request is alive, and at the latest when its drain window closes: 25 s after what is
//! held could have gone out, unless [`drain_timeout`](TaskTrackerLayer::drain_timeout) or another limit
//! is set. A response whose request spawned nothing is not touched, unless there is a
//! [`before_release`](TaskTrackerLayer::before_release).
//!
//! What is held is, by default ([`Hold::Auto`]), the **head** of a response whose body is already
//! there, so that nothing is sent at all, and the **end** of any other, so that a stream reaches
//! its client at once:
//!
//! | response | [`Hold::Auto`] | [`Hold::End`] | [`Hold::Head`] | [`Hold::Required`] |
//! |---|---|---|---|---|
//! | no body, 204, 304, the answer to `HEAD` | the head | the head | the head | nothing |
//! | an error of the service | all of it | all of it | all of it | nothing |
//! | a body of exact `size_hint` whose first frame is there and is all of it | the head | that frame | the head | nothing |
//! | any other body of known length (`size_hint`, or else `content-length`) | the data frame that reaches it: a server ends the response with it | the same | the head | nothing |
//! | a body of unknown length | the end mark, or the trailers (gRPC) | the same | the head | nothing |
//! | a body that fails | the error | the same | the head | nothing |
//! | any of these, while a [`required`](TaskBuilder::required) task is alive | the head, and then as above | as above | the head | the head, or the end once the body streams; and then nothing |
//! | 101, or 2xx to `CONNECT` | nothing: the exchange goes on as an upgraded stream | nothing | nothing | nothing |
//!
//! What a body spawns while it streams is waited for as well, in each of these modes, unless the window has closed
//! at the head or the exchange was upgraded. Under [`Hold::Never`] nothing is held, and everything is tracked and
//! reported; so is what [`Hold::Required`] does not hold for: it is for a 202 that is sent as soon as the order is
//! stored.
//!
//! Before a wait begins, the layer drops the body if a server would not ask for more of it, so that a task which
//! waits for the body's end, or for its drop, does not wait for the response itself. [`Hold`] names the two
//! exceptions; the head of a stream that is held is one.
//!
//! The window closes at the earliest of its limits:
//! [`drain_timeout`](TaskTrackerLayer::drain_timeout), from when what is held could have gone out: the head when
//! the handler has answered, the end when the body has come to its end;
//! [`total_timeout`](TaskTrackerLayer::total_timeout), from the arrival of the request; the
//! limits of the [sources](deadline) that [`deadline_source`](TaskTrackerLayer::deadline_source) adds, which are the
//! platform's, or the client's; and the end of a [shutdown](TrackerHandle::begin_shutdown).
//!
//! [`Unfinished`] decides what becomes of tasks that are alive then, and of those whose
//! [client has left](TaskTrackerLayer::at_disconnect): they run on, unless you would rather have them
//! asked to stop, or aborted. If the response must not hide that some work was late or failed, the handler awaits that
//! work. If no handler can await it, because it is spawned deep in the code, it is
//! [`required`](TaskBuilder::required): the response fails with it. Work that no response has to wait for is
//! [`detached`](TaskBuilder::detached). The example [`deadlines`](#examples) has a route for each policy, and one for a
//! required task.
//!
//! # When the wait is too long
//!
//! In this order: a body that streams (with [`Hold::End`], where tasks are required), so that the client has the
//! data at once; the work on the platform's own time after the answer, where there is some (a `TaskScopeLayer` on
//! Lambda's runtime); [`detached`](TaskBuilder::detached) for what may be lost; a queue for what may not. To see the
//! wait of a held head in a browser, [`server_timing`](TaskTrackerLayer::server_timing). To end it earlier, a shorter
//! timeout: with [`deadline_status`](TaskTrackerLayer::deadline_status) the client of a held head gets an error, and
//! [`Unfinished`] stops the tasks.
//!
//! # What happened
//!
//! A task that panics touches neither its siblings nor the response (unless it is required). What became of
//! each is in the [`DrainReport`]: passed to [`on_drain`](TaskTrackerLayer::on_drain) and logged. With
//! [`report_extension`](TaskTrackerLayer::report_extension) a response whose head is held carries it as
//! `Arc<DrainReport>` in its extensions, also if its tasks were done before the head had to wait. A report that nothing
//! reads is not made.
//!
#![cfg_attr(feature = "http", doc = "```")]
#![cfg_attr(not(feature = "http"), doc = "```ignore")]
//! use std::time::Duration;
//! use tower_task_tracker::TaskTrackerLayer;
//!
//! let layer = TaskTrackerLayer::new()
//!     .drain_timeout(Duration::from_secs(10))
//!     .on_drain(|report| {
//!         if !report.is_clean() {
//!             // deadline exceeded (drain timeout): 1 of 2 tasks completed, held ..
//!             eprintln!("{report}");
//!         }
//!     });
//! # let _ = layer;
//! ```
//!
#![doc = include_str!("docs/choosing.md")]
//!
//! # Which work is tracked
//!
//! What is spawned through [`Tasks`], or through [`spawn`](fn@spawn), [`spawn_blocking`] and
//! [`named`] anywhere in the handler, in its tasks, in theirs, and in its body. A plain
//! `tokio::spawn` is not, and inside of one there is no current request (unless the handler itself
//! drives it, as with a `LocalSet`). The same goes for a `JoinSet`: with
//! `set.spawn(tasks.track_future(work))` it still has the results, and what `work` spawns is tracked too.
//! [`Tasks::token`] and [`Tasks::track_future`] track work that runs elsewhere, [`Tasks::within`] brings the request
//! to code that lost it, and [`untracked`] is for work that the response need not wait for.
//!
//! With these lines in the `clippy.toml` of a crate with handlers, clippy finds the usual ways to spawn past the
//! tracker (`disallowed_methods`, which warns by default; a `JoinSet`, which a handler may await, is not among
//! them):
//!
//! ```toml
//! disallowed-methods = [
//!     { path = "tokio::spawn", reason = "use `tower_task_tracker::spawn`; for a connection `TrackerHandle::spawn` or `untracked`" },
//!     { path = "tokio::task::spawn_blocking", reason = "use `tower_task_tracker::spawn_blocking`" },
//!     { path = "tokio::task::spawn_local", reason = "use `Tasks::spawn_local`" },
//!     { path = "tokio::task::LocalSet::spawn_local", reason = "use `Tasks::spawn_local_on`" },
//!     { path = "tokio::runtime::Handle::spawn", reason = "use `Tasks::spawn_on`; for a connection `TrackerHandle::spawn` or `untracked`" },
//!     { path = "tokio::runtime::Handle::spawn_blocking", reason = "use `Tasks::spawn_blocking_on`" },
//! ]
//! ```
//!
//! A connection that outlives its request, such as one that a client pools, is no task of the request: the
//! response would wait for it until the deadline. [`TrackerHandle::spawn`] makes it work of the process, which a
//! shutdown waits for. What runs inside of [`untracked`] spawns by [`spawn`](fn@spawn) past every tracker, without
//! a warning.
//!
//! # What is not HTTP
//!
//! [`TaskScopeLayer`] does the same for any tower service: events of a queue, commands, or the whole
//! runtime of AWS Lambda, where it waits between the response and the next event, so that no client
//! does. [`scope`](fn@scope) and [`Scope`] do it for a function, which is also the way to test a handler
//! that spawns: when it returns, the work is done, or the report names what is not.
//!
//! # When the client leaves
//!
//! Its tasks run on, unless [`at_disconnect`](TaskTrackerLayer::at_disconnect) is set; its
//! handler is dropped where it stands, which is what servers do, and a warning is logged once a minute.
//! [`RunToCompletionLayer`] lets the handler run to its end too. A client that has closed its sending half alone
//! has left as well, for hyper: [`at_disconnect`](TaskTrackerLayer::at_disconnect) has what to do about those.
//!
//! # The whole process
//!
//! [`TaskTrackerLayer::handle`] sees every request that has tasks: how many are alive, and
//! [which](TrackerHandle::snapshot), also after their responses are gone. When the process is asked to
//! stop, [`begin_shutdown`](TrackerHandle::begin_shutdown) closes every drain window in time, and
//! [`shutdown`](TrackerHandle::shutdown) waits for the rest.
//! [`max_live_tasks`](TaskTrackerLayer::max_live_tasks) keeps what requests leave behind from growing
//! without bound.
//!
//! # Logs
//!
//! Events have the target `tower_task_tracker`:
//!
//! | level | when | fields beside the message |
//! |---|---|---|
//! | DEBUG | a request with tasks has ended, drained, dropped or upgraded | `report`: a [`DrainReport`] on one line |
//! | DEBUG | a task was dropped before its end | `task`: a [`TaskInfo`]; `location`: where it was spawned; `request_id`: the `x-request-id` that its request came with, if it did |
//! | DEBUG | a deadline was ignored | `source`, `reason` |
//! | DEBUG | a request was refused by [`max_live_tasks`](TaskTrackerLayer::max_live_tasks) | `live_tasks` |
//! | WARN | a deadline or a shutdown closed the window before everything was done | `report`; `hint`, if the head of a stream was held: a task may wait for its body |
//! | WARN | a task failed; a [`required`](TaskBuilder::required) one failed or panicked and a report follows; one was spawned after the release by code that is no task of its request | `task`, `location`, `request_id` |
//! | WARN | a handler was dropped before it had answered, because its client left or a layer further out gave up: once a minute, at most, for each layer | `suppressed`: how many more since the last time |
//! | WARN | a request passed a nested layer whose own [handle](TrackerHandle) was taken, and does not see it: once for each layer | `location`: where it was taken |
//! | WARN | a spawn outside of a request, once for each place | `location` |
//! | ERROR | a task panicked that no response depends on; a required one that is in no report returned an `Err` | `task`, `location`, `request_id` |
//! | ERROR | a request has ended in which a required task did not complete, instead of its DEBUG or WARN above (if its client has left: in which one failed or panicked) | `report`, `hint` |
//! | ERROR | a callback, a hook or a deadline source panicked | `panic` |
//! | ERROR | a handler or middleware took [`Tasks`] where no layer was reached, and was answered 500: at most once a second | `method`, `path` (without the query; of a nested router, as that has it) |
//!
//! Work that a client left behind, or that a shutdown aborted, is at DEBUG. It is also in the report with
//! [`Outcome::Dropped`], or in the [`ShutdownReport`].
//!
//! Events about a request are in its span, which is the span that is current when the layer is called. So are events
//! about a task whose end the report counts. An event about any other task (late, detached, or a straggler) is in the
//! span of that task.
//!
//! Each task runs in a span `task` of its own with the fields `name` and `location`, unless
//! [`task_spans`](TaskTrackerLayer::task_spans) is false. Its parent is the span that is current where the task is
//! spawned. The span of a [`detached`](TaskBuilder::detached) task has no parent: it follows from that one, and has
//! the field `request_id` too.
//!
//! The layer drops its reference to the request's span once the response is out and no task is waited for. A [`Tasks`] that is
//! kept does not keep the span open, nor does a future that runs in [`Tasks::within`]. A straggler does, because
//! its span is under the request's.
//!
#![doc = include_str!("docs/limits.md")]
//!
#![doc = include_str!("docs/layers.md")]
//!
#![doc = include_str!("docs/examples.md")]
//!
//! # Compared with
//!
//! * **doing it by hand**, a `TaskTracker` or `JoinSet` awaited at the end of each handler: every
//!   handler has to remember, on its error paths too, and library code deep in the call stack
//!   cannot take part. A `JoinSet` cannot be shared without a lock, a `TaskTracker` has no deadline and
//!   does not report panics, and neither can hold the end of a stream.
//! * **running tasks after the response** (`BackgroundTasks` and the like): on a platform that
//!   freezes the instance they may not run.
//! * **graceful shutdown**: it waits for requests when the process ends. This waits for tasks when
//!   a response ends; [`TrackerHandle::shutdown`] waits for those that outlived theirs.
//!
//! # Cargo features
//!
//! * `http` (default): [`TaskTrackerLayer`]. Without it the crate is [`Tasks`], [`spawn`](fn@spawn),
//!   [`scope`](fn@scope), [`TaskScopeLayer`], [`RunToCompletionLayer`] and [`TrackerHandle`] over tokio and
//!   tower's traits, for libraries that spawn and services that are not HTTP.
//! * `tracing` (default): the logs above.
//! * `metrics`: counters, gauges and a histogram through the `metrics` facade, listed at
//!   `describe_metrics`.
//! * `axum`: [`Tasks`] as an extractor.

// The front page speaks of everything; without `http` some of it is not there.
#![cfg_attr(not(feature = "http"), allow(rustdoc::broken_intra_doc_links))]

pub mod deadline;
mod drain;
mod handle;
#[cfg(feature = "http")]
mod http;
mod metrics;
mod panics;
mod process;
mod report;
mod request;
mod run_to_completion;
mod scope;
mod settings;
mod sync;
mod tasks;
mod throttle;
mod trace;

#[cfg(feature = "axum")]
pub use self::http::MissingTaskTracker;
#[cfg(feature = "http")]
pub use self::http::{
    BodyError, ResponseBody, ResponseFuture, TaskTrackerLayer, TaskTrackerService,
};
pub use handle::TrackerHandle;
#[cfg(feature = "metrics")]
pub use metrics::describe_metrics;
pub use report::{
    DrainObserver, DrainReport, Limit, LiveTask, Outcome, ShutdownReport, TaskInfo, TaskState,
};
pub use run_to_completion::{RunToCompletionFuture, RunToCompletionLayer, RunToCompletionService};
pub use scope::{
    FailWith, FailurePolicy, Scope, ScopeDeadlines, TaskScopeFuture, TaskScopeLayer,
    TaskScopeService, scope,
};
#[cfg(feature = "http")]
pub use settings::Hold;
pub use settings::{DrainSettings, TaskSpans, Unfinished};
pub use tasks::{
    Fallible, Plain, TaskBuilder, TaskKind, TaskToken, Tasks, TrackedFuture, TrySpawnError,
};
pub use tasks::{named, spawn, spawn_blocking, untracked};

/// The README's code, compiled.
#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
struct Readme;
