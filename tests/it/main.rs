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
//! | all rules at once | `tests/properties` |

mod api;
mod before_release;
mod bodies;
mod children;
mod completion_corners;
mod cuts;
mod deadlines;
mod detached;
mod disconnects;
mod docs;
mod foreign;
mod front_page;
mod handle;
mod hold;
mod idle;
mod isolation;
mod last_ends;
mod late;
mod late_seats;
mod layers;
mod logs;
#[cfg(feature = "metrics")]
mod metrics;
mod moving_limits;
mod observers;
mod panics;
mod release;
mod reports;
mod required;
mod required_wakes;
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
