//! The behaviour of the crate, seen from outside. Each folder has the tests of one rule, and the name of each test is a
//! sentence about it. To find the tests of a sentence in the README, in a guide or in an API's docs, search this table
//! for its words. The head of each `mod.rs` has a sentence for each module of its folder.
//!
//! Other tests: `tests/models` has the protocols between threads, `tests/requests` has all rules at once, which the
//! property tests and the fuzzer play, and `examples/graceful_shutdown` has a shutdown from the signal to the exit
//! code.
//!
//! | folder | rule | modules |
//! |---|---|---|
//! | `tracking` | Which work is tracked: what is spawned through `Tasks`, `spawn`, `spawn_blocking` or `named`, in the handler, in its tasks, in tasks of those tasks, and in the response body. `Tasks::len` and `is_empty`. `Tasks` as an axum extractor, a tokio-util `TaskTracker`, a `JoinSet`, a spawn outside of any request, `untracked`. | `context`, `destructors`, `extractor`, `runtimes`, `spawning`, `tracker_holds`, `tracker_reports`, `tracker_runtimes`, `untracked` |
//! | `hold` | What the layer holds: the head of a complete body, or the end of a stream. The modes `Hold::Auto`, `End`, `Head`, `Required` and `Never`, upgraded streams, and tasks that a body spawns. | `body_spawns`, `complete_bodies`, `errors`, `never`, `required`, `required_bodies`, `streams`, `table`, `tasks`, `upgrades` |
//! | `release` | When a response is released: when no task of the request is alive, and at the deadline of its drain window at the latest. A request that has spawned nothing is not touched. | `ends`, `last_moment`, `order`, `wakers` |
//! | `bodies` | Before a wait begins, the layer drops the body if a server would not poll it again, so that a task may wait for the end of the body, or for its drop. What is kept of a body: data, trailers, errors. `ResponseBody` and `BodyError`. | `answers_to_head`, `case`, `error_conversions`, `errors`, `finished`, `hints`, `kept` |
//! | `wire` | What a client receives, and when, over real connections of hyper with HTTP/1 and HTTP/2: each row of the table "When a response is released" on the front page. Which clients a server notices when they leave, also if they close their sending half. | `bodies`, `completion`, `disconnects`, `finished_bodies`, `harness`, `http1`, `http2`, `never`, `producers`, `slow_reader`, `stacks`, `upgrades` |
//! | `deadlines` | The drain window and its limits, of which the earliest is the deadline: `drain_timeout`, `total_timeout`, `deadline_source`, `deadline_from`, the module `deadline`, `set_drain_timeout`. A client may end a wait, and never the work. `deadline_status`: `required`. | `after_the_drain`, `at_least`, `clients`, `clients_and_others`, `environment`, `faulty_sources`, `grpc_timeout`, `head_and_end`, `lambda`, `margin`, `moving`, `nested`, `nested_sources`, `prefer`, `several`, `sources`, `stopping`, `timeouts`, `unix_millis` |
//! | `unfinished` | What becomes of late tasks, which are alive at the deadline: `at_deadline` takes the policy, `Unfinished::Continue`, `Cancel` or `Abort`. `cancellation_token`, and the destructors of aborted tasks. | `abort`, `cancel`, `destructors`, `moved_deadlines`, `policies` |
//! | `before_release` | `before_release`: a hook is awaited when the tasks are done and before the response is released, within the drain window. | `calls`, `deadlines`, `disconnects`, `never` |
//! | `required` | Required tasks: the response fails if a required task panics, returns an `Err`, is aborted, or is alive at the deadline. `failure_status`, `deadline_status`, the header fields that a replaced head keeps, a body that has begun, gRPC. Which heads `Hold::Auto` holds for them: `hold`. | `awaited`, `begun_bodies`, `failures`, `grpc`, `grpc_known_length`, `refusal_fields`, `refusal_framing`, `release`, `streams`, `wakes` |
//! | `hand_off` | Hand-offs: work that cannot be done in time goes into a durable queue before the response ends. `or_hand_off`, `hand_off_grace`, `NotDone`. Acknowledged means done or handed off. | `at_once`, `begins`, `closures`, `deadlines`, `detached`, `durable`, `ends`, `events`, `limits`, `nested`, `places`, `runtimes`, `shutdowns` |
//! | `disconnects` | When a client leaves, the response is dropped: the report has `Outcome::Dropped`, and `at_disconnect` takes the policy for the tasks. | `complete`, `destructors`, `policies`, `reports`, `runtimes` |
//! | `run_to_completion` | `RunToCompletionLayer`: a handler whose client has left runs to its end. | `handlers`, `layers`, `spawns`, `stopping` |
//! | `scope` | Services that are not HTTP, and functions: `TaskScopeLayer` and its `fail_with`, `scope`, `Scope`. Scopes and layers inside of each other. | `failures`, `function`, `layer`, `nested` |
//! | `layers` | Nested layers: an inner layer makes no second tracker, its settings win, what it does not set is inherited, and its callbacks are added. `DrainSettings`. Limits of nested layers: `deadlines`. A layer and a scope inside of each other: `scope`. | `nested`, `settings` |
//! | `stacks` | The order of layers: what changes if a layer of tower or tower-http, or an axum `Router`, is outside of this layer or inside. Each row of the table of neighbours in the guide. | `admission`, `body_deadlines`, `buffer`, `catch_panic`, `compression`, `cors`, `early_drops`, `flushes`, `handlers`, `request_id`, `routers`, `scopes`, `timeout`, `timeout_bodies`, `trace`, `trace_spans`, `whole_bodies`, `wire` |
//! | `late` | Late spawns: code that is no task of its request, such as a kept `Tasks` or a callback, spawns a task after the release. The task runs, and is reported as late. `try_spawn` refuses it, and during a shutdown any task: `shutdown`. | `kept_tasks`, `spawns`, `try_spawn` |
//! | `detached` | Detached tasks: no response waits for them. What a detached task or a straggler spawns is detached, too. | `children`, `children_of_stragglers`, `tasks` |
//! | `overload` | `max_live_tasks` answers 503 if too many tasks are alive when a request arrives: a bound for what requests leave behind. | `max_live_tasks` |
//! | `handle` | Live requests and tasks: `live_requests`, `live_tasks` and `snapshot` of a `TrackerHandle`. | `snapshots` |
//! | `idle` | `wait_idle` waits until no request is listed at the handle. | `callbacks`, `tasks`, `trackers` |
//! | `shutdown` | A shutdown: from `begin_shutdown` on every drain window closes by its end, and `try_spawn` refuses tasks. `shutdown` waits for stragglers, late and detached tasks and the work of the process (`TrackerHandle::spawn`, `process_tasks`), and aborts what is left. | `process`, `responses`, `several_waits`, `stragglers`, `waits_in_handlers`, `waits_in_tasks` |
//! | `panics` | A task that panics affects neither its siblings nor the response. Panics of handlers, and panics of the crate where it is misused. | `handlers`, `misuse`, `tasks` |
//! | `foreign` | Code of others (callbacks, hooks, wakers, destructors, subscribers, recorders) may panic or call back into the crate while a request runs. The request goes on unharmed. | `destructors`, `observers`, `recorders`, `scenes`, `spans`, `stage`, `subscribers`, `wakers` |
//! | `isolation` | A request affects no other one, although the memory of requests that are over is used again. | `neighbours`, `reused_memory` |
//! | `reports` | A `DrainReport` holds what became of each task: counts, the tasks that failed (`fallible`), the tasks that were late, with name or place, age and message. `report_extension`, `server_timing`. | `ages`, `computed_names`, `counts`, `extension`, `fallible`, `last_task`, `long_lists`, `server_timing`, `text` |
//! | `observers` | When `on_drain` and the callbacks of an observer, for late spawns and late ends too, are called. | `calls`, `requests` |
//! | `logs` | Logs: the level, the fields and the span of each event, and how often it is logged. | `dropped_handlers`, `events`, `hints`, `late_tasks`, `required`, `throttle`, `unlisted` |
//! | `spans` | Spans: each task runs in a span of its own (`TaskSpans::Child`, `Linked`, `Inherit`). The layer drops its reference to the request's span once the response is out and no task is waited for. | `closed_at_wake`, `kept_parts`, `open`, `stragglers`, `tasks` |
//! | `metrics` | Metrics: the counters, the gauges and the histogram that `describe_metrics` lists. | `descriptions`, `meter`, `requests`, `tasks` |
//! | `api` | The public API: closures, sources, hooks and builders as users write them compile, and the types are `Send`, `Sync`, `Clone`, `Debug` and `Unpin` as users expect. | `static_traits`, `usage` |
//! | `docs` | What the README and the guides state about files, commands, versions and messages of this repository, and this index. | `index`, `readme` |
//! | `subscribers` | Helpers: what was logged, and which spans have closed. | `closed`, `lines` |

mod api;
mod before_release;
mod bodies;
mod deadlines;
mod detached;
mod disconnects;
mod docs;
mod foreign;
mod hand_off;
mod handle;
mod hold;
mod idle;
mod isolation;
mod late;
mod layers;
mod logs;
#[cfg(feature = "metrics")]
mod metrics;
mod observers;
mod overload;
mod panics;
mod release;
mod reports;
mod required;
mod run_to_completion;
mod scope;
mod shutdown;
mod spans;
mod stacks;
mod subscribers;
#[path = "../support/mod.rs"]
mod support;
mod tracking;
mod unfinished;
mod wire;
