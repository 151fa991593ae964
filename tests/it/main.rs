//! The behaviour of the crate, seen from outside. Each module covers one topic, and the name of each test states a
//! rule. Which modules cover which rule:
//!
//! | rule | modules |
//! |---|---|
//! | what is held | `hold_table`, `tasks_hold`, `trackers`, `bodies`, `answers_to_head`, `hold_never`, `hold_required`, `wire` |
//! | when a hold ends | `hold_ends`, `kept_wakers`, `wire` |
//! | what is dropped before a wait | `finished_bodies`, `unfinished_bodies`, `wire::finished_bodies` |
//! | deadline | `deadlines`, `moving_limits`, `drained_windows` |
//! | unfinished tasks | `unfinished`, `cuts` |
//! | nested layers, settings | `nested_layers`, `settings` |
//! | disconnect | `disconnects`, `last_ends`, `wire::disconnects_*`, `wire::half_closed` |
//! | required tasks | `required`, `required_ends`, `required_corners`, `required_or_awaited`, `failed_heads` |
//! | errors of a body | `body_errors` |
//! | late spawns | `late_spawns`, `detached`, `children` |
//! | overload | `handle` |
//! | panics | `panics`, `foreign`, `foreign_panics` |
//! | context, logs | `context`, `spares`, `logs`, `alerts`, `late_logs`, `spans`, `span_ends`, `throttle` |
//! | counts, ages, names | `accounting`, `reports`, `observers`, `computed_names` |
//! | order of events at the end of a task | `ends`, `span_ends` |
//! | when the handle is idle | `idle`, `handle`, `last_ends` |
//! | shutdown | `shutdown`, `shutdown_stragglers`, `shutdown_process`, `shutdown_inside`; `examples/graceful_shutdown` |
//! | before the release | `before_release`, `hook_corners` |
//! | ordering of layers | `stacks`, `wire::stacks` |
//! | services that are not HTTP, functions | `scope`, `scope_layer`, `scope_failures` |
//! | run to completion | `run_to_completion`, `completion_corners`, `wire::completion` |
//! | no race at the release | `races`, `last_moments`; `tests/models` |
//! | other statements of the front page | `front_page`, `readme` |
//! | all rules at once | `tests/requests`, which `tests/properties` and `tests/fuzz` play |

mod accounting;
mod alerts;
mod answers_to_head;
mod axum_extractor;
mod before_release;
mod bodies;
mod body_errors;
mod children;
mod closed;
mod completion_corners;
mod computed_names;
mod context;
mod cuts;
mod deadlines;
mod detached;
mod disconnects;
mod drained_windows;
mod ends;
mod ergonomics;
mod failed_heads;
mod fallible;
mod finished_bodies;
mod foreign;
mod foreign_panics;
mod front_page;
mod handle;
mod hold_ends;
mod hold_never;
mod hold_required;
mod hold_table;
mod hook_corners;
mod idle;
mod kept_wakers;
mod last_ends;
mod last_moments;
mod late_logs;
mod late_seats;
mod late_spawns;
mod lines;
mod logs;
#[cfg(feature = "metrics")]
mod metrics;
mod moving_limits;
mod nested_layers;
mod observers;
mod panics;
mod races;
mod readme;
mod reports;
mod required;
mod required_corners;
mod required_ends;
mod required_or_awaited;
mod required_wakes;
mod run_to_completion;
mod scope;
mod scope_failures;
mod scope_layer;
mod server_timing;
mod settings;
mod shutdown;
mod shutdown_inside;
mod shutdown_process;
mod shutdown_stragglers;
mod span_ends;
mod spans;
mod spares;
mod spawning;
mod stacks;
mod static_traits;
#[path = "../support/mod.rs"]
mod support;
mod tasks_hold;
mod throttle;
mod trackers;
mod unfinished;
mod unfinished_bodies;
mod wire;
