//! A tower [`Layer`](tower_layer::Layer) that gives every request a task tracker for background
//! work, and holds its response back until that work is done or a deadline passes.
//!
//! On Cloud Run functions, AWS Lambda and their kind an instance is frozen when the response ends,
//! and work that still runs then may never run on. The platforms' rule is: *respond only when all
//! background tasks are complete* ([Cloud Run functions][tips], [AWS Lambda][lambda]). With this
//! layer the rule keeps itself.
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
//! # When a response is released
//!
//! As soon as no task of its request is alive, and at the latest when its drain window closes: 25 s
//! after it could have been sent, unless [`drain_timeout`](TaskTrackerLayer::drain_timeout) or
//! another limit says otherwise. A response whose request spawned nothing is not
//! touched, unless there is a [`before_release`](TaskTrackerLayer::before_release).
//!
//! What is held is, by default ([`Hold::Auto`]), the **head** of a response whose body is already
//! there, so that nothing is sent at all, and the **end** of any other, so that a stream reaches
//! its client at once:
//!
//! | response | what waits for the tasks |
//! |---|---|
//! | no body, 204, 304, the answer to `HEAD`, an error of the service | the head |
//! | a body that is there as a whole | the head |
//! | a body of known length that streams | the last data frame: a server ends the response with it |
//! | a body of unknown length that streams | the end mark |
//! | a body with trailers (gRPC), or one that fails | the trailers, or the error |
//! | 101, or 2xx to `CONNECT` | nothing: the exchange goes on as an upgraded stream |
//!
//! What a body spawns while it streams is waited for as well.
//!
//! # Deadlines, and what is late
//!
//! The window closes at the earliest limit that is known:
//! [`drain_timeout`](TaskTrackerLayer::drain_timeout), from when the response could have been sent;
//! [`total_timeout`](TaskTrackerLayer::total_timeout), from the arrival of the request; and what the
//! [sources](deadline) know that [`deadline_from`](TaskTrackerLayer::deadline_from) adds: the
//! platform's limit, or the client's.
//!
//! [`Unfinished`] says what becomes of tasks that are alive then, and of those whose
//! [client has left](TaskTrackerLayer::at_disconnect): they run on, unless you would rather have them
//! asked to stop, or aborted. What must not be late, or fail, without the client knowing is
//! [`required`](TaskBuilder::required): the response fails with it. What nobody has to wait for is
//! [`detached`](TaskBuilder::detached). The example `deadlines` has a route for each of these.
//!
//! # Which work is tracked
//!
//! What is spawned through [`Tasks`], or through [`spawn`](fn@spawn), [`spawn_blocking`] and
//! [`named`] anywhere in the handler, in its tasks, in theirs, and in its body. A plain
//! `tokio::spawn` is not, and inside of one there is no current request (unless the handler itself
//! drives it, as with a `LocalSet`). [`Tasks::token`] and
//! [`Tasks::track_future`] track work that runs elsewhere, [`Tasks::scope`] brings the request to
//! code that lost it, and [`untracked`] is for work that the response need not wait for.
//!
//! A task that panics touches neither its siblings nor the response (unless it is required). What happened to the tasks is
//! in the [`DrainReport`]: handed to [`on_drain`](TaskTrackerLayer::on_drain), logged, and carried
//! as `Arc<DrainReport>` in the extensions of a response whose head was held.
//!
#![cfg_attr(feature = "http", doc = "```")]
#![cfg_attr(not(feature = "http"), doc = "```ignore")]
//! use std::time::Duration;
//! use tower_task_tracker::{DrainReport, TaskTrackerLayer};
//!
//! let layer = TaskTrackerLayer::new()
//!     .drain_timeout(Duration::from_secs(10))
//!     .on_drain(|report: &DrainReport| {
//!         if !report.is_clean() {
//!             eprintln!("{report}");
//!         }
//!     });
//! # let _ = layer;
//! ```
//!
//! # What is not HTTP
//!
//! [`TaskScopeLayer`] does the same for any tower service: events of a queue, commands, or the whole
//! runtime of AWS Lambda, where it waits between the response and the next event, so that no client
//! does. [`scope`](fn@scope) and [`Scope`] do it for a function, which is also the way to test a handler
//! that spawns: when it returns, the work is done.
//!
//! # When the client leaves
//!
//! Its tasks run on, unless [`at_disconnect`](TaskTrackerLayer::at_disconnect) says otherwise; its
//! handler is dropped where it stands, which is what servers do. [`RunToCompletionLayer`] lets the
//! handler run to its end too.
//!
//! # The whole process
//!
//! [`TaskTrackerLayer::handle`] sees every request that has tasks: how many are alive, and
//! [which](TrackerHandle::snapshot), also after their responses are gone. When the process is told to
//! stop, [`begin_shutdown`](TrackerHandle::begin_shutdown) closes every drain window in time, and
//! [`shutdown`](TrackerHandle::shutdown) waits for the rest.
//! [`max_live_tasks`](TaskTrackerLayer::max_live_tasks) keeps what requests leave behind from growing
//! without bound.
//!
//! # Logs
//!
//! Events have the target `tower_task_tracker` and are in the span of their request: DEBUG for a drain,
//! a deadline that was ignored and a request that was shed; WARN for a deadline or a shutdown that came
//! before the tasks were done, a task that failed, a late spawn, and a spawn outside of a request; ERROR
//! for a panic, a failed required task, and a callback that panicked. Their fields are `report` (a
//! [`DrainReport`] on one line), `task` (a [`TaskInfo`]), `location` (where the task was spawned),
//! `source` and `reason` (of an ignored deadline), `live_tasks` (when a request was shed) and
//! `message`. Each task runs in a span `task` of its own with the fields `name` and `location`, unless
//! [`task_spans`](TaskTrackerLayer::task_spans) says otherwise.
//!
//! # What it costs
//!
//! The client waits for the work: a task of 200 ms is a response that is 200 ms late. AWS says the
//! same of waiting for all work before the response. When that is too long, hand the work to a
//! queue, and track the handing over. One stuck task holds its HTTP/1 connection, and whatever is
//! pipelined on it, until the deadline.
//!
//! # Where the layer stands
//!
//! Of a `ServiceBuilder`'s layers, and of a tuple's, the first one is outside; of a `Router`'s, the last
//! one. Layers further out than this one see a response when it is let go; layers further in see it
//! when the handler has made it, and what they answer themselves is held like the handler's answer.
//!
//! | neighbour | outside of ours | inside of ours | advice |
//! |---|---|---|---|
//! | timeout (tower, tower-http) | cuts the hold of a head short: its own answer goes out, the tasks run on, the report says [`Outcome::Dropped`]. It does not see a held end | bounds the handler alone; what it answers is held | inside. The hold has limits of its own: [`drain_timeout`](TaskTrackerLayer::drain_timeout), [`total_timeout`](TaskTrackerLayer::total_timeout). Outside only as a last resort, longer than those |
//! | tower-http `ResponseBodyTimeout` | breaks off an end that is held for longer: [`Outcome::Dropped`] | hides how long a body is, so that the end is held where the head would have been | neither, or inside with [`Hold::Head`] |
//! | `TraceLayer` | its latency and its end of stream count the hold in, it sees a status that replaced the handler's, and our events and callbacks are in the request's span | it times the handler alone and sees the handler's status; of ours only the handler's tasks are in the span | outside |
//! | `CompressionLayer` | the head of a whole body is held; a stream's data passes, its end is held | what it compresses is a stream: its end is held rather than its head, so that a deadline cannot change the status any more. Required tasks still hold the head | outside, or [`Hold::Head`] |
//! | `CatchPanicLayer` | a panic is answered at once and counts as a client that left: [`at_disconnect`](TaskTrackerLayer::at_disconnect) applies | a panic is an answer, held like any other | inside |
//! | `SetRequestIdLayer` | [`LiveTask::request_id`] knows the id | it does not, unless the request came with it | outside |
//! | `PropagateRequestIdLayer` | every answer has the id | every answer but one that [`max_live_tasks`](TaskTrackerLayer::max_live_tasks) refuses has it | outside |
//! | `ConcurrencyLimit`, `LoadShed` | a held head counts as being served; a held end does not | only handlers that run count | outside to bound what is open, inside to bound what handlers share |
//! | [`RunToCompletionLayer`] | the handler and its hold run on, in a plain spawn with a warning | a handler runs on when its client leaves | inside |
//! | `Buffer` | changes nothing | `call` runs outside of the request's context: [`spawn`](fn@spawn) tracks nothing there, the [`Tasks`] in the request's extensions do. The future is inside of it as ever | outside |
//! | what reads the whole body (to log or sign it) | waits for a held end, and sends nothing before | makes the body a whole one: the head is held | either |
//! | what replaces the body | drops a held end: [`Outcome::Dropped`] | the new body is what is held | inside |
//!
//! On an axum `Router` only routes that are there before `layer` is called are inside of it; its
//! fallback is too, but not with `route_layer`. A route's own layers are inside of its router's.
//!
//! It wraps whatever is a tower service from `http::Request` to `http::Response`, and is served by whatever
//! serves one: axum, hyper, tonic, `lambda_http`, warp (`warp::service`). poem's adapter calls layers with a
//! request type of its own, and salvo's asks for bodies whose error is a `std::error::Error`, which
//! [`BodyError`] is not.
//!
//! A `TaskTrackerLayer` inside of another one makes no second tracker: what is set on it wins for the
//! requests that pass it, so that a route can have its own deadline.
//!
//! # Compared with
//!
//! * **doing it by hand**, a `TaskTracker` or `JoinSet` awaited at the end of each handler: every
//!   handler has to remember, on its error paths too, and library code deep in the call stack
//!   cannot take part. `JoinSet` cannot be shared, `TaskTracker` has no deadline and says nothing
//!   of panics, and neither can hold the end of a stream.
//! * **running tasks after the response** (`BackgroundTasks` and the like): on a platform that
//!   freezes the instance they may not run.
//! * **graceful shutdown**: it waits for requests when the process ends. This waits for tasks when
//!   a response ends; [`TrackerHandle::shutdown`] waits for those that outlived theirs.
//!
//! # Cargo features
//!
//! * `http` (default): [`TaskTrackerLayer`]. Without it the crate is [`Tasks`], [`spawn`](fn@spawn),
//!   [`scope`](fn@scope), [`TaskScopeLayer`], [`RunToCompletionLayer`] and [`TrackerHandle`] over tokio
//!   alone, for libraries that spawn and services that are not HTTP.
//! * `tracing` (default): the logs above.
//! * `metrics`: counters, gauges and a histogram through the `metrics` facade, listed at
//!   `describe_metrics`.
//! * `axum`: [`Tasks`] as an extractor.

pub mod deadline;
mod drain;
mod handle;
mod metrics;
#[cfg(feature = "http")]
mod middleware;
mod panics;
mod registry;
mod report;
mod roster;
mod run_to_completion;
mod scope;
mod settings;
mod tasks;
mod trace;

pub use deadline::DeadlineSource;
pub use handle::TrackerHandle;
#[cfg(feature = "metrics")]
pub use metrics::describe_metrics;
#[cfg(feature = "axum")]
pub use middleware::MissingTaskTracker;
#[cfg(feature = "http")]
pub use middleware::{
    BodyError, ResponseBody, ResponseFuture, TaskTrackerLayer, TaskTrackerService,
};
pub use report::{
    Bound, DrainReport, LiveTask, OnDrain, Outcome, ShutdownReport, TaskInfo, TaskState,
};
pub use run_to_completion::{RunToCompletionFuture, RunToCompletionLayer, RunToCompletionService};
pub use scope::{FailWith, Scope, TaskScopeFuture, TaskScopeLayer, TaskScopeService, scope};
#[cfg(feature = "http")]
pub use settings::Hold;
pub use settings::Unfinished;
pub use tasks::{Fallible, Plain, SpawnError, TaskBuilder, TaskToken, Tasks, TrackedFuture};
pub use tasks::{named, spawn, spawn_blocking, untracked};

/// The README's code, compiled.
#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
struct Readme;
