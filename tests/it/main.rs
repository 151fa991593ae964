//! The behaviour of the crate, seen from outside. Each folder has the tests of one rule, and the name of each test
//! states a rule. Search this table for a word of a sentence in the README, a guide or an API's docs. The head of each
//! folder's `mod.rs` has a sentence for each of its modules.
//!
//! Other tests: `tests/models` has the protocols between threads, `tests/properties` has all rules at once, and
//! `examples/graceful_shutdown` has a shutdown from the signal to the exit code.
//!
//! | folder | rule | modules |
//! |---|---|---|
//! | `tracking` | Which work is tracked: a task that is spawned through `Tasks`, `spawn`, `spawn_blocking` or `named`, in the handler, in its tasks, in tasks of those tasks, and in the response body. `Tasks` is an axum extractor; a tokio-util `TaskTracker` is tracked too. | `context`, `destructors`, `extractor`, `runtimes`, `spawning`, `tracker_holds`, `tracker_reports`, `tracker_runtimes`, `untracked` |
//! | `hold` | What is held of a response under `Hold::Auto`, `End`, `Head`, `Required` and `Never`: the head, or the end of the body. | `body_spawns`, `complete_bodies`, `errors`, `never`, `required`, `required_bodies`, `streams`, `table`, `tasks`, `upgrades` |
//! | `release` | When a response is released: when no task of the request is alive, and at its deadline at the latest. | `ends`, `last_moment`, `order`, `wakers` |
//! | `bodies` | Before a wait begins, the layer drops the body if a server would not poll it again; what the server still needs is kept. `ResponseBody` and `BodyError`. | `answers_to_head`, `case`, `error_conversions`, `errors`, `finished`, `hints`, `kept` |
//! | `deadlines` | How long a response waits: the limits of a drain window (`drain_timeout`, `total_timeout`, `deadline_source`, `deadline_from`, the module `deadline`), of which the earliest is the deadline. | `after_the_drain`, `at_least`, `clients`, `clients_and_others`, `environment`, `faulty_sources`, `grpc_timeout`, `head_and_end`, `lambda`, `margin`, `moving`, `nested`, `nested_sources`, `prefer`, `several`, `sources`, `stopping`, `timeouts`, `unix_millis` |
//! | `unfinished` | What becomes of late tasks, which are alive at the deadline: `at_deadline` with the policies `Unfinished::Continue`, `Cancel` and `Abort`. | `abort`, `cancel`, `destructors`, `moved_deadlines`, `policies` |
//! | `required` | Required tasks: a response fails if one of its required tasks fails, panics, is aborted or is late. `failure_status`, `deadline_status`, and how a body that has begun fails. | `awaited`, `begun_bodies`, `failures`, `grpc`, `grpc_known_length`, `refusal_fields`, `refusal_framing`, `release`, `streams`, `wakes` |
//! | `disconnects` | What happens when a client leaves: a response that is dropped before its end is reported as dropped, and `at_disconnect` decides what becomes of its tasks. | `complete`, `destructors`, `policies`, `reports`, `runtimes` |
//! | `layers` | Nested layers and their settings: the outermost layer holds, the innermost settings win, callbacks add up. `DrainSettings`. | `nested`, `settings` |
//! | `late` | Late spawns: a task that is spawned after the release of its request, by code that is no task of it, such as a kept `Tasks` or a callback, runs and is reported as late. `try_spawn` refuses it. | `kept_tasks`, `spawns`, `try_spawn` |
//! | `detached` | Detached tasks: no response waits for them. What a detached task or a straggler spawns is detached itself. | `children`, `children_of_stragglers`, `tasks` |
//! | `overload` | A bound for what requests leave behind: `max_live_tasks` sheds a request with a 503. | `max_live_tasks` |
//! | `panics` | Panics of tasks and handlers, and panics of the crate where it is misused. `foreign` has callbacks, subscribers and wakers that panic. | `handlers`, `misuse`, `tasks` |
//! | `foreign` | Code of the user that the crate calls in the middle of a request, such as wakers, subscribers, recorders, observers and destructors, panics or calls back into the request. Nothing else is affected. | `destructors`, `observers`, `recorders`, `scenes`, `spans`, `stage`, `subscribers`, `wakers` |
//! | `isolation` | One request affects no other: the memory of a request is used again, and nothing of an earlier request is left in it. | `neighbours`, `reused_memory` |
//! | `logs` | The log: each event has its level, its fields and its span, and is logged once. | `dropped_handlers`, `events`, `hints`, `late_tasks`, `required`, `throttle`, `unlisted` |
//! | `spans` | Spans: each task runs in a span of its own (`TaskSpans`), and the request's span closes once the response is out and no task is waited for. | `closed_at_wake`, `kept_parts`, `open`, `stragglers`, `tasks` |
//! | `reports` | A `DrainReport` holds what became of each task: counts, ages, names, failures, stragglers. The report extension and `server-timing`. | `ages`, `computed_names`, `counts`, `extension`, `fallible`, `last_task`, `long_lists`, `server_timing`, `text` |
//! | `observers` | Callbacks: `on_drain` and the observer's `on_drain`, `on_late_spawn` and `on_late_end`. | `calls`, `requests` |
//! | `handle` | `TrackerHandle`: all live requests and tasks of the process. | `snapshots` |
//! | `idle` | `TrackerHandle::wait_idle` returns when no task is alive and every request has left. | `callbacks`, `tasks`, `trackers` |
//! | `shutdown` | The end of the process: `begin_shutdown` caps the windows of responses, and `shutdown` waits for all tasks within its budget. The example `graceful_shutdown` has the signal. | `process`, `responses`, `several_waits`, `stragglers`, `waits_in_handlers`, `waits_in_tasks` |
//! | `before_release` | `before_release`: a hook that is awaited when the tasks are done, before the response is released. | `calls`, `deadlines`, `disconnects`, `never` |
//! | `scope` | Services that are not HTTP: `TaskScopeLayer` holds the answer of any tower service, `scope` and `Scope` wait for the tasks of a function. | `failures`, `function`, `layer`, `nested` |
//! | `run_to_completion` | `RunToCompletionLayer`: a handler runs to its end when its client leaves. | `handlers`, `layers`, `spawns`, `stopping` |
//! | `metrics` | Metrics recorded through the `metrics` facade: counters, gauges and a histogram, as `describe_metrics` lists them. | `descriptions`, `meter`, `requests`, `tasks` |
//! | `api` | The public API: code as users write it compiles, and its types have the traits that users expect. | `static_traits`, `usage` |
//! | `docs` | Statements of the README and of the guides about the crate's own files. | `index`, `readme` |
//! | `subscribers` | Helpers: what tests record of the log and of spans. | `closed`, `lines` |
//! | `stacks` | The order of layers: this layer outside of another layer, or inside of it. Each row of the table in the guide `layers`. | `admission`, `body_deadlines`, `buffer`, `catch_panic`, `compression`, `cors`, `early_drops`, `flushes`, `handlers`, `request_id`, `routers`, `scopes`, `timeout`, `timeout_bodies`, `trace`, `trace_spans`, `whole_bodies`, `wire` |
//! | `wire` | What a client receives, and when, over real connections with HTTP/1 and HTTP/2: each row of the table of what is held; clients that leave. | `bodies`, `completion`, `disconnects`, `finished_bodies`, `harness`, `http1`, `http2`, `never`, `producers`, `slow_reader`, `stacks`, `upgrades` |

mod api;
mod before_release;
mod bodies;
mod deadlines;
mod detached;
mod disconnects;
mod docs;
mod foreign;
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
